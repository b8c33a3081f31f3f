//! `/why`: the gate's rows in order for a contact or a message, the first that does not say yes, and how to clear it.
use super::views::{self, message_id, message_seen};
use super::why_group::{self, IntoGroup};
use super::{Answer, Command, Given, PLAIN};
use crate::domain::approval;
use crate::domain::contact::Contact;
use crate::domain::effect::{Body, Reply};
use crate::domain::entitlement::Permission;
use crate::domain::gates::quiet_hours::{self, Quiet};
use crate::domain::gates::{self, Subject, Verdict};
use crate::domain::ids::*;
use crate::domain::inbound::Inbound;
use crate::domain::lane::OutboxLane;
use crate::domain::message::Message;
use crate::domain::refusal::Refusal;
use crate::domain::room::Room;
use crate::domain::scene::Scene;
use crate::domain::sending;
use crate::domain::time::Timestamp;
use serde_json::{Value, json};

pub const WHY: Command = Command {
    path: "why",
    usage: "/why <contact> or /why <m-…>",
    example: "/why Ann Lee",
    about: "what lets a message go or holds it, and how to clear that",
    needs: &[Permission::Chat, Permission::AuditRead],
    positional: &["contact"],
    one_text_from: Some(0),
    run: why,
    ..PLAIN
};

/// Whose message to whom, where; kept by value because a subject only borrows.
struct Question {
    author: UserId,
    contact: Contact,
    room: Option<Room>,
    channel: Channel,
    line: LineId,
    free_text: bool,
}

fn why(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    match given.text(0).and_then(message_id) {
        Some(id) => of_message(scene, given, &id),
        None => of_contact(scene, given),
    }
}

fn of_message(scene: &mut Scene, given: &Given, id: &MessageId) -> Result<Answer, Refusal> {
    let unknown = || Refusal::bad_argument("message", "is not one that you may see", "/queue list");
    if let Some(inbound) = scene.case.get::<Inbound>(&Inbound::key_of(id)) {
        return of_client_message(scene, given, &inbound).ok_or_else(unknown)?;
    }
    let message: Message = message_seen(scene, given, id).ok_or_else(unknown)?;
    let contact = scene.contact(&message.contact);
    match &contact {
        Some(contact) => views::may_look(given, contact, Permission::AuditRead)?,
        None => views::may_look_at(given, message.channel, Permission::AuditRead)?,
    }
    let Some(author) = message.advisor() else {
        let why = match message.passed_on_from() {
            Some(_) => "is another client's, passed on; /why with the contact's name tells what it waits for",
            None => "is the program's own; only advisors' messages pass the gate",
        };
        return Err(Refusal::bad_argument("message", why, WHY.example));
    };
    let room = message.room.as_ref().and_then(|key| scene.room(key));
    if let Some((room, native)) = room.as_ref().and_then(|room| Some((room, room.native.as_ref()?)))
        && message.to_group
    {
        return Ok(into_group(scene, given, &IntoGroup { room, native, author, message: Some(&message) }));
    }
    let contact = contact.ok_or_else(unknown)?;
    let question = Question {
        author,
        room,
        channel: message.channel,
        line: message.line.clone(),
        free_text: message.is_free_text(),
        contact,
    };
    let reply = told(scene, given, &question).of(&message.id).with("state", message.state.name());
    let reply = with_template(scene, &question, &message, reply);
    Ok(views::where_it_belongs(scene, given, Some(&question.contact.id), reply))
}

/// A client's message: which room it was put into, by which rule, and who moved it. None for those who may not see it.
fn of_client_message(scene: &mut Scene, given: &Given, inbound: &Inbound) -> Option<Result<Answer, Refusal>> {
    let room = scene.room(&inbound.room)?;
    let reads_all = given.rights.may(Permission::AuditRead, None);
    if !reads_all && !room.members.contains_key(&given.caller.id) {
        return None;
    }
    // Rooms that share a line and a contact have one sub-organisation, so naming them tells nobody what is not his.
    let named =
        |key: &RoomKey| scene.room(key).filter(|other| reads_all || other.sub_org == room.sub_org).map(|other| other.name);
    let others: Vec<String> = inbound.others.iter().filter_map(named).collect();
    let moves =
        inbound.moves.iter().map(|moved| json!({ "from": named(&moved.from), "by": scene.user_name(moved.by), "at": moved.at }));
    let moves: Vec<Value> = moves.collect();
    let quoted = inbound.quoted.as_ref().and_then(|id| scene.message(id)).map(|message| sending::gist(&message.body));
    let reply = Reply::answer("why-client-message").about(&inbound.contact).of(&inbound.id).because(inbound.rule.clone());
    let reply = reply
        .with("name", views::name_in(scene, given, &room, &inbound.contact))
        .with("room", room.name)
        .with("rule", inbound.rule.clone())
        .with("others", others)
        .with("moves", moves)
        .with("quoted", quoted)
        .with("channel", inbound.channel.name())
        .with("at", inbound.at.0)
        .with("now", scene.now.0);
    Some(Ok(views::where_it_belongs(scene, given, Some(&inbound.contact), reply)))
}

/// Behind the gates a template also needs the account's approval; the row stands there only where it is in the way.
fn with_template(scene: &Scene, question: &Question, message: &Message, reply: Reply) -> Reply {
    let Some((id, verdict)) = approval::objection(scene, std::slice::from_ref(&question.contact), message) else { return reply };
    let mut reply = reply;
    if let Some(Value::Array(rows)) = reply.vars.get_mut("rows") {
        rows.push(json!({ "gate": id, "ok": false }));
    }
    let first = reply.vars.get("blocker").is_none_or(Value::is_null);
    if !first {
        return reply;
    }
    let standing = match &message.body {
        Body::Template { name, language, .. } => approval::not_approved(scene, name, language),
        Body::Text(_) | Body::Wording { .. } | Body::Question { .. } | Body::Media { .. } => None,
    };
    let row = standing.map_or(Value::Null, |standing| standing.row());
    reply.because(id).with("blocker", id).with("holds", verdict == Verdict::Hold).with("standing", row)
}

fn into_group(scene: &mut Scene, given: &Given, asked: &IntoGroup) -> Answer {
    let reply = why_group::told(scene, given, asked);
    let reply = asked.message.into_iter().fold(reply, |reply, message| reply.of(&message.id));
    views::where_it_belongs(scene, given, Some(&ContactId::of_group(&asked.room.key)), reply)
}

/// In a native group's room what is written goes to all of them, whoever is named.
fn of_contact(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let group = given.room.as_ref().and_then(|room| Some((room, room.native.as_ref()?)));
    if let (Some((room, native)), None) = (group, given.text(0)) {
        views::may_look_at(given, room.channel, Permission::AuditRead)?;
        let author = author_in(given, Some(room));
        return Ok(into_group(scene, given, &IntoGroup { room, native, author, message: None }));
    }
    let contact = given.contact(scene, 0)?;
    views::may_look(given, &contact, Permission::AuditRead)?;
    let question = next_text(scene, given, contact);
    if let Some((room, native)) = question.room.as_ref().and_then(|room| Some((room, room.native.as_ref()?))) {
        return Ok(into_group(scene, given, &IntoGroup { room, native, author: question.author, message: None }));
    }
    let reply = told(scene, given, &question).with("state", Value::Null);
    Ok(views::where_it_belongs(scene, given, Some(&question.contact.id), reply))
}

/// The next text that the caller would write; for one who only reads, that of the room's owner.
fn next_text(scene: &Scene, given: &Given, contact: Contact) -> Question {
    let reads_only = !given.rights.may(Permission::Chat, None);
    let any_room = || contact.rooms.iter().filter_map(|key| scene.room(key)).find(|room| room.is_live());
    let own = given.room_with(scene, &contact, None);
    let room = if reads_only { own.or_else(any_room) } else { own };
    let channels = || contact.channels.keys().copied();
    let channel = room.as_ref().map(|room| room.channel).or_else(|| channels().find(|c| given.rights.may_use(*c)));
    let channel = channel.or_else(|| channels().next()).unwrap_or(Channel::WhatsApp);
    let line = room.as_ref().map(|room| room.line.clone()).or_else(|| contact.on(channel).line);
    let line = line.or_else(|| scene.policy.lines_of(channel).next().map(|line| line.id.clone()));
    Question {
        author: author_in(given, room.as_ref()),
        line: line.unwrap_or_else(|| LineId::new("")),
        room,
        channel,
        contact,
        free_text: true,
    }
}

/// The caller, or for one who only reads the room's owner.
fn author_in(given: &Given, room: Option<&Room>) -> UserId {
    let reads_only = !given.rights.may(Permission::Chat, None);
    room.and_then(Room::owner).filter(|_| reads_only).unwrap_or(given.caller.id)
}

fn told(scene: &Scene, given: &Given, question: &Question) -> Reply {
    let rights = scene.rights(question.author);
    let subject = Subject {
        now: scene.now,
        policy: scene.policy,
        author: question.author,
        rights: &rights,
        contact: &question.contact,
        room: question.room.as_ref(),
        channel: question.channel,
        line: &question.line,
        free_text: question.free_text,
    };
    let verdicts = gates::all_verdicts(&subject);
    let blocker = verdicts.iter().find(|(_, verdict)| *verdict != Verdict::Pass);
    let rows: Vec<Value> =
        verdicts.iter().map(|(gate, verdict)| json!({ "gate": gate, "ok": *verdict == Verdict::Pass })).collect();
    let template_goes = gates::first_objection(&Subject { free_text: false, ..subject }).is_none();
    let name = match &question.room {
        Some(room) => views::name_in(scene, given, room, &question.contact.id),
        None => given.name_of(scene, &question.contact),
    };
    Reply::answer("why")
        .about(&question.contact.id)
        .because(blocker.map_or("", |(gate, _)| *gate))
        .with("name", name)
        .with("channel", question.channel.name())
        .with("author", scene.user_name(question.author))
        .with("own", question.author == given.caller.id)
        .with("free_text", question.free_text)
        .with("rows", rows)
        .with("blocker", blocker.map(|(gate, _)| *gate))
        .with("holds", blocker.is_some_and(|(_, verdict)| *verdict == Verdict::Hold))
        .with("consent", question.contact.consent(question.channel).name())
        .with("template_goes", template_goes)
        .with("quiet", quiet_of(scene, question))
        .with("ask_again_at", ask_again_at(scene, question).map(|at| at.0))
        .with("before_it", before_it(scene, question))
        .with("now", scene.now.0)
}

fn quiet_of(scene: &Scene, question: &Question) -> Value {
    let sub_org = question.room.as_ref().map_or_else(|| scene.rights(question.author).sub_org, |room| room.sub_org.clone());
    quiet_row(scene, &sub_org, &question.contact)
}

/// What the gate of the quiet hours goes by: the client's clocks, and when they are all open. Null where it is switched off.
pub fn quiet_row(scene: &Scene, sub_org: &str, contact: &Contact) -> Value {
    if scene.policy.quiet_hours_of(sub_org).is_none() {
        return Value::Null;
    }
    let zones: Vec<String> = quiet_hours::zones(scene.policy, contact).iter().map(quiet_hours::zone_name).collect();
    let row = |opens_at: Option<i64>, clock: &str, zone: &str, never_over: bool| json!({ "zones": zones, "opens_at": opens_at, "clock": clock, "zone": zone, "never_over": never_over });
    match quiet_hours::quiet(scene.policy, sub_org, contact, scene.now) {
        Quiet::No => row(None, "", "", false),
        Quiet::NeverOver => row(None, "", "", true),
        Quiet::Until(opening) => row(Some(opening.at.0), &opening.clock, &opening.zone, false),
    }
}

/// S3-20: from when on a request may be repeated.
fn ask_again_at(scene: &Scene, question: &Question) -> Option<Timestamp> {
    let consent = question.contact.consent(question.channel);
    consent.since().filter(|_| consent.is_pending()).map(|asked_at| asked_at + scene.policy.resend_after)
}

/// Pacing is part of no gate: how many messages to this client are on their way out already.
fn before_it(scene: &Scene, question: &Question) -> u64 {
    let lane = OutboxLane::to_contact(question.channel, &question.contact.id);
    scene.case.get::<OutboxLane>(&OutboxLane::key_of(&lane)).map_or(0, |lane| lane.waiting)
}
