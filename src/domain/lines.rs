//! A line of the firm stops, or works again: those with `admin` are told, once each time.
//!
//! What stops it stands in the answer to a send, or in a status that comes after the message was taken. The first is over when
//! a message is taken, the second only when a message that was taken later has a better end.
use super::case::Record;
use super::commit::{Entry, Key};
use super::effect::{Code, Reply};
use super::event::LineTrouble;
use super::ids::*;
use super::message::Message;
use super::scene::{PROGRAM, Scene};
use super::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// A status that is older tells nothing of how the line does now: a restricted line is tried once in such a time.
const TELLS_OF_NOW: Span = Span::hours(1);

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
    /// The line of which a record with this key tells.
    pub fn line_of(key: &Key) -> Option<LineId> {
        key.as_str().strip_prefix("stoppedline/").map(LineId::new)
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

/// A status says that the provider refuses the line, perhaps for a message of another program of the firm.
pub fn refused_by_status(scene: &mut Scene, line: &LineId, code: &str, detail: &str, told_at: Timestamp) {
    if scene.policy.line(line).is_none() || scene.now - told_at > TELLS_OF_NOW {
        return;
    }
    let trouble = LineTrouble { code: code.to_owned(), detail: detail.to_owned(), since: scene.now, by_status: true };
    troubled(scene, line, &trouble);
}

/// This message went well: a line that had stopped before it was taken works again.
pub fn went_well(scene: &mut Scene, message: &Message) {
    let stopped: Option<StoppedLine> = scene.case.get(&StoppedLine::key_of(&message.line));
    let over = |stopped: &StoppedLine| stopped.trouble.by_status && message.sent_at.is_some_and(|at| at > stopped.trouble.since);
    if stopped.as_ref().is_some_and(over) {
        works(scene, &message.line);
    }
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
