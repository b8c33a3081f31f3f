//! `/dryrun`: runs a command or a text, tells what would go out to whom and when, and takes everything back.
use super::{ANY, Answer, Command, Given, PLAIN, TEXT, may_run, named_in, unknown};
use crate::domain::effect::*;
use crate::domain::entitlement::Permission;
use crate::domain::event::{Fact, Mention, RoomMessage};
use crate::domain::gates::quiet_hours;
use crate::domain::grammar::{self, Heard, Line};
use crate::domain::ids::*;
use crate::domain::native;
use crate::domain::refusal::Refusal;
use crate::domain::relay;
use crate::domain::scene::Scene;
use crate::domain::sending;
use crate::domain::sms_length;
use serde_json::{Value, json};

pub const DRYRUN: Command = Command {
    path: "dryrun",
    usage: "/dryrun <any command or text>",
    example: "/dryrun /contact add Ann Lee phone=+4915112345678 email=ann@lee.de channel=whatsapp --room",
    about: "what would go out, to whom, when; nothing is changed",
    needs: &[Permission::Chat, Permission::AuditRead],
    positional: &[TEXT],
    keys: &[ANY],
    flags: &[ANY],
    run: dryrun,
    ..PLAIN
};

/// How a played line ended.
enum Played {
    Text,
    Command {
        asks_first: bool,
    },
    /// The command would post its form.
    Form,
}

fn dryrun(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let text = given.args.rest.trim().to_owned();
    let Fact::RoomMessage(said) = &scene.event.fact else { return Err(Refusal::missing("text", DRYRUN.example)) };
    if text.is_empty() {
        return Err(Refusal::missing("text", DRYRUN.example));
    }
    let (mark, overfull, before) = (scene.mark(), scene.overfull, scene.effects.len());
    let played = play(scene, given, said, &text);
    let effects: Vec<Effect> = scene.effects[before..].to_vec();
    // Told before it is taken back: rooms and messages that it names exist only so long.
    let items: Vec<Value> = effects.iter().filter_map(|effect| told(scene, effect)).collect();
    scene.back_to(mark);
    scene.overfull = overfull;
    let reply = Reply::answer("dryrun").with("typed", sending::shortened(&text, 200)).with("now", scene.now.0);
    let reply = match played {
        Ok(Played::Text) => reply.with("items", items).with("asks_first", false).with("form", false),
        Ok(Played::Form) => reply.with("items", json!([])).with("asks_first", false).with("form", true),
        Ok(Played::Command { asks_first }) => reply.with("items", items).with("asks_first", asks_first).with("form", false),
        Err(refusal) => return Ok(Answer::Say(refused(reply, refusal))),
    };
    Ok(Answer::Say(reply.with("refused", Value::Null)))
}

/// Its code, and those of its words that tell why.
fn refused(reply: Reply, refusal: Refusal) -> Reply {
    let telling = ["argument", "permission", "why", "name", "channel", "count", "typed"];
    let words = refusal.vars.iter().filter(|(name, _)| telling.contains(name));
    let words: Vec<String> = words.filter_map(|(_, value)| value.as_str().map(str::to_owned)).collect();
    let reply = reply.with("items", json!([])).with("asks_first", false).with("form", false);
    reply.with("refused", json!({ "code": refusal.code, "words": words.join(" ") }))
}

fn play(scene: &mut Scene, given: &Given, said: &RoomMessage, text: &str) -> Result<Played, Refusal> {
    let bot = scene.policy.bot;
    let mentions: Vec<Mention> = said.mentions.iter().filter(|mention| mention.user != bot).cloned().collect();
    let said = RoomMessage { text: text.to_owned(), mentions, attachments: Vec::new(), ..said.clone() };
    match grammar::hear(text, &said.mentions, bot, given.room.is_none()) {
        Heard::Command(line) => play_command(scene, given, line),
        Heard::Escaped(text) => play_text(scene, given, &said, &text),
        Heard::NotForUs => play_text(scene, given, &said, text),
        Heard::Unfinished { after, .. } => {
            Err(Refusal::bad_argument("quotes", format!("were opened and never closed, before “{after}”"), DRYRUN.example))
        }
    }
}

fn play_text(scene: &mut Scene, given: &Given, said: &RoomMessage, text: &str) -> Result<Played, Refusal> {
    let Some(room) = &given.room else {
        return Err(Refusal::bad_argument("text", "goes to a client in a client room only", DRYRUN.example));
    };
    relay::advisor_wrote(scene, room, said, text);
    Ok(Played::Text)
}

fn play_command(scene: &mut Scene, given: &Given, line: Line) -> Result<Played, Refusal> {
    let Some((command, args)) = named_in(&line) else {
        return Err(unknown(&line, &given.rights, given.room.is_some()));
    };
    if command.path == DRYRUN.path {
        return Err(Refusal::bad_argument("text", "is a dry run itself", DRYRUN.example));
    }
    let inner = Given {
        // Looking somebody up is an act; a dry run leaves it.
        looked_up: true,
        ask: None,
        command,
        caller: given.caller.clone(),
        rights: given.rights.clone(),
        place: given.place.clone(),
        room: given.room.clone(),
        args,
        confirmed: false,
    };
    may_run(&inner)?;
    if inner.wants_form() {
        return Ok(Played::Form);
    }
    run(scene, inner)
}

/// What asks first is played as if it had been confirmed.
fn run(scene: &mut Scene, given: Given) -> Result<Played, Refusal> {
    let mark = scene.mark();
    let answer = (given.command.run)(scene, &given)?;
    if !matches!(answer, Answer::Confirm(_)) {
        return Ok(Played::Command { asks_first: false });
    }
    scene.back_to(mark);
    (given.command.run)(scene, &Given { confirmed: true, ..given })?;
    Ok(Played::Command { asks_first: true })
}

// ---- what would go out

fn told(scene: &Scene, effect: &Effect) -> Option<Value> {
    match effect {
        Effect::Send(send) => {
            let room = scene.message(&send.message).and_then(|message| message.room);
            let to = sending::contact_name(scene, room.as_ref(), &send.contact);
            let parts = parts(send.channel, &send.body);
            let gist = sending::gist(&send.body);
            Some(json!({ "kind": "message", "to": to, "channel": send.channel.name(), "gist": gist, "parts": parts }))
        }
        // The room that is opened, or the message that goes, is told already.
        Effect::Post { reply, .. } if matches!(reply.code, Code::RoomOpened | Code::Released) => None,
        Effect::Post { place, reply } => Some(told_line(scene, place, reply)),
        Effect::OpenRoom(open) => {
            let room = scene.room(&open.key);
            let invite = room.clone().and_then(|room| room.opening).map(|opening| opening.invite).unwrap_or_default();
            let (asked, others): (Vec<&ContactId>, Vec<_>) = invite.iter().partition(|id| is_asked(scene, &open.key, id));
            let names = |ids: Vec<&ContactId>| -> Vec<String> {
                ids.into_iter().map(|id| sending::contact_name(scene, Some(&open.key), id)).collect()
            };
            let native = room.and_then(|room| room.native);
            // Of a WhatsApp group those who have agreed get the link once it stands.
            let linked = if native.is_some() {
                names(others.into_iter().filter(|id| has_agreed(scene, id)).collect())
            } else {
                Vec::new()
            };
            let group = native.map(|native| native.subject);
            Some(json!({ "kind": "room", "name": open.name, "invited": names(asked), "group": group, "linked": linked }))
        }
        Effect::AddMember { stream, user, .. } => Some(told_member(scene, "joins", stream, *user)),
        Effect::RemoveMember { stream, user } => Some(told_member(scene, "leaves", stream, *user)),
        Effect::DeactivateRoom { stream } => {
            Some(json!({ "kind": "closed", "room": scene.room_of_stream(stream).map(|room| room.name) }))
        }
        Effect::RenameRoom(rename) => {
            let from = scene.room_of_stream(&rename.stream).map(|room| room.name);
            Some(json!({ "kind": "renamed", "room": from, "to": rename.name }))
        }
        Effect::DemoteMember { stream, user } => Some(told_member(scene, "demoted", stream, *user)),
        Effect::Group(GroupAct { call: GroupCall::Picture { file, .. }, .. }) => {
            Some(json!({ "kind": "picture", "file": file.name }))
        }
        Effect::Group(GroupAct { room, call: GroupCall::Link { .. }, .. }) => {
            let invited = scene.room(room).map(|room| native::without_link(scene, &room)).unwrap_or_default();
            let names: Vec<String> = invited.iter().map(|id| sending::contact_name(scene, Some(room), id)).collect();
            Some(json!({ "kind": "link", "linked": names }))
        }
        Effect::AcceptConnection { .. } | Effect::FindUser { .. } | Effect::Group(_) | Effect::Fetch(_) | Effect::Upload(_) => {
            None
        }
    }
}

fn has_agreed(scene: &Scene, contact: &ContactId) -> bool {
    scene.contact(contact).is_some_and(|contact| contact.consent(Channel::WhatsApp).is_opted_in())
}

/// Only who was never asked gets the invitation of a new room.
fn is_asked(scene: &Scene, room: &RoomKey, contact: &ContactId) -> bool {
    let channel = scene.room(room).map(|room| room.channel);
    let contact = scene.contact(contact);
    channel.zip(contact).is_some_and(|(channel, contact)| contact.consent(channel).since().is_none())
}

fn told_line(scene: &Scene, place: &Place, reply: &Reply) -> Value {
    let name = reply.vars.get("name").cloned().unwrap_or_default();
    let kind = match reply.code {
        Code::Held => "held",
        Code::Refusal => "refused",
        Code::Confirm => "question",
        Code::Answer
        | Code::Form
        | Code::ClientMessage
        | Code::Released
        | Code::ConsentYes
        | Code::ConsentNo
        | Code::ConsentReview
        | Code::NotOnWhatsapp
        | Code::Failed
        | Code::Unconfirmed
        | Code::Expired
        | Code::Withdrawn
        | Code::RoomOpened
        | Code::Notice
        | Code::Info => "line",
    };
    let held_up = reply.contact.as_ref().filter(|_| reply.reason.as_deref() == Some(quiet_hours::GATE.id));
    let contact = held_up.and_then(|id| scene.contact(id));
    let message = reply.message.as_ref().and_then(|id| scene.message(id));
    let room = message.as_ref().and_then(|message| message.room.as_ref());
    let sub_org = room.map(|room| scene.sub_org_of(room)).unwrap_or_default();
    let at = contact.and_then(|contact| quiet_hours::opens_at(scene.policy, &sub_org, &contact, scene.now));
    let reason = reply.reason.clone();
    let parts = message.and_then(|message| parts(message.channel, &message.body));
    json!({ "kind": kind, "to": name, "where": place_name(scene, place), "reason": reason, "at": at, "parts": parts })
}

/// In how many parts a text leaves, where the channel counts so.
fn parts(channel: Channel, body: &Body) -> Option<usize> {
    match (channel, body) {
        (Channel::Sms, Body::Text(text)) => Some(sms_length::parts(text).0),
        (Channel::WhatsApp | Channel::Sms, _) => None,
    }
}

fn place_name(scene: &Scene, place: &Place) -> String {
    let room_name = |name: Option<String>| name.unwrap_or_else(|| "this chat".to_owned());
    match place {
        Place::Stream(stream) => room_name(scene.room_of_stream(stream).map(|room| room.name)),
        Place::Room(key) => room_name(scene.room(key).map(|room| room.name)),
        Place::Direct(user) => scene.user_name(*user),
        Place::DirectByEmail(email) => email.clone(),
    }
}

fn told_member(scene: &Scene, kind: &str, stream: &StreamId, user: UserId) -> Value {
    let room = scene.room_of_stream(stream).map(|room| room.name);
    json!({ "kind": kind, "to": scene.user_name(user), "room": room })
}
