//! What happens because time has passed; a wake-up that finds nothing to do does nothing.
use super::approval;
use super::case::woken;
use super::commit::{Entry, Key};
use super::consent::{Consent, REVIEW_LASTS, Turn};
use super::contact::Contact;
use super::effect::{Code, Place, Reply};
use super::gates::quiet_hours;
use super::handovers;
use super::ids::*;
use super::message::{DOUBT_LASTS, EXPIRY_WARNING, Message, MessageState};
use super::native;
use super::outbox;
use super::parked;
use super::returning;
use super::rooms;
use super::saying::{self};
use super::scene::{PROGRAM, Scene};
use super::sending::{self, contact_name, tell_room};
use crate::fault;
use serde_json::json;

pub fn time_came(scene: &mut Scene, wake: &Key) {
    let Some((at, record)) = woken(wake) else { return };
    // No timer fires early, and one that was served is served.
    let early = at > scene.now && !fault::planted("wake-early");
    if early || !scene.case.holds(wake) {
        return;
    }
    scene.case.wake_is_over(wake);
    let Some((kind, name)) = record.as_str().split_once('/') else { return };
    match kind {
        "contact" => review_ran_out(scene, &ContactId::new(name)),
        "message" => message_woke(scene, &MessageId::new(name)),
        "room" => {
            rooms::say_still_working(scene, &RoomKey::new(name));
            native::woke(scene, &RoomKey::new(name));
        }
        "parked" => parked::forget(scene, name),
        "template" => {
            if let Some((template, language)) = name.split_once('/') {
                approval::release_waiting(scene, template, language);
            }
        }
        "call" => super::relay::call_woke(scene, &record),
        "handover" => handovers::go_on(scene, name),
        "morning" => morning_came(scene, &RoomKey::new(name)),
        _ => {}
    }
}

/// What waits for the end of the quiet hours is looked at again then.
pub fn when_the_quiet_hours_end(scene: &mut Scene, gate: &str, room: &RoomKey, contact: &ContactId) {
    if gate != quiet_hours::GATE.id {
        return;
    }
    let readers =
        if contact.group().is_some() { native::readers(scene, room) } else { scene.contact(contact).into_iter().collect() };
    let sub_org = scene.sub_org_of(room);
    let opens_at = |contact: &Contact| quiet_hours::opens_at(scene.policy, &sub_org, contact, scene.now);
    // Of several clocks the last one to open; if another has closed by then, it is waited for anew.
    if let Some(at) = readers.iter().filter_map(opens_at).max() {
        let wake = super::case::wake_key(at, &Key::new("morning", room));
        scene.point(wake, room);
    }
}

fn morning_came(scene: &mut Scene, room: &RoomKey) {
    let Some(room) = scene.room(room) else { return };
    for contact in &room.addressees() {
        sending::release(scene, &room.key, contact);
        sending::tell_client_that_a_message_waits(scene, contact, room.channel, &room.line);
    }
}

/// Nobody cleared the possible stop within a day: it counts as one.
fn review_ran_out(scene: &mut Scene, id: &ContactId) {
    let Some(contact) = scene.contact(id) else { return };
    for channel in Channel::ALL {
        let Consent::Review { since, .. } = contact.consent(channel) else { continue };
        if scene.now < since + REVIEW_LASTS {
            continue;
        }
        end_review(scene, id, channel, Turn::ReviewRanOut, PROGRAM);
    }
}

/// The review ends in a stop, because an advisor said so or a day has passed; or it is cleared.
pub fn end_review(scene: &mut Scene, id: &ContactId, channel: Channel, turn: Turn, actor: &str) -> bool {
    let Some(mut contact) = scene.contact(id) else { return false };
    let now = scene.now;
    // Its day is over even if the wake-up that says so is late: nobody clears it any more.
    let ran_out = matches!(contact.consent(channel), Consent::Review { since, .. } if now >= since + REVIEW_LASTS);
    let turn = if ran_out && turn == Turn::Cleared { Turn::ReviewRanOut } else { turn };
    if !scene.turn_consent(&mut contact, channel, turn, now, json!({ "actor": actor })) {
        return false;
    }
    if contact.consent(channel).is_opted_out() {
        sending::withdraw_everything(scene, &contact, channel, "consent");
        returning::client_refused(scene, id, channel);
        tell_of_stop(scene, &contact, channel);
        confirm_stop(scene, &contact, channel);
    } else {
        sending::release_all(scene, id, channel);
        if let Some(line) = contact.on(channel).line {
            sending::tell_client_that_a_message_waits(scene, id, channel, &line);
        }
    }
    true
}

fn confirm_stop(scene: &mut Scene, contact: &Contact, channel: Channel) {
    let Some(line) = contact.on(channel).line else { return };
    if contact.on(channel).is_open(channel, &line, scene.now) {
        let body = saying::wording_body(scene, contact, None, "opted_out", &[]);
        saying::say_to_client(scene, &contact.id, channel, &line, None, "opted_out", body);
    }
}

fn tell_of_stop(scene: &mut Scene, contact: &Contact, channel: Channel) {
    for key in &contact.rooms {
        let Some(room) = scene.room(key).filter(|room| room.channel == channel) else { continue };
        let name = contact_name(scene, Some(key), &contact.id);
        let reply = Reply::new(Code::ConsentNo, "consent-no").about(&contact.id).with("name", name).with("word", "review");
        scene.post(Place::Room(room.key), reply.with("channel", channel.name()).with("text", "").with("waiting", 0));
    }
}

fn message_woke(scene: &mut Scene, id: &MessageId) {
    let Some(message) = scene.message(id) else { return };
    match message.state.clone() {
        MessageState::Doubtful { since, .. } if scene.now >= since + DOUBT_LASTS => outbox::unconfirmed(scene, message),
        MessageState::Held { .. } => held_message_woke(scene, message),
        MessageState::Doubtful { .. }
        | MessageState::Ready
        | MessageState::Taken
        | MessageState::Sent
        | MessageState::Delivered
        | MessageState::Read
        | MessageState::Failed { .. }
        | MessageState::Unconfirmed
        | MessageState::Expired
        | MessageState::Withdrawn { .. }
        | MessageState::Cancelled => {}
    }
}

/// EXPIRED is told 24 h before and when it happens (RULES, Message).
fn held_message_woke(scene: &mut Scene, mut message: Message) {
    let Some(expires_at) = message.expires_at else { return };
    let name = contact_name(scene, message.room.as_ref(), &message.contact);
    let text = sending::gist(&message.body);
    let gate = if let MessageState::Held { gate } = &message.state { gate.clone() } else { String::new() };
    if scene.now >= expires_at {
        message.state = MessageState::Expired;
        scene.put(&message);
        if let Some(room) = &message.room {
            let mut lane = scene.lane(room, &message.contact);
            lane.held.retain(|id| *id != message.id);
            scene.put(&lane);
        }
        let entry = Entry::new("message.expired", PROGRAM).about(&message.contact).message(&message.id);
        scene.note(Entry { room: message.room.clone(), ..entry });
        let reply = Reply::new(Code::Expired, "expired").about(&message.contact).of(&message.id).with("name", name);
        tell_room(scene, &message, waiting_for(scene, &message, &gate, reply.with("text", text)));
    } else if !message.expiry_warned && scene.now >= expires_at - EXPIRY_WARNING {
        message.expiry_warned = true;
        scene.put(&message);
        let reply = Reply::new(Code::Info, "expires-soon").about(&message.contact).of(&message.id).with("name", name);
        let reply = reply.with("text", text).with("expires_at", expires_at.0);
        tell_room(scene, &message, waiting_for(scene, &message, &gate, reply));
    }
}

/// What would let it go, or would have.
fn waiting_for(scene: &Scene, message: &Message, gate: &str, reply: Reply) -> Reply {
    let consent = scene.contact(&message.contact).map(|contact| contact.consent(message.channel)).unwrap_or_default();
    reply.with("gate", gate).with("consent", consent.name()).with("channel", message.channel.name())
}
