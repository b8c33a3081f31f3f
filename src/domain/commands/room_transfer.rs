//! `/room transfer`: the conversation goes to a colleague, who owns it from then on (S4-41).
use super::room_owners::{OWNERS, changeable_room, colleague};
use super::{Answer, Command, Given, PLAIN, People};
use crate::domain::commit::Entry;
use crate::domain::effect::{Code, Place, Reply};
use crate::domain::entitlement::User;
use crate::domain::handover::{self, Passing};
use crate::domain::ids::MessageId;
use crate::domain::notices::{self, AdvisorChange};
use crate::domain::presence::{self, Cause, Step};
use crate::domain::refusal::Refusal;
use crate::domain::room::Room;
use crate::domain::scene::Scene;
use serde_json::json;

pub const TRANSFER: Command = Command {
    path: "room transfer",
    usage: "/room transfer @colleague",
    example: "/room transfer @jane.doe@acme.com",
    about: "hand this conversation over to a colleague and leave it; asks first",
    needs: OWNERS,
    positional: &["colleague"],
    people: People::One,
    run: transfer,
    ..PLAIN
};

fn transfer(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let room = changeable_room(scene, given)?;
    if !room.members.contains_key(&given.caller.id) {
        return Err(Refusal::new("not-a-member"));
    }
    let user = colleague(scene, given)?;
    if user.id == given.caller.id {
        return Err(Refusal::bad_argument("colleague", "is you", TRANSFER.example));
    }
    may_take_over(scene, &room, &user)?;
    let held = handover::waiting_of(scene, &room, given.caller.id).len();
    if !given.confirmed {
        let card = Reply::new(Code::Confirm, "confirm-room-transfer").with("user", user.name).with("native", room.is_native());
        return Ok(Answer::Confirm(card.with("room", room.name).with("held", held)));
    }
    hand_over(scene, given, &room, &user, held);
    let reply = Reply::answer("room-transferred").with("user", user.name).with("native", room.is_native());
    let reply = reply.with("room", room.name).with("held", held);
    Ok(Answer::Privately(reply))
}

/// A member of the room must be able to write in it, too.
fn may_take_over(scene: &Scene, room: &Room, user: &User) -> Result<(), Refusal> {
    let mut without = room.clone();
    without.members.remove(&user.id);
    presence::may_come(scene, &without, user)
}

fn hand_over(scene: &mut Scene, given: &Given, room: &Room, user: &User, held: usize) {
    let (from, cause) = (given.caller.id, Cause::command(scene, given.caller.id));
    let mut room = room.clone();
    if room.members.contains_key(&user.id) {
        presence::set_owner(scene, &mut room, user.id, true, &cause);
    } else {
        presence::comes(scene, &mut room, user.id, true, &cause);
    }
    presence::is_given(scene, &mut room, user.id);
    // They wait for the new advisor, and are not withdrawn for good as of one who leaves.
    let waiting = handover::waiting_of(scene, &room, from);
    presence::steps_out(scene, &mut room, from, Step::Leaves, &cause);
    let line = Reply::new(Code::Notice, "room-handed-over").with("by", given.caller.name.clone());
    presence::tell_room(scene, &room, line.with("user", user.name.clone()));
    let told = Reply::new(Code::Notice, "handed-over-to-you").with("by", given.caller.name.clone());
    scene.post(Place::Direct(user.id), told.with("room", room.name.clone()).with("held", held));
    let ids: Vec<MessageId> = waiting.iter().map(|message| message.id.clone()).collect();
    let passing = Passing { from, to: user.id, actor: &cause.actor, leaves_all: false };
    waiting.into_iter().for_each(|message| handover::ask_successor(scene, &room, message, &passing));
    notices::tell_clients(scene, &room, user.id, AdvisorChange::Joined);
    let entry = Entry::new("room.transferred", cause.actor).room(&room.key);
    scene.note(entry.detail(json!({ "to": user.email, "held": ids })));
}
