//! `/template list`, `show` and `send`: approved messages that may go at any time, after a preview.
use super::sms::not_on_whatsapp;
use super::{Answer, Command, Given, PLAIN};
use crate::domain::approval;
use crate::domain::contact::Contact;
use crate::domain::effect::{Body, Code, Reply};
use crate::domain::entitlement::Permission;
use crate::domain::gates::{Subject, Verdict, first_objection};
use crate::domain::ids::*;
use crate::domain::policy::DEFAULT_LANGUAGE;
use crate::domain::refusal::Refusal;
use crate::domain::relay;
use crate::domain::room::Room;
use crate::domain::saying::{self};
use crate::domain::scene::Scene;
use crate::domain::sending::{Accepted, Draft, accept};
use crate::domain::suggest;
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

fn send(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let name = known_template(scene, given.needed(0)?)?;
    let (contact, room) = addressee(scene, given)?;
    let name_of = room.native.as_ref().map_or_else(|| given.name_of(scene, &contact), |native| native.subject.clone());
    let body = filled(scene, given, &contact, &room, &name)?;
    may_go(scene, given, &contact, &room)?;
    is_approved(scene, given, &contact, &room, &body)?;
    if !given.confirmed {
        let card = Reply::new(Code::Confirm, "confirm-template").about(&contact.id).with("name", name_of);
        let window_open = contact.on(room.channel).window(&room.line).is_open(scene.now);
        return Ok(Answer::Confirm(card.with("template", name).with("body", json!(body)).with("window_open", window_open)));
    }
    let draft = Draft { room: &room, contact: &contact.id, author: given.caller.id, body, chat_message: None };
    match accept(scene, draft) {
        Accepted::Ready(message) => {
            let reply = Reply::answer("template-sent").about(&contact.id).of(&message).with("name", name_of);
            Ok(Answer::Say(reply.with("template", name)))
        }
        Accepted::Held(message, gate) => {
            let reply = Reply::answer("template-held").about(&contact.id).of(&message).with("name", name_of);
            Ok(Answer::Say(reply.with("template", name).with("gate", gate)))
        }
        Accepted::Refused(gate) => Err(refused(scene, given, &contact, gate)),
        Accepted::Full(count) => Err(relay::too_many(scene, &room, &contact.id, count)),
    }
}

/// In a native group's room all of them, unless one is named; elsewhere the contact and the room with him.
fn addressee(scene: &Scene, given: &Given) -> Result<(Contact, Room), Refusal> {
    let names_one = given.key("to").is_some() || given.text(1).is_some();
    if let Some(room) = given.room.as_ref().filter(|room| room.is_native() && !names_one)
        && let Some(first) = room.contacts.first().and_then(|id| scene.contact(id))
    {
        return Ok((first, room.clone()));
    }
    let contact = recipient(scene, given)?;
    let alone = given.room_with(scene, &contact, Some(Channel::WhatsApp)).filter(|room| !room.is_native());
    if let Some(room) = alone.or_else(|| room_alone_with(scene, given, &contact)) {
        return Ok((contact, room));
    }
    if given.room.as_ref().is_some_and(|room| room.channel == Channel::Sms) {
        let why = "is WhatsApp's; an SMS needs none, write it in your own words";
        return Err(Refusal::bad_argument("template", why, SEND.example));
    }
    Err(Refusal::new("membership").about(&contact.id).with("name", given.name_of(scene, &contact)))
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

fn filled(scene: &Scene, given: &Given, contact: &Contact, room: &Room, name: &str) -> Result<Body, Refusal> {
    let languages = &scene.policy.templates[name];
    let wanted = scene.policy.language(&contact.language);
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
    if let Some(native) = &room.native {
        // All of them read it: no one's name or number stands where the template names a contact.
        more.insert("contact.first".to_owned(), native.subject.clone());
        more.insert("contact.last".to_owned(), String::new());
    }
    let speaker = Some(given.caller.id);
    let body = match saying::template_body(scene, contact, Some(&room.key), speaker, name, more) {
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

/// The account has approved exactly these words, and the client has not refused messages of this kind.
fn is_approved(scene: &Scene, given: &Given, contact: &Contact, room: &Room, body: &Body) -> Result<(), Refusal> {
    let Body::Template { name, language, .. } = body else { return Ok(()) };
    if contact.on(room.channel).wants_no_marketing() && approval::is_marketing(scene, name, language) {
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

fn may_go(scene: &mut Scene, given: &Given, contact: &Contact, room: &Room) -> Result<(), Refusal> {
    let subject = Subject {
        now: scene.now,
        policy: scene.policy,
        author: given.caller.id,
        rights: &given.rights,
        contact,
        room: Some(room),
        channel: room.channel,
        line: &room.line,
        free_text: false,
    };
    let objection = first_objection(&subject);
    match objection {
        Some((gate, Verdict::Refuse)) => Err(refused(scene, given, contact, gate)),
        Some((_, Verdict::Hold | Verdict::Pass)) | None => Ok(()),
    }
}

fn refused(scene: &mut Scene, given: &Given, contact: &Contact, gate: &'static str) -> Refusal {
    let name = given.name_of(scene, contact);
    if gate == "address" && contact.consent(Channel::WhatsApp).is_unreachable() {
        return not_on_whatsapp(scene, given, contact, name);
    }
    // After a no the refusal bears the code of COMMANDS, otherwise the gate's id.
    let code = if gate == "consent" { "opted-out" } else { gate };
    Refusal::new(code).about(&contact.id).with("name", name)
}
