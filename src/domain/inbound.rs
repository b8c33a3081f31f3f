//! Where a client's message was put and by which rule: what `/why` tells of it, found by its id (RULES, Which room).
use super::case::Record;
use super::commit::Key;
use super::event::ClientMessage;
use super::ids::*;
use super::room::Room;
use super::scene::Scene;
use super::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Moves of one message that are remembered, the last ones.
const MOVES_KEPT: usize = 10;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inbound {
    pub id: MessageId,
    pub contact: ContactId,
    pub channel: Channel,
    pub at: Timestamp,
    /// Where it stands now.
    pub room: RoomKey,
    /// `quoted`, `only`, `last-used` or `group`.
    pub rule: String,
    /// His other rooms on this line at that moment.
    pub others: Vec<RoomKey>,
    /// Ours, where he quoted one.
    pub quoted: Option<MessageId>,
    pub moves: Vec<Moved>,
}

/// An advisor said that it belongs to another room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    pub from: RoomKey,
    pub by: UserId,
    pub at: Timestamp,
}

impl Inbound {
    pub fn key_of(id: &MessageId) -> Key {
        Key::new("inbound", id)
    }
}

impl Record for Inbound {
    fn key(&self) -> Key {
        Inbound::key_of(&self.id)
    }
    fn sealed_for(&self) -> Option<ContactId> {
        Some(self.contact.clone())
    }
}

/// Written down when its line is posted.
pub fn write_down(scene: &mut Scene, id: &MessageId, contact: &ContactId, said: &ClientMessage, room: &Room, why: Why) {
    scene.put(&Inbound {
        id: id.clone(),
        contact: contact.clone(),
        channel: said.channel,
        at: scene.now,
        room: room.key.clone(),
        rule: why.rule.to_owned(),
        others: why.others,
        quoted: why.quoted,
        moves: Vec::new(),
    });
}

/// By which rule, among which rooms, and what it quoted.
pub struct Why<'w> {
    pub rule: &'w str,
    pub others: Vec<RoomKey>,
    pub quoted: Option<MessageId>,
}

pub fn moved(scene: &mut Scene, id: &MessageId, to: &RoomKey, by: UserId) {
    let Some(mut inbound) = scene.case.get::<Inbound>(&Inbound::key_of(id)) else { return };
    let from = std::mem::replace(&mut inbound.room, to.clone());
    inbound.moves.push(Moved { from, by, at: scene.now });
    let surplus = inbound.moves.len().saturating_sub(MOVES_KEPT);
    inbound.moves.drain(..surplus);
    scene.put(&inbound);
}
