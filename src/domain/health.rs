//! How the installation does at this moment, as `/admin status` tells it: plain values, filled in by whoever runs it.
use super::event::LineTrouble;
use super::ids::LineId;
use super::time::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Health {
    pub feed: FeedHealth,
    pub store: StoreHealth,
    pub queues: QueueHealth,
    /// Why the platform's last login failed, if it did.
    pub login: Option<String>,
    /// The wall clock is believed.
    pub clock: bool,
    /// Of each line that has been heard of; the others have had nothing to send yet.
    pub lines: BTreeMap<LineId, LineHealth>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FeedHealth {
    pub transport: String,
    pub connected: bool,
    /// Another client reads this feed.
    pub superseded: bool,
    /// Since when it is as it is.
    pub since: Timestamp,
    pub last_error: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StoreHealth {
    /// Number of the last commit that is durable.
    pub sequence: u64,
    /// How many commits the view has yet to take from the journal.
    pub behind: u64,
    /// Bytes; `None` where nobody could tell.
    pub free: Option<u64>,
    pub writable: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct QueueHealth {
    pub due: usize,
    pub in_flight: usize,
    pub in_doubt: usize,
    /// Advisors' messages that wait for a gate.
    pub held: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LineHealth {
    /// What the provider refuses it for.
    pub trouble: Option<LineTrouble>,
    /// Too many calls have failed: only a probe goes now and then.
    pub resting: bool,
}
