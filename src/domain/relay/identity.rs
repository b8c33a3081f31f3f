//! Who wrote: a client found by any of the keys of his identity, or a stranger and what the firm does with strangers.
use super::shown;
use crate::domain::case::Record;
use crate::domain::commit::{Entry, Key};
use crate::domain::consent::{Consent, Turn};
use crate::domain::contact::{Contact, Pointer};
use crate::domain::effect::{Code, Reply};
use crate::domain::event::{ClientKeys, ClientMessage, Content};
use crate::domain::ids::*;
use crate::domain::policy::{DEFAULT_LANGUAGE, UnknownSender};
use crate::domain::scene::{CLIENT, Scene};
use crate::domain::sending::{Asking, ask_client};
use crate::domain::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// By any of the keys of the identity; the most stable first.
pub(super) fn find_contact(scene: &Scene, keys: &ClientKeys) -> Option<Contact> {
    let by_user_id = keys.user_id.as_ref().map(|id| Key::new("bsuid", id));
    let by_wa_id = keys.wa_id.as_ref().map(|id| Key::new("wa", id));
    let by_phone = keys.phone.as_ref().map(|phone| Key::new("phone", phone.e164()));
    let id = [by_user_id, by_wa_id, by_phone].into_iter().flatten().find_map(|key| scene.pointer(key))?;
    scene.contact(&ContactId(id))
}

/// A sender nobody knows: onboarded, kept for an admin, or only recorded, as the firm chose (S2-10, S2-11).
pub(super) fn meet_stranger(scene: &mut Scene, said: &ClientMessage, at: Timestamp) -> Option<Contact> {
    let rule = scene.policy.unknown_sender;
    match rule {
        UnknownSender::Onboard if within_caps(scene, &said.from) => Some(new_contact(scene, &said.from, said, at)),
        UnknownSender::Onboard => {
            park(scene, said, "too many new senders in this hour");
            None
        }
        UnknownSender::Park => {
            park(scene, said, "the firm keeps messages of unknown senders for an admin");
            None
        }
        UnknownSender::Refuse => {
            let detail = json!({ "line": said.line, "from": said.from, "content": said.content });
            scene.note(Entry::new("client.refused", CLIENT).told_at(at).detail(detail));
            None
        }
    }
}

pub(super) fn park(scene: &mut Scene, said: &ClientMessage, why: &str) {
    let detail = json!({ "line": said.line, "from": said.from, "content": said.content, "why": why });
    scene.note(Entry::new("client.parked", CLIENT).detail(detail));
    let number = said.from.phone.as_ref().map(|phone| phone.e164().to_owned()).or(said.from.profile_name.clone());
    let reply = Reply::new(Code::Info, "parked").with("number", number.unwrap_or_default()).with("why", why);
    let reply = reply.with("text", shown(&said.content));
    for admin in scene.admins() {
        scene.post(admin, reply.clone());
    }
}

/// How many strangers were onboarded in the hour that runs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Strangers {
    hour: i64,
    all: u32,
    by_prefix: BTreeMap<String, u32>,
}

impl Record for Strangers {
    fn key(&self) -> Key {
        Key::new("count", "strangers")
    }
    fn sealed_for(&self) -> Option<ContactId> {
        None
    }
}

fn within_caps(scene: &mut Scene, from: &ClientKeys) -> bool {
    let hour = scene.now.0 / Span::hours(1).0;
    let counted: Option<Strangers> = scene.case.get(&Key::new("count", "strangers"));
    let mut strangers = counted.filter(|s| s.hour == hour).unwrap_or(Strangers { hour, ..Strangers::default() });
    let prefix: String = from.phone.as_ref().map_or("", |phone| phone.digits()).chars().take(7).collect();
    let of_prefix = strangers.by_prefix.entry(prefix).or_default();
    if strangers.all >= scene.policy.onboarding_per_hour || *of_prefix >= scene.policy.onboarding_per_prefix {
        return false;
    }
    *of_prefix += 1;
    strangers.all += 1;
    scene.put(&strangers);
    true
}

fn new_contact(scene: &mut Scene, keys: &ClientKeys, said: &ClientMessage, at: Timestamp) -> Contact {
    let contact = Contact {
        id: scene.new_contact_id(),
        phone: None,
        phone_raw: None,
        email: None,
        email_raw: None,
        wa_id: None,
        user_id: None,
        first: String::new(),
        last: String::new(),
        company: String::new(),
        profile_name: keys.profile_name.clone(),
        language: DEFAULT_LANGUAGE.to_owned(),
        created_at: scene.now,
        created_by: CLIENT.to_owned(),
        requestor: None,
        channels: BTreeMap::new(),
        listed_by: BTreeSet::new(),
        rooms: Vec::new(),
        blocked: None,
        recent: Default::default(),
    };
    scene.put(&contact);
    let detail = json!({ "from": keys, "line": said.line, "how": "wrote first" });
    scene.note(Entry::new("contact.created", CLIENT).about(&contact.id).told_at(at).detail(detail));
    contact
}

/// What every message of a client does: it completes his keys, opens the window, ends the silence, makes him reachable.
pub(super) fn note_arrival(scene: &mut Scene, mut contact: Contact, said: &ClientMessage, at: Timestamp) -> Contact {
    learn_keys(scene, &mut contact, &said.from);
    let is_message = !matches!(said.content, Content::Sign { .. });
    let on = contact.on_mut(said.channel);
    on.line = Some(said.line.clone());
    if is_message {
        on.ever_reached = true;
        on.notice_sent = false;
        on.windows.entry(said.line.clone()).or_default().opened(at);
    }
    scene.put(&contact);
    let detail = json!({
        "line": said.line, "id": said.id, "content": said.content, "quoted": said.quoted,
        "cut_to_now": (scene.event.at > scene.now).then_some(scene.event.at),
    });
    scene.note(Entry::new("client.wrote", CLIENT).about(&contact.id).told_at(scene.event.at).detail(detail));
    if is_message {
        let evidence = json!({ "message": said.id });
        scene.turn_consent(&mut contact, said.channel, Turn::Inbound, at, evidence);
    }
    contact
}

/// Every way to find this client again; a key that belongs to somebody else is left where it is.
pub(super) fn learn_keys(scene: &mut Scene, contact: &mut Contact, keys: &ClientKeys) {
    let claim = |scene: &mut Scene, key: Key| {
        let free = scene.pointer(key.clone()).is_none_or(|id| id == contact.id.0);
        if free {
            scene.point(key, &contact.id);
        }
        free
    };
    if let Some(phone) = keys.phone.as_ref().filter(|_| contact.phone.is_none())
        && claim(scene, Key::new("phone", phone.e164()))
    {
        contact.phone = Some(phone.clone());
        contact.phone_raw.get_or_insert_with(|| phone.e164().to_owned());
    }
    if let Some(wa_id) = keys.wa_id.as_ref().filter(|id| contact.wa_id.as_ref() != Some(id))
        && claim(scene, Key::new("wa", wa_id))
    {
        contact.wa_id = Some(wa_id.clone());
    }
    if let Some(user_id) = keys.user_id.as_ref().filter(|id| contact.user_id.as_ref() != Some(id))
        && claim(scene, Key::new("bsuid", user_id))
    {
        contact.user_id = Some(user_id.clone());
    }
    if keys.profile_name.is_some() {
        contact.profile_name = keys.profile_name.clone();
    }
}

/// How WhatsApp names the sign of a changed number; its detail is the new one.
pub(super) const NUMBER_CHANGED: &str = "user_changed_number";

/// The client has a new number: his keys move with him and his room stays, but consent never moves by itself, so he is asked
/// once more. Who opted out stays so. A number that is somebody else's already is left where it is.
pub(super) fn number_changed(scene: &mut Scene, id: &ContactId, said: &ClientMessage, new_number: &str) {
    let (Some(mut contact), Some(phone)) = (scene.contact(id), Phone::from_e164(new_number)) else { return };
    let (by_phone, by_wa_id) = (Key::new("phone", phone.e164()), Key::new("wa", phone.digits()));
    let taken = [&by_phone, &by_wa_id].into_iter().any(|key| scene.pointer(key.clone()).is_some_and(|owner| owner != id.0));
    let detail = json!({ "from": contact.phone, "to": phone, "taken": taken });
    scene.note(Entry::new("contact.number_changed", CLIENT).about(id).told_at(scene.event.at).detail(detail));
    if taken {
        return;
    }
    let old = contact.phone.iter().map(|old| Key::new("phone", old.e164()));
    let old: Vec<Key> = old.chain(contact.wa_id.iter().map(|old| Key::new("wa", old))).collect();
    old.iter().for_each(|key| scene.case.remove::<Pointer>(key));
    scene.point(by_phone, id);
    scene.point(by_wa_id, id);
    contact.wa_id = Some(phone.digits().to_owned());
    contact.phone_raw = Some(phone.e164().to_owned());
    contact.phone = Some(phone);
    let on = contact.on_mut(said.channel);
    // What was exchanged with the old number opens nothing for the new one.
    on.windows.clear();
    let asks = matches!(on.consent, Consent::OptedIn { .. } | Consent::Pending { .. });
    if asks {
        on.consent = Consent::None;
    }
    scene.put(&contact);
    if asks {
        ask_once_more(scene, &contact, said);
    }
}

fn ask_once_more(scene: &mut Scene, contact: &Contact, said: &ClientMessage) {
    let mut rooms = contact.rooms.iter().filter_map(|key| scene.room(key));
    let room = rooms.find(|room| room.is_live() && room.channel == said.channel && room.line == said.line);
    let owner = room.as_ref().and_then(|room| room.owner());
    let Some(by) = owner.or(contact.on(said.channel).asked_by).or(contact.listed_by.iter().next().copied()) else { return };
    let asking = Asking {
        contact: &contact.id,
        channel: said.channel,
        line: &said.line,
        room: room.map(|room| room.key),
        by,
        actor: by,
        attested: "the client took a new number; he had been asked at the old one",
    };
    ask_client(scene, asking);
}
