//! An advisor's words on their way to the client: taken in, changed, taken back.
use crate::domain::commit::Entry;
use crate::domain::effect::*;
use crate::domain::event::RoomMessage;
use crate::domain::ids::*;
use crate::domain::message::{Message, MessageState};
use crate::domain::refusal::Refusal;
use crate::domain::room::Room;
use crate::domain::scene::Scene;
use crate::domain::sending::{Accepted, Draft, accept, contact_name};
use serde_json::json;

/// WhatsApp's limit for one text.
pub const TEXT_MAX: usize = 4_096;
/// A text in a client room that is no command.
pub fn advisor_wrote(scene: &mut Scene, room: &Room, said: &RoomMessage, text: &str) {
    if let Some(original) = &said.edits {
        return advisor_edited(scene, room, original, said, text);
    }
    let place = Place::Room(room.key.clone());
    if !said.attachments.is_empty() {
        let refusal = Refusal::new("attachment").with("files", said.attachments.clone());
        return scene.post(place, refusal.into_reply());
    }
    if text.trim().is_empty() {
        return;
    }
    let text = signed(scene, room, said, text);
    let length = text.chars().count();
    if length > TEXT_MAX {
        let refusal = Refusal::new("too-long").with("length", length).with("most", TEXT_MAX);
        return scene.post(place, refusal.into_reply());
    }
    for contact in &room.contacts {
        let draft = Draft {
            room,
            contact,
            author: said.author.id,
            body: Body::Text(text.clone()),
            chat_message: Some(said.message.clone()),
        };
        match accept(scene, draft) {
            Accepted::Ready(_) | Accepted::Held(..) => {}
            Accepted::Refused(gate) => refuse_text(scene, room, contact, gate),
            Accepted::Full(count) => {
                let refusal = Refusal::new("held-max").about(contact).with("count", count);
                scene.post(place.clone(), refusal.into_reply());
            }
        }
    }
}

/// With two or more advisors in the room the client reads who speaks (INTERFACES §5).
fn signed(scene: &Scene, room: &Room, said: &RoomMessage, text: &str) -> String {
    if room.members.len() < 2 {
        return text.to_owned();
    }
    let name = room.members.get(&said.author.id).map(|member| member.name.clone());
    format!("{}: {text}", name.unwrap_or_else(|| scene.user_name(said.author.id)))
}

pub fn refuse_text(scene: &mut Scene, room: &Room, contact: &ContactId, gate: &'static str) {
    let reply = Reply::new(Code::Refusal, "text-refused")
        .about(contact)
        .because(gate)
        .with("gate", gate)
        .with("name", contact_name(scene, Some(&room.key), contact))
        .with("channel", room.channel.name());
    scene.post(Place::Room(room.key.clone()), reply);
}

/// While held a message can be edited; later the client keeps the first version, and the author is told.
fn advisor_edited(scene: &mut Scene, room: &Room, original: &ChatMessageId, said: &RoomMessage, text: &str) {
    let Some(mut message) = scene.message_of_chat(original) else { return };
    if message.advisor() != Some(said.author.id) {
        return;
    }
    let text = signed(scene, room, said, text);
    let place = Place::Room(room.key.clone());
    match message.state {
        MessageState::Held { .. } if text.chars().count() <= TEXT_MAX && !text.trim().is_empty() => {
            message.body = Body::Text(text);
            scene.put(&message);
            let entry = Entry::new("message.edited", scene.actor(said.author.id)).about(&message.contact).message(&message.id);
            scene.note(entry.room(&room.key).detail(json!({ "body": message.body })));
            let reply = Reply::new(Code::Info, "edited").about(&message.contact).of(&message.id);
            scene.post(place, reply);
        }
        _ => {
            let reply = Reply::new(Code::Info, "edit-too-late").about(&message.contact).of(&message.id);
            let name = contact_name(scene, Some(&room.key), &message.contact);
            scene.post(place, reply.with("name", name).with("state", message.state.name()));
        }
    }
}

/// Deleting a held message in the chat cancels it.
pub fn advisor_deleted(scene: &mut Scene, chat: &ChatMessageId, by: UserId) {
    let Some(mut message) = scene.message_of_chat(chat) else { return };
    if message.advisor() != Some(by) {
        return;
    }
    let Some(room) = message.room.clone() else { return };
    if matches!(message.state, MessageState::Held { .. }) {
        cancel(scene, &mut message, by);
        let reply = Reply::new(Code::Info, "cancelled").about(&message.contact).of(&message.id);
        scene.post(Place::Room(room), reply);
    } else {
        let name = contact_name(scene, Some(&room), &message.contact);
        let reply = Reply::new(Code::Info, "delete-too-late").about(&message.contact).of(&message.id).with("name", name);
        scene.post(Place::Room(room), reply.with("state", message.state.name()));
    }
}

/// Takes a message that waits out of its lane for good.
pub fn cancel(scene: &mut Scene, message: &mut Message, by: UserId) {
    message.state = MessageState::Cancelled;
    scene.put(message);
    if let Some(room) = &message.room {
        let mut lane = scene.lane(room, &message.contact);
        lane.held.retain(|id| *id != message.id);
        scene.put(&lane);
    }
    let actor = scene.actor(by);
    let entry = Entry::new("message.cancelled", actor).about(&message.contact).message(&message.id);
    scene.note(Entry { room: message.room.clone(), ..entry });
}
