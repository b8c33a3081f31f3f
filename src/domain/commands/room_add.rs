//! `/room add`: a colleague (S1-20, S4-4, S4-30) or one more client into this conversation.
use super::room_owners::{OWNERS, colleague, owned_room};
use super::{Answer, Command, Given, PLAIN, People, find_contact, room_contacts};
use crate::domain::effect::{Code, Place, Reply};
use crate::domain::members;
use crate::domain::notices::{self, AdvisorChange};
use crate::domain::presence::{self, Cause};
use crate::domain::refusal::Refusal;
use crate::domain::room::Room;
use crate::domain::scene::Scene;

pub const ADD: Command = Command {
    path: "room add",
    usage: "/room add <contact|@colleague>",
    example: "/room add @jane.doe@acme.com",
    about: "take a colleague of your sub-organisation, or one more client, into this room; asks first for clients",
    needs: OWNERS,
    positional: &["colleague"],
    people: People::OneOrText,
    one_text_from: Some(0),
    run: add,
    ..PLAIN
};

fn add(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let room = owned_room(scene, given)?;
    match given.text(0) {
        Some(text) => {
            let contact = find_contact(scene, given, text).map_err(or_a_colleague)?;
            room_contacts::add(scene, given, room, contact)
        }
        None => add_colleague(scene, given, room),
    }
}

/// No client bears this name; where a colleague was meant he is named otherwise.
pub fn or_a_colleague(refusal: Refusal) -> Refusal {
    if refusal.code == "no-such-contact" { refusal.with("colleagues", true) } else { refusal }
}

fn add_colleague(scene: &mut Scene, given: &Given, mut room: Room) -> Result<Answer, Refusal> {
    members::may_change(&room)?;
    let user = colleague(scene, given)?;
    presence::may_come(scene, &room, &user)?;
    let cause = Cause::command(scene, given.caller.id);
    presence::comes(scene, &mut room, user.id, false, &cause);
    notices::tell_clients(scene, &room, user.id, AdvisorChange::Joined);
    let told = Reply::new(Code::Notice, "you-were-added").with("by", given.caller.name.clone());
    scene.post(Place::Direct(user.id), told.with("room", room.name.clone()));
    Ok(Answer::Say(Reply::answer("member-added").with("name", user.name).with("room", room.name)))
}
