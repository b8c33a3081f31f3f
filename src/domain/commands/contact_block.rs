//! `/contact block` and `/contact unblock`: what a client sends is kept and not relayed, until somebody lifts that.
use super::{Answer, Command, Given, PLAIN, contact_edit, views};
use crate::domain::blocking::{self, REASONS};
use crate::domain::contact::Contact;
use crate::domain::effect::Reply;
use crate::domain::entitlement::Permission;
use crate::domain::refusal::Refusal;
use crate::domain::scene::Scene;

pub const BLOCK: Command = Command {
    path: "contact block",
    usage: "/contact block <contact> reason=spam|abuse|compliance|other",
    example: "/contact block Ann Lee reason=spam",
    about: "keep what a client sends without relaying it; nothing goes to them",
    needs: &[Permission::Block],
    positional: &["contact"],
    keys: &["reason"],
    one_text_from: Some(0),
    run: block,
    ..PLAIN
};

pub const UNBLOCK: Command = Command {
    path: "contact unblock",
    usage: "/contact unblock <contact>",
    example: "/contact unblock Ann Lee",
    about: "relay again what a client sends",
    needs: &[Permission::Block],
    positional: &["contact"],
    one_text_from: Some(0),
    run: unblock,
    ..PLAIN
};

fn block(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let contact = blockable(scene, given)?;
    let typed = given.key("reason").ok_or_else(|| Refusal::missing("reason", BLOCK.example))?.to_lowercase();
    let unknown = || Refusal::bad_argument("reason", format!("must be one of {}", REASONS.join(", ")), BLOCK.example);
    let reason = REASONS.into_iter().find(|known| *known == typed).ok_or_else(unknown)?;
    if let Some(before) = &contact.blocked {
        return Err(Refusal::bad_argument("contact", format!("is blocked already ({before})"), UNBLOCK.example));
    }
    let reply = Reply::answer("contact-block").about(&contact.id).with("name", given.name_of(scene, &contact));
    let id = contact.id.clone();
    let withdrawn = blocking::block(scene, contact, reason, &given.caller.email);
    Ok(views::where_it_belongs(scene, given, Some(&id), reply.with("reason", reason).with("withdrawn", withdrawn)))
}

fn unblock(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let contact = blockable(scene, given)?;
    if contact.blocked.is_none() {
        return Err(Refusal::bad_argument("contact", "is not blocked", BLOCK.example));
    }
    let reply = Reply::answer("contact-unblock").about(&contact.id).with("name", given.name_of(scene, &contact));
    let id = contact.id.clone();
    let (kept, groups) = blocking::unblock(scene, contact, &given.caller.email);
    let reply = reply.with("messages", kept.messages).with("calls", kept.calls).with("groups", groups);
    Ok(views::where_it_belongs(scene, given, Some(&id), reply))
}

fn blockable(scene: &Scene, given: &Given) -> Result<Contact, Refusal> {
    let contact = given.contact(scene, 0)?;
    if !contact_edit::may(given, &contact, Permission::Block) {
        return Err(Refusal::no_permission(Permission::Block.name()));
    }
    Ok(contact)
}
