//! Two orders: the lane in which advisors' messages to one contact wait, and the lanes of the outbox in which effects are due.
use super::case::Record;
use super::commit::Key;
use super::effect::{Effect, Place};
use super::ids::*;
use super::message::Message;
use super::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Effects that may wait in one lane of the outbox before its source is asked to come again (QUALITY, bounds).
pub const OUTBOX_LANE_MAX: u64 = 1_000;

/// The advisors' messages to one contact in one room that may not go yet, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    pub room: RoomKey,
    pub contact: ContactId,
    pub held: Vec<MessageId>,
}

impl Lane {
    pub fn key_of(room: &RoomKey, contact: &ContactId) -> Key {
        Key::new("lane", format_args!("{room}/{contact}"))
    }
    pub fn empty(room: &RoomKey, contact: &ContactId) -> Lane {
        Lane { room: room.clone(), contact: contact.clone(), held: Vec::new() }
    }
}

impl Record for Lane {
    fn key(&self) -> Key {
        Lane::key_of(&self.room, &self.contact)
    }
    fn sealed_for(&self) -> Option<ContactId> {
        None
    }
}

/// Effects of one lane are performed one after another. Its name says what it orders: `to/whatsapp/c-…` the messages to a
/// contact, `room/r-…` the making of a room and the lines in it, `direct/42` a 1:1 chat, `stream/…` any other chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxLane {
    pub name: String,
    pub next: u64,
    /// How many are due.
    pub waiting: u64,
}

impl OutboxLane {
    pub fn key_of(name: &str) -> Key {
        Key::new("outlane", name)
    }
    pub fn empty(name: &str) -> OutboxLane {
        OutboxLane { name: name.to_owned(), next: 0, waiting: 0 }
    }
    pub fn to_contact(channel: Channel, contact: &ContactId) -> String {
        format!("to/{}/{contact}", channel.key())
    }
    /// The messages to a native group, one after another.
    pub fn to_group(room: &RoomKey) -> String {
        format!("to/whatsapp/{room}")
    }
    /// Where this message is due.
    pub fn of_message(message: &Message) -> String {
        match &message.room {
            Some(room) if message.to_group => OutboxLane::to_group(room),
            Some(_) | None => OutboxLane::to_contact(message.channel, &message.contact),
        }
    }
    /// Apart from the room's lines, which never wait for the provider.
    pub fn of_group(room: &RoomKey) -> String {
        format!("group/{room}")
    }
    /// Apart from those: a file that cannot be had must keep nobody in the group or out of it.
    pub fn of_picture(room: &RoomKey) -> String {
        format!("picture/{room}")
    }
    pub fn of_place(place: &Place) -> String {
        match place {
            Place::Stream(stream) => format!("stream/{stream}"),
            Place::Room(room) => format!("room/{room}"),
            Place::Direct(user) => format!("direct/{user}"),
            Place::DirectByEmail(email) => format!("direct/{email}"),
        }
    }
}

impl Record for OutboxLane {
    fn key(&self) -> Key {
        OutboxLane::key_of(&self.name)
    }
    fn sealed_for(&self) -> Option<ContactId> {
        None
    }
}

/// One effect that is due.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Due {
    pub id: EffectId,
    pub lane: String,
    pub place_in_lane: u64,
    pub effect: Effect,
    pub state: DueState,
    /// How often it was taken.
    pub attempt: u32,
    pub since: Timestamp,
    /// When it was taken first.
    #[serde(default)]
    pub tried_since: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DueState {
    Waiting {
        not_before: Timestamp,
    },
    /// Being performed; after a restart it is in doubt.
    Taken {
        at: Timestamp,
    },
    /// Performed or not: nobody has told.
    Doubtful {
        since: Timestamp,
    },
}

impl Due {
    pub const PREFIX: &'static str = "out/";

    pub fn key_of(lane: &str, place_in_lane: u64) -> Key {
        Key::new("out", format_args!("{lane}/{place_in_lane:012}"))
    }
    pub fn lane_of(key: &Key) -> Option<&str> {
        key.as_str().strip_prefix(Due::PREFIX)?.rsplit_once('/').map(|(lane, _)| lane)
    }
}

impl Record for Due {
    fn key(&self) -> Key {
        Due::key_of(&self.lane, self.place_in_lane)
    }
    fn sealed_for(&self) -> Option<ContactId> {
        match &self.effect {
            Effect::Send(send) => Some(send.contact.clone()),
            Effect::Post { reply, .. } => reply.contact.clone(),
            Effect::OpenRoom(room) => room.contact.clone(),
            Effect::Fetch(fetch) => Some(fetch.media.contact.clone()),
            Effect::Upload(upload) => Some(upload.media.contact.clone()),
            Effect::Group(act) => act.contact.clone(),
            Effect::RenameRoom(rename) => rename.contact.clone(),
            Effect::AddMember { .. }
            | Effect::RemoveMember { .. }
            | Effect::DemoteMember { .. }
            | Effect::DeactivateRoom { .. }
            | Effect::AcceptConnection { .. }
            | Effect::FindUser { .. } => None,
        }
    }
}
