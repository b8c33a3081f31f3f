//! What the provider tells later of a message: how far it came, or that it failed after all.
use super::{SEND_TRIES_LAST, invitation_is_over, message_failed, order, settle_due_of};
use crate::domain::commit::{Entry, Key};
use crate::domain::event::{Delivery, DeliveryReported};
use crate::domain::ids::{Channel, ContactId};
use crate::domain::lines;
use crate::domain::message::{Message, MessageState};
use crate::domain::native;
use crate::domain::parked;
use crate::domain::relay;
use crate::domain::scene::{PROGRAM, Scene};
use crate::domain::sending;
use crate::domain::time::Timestamp;
use crate::fault;
use serde_json::json;

/// `told_at` by the provider's clock: a status that had to wait for its message is older than the event that brings it.
pub fn delivery_reported(scene: &mut Scene, told: &DeliveryReported, told_at: Timestamp) {
    if let Delivery::Failed { code, detail, of_line: true } = &told.status {
        lines::refused_by_status(scene, &told.line, code, detail, told_at);
    }
    let ours = told.ours.as_ref().and_then(|id| scene.message(id));
    let Some(mut message) = ours.or_else(|| scene.message_of_wamid(&told.id)) else {
        parked::park(scene, told);
        return scene
            .note(Entry::new("delivery.of_unknown_message", told.channel.key()).detail(json!({ "status": told.status })));
    };
    // Of a message to a group each member's own status is about him, and nobody else's evidence.
    let member = told.participant.as_ref().filter(|_| message.to_group).and_then(|name| native::member(scene, told, name));
    let about = member.clone().unwrap_or_else(|| message.contact.clone());
    scene.raw_belongs_to(&about);
    let was_doubtful = matches!(message.state, MessageState::Doubtful { .. });
    // It waits again after an attempt that failed: what is told of that attempt says nothing of the next one.
    let waits = matches!(message.state, MessageState::Held { .. } | MessageState::Ready);
    let of_earlier_attempt = waits && message.wamid.as_ref() == Some(&told.id);
    if message.wamid.is_none() {
        scene.point(Key::new("wamid", &told.id), &message.id);
        message.wamid = Some(told.id.clone());
    }
    let at = told_at.min(scene.now);
    let entry = Entry::new("delivery.reported", told.channel.key()).about(&about).message(&message.id);
    let mut detail = json!({ "status": told.status, "id": told.id, "price_category": told.price_category,
        "price_type": told.price_type });
    if let Some(participant) = &told.participant {
        detail["participant"] = json!(participant);
    }
    scene.note(Entry { room: message.room.clone(), ..entry.told_at(told_at).detail(detail) });
    if of_earlier_attempt {
        return;
    }
    message.price_category = message.price_category.take().or_else(|| told.price_category.clone());
    message.price_type = message.price_type.take().or_else(|| told.price_type.clone());
    if message.to_group && told.participant.is_some() {
        if matches!(told.status, Delivery::Delivered | Delivery::Read) {
            note_reached(scene, &about, message.channel);
        }
        return native::reached(scene, message, member, &told.status, at);
    }
    match &told.status {
        Delivery::Failed { code, detail, of_line } => {
            return reported_failed(scene, message, (code, detail, *of_line), was_doubtful);
        }
        Delivery::Sent => rise(&mut message, MessageState::Sent),
        Delivery::Delivered => rise(&mut message, MessageState::Delivered),
        Delivery::Read => rise(&mut message, MessageState::Read),
    }
    match told.status {
        Delivery::Read => message.read_at = message.read_at.or(Some(at)),
        Delivery::Delivered => message.delivered_at = message.delivered_at.or(Some(at)),
        Delivery::Sent | Delivery::Failed { .. } => message.sent_at = message.sent_at.or(Some(at)),
    }
    let reached = !matches!(told.status, Delivery::Sent);
    scene.put(&message);
    // What is told of an earlier attempt says nothing of the line now.
    if message.wamid.as_ref() == Some(&told.id) {
        lines::went_well(scene, &message);
    }
    if told.participant.is_none() {
        relay::learn_from_status(scene, &message, told, told_at);
    }
    if reached {
        note_reached(scene, &message.contact, message.channel);
    }
    if was_doubtful {
        settle_due_of(scene, &message);
        invitation_is_over(scene, &message);
    }
}

fn rise(message: &mut Message, to: MessageState) {
    if to.rank() > message.state.rank() || fault::planted("status-falls") {
        message.state = to;
    }
}

fn note_reached(scene: &mut Scene, contact: &ContactId, channel: Channel) {
    let Some(mut contact) = scene.contact(contact) else { return };
    if !contact.on(channel).ever_reached {
        contact.on_mut(channel).ever_reached = true;
        scene.put(&contact);
    }
}

fn reported_failed(scene: &mut Scene, mut message: Message, failure: (&str, &str, bool), was_doubtful: bool) {
    let (code, detail, of_line) = failure;
    if message.state.rank() >= (MessageState::Failed { code: String::new() }).rank() {
        return;
    }
    if was_doubtful || matches!(message.state, MessageState::Taken) {
        settle_due_of(scene, &message);
    }
    let since = message.refused_since.or(message.sent_at).unwrap_or(scene.now);
    if of_line && scene.now - since <= SEND_TRIES_LAST {
        message.refused_since = Some(since);
        return waits_for_its_line(scene, message, code);
    }
    message_failed(scene, message, code, detail);
}

/// As after the same code in an answer: it did certainly not arrive, it goes when its line works again, and before what was
/// written after it.
fn waits_for_its_line(scene: &mut Scene, mut message: Message, code: &str) {
    let entry = Entry::new("message.put_back", PROGRAM).about(&message.contact).message(&message.id);
    scene.note(Entry { room: message.room.clone(), ..entry.detail(json!({ "code": code })) });
    let later = order::taken_back_behind(scene, &message, |_| true);
    message.sent_at = None;
    sending::make_ready(scene, &mut message);
    for mut other in later {
        sending::make_ready(scene, &mut other);
    }
}
