//! Native WhatsApp groups: asked for, made, joined by invitation, changed and ended. A room of ours bears one; what is
//! written in the room goes into it, in `talk`; what WhatsApp tells of it is heard in `news`.
mod news;
pub mod owed;
pub mod picture;
pub mod requests;
mod talk;

pub use news::{call_done, call_failed, told};
pub use talk::{
    Row, client_wrote, first_objection, goes_to_its_members, held_line, hindrance, member, objection, objection_to_own, reached,
    readers, say_to_group, verdicts, who, window_was_closed,
};

use self::owed::{Owed, What};
use self::picture::Picture;
use self::requests::Looks;
use super::commit::{Entry, Key};
use super::consent::Consent;
use super::contact::Contact;
use super::effect::*;
use super::groups;
use super::ids::*;
use super::membership::{Membership, Step};
use super::refusal::Refusal;
use super::room::Room;
use super::rooms::{self, Plan};
use super::saying::{say_to_client, template_body};
use super::scene::{PROGRAM, Scene};
use super::time::{Span, Timestamp};
use super::window::Window;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// WhatsApp's limit of contacts in a group (S1-4).
pub const CONTACTS_MAX: usize = 8;
/// WhatsApp's limit of a group's name, in characters.
pub const SUBJECT_MAX: usize = 128;
/// WhatsApp's limit of a group's description, in characters.
const DESCRIPTION_MAX: usize = 2_048;
/// The webhook that tells of a new group comes within seconds; after this it is looked for in the list.
pub const LOOK_AFTER: Span = Span::minutes(2);
/// A group that cannot be found after so many looks (each waits twice as long as the one before) is given up.
pub const LOOKS_MAX: u32 = 6;

/// The template with the personal link, and the one that says that he is in.
pub const GROUP_INVITE: &str = "liaison_group_invite";
pub const GROUP_JOINED: &str = "liaison_group_joined";
/// Into the group on each change of its people or its name (S1-26).
pub const GROUP_CHANGED: &str = "liaison_group_changed";

/// What a room knows of its native group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Native {
    /// Known once WhatsApp has told it.
    pub group: Option<GroupId>,
    /// The group's name, which may be longer than the room's.
    pub subject: String,
    /// As WhatsApp was asked to make it: by that name it is looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_as: Option<Words>,
    pub asked_at: Timestamp,
    pub looks: u32,
    /// When to look for it, while it is not known.
    pub look_at: Option<Timestamp>,
    pub link: Option<String>,
    pub members: BTreeMap<ContactId, Member>,
    /// The group's own: any member's message opens it.
    pub window: Window,
    /// WhatsApp lets nobody write in it for now.
    pub suspended: bool,
    /// Removed by us, and still in it: nothing is said there until they are out.
    pub reading_along: BTreeSet<ContactId>,
    /// The same for people of whom we know nothing but what WhatsApp calls them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub strangers: BTreeSet<String>,
    /// What WhatsApp was asked for and has not done yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owed: Vec<Owed>,
    #[serde(default, skip_serializing_if = "Looks::is_none")]
    pub looks_for_requests: Looks,
    /// The picture that was asked for last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<Picture>,
    /// When the room was last told that a stranger asked to join.
    pub strangers_told_at: Option<Timestamp>,
}

/// What everybody in the group reads above it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Words {
    pub subject: String,
    pub description: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    pub state: Membership,
    /// The link is on its way to him.
    pub linked: bool,
}

impl Native {
    pub fn state_of(&self, contact: &ContactId) -> Option<Membership> {
        self.members.get(contact).map(|member| member.state)
    }
    pub fn joined(&self) -> impl Iterator<Item = &ContactId> {
        self.members.iter().filter(|(_, member)| member.state == Membership::Joined).map(|(id, _)| id)
    }
    /// Nobody reads along who may not.
    fn is_among_us(&self) -> bool {
        self.reading_along.is_empty() && self.strangers.is_empty()
    }
    fn wakes_at(&self) -> Option<Timestamp> {
        let look = self.look_at.filter(|_| self.group.is_none());
        let again = self.owed.iter().filter_map(Owed::wakes_at).chain(self.looks_for_requests.wakes_at());
        let again = again.filter(|_| self.group.is_some());
        look.into_iter().chain(again).chain(self.picture.as_ref().and_then(Picture::wakes_at)).min()
    }
}

impl Room {
    pub fn is_native(&self) -> bool {
        self.native.is_some()
    }
    /// When its group, if it has one, or the group's picture, wants to be looked for.
    pub fn group_wakes_at(&self) -> Option<Timestamp> {
        self.native.as_ref().and_then(Native::wakes_at)
    }
    /// Under whom an advisor's message to this contact waits: a group has one lane for all.
    pub fn lane_of(&self, contact: &ContactId) -> ContactId {
        if self.is_native() { ContactId::of_group(&self.key) } else { contact.clone() }
    }
    /// To whom an advisor's text in this room becomes a message of its own.
    pub fn addressees(&self) -> Vec<ContactId> {
        if self.is_native() { vec![ContactId::of_group(&self.key)] } else { self.contacts.clone() }
    }
}

fn group_key(group: &GroupId) -> Key {
    Key::new("group", group)
}
fn request_key(request: &str) -> Key {
    Key::new("grouprequest", request)
}

/// The room of this group, if it is ours.
pub fn room_of(scene: &Scene, group: &GroupId) -> Option<Room> {
    scene.pointer(group_key(group)).and_then(|key| scene.room(&RoomKey::new(key)))
}

// ---- made

pub struct Wish<'w> {
    pub name: &'w str,
    pub contacts: &'w [ContactId],
    pub owner: UserId,
    pub colleagues: &'w [UserId],
    pub asked_by: UserId,
    pub answer: Option<(Place, Reply)>,
    pub ask: Option<AskId>,
}

/// The room and, once it stands, its group; contacts are asked for consent as in any room, and get the link with their yes.
pub fn create(scene: &mut Scene, wish: Wish) -> Result<RoomKey, Refusal> {
    let name = rooms::short_name(wish.name);
    let plan = Plan {
        name: Some(&name),
        channel: Channel::WhatsApp,
        contacts: wish.contacts,
        owner: wish.owner,
        colleagues: wish.colleagues,
        asked_by: Some(wish.asked_by),
        line: None,
        invite: true,
        answer: wish.answer,
        ask: wish.ask,
    };
    let invited = |id: &ContactId| (id.clone(), Member { state: Membership::Invited, linked: false });
    let native = Native {
        group: None,
        subject: wish.name.to_owned(),
        asked_as: None,
        asked_at: scene.now,
        looks: 0,
        look_at: None,
        link: None,
        members: wish.contacts.iter().map(invited).collect(),
        window: Window::default(),
        suspended: false,
        reading_along: BTreeSet::new(),
        strangers: BTreeSet::new(),
        owed: Vec::new(),
        looks_for_requests: Looks::default(),
        picture: None,
        strangers_told_at: None,
    };
    rooms::open_as(scene, plan, Some(native))
}

/// The room stands: now its group.
pub fn room_opened(scene: &mut Scene, key: &RoomKey) {
    let Some(mut room) = scene.room(key) else { return };
    let description = description(scene, &room);
    let Some(native) = &mut room.native else { return };
    native.asked_at = scene.now;
    let subject = native.subject.clone();
    native.asked_as = Some(Words { subject: subject.clone(), description: description.clone() });
    scene.put(&room);
    act(scene, &room, GroupCall::Create { subject, description });
}

fn act(scene: &mut Scene, room: &Room, call: GroupCall) {
    act_about(scene, room, None, call);
}

fn act_about(scene: &mut Scene, room: &Room, contact: Option<ContactId>, call: GroupCall) {
    scene.effect(Effect::Group(GroupAct { room: room.key.clone(), line: room.line.clone(), contact, call }));
}

/// S1-13: it names the advisors.
fn description(scene: &Scene, room: &Room) -> String {
    let names: Vec<String> = room.members.keys().map(|user| super::members::name_of(scene, room, *user)).collect();
    let text =
        if names.is_empty() { scene.policy.firm.clone() } else { format!("{} · {}", scene.policy.firm, names.join(", ")) };
    text.chars().take(DESCRIPTION_MAX).collect()
}

// ---- invited (S1-10..12, S1-18)

/// Whoever is invited, has agreed and has not got the link yet gets it, each by himself: WhatsApp is asked for it each time,
/// since a link that was reset in the firm's own tools lets nobody in.
fn ask_for_link(scene: &mut Scene, key: &RoomKey) {
    let Some(room) = scene.room(key).filter(Room::is_live) else { return };
    let Some(group) = room.native.as_ref().and_then(|native| native.group.clone()) else { return };
    if !without_link(scene, &room).is_empty() {
        act(scene, &room, GroupCall::Link { group, anew: false });
    }
}

/// Those who are invited and may have their link, and have none yet.
pub fn without_link(scene: &Scene, room: &Room) -> Vec<ContactId> {
    let members = room.native.iter().flat_map(|native| &native.members);
    let waiting = members.filter(|(_, member)| member.state == Membership::Invited && !member.linked).map(|(id, _)| id);
    waiting.filter(|id| scene.contact(id).is_some_and(|contact| may_be_invited(&contact))).cloned().collect()
}

/// The link as WhatsApp has just told it.
fn send_links(scene: &mut Scene, key: &RoomKey, link: &str) {
    let Some(mut room) = scene.room(key) else { return };
    let Some(native) = &mut room.native else { return };
    native.link = Some(link.to_owned());
    scene.put(&room);
    for id in without_link(scene, &room).iter().filter(|_| room.is_live()) {
        send_link(scene, &room, id, link);
    }
}

fn send_link(scene: &mut Scene, room: &Room, id: &ContactId, link: &str) {
    let Some(contact) = scene.contact(id) else { return };
    let Some(mut room) = scene.room(&room.key) else { return };
    let (now, Some(native)) = (scene.now, &mut room.native) else { return };
    let Some(member) = native.members.get_mut(id) else { return };
    member.linked = true;
    native.looks_for_requests.begin(now);
    scene.put(&room);
    scene.note(Entry::new("group.link_sent", PROGRAM).about(id).room(&room.key));
    tell_alone(scene, &room, &contact, GROUP_INVITE, &[("link", link)]);
}

pub fn may_be_invited(contact: &Contact) -> bool {
    contact.consent(Channel::WhatsApp).is_opted_in() && contact.blocked.is_none()
}

/// A message to one member by himself: words while his own window is open, the template otherwise.
fn tell_alone(scene: &mut Scene, room: &Room, contact: &Contact, name: &str, more: &[(&str, &str)]) {
    let group = room.native.as_ref().map(|native| native.subject.clone()).unwrap_or_default();
    let mut vars = BTreeMap::from([("group".to_owned(), group)]);
    vars.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let body = template_body(scene, contact, Some(&room.key), room.owner(), name, vars);
    let body = match body {
        Body::Template { name, language, vars } if closes_late_enough(scene, room, contact) => {
            Body::Question { name, language, vars }
        }
        other => other,
    };
    say_to_client(scene, &contact.id, Channel::WhatsApp, &room.line, Some(room.key.clone()), name, body);
}

/// A message that waits its turn must not find the window closed.
fn closes_late_enough(scene: &Scene, room: &Room, contact: &Contact) -> bool {
    const TURN_LASTS: Span = Span::minutes(10);
    contact.on(Channel::WhatsApp).window(&room.line).is_open(scene.now + TURN_LASTS)
}

/// A yes: the link goes in each of his native groups.
pub fn client_agreed(scene: &mut Scene, contact: &Contact) {
    let native = contact.rooms.iter().filter_map(|key| scene.room(key)).filter(Room::is_native);
    let keys: Vec<RoomKey> = native.map(|room| room.key).collect();
    keys.iter().for_each(|key| ask_for_link(scene, key));
}

// ---- changed by the owners (S1-20..28)

/// What an owner did to the group, as its members read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    Added,
    Removed,
    Promoted,
    Demoted,
    Renamed,
}

impl Changed {
    fn word(self) -> &'static str {
        match self {
            Changed::Added => "added",
            Changed::Removed => "removed",
            Changed::Promoted => "promoted",
            Changed::Demoted => "demoted",
            Changed::Renamed => "renamed",
        }
    }
}

/// Advisors came, went or changed places: the description follows (S1-13) and the group is told (S1-26).
pub fn advisors_changed(scene: &mut Scene, key: &RoomKey, change: Changed) {
    let Some(room) = scene.room(key).filter(|room| room.is_live()) else { return };
    let Some(native) = room.native.as_ref().filter(|native| native.group.is_some()) else { return };
    if matches!(change, Changed::Added | Changed::Removed) {
        let subject = native.owes_words().then(|| native.subject.clone());
        let description = Some(description(scene, &room));
        change_words(scene, &room, subject, description);
    }
    tell_group(scene, &room, change);
}

/// S1-27.
pub fn renamed(scene: &mut Scene, key: &RoomKey, name: &str) {
    let Some(mut room) = scene.room(key).filter(|room| room.is_live()) else { return };
    let Some(native) = &mut room.native else { return };
    native.subject = name.to_owned();
    let (made, owes_words) = (native.group.is_some(), native.owes_words());
    scene.put(&room);
    if made {
        let description = owes_words.then(|| description(scene, &room));
        change_words(scene, &room, Some(name.to_owned()), description);
        tell_group(scene, &room, Changed::Renamed);
    }
}

/// What WhatsApp did not take over before goes with it.
fn change_words(scene: &mut Scene, room: &Room, subject: Option<String>, description: Option<String>) {
    if let Some(group) = room.native.as_ref().and_then(|native| native.group.clone()) {
        act(scene, room, GroupCall::Change { group, subject, description });
    }
}

/// The group is there: what became of the room's name and its advisors while WhatsApp made it follows.
fn catch_up(scene: &mut Scene, room: &Room) {
    let Some(native) = &room.native else { return };
    let Some(asked) = &native.asked_as else { return };
    let now = Words { subject: native.subject.clone(), description: description(scene, room) };
    if now != *asked {
        let subject = Some(now.subject).filter(|subject| *subject != asked.subject);
        let description = Some(now.description).filter(|description| *description != asked.description);
        change_words(scene, room, subject, description);
    }
}

/// One more contact is invited; whoever was removed once is barred for ever, by whatever door he is brought (S1-28).
pub fn invite(scene: &mut Scene, key: &RoomKey, contact: &ContactId) -> Result<(), Refusal> {
    let Some(mut room) = scene.room(key) else { return Ok(()) };
    let Some(native) = &mut room.native else { return Ok(()) };
    let there = native.members.values().filter(|member| matches!(member.state, Membership::Invited | Membership::Joined));
    let full = there.count() >= CONTACTS_MAX;
    let state = match native.state_of(contact) {
        Some(Membership::Barred) => return Err(Refusal::new("barred").about(contact)),
        Some(Membership::Invited | Membership::Joined) => return Err(Refusal::new("already-member").about(contact)),
        Some(_) | None if full => return Err(Refusal::new("native-full").about(contact).with("most", CONTACTS_MAX)),
        Some(state) => state.after(Step::Invite).unwrap_or(Membership::Invited),
        None => Membership::Invited,
    };
    native.members.insert(contact.clone(), Member { state, linked: false });
    scene.put(&room);
    ask_for_link(scene, key);
    tell_group(scene, &room, Changed::Added);
    Ok(())
}

/// Out, and never in again (S1-28). Whom WhatsApp has not taken out is asked for once more.
pub fn remove(scene: &mut Scene, key: &RoomKey, contact: &Contact) {
    let Some(mut room) = scene.room(key) else { return };
    let Some(native) = &mut room.native else { return };
    if native.may_be_removed_again(&contact.id) {
        return owed::ask(scene, key, owed::out(Some(contact), String::new(), contact.address()));
    }
    let was = native.state_of(&contact.id);
    let Some(state) = was.and_then(|state| state.after(Step::Bar)) else { return };
    native.members.insert(contact.id.clone(), Member { state, linked: true });
    if was == Some(Membership::Joined) {
        // Until WhatsApp says that he is out he reads what is said there.
        native.reading_along.insert(contact.id.clone());
        scene.put(&room);
        return owed::ask(scene, key, owed::out(Some(contact), String::new(), contact.address()));
    }
    scene.put(&room);
    tell_group(scene, &room, Changed::Removed);
}

/// One whom we removed is out, and nobody reads along any more who may not: now the group can be told (S1-26).
fn removal_is_done(scene: &mut Scene, key: &RoomKey) {
    if let Some(room) = scene.room(key) {
        tell_group(scene, &room, Changed::Removed);
    }
}

fn tell_group(scene: &mut Scene, room: &Room, change: Changed) {
    say_to_group(scene, &room.key, GROUP_CHANGED, &[("change", change.word())]);
}

/// The room is closed: the group ends with it, and nothing else is wanted of it.
pub fn room_closed(scene: &mut Scene, room: &Room) {
    let Some(mut room) = scene.room(&room.key) else { return };
    let Some(native) = &mut room.native else { return };
    native.owed.clear();
    native.looks_for_requests = Looks::default();
    scene.put(&room);
    owed::ask(scene, &room.key, What::End);
}

/// Something was asked of WhatsApp, and it has refused it or told nothing of it.
pub fn woke(scene: &mut Scene, key: &RoomKey) {
    picture::woke(scene, key);
    owed::woke(scene, key);
    requests::woke(scene, key);
    look_for_group(scene, key);
}

fn look_for_group(scene: &mut Scene, key: &RoomKey) {
    let Some(mut room) = scene.room(key) else { return };
    let now = scene.now;
    let Some(native) = &mut room.native else { return };
    if native.group.is_some() || native.look_at.is_none_or(|at| at > now) {
        return;
    }
    native.looks += 1;
    native.look_at = None;
    let subject = native.asked_as.as_ref().map_or_else(|| native.subject.clone(), |asked| asked.subject.clone());
    let created_after = native.asked_at - Span::minutes(1);
    scene.put(&room);
    act(scene, &room, GroupCall::Find { subject, created_after });
}

/// Without an eligible account or with the feature off there is no native group: the room goes on as a standard one, each
/// contact reached by himself.
fn fall_back(scene: &mut Scene, key: &RoomKey, code: &str, detail: &str) {
    let Some(mut room) = scene.room(key).filter(Room::is_native) else { return };
    room.native = None;
    scene.put(&room);
    let entry = Entry::new("group.fell_back", PROGRAM).room(key).detail(json!({ "code": code, "detail": detail }));
    scene.note(entry);
    let reply = Reply::new(Code::Notice, "group-fell-back").with("provider_code", code).with("room", room.name);
    scene.post(Place::Room(key.clone()), reply);
    groups::bring_in(scene, key);
}

/// Any of them who has not agreed (any more) while being in it.
fn unsettled(scene: &Scene, native: &Native) -> Vec<ContactId> {
    let agreed = |id: &&ContactId| scene.contact(id).is_some_and(|contact| may_be_invited(&contact));
    native.joined().filter(|id| !agreed(id)).cloned().collect()
}

/// A member said stop: nothing is said in his groups until he is out or agrees again; their advisors read why.
pub fn client_stopped(scene: &mut Scene, contact: &Contact) {
    let rooms: Vec<Room> = contact.rooms.iter().filter_map(|key| scene.room(key)).collect();
    for room in rooms.into_iter().filter(Room::is_live) {
        let is_in = room.native.as_ref().and_then(|native| native.state_of(&contact.id)) == Some(Membership::Joined);
        if is_in && !matches!(contact.consent(Channel::WhatsApp), Consent::OptedIn { .. }) {
            let name = super::sending::contact_name(scene, Some(&room.key), &contact.id);
            let reply = Reply::new(Code::Notice, "group-unsettled").about(&contact.id).with("name", name);
            scene.post(Place::Room(room.key), reply);
        }
    }
}
