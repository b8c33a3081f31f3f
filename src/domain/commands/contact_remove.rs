//! `/contact remove`: off the caller's list, and the caller out of the rooms with this contact; the evidence stays.
use super::{Answer, Command, Given, PLAIN, contact_edit};
use crate::domain::commit::Entry;
use crate::domain::contact::{Contact, Listing};
use crate::domain::effect::{Code, Effect, Reply};
use crate::domain::entitlement::Permission;
use crate::domain::members;
use crate::domain::presence::{self, Cause, Step};
use crate::domain::refusal::Refusal;
use crate::domain::room::{Room, RoomState};
use crate::domain::rooms;
use crate::domain::scene::Scene;
use serde_json::json;

pub const REMOVE: Command = Command {
    path: "contact remove",
    usage: "/contact remove <contact>",
    example: "/contact remove Ann Lee",
    about: "take a contact off your list; asks first",
    needs: &[Permission::ContactEdit],
    positional: &["contact"],
    one_text_from: Some(0),
    run: remove,
    ..PLAIN
};

/// What becomes of the caller's rooms with this contact.
#[derive(Default)]
struct Rooms {
    /// He was the only advisor: nobody is left to write.
    ending: Vec<Room>,
    left: Vec<Room>,
    /// Other contacts are in it, so he stays for them.
    kept: Vec<Room>,
}

fn remove(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let contact = given.contact(scene, 0)?;
    if !contact_edit::may(given, &contact, Permission::ContactEdit) {
        return Err(Refusal::no_permission(Permission::ContactEdit.name()));
    }
    if !contact.listed_by.contains(&given.caller.id) {
        return Err(Refusal::bad_argument("contact", "is not on your list", "/contact list"));
    }
    let name = given.name_of(scene, &contact);
    let rooms = rooms_with(scene, given, &contact)?;
    let ending: usize = rooms.ending.iter().map(|room| scene.lane(&room.key, &room.lane_of(&contact.id)).held.len()).sum();
    let own: usize = rooms.left.iter().map(|room| presence::held_of(scene, room, given.caller.id).len()).sum();
    let tell = |template: &str, code: Code| {
        let reply = Reply::new(code, template).about(&contact.id).with("name", name.clone());
        let reply = reply.with("ending", names(&rooms.ending)).with("left", names(&rooms.left));
        reply.with("kept", names(&rooms.kept)).with("held", ending + own)
    };
    if !given.confirmed {
        return Ok(Answer::Confirm(tell("confirm-contact-remove", Code::Confirm)));
    }
    let answer = tell("contact-removed", Code::Answer);
    rooms.left.iter().for_each(|room| leave(scene, given, room));
    rooms.ending.iter().for_each(|room| end(scene, given, room));
    unlist(scene, given, &contact);
    Ok(Answer::Say(answer))
}

fn names(rooms: &[Room]) -> Vec<String> {
    rooms.iter().map(|room| room.name.clone()).collect()
}

fn rooms_with(scene: &Scene, given: &Given, contact: &Contact) -> Result<Rooms, Refusal> {
    let mut sorted = Rooms::default();
    let all = contact.rooms.iter().filter_map(|key| scene.room(key));
    for room in all.filter(|room| room.is_live() && room.members.contains_key(&given.caller.id)) {
        match (room.state, room.contacts.len(), room.members.len()) {
            (RoomState::Opening, _, _) => {
                let why = "A room with this contact is being made; try again in a moment.";
                return Err(Refusal::new("busy").about(&contact.id).with("why", why));
            }
            (_, 2.., _) => sorted.kept.push(room),
            (_, _, advisors) => {
                members::may_change(&room)?;
                let end = if advisors == 1 { &mut sorted.ending } else { &mut sorted.left };
                end.push(room);
            }
        }
    }
    Ok(sorted)
}

/// The colleagues go on without him; when he was the only owner one of them becomes one.
fn leave(scene: &mut Scene, given: &Given, room: &Room) {
    let cause = Cause::command(scene, given.caller.id);
    let gone = presence::goes(scene, room, given.caller.id, Step::Leaves, &cause);
    presence::tell_colleagues(scene, &gone, given.caller.id, Step::Leaves, &cause);
}

fn end(scene: &mut Scene, given: &Given, room: &Room) {
    rooms::closed(scene, &room.key, &given.caller.email);
    if let Some(stream) = room.stream.clone() {
        scene.effect(Effect::DeactivateRoom { stream });
    }
}

/// When nobody lists him any more the identity stays as REMOVED, with its consent and its evidence.
fn unlist(scene: &mut Scene, given: &Given, contact: &Contact) {
    scene.case.remove::<Listing>(&Listing::key_of(given.caller.id, &contact.id));
    // The rooms that ended have changed the record meanwhile.
    let Some(mut contact) = scene.contact(&contact.id) else { return };
    contact.listed_by.remove(&given.caller.id);
    scene.put(&contact);
    let detail = json!({ "by": given.caller.email, "listed_by": contact.listed_by });
    scene.note(Entry::new("contact.unlisted", given.caller.email.clone()).about(&contact.id).detail(detail));
}
