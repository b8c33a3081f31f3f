//! `/call list`: a contact's calls with time, direction and duration.
use super::views::{self, SHOWN};
use super::{Answer, Command, Given, PLAIN};
use crate::domain::call::Call;
use crate::domain::effect::Reply;
use crate::domain::entitlement::Permission;
use crate::domain::event::CallStage;
use crate::domain::refusal::Refusal;
use crate::domain::scene::Scene;
use serde_json::{Value, json};

pub const LIST: Command = Command {
    path: "call list",
    usage: "/call list <contact>",
    example: "/call list Ann Lee",
    about: "calls with time, direction and duration, the newest first",
    needs: &[Permission::Chat],
    positional: &["contact"],
    one_text_from: Some(0),
    run: list,
    ..PLAIN
};

fn list(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let contact = given.contact(scene, 0)?;
    views::may_look(given, &contact, Permission::Chat)?;
    let calls: Vec<Call> = scene.case.scan(&Call::prefix_of(&contact.id), None, SHOWN + 1);
    let rows: Vec<Value> = calls.iter().take(SHOWN).map(row).collect();
    let reply = Reply::answer("call-list").about(&contact.id).with("name", given.name_of(scene, &contact));
    let reply = reply.with("more", calls.len() > SHOWN).with("calls", rows).with("now", scene.now.0);
    Ok(views::where_it_belongs(scene, given, Some(&contact.id), reply))
}

/// Only clients call yet; what the firm calls is not on our lines.
fn row(call: &Call) -> Value {
    let (state, seconds) = match call.stage {
        CallStage::Ringing { may_be_answered: true } => ("ringing", None),
        CallStage::Ringing { may_be_answered: false } | CallStage::Over { answered: false, .. } => ("not answered", None),
        CallStage::Over { answered: true, seconds } => ("answered", seconds),
    };
    json!({ "at": call.at, "direction": "inbound", "channel": call.channel.name(), "state": state, "seconds": seconds })
}
