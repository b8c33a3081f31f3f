//! `/sent`: the latest messages to a contact and how far each has come.
use super::views::{self, LOOKED_THROUGH, message_row, message_row_of};
use super::{Answer, Command, Given, PLAIN};
use crate::domain::contact::{Contact, RECENT_MESSAGES};
use crate::domain::effect::Reply;
use crate::domain::entitlement::Permission;
use crate::domain::message::Message;
use crate::domain::refusal::Refusal;
use crate::domain::room::Room;
use crate::domain::scene::Scene;
use serde_json::Value;

pub const SENT: Command = Command {
    path: "sent",
    usage: "/sent [contact]",
    example: "/sent Ann Lee",
    about: "the last messages with sent, delivered, read, or what went wrong",
    needs: &[Permission::Chat],
    positional: &["contact"],
    one_text_from: Some(0),
    run: sent,
    ..PLAIN
};

fn sent(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    if given.text(0).is_none() && given.room.is_none() {
        let messages = own_messages(scene, given);
        let rows = messages.iter().map(|message| message_row(scene, given, message)).collect();
        let reply = told(scene, rows).with("name", Value::Null);
        return Ok(views::where_it_belongs(scene, given, None, reply));
    }
    if let Some(room) = given.room.as_ref().filter(|room| given.text(0).is_none() && room.contacts.len() > 1) {
        let messages = room_messages(scene, given, room);
        let rows = messages.iter().map(|message| message_row(scene, given, message)).collect();
        let reply = told(scene, rows).with("name", Value::Null);
        return Ok(views::where_it_belongs(scene, given, room.contacts.first(), reply));
    }
    let contact = given.contact(scene, 0)?;
    views::may_look(given, &contact, Permission::AuditRead)?;
    let messages = recent(scene, &contact).into_iter().filter(|message| may_read(scene, given, message));
    let rows = messages.map(|message| message_row_of(scene, given, &message, &contact.id)).collect();
    let reply = told(scene, rows).about(&contact.id).with("name", given.name_of(scene, &contact));
    Ok(views::where_it_belongs(scene, given, Some(&contact.id), reply))
}

/// What the program said outside of any room tells nothing of a colleague's conversation.
fn may_read(scene: &Scene, given: &Given, message: &Message) -> bool {
    let programs_own = message.room.is_none() && message.program_name().is_some();
    programs_own || views::may_see_message(scene, given, message)
}

fn recent(scene: &Scene, contact: &Contact) -> Vec<Message> {
    let messages = contact.recent.iter().filter_map(|id| scene.message(id));
    messages.filter(|message| went_to(message, contact)).collect()
}

/// One that was taken for a group once more may go without those who have left it meanwhile.
fn went_to(message: &Message, contact: &Contact) -> bool {
    message.recipients.is_empty() || message.recipients.contains_key(&contact.id)
}

/// The caller's own, over all contacts of his list.
fn own_messages(scene: &Scene, given: &Given) -> Vec<Message> {
    let listings = scene.listings(given.caller.id, LOOKED_THROUGH);
    let contacts = listings.iter().filter_map(|listing| scene.contact(&listing.contact));
    let all = contacts.flat_map(|contact| recent(scene, &contact));
    latest(all.filter(|message| message.advisor() == Some(given.caller.id)).collect())
}

/// What advisors wrote in a room with several clients.
fn room_messages(scene: &Scene, given: &Given, room: &Room) -> Vec<Message> {
    let contacts = room.contacts.iter().filter_map(|id| scene.contact(id));
    let all = contacts.flat_map(|contact| recent(scene, &contact));
    let here = |message: &Message| message.advisor().is_some() && message.room.as_ref() == Some(&room.key);
    latest(all.filter(|message| here(message) && may_read(scene, given, message)).collect())
}

fn latest(mut messages: Vec<Message>) -> Vec<Message> {
    messages.sort_by_key(|message| (message.accepted_at, message.order, message.id.clone()));
    // One to a group stands with each of its members.
    messages.dedup_by_key(|message| message.id.clone());
    messages.split_off(messages.len().saturating_sub(RECENT_MESSAGES))
}

fn told(scene: &Scene, rows: Vec<Value>) -> Reply {
    Reply::answer("sent").with("messages", rows).with("now", scene.now.0)
}
