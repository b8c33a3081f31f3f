//! `/template list`, `show` and `send`: approved messages that may go at any time, after a preview.
use super::sms::not_on_whatsapp;
use super::{Answer, Command, Given, PLAIN};
use crate::domain::approval;
use crate::domain::contact::Contact;
use crate::domain::effect::{Body, Code, Reply};
use crate::domain::entitlement::Permission;
use crate::domain::gates::{Subject, Verdict, first_objection};
use crate::domain::ids::*;
use crate::domain::native::{self, Native};
use crate::domain::policy::DEFAULT_LANGUAGE;
use crate::domain::refusal::Refusal;
use crate::domain::relay;
use crate::domain::room::Room;
use crate::domain::saying::{self};
use crate::domain::scene::Scene;
use crate::domain::sending::{Accepted, Draft, accept};
use crate::domain::suggest;
use crate::domain::time::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub const LIST: Command = Command {
    path: "template list",
    usage: "/template list",
    example: "/template list",
    about: "the templates that you may send at any time",
    needs: &[Permission::TemplateSend],
    run: list,
    ..PLAIN
};

pub const SHOW: Command = Command {
    path: "template show",
    usage: "/template show <name>",
    example: "/template show follow_up",
    about: "one template with its words and parameters",
    needs: &[Permission::TemplateSend],
    positional: &["name"],
    run: show,
    ..PLAIN
};

pub const SEND: Command = Command {
    path: "template send",
    usage: "/template send <name> [key=value…] [to=<contact>]",
    example: "/template send follow_up to=\"Ann Lee\"",
    about: "send a template; it may go into a closed window",
    needs: &[Permission::TemplateSend],
    positional: &["name", "to"],
    keys: &["to"],
    one_text_from: Some(1),
    form: true,
    run: send,
    ..PLAIN
};

/// WhatsApp's limit of a template's body with its values, in characters.
const TEMPLATE_MAX: usize = 1_024;

/// The program's own templates are sent by the program only.
fn is_advisors(name: &str) -> bool {
    !name.starts_with("liaison_")
}

fn list(scene: &mut Scene, _given: &Given) -> Result<Answer, Refusal> {
    let templates: Vec<Value> = scene
        .policy
        .templates
        .iter()
        .filter(|(name, _)| is_advisors(name))
        .map(|(name, languages)| {
            let languages: Vec<&String> = languages.keys().collect();
            json!({ "name": name, "languages": languages, "not_approved": not_approved(scene, name, &languages) })
        })
        .collect();
    Ok(Answer::Say(Reply::answer("template-list").with("templates", templates)))
}

fn show(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let name = known_template(scene, given.needed(0)?)?;
    let languages = &scene.policy.templates[&name];
    let parameters = own_parameters(languages.values().next().map(Vec::as_slice).unwrap_or_default());
    let languages: Vec<&String> = languages.keys().collect();
    let reply = Reply::answer("template-show").with("template", name.clone()).with("parameters", json!(parameters));
    let reply = reply.with("not_approved", not_approved(scene, &name, &languages));
    Ok(Answer::Say(reply.with("languages", json!(languages))))
}

/// In which of these languages it may not be sent now, and how it stands there.
fn not_approved(scene: &Scene, name: &str, languages: &[&String]) -> Vec<Value> {
    let of = |language: &&String| approval::not_approved(scene, name, language).map(|standing| standing.row());
    languages.iter().filter_map(of).collect()
}

/// To whom it goes: one contact, or all who are in a native group.
struct Addressee {
    id: ContactId,
    name: String,
    room: Room,
    /// Who reads it; nobody yet in a group that nobody has joined.
    readers: Vec<Contact>,
}

impl Addressee {
    fn group(&self) -> Option<&Native> {
        self.room.native.as_ref().filter(|_| self.id.group().is_some())
    }
    fn window_is_open(&self, now: Timestamp) -> bool {
        match self.group() {
            Some(native) => native.window.is_open(now),
            None => self.readers.iter().all(|contact| contact.on(self.room.channel).window(&self.room.line).is_open(now)),
        }
    }
}

fn send(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let template = known_template(scene, given.needed(0)?)?;
    let to = addressee(scene, given)?;
    let body = filled(scene, given, &to, &template)?;
    may_go(scene, given, &to)?;
    is_approved(scene, given, &to, &body)?;
    let about = |reply: Reply| {
        reply
            .about(&to.id)
            .with("name", to.name.clone())
            .with("template", template.clone())
            .with("to_group", to.group().is_some())
    };
    if !given.confirmed {
        let card = about(Reply::new(Code::Confirm, "confirm-template")).with("window_open", to.window_is_open(scene.now));
        return Ok(Answer::Confirm(card.with("body", json!(body))));
    }
    let draft = Draft { room: &to.room, contact: &to.id, author: given.caller.id, body, chat_message: None };
    match accept(scene, draft) {
        Accepted::Ready(message) => Ok(Answer::Say(about(Reply::answer("template-sent")).of(&message))),
        Accepted::Held(message, gate) => {
            let row = to.group().map(|_| native::hindrance(scene, &to.room, given.caller.id, false, gate));
            Ok(Answer::Say(about(Reply::answer("template-held")).of(&message).with("gate", gate).with("row", row)))
        }
        Accepted::Refused(gate) => Err(refused(scene, given, &to, gate)),
        Accepted::Full(count) => Err(relay::too_many(scene, &to.room, &to.id, count)),
    }
}

/// In a native group's room all of them, unless one is named; elsewhere the contact and the room with him.
fn addressee(scene: &Scene, given: &Given) -> Result<Addressee, Refusal> {
    let names_one = given.key("to").is_some() || given.text(1).is_some();
    if let Some(room) = given.room.as_ref().filter(|room| room.is_native() && !names_one) {
        let (id, readers) = (ContactId::of_group(&room.key), native::readers(scene, &room.key));
        return Ok(Addressee { id, name: room.name.clone(), room: room.clone(), readers });
    }
    let contact = recipient(scene, given)?;
    let name = given.name_of(scene, &contact);
    let alone = given.room_with(scene, &contact, Some(Channel::WhatsApp)).filter(|room| !room.is_native());
    if let Some(room) = alone.or_else(|| room_alone_with(scene, given, &contact)) {
        return Ok(Addressee { id: contact.id.clone(), name, room, readers: vec![contact] });
    }
    if given.room.as_ref().is_some_and(|room| room.channel == Channel::Sms) {
        let why = "is WhatsApp's; an SMS needs none, write it in your own words";
        return Err(Refusal::bad_argument("template", why, SEND.example));
    }
    Err(Refusal::new("membership").about(&contact.id).with("name", name))
}

/// Of the caller's rooms with him the one used last, native groups left out: they have many readers.
fn room_alone_with(scene: &Scene, given: &Given, contact: &Contact) -> Option<Room> {
    let rooms = contact.rooms.iter().filter_map(|key| scene.room(key)).filter(|room| room.is_live() && !room.is_native());
    let mine = rooms.filter(|room| room.channel == Channel::WhatsApp && room.members.contains_key(&given.caller.id));
    mine.max_by_key(|room| room.last_exchange_with(&contact.id))
}

fn recipient(scene: &Scene, given: &Given) -> Result<Contact, Refusal> {
    match given.key("to") {
        Some(text) => super::find_contact(scene, given, text),
        None => given.contact(scene, 1),
    }
}

fn known_template(scene: &Scene, typed: &str) -> Result<String, Refusal> {
    let known = scene.policy.templates.keys().filter(|name| is_advisors(name));
    if let Some(name) = known.clone().find(|name| *name == typed) {
        return Ok(name.clone());
    }
    let near = suggest::suggest(typed, known.map(String::as_str));
    let why = if near.is_empty() {
        "is no template of ours".to_owned()
    } else {
        format!("is no template of ours; near: {}", near.join(", "))
    };
    Err(Refusal::bad_argument("name", why, "/template list"))
}

/// Parameters that the program does not fill by itself.
fn own_parameters(all: &[String]) -> Vec<String> {
    all.iter().filter(|name| !saying::STANDARD_VARIABLES.contains(&name.as_str())).cloned().collect()
}

fn filled(scene: &Scene, given: &Given, to: &Addressee, name: &str) -> Result<Body, Refusal> {
    let languages = &scene.policy.templates[name];
    let wanted = saying::language_for_all(scene, &to.readers);
    let language = if languages.contains_key(wanted) { wanted } else { DEFAULT_LANGUAGE };
    let Some(parameters) = languages.get(language) else {
        return Err(Refusal::new("not-approved").with("template", name).with("language", language));
    };
    let own = own_parameters(parameters);
    let mut more = BTreeMap::new();
    for parameter in &own {
        let value = given.key(parameter);
        let example = format!("/template send {name} {parameter}=\"…\"");
        let value = value
            .ok_or_else(|| Refusal::new("missing-parameter").with("parameter", parameter.clone()).with("example", example))?;
        more.insert(parameter.clone(), value.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    let stray = given.args.keys.keys().find(|key| *key != "to" && !own.contains(key));
    if let Some(key) = stray {
        return Err(Refusal::bad_argument(key, "is no parameter of this template", given.command.usage));
    }
    let speaker = given.caller.id;
    let filled = match (to.group(), to.readers.first()) {
        (Some(native), _) => {
            if saying::greeting(scene, &native.subject, name, language).is_none() {
                let refusal =
                    Refusal::new("missing-parameter").with("parameter", "contact.last").with("group", native.subject.clone());
                return Err(refusal.with("example", format!("/template send {name} to=…")));
            }
            more.insert("advisor.name".to_owned(), scene.user_name(speaker));
            saying::body_for_all(scene, &to.room, &native.subject, &to.readers, name, more)
        }
        (None, Some(contact)) => saying::template_body(scene, contact, Some(&to.room.key), Some(speaker), name, more),
        (None, None) => return Err(Refusal::new("no-such-contact")),
    };
    let body = match filled {
        Body::Template { name, vars, .. } => Body::Template { name, language: language.to_owned(), vars },
        other => other,
    };
    fits(scene, &body)?;
    Ok(body)
}

/// The values make it no longer than WhatsApp takes.
fn fits(scene: &Scene, body: &Body) -> Result<(), Refusal> {
    let Body::Template { name, language, vars } = body else { return Ok(()) };
    let Some(filed) = scene.policy.filed(name, language) else { return Ok(()) };
    let value = |place: &String| vars.get(place).map_or(0, |value| value.chars().count());
    let length = filed.fixed + filed.places.iter().map(value).sum::<usize>();
    if length > TEMPLATE_MAX {
        return Err(Refusal::new("too-long").with("length", length).with("most", TEMPLATE_MAX));
    }
    Ok(())
}

/// The account has approved exactly these words, and no reader has refused messages of this kind.
fn is_approved(scene: &Scene, given: &Given, to: &Addressee, body: &Body) -> Result<(), Refusal> {
    let Body::Template { name, language, .. } = body else { return Ok(()) };
    let refuses = to.readers.iter().find(|contact| contact.on(to.room.channel).wants_no_marketing());
    if let Some(contact) = refuses.filter(|_| approval::is_marketing(scene, name, language)) {
        let name = given.name_of(scene, contact);
        return Err(Refusal::new("opted-out").about(&contact.id).with("name", name).with("marketing", true));
    }
    match approval::not_approved(scene, name, language) {
        Some(standing) => {
            let refusal = Refusal::new("not-approved").with("template", name.clone()).with("language", language.clone());
            Err(refusal.with("standing", standing.row()))
        }
        None => Ok(()),
    }
}

fn may_go(scene: &mut Scene, given: &Given, to: &Addressee) -> Result<(), Refusal> {
    let objection = match (to.group(), to.readers.first()) {
        (Some(native), _) => native::first_objection(scene, &to.room, native, given.caller.id, false),
        (None, Some(contact)) => first_objection(&Subject {
            now: scene.now,
            policy: scene.policy,
            author: given.caller.id,
            rights: &given.rights,
            contact,
            room: Some(&to.room),
            channel: to.room.channel,
            line: &to.room.line,
            free_text: false,
        }),
        (None, None) => None,
    };
    match objection {
        Some((gate, Verdict::Refuse)) => Err(refused(scene, given, to, gate)),
        Some((_, Verdict::Hold | Verdict::Pass)) | None => Ok(()),
    }
}

fn refused(scene: &mut Scene, given: &Given, to: &Addressee, gate: &'static str) -> Refusal {
    let alone = to.readers.first().filter(|_| to.group().is_none());
    if let Some(contact) = alone.filter(|contact| gate == "address" && contact.consent(Channel::WhatsApp).is_unreachable()) {
        return not_on_whatsapp(scene, given, contact, to.name.clone());
    }
    // After a no the refusal bears the code of COMMANDS, otherwise the gate's id.
    let code = if gate == "consent" { "opted-out" } else { gate };
    let nobody = to.group().is_some() && to.readers.is_empty();
    Refusal::new(code).about(&to.id).with("name", to.name.clone()).with("nobody", nobody)
}
