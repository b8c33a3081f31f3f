//! `/room leave`: the caller goes, the client hears of it, and the conversation stays with those who are left (S4-33, S4-34).
use super::room_owners::{another_owns, this_room};
use super::{Answer, Command, Given, PLAIN};
use crate::domain::effect::{Code, Reply};
use crate::domain::entitlement::Permission;
use crate::domain::handover::cover_names;
use crate::domain::members;
use crate::domain::notices::{self, AdvisorChange};
use crate::domain::presence::{self, Cause, Step};
use crate::domain::refusal::Refusal;
use crate::domain::scene::Scene;

pub const LEAVE: Command = Command {
    path: "room leave",
    usage: "/room leave",
    example: "/room leave",
    about: "leave this conversation; the client is told; asks first",
    needs: &[Permission::Chat],
    run: leave,
    ..PLAIN
};

/// Who is alone may go too: the next message of the client reaches those who answer for everybody.
pub fn leave(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let room = this_room(given)?;
    if !room.members.contains_key(&given.caller.id) {
        return Err(Refusal::new("not-a-member"));
    }
    members::may_change(&room)?;
    let alone = room.members.len() == 1;
    if !alone {
        another_owns(&room, given.caller.id)?;
    }
    if !given.confirmed {
        let held = presence::held_of(scene, &room, given.caller.id).len();
        let card = Reply::new(Code::Confirm, "confirm-room-leave").with("native", room.is_native()).with("held", held);
        let card = card.with("room", room.name);
        return Ok(Answer::Confirm(card.with("alone", alone).with("cover", cover_names(scene, &room.sub_org))));
    }
    let cause = Cause::command(scene, given.caller.id);
    let gone = presence::goes(scene, &room, given.caller.id, Step::Leaves, &cause);
    presence::tell_colleagues(scene, &gone, given.caller.id, Step::Leaves, &cause);
    notices::tell_clients(scene, &gone.room, given.caller.id, AdvisorChange::Left);
    let contact = room.contacts.first().map(|id| id.to_string());
    let reply = Reply::answer("you-left").with("room", room.name).with("held", gone.withdrawn).with("alone", alone);
    let reply = reply.with("cover", cover_names(scene, &gone.room.sub_org)).with("native", gone.room.is_native());
    Ok(Answer::Privately(reply.with("id", contact)))
}
