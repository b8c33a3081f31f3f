//! `/contact share`: a contact onto the lists of colleagues, under the name that the sharer gave him (S2-17).
use super::contact_transfer::not_entitled;
use super::{Answer, Command, Given, PLAIN, People, contact_edit, views};
use crate::domain::contact::Listing;
use crate::domain::effect::{Code, Place, Reply};
use crate::domain::entitlement::{Permission, User};
use crate::domain::handover;
use crate::domain::ids::*;
use crate::domain::refusal::Refusal;
use crate::domain::scene::Scene;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub const SHARE: Command = Command {
    path: "contact share",
    usage: "/contact share <contact> @a…",
    example: "/contact share Ann Lee @bob.ray@acme.com",
    about: "put a contact of yours on colleagues' lists, under your name for them; asks first",
    needs: &[Permission::ContactEdit],
    positional: &["contact"],
    people: People::Several,
    one_text_from: Some(0),
    run: share,
    ..PLAIN
};

/// Colleagues of one command; more are a mistake, or several commands.
const COLLEAGUES_MAX: usize = 20;
const ALREADY: &str = "already-there";

/// A colleague, and why he does not get the contact, if he does not.
struct Shared {
    user: User,
    channels: BTreeSet<Channel>,
    why: Option<&'static str>,
}

fn share(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let contact = given.contact(scene, 0)?;
    if !contact_edit::may(given, &contact, Permission::ContactEdit) {
        return Err(Refusal::no_permission(Permission::ContactEdit.name()));
    }
    let not_his = || Refusal::bad_argument("contact", "is not on your list", "/contact list");
    let entry = scene.listing(given.caller.id, &contact.id).ok_or_else(not_his)?;
    let colleagues = colleagues(scene, given, &entry)?;
    if let Some(refusal) = nobody_gets_him(&colleagues, &entry) {
        return Err(refusal.about(&contact.id));
    }
    let name = given.name_of(scene, &contact);
    let told = |reply: Reply| reply.about(&contact.id).with("name", name).with("colleagues", rows(&colleagues));
    // Where there is nothing to confirm the reasons are the answer.
    if !given.confirmed && colleagues.iter().any(|shared| shared.why.is_none()) {
        return Ok(Answer::Confirm(told(Reply::new(Code::Confirm, "confirm-share"))));
    }
    let reply = told(Reply::answer("contact-shared"));
    for shared in colleagues.iter().filter(|shared| shared.why.is_none()) {
        give(scene, given, &entry, shared);
    }
    Ok(views::where_it_belongs(scene, given, Some(&contact.id), reply))
}

fn colleagues(scene: &Scene, given: &Given, entry: &Listing) -> Result<Vec<Shared>, Refusal> {
    let named = given.args.people();
    if named.is_empty() {
        return Err(Refusal::missing("colleague", SHARE.example));
    }
    if named.len() > COLLEAGUES_MAX {
        return Err(Refusal::bad_argument("colleague", format!("must be {COLLEAGUES_MAX} at most"), SHARE.example));
    }
    let mut colleagues: Vec<Shared> = Vec::new();
    for who in named {
        let user = given.colleague(scene, &who)?;
        if !colleagues.iter().any(|known| known.user.id == user.id) {
            colleagues.push(judged(scene, given, entry, user));
        }
    }
    Ok(colleagues)
}

/// S4-30: a colleague of the same sub-organisation, with a channel on which the contact is.
fn judged(scene: &Scene, given: &Given, entry: &Listing, user: User) -> Shared {
    let rights = scene.rights(user.id);
    let channels: BTreeSet<Channel> = entry.channels.iter().copied().filter(|channel| rights.may_use(*channel)).collect();
    let theirs = scene.listing(user.id, &entry.contact);
    let has_him = theirs.is_some_and(|theirs| !theirs.incomplete && channels.is_subset(&theirs.channels));
    let why = if user.id == given.caller.id || has_him {
        Some(ALREADY)
    } else if channels.is_empty() {
        // Whoever has no right at all has no sub-organisation either: the right is what he lacks.
        Some("not-entitled")
    } else if rights.sub_org != given.rights.sub_org {
        Some("other-sub-org")
    } else {
        None
    };
    Shared { user, channels, why }
}

fn nobody_gets_him(colleagues: &[Shared], entry: &Listing) -> Option<Refusal> {
    let [only] = colleagues else { return None };
    let user = only.user.name.clone();
    match only.why? {
        ALREADY => Some(Refusal::bad_argument("colleague", format!("({user}) has this contact already"), SHARE.example)),
        "other-sub-org" => Some(Refusal::new("other-sub-org").with("user", user)),
        _ => Some(not_entitled(&only.user, entry.channels.iter().copied())),
    }
}

fn rows(colleagues: &[Shared]) -> Vec<Value> {
    colleagues.iter().map(|shared| json!({ "name": shared.user.name, "why": shared.why })).collect()
}

fn give(scene: &mut Scene, given: &Given, entry: &Listing, shared: &Shared) {
    handover::share(scene, entry, shared.user.id, shared.channels.clone());
    let told = Reply::new(Code::Notice, "shared-with-you").about(&entry.contact).with("by", given.caller.name.clone());
    let told = told.with("name", entry.name()).with("id", entry.contact.to_string());
    let rights = scene.rights(shared.user.id);
    scene.post(Place::Direct(shared.user.id), super::for_reader(told, &rights));
}
