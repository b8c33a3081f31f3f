//! What a decision leaves behind: records with the versions they rest on, journal entries, and due effects, all or nothing.
use super::ids::{ContactId, EventId, MessageId, RoomKey};
use super::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Number of the commit that wrote a record last; 0 stands for "there is none".
pub type Version = u64;

/// Where a record stands: a prefix that names its kind, a slash, and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(String);

impl Key {
    pub fn new(kind: &str, name: impl std::fmt::Display) -> Key {
        Key(format!("{kind}/{name}"))
    }
    pub fn from_text(text: impl Into<String>) -> Key {
        Key(text.into())
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// Kinds whose names tell who somebody is (or, as a wamid does, encode his number). A store keeps these names only
    /// under a keyed hash; they are looked up, never listed.
    pub fn is_personal(&self) -> bool {
        const PERSONAL: [&str; 7] = ["phone/", "email/", "wa/", "bsuid/", "wamid/", "callid/", "seen/"];
        PERSONAL.iter().any(|kind| self.0.starts_with(kind))
    }
}

/// One record written (or, without a value, taken away).
#[derive(Clone, Debug, PartialEq)]
pub struct Put {
    pub key: Key,
    /// JSON.
    pub value: Option<Vec<u8>>,
    /// Whose content it holds: sealed under this contact's own key on every disk it reaches.
    pub sealed_for: Option<ContactId>,
}

/// One line of the journal: what happened, to whom, by whom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// A dotted name that stays: `consent.asked`, `message.sent`, …
    pub kind: String,
    /// The human or program that acted: an e-mail address, `client`, `liaison`, `operator`.
    pub actor: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<ContactId>,
    /// Under whose key the detail lies where it is about no single contact but a native group (`ContactId::of_group`).
    #[serde(skip)]
    pub group: Option<ContactId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<RoomKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
    /// Everything else, texts included; sealed under the contact's or the group's key where there is one.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub detail: Value,
}

impl Entry {
    /// Whose key seals the detail; nobody's but the firm's where there is none.
    pub fn sealed_for(&self) -> Option<&ContactId> {
        self.contact.as_ref().or(self.group.as_ref())
    }
}

/// The bytes that caused a commit, as they were signed or framed.
#[derive(Clone, Debug, PartialEq)]
pub struct Raw {
    pub bytes: std::sync::Arc<[u8]>,
    pub sealed_for: Option<ContactId>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    pub cause: EventId,
    /// Time of the decision, by our clock.
    pub at: Timestamp,
    /// Every key that the decision looked at, absent ones (version 0) included.
    pub read: Vec<(Key, Version)>,
    pub puts: Vec<Put>,
    pub entries: Vec<Entry>,
    pub raw: Option<Raw>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// Sequenced under this number; durable once the store says so for it.
    Now(u64),
    /// A record that it read has changed since: decide anew.
    Outrun,
}

/// A record as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    pub version: Version,
    pub value: Vec<u8>,
}
