//! What several commands show of contacts, rooms and messages, and in which chat such answers may stand.
use super::{Answer, Given};
use crate::domain::consent::Consent;
use crate::domain::contact::Contact;
use crate::domain::effect::{Code, Reply};
use crate::domain::entitlement::Permission;
use crate::domain::event::{Fact, StreamKind};
use crate::domain::ids::*;
use crate::domain::members;
use crate::domain::membership::Membership;
use crate::domain::message::{Message, MessageState, Reached};
use crate::domain::native::Native;
use crate::domain::refusal::Refusal;
use crate::domain::room::{Room, RoomState};
use crate::domain::scene::Scene;
use crate::domain::sending;
use crate::domain::sms;
use crate::domain::time::Timestamp;
use crate::domain::window::Window;
use serde_json::{Value, json};

/// A list with more entries goes to the caller's 1:1 chat (COMMANDS §1).
pub const LONG_LIST: usize = 10;
/// Entries of one list; nobody reads further, and a message has its limit.
pub const SHOWN: usize = 50;
/// Records that one command looks through at most.
pub const LOOKED_THROUGH: usize = 2_000;
/// Rooms of one advisor that a list looks at.
pub const ROOMS_MAX: usize = 200;

// ---- in which chat

/// Client data stays where only the caller reads, or where this contact is talked with anyway.
pub fn where_it_belongs(scene: &mut Scene, given: &Given, contact: Option<&ContactId>, reply: Reply) -> Answer {
    let in_his_room = given.room.as_ref().is_some_and(|room| contact.is_some_and(|id| room.is_with(id)));
    if in_his_room || is_direct(scene, given) { Answer::Say(reply) } else { privately(scene, given, reply) }
}

/// A list of `count` entries; long ones go to the 1:1 chat.
pub fn list(scene: &mut Scene, given: &Given, count: usize, reply: Reply) -> Answer {
    if count > LONG_LIST { privately(scene, given, reply) } else { where_it_belongs(scene, given, None, reply) }
}

fn privately(scene: &mut Scene, given: &Given, reply: Reply) -> Answer {
    if !is_direct(scene, given) {
        scene.post(given.place.clone(), Reply::new(Code::Info, "answered-privately"));
    }
    Answer::Privately(reply)
}

fn is_direct(scene: &Scene, given: &Given) -> bool {
    let Fact::RoomMessage(said) = &scene.event.fact else { return given.room.is_none() };
    said.kind == StreamKind::Direct
}

// ---- who may look

/// Entitled for a channel of this contact, or holding `otherwise`, which has no channel.
pub fn may_look(given: &Given, contact: &Contact, otherwise: Permission) -> Result<(), Refusal> {
    let no_channel = contact.channels.is_empty();
    let chats = no_channel || contact.channels.keys().any(|channel| given.rights.may_use(*channel));
    if chats || given.rights.may(otherwise, None) {
        return Ok(());
    }
    let channel = contact.channels.keys().next().map_or("", |channel| channel.name());
    Err(Refusal::new("not-entitled").with("channel", channel))
}

/// The same for what is about no single contact.
pub fn may_look_at(given: &Given, channel: Channel, otherwise: Permission) -> Result<(), Refusal> {
    if given.rights.may_use(channel) || given.rights.may(otherwise, None) {
        return Ok(());
    }
    Err(Refusal::new("not-entitled").with("channel", channel.name()))
}

/// A colleague behind the wall of another sub-organisation stays unnamed, but for those who read everything (S4-30).
pub fn actor_seen(scene: &Scene, given: &Given, actor: &str) -> String {
    let reads_all = [Permission::ContactListAll, Permission::AuditRead].iter().any(|p| given.rights.may(*p, None));
    let walled_off = actor.contains('@') && scene.rights_of_email(actor).sub_org != given.rights.sub_org;
    if walled_off && !reads_all { "a colleague".to_owned() } else { actor.to_owned() }
}

// ---- contacts

/// The window in this room, else the one of all lines that is open longest.
pub fn window_of(contact: &Contact, room: Option<&Room>) -> Window {
    let on = contact.on(Channel::WhatsApp);
    match room {
        Some(room) => on.window(&room.line),
        None => on.windows.into_values().max_by_key(|window| (window.closes_at(), window.last_message)).unwrap_or_default(),
    }
}

pub fn window_row(window: Window, now: Timestamp) -> Value {
    let until = window.closes_at().filter(|end| now < *end);
    let left = until.map(|end| (end - now).0);
    json!({ "open": until.is_some(), "until": until, "left": left, "wrote_at": window.last_message })
}

/// Where the contact stands on each channel; an incomplete entry of the caller's list shows as such (S2-12).
pub fn channel_rows(scene: &Scene, contact: &Contact, room: Option<&Room>, incomplete: bool) -> Value {
    let rows = contact.channels.iter().map(|(channel, on)| {
        let needs_no_yes = on.consent == Consent::None && sms::is_willing(scene.policy, contact, *channel);
        let status = match contact.status(*channel) {
            _ if incomplete => "INCOMPLETE",
            "PENDING_CONFIRMATION" if needs_no_yes => "CONFIRMED",
            status => status,
        };
        let room = room.filter(|room| room.channel == *channel);
        let window = (*channel == Channel::WhatsApp).then(|| window_row(window_of(contact, room), scene.now));
        let (consent, since) = (on.consent.name(), on.consent.since());
        json!({ "channel": channel.name(), "status": status, "consent": consent, "since": since, "window": window })
    });
    rows.collect()
}

/// The caller's own name for the contact, else that of the room's owner.
pub fn name_in(scene: &Scene, given: &Given, room: &Room, contact: &ContactId) -> String {
    match scene.listing(given.caller.id, contact) {
        Some(_) => sending::name_for(scene, Some(given.caller.id), contact),
        None => sending::contact_name(scene, Some(&room.key), contact),
    }
}

// ---- rooms

/// RULES, State machines: derived, never stored.
pub fn room_status(scene: &Scene, room: &Room) -> &'static str {
    match room.state {
        RoomState::Deactivated | RoomState::Failed => return "DEACTIVATED",
        RoomState::Opening | RoomState::Active => {}
    }
    if let Some(native) = &room.native {
        return if native.window.is_open(scene.now) { "ACTIVE" } else { "INACTIVE" };
    }
    let closed = |contact: &Contact| !contact.on(room.channel).window(&room.line).is_open(scene.now);
    let some_window_is_closed = room.contacts.iter().filter_map(|id| scene.contact(id)).any(|contact| closed(&contact));
    if room.channel == Channel::WhatsApp && some_window_is_closed { "INACTIVE" } else { "ACTIVE" }
}

/// S1-19, as far as this stage has it.
pub fn room_row(scene: &Scene, given: &Given, room: &Room) -> Value {
    let contacts: Vec<Value> = room.contacts.iter().map(|id| contact_in_room(scene, given, room, id)).collect();
    let members: Vec<Value> =
        room.members.iter().map(|(id, m)| json!({ "name": members::name_of(scene, room, *id), "owner": m.owner })).collect();
    json!({
        "name": room.name,
        "channel": room.channel.name(),
        "status": room_status(scene, room),
        "created_at": room.created_at,
        "created_by": room.created_by,
        "contacts": contacts,
        "members": members,
        "attachments": room.files,
        "link": room.stream,
        "group": room.native.as_ref().map(|native| group_row(native, scene.now)),
    })
}

/// How the WhatsApp group behind a room stands. Its link is for each of its members alone and stands in no room (S1-12).
fn group_row(native: &Native, now: Timestamp) -> Value {
    json!({ "name": native.subject, "made": native.group.is_some(), "suspended": native.suspended,
        "window": window_row(native.window, now) })
}

fn contact_in_room(scene: &Scene, given: &Given, room: &Room, id: &ContactId) -> Value {
    let contact = scene.contact(id);
    let consent = contact.as_ref().map(|contact| contact.consent(room.channel)).unwrap_or_default();
    let member = room.native.as_ref().map(|native| native.state_of(id).map(Membership::name));
    // Who is in a native group is reached through it, whatever his own window is.
    let windowed = contact.as_ref().filter(|_| room.channel == Channel::WhatsApp && !room.is_native());
    let window = windowed.map(|contact| window_row(window_of(contact, Some(room)), scene.now));
    let name = name_in(scene, given, room, id);
    json!({ "name": name, "id": id, "consent": consent.name(), "window": window, "member": member.flatten() })
}

// ---- messages

/// `m-…` as people type it; `None` for another kind of word.
pub fn message_id(text: &str) -> Option<MessageId> {
    let id = text.trim().to_uppercase();
    let letters = id.strip_prefix("M-")?;
    (4..=8).contains(&letters.len()).then(|| MessageId(format!("m-{letters}")))
}

/// The message that the caller names, if he wrote it, is in its room, or may read everything.
pub fn message_seen(scene: &Scene, given: &Given, id: &MessageId) -> Option<Message> {
    scene.message(id).filter(|message| may_see_message(scene, given, message))
}

pub fn may_see_message(scene: &Scene, given: &Given, message: &Message) -> bool {
    let room = message.room.as_ref().and_then(|key| scene.room(key));
    let in_room = room.is_some_and(|room| room.members.contains_key(&given.caller.id));
    in_room || message.advisor() == Some(given.caller.id) || given.rights.may(Permission::AuditRead, None)
}

/// The same as it came to this one contact: of a message to a group with his own ticks.
pub fn message_row_of(scene: &Scene, given: &Given, message: &Message, contact: &ContactId) -> Value {
    let mut row = message_row(scene, given, message);
    let Some(reached) = message.recipients.get(contact) else { return row };
    let state = match reached {
        Reached { read_at: Some(_), .. } => MessageState::Read,
        Reached { delivered_at: Some(_), .. } => MessageState::Delivered,
        Reached { failed: Some(code), .. } => MessageState::Failed { code: code.clone() },
        Reached { .. } if message.state.rank() > MessageState::Sent.rank() => MessageState::Sent,
        Reached { .. } => message.state.clone(),
    };
    row["state"] = json!(state.name());
    row["reason"] = json!(reason(scene, &Message { state, ..message.clone() }));
    (row["delivered_at"], row["read_at"], row["members"]) = (json!(reached.delivered_at), json!(reached.read_at), Value::Null);
    row
}

/// How far a message to a group came with each of those whom it went to.
fn members_of(scene: &Scene, given: &Given, message: &Message, room: Option<&Room>) -> Value {
    let Some(room) = room.filter(|_| !message.recipients.is_empty()) else { return Value::Null };
    let row = |(id, reached): (&ContactId, &Reached)| {
        json!({ "name": name_in(scene, given, room, id), "delivered_at": reached.delivered_at, "read_at": reached.read_at,
            "failed": reached.failed })
    };
    room.contacts.iter().filter_map(|id| message.recipients.get_key_value(id)).map(row).collect()
}

pub fn message_row(scene: &Scene, given: &Given, message: &Message) -> Value {
    let room = message.room.as_ref().and_then(|key| scene.room(key));
    let name = match &room {
        Some(room) => name_in(scene, given, room, &message.contact),
        None => sending::name_for(scene, Some(given.caller.id), &message.contact),
    };
    let client = || message.passed_on_from().zip(room.as_ref()).map(|(from, room)| name_in(scene, given, room, from));
    let author = message.advisor().map(|user| scene.user_name(user)).or_else(client);
    let members = members_of(scene, given, message, room.as_ref());
    json!({
        "group": message.to_group.then(|| name.clone()),
        "members": members,
        "id": message.id,
        "contact": name,
        "room": room.map(|room| room.name),
        "author": author,
        "gist": sending::gist(&message.body),
        "state": message.state.name(),
        "reason": reason(scene, message),
        "accepted_at": message.accepted_at,
        "expires_at": message.expires_at,
        "sent_at": message.sent_at,
        "delivered_at": message.delivered_at,
        "read_at": message.read_at,
        "price_category": message.price_category,
        "price_type": message.price_type,
    })
}

/// The gate that holds it as things stand now, or why it did not go.
fn reason(scene: &Scene, message: &Message) -> Option<String> {
    match &message.state {
        MessageState::Held { gate } => {
            Some(sending::objection(scene, message).map_or_else(|| gate.clone(), |(gate, _)| gate.to_owned()))
        }
        MessageState::Failed { code } => Some(code.clone()),
        MessageState::Withdrawn { reason } => Some(reason.clone()),
        MessageState::Ready
        | MessageState::Taken
        | MessageState::Doubtful { .. }
        | MessageState::Sent
        | MessageState::Delivered
        | MessageState::Read
        | MessageState::Unconfirmed
        | MessageState::Expired
        | MessageState::Cancelled => None,
    }
}
