//! `/room create`: a room with contacts on one channel, colleagues, and an invitation for whoever was not asked yet.
use super::sms::not_on_whatsapp;
use super::{Answer, Command, Given, PLAIN, People};
use crate::domain::consent::Consent;
use crate::domain::contact::Contact;
use crate::domain::effect::{Code, Reply};
use crate::domain::entitlement::Permission;
use crate::domain::grammar::Who;
use crate::domain::groups::CONTACTS_MAX;
use crate::domain::ids::*;
use crate::domain::presence;
use crate::domain::refusal::Refusal;
use crate::domain::room::Room;
use crate::domain::rooms::{self, NAME_MAX, Plan};
use crate::domain::scene::Scene;
use crate::domain::sms;
use serde_json::json;

pub const CREATE: Command = Command {
    path: "room create",
    usage: "/room create \"name\" [contact…] [@advisor…]",
    example: "/room create \"Ann Lee\" +4915112345678",
    about: "open a room with a contact; who was not asked for consent yet is asked at once",
    needs: &[Permission::RoomCreate],
    positional: &["name", "contact"],
    several: true,
    people: People::Several,
    form: true,
    run: create,
    ..PLAIN
};

fn create(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let name = given.needed(0)?.to_owned();
    if name.chars().count() > NAME_MAX {
        return Err(Refusal::new("name-too-long").with("most", NAME_MAX));
    }
    let contacts = contacts(scene, given)?;
    let channel = one_channel(scene, &contacts)?;
    if !given.rights.may(Permission::RoomCreate, Some(channel)) || !given.rights.may_use(channel) {
        return Err(Refusal::lacking(&given.rights, Permission::RoomCreate, channel));
    }
    let colleagues = colleagues(scene, given, channel)?;
    for contact in &contacts {
        may_be_written_to(scene, given, contact, channel)?;
    }
    if !given.confirmed
        && let Some(card) = room_is_there(scene, given, &contacts, channel)
    {
        return offered(card, channel);
    }
    let ids: Vec<ContactId> = contacts.iter().map(|contact| contact.id.clone()).collect();
    let reply = Reply::answer("room-created").about(&ids[0]).with("name", name.clone()).with("channel", channel.name());
    let plan = Plan {
        name: Some(&name),
        channel,
        contacts: &ids,
        owner: given.caller.id,
        colleagues: &colleagues,
        asked_by: Some(given.caller.id),
        line: None,
        invite: true,
        answer: Some((given.place.clone(), reply)),
        ask: given.ask.clone(),
    };
    rooms::open(scene, plan)?;
    Ok(Answer::Later)
}

fn contacts(scene: &Scene, given: &Given) -> Result<Vec<Contact>, Refusal> {
    let typed: Vec<&str> = given.args.texts().into_iter().skip(1).collect();
    if typed.is_empty() {
        return Err(Refusal::missing("contact", CREATE.example));
    }
    // "Ann Lee" typed without quotes is one contact, not two.
    let joined = typed.join(" ");
    if typed.len() > 1
        && let Ok(contact) = super::find_contact(scene, given, &joined)
    {
        return Ok(vec![contact]);
    }
    let mut contacts: Vec<Contact> = Vec::new();
    for text in typed {
        let contact = super::find_contact(scene, given, text)?;
        if !contacts.iter().any(|known| known.id == contact.id) {
            contacts.push(contact);
        }
    }
    not_too_many(given, "contact", &contacts)?;
    Ok(contacts)
}

pub(super) fn not_too_many(given: &Given, argument: &str, contacts: &[Contact]) -> Result<(), Refusal> {
    let why = || format!("may be at most {CONTACTS_MAX} people; these are {}", contacts.len());
    let fits = contacts.len() <= CONTACTS_MAX;
    if fits { Ok(()) } else { Err(Refusal::bad_argument(argument, why(), given.command.example)) }
}

/// A room never mixes channels.
pub(super) fn one_channel(scene: &Scene, contacts: &[Contact]) -> Result<Channel, Refusal> {
    let all = |channel: Channel| contacts.iter().all(|contact| contact.channels.contains_key(&channel));
    match (all(Channel::WhatsApp), all(Channel::Sms)) {
        (true, _) => Ok(Channel::WhatsApp),
        (false, true) if sms::is_set_up(scene.policy) => Ok(Channel::Sms),
        (false, true) => Err(Refusal::new("sms-not-set-up")),
        (false, false) => Err(Refusal::new("mixed-channels")),
    }
}

fn colleagues(scene: &Scene, given: &Given, channel: Channel) -> Result<Vec<UserId>, Refusal> {
    given.args.people().iter().map(|who| colleague(scene, given, who, channel)).collect()
}

/// One who may read what these clients write (S4-30).
pub(super) fn colleague(scene: &Scene, given: &Given, who: &Who, channel: Channel) -> Result<UserId, Refusal> {
    colleague_of(scene, given, who, channel, &given.rights.sub_org)
}

/// The same, where the room is made for somebody of this sub-organisation.
pub(super) fn colleague_of(scene: &Scene, given: &Given, who: &Who, channel: Channel, sub_org: &str) -> Result<UserId, Refusal> {
    let user = given.colleague(scene, who)?;
    // The form comes back: another colleague can be chosen there.
    presence::may_take_part(scene, &user, channel, sub_org).map_err(|refusal| refusal.with("argument", "advisors"))?;
    Ok(user.id)
}

/// By name, before anything is made.
pub(super) fn may_be_written_to(scene: &mut Scene, given: &Given, contact: &Contact, channel: Channel) -> Result<(), Refusal> {
    let name = given.name_of(scene, contact);
    may_be_reached(scene, given, contact, channel, name)
}

/// The same for one who is called so where it is told.
pub(super) fn may_be_reached(
    scene: &mut Scene,
    given: &Given,
    contact: &Contact,
    channel: Channel,
    name: String,
) -> Result<(), Refusal> {
    if contact.blocked.is_some() {
        return Err(Refusal::new("blocked").about(&contact.id).with("name", name).with("sends", false));
    }
    match contact.consent(channel) {
        Consent::OptedOut { .. } => Err(Refusal::new("opted-out").about(&contact.id).with("name", name)),
        Consent::Unreachable { .. } => Err(not_on_whatsapp(scene, given, contact, name)),
        Consent::None | Consent::Pending { .. } | Consent::OptedIn { .. } | Consent::Review { .. } => Ok(()),
    }
}

/// Nothing is offered that would be refused: where the caller's own room took the last line, it is named.
fn offered(card: Reply, channel: Channel) -> Result<Answer, Refusal> {
    let says = |name: &str| card.vars.get(name) == Some(&json!(true));
    if !says("own") || says("line_left") {
        return Ok(Answer::Confirm(card));
    }
    let refusal = Refusal::new("no-line-left").with("channel", channel.name());
    // What is meant for one client is not written in a group.
    Err(match card.vars.get("room") {
        Some(room) if !says("group") => refusal.with("room", room.clone()),
        Some(_) | None => refusal,
    })
}

/// Where a room with that contact exists, joining it is offered first; the caller's own is named (RULES, Which room).
fn room_is_there(scene: &Scene, given: &Given, contacts: &[Contact], channel: Channel) -> Option<Reply> {
    let [contact] = contacts else { return None };
    let rooms = contact.rooms.iter().filter_map(|key| scene.room(key));
    // The ethical wall: a room of another sub-organisation is not even mentioned.
    let joinable = |room: &Room| room.is_live() && room.channel == channel && !room.members.is_empty();
    let visible = |room: &Room| joinable(room) && room.sub_org == given.rights.sub_org;
    let rooms: Vec<Room> = rooms.filter(visible).collect();
    // The client alone is nearer to what was asked for than a group that he is in.
    let own = rooms.iter().filter(|room| room.members.contains_key(&given.caller.id)).min_by_key(|room| room.contacts.len());
    let there = own.or(rooms.first())?;
    let owner = there.owner().map(|owner| scene.user_name(owner)).unwrap_or_default();
    let card = Reply::new(Code::Confirm, "room-is-there").about(&contact.id).with("name", given.name_of(scene, contact));
    let card = card.with("room", there.name.clone()).with("room_key", there.key.to_string()).with("owner", owner);
    let line = rooms::line_left(scene, given.caller.id, channel, contacts, &given.rights.sub_org);
    let card = card.with("own", own.is_some()).with("group", there.contacts.len() > 1);
    Some(card.with("line_left", line.is_some()))
}
