//! `/room deactivate`: the end of a room; what waits in it is withdrawn.
use super::room_owners::{OWNERS, changeable_room};
use super::{Answer, Command, Given, PLAIN};
use crate::domain::effect::{Code, Effect, Place, Reply};
use crate::domain::refusal::Refusal;
use crate::domain::room::Room;
use crate::domain::rooms;
use crate::domain::scene::Scene;

pub const DEACTIVATE: Command = Command {
    path: "room deactivate",
    usage: "/room deactivate",
    example: "/room deactivate",
    about: "end this room for good; asks first",
    needs: OWNERS,
    run: deactivate,
    ..PLAIN
};

fn deactivate(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let room = changeable_room(scene, given)?;
    let held: usize = room.addressees().iter().map(|contact| scene.lane(&room.key, contact).held.len()).sum();
    if !given.confirmed {
        let card = Reply::new(Code::Confirm, "confirm-room-deactivate").with("room", room.name);
        return Ok(Answer::Confirm(card.with("held", held)));
    }
    let actor = scene.actor(given.caller.id);
    rooms::closed(scene, &room.key, &actor);
    tell_others(scene, given, &room);
    if let Some(stream) = room.stream.clone() {
        scene.effect(Effect::DeactivateRoom { stream });
    }
    // The room takes no answer any more.
    Ok(Answer::Privately(Reply::answer("room-deactivated").with("room", room.name).with("held", held)))
}

fn tell_others(scene: &mut Scene, given: &Given, room: &Room) {
    for user in room.members.keys().filter(|user| **user != given.caller.id) {
        let reply = Reply::new(Code::Notice, "colleague-deactivated").with("by", given.caller.name.clone());
        scene.post(Place::Direct(*user), reply.with("room", room.name.clone()));
    }
}
