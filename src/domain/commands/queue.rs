//! `/queue list` and `/queue cancel`: what was accepted and has not gone yet.
use super::views::{self, ROOMS_MAX, SHOWN, message_id, message_row, message_seen};
use super::{Answer, Command, Given, PLAIN};
use crate::domain::effect::{Code, Reply};
use crate::domain::entitlement::Permission;
use crate::domain::ids::ContactId;
use crate::domain::message::{Message, MessageState};
use crate::domain::refusal::Refusal;
use crate::domain::room::Room;
use crate::domain::scene::Scene;
use crate::domain::{outbox, relay, rooms};
use serde_json::Value;

pub const LIST: Command = Command {
    path: "queue list",
    usage: "/queue list",
    example: "/queue list",
    about: "messages that wait, for what, and until when",
    needs: &[Permission::Chat],
    run: list,
    ..PLAIN
};

pub const CANCEL: Command = Command {
    path: "queue cancel",
    usage: "/queue cancel <m-…>",
    example: "/queue cancel m-7F3K9QAB",
    about: "take back a message of yours that waits",
    needs: &[Permission::Chat],
    positional: &["message"],
    run: cancel,
    ..PLAIN
};

/// In a client room what waits there, elsewhere what waits in all rooms that the caller is in.
fn list(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let mut rooms = match &given.room {
        Some(room) => vec![room.clone()],
        None => rooms::rooms_of(scene, given.caller.id, ROOMS_MAX),
    };
    rooms.retain(|room| room.members.contains_key(&given.caller.id) && given.rights.may_use(room.channel));
    let held: Vec<Message> = rooms.iter().flat_map(|room| held_in(scene, room)).collect();
    let rows: Vec<Value> = held.iter().take(SHOWN).map(|message| message_row(scene, given, message)).collect();
    let reply = Reply::answer("queue-list").with("count", held.len()).with("shown", rows.len()).with("messages", rows);
    let reply = reply.with("now", scene.now.0);
    if held.len() > views::LONG_LIST {
        return Ok(views::list(scene, given, held.len(), reply));
    }
    let contact: Option<ContactId> = given.room.as_ref().and_then(Room::subject);
    Ok(views::where_it_belongs(scene, given, contact.as_ref(), reply))
}

fn held_in(scene: &Scene, room: &Room) -> Vec<Message> {
    let ids = room.addressees().into_iter().flat_map(|contact| scene.lane(&room.key, &contact).held);
    ids.filter_map(|id| scene.message(&id)).collect()
}

fn cancel(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let typed = given.needed(0)?;
    let unknown = || Refusal::bad_argument("message", "is none of yours; /queue list shows them", CANCEL.example);
    let mut message = message_id(typed).and_then(|id| message_seen(scene, given, &id)).ok_or_else(unknown)?;
    if message.advisor() != Some(given.caller.id) {
        let author = message.advisor().map(|user| scene.user_name(user)).unwrap_or_else(|| scene.policy.firm.clone());
        let mut refusal = Refusal::new("not-yours").about(&message.contact).with("name", author);
        // The plain words of this code speak of a question that somebody else was asked.
        let words = Reply::new(Code::Refusal, "queue-not-yours").with("id", message.id.to_string());
        refusal.card = Some(Box::new(words));
        return Err(refusal);
    }
    // One that was released and is still in the outbox can be had back, too.
    let waits = matches!(message.state, MessageState::Held { .. }) || outbox::take_back(scene, &message);
    if !waits {
        let refusal = Refusal::new("already-sent").about(&message.contact).with("id", message.id.to_string());
        return Err(refusal.with("state", message.state.name()));
    }
    let row = message_row(scene, given, &message);
    relay::cancel(scene, &mut message, given.caller.id);
    let reply = Reply::answer("queue-cancelled").about(&message.contact).of(&message.id);
    Ok(Answer::Say(reply.with("id", message.id.to_string()).with("name", row["contact"].clone())))
}
