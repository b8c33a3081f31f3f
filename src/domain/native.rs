//! Native WhatsApp groups: asked for, made, joined and left; what the firm, the clients and the provider do to them.
use super::commit::Entry;
use super::effect::GroupAct;
use super::event::GroupTold;
use super::scene::{PROGRAM, Scene};
use serde_json::json;

pub fn told(scene: &mut Scene, told: &GroupTold) {
    let detail = json!({ "line": told.line, "group": told.group });
    scene.note(Entry::new("group.told", "whatsapp").told_at(scene.event.at).detail(detail));
}

pub fn call_done(scene: &mut Scene, act: &GroupAct, answer: Option<&str>) {
    scene.note(Entry::new("group.call_done", PROGRAM).room(&act.room).detail(json!({ "call": act.call, "answer": answer })));
}

pub fn call_failed(scene: &mut Scene, act: &GroupAct, code: &str, detail: &str) {
    let detail = json!({ "call": act.call, "code": code, "detail": detail });
    scene.note(Entry::new("group.call_failed", PROGRAM).room(&act.room).detail(detail));
}
