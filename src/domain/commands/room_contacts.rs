//! Clients into a room and out of it: what `/room add` and `/room remove` do where a contact is named. Whether the caller may is
//! for those commands to say.
use super::room_create::may_be_written_to;
use super::{Answer, Given, views};
use crate::domain::approval;
use crate::domain::commit::Entry;
use crate::domain::consent::Consent;
use crate::domain::contact::Contact;
use crate::domain::effect::{Code, Effect, Reply};
use crate::domain::groups::{self, CONTACTS_MAX};
use crate::domain::ids::*;
use crate::domain::members;
use crate::domain::membership::Membership;
use crate::domain::native;
use crate::domain::refusal::Refusal;
use crate::domain::room::{Room, RoomState};
use crate::domain::rooms;
use crate::domain::saying::{Asking, ask_client};
use crate::domain::scene::Scene;
use crate::domain::sending;
use crate::domain::sms;
use serde_json::json;

// ---- in

/// ⚠ Adding is the confirmed act that asks him for consent where he was not asked yet (S3-6).
pub fn add(scene: &mut Scene, given: &Given, room: Room, contact: Contact) -> Result<Answer, Refusal> {
    may_be_added(scene, given, &room, &contact)?;
    let consent = contact.consent(room.channel);
    let asks = room.channel == Channel::WhatsApp && consent == Consent::None;
    let name = given.name_of(scene, &contact);
    let mut after = room.clone();
    if !after.contacts.contains(&contact.id) {
        after.contacts.push(contact.id.clone());
    }
    let shared = groups::is_shared(scene.policy, &after);
    let about = |reply: Reply| reply.about(&contact.id).with("name", name.clone()).with("asks", asks).with("shared", shared);
    if !given.confirmed {
        let others: Vec<String> = room.contacts.iter().map(|id| views::name_in(scene, given, &room, id)).collect();
        let card = about(Reply::new(Code::Confirm, "confirm-room-contact-add"));
        return Ok(Answer::Confirm(card.with("room", room.name.clone()).with("others", others)));
    }
    take_in(scene, given, &after, contact.clone());
    let reply = about(Reply::answer("room-contact-added")).with("status", views::room_status(scene, &after));
    let waits = asks && approval::invitation_waits(scene, &contact.id);
    let native = scene.room(&room.key).and_then(|room| room.native);
    // WhatsApp is asked for the link of a group that is there; it goes to him with the answer.
    let linked = native.as_ref().is_some_and(|native| native.group.is_some()) && native::may_be_invited(&contact);
    let reply = reply.with("native", native.is_some()).with("linked", linked);
    Ok(Answer::Say(reply.with("consent", consent.name()).with("waits", waits)))
}

fn may_be_added(scene: &mut Scene, given: &Given, room: &Room, contact: &Contact) -> Result<(), Refusal> {
    is_settled(room)?;
    let name = given.name_of(scene, contact);
    let refusal = |code: &'static str| Refusal::new(code).about(&contact.id).with("name", name.clone());
    if room.contacts.contains(&contact.id) && !room.is_native() {
        return Err(refusal("already-member"));
    }
    if !contact.channels.contains_key(&room.channel) {
        return Err(refusal("mixed-channels").with("channel", room.channel.name()));
    }
    if !given.rights.may_use(room.channel) {
        return Err(Refusal::new("not-entitled").with("channel", room.channel.name()));
    }
    may_be_written_to(scene, given, contact, room.channel)?;
    if room.is_native() {
        // Tried and taken back: who is in, who may never be and how many fit is for the group to say (S1-4, S1-28).
        let mark = scene.mark();
        let invited = native::invite(scene, &room.key, &contact.id);
        scene.back_to(mark);
        return invited.map_err(|refusal| refusal.with("name", name));
    }
    if !rooms::line_fits(scene, std::slice::from_ref(contact), room.channel, &room.line, &room.sub_org) {
        return Err(refusal("no-line-left").with("channel", room.channel.name()));
    }
    if room.contacts.len() >= CONTACTS_MAX {
        let why = format!("would be one more than the {CONTACTS_MAX} that a room takes");
        return Err(Refusal::bad_argument("contact", why, "/room create"));
    }
    Ok(())
}

fn is_settled(room: &Room) -> Result<(), Refusal> {
    match room.state {
        RoomState::Active => Ok(()),
        RoomState::Opening => Err(Refusal::new("busy").with("why", "This room is being made; try again in a moment.")),
        RoomState::Failed | RoomState::Deactivated => Err(Refusal::new("room")),
    }
}

fn take_in(scene: &mut Scene, given: &Given, room: &Room, mut contact: Contact) {
    if !contact.rooms.contains(&room.key) {
        contact.rooms.push(room.key.clone());
    }
    scene.put(&contact);
    scene.put(room);
    let detail = json!({ "by": given.caller.email, "contacts": room.contacts });
    let entry = Entry::new("room.contact_added", given.caller.email.clone()).room(&room.key).about(&contact.id);
    scene.note(entry.detail(detail));
    match (room.channel, contact.consent(room.channel)) {
        // There the welcome comes first, and the question with the first text (S2-3, S2-6).
        (Channel::Sms, _) => sms::welcome(scene, &contact.id, room),
        (Channel::WhatsApp, Consent::None) => {
            let asking = Asking {
                contact: &contact.id,
                channel: room.channel,
                line: &room.line,
                room: Some(room.key.clone()),
                by: room.owner().unwrap_or(given.caller.id),
                actor: given.caller.id,
                attested: "added this contact to a room, which asks him for consent",
            };
            ask_client(scene, asking);
        }
        (Channel::WhatsApp, _) => {}
    }
    groups::bring_in(scene, &room.key);
    if room.is_native() {
        native::invite(scene, &room.key, &contact.id).expect("it was tried before");
    }
}

// ---- out

/// ⚠ What waits for him in this room is withdrawn; with the last contact the room ends.
pub fn remove(scene: &mut Scene, given: &Given, room: Room, contact: Contact) -> Result<Answer, Refusal> {
    is_settled(&room)?;
    let name = given.name_of(scene, &contact);
    let again = room.native.as_ref().is_some_and(|native| native.may_be_removed_again(&contact.id));
    if !room.contacts.contains(&contact.id) {
        return Err(Refusal::new("not-a-member").about(&contact.id).with("user", name));
    }
    if is_barred(&room, &contact.id) && !again {
        return Err(Refusal::new("barred").about(&contact.id).with("name", name));
    }
    let leaves = again || room.native.as_ref().and_then(|native| native.state_of(&contact.id)) == Some(Membership::Joined);
    let last = !again && others_in(&room, &contact.id) == 0;
    if last {
        members::may_change(&room)?;
    }
    let about = |reply: Reply| {
        reply
            .about(&contact.id)
            .with("name", name.clone())
            .with("room", room.name.clone())
            .with("last", last)
            .with("barred", room.is_native())
            .with("leaves", leaves)
    };
    let held = if room.is_native() && !last { 0 } else { scene.lane(&room.key, &room.lane_of(&contact.id)).held.len() };
    if !given.confirmed {
        return Ok(Answer::Confirm(about(Reply::new(Code::Confirm, "confirm-room-contact-remove")).with("held", held)));
    }
    let answer = about(Reply::answer("room-contact-removed"));
    if last {
        end(scene, given, &room, &contact.id);
        // In the room itself nobody can be answered any more.
        return Ok(Answer::Privately(answer.with("held", held)));
    }
    let withdrawn = take_out(scene, given, room.clone(), contact.clone());
    Ok(Answer::Say(answer.with("held", withdrawn)))
}

/// Removed before; WhatsApp may still have to take him out.
fn is_barred(room: &Room, contact: &ContactId) -> bool {
    room.native.as_ref().is_some_and(|native| native.state_of(contact) == Some(Membership::Barred))
}

fn note_removed(scene: &mut Scene, given: &Given, room: &Room, contact: &ContactId) {
    let entry = Entry::new("room.contact_removed", given.caller.email.clone()).room(&room.key).about(contact);
    scene.note(entry.detail(json!({ "by": given.caller.email, "contacts": room.contacts })));
}

/// Who is left; of a native group those who are in or invited.
fn others_in(room: &Room, contact: &ContactId) -> usize {
    let there = |id: &&ContactId| match &room.native {
        Some(native) => matches!(native.state_of(id), Some(Membership::Invited | Membership::Joined)),
        None => true,
    };
    room.contacts.iter().filter(|id| *id != contact).filter(there).count()
}

/// How many messages were withdrawn.
fn take_out(scene: &mut Scene, given: &Given, mut room: Room, mut contact: Contact) -> usize {
    if room.is_native() {
        // He stays known to the room as one who may never come back (S1-28), and what waits is for the others.
        native::remove(scene, &room.key, &contact);
        note_removed(scene, given, &room, &contact.id);
        return 0;
    }
    let withdrawn = sending::withdraw_from_room(scene, &room, &contact.id);
    room.contacts.retain(|id| *id != contact.id);
    room.came_in.remove(&contact.id);
    room.announced.remove(&contact.id);
    room.last_exchange.remove(&contact.id);
    scene.put(&room);
    contact.rooms.retain(|key| *key != room.key);
    scene.put(&contact);
    note_removed(scene, given, &room, &contact.id);
    withdrawn
}

fn end(scene: &mut Scene, given: &Given, room: &Room, contact: &ContactId) {
    note_removed(scene, given, room, contact);
    rooms::closed(scene, &room.key, &given.caller.email);
    if let Some(stream) = room.stream.clone() {
        scene.effect(Effect::DeactivateRoom { stream });
    }
}
