//! A message on its way to a client, from the moment it was accepted.
//!
//! ```text
//! ACCEPTED → HELD(gate) | READY → TAKEN → SENT → DELIVERED → READ
//! FAILED(code) · UNCONFIRMED · EXPIRED · WITHDRAWN · CANCELLED
//! ```
use super::case::Record;
use super::commit::Key;
use super::effect::Body;
use super::ids::*;
use super::policy::{INVITATION, OPT_IN};
use super::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A doubtful message holds its lane this long (RULES, Message).
pub const DOUBT_HOLDS_LANE: Span = Span::seconds(30);
/// After this long without a trace it is shown as unconfirmed.
pub const DOUBT_LASTS: Span = Span::seconds(60);
/// The author is warned this long before a held message expires.
pub const EXPIRY_WARNING: Span = Span::hours(24);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    pub id: MessageId,
    pub contact: ContactId,
    pub room: Option<RoomKey>,
    pub channel: Channel,
    pub line: LineId,
    pub author: Author,
    pub body: Body,
    /// To all members of the room's native group, which is then the `contact` (`ContactId::of_group`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub to_group: bool,
    /// Who was in the group when it was taken, and how far it came with each of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub recipients: BTreeMap<ContactId, Reached>,
    /// The author's message in the chat.
    pub chat_message: Option<ChatMessageId>,
    pub accepted_at: Timestamp,
    /// Place in its lane: accepted earlier, sent earlier.
    pub order: (Timestamp, u32),
    pub state: MessageState,
    /// The client was told that a message waits, this one among them (S0-24).
    pub told: bool,
    pub expires_at: Option<Timestamp>,
    pub expiry_warned: bool,
    pub wamid: Option<Wamid>,
    pub sent_at: Option<Timestamp>,
    /// When it was first sent, where a status said later that its line was refused: it waits, but not for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_since: Option<Timestamp>,
    pub delivered_at: Option<Timestamp>,
    pub read_at: Option<Timestamp>,
    /// What the provider charges it as, such as `utility`.
    pub price_category: Option<String>,
    /// How it counts it, such as `regular` or `free_customer_service`.
    #[serde(default)]
    pub price_type: Option<String>,
}

/// How far a message to a group came with one of its members.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    pub delivered_at: Option<Timestamp>,
    pub read_at: Option<Timestamp>,
    /// The provider's code, where it told that it did not come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Author {
    Advisor(UserId),
    /// The program itself, by the name of the template: only what S3-1 lists, or after a yes.
    Program(String),
    /// Another client of the same room, whose words are passed on (`groups`).
    Client(ContactId),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MessageState {
    Held {
        gate: String,
    },
    Ready,
    Taken,
    /// Taken, and nobody has told how it ended.
    Doubtful {
        since: Timestamp,
        lane_freed: bool,
    },
    Sent,
    Delivered,
    Read,
    Failed {
        code: String,
    },
    Unconfirmed,
    Expired,
    Withdrawn {
        reason: String,
    },
    Cancelled,
}

impl MessageState {
    /// Delivery only rises (S4): a report of a lower rank changes nothing.
    pub fn rank(&self) -> u8 {
        match self {
            MessageState::Held { .. } | MessageState::Ready => 0,
            MessageState::Taken | MessageState::Doubtful { .. } | MessageState::Unconfirmed => 1,
            MessageState::Sent => 2,
            MessageState::Failed { .. } => 3,
            MessageState::Delivered => 4,
            MessageState::Read => 5,
            MessageState::Expired | MessageState::Withdrawn { .. } | MessageState::Cancelled => 6,
        }
    }
    /// As metrics, `/sent` and the journal name it.
    pub fn name(&self) -> &'static str {
        match self {
            MessageState::Held { .. } => "held",
            MessageState::Ready => "ready",
            MessageState::Taken => "taken",
            MessageState::Doubtful { .. } => "doubtful",
            MessageState::Sent => "sent",
            MessageState::Delivered => "delivered",
            MessageState::Read => "read",
            MessageState::Failed { .. } => "failed",
            MessageState::Unconfirmed => "unconfirmed",
            MessageState::Expired => "expired",
            MessageState::Withdrawn { .. } => "withdrawn",
            MessageState::Cancelled => "cancelled",
        }
    }
}

impl Message {
    pub fn key_of(id: &MessageId) -> Key {
        Key::new("message", id)
    }
    /// Earlier versions wrote down the first member of a group where now the group itself stands.
    pub fn as_of_now(self) -> Message {
        match &self.room {
            Some(room) if self.to_group => Message { contact: ContactId::of_group(room), ..self },
            Some(_) | None => self,
        }
    }
    pub fn is_template(&self) -> bool {
        matches!(self.body, Body::Template { .. })
    }
    pub fn is_free_text(&self) -> bool {
        !self.is_template()
    }
    pub fn advisor(&self) -> Option<UserId> {
        match &self.author {
            Author::Advisor(user) => Some(*user),
            Author::Program(_) | Author::Client(_) => None,
        }
    }
    /// The client whose words these are, where they are passed on to another one.
    pub fn passed_on_from(&self) -> Option<&ContactId> {
        match &self.author {
            Author::Client(contact) => Some(contact),
            Author::Advisor(_) | Author::Program(_) => None,
        }
    }
    /// Somebody's own words: they have a place in their lane and wait there when they may not go.
    pub fn is_of_a_person(&self) -> bool {
        match self.author {
            Author::Advisor(_) | Author::Client(_) => true,
            Author::Program(_) => false,
        }
    }
    /// The program's question for consent, on either channel.
    pub fn is_request(&self) -> bool {
        self.program_name().is_some_and(|name| name == INVITATION || name == OPT_IN)
    }
    pub fn program_name(&self) -> Option<&str> {
        match &self.author {
            Author::Advisor(_) | Author::Client(_) => None,
            Author::Program(name) => Some(name),
        }
    }
}

impl Record for Message {
    fn key(&self) -> Key {
        Message::key_of(&self.id)
    }
    fn sealed_for(&self) -> Option<ContactId> {
        Some(self.contact.clone())
    }
    fn wake_at(&self) -> Option<Timestamp> {
        match &self.state {
            MessageState::Held { .. } if self.expiry_warned => self.expires_at,
            MessageState::Held { .. } => self.expires_at.map(|at| at - EXPIRY_WARNING),
            MessageState::Doubtful { since, .. } => Some(*since + DOUBT_LASTS),
            MessageState::Ready
            | MessageState::Taken
            | MessageState::Sent
            | MessageState::Delivered
            | MessageState::Read
            | MessageState::Failed { .. }
            | MessageState::Unconfirmed
            | MessageState::Expired
            | MessageState::Withdrawn { .. }
            | MessageState::Cancelled => None,
        }
    }
}
