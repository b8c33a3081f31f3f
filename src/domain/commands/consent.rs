//! `/consent show` and `/consent history`: what a contact has agreed to, since when, by which message.
use super::views;
use super::{Answer, Command, Given, PLAIN};
use crate::domain::consent::Consent;
use crate::domain::contact::{Contact, OnChannel, Turned};
use crate::domain::effect::Reply;
use crate::domain::entitlement::Permission;
use crate::domain::ids::Channel;
use crate::domain::refusal::Refusal;
use crate::domain::scene::Scene;
use crate::domain::sms;
use serde_json::{Value, json};

pub const SHOW: Command = Command {
    path: "consent show",
    usage: "/consent show <contact>",
    example: "/consent show Ann Lee",
    about: "what a contact has agreed to, since when",
    needs: &[Permission::Chat, Permission::AuditRead],
    positional: &["contact"],
    one_text_from: Some(0),
    run: show,
    ..PLAIN
};

pub const HISTORY: Command = Command {
    path: "consent history",
    usage: "/consent history <contact>",
    example: "/consent history Ann Lee",
    about: "each change of a contact's consent",
    needs: &[Permission::Chat, Permission::AuditRead],
    positional: &["contact"],
    one_text_from: Some(0),
    run: history,
    ..PLAIN
};

fn show(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let contact = given.contact(scene, 0)?;
    views::may_look(given, &contact, Permission::AuditRead)?;
    let row = |(channel, on): (&Channel, &OnChannel)| {
        let latest = on.history.back();
        json!({
            "needs_no_yes": on.consent == Consent::None && sms::is_willing(scene.policy, &contact, *channel),
            "channel": channel.name(), "consent": on.consent.name(), "since": on.consent.since(),
            "by": latest.map(|turned| views::actor_seen(scene, given, &turned.by)),
            "message": latest.and_then(|turned| turned.message.clone()),
            "asked_in": on.asked_in,
            "no_marketing_since": on.marketing.filter(|choice| choice.wants_none).map(|choice| choice.at),
        })
    };
    let rows: Vec<Value> = contact.channels.iter().map(row).collect();
    Ok(told(scene, given, &contact, "consent-show", rows))
}

fn history(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let contact = given.contact(scene, 0)?;
    views::may_look(given, &contact, Permission::AuditRead)?;
    let seen = |turned: &Turned| Turned { by: views::actor_seen(scene, given, &turned.by), ..turned.clone() };
    let row = |(channel, on): (&Channel, &OnChannel)| {
        let turns: Vec<Turned> = on.history.iter().map(seen).collect();
        json!({ "channel": channel.name(), "turns": turns })
    };
    let rows: Vec<Value> = contact.channels.iter().map(row).collect();
    Ok(told(scene, given, &contact, "consent-history", rows))
}

fn told(scene: &mut Scene, given: &Given, contact: &Contact, template: &str, rows: Vec<Value>) -> Answer {
    let reply = Reply::answer(template).about(&contact.id).with("name", given.name_of(scene, contact));
    let reply = reply.with("channels", rows).with("now", scene.now.0);
    views::where_it_belongs(scene, given, Some(&contact.id), reply)
}
