//! `/window`: may the firm write freely now, and until when.
use super::views::{self, window_of, window_row};
use super::{Answer, Command, Given, PLAIN};
use crate::domain::effect::Reply;
use crate::domain::entitlement::Permission;
use crate::domain::ids::{Channel, ContactId};
use crate::domain::refusal::Refusal;
use crate::domain::room::Room;
use crate::domain::scene::Scene;

pub const WINDOW: Command = Command {
    path: "window",
    usage: "/window [contact]",
    example: "/window Ann Lee",
    about: "how long you may still write freely on WhatsApp",
    needs: &[Permission::Chat, Permission::AuditRead],
    positional: &["contact"],
    one_text_from: Some(0),
    run: window,
    ..PLAIN
};

fn window(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    if let Some(room) = given.room.as_ref().filter(|room| room.is_native()) {
        return of_group(scene, given, room);
    }
    let contact = given.contact(scene, 0)?;
    views::may_look(given, &contact, Permission::AuditRead)?;
    let room = given.room_with(scene, &contact, Some(Channel::WhatsApp));
    let on_whatsapp = contact.channels.contains_key(&Channel::WhatsApp);
    let window = window_row(window_of(&contact, room.as_ref()), scene.now);
    let reply = Reply::answer("window").about(&contact.id).with("name", given.name_of(scene, &contact));
    let reply = reply.with("on_whatsapp", on_whatsapp).with("window", window).with("now", scene.now.0);
    let reply = reply.with("consent", contact.consent(Channel::WhatsApp).name());
    Ok(views::where_it_belongs(scene, given, Some(&contact.id), reply))
}

/// A native group has a window of its own, which any member's message opens (RULES, Window).
fn of_group(scene: &mut Scene, given: &Given, room: &Room) -> Result<Answer, Refusal> {
    if given.text(0).is_some() {
        given.contact(scene, 0)?;
    }
    views::may_look_at(given, room.channel, Permission::AuditRead)?;
    let native = room.native.as_ref();
    let window = native.map(|native| native.window).unwrap_or_default();
    let reply = Reply::answer("window-group").about(&ContactId::of_group(&room.key)).with("name", room.name.clone());
    let reply = reply.with("window", window_row(window, scene.now)).with("now", scene.now.0);
    let reply = reply.with("joined", native.map_or(0, |native| native.joined().count()));
    Ok(Answer::Say(reply))
}
