//! A line of the firm stops, or works again: those with `admin` are told, once each time.
use super::case::Record;
use super::commit::{Entry, Key};
use super::effect::{Code, Reply};
use super::event::LineTrouble;
use super::ids::*;
use super::scene::{PROGRAM, Scene};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// A line that stopped; there is no record of one that works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoppedLine {
    pub line: LineId,
    pub trouble: LineTrouble,
}

impl StoppedLine {
    pub fn key_of(line: &LineId) -> Key {
        Key::new("stoppedline", line)
    }
}

impl Record for StoppedLine {
    fn key(&self) -> Key {
        StoppedLine::key_of(&self.line)
    }
    fn sealed_for(&self) -> Option<ContactId> {
        None
    }
}

pub fn troubled(scene: &mut Scene, line: &LineId, trouble: &LineTrouble) {
    let known: Option<StoppedLine> = scene.case.get(&StoppedLine::key_of(line));
    if known.is_some_and(|known| known.trouble.code == trouble.code) {
        return;
    }
    scene.put(&StoppedLine { line: line.clone(), trouble: trouble.clone() });
    let detail = json!({ "line": line, "code": trouble.code, "detail": trouble.detail });
    scene.note(Entry::new("line.stopped", PROGRAM).told_at(trouble.since).detail(detail));
    let reply = Reply::new(Code::Notice, "line-troubled").because(trouble.code.clone());
    let provider = match line.channel() {
        Channel::WhatsApp => "WhatsApp",
        Channel::Sms => "Twilio",
    };
    let reply = reply.with("provider", provider);
    let reply = reply.with("provider_code", trouble.code.clone()).with("detail", trouble.detail.clone());
    tell_admins(scene, line, reply);
}

pub fn works(scene: &mut Scene, line: &LineId) {
    if !scene.case.holds(&StoppedLine::key_of(line)) {
        return;
    }
    scene.case.remove::<StoppedLine>(&StoppedLine::key_of(line));
    scene.note(Entry::new("line.works_again", PROGRAM).detail(json!({ "line": line })));
    tell_admins(scene, line, Reply::new(Code::Notice, "line-works-again"));
}

fn tell_admins(scene: &mut Scene, line: &LineId, reply: Reply) {
    let known = scene.policy.line(line);
    let number = known.map_or_else(|| line.to_string(), |line| line.number.e164().to_owned());
    let name = known.map_or("", |line| line.name.as_str()).to_owned();
    let reply = reply.with("number", number).with("line_name", name);
    for admin in scene.admins() {
        scene.post(admin, reply.clone());
    }
}
