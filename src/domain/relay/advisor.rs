//! An advisor's words on their way to the client: taken in, changed, taken back.
use crate::domain::commit::Entry;
use crate::domain::effect::*;
use crate::domain::event::RoomMessage;
use crate::domain::files;
use crate::domain::groups;
use crate::domain::ids::*;
use crate::domain::media::{CAPTION_MAX, Media};
use crate::domain::members;
use crate::domain::message::{Message, MessageState};
use crate::domain::native;
use crate::domain::outbox;
use crate::domain::refusal::Refusal;
use crate::domain::room::Room;
use crate::domain::scene::Scene;
use crate::domain::sending::{Accepted, Draft, accept, contact_name, gate_of_head};
use crate::domain::sms_length::{self, SMS_MAX};
use serde_json::json;
use std::collections::BTreeSet;

/// WhatsApp's limit for one text, in characters.
pub const TEXT_MAX: usize = 4_096;

/// A text in a client room that is no command.
pub fn advisor_wrote(scene: &mut Scene, room: &Room, said: &RoomMessage, text: &str) {
    if let Some(original) = &said.edits {
        return advisor_edited(scene, room, original, said, text);
    }
    if !said.attachments.is_empty() {
        return advisor_sent_files(scene, room, said, text);
    }
    if text.trim().is_empty() {
        return;
    }
    let text = signed(scene, room, said, text);
    if is_too_long(scene, room, &text) {
        return;
    }
    let mut outcomes = Vec::new();
    for contact in room.addressees() {
        let accepted = accept(scene, draft(room, &contact, said, Body::Text(text.clone())));
        refused(scene, room, &contact, &accepted);
        outcomes.push((contact, accepted));
    }
    groups::tell_what_became(scene, room, &outcomes);
}

fn draft<'d>(room: &'d Room, contact: &'d ContactId, said: &RoomMessage, body: Body) -> Draft<'d> {
    Draft { room, contact, author: said.author.id, body, chat_message: Some(said.message.clone()) }
}

fn is_too_long(scene: &mut Scene, room: &Room, text: &str) -> bool {
    let (length, most) = measured(room.channel, text);
    if length > most {
        let mut refusal = Refusal::new("too-long").with("length", length).with("most", most);
        if room.channel == Channel::Sms {
            refusal = refusal.with("parts", sms_length::parts(text).0);
        }
        scene.post(Place::Room(room.key.clone()), refusal.into_reply());
    }
    length > most
}

/// The length of a text as its channel counts, and the most that it takes.
pub fn measured(channel: Channel, text: &str) -> (usize, usize) {
    match channel {
        Channel::WhatsApp => (text.chars().count(), TEXT_MAX),
        Channel::Sms => (sms_length::length(text), SMS_MAX),
    }
}

/// Tells the room if it was refused.
fn refused(scene: &mut Scene, room: &Room, contact: &ContactId, accepted: &Accepted) -> bool {
    match accepted {
        Accepted::Ready(_) | Accepted::Held(..) => return false,
        Accepted::Refused(gate) => {
            let reply = refused_text(scene, room, contact, gate);
            scene.post(Place::Room(room.key.clone()), reply);
        }
        Accepted::Full(count) => {
            let refusal = too_many(scene, room, contact, *count);
            scene.post(Place::Room(room.key.clone()), refusal.into_reply());
        }
    }
    true
}

/// S4-3: files go with the text beside them, all or none.
fn advisor_sent_files(scene: &mut Scene, room: &Room, said: &RoomMessage, text: &str) {
    if let Err(refusal) = files::check(room.channel, &said.attachments) {
        return scene.post(Place::Room(room.key.clone()), refusal.into_reply());
    }
    let text = signed(scene, room, said, text).trim().to_owned();
    if is_too_long(scene, room, &text) {
        return;
    }
    let mut outcomes = Vec::new();
    for contact in room.addressees() {
        let accepted = accept_files(scene, room, &contact, said, &text);
        refused(scene, room, &contact, &accepted);
        outcomes.push((contact, accepted));
    }
    groups::tell_what_became(scene, room, &outcomes);
}

/// What became of the last of them, or why none of them goes.
fn accept_files(scene: &mut Scene, room: &Room, contact: &ContactId, said: &RoomMessage, text: &str) -> Accepted {
    let mark = scene.mark();
    let media = files::from_advisor(scene, contact, room.channel, said);
    let bodies = bodies(text, media);
    let first = bodies.first().cloned();
    let mut last = Accepted::Refused("room");
    for body in bodies {
        last = accept(scene, draft(room, contact, said, body));
        if matches!(last, Accepted::Refused(_) | Accepted::Full(_)) {
            break;
        }
    }
    if matches!(last, Accepted::Refused(_) | Accepted::Full(_)) {
        scene.back_to(mark);
    }
    if let (Accepted::Refused(_), Some(first)) = (&last, first) {
        // Refused once more, so that the journal keeps it although the files were taken back.
        accept(scene, draft(room, contact, said, first));
    }
    last
}

/// The first file bears the text; a sound cannot, and long words do not fit under a file: then they go before.
fn bodies(text: &str, media: Vec<Media>) -> Vec<Body> {
    let fits = text.chars().count() <= CAPTION_MAX && media.first().is_some_and(|first| first.kind.bears_a_caption());
    let alone = (!fits && !text.is_empty()).then(|| Body::Text(text.to_owned()));
    let mut caption = (fits && !text.is_empty()).then(|| text.to_owned());
    let files = media.into_iter().map(|file| Body::Media { file: Box::new(file), caption: caption.take() });
    alone.into_iter().chain(files).collect()
}

/// With two or more advisors in the room the client reads who speaks (INTERFACES §5).
fn signed(scene: &Scene, room: &Room, said: &RoomMessage, text: &str) -> String {
    signed_by(scene, room, said.author.id, text)
}

fn signed_by(scene: &Scene, room: &Room, author: UserId, text: &str) -> String {
    if room.members.len() < 2 {
        return text.to_owned();
    }
    format!("{}: {text}", members::name_of(scene, room, author))
}

/// A colleague's message as another one sends it: without his name before it, with the other's where one belongs there.
pub fn in_the_name_of(scene: &Scene, room: &Room, message: &Message, user: UserId) -> Body {
    let before = message.advisor().map(|author| format!("{}:", members::name_of(scene, room, author))).unwrap_or_default();
    let own = |text: &str| text.strip_prefix(&before).map_or(text, str::trim_start).to_owned();
    let renamed = |text: &str| signed_by(scene, room, user, &own(text));
    match &message.body {
        Body::Text(text) => Body::Text(renamed(text)),
        Body::Media { file, caption } => Body::Media { file: file.clone(), caption: caption.as_deref().map(renamed) },
        Body::Template { .. } | Body::Wording { .. } | Body::Question { .. } => message.body.clone(),
    }
}

/// What the room reads of words that will not go.
pub fn refused_text(scene: &Scene, room: &Room, contact: &ContactId, gate: &'static str) -> Reply {
    Reply::new(Code::Refusal, "text-refused")
        .about(contact)
        .because(gate)
        .with("gate", gate)
        .with("name", contact_name(scene, Some(&room.key), contact))
        .with("group", room.is_group())
        .with("channel", room.channel.name())
        .with("nobody", native::readers(scene, &room.key).is_empty() && room.is_native())
}

/// No more are kept; what would let those that wait go stands in it.
pub fn too_many(scene: &Scene, room: &Room, contact: &ContactId, count: usize) -> Refusal {
    let gate = gate_of_head(scene, &scene.lane(&room.key, contact));
    let consent = scene.contact(contact).map(|c| c.consent(room.channel)).unwrap_or_default();
    Refusal::new("held-max")
        .about(contact)
        .with("count", count)
        .with("name", contact_name(scene, Some(&room.key), contact))
        .with("gate", gate)
        .with("consent", consent.name())
        .with("channel", room.channel.name())
}

/// While held a message can be edited; later the client keeps the first version, and the author is told.
fn advisor_edited(scene: &mut Scene, room: &Room, original: &ChatMessageId, said: &RoomMessage, text: &str) {
    let text = signed(scene, room, said, text);
    for mut message in bearing_the_text(scene, original, said.author.id) {
        let place = Place::Room(room.key.clone());
        let body = edited(&message.body, message.channel, &text).filter(|_| matches!(message.state, MessageState::Held { .. }));
        let Some(body) = body else {
            let reply = Reply::new(Code::Info, "edit-too-late").about(&message.contact).of(&message.id);
            let name = contact_name(scene, Some(&room.key), &message.contact);
            scene.post(place, reply.with("name", name).with("state", message.state.name()));
            continue;
        };
        message.body = body;
        scene.put(&message);
        let entry = Entry::new("message.edited", scene.actor(said.author.id)).about(&message.contact).message(&message.id);
        scene.note(entry.room(&room.key).detail(json!({ "body": message.body })));
        let reply = Reply::new(Code::Info, "edited").about(&message.contact).of(&message.id);
        scene.post(place, reply);
    }
}

/// The author's messages that bear the words of this one in the chat: the first for each contact.
fn bearing_the_text(scene: &Scene, chat: &ChatMessageId, author: UserId) -> Vec<Message> {
    let mut seen = BTreeSet::new();
    let messages = scene.messages_of_chat(chat).into_iter().filter(|message| message.advisor() == Some(author));
    messages.filter(|message| seen.insert(message.contact.clone())).collect()
}

/// `None` where the new words cannot take the place of the old ones.
fn edited(body: &Body, channel: Channel, text: &str) -> Option<Body> {
    let ((length, most), some) = (measured(channel, text), !text.trim().is_empty());
    match body {
        Body::Media { file, .. } if file.kind.bears_a_caption() && length <= CAPTION_MAX => {
            Some(Body::Media { file: file.clone(), caption: some.then(|| text.to_owned()) })
        }
        Body::Text(_) if some && length <= most => Some(Body::Text(text.to_owned())),
        Body::Text(_) | Body::Media { .. } | Body::Template { .. } | Body::Wording { .. } | Body::Question { .. } => None,
    }
}

/// Deleting a message that waits in the chat cancels it, with all that came of it (S4-27).
pub fn advisor_deleted(scene: &mut Scene, chat: &ChatMessageId, by: UserId) {
    let messages = scene.messages_of_chat(chat).into_iter().filter(|message| message.advisor() == Some(by));
    for mut message in messages.collect::<Vec<_>>() {
        let Some(room) = message.room.clone() else { continue };
        let place = Place::Room(room.clone());
        if outbox::take_out(scene, &message) {
            cancel(scene, &mut message, by);
            scene.post(place, Reply::new(Code::Info, "cancelled").about(&message.contact).of(&message.id));
        } else {
            let name = contact_name(scene, Some(&room), &message.contact);
            let reply = Reply::new(Code::Info, "delete-too-late").about(&message.contact).of(&message.id).with("name", name);
            scene.post(place, reply.with("state", message.state.name()));
        }
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
