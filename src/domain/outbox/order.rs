//! The texts of a conversation leave in the order in which they were written, also where one comes back from its way out and
//! others are due behind it (invariant 5).
use super::{take_back, waiting_in};
use crate::domain::lane::{Lane, OutboxLane};
use crate::domain::message::Message;
use crate::domain::scene::Scene;
use crate::domain::sending;

/// What is due behind this message, was written after it and fits: out of the outbox, to go behind it again.
pub fn taken_back_behind(scene: &mut Scene, first: &Message, fits: impl Fn(&Message) -> bool) -> Vec<Message> {
    let mut behind = waiting_in(scene, &OutboxLane::of_message(first));
    behind.retain(|message| message.order > first.order && fits(message));
    behind.retain(|message| take_back(scene, message));
    behind
}

/// The same of the texts of one conversation.
pub fn texts_taken_back_behind(scene: &mut Scene, lane: &Lane, first: &Message) -> Vec<Message> {
    taken_back_behind(scene, first, |message| is_of(lane, message))
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
    let Some(room) = message.room.clone() else { return };
    sending::wait_behind_the_head(scene, &mut message);
    sending::release(scene, &room, &message.contact);
    if let Some(message) = scene.message(&message.id) {
        sending::tell_if_held(scene, &message);
    }
}
