//! Several clients in one room: each reads who else is in it, and what one of them writes is passed on to the others.
use super::case::Record;
use super::commit::Key;
use super::contact::Contact;
use super::effect::{Body, Code, Place, Reply};
use super::event::Content;
use super::gates::{self, Subject, Verdict};
use super::ids::*;
use super::media::{CAPTION_MAX, Media};
use super::members;
use super::message::{Author, Message};
use super::notices::NOTICE_TEXT;
use super::policy::{GroupRelay, NOTICE, Policy};
use super::relay::{cleaned, measured};
use super::room::Room;
use super::saying::{say_to_client, template_body, wording_body};
use super::scene::Scene;
use super::sending::{self, Accepted, Draft, contact_name};
use super::sms;
use crate::fault;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Clients of one standard group. What one of them writes becomes a message for each other one in the same commit, which has
/// to stay small; and what advisors read of a group has to fit on one screen.
pub const CONTACTS_MAX: usize = 30;
/// Who is there already; who has come.
const MEMBERS: &str = "group_members";
const JOINED: &str = "group_joined";
/// The words of somebody who has no name here; something that cannot be passed on.
const MESSAGE: &str = "group_message";
const THING: &str = "group_thing";
/// Names in which so many digits stand may be numbers, which no other client ever reads.
const DIGITS_OF_A_NUMBER: usize = 5;
/// Of a name and of names so much is shown, advisors and clients each: a notice has to fit into a template of WhatsApp, which
/// takes 1024 characters.
const NAME_SHOWN: usize = 60;
const NAMES_SHOWN: usize = 10;
const NAMES_LENGTH: usize = 320;
/// Stands for somebody without a name where the length of a text is measured.
const PLACE_OF_A_NAME: &str = "Participant number 30";

/// The clients of this room read each other.
pub fn is_shared(policy: &Policy, room: &Room) -> bool {
    policy.group_relay_of(&room.sub_org) == GroupRelay::All && room.is_group() && room.is_live()
}

// ---- who is there

pub fn bring_in_everywhere(scene: &mut Scene, contact: &ContactId, channel: Channel) {
    let rooms = scene.contact(contact).map(|contact| contact.rooms).unwrap_or_default();
    let rooms: Vec<Room> = rooms.iter().filter_map(|key| scene.room(key)).collect();
    rooms.iter().filter(|room| room.channel == channel).for_each(|room| bring_in(scene, &room.key));
}

/// Whoever may be written to and has not read yet who else is in this room reads it now; the others read that he came.
///
/// So nobody's words reach a client of whom he has not read: what is said is for the `announced`, and those who are added
/// later are announced when they come.
pub fn bring_in(scene: &mut Scene, key: &RoomKey) {
    let Some(mut room) = scene.room(key).filter(|room| is_shared(scene.policy, room) && room.stream.is_some()) else { return };
    let here =
        |ids: &BTreeSet<ContactId>| -> Vec<ContactId> { room.contacts.iter().filter(|id| ids.contains(id)).cloned().collect() };
    let before = here(&room.came_in);
    let outside = room.contacts.iter().filter(|id| !room.came_in.contains(id));
    let newcomers: Vec<ContactId> = outside.filter(|id| reads(scene, &room, id, Moment::Now)).cloned().collect();
    if newcomers.is_empty() {
        return;
    }
    let invited = room.contacts.iter().filter(|id| before.is_empty() && reads(scene, &room, id, Moment::NowOrLater));
    let announced: BTreeSet<ContactId> = invited.chain(&newcomers).cloned().collect();
    announced.iter().for_each(|id| remember_name(scene, &room, id));
    room.announced.extend(announced);
    room.came_in.extend(newcomers.iter().cloned());
    scene.put(&room);
    let known: Vec<ContactId> = room.contacts.iter().filter(|id| room.announced.contains(id)).cloned().collect();
    for id in &newcomers {
        let others: Vec<ContactId> = known.iter().filter(|other| *other != id).cloned().collect();
        tell(scene, &room, id, MEMBERS, &others);
    }
    for id in before.iter().filter(|id| reads(scene, &room, id, Moment::Now)).collect::<Vec<_>>() {
        tell(scene, &room, id, JOINED, &newcomers);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    Now,
    /// Once he has agreed.
    NowOrLater,
}

/// Whether what is said here is for this contact.
fn reads(scene: &Scene, room: &Room, id: &ContactId, moment: Moment) -> bool {
    let Some(contact) = scene.contact(id).filter(|contact| contact.blocked.is_none()) else { return false };
    let consent = contact.consent(room.channel);
    match moment {
        Moment::Now => sms::is_willing(scene.policy, &contact, room.channel),
        Moment::NowOrLater => !consent.is_opted_out() && !consent.is_unreachable(),
    }
}

/// A short text in an open window or by SMS, inside the template of notices where the window is closed.
fn tell(scene: &mut Scene, room: &Room, id: &ContactId, name: &'static str, others: &[ContactId]) {
    let Some(contact) = scene.contact(id) else { return };
    let vars = people(scene, room, name, others);
    let body = if contact.on(room.channel).is_open(room.channel, &room.line, scene.now) {
        let vars: Vec<(&str, &str)> = vars.iter().map(|(key, value)| (*key, value.as_str())).collect();
        wording_body(scene, &contact, Some(&room.key), name, &vars)
    } else {
        let text = [(NOTICE_TEXT.to_owned(), name.to_owned())];
        let vars: BTreeMap<String, String> = vars.into_iter().map(|(key, value)| (key.to_owned(), value)).chain(text).collect();
        template_body(scene, &contact, Some(&room.key), None, NOTICE, vars)
    };
    say_to_client(scene, id, room.channel, &room.line, Some(room.key.clone()), name, body);
}

/// As another client may read them: by name, and the others counted. Who comes in reads of the advisors too: they read along.
fn people(scene: &Scene, room: &Room, name: &str, ids: &[ContactId]) -> [(&'static str, String); 3] {
    let advisors = if name == MEMBERS { advisors(scene, room) } else { Vec::new() };
    let clients: Vec<String> = ids.iter().filter_map(|id| name_for_clients(scene, room, id)).collect();
    let (shown_advisors, shown_clients) = (as_many_as_fit(&advisors), as_many_as_fit(&clients));
    let unnamed = advisors.len() - shown_advisors.len() + ids.len() - shown_clients.len();
    let unnamed = if unnamed == 0 { String::new() } else { unnamed.to_string() };
    [("advisors", shown_advisors.join(", ")), ("members", shown_clients.join(", ")), ("unnamed", unnamed)]
}

/// All who sit in the room, the owner first; also one who lost his right, because he reads what stands there.
fn advisors(scene: &Scene, room: &Room) -> Vec<String> {
    let owner = room.owner();
    let others = room.members.keys().filter(|user| Some(**user) != owner);
    let name = |user: &UserId| sending::shortened(&members::name_of(scene, room, *user), NAME_SHOWN);
    owner.iter().chain(others).map(name).collect()
}

fn as_many_as_fit(names: &[String]) -> &[String] {
    let mut length = 0;
    let fits = |name: &&String| {
        length += name.chars().count() + ", ".len();
        length <= NAMES_LENGTH
    };
    &names[..names.iter().take(NAMES_SHOWN).take_while(fits).count()]
}

/// The name under which the room's owner keeps this contact, else the one by which the others have come to know him; never a
/// number, and not what he calls himself.
fn name_for_clients(scene: &Scene, room: &Room, id: &ContactId) -> Option<String> {
    let listed = room.owner().and_then(|owner| scene.listing(owner, id)).and_then(|entry| shown_name(&entry.name()));
    listed.or_else(|| scene.case.get::<KnownAs>(&KnownAs::key_of(&room.key, id)).map(|known| known.name))
}

fn shown_name(name: &str) -> Option<String> {
    let digits = name.chars().filter(|c| c.is_numeric()).count();
    let may_be_shown = !name.is_empty() && (digits < DIGITS_OF_A_NUMBER || fault::planted("number-shown"));
    may_be_shown.then(|| sending::shortened(name, NAME_SHOWN))
}

/// What the other clients of a room have read that one of them is called: it stays when his advisor goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct KnownAs {
    room: RoomKey,
    contact: ContactId,
    name: String,
}

impl KnownAs {
    fn key_of(room: &RoomKey, contact: &ContactId) -> Key {
        Key::new("knownas", format_args!("{room}/{contact}"))
    }
}

impl Record for KnownAs {
    fn key(&self) -> Key {
        KnownAs::key_of(&self.room, &self.contact)
    }
    fn sealed_for(&self) -> Option<ContactId> {
        Some(self.contact.clone())
    }
}

fn remember_name(scene: &mut Scene, room: &Room, id: &ContactId) {
    if let Some(name) = name_for_clients(scene, room, id) {
        scene.put(&KnownAs { room: room.key.clone(), contact: id.clone(), name });
    }
}

/// How somebody without a name is told apart from the others.
fn place_in(room: &Room, id: &ContactId) -> String {
    room.contacts.iter().position(|known| known == id).map_or_else(String::new, |place| (place + 1).to_string())
}

// ---- what one of them writes

/// To each other client through his own lane and gate. Before somebody has read who is in the group his words are for the firm.
pub fn pass_on(scene: &mut Scene, room: &Room, from: &ContactId, content: &Content, file: Option<Media>) {
    let heard = is_shared(scene.policy, room) && room.came_in.contains(from) && reads(scene, room, from, Moment::Now);
    if !heard {
        return;
    }
    let others: Vec<ContactId> = room.contacts.iter().filter(|id| *id != from && room.announced.contains(id)).cloned().collect();
    let mut outcomes = Vec::new();
    for to in others {
        let Some(contact) = scene.contact(&to) else { continue };
        let words = Words { room, from, name: name_for_clients(scene, room, from), to: &contact };
        let bodies = words.bodies(scene, content, file.clone());
        let mut last = None;
        for body in bodies {
            last = Some(pass(scene, room, from, &to, body));
        }
        outcomes.extend(last.map(|accepted| (to, accepted)));
    }
    tell_whom_it_did_not_reach(scene, room, from, &outcomes);
}

/// One message of a client to another one.
pub fn pass(scene: &mut Scene, room: &Room, from: &ContactId, to: &ContactId, body: Body) -> Accepted {
    // Nobody of the firm says it: the bot stands where an advisor would.
    let draft = Draft { room, contact: to, author: scene.policy.bot, body, chat_message: None };
    let mut message = sending::write_down(scene, &draft);
    message.author = Author::Client(from.clone());
    sending::take_in(scene, room, message)
}

/// What the gate says of passed on words: everything about the one who gets them, and whether he is in the room.
pub fn objection(scene: &Scene, message: &Message) -> Option<(&'static str, Verdict)> {
    let Some(contact) = scene.contact(&message.contact) else { return Some(("address", Verdict::Refuse)) };
    let room = message.room.as_ref().and_then(|key| scene.room(key));
    if !room.as_ref().is_some_and(|room| room.contacts.contains(&contact.id)) {
        return Some(("membership", Verdict::Refuse));
    }
    let rights = scene.rights(scene.policy.bot);
    gates::first_objection_to_passing_on(&Subject {
        now: scene.now,
        policy: scene.policy,
        author: scene.policy.bot,
        rights: &rights,
        contact: &contact,
        room: room.as_ref(),
        channel: message.channel,
        line: &message.line,
        free_text: message.is_free_text(),
    })
}

/// One client's words on their way to another one.
struct Words<'w> {
    room: &'w Room,
    from: &'w ContactId,
    /// `None` where he has none that may be shown.
    name: Option<String>,
    to: &'w Contact,
}

impl Words<'_> {
    fn bodies(&self, scene: &Scene, content: &Content, file: Option<Media>) -> Vec<Body> {
        let channel = self.room.channel;
        match (content, file) {
            (Content::Text(text), _) => self.spoken(scene, &cleaned(text)),
            (Content::Media(said), Some(file)) if channel == Channel::WhatsApp => {
                self.with_file(scene, &said.caption.as_deref().map(cleaned).unwrap_or_default(), file)
            }
            (Content::Media(said), _) => vec![self.thing(scene, said.caption.as_deref())],
            (Content::Other { caption, .. }, _) => vec![self.thing(scene, caption.as_deref())],
            // What is pressed answers the firm; a sign is no word.
            (Content::Button { .. } | Content::Sign { .. }, _) => Vec::new(),
        }
    }

    /// "Ann Lee: text", in as many messages as the longer text needs.
    fn spoken(&self, scene: &Scene, text: &str) -> Vec<Body> {
        let name = self.name.as_deref().unwrap_or(PLACE_OF_A_NAME);
        let pieces = pieces(self.room.channel, name, text);
        let body = |piece: String| match &self.name {
            Some(name) => Body::Text(headed(name, &piece)),
            None => self.wording(scene, MESSAGE, &piece),
        };
        pieces.into_iter().map(body).collect()
    }

    /// The name stands under the file; before it where nothing can stand under it.
    fn with_file(&self, scene: &Scene, caption: &str, file: Media) -> Vec<Body> {
        let under = self.name.as_ref().map(|name| headed(name, caption)).filter(|under| under.chars().count() <= CAPTION_MAX);
        match under.filter(|_| file.kind.bears_a_caption()) {
            Some(under) => vec![Body::Media { file: Box::new(file), caption: Some(under) }],
            None => {
                let mut bodies = self.spoken(scene, caption);
                bodies.push(Body::Media { file: Box::new(file), caption: None });
                bodies
            }
        }
    }

    fn thing(&self, scene: &Scene, caption: Option<&str>) -> Body {
        self.wording(scene, THING, &caption.map(cleaned).unwrap_or_default())
    }

    fn wording(&self, scene: &Scene, name: &str, text: &str) -> Body {
        let (member, place) = (self.name.clone().unwrap_or_default(), place_in(self.room, self.from));
        let vars = [("members", member.as_str()), ("participant", place.as_str()), ("text", text)];
        wording_body(scene, self.to, Some(&self.room.key), name, &vars)
    }
}

fn headed(name: &str, text: &str) -> String {
    format!("{name}: {text}").trim_end().to_owned()
}

/// The text in parts that fit behind the name: a client may write as much as one message takes without it.
fn pieces(channel: Channel, name: &str, text: &str) -> Vec<String> {
    let (length, most) = measured(channel, &headed(name, text));
    if length <= most {
        return vec![text.to_owned()];
    }
    let half = text.char_indices().nth(text.chars().count() / 2).map_or(text.len(), |(at, _)| at);
    let cut = text[..half].rfind(char::is_whitespace).filter(|at| *at > 0).unwrap_or(half);
    let (first, rest) = text.split_at(cut);
    [pieces(channel, name, first), pieces(channel, name, rest.trim_start())].concat()
}

// ---- what the advisors read of it

/// What became of an advisor's message, by name; nothing where all have it, as in every room.
pub fn tell_what_became(scene: &mut Scene, room: &Room, outcomes: &[(ContactId, Accepted)]) {
    let all_have_it = outcomes.iter().all(|(_, accepted)| matches!(accepted, Accepted::Ready(_)));
    if room.is_group() && !all_have_it {
        let reply = with_outcomes(scene, room, Reply::new(Code::Info, "group-sent"), outcomes);
        scene.post(Place::Room(room.key.clone()), reply);
    }
}

/// Who opted out or is blocked stands in the room's own lines already, and gets nothing of the group.
fn tell_whom_it_did_not_reach(scene: &mut Scene, room: &Room, from: &ContactId, outcomes: &[(ContactId, Accepted)]) {
    if outcomes.iter().any(|(_, accepted)| matches!(accepted, Accepted::Held(..) | Accepted::Full(_))) {
        let name = contact_name(scene, Some(&room.key), from);
        let reply = Reply::new(Code::Info, "group-passed-on").about(from).with("name", name);
        let reply = with_outcomes(scene, room, reply, outcomes);
        scene.post(Place::Room(room.key.clone()), reply);
    }
}

fn with_outcomes(scene: &Scene, room: &Room, reply: Reply, outcomes: &[(ContactId, Accepted)]) -> Reply {
    let (mut sent, mut held, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for (id, accepted) in outcomes {
        let name = contact_name(scene, Some(&room.key), id);
        let row = |gate: &str| -> Value { json!({ "name": name, "gate": gate }) };
        match accepted {
            Accepted::Ready(_) => sent.push(name),
            Accepted::Held(_, gate) => held.push(row(gate)),
            Accepted::Refused(gate) => refused.push(row(gate)),
            Accepted::Full(_) => refused.push(row("held-max")),
        }
    }
    reply.with("sent", sent).with("held", held).with("refused", refused)
}
