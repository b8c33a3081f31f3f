//! One contact passes from an advisor to a colleague: the list entry, the rooms, and what waits in them (S4-41).
use super::ask::About;
use super::commit::Entry;
use super::contact::{Contact, Listing};
use super::effect::{Code, Place, Reply};
use super::gates;
use super::ids::*;
use super::lane::OutboxLane;
use super::members;
use super::message::{Message, MessageState};
use super::notices::{AdvisorChange, tell_client_of_advisor};
use super::outbox;
use super::presence::{self, Cause, Step};
use super::room::{Room, RoomState};
use super::scene::Scene;
use super::sending;
use serde_json::json;
use std::collections::BTreeSet;

/// A message that its author's successor has not confirmed; it never goes by itself.
pub const HANDED_OVER: &str = "handover";

/// Why a room does not pass in which the platform lets the bot change nobody.
pub const BOT_NOT_OWNER: &str = "bot-not-owner";

/// From whom to whom, and by whose order.
pub struct Passing<'p> {
    pub from: UserId,
    pub to: UserId,
    pub actor: &'p str,
    /// He leaves every room, also one in which a contact stays his.
    pub leaves_all: bool,
}

/// The rooms with this contact that are this advisor's own.
pub fn owned_rooms(scene: &Scene, contact: &Contact, user: UserId) -> Vec<Room> {
    let rooms = contact.rooms.iter().filter_map(|key| scene.room(key));
    rooms.filter(|room| room.is_live() && owns(room, user)).collect()
}

pub fn owns(room: &Room, user: UserId) -> bool {
    room.members.contains_key(&user) && (room.owner() == Some(user) || room.members[&user].owner)
}

/// Why this contact does not pass: `not-theirs`, `not-entitled`, `other-sub-org`, `bot-not-owner`, or `busy` while a room is being
/// made.
pub fn objection(scene: &Scene, contact: &Contact, from: UserId, to: UserId) -> Option<&'static str> {
    let listing = scene.listing(from, &contact.id);
    let rooms = owned_rooms(scene, contact, from);
    if listing.is_none() && rooms.is_empty() {
        return Some("not-theirs");
    }
    let (theirs, rights) = (scene.rights(from), scene.rights(to));
    if !channels_lacking(scene, contact, from, to).is_empty() || !rights.has_any() {
        return Some("not-entitled");
    }
    // One who is in no configuration any more has no sub-organisation: then the rooms alone say where the wall is.
    let walled = !theirs.sub_org.is_empty() && theirs.sub_org != rights.sub_org;
    if walled || rooms.iter().any(|room| room.sub_org != rights.sub_org) {
        return Some("other-sub-org");
    }
    if rooms.iter().any(|room| members::may_change(room).is_err()) {
        return Some(BOT_NOT_OWNER);
    }
    rooms.iter().any(|room| room.state == RoomState::Opening).then_some("busy")
}

/// On which this contact is talked with by the one and the other may not.
pub fn channels_lacking(scene: &Scene, contact: &Contact, from: UserId, to: UserId) -> BTreeSet<Channel> {
    let listed = scene.listing(from, &contact.id).into_iter().flat_map(|listing| listing.channels);
    let talked = owned_rooms(scene, contact, from).into_iter().map(|room| room.channel);
    let rights = scene.rights(to);
    listed.chain(talked).filter(|channel| !rights.may_use(*channel)).collect()
}

/// These contacts and rooms pass; the caller has asked `objection`. Returns how many messages the colleague is asked about.
pub fn pass(scene: &mut Scene, ids: &[ContactId], rooms: &[Room], passing: &Passing) -> usize {
    // All entries first: from the moment in which the colleague owns a room its clients bear the names that he has for them.
    ids.iter().for_each(|id| move_entry(scene, id, passing));
    let held = rooms.iter().map(|room| take_over(scene, room.clone(), passing)).sum();
    for id in ids {
        let own = rooms.iter().filter(|room| room.contacts.contains(id));
        let detail = json!({
            "from": scene.actor(passing.from), "to": scene.actor(passing.to), "held": held,
            "rooms": own.map(|room| &room.key).collect::<Vec<_>>(),
        });
        scene.note(Entry::new("contact.transferred", passing.actor).about(id).detail(detail));
    }
    held
}

/// The entry goes with its name, unless the colleague has a name of his own for the contact (S2-17).
fn move_entry(scene: &mut Scene, id: &ContactId, passing: &Passing) {
    let Some(mut contact) = scene.contact(id) else { return };
    if let Some(entry) = scene.listing(passing.from, id) {
        give_entry(scene, &entry, passing.to, passing.actor);
        scene.case.remove::<Listing>(&Listing::key_of(passing.from, id));
        contact.listed_by.remove(&passing.from);
        contact.listed_by.insert(passing.to);
    }
    for on in contact.channels.values_mut().filter(|on| on.asked_by == Some(passing.from)) {
        on.asked_by = Some(passing.to);
    }
    scene.put(&contact);
}

/// A colleague's entry as this one has it, or his own, completed by what is missing there.
fn give_entry(scene: &mut Scene, entry: &Listing, to: UserId, actor: &str) {
    let fresh = || Listing { user: to, added_at: scene.now, added_by: actor.to_owned(), on_behalf: false, ..entry.clone() };
    let mut theirs = scene.listing(to, &entry.contact).unwrap_or_else(fresh);
    theirs.channels.extend(&entry.channels);
    if theirs.incomplete && !entry.incomplete {
        (theirs.first, theirs.last, theirs.company) = (entry.first.clone(), entry.last.clone(), entry.company.clone());
        theirs.incomplete = false;
    }
    scene.put(&theirs);
}

/// The contact is on this colleague's list too, on these channels and by the name that another gave him.
pub fn share(scene: &mut Scene, entry: &Listing, to: UserId, channels: BTreeSet<Channel>) {
    let actor = scene.actor(entry.user);
    give_entry(scene, &Listing { channels, ..entry.clone() }, to, &actor);
    if let Some(mut contact) = scene.contact(&entry.contact) {
        contact.listed_by.insert(to);
        scene.put(&contact);
    }
    let detail = json!({ "by": actor, "with": scene.actor(to) });
    scene.note(Entry::new("contact.shared", actor).about(&entry.contact).detail(detail));
}

// ---- rooms

/// The colleague owns the room; the other goes, but for one who has further contacts of his own in it.
fn take_over(scene: &mut Scene, mut room: Room, passing: &Passing) -> usize {
    let (from, to) = (passing.from, passing.to);
    let stays = !passing.leaves_all && room.contacts.iter().any(|contact| scene.listing(from, contact).is_some());
    let newcomer = comes_as_owner(scene, &mut room, to, passing.actor);
    if !stays && room.owner() == Some(from) {
        presence::leads(scene, &mut room, to);
    }
    let waiting = if stays { Vec::new() } else { waiting_of(scene, &room, from) };
    if !stays {
        goes(scene, &mut room, from, passing.actor);
    }
    // Of several contacts in one room each passes by itself; the room reads once of what happens to it.
    if newcomer || !stays {
        let (by, user) = (scene.user_name(from), scene.user_name(to));
        let line = Reply::new(Code::Notice, "conversation-handed-over").with("by", by).with("user", user);
        scene.post(Place::Room(room.key.clone()), line.with("stays", stays));
    }
    let held = waiting.len();
    waiting.into_iter().for_each(|message| ask_successor(scene, &room, message, passing));
    for contact in &room.contacts {
        match (newcomer, stays) {
            (true, _) => tell_client_of_advisor(scene, &room, contact, to, AdvisorChange::Joined),
            (false, false) => tell_client_of_advisor(scene, &room, contact, from, AdvisorChange::Left),
            (false, true) => {}
        }
    }
    held
}

/// False: he was in it before.
fn comes_as_owner(scene: &mut Scene, room: &mut Room, user: UserId, actor: &str) -> bool {
    let before = room.members.get(&user).map(|member| member.owner);
    let cause = Cause { actor: actor.to_owned(), ..Cause::rule() };
    match before {
        None => presence::comes(scene, room, user, true, &cause),
        Some(false) => drop(presence::set_owner(scene, room, user, true, &cause)),
        Some(true) => {}
    }
    before.is_none()
}

fn goes(scene: &mut Scene, room: &mut Room, user: UserId, actor: &str) {
    let cause = Cause { actor: actor.to_owned(), ..Cause::rule() };
    presence::steps_out(scene, room, user, Step::Leaves, &cause);
}

/// What is left of a room when somebody was taken out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Nobody is in it any more.
    pub is_empty: bool,
    /// Messages of his that will not go.
    pub withdrawn: usize,
}

/// He is out of the room and nobody takes his place: a colleague who is in it owns it, or the admins are told.
pub fn take_out(scene: &mut Scene, mut room: Room, user: UserId, actor: &str) -> Left {
    let waiting = waiting_of(scene, &room, user);
    let withdrawn = waiting.len();
    goes(scene, &mut room, user, actor);
    let is_empty = room.members.is_empty();
    let heir = presence::heir_of(scene, &room, None);
    if let Some(heir) = heir {
        comes_as_owner(scene, &mut room, heir, actor);
    }
    let why = why_out(scene, &room, user);
    let waiting = waiting.into_iter().filter_map(|message| withdraw(scene, message, why)).collect();
    sending::tell_withdrawn(scene, waiting, why);
    if is_empty {
        tell_admins(scene, &room, user, withdrawn);
    } else {
        let line = Reply::new(Code::Notice, "colleague-left").with("name", scene.user_name(user));
        scene.post(Place::Room(room.key.clone()), line.with("owner", heir.map(|heir| scene.user_name(heir))));
    }
    for contact in &room.contacts {
        tell_client_of_advisor(scene, &room, contact, user, AdvisorChange::Left);
        sending::release(scene, &room.key, &room.lane_of(contact));
    }
    Left { is_empty, withdrawn }
}

/// The gate at which his messages fail now.
fn why_out(scene: &Scene, room: &Room, user: UserId) -> &'static str {
    let rights = scene.rights(user);
    if !rights.may_use(room.channel) {
        gates::entitled::GATE.id
    } else if rights.sub_org != room.sub_org {
        gates::sub_org::GATE.id
    } else {
        gates::membership::GATE.id
    }
}

/// Nobody would read the next line in this room: the client's next message goes to others (RULES, Advisor in a conversation).
fn tell_admins(scene: &mut Scene, room: &Room, user: UserId, withdrawn: usize) {
    let reply = Reply::new(Code::Notice, "room-without-advisors").with("room", room.name.clone());
    let reply = reply.with("name", scene.user_name(user)).with("held", withdrawn);
    let reply = reply.with("cover", cover_names(scene, &room.sub_org));
    for admin in scene.admins() {
        scene.post(admin, reply.clone());
    }
}

/// Those of the cover who are named and known, as people read them.
pub fn cover_names(scene: &Scene, sub_org: &str) -> Vec<String> {
    let name = |email: &String| scene.user_by_email(email).map_or_else(|| email.clone(), |user| user.name);
    scene.policy.cover_of(sub_org).iter().map(name).collect()
}

// ---- what waits

/// What this author wrote in this room and nobody has handed to the provider yet, held or due.
pub fn waiting_of(scene: &Scene, room: &Room, user: UserId) -> Vec<Message> {
    let mut waiting: Vec<Message> = Vec::new();
    let held = room.addressees().into_iter().flat_map(|contact| scene.lane(&room.key, &contact).held);
    waiting.extend(held.filter_map(|id| scene.message(&id)));
    let to_contacts = room.contacts.iter().map(|contact| OutboxLane::to_contact(room.channel, contact));
    let to_group = room.is_native().then(|| OutboxLane::to_group(&room.key));
    for lane in to_contacts.chain(to_group) {
        let due = outbox::waiting_in(scene, &lane);
        waiting.extend(due.into_iter().filter(|message| message.room.as_ref() == Some(&room.key)));
    }
    waiting.retain(|message| message.advisor() == Some(user));
    waiting.sort_by_key(|message| message.order);
    waiting
}

fn withdraw(scene: &mut Scene, mut message: Message, reason: &str) -> Option<Message> {
    if !outbox::take_out(scene, &message) {
        return None;
    }
    message.state = MessageState::Withdrawn { reason: reason.to_owned() };
    scene.put(&message);
    Some(message)
}

/// S4-41: it waits for the one who has the conversation now, and goes as his own when he says so.
pub fn ask_successor(scene: &mut Scene, room: &Room, message: Message, passing: &Passing) {
    let Some(message) = withdraw(scene, message, HANDED_OVER) else { return };
    let entry = Entry::new("message.withdrawn", passing.actor).about(&message.contact).room(&room.key).message(&message.id);
    scene.note(entry.detail(json!({ "reason": HANDED_OVER, "to": scene.actor(passing.to) })));
    let place = Place::Room(room.key.clone());
    let about = About::TakeOver { message: message.id.clone(), room: room.key.clone() };
    let ask = scene.new_ask(Some(passing.to), &place, about, Some(&message.contact));
    scene.put(&ask);
    let name = sending::contact_name(scene, Some(&room.key), &message.contact);
    let card = Reply::new(Code::Withdrawn, "take-over").about(&message.contact).of(&message.id).because(HANDED_OVER);
    let card = card.asking(&ask.id).with("name", name).with("by", scene.user_name(passing.from));
    scene.post(place, card.with("user", scene.user_name(passing.to)).with("text", sending::gist(&message.body)));
}
