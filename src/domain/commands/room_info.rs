//! `/room info` and `/room list`: the rooms that the caller is in (S0-6).
use super::views::{self, ROOMS_MAX, SHOWN};
use super::{Answer, Command, Given, PLAIN};
use crate::domain::effect::Reply;
use crate::domain::entitlement::Permission;
use crate::domain::refusal::Refusal;
use crate::domain::rooms;
use crate::domain::scene::Scene;
use serde_json::Value;

pub const INFO: Command = Command {
    path: "room info",
    usage: "/room info",
    example: "/room info",
    about: "this room: members, owners, status, window",
    needs: &[Permission::Chat],
    run: info,
    ..PLAIN
};

pub const LIST: Command = Command {
    path: "room list",
    usage: "/room list",
    example: "/room list",
    about: "the client rooms that you are in",
    needs: &[Permission::Chat],
    run: list,
    ..PLAIN
};

fn info(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let Some(room) = &given.room else {
        return Err(Refusal::bad_argument("room", "is missing: this works in a client room only", LIST.example));
    };
    if !room.members.contains_key(&given.caller.id) {
        return Err(Refusal::new("not-a-member"));
    }
    let mut reply = Reply::answer("room-info").with("room", views::room_row(scene, given, room)).with("now", scene.now.0);
    reply.contact = room.subject();
    Ok(Answer::Say(reply))
}

fn list(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let mut rooms = rooms::rooms_of(scene, given.caller.id, ROOMS_MAX);
    rooms.retain(|room| room.is_live() && room.members.contains_key(&given.caller.id));
    rooms.sort_by_key(|room| (room.name.to_lowercase(), room.key.clone()));
    let rows: Vec<Value> = rooms.iter().take(SHOWN).map(|room| views::room_row(scene, given, room)).collect();
    let reply = Reply::answer("room-list").with("count", rooms.len()).with("shown", rows.len()).with("rooms", rows);
    let reply = reply.with("now", scene.now.0);
    Ok(views::list(scene, given, rooms.len(), reply))
}
