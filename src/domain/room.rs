//! A chat room on the platform, bound to contacts on one channel and one line.
use super::case::Record;
use super::commit::Key;
use super::effect::{Place, Reply};
use super::ids::*;
use super::native::Native;
use super::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// An answer waits this long for the room before it says that work goes on (S0-18).
pub const STILL_WORKING_AFTER: Span = Span::seconds(30);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Room {
    pub key: RoomKey,
    /// Known once the platform has made it.
    pub stream: Option<StreamId>,
    pub name: String,
    pub channel: Channel,
    pub line: LineId,
    pub contacts: Vec<ContactId>,
    /// Advisors, the bot left out.
    pub members: BTreeMap<UserId, RoomMember>,
    /// The owner who answers for it: clients read his name, and in it contacts have the names that he gave them. The one for
    /// whom it was made, then the one to whom it went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead: Option<UserId>,
    /// The sub-organisation of its first owner.
    pub sub_org: String,
    pub state: RoomState,
    pub created_at: Timestamp,
    pub created_by: String,
    /// When a message last went either way with each contact.
    pub last_exchange: BTreeMap<ContactId, Timestamp>,
    /// Files that went either way and are kept (S1-19).
    #[serde(default)]
    pub files: u32,
    /// What is still to be done and said once the room is there.
    pub opening: Option<Opening>,
    /// What the bot itself is in it.
    #[serde(default)]
    pub bot: Seat,
    /// People who may not read the clients' words and could not be taken out: while one is there nothing is said here.
    #[serde(default)]
    pub outsiders: BTreeSet<UserId>,
    /// The native WhatsApp group behind it, if there is one: then its contacts are reached all together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub native: Option<Native>,
    /// Of several contacts those who have read who else is here: only their words are passed on.
    #[serde(default)]
    pub came_in: BTreeSet<ContactId>,
    /// Those of whom they have read: what one of them writes is for these.
    #[serde(default)]
    pub announced: BTreeSet<ContactId>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seat {
    /// As it makes its rooms: it can add and remove members.
    #[default]
    Owner,
    Member,
    /// Somebody has taken it out: it hears nothing and can say nothing.
    Outside,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomMember {
    pub name: String,
    pub owner: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RoomState {
    Opening,
    Active,
    /// It could not be made.
    Failed,
    Deactivated,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Opening {
    /// Who asked for it; `None` when a client's message did.
    pub asked_by: Option<UserId>,
    /// Contacts who are asked for consent once it stands.
    pub invite: Vec<ContactId>,
    /// The one answer, given when all invitations have an end.
    pub answer: Option<(Place, Reply)>,
    /// The question whose answer this is.
    #[serde(default)]
    pub ask: Option<AskId>,
    /// Invitations that have no end yet.
    pub awaiting: Vec<MessageId>,
    /// How many were sent.
    pub invited: u32,
    pub already_waiting: u32,
    /// When to say that work goes on; `None` once said.
    pub say_still_working_at: Option<Timestamp>,
}

impl Room {
    pub fn key_of(key: &RoomKey) -> Key {
        Key::new("room", key)
    }
    pub fn is_live(&self) -> bool {
        matches!(self.state, RoomState::Opening | RoomState::Active)
    }
    /// Several contacts, each reached by himself: a standard group.
    pub fn is_group(&self) -> bool {
        self.contacts.len() > 1 && self.native.is_none()
    }
    /// Under whom stands what concerns the room as a whole.
    pub fn subject(&self) -> Option<ContactId> {
        if self.is_native() { Some(ContactId::of_group(&self.key)) } else { self.contacts.first().cloned() }
    }
    /// Whether this contact, or the group as such, is talked with here.
    pub fn is_with(&self, contact: &ContactId) -> bool {
        self.contacts.contains(contact) || self.subject().as_ref() == Some(contact)
    }
    /// The one who answers for it; of a room without owners anybody who is in it.
    pub fn owner(&self) -> Option<UserId> {
        let lead = self.lead.filter(|user| self.is_owned_by(*user));
        lead.or_else(|| self.owners().next()).or_else(|| self.members.keys().next().copied())
    }
    pub fn owners(&self) -> impl Iterator<Item = UserId> {
        self.members.iter().filter(|(_, member)| member.owner).map(|(user, _)| *user)
    }
    pub fn is_owned_by(&self, user: UserId) -> bool {
        self.members.get(&user).is_some_and(|member| member.owner)
    }
    pub fn last_exchange_with(&self, contact: &ContactId) -> Timestamp {
        self.last_exchange.get(contact).copied().unwrap_or(self.created_at)
    }
}

impl Record for Room {
    fn key(&self) -> Key {
        Room::key_of(&self.key)
    }
    /// A room may hold several contacts; its name is sealed for the first, and that of a native group for the group.
    fn sealed_for(&self) -> Option<ContactId> {
        self.subject()
    }
    fn wake_at(&self) -> Option<Timestamp> {
        let still_working = self.opening.as_ref().and_then(|opening| opening.say_still_working_at);
        still_working.into_iter().chain(self.group_wakes_at()).min()
    }
}
