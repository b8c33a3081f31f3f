//! Words on their way through: a client's to the advisors, and (in `advisor`) an advisor's to the client.
mod advisor;
mod call;
mod identity;
mod marketing;
mod who_answers;

pub use advisor::{TEXT_MAX, advisor_deleted, advisor_wrote, cancel, in_the_name_of, measured, refused_text, too_many};
pub use call::{call_woke, client_called};
pub use identity::{learn_from_answer, learn_from_status, number_keys};
pub use marketing::{marketing_chosen, marketing_refused};

use super::ask::{About, Ask};
use super::blocking;
use super::commit::Entry;
use super::consent::{Consent, Turn};
use super::contact::{Contact, Listing};
use super::effect::*;
use super::event::{ClientMessage, Content};
use super::files;
use super::groups;
use super::ids::*;
use super::inbound::{self, Why};
use super::media::Media;
use super::members;
use super::native;
use super::policy::StopScope;
use super::returning;
use super::room::Room;
use super::rooms::{self, Plan};
use super::saying::{self, say_to_client, wording_body};
use super::scene::{CLIENT, PROGRAM, Scene};
use super::sending::{self, contact_name};
use super::sms;
use super::time::{Span, Timestamp};
use super::words::{Meaning, Words};
use crate::fault;
pub use identity::{find_contact, learn_of, note_group_message, park};
use identity::{note_arrival, who_wrote};
use serde_json::json;
use std::collections::BTreeSet;
use who_answers::advisors_for;
pub use who_answers::somebody_is_there;

/// The question as reply buttons is shown at most once in this time (RULES, Consent).
const QUESTION_EVERY: Span = Span::hours(24);

// ---- from a client

pub fn client_wrote(scene: &mut Scene, said: &ClientMessage) {
    if scene.policy.line(&said.line).is_none() {
        let detail = json!({ "line": said.line, "message": said.id });
        return scene.note(Entry::new("client.on_unknown_line", CLIENT).detail(detail));
    }
    if let Some(group) = &said.group {
        return native::client_wrote(scene, said, &GroupId::new(group));
    }
    if sms::is_no_client(scene, said) {
        return;
    }
    // A time in the future is cut to now and noted (RULES, Window).
    let at = scene.event.at.min(scene.now);
    let Some(contact) = who_wrote(scene, said, at) else { return };
    scene.raw_belongs_to(&contact.id);
    let contact = note_arrival(scene, contact, said, at);
    let told = identity::heed_sign(scene, &contact.id, said);
    let meaning = meaning_of(scene, &said.content);
    if contact.blocked.is_some() {
        // His words are kept and not relayed; a stop is heard at any time.
        if meaning == Meaning::Stop {
            heed(scene, &contact.id, said, meaning, at);
        }
        return blocking::keep_message(scene, &contact.id, said);
    }
    members::keep_to_readers(scene, &contact, said.channel);
    // The room first, so that whoever answers this client reads of a yes or a stop in it too.
    let opened = open_if_there_is_no_room(scene, &contact, said);
    let consented = if contact.was_another(at) {
        heed_late(scene, &contact.id, said, meaning, at)
    } else {
        heed(scene, &contact.id, said, meaning, at)
    };
    if let Some(room) = opened {
        rooms::tell_how_it_stands(scene, &room);
        welcome_who_wrote_first(scene, &contact.id, said, &room, consented);
    }
    // The file itself is shown even where the words under it were a stop.
    let bears_a_file = matches!(said.content, Content::Media(_));
    if (consented != Heeded::Consumed || bears_a_file) && !told {
        // Consent is between a client and the firm: no other client reads a word of it, nor what asks for help.
        let for_all = matches!(meaning, Meaning::Ordinary | Meaning::Yes) && consented != Heeded::Consumed;
        relay(scene, &contact.id, said, for_all);
    }
    if !matches!(said.content, Content::Sign { .. }) {
        sending::release_all(scene, &contact.id, said.channel);
        if consented == Heeded::No {
            answer_free_text_while_pending(scene, &contact.id, said, at);
        }
    }
}

/// In a native group: his words count for himself, and stand in the group's room.
pub fn heed_and_show(scene: &mut Scene, id: &ContactId, said: &ClientMessage, room: &RoomKey) {
    let at = scene.event.at.min(scene.now);
    let meaning = meaning_of(scene, &said.content);
    let heeded = heed(scene, id, said, meaning, at);
    let bears_a_file = matches!(said.content, Content::Media(_));
    if (heeded != Heeded::Consumed || bears_a_file)
        && let Some(mut room) = scene.room(room)
    {
        room.last_exchange.insert(id.clone(), scene.now);
        scene.put(&room);
        post_client_line(scene, id, said, &room, "group", Vec::new());
    }
}

/// Of one whose words are kept and not shown.
pub fn heed_only_a_stop(scene: &mut Scene, id: &ContactId, said: &ClientMessage) {
    let meaning = meaning_of(scene, &said.content);
    if meaning == Meaning::Stop {
        heed(scene, id, said, meaning, scene.event.at.min(scene.now));
    }
    if scene.contact(id).is_some_and(|contact| contact.blocked.is_some()) {
        blocking::keep_message(scene, id, said);
    }
}

fn meaning_of(scene: &Scene, content: &Content) -> Meaning {
    match content {
        Content::Button { payload, text } => Words::of_payload(payload).unwrap_or_else(|| scene.policy.words.meaning(text)),
        Content::Text(text) => scene.policy.words.meaning(text),
        Content::Media(file) => {
            // A stop is heard wherever it stands; nobody agrees by what stands under a picture.
            let meaning = file.caption.as_deref().map_or(Meaning::Ordinary, |caption| scene.policy.words.meaning(caption));
            if matches!(meaning, Meaning::Stop | Meaning::PossibleStop) { meaning } else { Meaning::Ordinary }
        }
        Content::Other { .. } | Content::Sign { .. } => Meaning::Ordinary,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heeded {
    /// The words moved nothing: an ordinary message.
    No,
    /// A yes or a stop that moved the consent; the advisors read of it in a line of its own.
    Consumed,
    /// It moved something and is relayed as well.
    AndRelayed,
}

fn heed(scene: &mut Scene, contact: &ContactId, said: &ClientMessage, meaning: Meaning, at: Timestamp) -> Heeded {
    match meaning {
        Meaning::Yes => client_agreed(scene, contact, said, Turn::Yes, at),
        Meaning::Stop if fault::planted("stop-unheard") => Heeded::No,
        Meaning::Stop => client_stopped(scene, contact, said, at),
        Meaning::PossibleStop => possible_stop(scene, contact, said, at),
        Meaning::Help => {
            answer_help(scene, contact, said);
            any_answer(scene, contact, said, at)
        }
        Meaning::Ordinary => any_answer(scene, contact, said, at),
    }
}

/// Words of an earlier person or number agree to nothing any more; a stop is heard at any time.
fn heed_late(scene: &mut Scene, contact: &ContactId, said: &ClientMessage, meaning: Meaning, at: Timestamp) -> Heeded {
    match meaning {
        Meaning::Stop | Meaning::PossibleStop => heed(scene, contact, said, meaning, at),
        Meaning::Yes | Meaning::Help | Meaning::Ordinary => Heeded::No,
    }
}

fn any_answer(scene: &mut Scene, contact: &ContactId, said: &ClientMessage, at: Timestamp) -> Heeded {
    if matches!(said.content, Content::Sign { .. }) || !scene.policy.any_reply() {
        return Heeded::No;
    }
    match client_agreed(scene, contact, said, Turn::AnyAnswer, at) {
        Heeded::No => Heeded::No,
        Heeded::Consumed | Heeded::AndRelayed => Heeded::AndRelayed,
    }
}

/// S3-13..15: the advisors and the client are told, then what was held goes out in order.
fn client_agreed(scene: &mut Scene, id: &ContactId, said: &ClientMessage, turn: Turn, at: Timestamp) -> Heeded {
    let Some(mut contact) = scene.contact(id) else { return Heeded::No };
    let before = contact.on(said.channel);
    let evidence = json!({
        "message": said.id, "content": said.content, "context": said.quoted, "asked_in": before.asked_in,
        "asked": before.consent,
    });
    if !scene.turn_consent(&mut contact, said.channel, turn, at, evidence) {
        return agreed_to_an_advisor(scene, id, said, turn);
    }
    returning::client_agreed(scene, id, said, true);
    tell_rooms(scene, &contact, said, Code::ConsentYes, "consent-yes", "yes");
    // Who comes back with the provider's own word is answered by the provider.
    if before.consent.is_opted_out() && sms::provider_has_answered(scene.policy, said) {
        return Heeded::Consumed;
    }
    let name = match said.channel {
        Channel::Sms => sms::after_a_yes(scene, &mut contact, &said.line),
        Channel::WhatsApp if before.ever_agreed => "opted_in",
        Channel::WhatsApp => "welcome",
    };
    let room = live_rooms(scene, &contact, said).first().map(|room| room.key.clone());
    let body = wording_body(scene, &contact, room.as_ref(), name, &[("agreed", "true")]);
    say_to_client(scene, id, said.channel, &said.line, room, name, body);
    if let Some(contact) = scene.contact(id) {
        native::client_agreed(scene, &contact);
    }
    Heeded::Consumed
}

/// The firm may write to him; he agrees that an advisor is in the conversation again (S4-40). Words may have meant a
/// colleague, so they are relayed as well.
fn agreed_to_an_advisor(scene: &mut Scene, id: &ContactId, said: &ClientMessage, turn: Turn) -> Heeded {
    match &said.content {
        _ if turn != Turn::Yes || !returning::client_agreed(scene, id, said, false) => Heeded::No,
        Content::Button { .. } => Heeded::Consumed,
        Content::Text(_) | Content::Media(_) | Content::Other { .. } | Content::Sign { .. } => Heeded::AndRelayed,
    }
}

/// S3-16..19: nothing leaves any more but one confirmation.
fn client_stopped(scene: &mut Scene, id: &ContactId, said: &ClientMessage, at: Timestamp) -> Heeded {
    let scope = match scene.policy.stop_scope {
        StopScope::Channel => vec![said.channel],
        StopScope::All => Channel::ALL.to_vec(),
    };
    let mut stopped = Vec::new();
    for channel in scope {
        let Some(mut contact) = scene.contact(id) else { continue };
        let known = channel == said.channel || contact.channels.contains_key(&channel);
        let was_out = contact.consent(channel).is_opted_out();
        let evidence = json!({ "message": said.id, "content": said.content, "context": said.quoted });
        if known && scene.turn_consent(&mut contact, channel, Turn::Stop, at, evidence) && !was_out {
            sending::withdraw_everything(scene, &contact, channel, "consent");
            returning::client_refused(scene, id, channel);
            stopped.push(channel);
        }
    }
    let Some(contact) = scene.contact(id) else { return Heeded::No };
    if stopped.is_empty() {
        note_late_stop(scene, &contact, said, at);
        return Heeded::No;
    }
    tell_rooms(scene, &contact, said, Code::ConsentNo, "consent-no", "no");
    native::client_stopped(scene, &contact);
    confirm_opt_out(scene, &contact, said);
    Heeded::Consumed
}

/// An older stop never undoes a newer yes, but it is kept and shown.
fn note_late_stop(scene: &mut Scene, contact: &Contact, said: &ClientMessage, at: Timestamp) {
    if contact.consent(said.channel).is_opted_in() {
        scene.note(Entry::new("consent.late_stop", CLIENT).about(&contact.id).told_at(at).detail(json!({ "message": said.id })));
    }
}

fn confirm_opt_out(scene: &mut Scene, contact: &Contact, said: &ClientMessage) {
    // Once, and only if the window lets it (S3-1, S3-18).
    let is_told = sms::provider_has_answered(scene.policy, said) || contact.blocked.is_some();
    if !is_told && contact.on(said.channel).is_open(said.channel, &said.line, scene.now) {
        let room = live_rooms(scene, contact, said).first().map(|room| room.key.clone());
        let body = wording_body(scene, contact, room.as_ref(), "opted_out", &[]);
        say_to_client(scene, &contact.id, said.channel, &said.line, room, "opted_out", body);
    }
}

/// A sentence that may mean stop: nothing goes until the advisor has said what was meant, or a day has passed.
fn possible_stop(scene: &mut Scene, id: &ContactId, said: &ClientMessage, at: Timestamp) -> Heeded {
    let Some(mut contact) = scene.contact(id) else { return Heeded::No };
    // Of several messages the latest provider time wins.
    if matches!(contact.consent(said.channel), Consent::OptedIn { at: agreed } if at < agreed) {
        note_late_stop(scene, &contact, said, at);
        return Heeded::No;
    }
    let evidence = json!({ "message": said.id, "content": said.content });
    if !scene.turn_consent(&mut contact, said.channel, Turn::PossibleStop, at, evidence) {
        return Heeded::No;
    }
    // A webhook may come late: the advisor has a whole day from when we heard of it.
    if let Consent::Review { since, .. } = &mut contact.on_mut(said.channel).consent {
        *since = scene.now;
        scene.put(&contact);
    }
    for place in places_of(scene, &contact, said) {
        let about = About::Review { contact: contact.id.clone(), channel: said.channel };
        let ask = scene.new_ask(None, &place, about, Some(&contact.id));
        scene.put(&ask);
        let name = place_name(scene, &place, &contact.id);
        let reply = Reply::new(Code::ConsentReview, "consent-review").about(&contact.id).asking(&ask.id).with("name", name);
        let text = shown_at(scene, &place, &contact, said);
        scene.post(place, reply.with("text", text).with("channel", said.channel.name()));
    }
    Heeded::AndRelayed
}

fn answer_help(scene: &mut Scene, id: &ContactId, said: &ClientMessage) {
    let Some(mut contact) = scene.contact(id) else { return };
    let may = sms::is_willing(scene.policy, &contact, said.channel) && !sms::provider_has_answered(scene.policy, said);
    if !may || !contact.on(said.channel).is_open(said.channel, &said.line, scene.now) {
        return;
    }
    if said.channel == Channel::WhatsApp || sms::may_answer_by_itself(scene, &mut contact) {
        let body = wording_body(scene, &contact, None, "help", &[]);
        say_to_client(scene, id, said.channel, &said.line, None, "help", body);
    }
}

/// Free text while PENDING is no consent under `explicit`: the first one after a request is answered with the question as
/// reply buttons, after that not within 24 h.
fn answer_free_text_while_pending(scene: &mut Scene, id: &ContactId, said: &ClientMessage, at: Timestamp) {
    let Some(mut contact) = scene.contact(id) else { return };
    let on = contact.on(said.channel);
    let Consent::Pending { asked_at, .. } = on.consent else { return };
    let first_since_request = on.question_answered_request != Some(asked_at);
    let long_ago = on.question_at.is_none_or(|shown| scene.now >= shown + QUESTION_EVERY);
    if !on.is_open(said.channel, &said.line, scene.now) || !(first_since_request || long_ago) || at < asked_at - Span::days(1) {
        return;
    }
    let on = contact.on_mut(said.channel);
    on.question_at = Some(scene.now);
    on.question_answered_request = Some(asked_at);
    scene.put(&contact);
    let room = live_rooms(scene, &contact, said).first().map(|room| room.key.clone());
    let by = contact.on(said.channel).asked_by;
    let (name, body) = saying::question(scene, &contact, said.channel, room.as_ref(), by);
    let body = match body {
        Body::Template { name, language, vars } => Body::Question { name, language, vars },
        other => other,
    };
    say_to_client(scene, id, said.channel, &said.line, room, name, body);
}

// ---- where a client's words go

fn live_rooms(scene: &Scene, contact: &Contact, said: &ClientMessage) -> Vec<Room> {
    let rooms = contact.rooms.iter().filter_map(|key| scene.room(key));
    // A room that everybody has left is nowhere: the message goes to those who are there for him.
    let reads =
        |room: &Room| room.is_live() && !room.is_native() && (!room.members.is_empty() || fault::planted("nobody-answers"));
    rooms.filter(|room| reads(room) && room.channel == said.channel && room.line == said.line).collect()
}

fn places_of(scene: &Scene, contact: &Contact, said: &ClientMessage) -> Vec<Place> {
    // Consent is the firm's on this channel, whatever the line: all who write to him there are told (S3-13, S3-16).
    let rooms = contact.rooms.iter().filter_map(|key| scene.room(key));
    let read = rooms.filter(|room| room.is_live() && !room.members.is_empty() && room.channel == said.channel);
    let rooms: Vec<Place> = read.map(|room| Place::Room(room.key)).collect();
    if !rooms.is_empty() {
        return rooms;
    }
    let on = contact.on(said.channel);
    let people = on.asked_by.into_iter().chain(contact.listed_by.iter().copied());
    let people: BTreeSet<UserId> = people.collect();
    people.into_iter().map(Place::Direct).collect()
}

fn place_name(scene: &Scene, place: &Place, contact: &ContactId) -> String {
    match place {
        Place::Room(room) => contact_name(scene, Some(room), contact),
        Place::Direct(user) => sending::name_for(scene, Some(*user), contact),
        Place::Stream(_) | Place::DirectByEmail(_) => sending::name_for(scene, None, contact),
    }
}

/// Consent is the firm's and told on both sides of a wall between sub-organisations; the words in which it was given or
/// taken are read only on the side on which they were said.
fn shown_at(scene: &Scene, place: &Place, contact: &Contact, said: &ClientMessage) -> String {
    let of_room = |key: &RoomKey| scene.room(key).map(|room| room.sub_org);
    let there = match place {
        Place::Room(key) => of_room(key),
        Place::Direct(user) => Some(scene.rights(*user).sub_org),
        Place::Stream(_) | Place::DirectByEmail(_) => None,
    };
    let spoken = live_rooms(scene, contact, said).first().map(|room| room.sub_org.clone());
    if spoken.is_none() || there == spoken { shown(&said.content) } else { String::new() }
}

fn tell_rooms(scene: &mut Scene, contact: &Contact, said: &ClientMessage, code: Code, template: &str, word: &str) {
    // A yes that reached us a day late opens no window.
    let silent = said.channel == Channel::WhatsApp && !contact.on(said.channel).window(&said.line).is_open(scene.now);
    for place in places_of(scene, contact, said) {
        let name = place_name(scene, &place, &contact.id);
        let waiting = match &place {
            Place::Room(room) => scene.lane(room, &contact.id).held.len(),
            Place::Stream(_) | Place::Direct(_) | Place::DirectByEmail(_) => 0,
        };
        let reply = Reply::new(code, template).about(&contact.id).with("name", name).with("word", word);
        let text = shown_at(scene, &place, contact, said);
        let reply = reply.with("text", text).with("channel", said.channel.name()).with("waiting", waiting);
        let native = matches!(&place, Place::Room(room) if scene.room(room).is_some_and(|room| room.is_native()));
        let reply = reply.with("silent", silent).with("blocked", contact.blocked.is_some()).with("native", native);
        scene.post(place, reply);
    }
}

/// Which room a client's message belongs to, and by which rule (RULES).
fn room_for(scene: &Scene, contact: &Contact, said: &ClientMessage) -> Option<(Room, &'static str, Vec<RoomKey>)> {
    let rooms = live_rooms(scene, contact, said);
    let quoted = said.quoted.as_ref().and_then(|wamid| scene.message_of_wamid(wamid)).and_then(|message| message.room);
    if let Some(room) = quoted.and_then(|key| rooms.iter().find(|room| room.key == key)) {
        return Some((room.clone(), "quoted", Vec::new()));
    }
    let latest = rooms.iter().max_by_key(|room| (room.last_exchange_with(&contact.id), room.created_at))?.clone();
    if rooms.len() == 1 {
        return Some((latest, "only", Vec::new()));
    }
    let others = rooms.into_iter().map(|room| room.key).filter(|key| *key != latest.key).collect();
    Some((latest, "last-used", others))
}

fn open_if_there_is_no_room(scene: &mut Scene, contact: &Contact, said: &ClientMessage) -> Option<RoomKey> {
    let sign_only = matches!(said.content, Content::Sign { .. });
    if sign_only || !live_rooms(scene, contact, said).is_empty() {
        return None;
    }
    open_for_client(scene, contact, said)
}

fn relay(scene: &mut Scene, id: &ContactId, said: &ClientMessage, for_all: bool) {
    let Some(contact) = scene.contact(id) else { return };
    let Some((mut room, rule, others)) = room_for(scene, &contact, said) else { return };
    room.last_exchange.insert(id.clone(), scene.now);
    scene.put(&room);
    let file = post_client_line(scene, id, said, &room, rule, others);
    if for_all {
        groups::pass_on(scene, &room, id, &said.content, file);
    }
}

/// The file that stands in the line.
fn post_client_line(
    scene: &mut Scene,
    id: &ContactId,
    said: &ClientMessage,
    room: &Room,
    rule: &str,
    others: Vec<RoomKey>,
) -> Option<Media> {
    let message = scene.new_message_id();
    let quoted = said.quoted.as_ref().and_then(|wamid| scene.message_of_wamid(wamid));
    // What was said behind a wall is not quoted on this side of it.
    let quoted =
        quoted.filter(|quoted| quoted.room.as_ref().and_then(|key| scene.room(key)).is_none_or(|of| of.sub_org == room.sub_org));
    let why = Why { rule, others: others.clone(), quoted: quoted.as_ref().map(|quoted| quoted.id.clone()) };
    inbound::write_down(scene, &message, id, said, room, why);
    let mut reply = Reply::new(Code::ClientMessage, "client-message")
        .about(id)
        .of(&message)
        .with("name", contact_name(scene, Some(&room.key), id))
        .with("channel", said.channel.name())
        .with("text", shown(&said.content))
        .with("rule", rule);
    if let Some(quoted) = quoted {
        reply = reply.with("quoted", sending::gist(&quoted.body));
    }
    if let Content::Other { kind, caption, .. } = &said.content {
        reply = reply.with("thing", kind.clone()).with("caption", caption.clone().unwrap_or_default());
    }
    if let Content::Media(file) = &said.content {
        let media = files::from_client(scene, id, said, file, Place::Room(room.key.clone()));
        reply = reply.with("thing", file.kind.name()).with("caption", file.caption.as_deref().map(cleaned).unwrap_or_default());
        reply.files.push(media);
    }
    if let Content::Sign { kind, .. } = &said.content {
        reply = reply.with("sign", kind.clone()).with("from", said.from.phone.as_ref().map(|phone| phone.e164().to_owned()));
    }
    if !others.is_empty() {
        let names: Vec<String> = others.iter().filter_map(|key| scene.room(key)).map(|room| room.name).collect();
        let about = About::MoveHere { contact: id.clone(), room: room.key.clone(), line: reply.clone(), others };
        let ask: Ask = scene.new_ask(None, &Place::Room(room.key.clone()), about, Some(id));
        scene.put(&ask);
        reply = reply.asking(&ask.id).with("others", names);
    }
    let detail = json!({ "rule": rule, "id": said.id });
    scene.note(Entry::new("client.relayed", PROGRAM).about(id).room(&room.key).message(&message).detail(detail));
    let file = reply.files.first().cloned();
    scene.post(Place::Room(room.key.clone()), reply);
    file
}

/// What a chat line shows of a client's message.
pub fn shown(content: &Content) -> String {
    match content {
        Content::Text(text) => cleaned(text),
        Content::Button { text, .. } => cleaned(text),
        Content::Other { kind, caption, .. } => match caption {
            Some(caption) => format!("{kind}: {}", cleaned(caption)),
            None => kind.clone(),
        },
        Content::Media(file) => match &file.caption {
            Some(caption) => format!("{}: {}", file.kind.name(), cleaned(caption)),
            None => file.kind.name().to_owned(),
        },
        Content::Sign { detail, .. } => cleaned(detail),
    }
}

/// CRLF → LF, and C0 controls other than tab and newline taken out; nothing else is changed (INTERFACES §5).
pub fn cleaned(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    text.chars().filter(|c| !(*c < ' ' && *c != '\t' && *c != '\n')).collect()
}

/// A sender without an active room gets one, with those who list him, else the line's advisor, else the default list.
fn open_for_client(scene: &mut Scene, contact: &Contact, said: &ClientMessage) -> Option<RoomKey> {
    let advisors = advisors_for(scene, contact, said);
    let Some((owner, colleagues)) = advisors.split_first() else {
        park(scene, said, "nobody who may use this channel is named for this line");
        return None;
    };
    for advisor in &advisors {
        list_incomplete(scene, *advisor, &contact.id, said.channel);
    }
    let plan = Plan {
        name: None,
        channel: said.channel,
        contacts: std::slice::from_ref(&contact.id),
        owner: *owner,
        colleagues,
        asked_by: None,
        line: Some(&said.line),
        invite: false,
        answer: None,
        ask: None,
    };
    rooms::open(scene, plan).ok()
}

/// S2-12, S2-17: on this advisor's own list, with the number only, unless he knows the contact already.
fn list_incomplete(scene: &mut Scene, user: UserId, contact: &ContactId, channel: Channel) {
    if let Some(mut listing) = scene.listing(user, contact) {
        if listing.channels.insert(channel) {
            scene.put(&listing);
        }
        return;
    }
    let listing = Listing {
        user,
        contact: contact.clone(),
        first: String::new(),
        last: String::new(),
        company: String::new(),
        channels: BTreeSet::from([channel]),
        incomplete: true,
        added_at: scene.now,
        added_by: CLIENT.to_owned(),
        on_behalf: false,
    };
    scene.put(&listing);
    if let Some(mut contact) = scene.contact(contact) {
        contact.listed_by.insert(user);
        scene.put(&contact);
    }
    let detail = json!({ "user": scene.actor(user), "incomplete": true });
    scene.note(Entry::new("contact.listed", CLIENT).about(contact).detail(detail));
}

/// S2-15: `welcome` answers a client who wrote first; never after a stop, never twice in one breath with his yes.
fn welcome_who_wrote_first(scene: &mut Scene, id: &ContactId, said: &ClientMessage, room: &RoomKey, heeded: Heeded) {
    if said.channel == Channel::Sms {
        if let Some(room) = scene.room(room) {
            sms::welcome(scene, id, &room);
        }
        return;
    }
    let Some(contact) = scene.contact(id) else { return };
    let on = contact.on(said.channel);
    let wrote_first = matches!(on.consent, Consent::None | Consent::OptedIn { .. });
    if heeded != Heeded::No || !wrote_first || !on.window(&said.line).is_open(scene.now) {
        return;
    }
    let agreed = if on.consent.is_opted_in() { "true" } else { "false" };
    let body = wording_body(scene, &contact, Some(room), "welcome", &[("agreed", agreed)]);
    say_to_client(scene, id, said.channel, &said.line, Some(room.clone()), "welcome", body);
}

/// A line was put into the room last used; an advisor says that it belongs to another one. False: that one is closed
/// meanwhile, the client is not in it any more, or it is behind the wall of another sub-organisation.
pub fn move_line(scene: &mut Scene, contact: &ContactId, from: &RoomKey, to: &RoomKey, line: Reply, by: UserId) -> bool {
    let Some(sub_org) = scene.room(from).map(|room| room.sub_org) else { return false };
    let may_see = |room: &Room| room.is_live() && room.contacts.contains(contact) && room.sub_org == sub_org;
    let Some(mut room) = scene.room(to).filter(may_see) else { return false };
    if let Some(message) = &line.message {
        inbound::moved(scene, message, to, by);
    }
    room.last_exchange.insert(contact.clone(), scene.now);
    scene.put(&room);
    let entry = Entry::new("client.moved", scene.actor(by)).about(contact).room(to);
    scene.note(entry.detail(json!({ "from": from, "to": to })));
    let name = contact_name(scene, Some(to), contact);
    scene.post(Place::Room(to.clone()), line.with("name", name).with("rule", "moved"));
    true
}
