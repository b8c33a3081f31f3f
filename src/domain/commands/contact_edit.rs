//! `/contact edit` and `/contact complete`: a contact's details, the caller's own entry first.
use super::{Answer, Command, Given, PLAIN, form};
use crate::domain::commit::{Entry, Key};
use crate::domain::contact::{Contact, Listing};
use crate::domain::effect::Reply;
use crate::domain::email;
use crate::domain::entitlement::Permission;
use crate::domain::ids::Channel;
use crate::domain::refusal::Refusal;
use crate::domain::region;
use crate::domain::scene::Scene;
use crate::domain::sending;
use serde_json::{Map, Value, json};

pub const EDIT: Command = Command {
    path: "contact edit",
    usage: "/contact edit <contact> [first=] [last=] [company=] [lang=] [email=] [zone=]",
    example: "/contact edit Ann Lee company=\"Lee & Co\"",
    about: "change a contact's details on your list",
    needs: &[Permission::ContactEdit],
    positional: &["contact"],
    // `phone` is read only to be refused in words of its own.
    keys: &["first", "last", "company", "lang", "email", "zone", "phone"],
    one_text_from: Some(0),
    form: true,
    run: edit,
    ..PLAIN
};

pub const COMPLETE: Command = Command {
    path: "contact complete",
    usage: "/contact complete <contact> first= last= [email=] [company=]",
    example: "/contact complete +4915112345678 first=Ann last=Lee",
    about: "give a name to a contact who wrote first",
    needs: &[Permission::ContactEdit],
    positional: &["contact"],
    keys: &["first", "last", "email", "company", "phone"],
    one_text_from: Some(0),
    form: true,
    run: complete,
    ..PLAIN
};

fn edit(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let contact = own_contact(scene, given)?;
    if !given.args.keys.keys().any(|key| given.key(key).is_some()) {
        return Ok(Answer::Say(filled_form(scene, given, &contact)));
    }
    let language = language(scene, given)?;
    let zone = zone(given)?;
    let address = new_email(scene, given, &contact)?;
    if address.is_some() && !may(given, &contact, Permission::ContactEditEmail) {
        return Err(Refusal::no_permission(Permission::ContactEditEmail.name()).with("argument", "email"));
    }
    let mut contact = change(scene, given, contact, address);
    if let Some(language) = language {
        contact.language = language;
        scene.put(&contact);
    }
    if let Some(zone) = zone {
        contact = move_to(scene, contact, zone);
    }
    note(scene, given, &contact, "contact.edited");
    let reply = Reply::answer("contact-updated").about(&contact.id).with("name", given.name_of(scene, &contact));
    let incomplete = scene.listing(given.caller.id, &contact.id).is_some_and(|listing| listing.incomplete);
    Ok(Answer::Say(reply.with("id", contact.id.to_string()).with("incomplete", incomplete)))
}

/// S2-13, S2-19: the details that the client's first message did not bring; with them the entry is complete.
fn complete(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let contact = own_contact(scene, given)?;
    if !given.args.keys.keys().any(|key| given.key(key).is_some()) {
        return Ok(Answer::Say(filled_form(scene, given, &contact)));
    }
    let listing = scene.listing(given.caller.id, &contact.id);
    if listing.is_some_and(|listing| !listing.incomplete) {
        let why = "is complete already; change details with /contact edit";
        return Err(Refusal::bad_argument("contact", why, EDIT.example));
    }
    for name in ["first", "last"] {
        given.key(name).ok_or_else(|| Refusal::missing(name, COMPLETE.example))?;
    }
    let address = new_email(scene, given, &contact)?;
    // A first address belongs to the completing; another one in place of a stored one is an edit of it.
    let replaces = address.is_some() && contact.email.is_some();
    if replaces && !may(given, &contact, Permission::ContactEditEmail) {
        return Err(Refusal::no_permission(Permission::ContactEditEmail.name()).with("argument", "email"));
    }
    let contact = change(scene, given, contact, address);
    if let Some(mut listing) = scene.listing(given.caller.id, &contact.id) {
        listing.incomplete = false;
        scene.put(&listing);
    }
    note(scene, given, &contact, "contact.completed");
    let reply = Reply::answer("contact-complete").about(&contact.id).with("name", given.name_of(scene, &contact));
    Ok(Answer::Say(reply.with("id", contact.id.to_string())))
}

// ---- guards

/// The contact, if he stands on the caller's list: another's entry is not the caller's to change (S2-17).
fn own_contact(scene: &Scene, given: &Given) -> Result<Contact, Refusal> {
    let contact = given.contact(scene, 0)?;
    if !may(given, &contact, Permission::ContactEdit) {
        return Err(Refusal::no_permission(Permission::ContactEdit.name()));
    }
    if given.args.keys.contains_key("phone") {
        return Err(Refusal::new("phone-immutable").about(&contact.id).with("name", given.name_of(scene, &contact)));
    }
    if scene.listing(given.caller.id, &contact.id).is_none() {
        let why = "is not on your list; /contact add puts a contact there";
        return Err(Refusal::bad_argument("contact", why, "/contact list"));
    }
    Ok(contact)
}

/// On any channel of the contact.
pub fn may(given: &Given, contact: &Contact, permission: Permission) -> bool {
    let on_a_channel = contact.channels.keys().any(|channel| given.rights.may(permission, Some(*channel)));
    on_a_channel || (contact.channels.is_empty() && given.rights.may(permission, None))
}

fn language(scene: &Scene, given: &Given) -> Result<Option<String>, Refusal> {
    let Some(wanted) = given.key("lang").map(str::to_lowercase) else { return Ok(None) };
    if scene.policy.languages.contains(&wanted) {
        return Ok(Some(wanted));
    }
    let known = scene.policy.languages.iter().cloned().collect::<Vec<_>>().join(", ");
    Err(Refusal::bad_argument("lang", format!("must be one of {known}"), "lang=en"))
}

/// The clock that the client reads, by which quiet hours go.
fn zone(given: &Given) -> Result<Option<String>, Refusal> {
    let Some(typed) = given.key("zone") else { return Ok(None) };
    let unknown = || Refusal::bad_argument("zone", "is not a time zone's name in the IANA database", "zone=Europe/Berlin");
    region::zone_named(typed).map(Some).ok_or_else(unknown)
}

/// The canonical address if it is another than the stored one and nobody else's.
fn new_email(scene: &Scene, given: &Given, contact: &Contact) -> Result<Option<String>, Refusal> {
    let Some(typed) = given.key("email") else { return Ok(None) };
    let address =
        email::canonical(typed).map_err(|problem| Refusal::bad_argument("email", problem.to_string(), "email=ann@lee.de"))?;
    if contact.email.as_ref() == Some(&address) {
        return Ok(None);
    }
    let taken = scene.pointer(Key::new("email", &address)).is_some_and(|id| id != contact.id.0);
    // As when adding: tells neither whose it is nor what is stored (S0-31).
    if taken { Err(Refusal::new("match-one-only")) } else { Ok(Some(address)) }
}

// ---- the change

fn change(scene: &mut Scene, given: &Given, mut contact: Contact, address: Option<String>) -> Contact {
    if let Some(mut listing) = scene.listing(given.caller.id, &contact.id) {
        set(given, "first", &mut listing.first);
        set(given, "last", &mut listing.last);
        set(given, "company", &mut listing.company);
        scene.put::<Listing>(&listing);
    }
    let nameless = contact.first.is_empty() && contact.last.is_empty();
    let brought_him = contact.created_by == given.caller.email || contact.requestor == Some(given.caller.id);
    if nameless || brought_him {
        set(given, "first", &mut contact.first);
        set(given, "last", &mut contact.last);
        set(given, "company", &mut contact.company);
    }
    if let Some(address) = address {
        if let Some(before) = &contact.email {
            scene.case.remove::<crate::domain::contact::Pointer>(&Key::new("email", before));
        }
        scene.point(Key::new("email", &address), &contact.id);
        contact.email = Some(address);
        contact.email_raw = given.key("email").map(str::to_owned);
    }
    scene.put(&contact);
    contact
}

/// What waits for the hours of his old zone waits for those of the new one, or goes now.
fn move_to(scene: &mut Scene, mut contact: Contact, zone: String) -> Contact {
    contact.time_zone = Some(zone);
    scene.put(&contact);
    for channel in Channel::ALL {
        sending::release_all(scene, &contact.id, channel);
    }
    scene.contact(&contact.id).unwrap_or(contact)
}

fn set(given: &Given, key: &str, field: &mut String) {
    if let Some(text) = given.key(key) {
        *field = text.to_owned();
    }
}

fn note(scene: &mut Scene, given: &Given, contact: &Contact, kind: &str) {
    let changed: Map<String, Value> =
        given.args.keys.keys().filter_map(|key| Some((key.clone(), json!(given.key(key)?)))).collect();
    let detail = json!({ "changed": changed, "email": contact.email });
    scene.note(Entry::new(kind, given.caller.email.clone()).about(&contact.id).detail(detail));
}

/// Without anything to change the form comes, filled with what is known.
fn filled_form(scene: &mut Scene, given: &Given, contact: &Contact) -> Reply {
    let listing = scene.listing(given.caller.id, &contact.id);
    let (first, last, company) = listing.map(|l| (l.first, l.last, l.company)).unwrap_or_default();
    let known = [
        ("contact", contact.id.to_string()),
        ("first", first),
        ("last", last),
        ("company", company),
        ("lang", contact.language.clone()),
        ("email", contact.email.clone().unwrap_or_default()),
        ("zone", contact.time_zone.clone().unwrap_or_default()),
    ];
    let values = known.into_iter().filter(|(_, text)| !text.is_empty()).map(|(name, text)| (name.to_owned(), json!(text)));
    let mut reply = form(scene, given, &values.collect(), None);
    reply.contact = Some(contact.id.clone());
    reply
}
