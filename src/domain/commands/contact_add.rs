//! `/contact add`: a client onto an advisor's list, by himself or by a designated colleague, with or without a room.
use super::room_create::{colleague_of, may_be_reached};
use super::{Answer, Command, Given, PLAIN};
use crate::domain::commit::{Entry, Key};
use crate::domain::contact::{Contact, Listing};
use crate::domain::effect::Reply;
use crate::domain::entitlement::{Permission, User};
use crate::domain::grammar::Who;
use crate::domain::ids::*;
use crate::domain::policy::DEFAULT_LANGUAGE;
use crate::domain::refusal::Refusal;
use crate::domain::relay::number_keys;
use crate::domain::room::Room;
use crate::domain::rooms::{self, NAME_MAX, Plan};
use crate::domain::scene::Scene;
use crate::domain::sending;
use crate::domain::sms;
use crate::domain::{email, phone};
use crate::fault;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

pub const ADD: Command = Command {
    path: "contact add",
    usage: "/contact add <first> <last> phone= email= [company=] channel=whatsapp|sms [lang=] [for=@advisor] [advisors=@a,@b] \
            [--room] [room=\"name\"]",
    example: "/contact add Ann Lee phone=+4915112345678 email=ann@lee.de channel=whatsapp --room",
    about: "add a client to a list; with --room also open the room and send the invitation; channel= may be left out by who has \
            only one",
    needs: &[Permission::ContactCreate],
    positional: &["first", "last"],
    keys: &["phone", "email", "company", "channel", "lang", "for", "advisors", "room"],
    people_in: &["for", "advisors"],
    flags: &["room"],
    form: true,
    run: add,
    ..PLAIN
};

/// A client as typed in, in canonical form (S0-32).
struct Typed {
    first: String,
    last: String,
    phone: Phone,
    phone_raw: String,
    email: Option<String>,
    email_raw: Option<String>,
    company: String,
    language: String,
    channel: Channel,
}

fn add(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let typed = read(scene, given)?;
    if !given.rights.may(Permission::ContactCreate, Some(typed.channel)) {
        return Err(Refusal::lacking(&given.rights, Permission::ContactCreate, typed.channel).with("argument", "channel"));
    }
    if typed.channel == Channel::Sms && !sms::is_set_up(scene.policy) {
        return Err(Refusal::new("sms-not-set-up").with("argument", "channel"));
    }
    if given.args.value("advisors").is_some_and(|named| !named.parts.is_empty()) && !wants_room(given, typed.channel) {
        return Err(Refusal::bad_argument("advisors", "come into a room, and none was asked for: add --room", ADD.example));
    }
    let requestor = requestor(scene, given, typed.channel)?;
    let sub_org = scene.rights(requestor.id).sub_org;
    let colleagues = colleagues(scene, given, typed.channel, &sub_org)?;
    let found = matching(scene, &typed)?;
    let is_new = found.is_none();
    let was_listed = found.as_ref().is_some_and(|contact| stands_on_list(scene, contact, typed.channel, requestor.id));
    let contact = match found {
        Some(contact) => join_list(scene, given, contact, &typed, &requestor)?,
        None => create(scene, given, &typed, &requestor),
    };
    let reply = answer(scene, given, &contact, &typed, &requestor, is_new).with("was_listed", was_listed);
    let reply = super::for_reader(reply, &given.rights);
    if !wants_room(given, typed.channel) {
        return Ok(Answer::Say(reply));
    }
    may_have_room(scene, given, &contact, &typed)?;
    if let Some(room) = room_of(scene, &contact, typed.channel, requestor.id) {
        return Ok(Answer::Say(reply.with("room", room.name).with("room_was_there", true)));
    }
    let name = given.key("room");
    if name.is_some_and(|name| name.chars().count() > NAME_MAX) {
        return Err(Refusal::new("name-too-long").with("most", NAME_MAX));
    }
    let plan = Plan {
        name,
        channel: typed.channel,
        contacts: std::slice::from_ref(&contact.id),
        owner: requestor.id,
        colleagues: &colleagues,
        asked_by: Some(given.caller.id),
        line: None,
        invite: true,
        answer: Some((given.place.clone(), reply)),
        ask: given.ask.clone(),
    };
    rooms::open(scene, plan).map_err(|refusal| refusal.with("argument", "room"))?;
    Ok(Answer::Later)
}

fn room_of(scene: &Scene, contact: &Contact, channel: Channel, user: UserId) -> Option<Room> {
    let mut rooms = contact.rooms.iter().filter_map(|key| scene.room(key));
    rooms.find(|room| room.is_live() && room.channel == channel && room.members.contains_key(&user))
}

/// On SMS the room comes with the contact (S2-2).
fn wants_room(given: &Given, channel: Channel) -> bool {
    channel == Channel::Sms || given.args.flag("room") || given.key("room").is_some()
}

fn read(scene: &Scene, given: &Given) -> Result<Typed, Refusal> {
    let (first, last) = (given.needed(0)?.to_owned(), given.needed(1)?.to_owned());
    let phone_raw = given.key("phone").ok_or_else(|| Refusal::missing("phone", "phone=+4915112345678"))?.to_owned();
    let channel = channel(scene, given)?;
    let number = phone::canonical(&phone_raw, &scene.policy.default_region)
        .map_err(|problem| Refusal::new("phone-invalid").with("why", problem.reason()).with("argument", "phone"))?;
    let email_raw = given.key("email").map(str::to_owned);
    let address = email_raw.as_deref().map(email::canonical).transpose();
    let address = address.map_err(|problem| Refusal::bad_argument("email", problem.to_string(), "email=ann@lee.de"))?;
    if address.is_none() && channel == Channel::WhatsApp {
        return Err(Refusal::new("email-required").with("argument", "email"));
    }
    Ok(Typed {
        first,
        last,
        phone: number,
        phone_raw,
        email: address,
        email_raw,
        company: given.key("company").unwrap_or_default().to_owned(),
        language: language(scene, given)?,
        channel,
    })
}

/// On which the client is written to: nobody guesses between two, for each has a consent of its own.
fn channel(scene: &Scene, given: &Given) -> Result<Channel, Refusal> {
    match (given.key("channel"), channels(scene, given).as_slice()) {
        (Some(text), _) => {
            Channel::parse(text).ok_or_else(|| Refusal::bad_argument("channel", "must be whatsapp or sms", "channel=whatsapp"))
        }
        (None, [only]) => Ok(*only),
        (None, []) => Ok(Channel::WhatsApp),
        (None, [_, _, ..]) => Err(Refusal::missing("channel", "channel=whatsapp")),
    }
}

/// The channels on which the caller may add clients and the firm has a line.
pub fn channels(scene: &Scene, given: &Given) -> Vec<Channel> {
    let may = |channel: &Channel| given.rights.may(Permission::ContactCreate, Some(*channel));
    let has_line = |channel: &Channel| scene.policy.lines_of(*channel).next().is_some();
    Channel::ALL.into_iter().filter(|channel| may(channel) && has_line(channel)).collect()
}

fn language(scene: &Scene, given: &Given) -> Result<String, Refusal> {
    let Some(wanted) = given.key("lang") else { return Ok(DEFAULT_LANGUAGE.to_owned()) };
    let wanted = wanted.to_lowercase();
    if scene.policy.languages.contains(&wanted) {
        return Ok(wanted);
    }
    let known = scene.policy.languages.iter().cloned().collect::<Vec<_>>().join(", ");
    Err(Refusal::bad_argument("lang", format!("must be one of {known}"), "lang=en"))
}

/// S0-12..14: a designated user may onboard for another one, nobody else may.
fn requestor(scene: &Scene, given: &Given, channel: Channel) -> Result<User, Refusal> {
    let Some(value) = given.args.value("for") else { return may_onboard_himself(given, channel) };
    let [who] = value.who.as_slice() else {
        return Err(Refusal::bad_argument("for", "must name one colleague", "for=@jane.doe@acme.com"));
    };
    if *who == Who::User(given.caller.id) || *who == Who::Email(given.caller.email.clone()) {
        return may_onboard_himself(given, channel);
    }
    if !given.rights.may(Permission::OnboardOnBehalf, Some(channel)) {
        return Err(Refusal::no_permission(Permission::OnboardOnBehalf.name()).with("argument", "for"));
    }
    let not_entitled = || Refusal::new("requestor-not-entitled").with("channel", channel.name()).with("argument", "for");
    let user = given.colleague(scene, who).map_err(|_| not_entitled())?;
    if scene.rights(user.id).may_use(channel) { Ok(user) } else { Err(not_entitled()) }
}

fn may_onboard_himself(given: &Given, channel: Channel) -> Result<User, Refusal> {
    if given.rights.may_use(channel) {
        Ok(given.caller.clone())
    } else {
        Err(Refusal::new("not-entitled").with("channel", channel.name()))
    }
}

fn colleagues(scene: &Scene, given: &Given, channel: Channel, sub_org: &str) -> Result<Vec<UserId>, Refusal> {
    let named = given.args.keys.get("advisors").into_iter().flatten().flat_map(|value| &value.who);
    named.map(|who| colleague_of(scene, given, who, channel, sub_org)).collect()
}

// ---- matching (S0-28..33)

/// The one person whom both keys name; nobody; or a contradiction.
fn matching(scene: &Scene, typed: &Typed) -> Result<Option<Contact>, Refusal> {
    let by_phone = number_keys(&typed.phone).into_iter().find_map(|key| contact_at(scene, key));
    let by_email = typed.email.as_ref().and_then(|address| contact_at(scene, Key::new("email", address)));
    if fault::planted("no-matching") {
        return Ok(by_phone);
    }
    // Tells neither which of the two matched nor what is stored (S0-31).
    let contradiction = || Refusal::new("match-one-only");
    match (by_phone, by_email) {
        (None, None) => Ok(None),
        (Some(one), Some(other)) if one.id == other.id => Ok(Some(one)),
        (Some(_), Some(_)) => Err(contradiction()),
        // An absent e-mail matches and contradicts nothing.
        (Some(one), None) if one.email.is_none() || typed.email.is_none() => Ok(Some(one)),
        (None, Some(other)) if other.phone.is_none() => Ok(Some(other)),
        (Some(_), None) | (None, Some(_)) => Err(contradiction()),
    }
}

fn contact_at(scene: &Scene, key: Key) -> Option<Contact> {
    scene.pointer(key).and_then(|id| scene.contact(&ContactId(id)))
}

fn create(scene: &mut Scene, given: &Given, typed: &Typed, requestor: &User) -> Contact {
    let contact = Contact {
        id: scene.new_contact_id(),
        phone: None,
        phone_raw: None,
        email: None,
        email_raw: None,
        wa_id: None,
        user_id: None,
        first: typed.first.clone(),
        last: typed.last.clone(),
        company: typed.company.clone(),
        profile_name: None,
        language: typed.language.clone(),
        created_at: scene.now,
        created_by: given.caller.email.clone(),
        requestor: Some(requestor.id),
        channels: BTreeMap::new(),
        listed_by: BTreeSet::new(),
        rooms: Vec::new(),
        blocked: None,
        recent: Default::default(),
        keys_since: None,
        time_zone: None,
    };
    let detail = json!({
        "by": given.caller.email, "requestor": requestor.email, "first": typed.first, "last": typed.last,
        "phone": typed.phone, "phone_raw": typed.phone_raw, "email": typed.email, "email_raw": typed.email_raw,
        "company": typed.company, "language": typed.language, "channel": typed.channel.key(),
    });
    scene.note(Entry::new("contact.created", given.caller.email.clone()).about(&contact.id).detail(detail));
    list(scene, given, contact, typed, requestor)
}

/// A client whom somebody onboarded before comes onto this list in the same way, under the name typed here (S0-28, S2-17).
fn join_list(scene: &mut Scene, given: &Given, contact: Contact, typed: &Typed, requestor: &User) -> Result<Contact, Refusal> {
    // One whose number was handed to a stranger gets his new one.
    if !stands_on_list(scene, &contact, typed.channel, requestor.id) || contact.phone.is_none() {
        return Ok(list(scene, given, contact, typed, requestor));
    }
    let room = room_of(scene, &contact, typed.channel, requestor.id);
    if room.is_none() && wants_room(given, typed.channel) {
        // The room is what is new; he is on the list under the name that he has there.
        let mut contact = contact;
        complete_keys(scene, &mut contact, typed);
        scene.put(&contact);
        return Ok(contact);
    }
    let refusal = Refusal::new("already-yours").about(&contact.id);
    let refusal =
        refusal.with("name", sending::name_for(scene, Some(requestor.id), &contact.id)).with("id", contact.id.to_string());
    let refusal = refusal.with("for", requestor.name.clone()).with("on_behalf", requestor.id != given.caller.id);
    Err(match room {
        Some(room) => refusal.with("room", room.name),
        None => refusal,
    })
}

fn stands_on_list(scene: &Scene, contact: &Contact, channel: Channel, user: UserId) -> bool {
    scene.listing(user, &contact.id).is_some_and(|listing| !listing.incomplete && listing.channels.contains(&channel))
}

fn complete_keys(scene: &mut Scene, contact: &mut Contact, typed: &Typed) {
    if contact.phone.is_none() {
        contact.phone = Some(typed.phone.clone());
        contact.phone_raw = Some(typed.phone_raw.clone());
        scene.point(Key::new("phone", typed.phone.e164()), &contact.id);
    }
    if let (None, Some(address)) = (&contact.email, &typed.email) {
        scene.point(Key::new("email", address), &contact.id);
        contact.email = Some(address.clone());
        contact.email_raw = typed.email_raw.clone();
    }
}

fn list(scene: &mut Scene, given: &Given, mut contact: Contact, typed: &Typed, requestor: &User) -> Contact {
    complete_keys(scene, &mut contact, typed);
    if contact.first.is_empty() && contact.last.is_empty() {
        contact.first = typed.first.clone();
        contact.last = typed.last.clone();
        contact.company = typed.company.clone();
    }
    if given.key("lang").is_some() {
        contact.language = typed.language.clone();
    }
    contact.on_mut(typed.channel);
    contact.listed_by.insert(requestor.id);
    scene.put(&contact);
    let before = scene.listing(requestor.id, &contact.id);
    let mut channels = before.map(|listing| listing.channels).unwrap_or_default();
    channels.insert(typed.channel);
    scene.put(&Listing {
        user: requestor.id,
        contact: contact.id.clone(),
        first: typed.first.clone(),
        last: typed.last.clone(),
        company: typed.company.clone(),
        channels,
        incomplete: false,
        added_at: scene.now,
        added_by: given.caller.email.clone(),
        on_behalf: requestor.id != given.caller.id,
    });
    let detail = json!({ "requestor": requestor.email, "by": given.caller.email, "first": typed.first, "last": typed.last });
    scene.note(Entry::new("contact.listed", given.caller.email.clone()).about(&contact.id).detail(detail));
    contact
}

/// A room sends the invitation at once (S0-18), so it needs somebody who may be asked or has agreed.
fn may_have_room(scene: &mut Scene, given: &Given, contact: &Contact, typed: &Typed) -> Result<(), Refusal> {
    if !given.rights.may(Permission::RoomCreate, Some(typed.channel)) {
        return Err(Refusal::lacking(&given.rights, Permission::RoomCreate, typed.channel).with("argument", "room"));
    }
    let name = format!("{} {}", typed.first, typed.last);
    let of_field = |refusal: Refusal| if refusal.card.is_none() { refusal.with("argument", "room") } else { refusal };
    may_be_reached(scene, given, contact, typed.channel, name).map_err(of_field)
}

fn answer(scene: &Scene, given: &Given, contact: &Contact, typed: &Typed, requestor: &User, is_new: bool) -> Reply {
    Reply::answer("contact-added")
        .about(&contact.id)
        .with("name", sending::name_for(scene, Some(requestor.id), &contact.id))
        .with("id", contact.id.to_string())
        .with("for", scene.user_name(requestor.id))
        .with("on_behalf", requestor.id != given.caller.id)
        .with("is_new", is_new)
        .with("channel", typed.channel.name())
        .with("consent", contact.consent(typed.channel).name())
        .with("with_room", wants_room(given, typed.channel))
        .with("asks_first", sms::must_agree_first(scene.policy, contact, typed.channel))
        .with("firm", scene.policy.firm.clone())
}
