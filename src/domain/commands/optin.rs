//! `/optin send` and `/optin resend`: ask a contact whether the firm may write to him.
use super::sms::not_on_whatsapp;
use super::{Answer, Command, Given, PLAIN};
use crate::domain::approval;
use crate::domain::consent::Consent;
use crate::domain::contact::Contact;
use crate::domain::effect::{Code, Reply};
use crate::domain::entitlement::Permission;
use crate::domain::ids::*;
use crate::domain::refusal::Refusal;
use crate::domain::room::Room;
use crate::domain::saying::{Asking, ask_client};
use crate::domain::scene::Scene;
use crate::fault;

pub const SEND: Command = Command {
    path: "optin send",
    usage: "/optin send <contact>",
    example: "/optin send Ann Lee",
    about: "ask a contact for consent, after you confirmed that he agreed to be contacted",
    needs: &[Permission::Chat],
    positional: &["contact"],
    one_text_from: Some(0),
    form: true,
    run: send,
    ..PLAIN
};

pub const RESEND: Command = Command {
    path: "optin resend",
    usage: "/optin resend <contact>",
    example: "/optin resend Ann Lee",
    about: "ask again, 24 hours after the last request at the earliest",
    needs: &[Permission::Chat],
    positional: &["contact"],
    one_text_from: Some(0),
    run: resend,
    ..PLAIN
};

/// That of the room in which it is typed; elsewhere WhatsApp, whose invitation is what most people mean.
fn channel_of(given: &Given, contact: &Contact) -> Channel {
    let here = given.room.as_ref().filter(|room| room.contacts.contains(&contact.id)).map(|room| room.channel);
    let only_sms = contact.channels.keys().all(|channel| *channel == Channel::Sms) && !contact.channels.is_empty();
    here.unwrap_or(if only_sms { Channel::Sms } else { Channel::WhatsApp })
}

fn send(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let contact = given.contact_to_invite(scene, 0)?;
    let channel = channel_of(given, &contact);
    let line = may_ask(scene, given, &contact, channel)?;
    if contact.consent(channel).is_pending() {
        may_repeat(scene, &contact, channel)?;
    }
    let name = given.name_of(scene, &contact);
    if !given.confirmed {
        let card = Reply::new(Code::Confirm, "confirm-invitation").about(&contact.id).with("name", name);
        return Ok(Answer::Confirm(card.with("channel", channel.name())));
    }
    let room = room_with(scene, given, &contact, channel);
    ask(scene, given, &contact, (channel, &line), room, "confirmed that the client agreed to be contacted")
}

fn resend(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let contact = given.contact_to_invite(scene, 0)?;
    let channel = channel_of(given, &contact);
    let line = may_ask(scene, given, &contact, channel)?;
    if !contact.consent(channel).is_pending() {
        return Err(Refusal::new("nothing-pending").about(&contact.id).with("name", given.name_of(scene, &contact)));
    }
    may_repeat(scene, &contact, channel)?;
    let room = room_with(scene, given, &contact, channel);
    ask(scene, given, &contact, (channel, &line), room, "asked again")
}

fn ask(
    scene: &mut Scene,
    given: &Given,
    contact: &Contact,
    (channel, line): (Channel, &LineId),
    room: Option<Room>,
    attested: &str,
) -> Result<Answer, Refusal> {
    let has_room = room.is_some();
    let requestor = given.onboarded_for(scene, contact);
    let asking = Asking {
        contact: &contact.id,
        channel,
        line,
        room: room.map(|room| room.key),
        by: requestor.unwrap_or(given.caller.id),
        actor: given.caller.id,
        attested,
    };
    ask_client(scene, asking).ok_or_else(|| Refusal::new("busy").with("why", "The consent stands otherwise now."))?;
    let reply = Reply::answer("invitation-sent").about(&contact.id).with("name", given.name_of(scene, contact));
    let waits = approval::invitation_waits(scene, &contact.id);
    let reply = reply.with("has_room", has_room).with("waits", waits);
    Ok(Answer::Say(match requestor {
        Some(requestor) => reply.with("for", scene.user_name(requestor)),
        None => reply,
    }))
}

/// A room in which he is talked with: the caller's, or that of the colleague for whom the caller asks.
fn room_with(scene: &Scene, given: &Given, contact: &Contact, channel: Channel) -> Option<Room> {
    let Some(requestor) = given.onboarded_for(scene, contact) else {
        return given.room_with(scene, contact, Some(channel));
    };
    let mut rooms = contact.rooms.iter().filter_map(|key| scene.room(key));
    rooms.find(|room| room.is_live() && room.channel == channel && room.members.contains_key(&requestor))
}

/// The line to ask on, if this contact may be asked at all now.
fn may_ask(scene: &mut Scene, given: &Given, contact: &Contact, channel: Channel) -> Result<LineId, Refusal> {
    if !given.rights.may_use(channel) {
        return Err(Refusal::new("not-entitled").with("channel", channel.name()));
    }
    let name = given.name_of(scene, contact);
    if contact.blocked.is_some() {
        return Err(Refusal::new("blocked").about(&contact.id).with("name", name).with("sends", false));
    }
    match contact.consent(channel) {
        Consent::OptedIn { .. } => return Err(Refusal::new("already-in").about(&contact.id).with("name", name)),
        Consent::OptedOut { .. } => return Err(Refusal::new("opted-out").about(&contact.id).with("name", name)),
        Consent::Review { .. } => {
            return Err(Refusal::new("busy")
                .about(&contact.id)
                .with("why", "The client may have asked to stop; settle that first."));
        }
        Consent::Unreachable { .. } => return Err(not_on_whatsapp(scene, given, contact, name)),
        Consent::None | Consent::Pending { .. } => {}
    }
    let room = room_with(scene, given, contact, channel);
    let line = room.map(|room| room.line).or_else(|| contact.on(channel).line);
    let line = line.or_else(|| line_for(scene, given, contact, channel));
    line.ok_or_else(|| Refusal::new("no-line-left").with("channel", channel.name()))
}

fn line_for(scene: &Scene, given: &Given, contact: &Contact, channel: Channel) -> Option<LineId> {
    let requestor = given.onboarded_for(scene, contact).and_then(|user| scene.user(user));
    let email = requestor.map_or_else(|| given.caller.email.clone(), |user| user.email);
    let mut lines: Vec<_> = scene.policy.lines_of(channel).collect();
    lines.retain(|line| line.advisor.as_deref().is_none_or(|advisor| advisor == email));
    lines.sort_by_key(|line| line.advisor.is_none());
    lines.first().map(|line| line.id.clone())
}

/// S3-20, S3-21.
fn may_repeat(scene: &Scene, contact: &Contact, channel: Channel) -> Result<(), Refusal> {
    let Consent::Pending { asked_at, .. } = contact.consent(channel) else { return Ok(()) };
    let until = asked_at + scene.policy.resend_after;
    if scene.now < until && !fault::planted("asked-at-any-time") {
        let refusal = Refusal::new("pending-until").about(&contact.id).with("until", until.0);
        return Err(refusal.with("command", "/optin resend"));
    }
    Ok(())
}
