//! `/room rename`: another name for this room (S1-24); the platform has the last word on names.
use super::room_owners::{OWNERS, changeable_room};
use super::{Answer, Command, Given, PLAIN};
use crate::domain::effect::{Effect, RenameRoom};
use crate::domain::refusal::Refusal;
use crate::domain::rooms::NAME_MAX;
use crate::domain::scene::Scene;

pub const RENAME: Command = Command {
    path: "room rename",
    usage: "/room rename \"name\"",
    example: "/room rename \"Lee family\"",
    about: "give this room another name",
    needs: OWNERS,
    positional: &["name"],
    one_text_from: Some(0),
    run: rename,
    ..PLAIN
};

/// The answer comes with the platform's.
fn rename(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let room = changeable_room(scene, given)?;
    let name = given.needed(0)?.to_owned();
    if name.chars().count() > NAME_MAX {
        return Err(Refusal::new("name-too-long").with("most", NAME_MAX));
    }
    if name == room.name {
        return Err(Refusal::new("same-name").with("name", name));
    }
    let stream = room.stream.clone().ok_or_else(|| Refusal::new("busy").with("why", "The room is being made."))?;
    let asked = Some((given.caller.id, given.place.clone()));
    scene.effect(Effect::RenameRoom(RenameRoom { stream, name, contact: room.contacts.first().cloned(), asked }));
    Ok(Answer::Later)
}
