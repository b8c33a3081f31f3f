//! `/room promote` and `/room demote`: who owns a room (S1-22, S1-23); and what every command for owners asks first.
use super::{Answer, Command, Given, PLAIN, People};
use crate::domain::effect::Reply;
use crate::domain::entitlement::{Permission, User};
use crate::domain::ids::UserId;
use crate::domain::members;
use crate::domain::presence::{self, Cause};
use crate::domain::refusal::Refusal;
use crate::domain::room::Room;
use crate::domain::scene::Scene;

pub const PROMOTE: Command = Command {
    path: "room promote",
    usage: "/room promote @colleague",
    example: "/room promote @jane.doe@acme.com",
    about: "make a member of this room an owner of it",
    needs: OWNERS,
    positional: &["colleague"],
    people: People::One,
    run: promote,
    ..PLAIN
};

pub const DEMOTE: Command = Command {
    path: "room demote",
    usage: "/room demote @colleague",
    example: "/room demote @jane.doe@acme.com",
    about: "make an owner of this room a plain member",
    needs: OWNERS,
    positional: &["colleague"],
    people: People::One,
    run: demote,
    ..PLAIN
};

/// What a command for owners needs; which room is theirs is asked when it runs.
pub const OWNERS: &[Permission] = &[Permission::Chat, Permission::RoomManageAny];

/// The client room in which the command stands.
pub fn this_room(given: &Given) -> Result<Room, Refusal> {
    let room = given.room.clone().ok_or_else(|| Refusal::new("not-a-member"))?;
    if room.is_live() { Ok(room) } else { Err(Refusal::new("deactivated")) }
}

/// The same, if the caller may change it (S1-25).
pub fn owned_room(scene: &Scene, given: &Given) -> Result<Room, Refusal> {
    let room = this_room(given)?;
    if presence::may_manage(scene, &room, given.caller.id) {
        return Ok(room);
    }
    if presence::is_owner(&room, given.caller.id) {
        // His rights went, his seat did not.
        let refusal =
            if given.rights.may_use(room.channel) { Refusal::new("other-sub-org") } else { Refusal::new("not-entitled") };
        return Err(refusal.with("user", given.caller.name.clone()).with("channel", room.channel.name()));
    }
    Err(Refusal::new("not-owner"))
}

/// The same, for what the platform has to change as well.
pub fn changeable_room(scene: &Scene, given: &Given) -> Result<Room, Refusal> {
    let room = owned_room(scene, given)?;
    members::may_change(&room)?;
    Ok(room)
}

/// The one colleague whom the command names.
pub fn colleague(scene: &Scene, given: &Given) -> Result<User, Refusal> {
    match given.args.people().as_slice() {
        [who] => given.colleague(scene, who),
        [] => Err(Refusal::missing("colleague", given.command.example)),
        [_, _, ..] => Err(Refusal::bad_argument("colleague", "must be one at a time", given.command.example)),
    }
}

/// The colleague if he is in the room.
pub fn member(scene: &Scene, given: &Given, room: &Room) -> Result<User, Refusal> {
    let user = colleague(scene, given)?;
    if room.members.contains_key(&user.id) {
        return Ok(user);
    }
    Err(Refusal::new("not-a-member").with("user", user.name))
}

/// A room is never without an owner.
pub fn another_owns(room: &Room, user: UserId) -> Result<(), Refusal> {
    let is_last = presence::is_owner(room, user) && !presence::has_another_owner(room, user);
    if is_last { Err(Refusal::new("last-owner")) } else { Ok(()) }
}

fn promote(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let mut room = changeable_room(scene, given)?;
    let user = member(scene, given, &room)?;
    presence::may_take_part(scene, &user, room.channel, &room.sub_org)?;
    if !presence::is_owner(&room, user.id) {
        let cause = Cause::command(scene, given.caller.id);
        presence::set_owner(scene, &mut room, user.id, true, &cause);
    }
    Ok(Answer::Say(Reply::answer("owner-set").with("user", user.name).with("owner", true)))
}

fn demote(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let mut room = changeable_room(scene, given)?;
    let user = member(scene, given, &room)?;
    another_owns(&room, user.id)?;
    if presence::is_owner(&room, user.id) {
        let cause = Cause::command(scene, given.caller.id);
        presence::set_owner(scene, &mut room, user.id, false, &cause);
    }
    Ok(Answer::Say(Reply::answer("owner-set").with("user", user.name).with("owner", false)))
}
