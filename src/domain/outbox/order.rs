//! The texts of a conversation leave in the order in which they were written, also where one comes back from its way out and
//! others are due behind it (invariant 5).
use super::take_back;
use crate::domain::effect::{Effect, Send};
use crate::domain::ids::*;
use crate::domain::lane::{Due, DueState, Lane, OUTBOX_LANE_MAX, OutboxLane};
use crate::domain::message::Message;
use crate::domain::scene::Scene;
use crate::domain::sending;

/// Texts of this conversation that are due, and younger than one that goes only now: out of the outbox, to go behind it.
pub fn taken_back_behind(scene: &mut Scene, lane: &Lane, first: &Message) -> Vec<Message> {
    let name = OutboxLane::of_message(first);
    let is_empty = scene.case.get::<OutboxLane>(&OutboxLane::key_of(&name)).is_none_or(|head| head.waiting == 0);
    if is_empty {
        return Vec::new();
    }
    let due: Vec<Due> = scene.case.scan(&format!("{}{name}/", Due::PREFIX), None, OUTBOX_LANE_MAX as usize);
    let waits = |due: &&Due| matches!(due.state, DueState::Waiting { .. });
    let mut behind: Vec<Message> =
        due.iter().filter(waits).filter_map(sent_by).filter_map(|send| scene.message(&send.message)).collect();
    behind.retain(|message| is_of(lane, message) && message.order > first.order);
    behind.retain(|message| take_back(scene, message));
    behind
}

fn sent_by(due: &Due) -> Option<&Send> {
    match &due.effect {
        Effect::Send(send) => Some(send),
        _ => None,
    }
}

/// Templates and the program's own messages stand in no lane.
fn stands_in_a_lane(message: &Message) -> bool {
    message.is_free_text() && message.is_of_a_person()
}

fn is_of(lane: &Lane, message: &Message) -> bool {
    stands_in_a_lane(message) && message.room.as_ref() == Some(&lane.room) && message.contact == lane.contact
}

/// An older text of the same conversation is held, so this one does not go either.
pub fn an_older_one_waits(scene: &Scene, message: &Message) -> bool {
    let Some(room) = message.room.as_ref().filter(|_| stands_in_a_lane(message)) else { return false };
    let held = scene.lane(room, &message.contact).held;
    held.iter().filter_map(|id| scene.message(id)).any(|other| stands_in_a_lane(&other) && other.order < message.order)
}

/// It takes its place in the lane, and goes with those before it as soon as they may.
pub fn wait_in_line(scene: &mut Scene, mut message: Message) {
    let (Some(room), contact, id): (Option<RoomKey>, _, _) = (message.room.clone(), message.contact.clone(), message.id.clone())
    else {
        return;
    };
    sending::wait_behind_the_head(scene, &mut message);
    sending::release(scene, &room, &contact);
    if let Some(message) = scene.message(&id) {
        sending::tell_if_held(scene, &message);
    }
}
