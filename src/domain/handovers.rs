//! Many contacts or rooms at once: passed on in small commits, one after another, with one report at the end.
use super::case::Record;
use super::commit::{Entry, Key};
use super::contact::{Contact, Listing, Pointer};
use super::effect::{Code, Place, Reply};
use super::entitlement::Permission;
use super::handover::{self, Passing};
use super::ids::*;
use super::presence;
use super::room::{Room, RoomState};
use super::scene::Scene;
use super::sending;
use super::sub_orgs;
use super::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Contacts or rooms that one commit passes on: each of them may bring a dozen records and lines with it.
pub const AT_ONCE: usize = 20;
/// Rows of a report that bear names; nobody reads further, and a message has its limit.
const SHOWN: usize = 50;
/// A room that is being made is looked at again after this time…
const LOOK_AGAIN: Span = Span::minutes(1);
/// …and so often; the platform has made it by then, or will not.
const LOOKS: u32 = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// What is his goes to a colleague; where others own the room he stays.
    Transfer,
    /// The same, and he leaves every room.
    Offboard,
    /// He leaves the rooms of other sub-organisations than his own.
    SubOrg,
    /// He leaves the rooms of a channel that he may not use any more.
    Revoke,
}

impl Kind {
    /// Whoever only leaves rooms keeps his list.
    fn first_step(self) -> Step {
        match self {
            Kind::Transfer | Kind::Offboard => Step::Contacts,
            Kind::SubOrg | Kind::Revoke => Step::Rooms,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Step {
    Contacts,
    Rooms,
    Over,
}

/// Work that goes on by itself, across restarts, until it is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Handover {
    pub kind: Kind,
    pub from: UserId,
    /// Nobody where he only leaves.
    pub to: Option<UserId>,
    pub by: UserId,
    /// Where the report goes.
    pub place: Place,
    step: Step,
    /// The key behind which the next part begins.
    after: Option<String>,
    /// Something was in the way that passes by itself.
    again: bool,
    /// The next look waits for that.
    rests: bool,
    looks: u32,
    done: Done,
    wake: Option<Timestamp>,
}

/// For the report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Done {
    contacts: usize,
    moved: Vec<ContactId>,
    rooms: usize,
    /// Rooms that were counted and in which he is still, for a contact who has not passed.
    #[serde(default)]
    stays_in: BTreeSet<RoomKey>,
    /// Contacts who went along with a room; one of them may be in several.
    #[serde(default)]
    went_along: BTreeSet<ContactId>,
    held: usize,
    refused: BTreeMap<ContactId, String>,
    left: Vec<RoomKey>,
    left_count: usize,
    empty: Vec<RoomKey>,
    withdrawn: usize,
}

impl Handover {
    pub fn new(kind: Kind, from: UserId, to: Option<UserId>, by: UserId, place: Place) -> Handover {
        let step = kind.first_step();
        let done = Done::default();
        Handover { kind, from, to, by, place, step, after: None, again: false, rests: false, looks: 0, done, wake: None }
    }
    fn key_of(from: UserId) -> Key {
        Key::new("handover", from)
    }
    fn is_over(&self) -> bool {
        self.step == Step::Over
    }
}

impl Record for Handover {
    fn key(&self) -> Key {
        Handover::key_of(self.from)
    }
    fn sealed_for(&self) -> Option<ContactId> {
        None
    }
    fn wake_at(&self) -> Option<Timestamp> {
        self.wake
    }
}

/// Somebody's contacts are on their way to a colleague already.
pub fn is_under_way(scene: &Scene, from: UserId) -> bool {
    scene.case.holds(&Handover::key_of(from))
}

/// Does the first part at once; gives the report, or says that the work goes on.
pub fn begin(scene: &mut Scene, mut work: Handover) -> Reply {
    part(scene, &mut work);
    if work.is_over() {
        return ended(scene, &work);
    }
    plan_next(scene, &mut work);
    scene.put(&work);
    let reply = Reply::answer("handover-goes-on").with("from", scene.user_name(work.from));
    reply.with("to", work.to.map(|to| scene.user_name(to))).with("contacts", work.done.contacts).with("kind", kind_word(&work))
}

/// Only this contact.
pub fn one(scene: &mut Scene, mut work: Handover, contact: &Contact) -> Reply {
    work.step = Step::Over;
    contact_passes(scene, &mut work, contact);
    ended(scene, &work)
}

/// Its time has come: the next part.
pub fn go_on(scene: &mut Scene, from: &str) {
    let from = from.parse().ok().map(UserId);
    let Some(mut work) = from.and_then(|from| scene.case.get::<Handover>(&Handover::key_of(from))) else { return };
    part(scene, &mut work);
    if work.is_over() {
        scene.case.remove::<Handover>(&work.key());
        let report = ended(scene, &work);
        return scene.post(work.place, report);
    }
    plan_next(scene, &mut work);
    scene.put(&work);
}

/// Later than the last time in any case: the same one again would be no new wake-up.
fn plan_next(scene: &Scene, work: &mut Handover) {
    let soon = if std::mem::take(&mut work.rests) { scene.now + LOOK_AGAIN } else { scene.now };
    work.wake = Some(work.wake.map_or(soon, |last| soon.max(last + Span(1))));
}

// ---- one part

fn part(scene: &mut Scene, work: &mut Handover) {
    match work.step {
        Step::Contacts => contacts(scene, work),
        Step::Rooms => rooms(scene, work),
        Step::Over => {}
    }
}

fn contacts(scene: &mut Scene, work: &mut Handover) {
    // Counted before anybody is moved: what this commit has taken away is not found any more.
    let few_rooms = scene.case.scan::<Pointer>(&rooms_prefix(work), None, AT_ONCE).len() < AT_ONCE;
    let listed: Vec<Listing> = scene.case.scan(&Listing::prefix_of(work.from), work.after.as_deref(), AT_ONCE);
    for entry in &listed {
        if let Some(contact) = scene.contact(&entry.contact) {
            contact_passes(scene, work, &contact);
        }
    }
    work.after = listed.last().map(|entry| Listing::key_of(work.from, &entry.contact).as_str().to_owned());
    if listed.len() < AT_ONCE {
        (work.step, work.after) = (Step::Rooms, None);
        if few_rooms {
            rooms(scene, work);
        }
    }
}

fn contact_passes(scene: &mut Scene, work: &mut Handover, contact: &Contact) {
    let Some(to) = work.to else { return };
    match objection(scene, work, contact, to) {
        Some("busy") if work.looks < LOOKS => work.again = true,
        Some(why) => refuse(work, contact, why),
        None => {
            let rooms = handover::owned_rooms(scene, contact, work.from);
            let rooms: Vec<Room> =
                rooms.into_iter().filter(|room| !passes_with_a_later_one(scene, work, contact, room, to)).collect();
            pass(scene, work, to, std::slice::from_ref(contact), &rooms);
        }
    }
}

/// A room passes with the last of its contacts who pass: it reads once of what happens to it, and he is out of it at once.
/// Contacts come in the order of their ids.
fn passes_with_a_later_one(scene: &Scene, work: &Handover, contact: &Contact, room: &Room, to: UserId) -> bool {
    let mut later = room.contacts.iter().filter(|id| **id > contact.id && scene.listing(work.from, id).is_some());
    let passes = |id| scene.contact(id).is_some_and(|other| objection(scene, work, &other, to).is_none());
    work.step == Step::Contacts && later.any(passes)
}

fn pass(scene: &mut Scene, work: &mut Handover, to: UserId, contacts: &[Contact], rooms: &[Room]) {
    let actor = scene.actor(work.by);
    let passing = Passing { from: work.from, to, actor: &actor, leaves_all: work.kind == Kind::Offboard };
    let ids: Vec<ContactId> = contacts.iter().map(|contact| contact.id.clone()).collect();
    work.done.held += handover::pass(scene, &ids, rooms, &passing);
    for id in ids {
        work.done.refused.remove(&id);
        if work.step == Step::Rooms && !work.done.went_along.insert(id.clone()) {
            continue;
        }
        work.done.contacts += 1;
        if work.done.moved.len() < SHOWN {
            work.done.moved.push(id);
        }
    }
    rooms.iter().for_each(|room| count(scene, work, room));
}

/// A room in which he stays may pass a second time, and is still one room.
fn count(scene: &Scene, work: &mut Handover, room: &Room) {
    let stays = scene.room(&room.key).is_some_and(|room| room.members.contains_key(&work.from));
    let known = if stays { !work.done.stays_in.insert(room.key.clone()) } else { work.done.stays_in.remove(&room.key) };
    work.done.rooms += usize::from(!known);
}

fn objection(scene: &Scene, work: &Handover, contact: &Contact, to: UserId) -> Option<&'static str> {
    let rights = scene.rights(work.by);
    let may = |channel: &Channel| rights.may(Permission::Transfer, Some(*channel));
    if work.kind == Kind::Transfer && !contact.channels.keys().any(may) && !contact.channels.is_empty() {
        return Some("no-permission");
    }
    handover::objection(scene, contact, work.from, to)
}

fn refuse(work: &mut Handover, contact: &Contact, why: &str) {
    work.done.refused.insert(contact.id.clone(), why.to_owned());
}

fn rooms_prefix(work: &Handover) -> String {
    format!("member/{}/", work.from)
}

fn rooms(scene: &mut Scene, work: &mut Handover) {
    let prefix = rooms_prefix(work);
    let pointers: Vec<Pointer> = scene.case.scan(&prefix, work.after.as_deref(), AT_ONCE);
    for pointer in &pointers {
        if let Some(room) = scene.room(&RoomKey::new(&pointer.to)).filter(Room::is_live) {
            room_passes(scene, work, room);
        }
    }
    work.after = pointers.last().map(|pointer| format!("{prefix}{}", pointer.to));
    if pointers.len() < AT_ONCE {
        work.after = None;
        once_more_or_over(work);
    }
}

fn once_more_or_over(work: &mut Handover) {
    if work.again && work.looks < LOOKS {
        (work.again, work.rests) = (false, true);
        work.looks += 1;
        work.step = work.kind.first_step();
    } else {
        work.step = Step::Over;
    }
}

fn room_passes(scene: &mut Scene, work: &mut Handover, room: Room) {
    let has_passed = work.done.stays_in.contains(&room.key);
    if let Some(to) = work.to.filter(|_| !has_passed && handover::owns(&room, work.from)) {
        room_with_its_own_passes(scene, work, &room, to);
    }
    let still_in = scene.room(&room.key).filter(|room| room.members.contains_key(&work.from));
    let Some(room) = still_in.filter(|room| must_leave(scene, work, room)) else { return };
    if room.state == RoomState::Opening && work.looks < LOOKS {
        work.again = true;
        return;
    }
    let (key, actor) = (room.key.clone(), scene.actor(work.by));
    let left = handover::take_out(scene, room, work.from, &actor);
    work.done.left_count += 1;
    work.done.withdrawn += left.withdrawn;
    if left.is_empty && work.done.empty.len() < SHOWN {
        work.done.empty.push(key.clone());
    }
    if work.done.left.len() < SHOWN {
        work.done.left.push(key);
    }
}

/// Those who are his only in this room go with it, all together.
fn room_with_its_own_passes(scene: &mut Scene, work: &mut Handover, room: &Room, to: UserId) {
    let unlisted = room.contacts.iter().filter(|id| scene.listing(work.from, id).is_none());
    let unlisted: Vec<Contact> = unlisted.filter_map(|id| scene.contact(id)).collect();
    let mut passing = Vec::new();
    for contact in unlisted {
        match objection(scene, work, &contact, to) {
            Some("busy") if work.looks < LOOKS => work.again = true,
            Some(why) => refuse(work, &contact, why),
            None => passing.push(contact),
        }
    }
    if !passing.is_empty() {
        pass(scene, work, to, &passing, std::slice::from_ref(room));
    }
}

fn must_leave(scene: &Scene, work: &Handover, room: &Room) -> bool {
    match work.kind {
        Kind::Transfer => false,
        Kind::Offboard => true,
        Kind::SubOrg | Kind::Revoke => !presence::belongs(scene, room, work.from),
    }
}

// ---- the report

fn kind_word(work: &Handover) -> &'static str {
    match work.kind {
        Kind::Transfer => "transfer",
        Kind::Offboard => "offboard",
        Kind::SubOrg => "suborg",
        Kind::Revoke => "revoke",
    }
}

fn ended(scene: &mut Scene, work: &Handover) -> Reply {
    let done = &work.done;
    let detail = json!({
        "from": scene.actor(work.from), "to": work.to.map(|to| scene.actor(to)), "kind": kind_word(work),
        "contacts": done.contacts, "rooms": done.rooms, "held": done.held, "left": done.left_count,
        "refused": done.refused, "without_advisors": done.empty,
    });
    let actor = scene.actor(work.by);
    scene.note(Entry::new("handover.ended", actor).detail(detail));
    tell_successor(scene, work);
    report(scene, work)
}

fn tell_successor(scene: &mut Scene, work: &Handover) {
    let Some(to) = work.to.filter(|_| work.done.contacts > 0) else { return };
    let names: Vec<String> = work.done.moved.iter().map(|id| sending::name_for(scene, Some(to), id)).collect();
    let reply = Reply::new(Code::Notice, "handed-to-you").with("from", scene.user_name(work.from)).with("names", names);
    let reply = reply.with("contacts", work.done.contacts).with("rooms", work.done.rooms).with("held", work.done.held);
    scene.post(Place::Direct(to), reply);
}

fn report(scene: &Scene, work: &Handover) -> Reply {
    let done = &work.done;
    let moved: Vec<String> = done.moved.iter().map(|id| name_seen(scene, work, id)).collect();
    let row = |(id, why): (&ContactId, &String)| json!({ "name": name_seen(scene, work, id), "why": why });
    let refused: Vec<Value> = done.refused.iter().take(SHOWN).map(row).collect();
    let named = |keys: &[RoomKey]| keys.iter().filter_map(|key| scene.room(key)).map(|room| room.name).collect::<Vec<_>>();
    let email = scene.user(work.from).map(|user| user.email).unwrap_or_default();
    let lines = scene.policy.lines.iter().filter(|line| line.advisor.as_deref() == Some(&*email));
    let lines: Vec<String> = lines.map(|line| line.number.e164().to_owned()).collect();
    let reply = Reply::answer("handover-report")
        .with("kind", kind_word(work))
        .with("from", scene.user_name(work.from))
        .with("to", work.to.map(|to| scene.user_name(to)))
        .with("sub_org", scene.rights(work.from).sub_org)
        .with("contacts", done.contacts)
        .with("moved", moved)
        .with("rooms", done.rooms)
        .with("held", done.held)
        .with("refused", refused)
        .with("refused_count", done.refused.len())
        .with("left", named(&done.left))
        .with("left_count", done.left_count)
        .with("empty", named(&done.empty))
        .with("withdrawn", done.withdrawn)
        .with("lines", lines)
        .with("covers", scene.policy.covered_by(&email))
        .with("is_default", scene.policy.default_advisors.contains(&email));
    match work.kind {
        Kind::SubOrg => sub_orgs::told(reply, scene.policy, &scene.given_rights(&email)),
        Kind::Transfer | Kind::Offboard | Kind::Revoke => reply,
    }
}

/// For one who may see everybody by name, for others by what they know him by (S2-17).
fn name_seen(scene: &Scene, work: &Handover, id: &ContactId) -> String {
    let sees_all = scene.rights(work.by).may(Permission::ContactListAll, None);
    let listed = scene.listing(work.by, id).map(|listing| listing.name()).filter(|name| !name.is_empty());
    let of_all = || scene.contact(id).filter(|_| sees_all).map(|contact| contact.name());
    listed.or_else(of_all).unwrap_or_else(|| id.to_string())
}
