//! `/why` of a native group: what every member and the group itself say to the next message into it.
use super::why::quiet_row;
use super::{Given, views};
use crate::domain::approval;
use crate::domain::effect::{Body, Reply};
use crate::domain::gates::Verdict;
use crate::domain::gates::quiet_hours;
use crate::domain::ids::*;
use crate::domain::lane::OutboxLane;
use crate::domain::message::Message;
use crate::domain::native::{self, Native, Row};
use crate::domain::room::Room;
use crate::domain::scene::Scene;
use serde_json::{Value, json};

/// Whose next text, or which message, into the group behind this room.
pub struct IntoGroup<'q> {
    pub room: &'q Room,
    pub native: &'q Native,
    pub author: UserId,
    pub message: Option<&'q Message>,
}

pub fn told(scene: &Scene, given: &Given, asked: &IntoGroup) -> Reply {
    let IntoGroup { room, native, author, message } = asked;
    let free_text = message.is_none_or(Message::is_free_text);
    let rows = native::verdicts(scene, room, native, *author, free_text);
    let blocker = rows.iter().find(|row| row.verdict != Verdict::Pass).map(|row| (row.gate, row.verdict));
    let of_template = message.and_then(|message| approval::objection(scene, &native::readers(scene, &room.key), message));
    let blocker = blocker.or(of_template);
    let mut shown: Vec<Value> = rows.iter().map(|row| shown(scene, given, room, row)).collect();
    shown.extend(of_template.map(|(gate, _)| json!({ "gate": gate, "ok": false, "what": null, "who": [] })));
    let template_goes = native::first_objection(scene, room, native, *author, false).is_none();
    let reply = Reply::answer("why-group").about(&ContactId::of_group(&room.key)).because(blocker.map_or("", |(gate, _)| gate));
    reply
        .with("name", room.name.clone())
        .with("channel", room.channel.name())
        .with("author", scene.user_name(*author))
        .with("own", *author == given.caller.id)
        .with("free_text", free_text)
        .with("rows", shown)
        .with("blocker", blocker.map(|(gate, _)| gate))
        .with("holds", blocker.is_some_and(|(_, verdict)| verdict == Verdict::Hold))
        .with("template_goes", template_goes)
        .with("quiet", quiet(scene, room, &rows))
        .with("standing", standing(scene, *message))
        .with("state", message.map(|message| message.state.name()))
        .with("before_it", before_it(scene, room))
        .with("now", scene.now.0)
}

fn shown(scene: &Scene, given: &Given, room: &Room, row: &Row) -> Value {
    let ok = row.verdict == Verdict::Pass;
    json!({ "gate": row.gate, "ok": ok, "what": row.what, "who": native::who(scene, room, row, |id| views::name_in(scene, given, room, id)) })
}

/// Of those for whom it is a quiet hour the one whose clock opens last.
fn quiet(scene: &Scene, room: &Room, rows: &[Row]) -> Value {
    let waits = rows.iter().filter(|row| row.gate == quiet_hours::GATE.id).flat_map(|row| &row.who);
    let contacts = waits.filter_map(|id| scene.contact(id));
    let rows = contacts.map(|contact| quiet_row(scene, &room.sub_org, &contact));
    rows.max_by_key(|row| (row["never_over"] == true, row["opens_at"].as_i64())).unwrap_or_default()
}

fn standing(scene: &Scene, message: Option<&Message>) -> Value {
    let standing = match message.map(|message| &message.body) {
        Some(Body::Template { name, language, .. }) => approval::not_approved(scene, name, language),
        Some(Body::Text(_) | Body::Wording { .. } | Body::Question { .. } | Body::Media { .. }) | None => None,
    };
    standing.map_or(Value::Null, |standing| standing.row())
}

fn before_it(scene: &Scene, room: &Room) -> u64 {
    let lane = OutboxLane::to_group(&room.key);
    scene.case.get::<OutboxLane>(&OutboxLane::key_of(&lane)).map_or(0, |lane| lane.waiting)
}
