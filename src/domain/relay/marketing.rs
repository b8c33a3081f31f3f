//! A client's choice about marketing: it stops marketing templates to him and nothing else, and it is no opt-out.
use super::identity::find_contact;
use crate::domain::commit::Entry;
use crate::domain::contact::{Contact, MarketingChoice};
use crate::domain::effect::{Code, Place, Reply};
use crate::domain::event::MarketingChosen;
use crate::domain::ids::*;
use crate::domain::message::Message;
use crate::domain::scene::{CLIENT, Scene};
use crate::domain::sending::contact_name;
use crate::domain::time::Timestamp;
use serde_json::json;

/// WhatsApp: the client has stopped marketing messages of the firm.
const WANTS_NO_MARKETING: &str = "131050";

pub fn marketing_chosen(scene: &mut Scene, told: &MarketingChosen) {
    let at = scene.event.at.min(scene.now);
    let detail = json!({ "line": told.line, "wants_none": told.wants_none, "detail": told.detail });
    let Some(contact) = find_contact(scene, &told.from).filter(|contact| !contact.was_another(at)) else {
        return scene.note(Entry::new("client.marketing_of_unknown", CLIENT).told_at(scene.event.at).detail(detail));
    };
    scene.raw_belongs_to(&contact.id);
    note_choice(scene, contact, told.channel, told.wants_none, at, &told.detail);
}

/// A send failed: because the client has chosen so in WhatsApp, or for other reasons.
pub fn marketing_refused(scene: &mut Scene, message: &Message, code: &str, detail: &str) {
    let at = scene.event.at.min(scene.now);
    if code == WANTS_NO_MARKETING
        && let Some(contact) = scene.contact(&message.contact)
    {
        note_choice(scene, contact, message.channel, true, at, detail);
    }
}

fn note_choice(scene: &mut Scene, mut contact: Contact, channel: Channel, wants_none: bool, at: Timestamp, why: &str) {
    let before = contact.on(channel).marketing;
    let late = before.is_some_and(|before| at < before.at);
    let kind = if wants_none { "marketing.stopped" } else { "marketing.resumed" };
    let detail = json!({ "channel": channel.key(), "detail": why, "late": late });
    scene.note(Entry::new(kind, CLIENT).about(&contact.id).told_at(scene.event.at).detail(detail));
    if late {
        return;
    }
    contact.on_mut(channel).marketing = Some(MarketingChoice { at, wants_none });
    scene.put(&contact);
    if before.is_some_and(|before| before.wants_none) != wants_none {
        tell_rooms(scene, &contact, channel, wants_none);
    }
}

fn tell_rooms(scene: &mut Scene, contact: &Contact, channel: Channel, wants_none: bool) {
    let rooms: Vec<RoomKey> = contact.rooms.clone();
    for key in rooms {
        let live = scene.room(&key).filter(|room| room.is_live() && room.channel == channel);
        if live.is_none() {
            continue;
        }
        let name = contact_name(scene, Some(&key), &contact.id);
        let reply = Reply::new(Code::Info, "marketing-choice").about(&contact.id).with("name", name);
        scene.post(Place::Room(key), reply.with("channel", channel.name()).with("wants_none", wants_none));
    }
}
