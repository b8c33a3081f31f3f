//! TEMPORARY: `/room add` and `/room remove` for contacts alone, until the commands for contacts and colleagues are there.
use super::{Command, Given, PLAIN, room_contacts};
use crate::domain::effect::Place;
use crate::domain::entitlement::Permission;
use crate::domain::refusal::Refusal;
use crate::domain::room::Room;
use crate::domain::scene::Scene;

pub const ADD: Command = Command {
    path: "room add",
    usage: "/room add <contact>",
    example: "/room add Ann Lee",
    about: "take one more client into this room; asks first",
    needs: &[Permission::Chat],
    positional: &["contact"],
    one_text_from: Some(0),
    run: |scene, given| {
        let room = room_of(scene, given)?;
        let contact = super::find_contact(scene, given, given.needed(0)?)?;
        room_contacts::add(scene, given, room, contact)
    },
    ..PLAIN
};

pub const REMOVE: Command = Command {
    path: "room remove",
    usage: "/room remove <contact>",
    example: "/room remove Ann Lee",
    about: "take a client out of this room; asks first",
    needs: &[Permission::Chat],
    positional: &["contact"],
    one_text_from: Some(0),
    run: |scene, given| {
        let room = room_of(scene, given)?;
        let contact = super::find_contact(scene, given, given.needed(0)?)?;
        room_contacts::remove(scene, given, room, contact)
    },
    ..PLAIN
};

fn room_of(scene: &Scene, given: &Given) -> Result<Room, Refusal> {
    let by_stream = match &given.place {
        Place::Stream(stream) => scene.room_of_stream(stream),
        Place::Room(_) | Place::Direct(_) | Place::DirectByEmail(_) => None,
    };
    let room = given.room.clone().or(by_stream).ok_or_else(|| Refusal::new("not-a-member"))?;
    let owns = room.members.get(&given.caller.id).is_some_and(|member| member.owner);
    if owns { Ok(room) } else { Err(Refusal::new("not-a-member")) }
}
