//! The doors between the decisions and the world: what a store, a performer, a clock and an inbox must do.
pub mod disk;

use crate::domain::commit::{Commit, Committed, Key, Stored};
use crate::domain::effect::{Attempt, Effect, LookUp, Prepared};
use crate::domain::event::Event;
use crate::domain::health::Health;
use crate::domain::ids::EffectId;
use crate::domain::lane::Due;
use crate::domain::time::Timestamp;
use std::future::Future;
use std::pin::Pin;
use tokio::sync::watch;

/// A future that can be kept in a table of trait objects.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

#[derive(Debug, thiserror::Error)]
#[error("{what} {remedy}")]
pub struct StoreError {
    /// What is wrong and where, a sentence.
    pub what: String,
    /// What the operator can do, a sentence.
    pub remedy: String,
    /// What was to be kept is itself at fault, and would be refused as often as it is tried.
    pub for_good: bool,
}

/// Keeps commits, in one order, for ever.
pub trait Store: Send + Sync {
    /// The record as of the last sequenced commit (durable or not yet).
    fn get(&self, key: &Key) -> Result<Option<Stored>, StoreError>;
    /// Ascending by key; personal keys are never listed.
    fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<(Key, Stored)>, StoreError>;
    /// Checks every version the commit read against all commits sequenced before it, and sequences it. Sequenced is not
    /// durable: nothing may be answered or taken before `durable()` has reached the number.
    fn commit(&self, commit: Commit) -> Result<Committed, StoreError>;
    /// The number of the last commit that would survive a power cut.
    fn durable(&self) -> watch::Receiver<u64>;
    /// The time of the last commit; `now` never goes below it.
    fn last_time(&self) -> Timestamp;
}

/// Does things to the world. It never decides and never repeats.
pub trait Performer: Send + Sync {
    /// Puts the effect into words. An `Err` is a mistake in a template or its variables, told as `Failed`.
    fn prepare(&self, id: &EffectId, effect: &Effect) -> Result<Prepared, String>;
    fn perform<'a>(&'a self, id: &'a EffectId, effect: &'a Effect, prepared: &'a Prepared) -> Later<'a, Attempt>;
    /// Did this effect, whose end we never heard, happen?
    fn look_up<'a>(&'a self, due: &'a Due) -> Later<'a, LookUp>;
}

/// Whether an effect may leave just now for reasons that no record knows: pace of lines and pairs.
pub trait Pacing: Send + Sync {
    /// `Err` names the earliest time at which it may.
    fn may_go(&self, effect: &Effect, now: Timestamp) -> Result<(), Timestamp>;
}

pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
    /// False while wall time has run away from the machine's own count (RULES, Identity and time).
    fn is_sane(&self) -> bool {
        true
    }
}

/// Knows how the installation does at this moment. Asked now and then, by people; it must not wait for anything.
pub trait Pulse: Send + Sync {
    fn health(&self) -> Health;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// Durable now, or durable before.
    Kept,
    /// Cannot be kept now (store, drain, queue full): whoever sent it must send it again.
    NotNow,
}

/// Takes events in; answers when they are durable.
pub trait Inbox: Send + Sync {
    fn deliver(&self, event: Event) -> Later<'static, Receipt>;
}

/// What is known of each line: it works, or what is wrong with it. A line of which nothing was heard yet is not there.
pub type Lines = std::collections::BTreeMap<crate::domain::ids::LineId, Option<crate::domain::event::LineTrouble>>;
