//! `/group create`: a conversation with several clients, as a WhatsApp group or, where that cannot be, as a standard group.
use super::room_create::{colleague, may_be_written_to, not_too_many, one_channel};
use super::{Answer, Command, Given, PLAIN, People};
use crate::domain::ask::About;
use crate::domain::contact::Contact;
use crate::domain::effect::Reply;
use crate::domain::entitlement::Permission;
use crate::domain::ids::*;
use crate::domain::native::{self, Wish};
use crate::domain::policy::GroupRelay;
use crate::domain::refusal::Refusal;
use crate::domain::rooms::{self, Plan};
use crate::domain::scene::Scene;

pub const CREATE: Command = Command {
    path: "group create",
    usage: "/group create \"name\" contacts=<c1>,<c2>… [@advisor…] [--standard]",
    example: "/group create \"Lee family\" contacts=\"Ann Lee\",+4915112345678",
    about: "a conversation with several clients; up to 8 as a WhatsApp group",
    needs: &[Permission::GroupNative],
    positional: &["name"],
    people: People::Several,
    keys: &["contacts", "advisors"],
    people_in: &["advisors"],
    flags: &["standard", "native"],
    one_text_from: Some(0),
    form: true,
    run: create,
    ..PLAIN
};

/// A group as it was asked for, looked up and allowed.
struct Group {
    name: String,
    channel: Channel,
    contacts: Vec<Contact>,
    colleagues: Vec<UserId>,
}

/// Why a group is no group of WhatsApp's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standard {
    Asked,
    TooMany,
    FeatureOff,
    Sms,
}

impl Standard {
    fn name(self) -> &'static str {
        match self {
            Standard::Asked => "asked",
            Standard::TooMany => "too-many",
            Standard::FeatureOff => "feature-off",
            Standard::Sms => "sms",
        }
    }
    /// What the answer's data say.
    fn code(self) -> Option<&'static str> {
        match self {
            Standard::FeatureOff => Some("feature-off"),
            Standard::Asked | Standard::TooMany | Standard::Sms => None,
        }
    }
}

fn create(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let name = given.needed(0)?.to_owned();
    let length = name.chars().count();
    if length > native::SUBJECT_MAX {
        return Err(Refusal::new("name-too-long").with("most", native::SUBJECT_MAX).with("length", length));
    }
    let contacts = contacts(scene, given)?;
    let channel = one_channel(scene, &contacts)?;
    if !given.rights.may(Permission::GroupNative, Some(channel)) || !given.rights.may_use(channel) {
        return Err(Refusal::lacking(&given.rights, Permission::GroupNative, channel));
    }
    let colleagues = colleagues(scene, given, channel)?;
    for contact in &contacts {
        may_be_written_to(scene, given, contact, channel)?;
    }
    let group = Group { name, channel, contacts, colleagues };
    match why_standard(scene, given, &group) {
        None => of_whatsapp(scene, given, &group),
        Some(why) => standard(scene, given, &group, why),
    }
}

/// One contact; or several, where the whole list stands in one pair of quotes.
fn named(scene: &Scene, given: &Given, text: &str) -> Result<Vec<Contact>, Refusal> {
    let whole = super::find_contact(scene, given, text).map(|contact| vec![contact]);
    let parts = || text.split(',').map(str::trim).filter(|part| !part.is_empty());
    if whole.is_ok() || !text.contains(',') {
        return whole;
    }
    parts().map(|part| super::find_contact(scene, given, part)).collect()
}

/// One contact named twice is one contact.
fn contacts(scene: &Scene, given: &Given) -> Result<Vec<Contact>, Refusal> {
    let values = given.args.keys.get("contacts").map(Vec::as_slice).unwrap_or_default();
    // A form gives one text; in a line quoted parts may hold commas.
    let parts = values.iter().flat_map(|value| match value.parts.as_slice() {
        [] => value.text.split([',', ';', '\n']).map(str::to_owned).collect(),
        parts => parts.to_vec(),
    });
    let typed: Vec<String> = parts.map(|part: String| part.trim().to_owned()).filter(|part| !part.is_empty()).collect();
    if typed.is_empty() {
        return Err(Refusal::missing("contacts", CREATE.example));
    }
    let mut contacts: Vec<Contact> = Vec::new();
    for text in typed {
        for contact in named(scene, given, &text)? {
            if !contacts.iter().any(|known| known.id == contact.id) {
                contacts.push(contact);
            }
        }
    }
    not_too_many(given, "contacts", &contacts)?;
    Ok(contacts)
}

fn colleagues(scene: &Scene, given: &Given, channel: Channel) -> Result<Vec<UserId>, Refusal> {
    let who =
        given.args.keys.get("advisors").into_iter().flatten().flat_map(|value| value.who.clone()).chain(given.args.people());
    who.map(|who| colleague(scene, given, &who, channel)).collect()
}

fn why_standard(scene: &Scene, given: &Given, group: &Group) -> Option<Standard> {
    if !wants_native(scene, given) {
        return Some(Standard::Asked);
    }
    if group.channel == Channel::Sms {
        return Some(Standard::Sms);
    }
    if group.contacts.len() > native::CONTACTS_MAX {
        return Some(Standard::TooMany);
    }
    (!scene.policy.native_groups_of(&given.rights.sub_org)).then_some(Standard::FeatureOff)
}

/// On the line `--standard` says no; in the form a box that is not ticked.
fn wants_native(scene: &Scene, given: &Given) -> bool {
    let question = given.ask.as_ref().and_then(|id| scene.ask(id));
    let of_form = question.is_some_and(|ask| matches!(ask.about, About::Form { .. }));
    !given.args.flag("standard") && (!of_form || given.args.flag("native"))
}

/// The room at once and the group when WhatsApp has made it; where it makes none the room goes on as a standard group.
fn of_whatsapp(scene: &mut Scene, given: &Given, group: &Group) -> Result<Answer, Refusal> {
    let ids = ids(group);
    let reply = Reply::answer("group-native").about(&ids[0]).with("name", group.name.clone()).with("count", ids.len());
    let reply = reply.with("cut", is_cut(group));
    let wish = Wish {
        name: &group.name,
        contacts: &ids,
        owner: given.caller.id,
        colleagues: &group.colleagues,
        asked_by: given.caller.id,
        answer: Some((given.place.clone(), reply)),
        ask: given.ask.clone(),
    };
    native::create(scene, wish)?;
    Ok(Answer::Later)
}

/// The room bears a part of the name only.
fn is_cut(group: &Group) -> bool {
    rooms::short_name(&group.name) != group.name
}

fn ids(group: &Group) -> Vec<ContactId> {
    group.contacts.iter().map(|contact| contact.id.clone()).collect()
}

/// One room, each client reached by himself.
fn standard(scene: &mut Scene, given: &Given, group: &Group, why: Standard) -> Result<Answer, Refusal> {
    let ids = ids(group);
    let shared = scene.policy.group_relay_of(&given.rights.sub_org) == GroupRelay::All && ids.len() > 1;
    let mut reply = Reply::answer("group-standard").about(&ids[0]).with("name", group.name.clone());
    reply.reason = why.code().map(str::to_owned);
    let reply = reply
        .with("cut", is_cut(group))
        .with("standard", why.name())
        .with("count", ids.len())
        .with("channel", group.channel.name());
    let plan = Plan {
        name: Some(&rooms::short_name(&group.name)),
        channel: group.channel,
        contacts: &ids,
        owner: given.caller.id,
        colleagues: &group.colleagues,
        asked_by: Some(given.caller.id),
        line: None,
        invite: true,
        answer: Some((given.place.clone(), reply.with("shared", shared))),
        ask: given.ask.clone(),
    };
    rooms::open(scene, plan)?;
    Ok(Answer::Later)
}
