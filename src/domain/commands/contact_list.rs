//! `/contact list` and `/contact show`: the caller's own list, or with contact.list-all everyone's.
use super::views::{self, LOOKED_THROUGH, SHOWN};
use super::{Answer, Command, Given, PLAIN, TEXT};
use crate::domain::contact::{Contact, Listing};
use crate::domain::effect::Reply;
use crate::domain::entitlement::Permission;
use crate::domain::refusal::Refusal;
use crate::domain::scene::Scene;
use serde_json::{Value, json};

pub const LIST: Command = Command {
    path: "contact list",
    usage: "/contact list [text] [--all]",
    example: "/contact list Lee",
    about: "your contacts with channel, status, consent and window",
    needs: &[Permission::Chat, Permission::ContactListAll],
    positional: &[TEXT],
    flags: &["all"],
    one_text_from: Some(0),
    run: list,
    ..PLAIN
};

pub const SHOW: Command = Command {
    path: "contact show",
    usage: "/contact show <contact>",
    example: "/contact show Ann Lee",
    about: "one contact with everything that you may know",
    needs: &[Permission::Chat, Permission::ContactListAll],
    positional: &["contact"],
    one_text_from: Some(0),
    run: show,
    ..PLAIN
};

/// A contact under the name that the caller knows, with his entry on the caller's list.
struct Known {
    name: String,
    contact: Contact,
    listing: Option<Listing>,
}

fn list(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let everyone = wants_everyone(given)?;
    let mut known = if everyone { everyones(scene, given) } else { own(scene, given) };
    if let Some(text) = given.text(0) {
        let wanted = text.to_lowercase();
        known.retain(|known| known.mentions(&wanted));
    }
    known.sort_by_key(|known| (known.name.to_lowercase(), known.contact.id.clone()));
    let count = known.len();
    let rows: Vec<Value> = known.iter().take(SHOWN).map(|known| row(scene, known)).collect();
    let reply = Reply::answer("contact-list").with("count", count).with("shown", rows.len()).with("contacts", rows);
    let reply = reply.with("everyone", everyone).with("text", given.text(0)).with("now", scene.now.0);
    Ok(views::list(scene, given, count, reply))
}

/// S0-4: the caller's contacts, not the firm's, unless he may and asks; who has no list of his own sees everyone's.
fn wants_everyone(given: &Given) -> Result<bool, Refusal> {
    let may = given.rights.may(Permission::ContactListAll, None);
    if given.args.flag("all") && !may {
        return Err(Refusal::no_permission(Permission::ContactListAll.name()));
    }
    Ok(given.args.flag("all") || !given.rights.may(Permission::Chat, None))
}

fn own(scene: &Scene, given: &Given) -> Vec<Known> {
    let listings = scene.listings(given.caller.id, LOOKED_THROUGH).into_iter();
    let known = listings.filter_map(|listing| {
        let contact = scene.contact(&listing.contact)?;
        Some(Known { name: given.name_of(scene, &contact), contact, listing: Some(listing) })
    });
    known.collect()
}

fn everyones(scene: &Scene, given: &Given) -> Vec<Known> {
    let contacts: Vec<Contact> = scene.case.scan("contact/", None, LOOKED_THROUGH);
    let known = contacts.into_iter().map(|contact| Known {
        name: given.name_of(scene, &contact),
        listing: scene.listing(given.caller.id, &contact.id),
        contact,
    });
    known.collect()
}

impl Known {
    fn mentions(&self, wanted: &str) -> bool {
        let contact = &self.contact;
        let digits: String = wanted.chars().filter(char::is_ascii_digit).collect();
        let has_number = digits.len() >= 3 && contact.phone.as_ref().is_some_and(|phone| phone.digits().contains(&digits));
        let texts = [self.name.as_str(), self.company(), contact.id.as_str(), contact.email.as_deref().unwrap_or_default()];
        has_number || texts.iter().any(|text| text.to_lowercase().contains(wanted))
    }

    /// As the caller noted it, else as it was noted first.
    fn company(&self) -> &str {
        self.listing.as_ref().map_or(&self.contact.company, |listing| &listing.company)
    }

    fn is_incomplete(&self) -> bool {
        self.listing.as_ref().is_some_and(|listing| listing.incomplete)
    }
}

fn row(scene: &Scene, known: &Known) -> Value {
    json!({
        "name": known.name,
        "id": known.contact.id,
        "company": known.company(),
        "removed": known.contact.listed_by.is_empty(),
        "channels": views::channel_rows(scene, &known.contact, None, known.is_incomplete()),
    })
}

fn show(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let contact = given.contact_to_invite(scene, 0)?;
    views::may_look(given, &contact, Permission::ContactListAll)?;
    let listing = scene.listing(given.caller.id, &contact.id);
    let known = Known { name: given.name_of(scene, &contact), contact, listing };
    let contact = &known.contact;
    let room = given.room_with(scene, contact, None);
    let rooms = contact.rooms.iter().filter_map(|key| scene.room(key));
    let rooms = rooms.filter(|room| room.members.contains_key(&given.caller.id));
    let rooms: Value = rooms.map(|room| json!({ "name": room.name, "channel": room.channel.name() })).collect();
    let requestor = contact.requestor.map(|user| scene.actor(user)).filter(|actor| *actor != contact.created_by);
    let requestor = requestor.map(|actor| views::actor_seen(scene, given, &actor));
    let reply = Reply::answer("contact-card")
        .about(&contact.id)
        .with("name", known.name.clone())
        .with("id", contact.id.to_string())
        .with("number", contact.number())
        .with("email", contact.email.clone())
        .with("company", known.company())
        .with("language", contact.language.clone())
        .with("zone", contact.time_zone.clone())
        .with("created_at", contact.created_at.0)
        .with("created_by", views::actor_seen(scene, given, &contact.created_by))
        .with("requestor", requestor)
        .with("blocked", contact.blocked.is_some())
        .with("incomplete", known.is_incomplete())
        .with("own", known.listing.is_some())
        .with("rooms", rooms)
        .with("channels", views::channel_rows(scene, contact, room.as_ref(), known.is_incomplete()))
        .with("now", scene.now.0);
    let id = contact.id.clone();
    Ok(views::where_it_belongs(scene, given, Some(&id), reply))
}
