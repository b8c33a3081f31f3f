//! What the platform answers, as far as we read it: every field optional, unknown ones passed by; and why a call brought nothing.
use super::url_safe;
use crate::domain::event::Person;
use crate::domain::ids::{StreamId, UserId};
use crate::domain::time::Span;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The keyword by which a room of ours is found again.
pub(super) const KEYWORD: &str = "liaison";

/// Why a call brought nothing.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CallError {
    /// Certainly nothing happened: no connection, or no login.
    #[error("not sent: {0}")]
    NotSent(String),
    /// The platform's own complaint.
    #[error("refused with {status}: {message}")]
    Refused { status: u16, code: Option<i64>, message: String },
    /// Refused for now; nothing happened.
    #[error("throttled")]
    Throttled { retry_after: Option<Span> },
    /// It may or may not have happened.
    #[error("unclear: {0}")]
    Unclear(String),
}

impl CallError {
    pub(super) fn is_refused(&self) -> bool {
        matches!(self, CallError::Refused { .. })
    }
}

/// A user as the platform describes him.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct User {
    pub id: Option<u64>,
    pub email_address: Option<String>,
    pub display_name: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub username: Option<String>,
    /// NORMAL, SYSTEM or SDL.
    pub account_type: Option<String>,
}

impl User {
    /// The user in our own words; `None` without an id.
    pub fn person(&self) -> Option<Person> {
        let full = [self.first_name.as_deref(), self.last_name.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(" ");
        Some(Person {
            id: UserId(self.id?),
            name: self.display_name.clone().filter(|name| !name.is_empty()).unwrap_or(full),
            email: self.email_address.clone().filter(|email| !email.is_empty()),
            service: self.account_type.as_deref() == Some("SYSTEM"),
        })
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Keyword {
    pub key: String,
    pub value: String,
}

/// Attributes of a room; what is `None` is left out of requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RoomAttributes {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keywords: Option<Vec<Keyword>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members_can_invite: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discoverable: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cross_pod: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view_history: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RoomSystemInfo {
    pub id: Option<String>,
    pub creation_date: Option<i64>,
    pub created_by_user_id: Option<u64>,
    pub active: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Room {
    pub room_attributes: RoomAttributes,
    pub room_system_info: RoomSystemInfo,
}

impl Room {
    pub fn stream(&self) -> Option<StreamId> {
        self.room_system_info.id.as_deref().map(|id| StreamId(url_safe(id)))
    }
    /// The value of our keyword, if the room bears it.
    pub fn key(&self) -> Option<&str> {
        let keywords = self.room_attributes.keywords.as_ref()?;
        keywords.iter().find(|k| k.key == KEYWORD).map(|k| k.value.as_str())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Member {
    pub id: Option<u64>,
    pub owner: bool,
    pub join_date: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Connection {
    pub user_id: Option<u64>,
    /// PENDING_INCOMING, PENDING_OUTGOING, ACCEPTED or REJECTED.
    pub status: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Stream {
    pub id: Option<String>,
    pub active: Option<bool>,
    pub stream_type: StreamType,
    /// Of rooms only; of all attributes the name.
    pub room_attributes: RoomAttributes,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct StreamType {
    /// IM, MIM, ROOM or POST.
    #[serde(rename = "type")]
    pub kind: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PostedMessage {
    pub(super) message_id: Option<String>,
    pub(super) data: Option<Value>,
    pub(super) user: Option<Author>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Author {
    pub(super) user_id: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Users {
    pub(super) users: Vec<User>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Rooms {
    pub(super) rooms: Vec<Room>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Created {
    pub(super) id: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Complaint {
    pub(super) code: Option<Value>,
    pub(super) message: Option<String>,
}
