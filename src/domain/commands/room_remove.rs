//! `/room remove`: a colleague (S1-21, S4-35..39) or a client out of this conversation.
use super::room_add::or_a_colleague;
use super::room_owners::{OWNERS, another_owns, member, owned_room};
use super::{Answer, Command, Given, PLAIN, People, find_contact, room_contacts, room_leave};
use crate::domain::effect::{Code, Reply};
use crate::domain::members;
use crate::domain::notices::{self, AdvisorChange};
use crate::domain::presence::{self, Cause, Step};
use crate::domain::refusal::Refusal;
use crate::domain::room::Room;
use crate::domain::scene::Scene;

pub const REMOVE: Command = Command {
    path: "room remove",
    usage: "/room remove <contact|@colleague>",
    example: "/room remove @jane.doe@acme.com",
    about: "take a colleague or a client out of this room; asks first",
    needs: OWNERS,
    positional: &["colleague"],
    people: People::OneOrText,
    one_text_from: Some(0),
    run: remove,
    ..PLAIN
};

fn remove(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let room = owned_room(scene, given)?;
    match given.text(0) {
        Some(text) => {
            let contact = find_contact(scene, given, text).map_err(or_a_colleague)?;
            room_contacts::remove(scene, given, room, contact)
        }
        None => remove_colleague(scene, given, room),
    }
}

fn remove_colleague(scene: &mut Scene, given: &Given, room: Room) -> Result<Answer, Refusal> {
    members::may_change(&room)?;
    let user = member(scene, given, &room)?;
    another_owns(&room, user.id)?;
    if user.id == given.caller.id {
        return room_leave::leave(scene, given);
    }
    if !given.confirmed {
        let held = presence::held_of(scene, &room, user.id).len();
        let card = Reply::new(Code::Confirm, "confirm-room-remove").with("user", user.name);
        let card = card.with("native", room.is_native());
        return Ok(Answer::Confirm(card.with("room", room.name).with("held", held)));
    }
    let cause = Cause::command(scene, given.caller.id);
    let gone = presence::goes(scene, &room, user.id, Step::IsRemoved, &cause);
    presence::tell_colleagues(scene, &gone, user.id, Step::IsRemoved, &cause);
    notices::tell_clients(scene, &gone.room, user.id, AdvisorChange::Left);
    let reply = Reply::answer("you-removed").with("user", user.name).with("native", gone.room.is_native());
    // Where others read along the room has its own line about it (S4-37).
    let others_read = gone.room.members.keys().any(|other| *other != given.caller.id);
    Ok(if others_read { Answer::Privately(reply) } else { Answer::Say(reply) })
}
