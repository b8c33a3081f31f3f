//! `/note`: a line for colleagues that stays in the firm.
use super::{ANY, Answer, Command, Given, PLAIN, TEXT};
use crate::domain::commit::Entry;
use crate::domain::effect::Reply;
use crate::domain::entitlement::Permission;
use crate::domain::refusal::Refusal;
use crate::domain::scene::Scene;
use serde_json::json;

pub const NOTE: Command = Command {
    path: "note",
    usage: "/note <text>",
    example: "/note Prefers calls after 5 pm",
    about: "write something down for colleagues; the client does not see it",
    needs: &[Permission::Chat],
    positional: &[TEXT],
    keys: &[ANY],
    flags: &[ANY],
    run: note,
    ..PLAIN
};

fn note(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let text = given.args.rest.trim();
    if text.is_empty() {
        return Err(Refusal::missing("text", NOTE.example));
    }
    let Some(room) = given.room.as_ref().filter(|room| room.members.contains_key(&given.caller.id)) else {
        return Err(Refusal::new("not-a-member"));
    };
    // Sealed for the contact whom it is about, as everything that is known of him.
    let entry = Entry::new("note", given.caller.email.clone()).room(&room.key).detail(json!({ "text": text }));
    scene.note(Entry { contact: room.contacts.first().cloned(), ..entry });
    let mut reply = Reply::answer("noted");
    reply.contact = room.contacts.first().cloned();
    Ok(Answer::Say(reply))
}
