//! What the program itself says to a client: the closed list of S3-1, and the request for consent.
use super::consent::Consent;
use super::consent::Turn;
use super::contact::Contact;
use super::effect::Body;
use super::ids::*;
use super::message::{Author, Message, MessageState};
use super::policy::{DEFAULT_LANGUAGE, INVITATION, MESSAGE_WAITING, OPT_IN, SmsWelcome};
use super::room::Room;
use super::scene::Scene;
use super::sending::{held_messages, make_ready, tell_client_that_a_message_waits};
use super::sms;
use serde_json::json;
use std::collections::BTreeMap;

/// What the program fills in by itself (INTERFACES §8).
pub const STANDARD_VARIABLES: [&str; 5] = ["contact.first", "contact.last", "advisor.name", "firm", "line.name"];

/// The variables of INTERFACES §8.
pub fn variables(scene: &Scene, contact: &Contact, room: Option<&RoomKey>, advisor: Option<UserId>) -> BTreeMap<String, String> {
    let owner = room.and_then(|key| scene.room(key)).and_then(|room| room.owner());
    let speaker = advisor.or(owner).or(contact.requestor).or(contact.listed_by.iter().next().copied());
    let listed = speaker.and_then(|user| scene.listing(user, &contact.id)).filter(|listing| !listing.incomplete);
    let first = listed.as_ref().map(|l| l.first.clone()).filter(|f| !f.is_empty());
    let first = first.or_else(|| contact.profile_name.clone()).unwrap_or_default();
    let line = contact.on(Channel::WhatsApp).line.and_then(|line| scene.policy.line(&line));
    BTreeMap::from([
        ("contact.first".to_owned(), first),
        ("contact.last".to_owned(), listed.map(|l| l.last).unwrap_or_default()),
        ("advisor.name".to_owned(), speaker.map(|user| scene.user_name(user)).unwrap_or_else(|| scene.policy.firm.clone())),
        ("firm".to_owned(), scene.policy.firm.clone()),
        ("line.name".to_owned(), line.map_or_else(|| scene.policy.firm.clone(), |line| line.name.clone())),
    ])
}

pub fn template_body(
    scene: &Scene,
    contact: &Contact,
    room: Option<&RoomKey>,
    advisor: Option<UserId>,
    name: &str,
    more: BTreeMap<String, String>,
) -> Body {
    let mut vars = variables(scene, contact, room, advisor);
    // A provider refuses an empty parameter.
    if vars["contact.first"].is_empty() {
        vars.insert("contact.first".to_owned(), contact.number());
    }
    vars.extend(more);
    Body::Template { name: name.to_owned(), language: scene.policy.language(&contact.language).to_owned(), vars }
}

/// The same for all who read along in a native group: no one's name or number stands where a template names a contact, and
/// the language is one that all of them read.
pub fn body_for_all(
    scene: &Scene,
    room: &Room,
    subject: &str,
    readers: &[Contact],
    name: &str,
    more: BTreeMap<String, String>,
) -> Body {
    let language = language_for_all(scene, readers).to_owned();
    let (first, last) = greeting(scene, subject, name, &language).unwrap_or_else(|| (subject.to_owned(), subject.to_owned()));
    let speaker = room.owner();
    let line = scene.policy.line(&room.line).map_or_else(|| scene.policy.firm.clone(), |line| line.name.clone());
    let mut vars = BTreeMap::from([
        ("contact.first".to_owned(), first),
        ("contact.last".to_owned(), last),
        ("advisor.name".to_owned(), speaker.map_or_else(|| scene.policy.firm.clone(), |user| scene.user_name(user))),
        ("firm".to_owned(), scene.policy.firm.clone()),
        ("line.name".to_owned(), line),
    ]);
    vars.extend(more);
    Body::Template { name: name.to_owned(), language, vars }
}

/// A group is greeted by its own name. Where the words name first and last name its last word stands for the latter, because
/// a provider refuses an empty one; `None` where it has but one word.
pub fn greeting(scene: &Scene, subject: &str, template: &str, language: &str) -> Option<(String, String)> {
    let parameters = scene.policy.templates.get(template).and_then(|languages| languages.get(language));
    let names = |part: &str| parameters.is_some_and(|parameters| parameters.iter().any(|name| name == part));
    let (first, last) = match (names("contact.first"), names("contact.last")) {
        (true, true) => subject.trim().rsplit_once(char::is_whitespace)?,
        (false, true) => ("", subject),
        (true | false, false) => (subject, ""),
    };
    Some((first.trim().to_owned(), last.to_owned()))
}

/// The one that they share, else English.
pub fn language_for_all<'c>(scene: &Scene, readers: &'c [Contact]) -> &'c str {
    let mut languages = readers.iter().map(|contact| scene.policy.language(&contact.language));
    let first = languages.next().unwrap_or(DEFAULT_LANGUAGE);
    if languages.all(|language| language == first) { first } else { DEFAULT_LANGUAGE }
}

pub fn wording_body(scene: &Scene, contact: &Contact, room: Option<&RoomKey>, name: &str, more: &[(&str, &str)]) -> Body {
    let mut vars = variables(scene, contact, room, None);
    vars.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    Body::Wording { name: name.to_owned(), language: scene.policy.language(&contact.language).to_owned(), vars }
}

/// A message of the program's own; what may be said when is decided by the callers and asked again at taking.
pub fn say_to_client(
    scene: &mut Scene,
    contact: &ContactId,
    channel: Channel,
    line: &LineId,
    room: Option<RoomKey>,
    name: &str,
    body: Body,
) -> MessageId {
    let mut message = own_message(scene, contact, channel, line, room, name, body);
    make_ready(scene, &mut message);
    message.id
}

#[allow(clippy::too_many_arguments)] // One record, field by field.
fn own_message(
    scene: &mut Scene,
    contact: &ContactId,
    channel: Channel,
    line: &LineId,
    room: Option<RoomKey>,
    name: &str,
    body: Body,
) -> Message {
    Message {
        id: scene.new_message_id(),
        contact: contact.clone(),
        room,
        channel,
        line: line.clone(),
        author: Author::Program(name.to_owned()),
        body,
        to_group: false,
        recipients: BTreeMap::new(),
        chat_message: None,
        accepted_at: scene.now,
        order: (scene.now, scene.effects.len() as u32),
        state: MessageState::Ready,
        told: true,
        expires_at: None,
        expiry_warned: false,
        wamid: None,
        sent_at: None,
        refused_since: None,
        delivered_at: None,
        read_at: None,
        price_category: None,
        price_type: None,
    }
}

/// The same into the native group of a room.
pub fn say_to_group(scene: &mut Scene, room: &Room, name: &str, body: Body) {
    let key = Some(room.key.clone());
    let own = own_message(scene, &ContactId::of_group(&room.key), room.channel, &room.line, key, name, body);
    make_ready(scene, &mut Message { to_group: true, ..own });
}

/// May this message of the program still go, as things stand? The closed list of S3-1, asked again at taking.
pub fn program_may_say(scene: &Scene, contact: &Contact, message: &Message, name: &str) -> bool {
    let (channel, now) = (message.channel, scene.now);
    let consent = contact.consent(channel);
    let fits_window = match message.body {
        Body::Template { .. } => true,
        Body::Text(_) | Body::Media { .. } | Body::Wording { .. } | Body::Question { .. } => {
            contact.on(channel).is_open(channel, &message.line, now)
        }
    };
    let willing = sms::is_willing(scene.policy, contact, channel);
    let consented = match name {
        "opted_out" => match consent {
            Consent::OptedOut { at } => channel == Channel::WhatsApp || now - at <= sms::CONFIRMATION_WITHIN,
            Consent::None
            | Consent::Pending { .. }
            | Consent::OptedIn { .. }
            | Consent::Review { .. }
            | Consent::Unreachable { .. } => false,
        },
        INVITATION | OPT_IN => consent.is_pending(),
        // Whoever has written meanwhile, or for whom nothing waits any more, is told nothing.
        MESSAGE_WAITING => {
            let silent = !contact.on(channel).is_open(channel, &message.line, now);
            let waits = || !held_messages(scene, contact, channel).is_empty();
            (consent.is_pending() || consent.is_opted_in()) && silent && waits()
        }
        "welcome" if channel == Channel::Sms && scene.policy.sms_welcome == SmsWelcome::AfterConsent => willing,
        // In answer to a client who wrote first, or after his yes.
        "welcome" => !consent.is_opted_out() && !consent.is_unreachable(),
        _ => willing,
    };
    consented && fits_window && contact.blocked.is_none()
}

/// Who asks a contact for consent, where, and on what ground.
pub struct Asking<'q> {
    pub contact: &'q ContactId,
    pub channel: Channel,
    pub line: &'q LineId,
    pub room: Option<RoomKey>,
    /// In whose name the client is asked; he is told of the answer where there is no room.
    pub by: UserId,
    /// Who acted: the same, or a colleague who onboards for him.
    pub actor: UserId,
    /// What the advisor attested, and by which act (S3-2).
    pub attested: &'q str,
}

/// What asks him on this channel: a template with buttons, or a text.
pub fn question(
    scene: &Scene,
    contact: &Contact,
    channel: Channel,
    room: Option<&RoomKey>,
    by: Option<UserId>,
) -> (&'static str, Body) {
    match channel {
        Channel::WhatsApp => (INVITATION, template_body(scene, contact, room, by, INVITATION, BTreeMap::new())),
        Channel::Sms => (OPT_IN, sms::question(scene, contact, room, by)),
    }
}

/// Sends the consent request; the caller has checked that it may be asked. `None` where the state has no such arrow.
pub fn ask_client(scene: &mut Scene, asking: Asking) -> Option<MessageId> {
    let mut contact = scene.contact(asking.contact)?;
    let (name, body) = question(scene, &contact, asking.channel, asking.room.as_ref(), Some(asking.by));
    let evidence = json!({
        "actor": scene.actor(asking.actor), "asked_for": scene.actor(asking.by), "attested": asking.attested, "template": name, "body": body,
    });
    let now = scene.now;
    if !scene.turn_consent(&mut contact, asking.channel, Turn::Request, now, evidence) {
        return None;
    }
    let message = say_to_client(scene, &contact.id, asking.channel, asking.line, asking.room, name, body);
    let mut contact = scene.contact(&contact.id)?;
    let on = contact.on_mut(asking.channel);
    on.asked_in = Some(message.clone());
    on.asked_by = Some(asking.by);
    on.line = Some(asking.line.clone());
    scene.put(&contact);
    tell_client_that_a_message_waits(scene, &contact.id, asking.channel, asking.line);
    Some(message)
}
