//! Who wrote: a client found by any of the keys of his identity, or a stranger and what the firm does with strangers.
use super::{place_name, places_of, shown};
use crate::domain::case::Record;
use crate::domain::commit::{Entry, Key};
use crate::domain::consent::{Consent, Turn};
use crate::domain::contact::{Contact, Pointer};
use crate::domain::effect::{Address, Code, Reply};
use crate::domain::event::{ClientKeys, ClientMessage, Content, DeliveryReported};
use crate::domain::ids::*;
use crate::domain::message::Message;
use crate::domain::phone;
use crate::domain::policy::{DEFAULT_LANGUAGE, UnknownSender};
use crate::domain::saying::{Asking, ask_client};
use crate::domain::scene::{CLIENT, PROGRAM, Scene};
use crate::domain::sending::{self};
use crate::domain::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// The client who wrote, known or not; `None` where the firm does not take him in, or nobody has said anything.
pub(super) fn who_wrote(scene: &mut Scene, said: &ClientMessage, at: Timestamp) -> Option<Contact> {
    if !is_sign_of_a_move(&said.content) {
        close_who_lost_his_number(scene, said);
    }
    let known = find_contact(scene, &said.from);
    if known.is_none() && matches!(said.content, Content::Sign { .. }) {
        let detail = json!({ "line": said.line, "from": said.from, "content": said.content });
        scene.note(Entry::new("client.sign_of_unknown", CLIENT).told_at(at).detail(detail));
        return None;
    }
    known.or_else(|| meet_stranger(scene, said, at))
}

/// The same for a call, which is a first contact like any message (S2-18); a stranger's counts once for all of its events.
pub(super) fn who_called(scene: &mut Scene, said: &ClientMessage, at: Timestamp, first: bool) -> Option<Contact> {
    close_who_lost_his_number(scene, said);
    let known = find_contact(scene, &said.from);
    if known.is_some() || !first {
        return known;
    }
    meet_stranger(scene, said, at)
}

/// By any of the keys of the identity that were his when this was said.
pub fn find_contact(scene: &Scene, keys: &ClientKeys) -> Option<Contact> {
    let at = scene.event.at.min(scene.now);
    let owner = |key: Key| scene.pointer(key).and_then(|id| scene.contact(&ContactId(id)));
    let by_user_id = keys.user_id.as_ref().and_then(|id| owner(Key::new("bsuid", id)));
    // One that he has no more tells of him only what he said while he had it; whoever has it now is somebody else.
    let by_user_id = by_user_id.filter(|contact| contact.user_id == keys.user_id || contact.was_another(at));
    let number = ClientKeys { user_id: None, ..keys.clone() };
    by_user_id.or_else(|| keys_by_which_he_is_known(&number).into_iter().find_map(owner))
}

/// The provider's id of a message that was sent. Below it may stand an id of its own for whom we write to at this number: by that
/// he is found when he answers, unless he has moved from that number since.
pub fn learn_from_answer(scene: &mut Scene, id: &ContactId, to: &Address, answer: &str) -> Wamid {
    let Some((wamid, wa_id)) = answer.split_once('\n') else { return Wamid::new(answer) };
    let stays = |contact: &Contact| match &to.phone {
        Some(_) => contact.phone == to.phone,
        None => contact.user_id == to.user_id,
    };
    if let Some(mut contact) = scene.contact(id).filter(stays) {
        let keys = ClientKeys { wa_id: Some(wa_id.to_owned()), ..ClientKeys::default() };
        learn_keys(scene, &mut contact, &keys);
        scene.put(&contact);
    }
    Wamid::new(wamid)
}

/// A status tells to whom a message of ours came, by WhatsApp's own ids. One that is not yet known is learnt, so that the client
/// is found when he writes without a number; another than the known one says that the number has a new owner.
pub fn learn_from_status(scene: &mut Scene, message: &Message, told: &DeliveryReported, told_at: Timestamp) {
    let (keys, Some(mut contact)) = (&told.recipient, scene.contact(&message.contact)) else { return };
    let Some(user_id) = &keys.user_id else { return };
    let sent_at = message.sent_at.unwrap_or(message.accepted_at);
    // It went to whom he was before, and tells of whoever has that number now.
    if contact.was_another(told_at) || contact.was_another(sent_at) || !is_his_number(scene, &contact, keys) {
        return;
    }
    let said = as_said(told);
    if contact.user_id.as_ref().is_some_and(|known| known != user_id) {
        let heard = contact.on(told.channel).windows.values().filter_map(|window| window.last_message).max();
        if contact.phone.is_some() && heard.is_none_or(|heard| heard < told_at) {
            close(scene, contact, &said, false);
        }
        return;
    }
    let before = contact.clone();
    learn_keys(scene, &mut contact, keys);
    if contact != before {
        let detail = json!({ "keys": keys, "status_of": message.id });
        scene.note(Entry::new("contact.keys_learnt", PROGRAM).about(&contact.id).told_at(told_at).detail(detail));
        scene.put(&contact);
    }
}

/// WhatsApp may hide the number; one that it tells must be the one by which he is known.
fn is_his_number(scene: &Scene, contact: &Contact, keys: &ClientKeys) -> bool {
    let number = ClientKeys { user_id: None, ..keys.clone() };
    let known = keys_by_which_he_is_known(&number);
    known.is_empty() || known.into_iter().any(|key| scene.pointer(key).is_some_and(|owner| owner == contact.id.0))
}

/// A status as a sign of the person to whom it went.
fn as_said(told: &DeliveryReported) -> ClientMessage {
    let content = Content::Sign { kind: "status".to_owned(), detail: String::new() };
    let (line, id, from) = (told.line.clone(), told.id.clone(), told.recipient.clone());
    ClientMessage { channel: told.channel, line, id, from, content, quoted: None, group: None }
}

/// A sender nobody knows: onboarded, kept for an admin, or only recorded, as the firm chose (S2-10, S2-11).
fn meet_stranger(scene: &mut Scene, said: &ClientMessage, at: Timestamp) -> Option<Contact> {
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

pub fn park(scene: &mut Scene, said: &ClientMessage, why: &str) {
    let detail = json!({ "line": said.line, "from": said.from, "content": said.content, "why": why });
    scene.note(Entry::new("client.parked", CLIENT).detail(detail));
    let told = told_this_hour(scene);
    if told > PARKED_TOLD {
        return;
    }
    if told == PARKED_TOLD {
        let reply = Reply::new(Code::Info, "parked-more").with("told", PARKED_TOLD);
        return scene.admins().into_iter().for_each(|admin| scene.post(admin, reply.clone()));
    }
    let number = said.from.phone.as_ref().map(|phone| phone.e164().to_owned()).or(said.from.profile_name.clone());
    let reply = Reply::new(Code::Info, "parked").with("number", number.unwrap_or_default()).with("why", why);
    let reply = reply.with("text", shown(&said.content));
    for admin in scene.admins() {
        scene.post(admin, reply.clone());
    }
}

/// Of so many parked messages an hour the admins read one by one; more would bury what else they have to read.
const PARKED_TOLD: u32 = 5;

/// How many parked messages the admins have read of in the hour that runs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Parked {
    hour: i64,
    told: u32,
}

impl Record for Parked {
    fn key(&self) -> Key {
        Key::new("count", "parked")
    }
    fn sealed_for(&self) -> Option<ContactId> {
        None
    }
}

/// How many before this one; beyond the last that is told nothing is written, so that a flood changes no record.
fn told_this_hour(scene: &mut Scene) -> u32 {
    let hour = scene.now.0 / Span::hours(1).0;
    let counted: Option<Parked> = scene.case.get(&Key::new("count", "parked"));
    let mut parked = counted.filter(|parked| parked.hour == hour).unwrap_or(Parked { hour, told: 0 });
    let before = parked.told;
    if before <= PARKED_TOLD {
        parked.told += 1;
        scene.put(&parked);
    }
    before
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
        keys_since: None,
        time_zone: None,
    };
    scene.put(&contact);
    let how = if matches!(said.content, Content::Sign { .. }) { "called first" } else { "wrote first" };
    let detail = json!({ "from": keys, "line": said.line, "how": how });
    scene.note(Entry::new("contact.created", CLIENT).about(&contact.id).told_at(at).detail(detail));
    contact
}

/// What every message of a client does: it completes his keys, opens the window, ends the silence, makes him reachable.
/// One that comes late from an earlier number or person does nothing of that.
pub(super) fn note_arrival(scene: &mut Scene, mut contact: Contact, said: &ClientMessage, at: Timestamp) -> Contact {
    let late = contact.was_another(at);
    if !late {
        learn_keys(scene, &mut contact, &said.from);
    }
    let is_message = !late && !matches!(said.content, Content::Sign { .. });
    let on = contact.on_mut(said.channel);
    on.line = Some(said.line.clone());
    if is_message {
        on.ever_reached = true;
        on.notice_sent = false;
        if said.channel == Channel::WhatsApp {
            on.windows.entry(said.line.clone()).or_default().opened(at);
        }
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

/// The keys that he is named by here are his as well, unless this comes late from before he had others.
pub fn learn_of(scene: &mut Scene, contact: &Contact, keys: &ClientKeys) {
    let mut contact = contact.clone();
    if !contact.was_another(scene.event.at.min(scene.now)) {
        learn_keys(scene, &mut contact, keys);
        scene.put(&contact);
    }
}

/// A message in a native group tells who he is and that he can be reached; it opens no window of his own.
pub fn note_group_message(scene: &mut Scene, contact: &Contact, said: &ClientMessage, room: &RoomKey) {
    let at = scene.event.at.min(scene.now);
    let detail = json!({ "line": said.line, "id": said.id, "content": said.content, "quoted": said.quoted, "group": said.group });
    scene.note(Entry::new("client.wrote", CLIENT).about(&contact.id).room(room).told_at(scene.event.at).detail(detail));
    if contact.was_another(at) {
        return;
    }
    let mut contact = contact.clone();
    learn_keys(scene, &mut contact, &said.from);
    contact.on_mut(said.channel).ever_reached = true;
    scene.put(&contact);
    scene.turn_consent(&mut contact, said.channel, Turn::Inbound, at, json!({ "message": said.id }));
}

/// A call tells who he is and that he can be reached here. It ends no silence and opens nothing.
pub(super) fn note_call(scene: &mut Scene, mut contact: Contact, said: &ClientMessage, at: Timestamp) -> Contact {
    if contact.was_another(at) {
        return contact;
    }
    learn_keys(scene, &mut contact, &said.from);
    let on = contact.on_mut(said.channel);
    on.line = Some(said.line.clone());
    on.ever_reached = true;
    scene.put(&contact);
    scene.turn_consent(&mut contact, said.channel, Turn::Inbound, at, json!({ "message": said.id }));
    contact
}

/// Every way to find this client again; a key that belongs to somebody else is left where it is.
fn learn_keys(scene: &mut Scene, contact: &mut Contact, keys: &ClientKeys) {
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
    // One that leads here and is not his any more is of an earlier number: he does not go back to it.
    if let Some(user_id) = keys.user_id.as_ref().filter(|id| contact.user_id.as_ref() != Some(id))
        && scene.pointer(Key::new("bsuid", user_id)).is_none()
    {
        scene.point(Key::new("bsuid", user_id), &contact.id);
        contact.user_id = Some(user_id.clone());
    }
    if keys.profile_name.is_some() {
        contact.profile_name = keys.profile_name.clone();
    }
}

// ---- signs that tell of the person

/// How WhatsApp names these signs. The detail of the first two is the new number and the new business-scoped id.
const NUMBER_CHANGED: &str = "user_changed_number";
const USER_ID_CHANGED: &str = "user_changed_user_id";
const IDENTITY_CHANGED: &str = "customer_identity_changed";

/// What WhatsApp tells of a client's number or of the person behind it. True where the advisors have read of it.
pub(super) fn heed_sign(scene: &mut Scene, id: &ContactId, said: &ClientMessage) -> bool {
    let Content::Sign { kind, detail } = &said.content else { return false };
    match (kind.as_str(), moved_to(kind, detail)) {
        (_, Some(keys)) => moved(scene, id, said, keys),
        // He has moved, and nobody says where to; or he may be somebody else.
        (NUMBER_CHANGED | USER_ID_CHANGED | IDENTITY_CHANGED, None) => {
            may_be_another(scene, id, said);
            return true;
        }
        (_, None) => {}
    }
    false
}

/// The keys that he has now, if this is a sign of new ones.
fn moved_to(kind: &str, detail: &str) -> Option<ClientKeys> {
    match kind {
        NUMBER_CHANGED => {
            let phone = Phone::from_e164(detail)?;
            Some(ClientKeys { wa_id: Some(phone.digits().to_owned()), phone: Some(phone), ..ClientKeys::default() })
        }
        // Where the platform gives no id its words stand here.
        USER_ID_CHANGED if detail.contains('.') && !detail.contains(char::is_whitespace) => {
            Some(ClientKeys { user_id: Some(detail.to_owned()), ..ClientKeys::default() })
        }
        _ => None,
    }
}

fn is_sign_of_a_move(content: &Content) -> bool {
    matches!(content, Content::Sign { kind, .. } if kind == NUMBER_CHANGED || kind == USER_ID_CHANGED)
}

/// The client has a new number: his keys move with him and his room stays, but consent never moves by itself, so he is asked
/// once more. Who opted out stays so. A business-scoped id changes with the number, so none of the old keys is his any more.
fn moved(scene: &mut Scene, id: &ContactId, said: &ClientMessage, to: ClientKeys) {
    let Some(mut contact) = scene.contact(id) else { return };
    let taken = keys_by_which_he_is_known(&to).into_iter().any(|key| scene.pointer(key).is_some_and(|owner| owner != id.0));
    let detail = json!({ "from": keys_of(&contact), "to": to, "taken": taken });
    scene.note(Entry::new("contact.number_changed", CLIENT).about(id).told_at(scene.event.at).detail(detail));
    if taken {
        return close(scene, contact, said, true);
    }
    free_number(scene, &contact);
    keys_in_store(&to).into_iter().for_each(|key| scene.point(key, id));
    contact.phone_raw = to.phone.as_ref().map(|phone| phone.e164().to_owned());
    (contact.phone, contact.wa_id, contact.user_id) = (to.phone, to.wa_id, to.user_id);
    let asks = matches!(contact.consent(said.channel), Consent::OptedIn { .. } | Consent::Pending { .. });
    suspend(scene, &mut contact, said.channel, said);
    if asks && contact.blocked.is_none() {
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

/// The same number, and perhaps another person behind it: what was agreed counts no more, what waits goes on waiting, and an
/// advisor, who can find out, decides whether he may be asked (S3-6).
fn may_be_another(scene: &mut Scene, id: &ContactId, said: &ClientMessage) {
    let Some(mut contact) = scene.contact(id) else { return };
    suspend(scene, &mut contact, said.channel, said);
    contact.on_mut(said.channel).ever_agreed = false;
    scene.put(&contact);
    if contact.blocked.is_some() {
        return;
    }
    let consent = contact.consent(said.channel).name();
    tell_of_person(scene, &contact, said, |reply| reply.with("consent", consent), "identity-changed");
    // Whatever waits is told apart by the gate that it waits for now.
    sending::release_all(scene, id, said.channel);
    if let Some(first) = sending::held_messages(scene, &contact, said.channel).first() {
        sending::ask_for_invitation(scene, first);
    }
}

fn suspend(scene: &mut Scene, contact: &mut Contact, channel: Channel, said: &ClientMessage) {
    let at = scene.event.at.min(scene.now);
    let evidence = json!({ "actor": PROGRAM, "message": said.id, "content": said.content, "from": said.from });
    scene.turn_consent(contact, channel, Turn::AnotherPerson, at, evidence);
    // What was exchanged with somebody else, or at another number, opens nothing.
    contact.on_mut(channel).windows.clear();
    contact.keys_since = contact.keys_since.max(Some(at));
    scene.put(contact);
}

// ---- a number handed to a stranger

/// Who holds this number here under another business-scoped id has it no more: within one business account a person has one
/// such id for as long as he has his number. What is older than his own latest message
/// proves nothing: webhooks may come days late.
fn close_who_lost_his_number(scene: &mut Scene, said: &ClientMessage) {
    let Some(user_id) = &said.from.user_id else { return };
    let number = ClientKeys { user_id: None, ..said.from.clone() };
    for key in keys_by_which_he_is_known(&number) {
        let Some(holder) = scene.pointer(key).and_then(|id| scene.contact(&ContactId(id))) else { continue };
        let another = holder.user_id.as_ref().is_some_and(|known| known != user_id);
        let heard = holder.on(said.channel).windows.values().filter_map(|window| window.last_message).max();
        if another && heard.is_none_or(|heard| heard < scene.event.at) {
            close(scene, holder, said, false);
        }
    }
}

/// The old identity is closed: no number leads to it and nothing to its number, on any channel. Consent, e-mail address and
/// evidence stay with the person; whoever has the number now is a stranger.
fn close(scene: &mut Scene, mut contact: Contact, said: &ClientMessage, taken: bool) {
    let number = contact.number();
    let detail = json!({ "from": keys_of(&contact), "seen": said.from, "taken": taken });
    scene.note(Entry::new("contact.closed", PROGRAM).about(&contact.id).told_at(scene.event.at).detail(detail));
    free_number(scene, &contact);
    (contact.phone, contact.phone_raw, contact.wa_id, contact.user_id) = (None, None, None, None);
    scene.put(&contact);
    tell_of_person(scene, &contact, said, |reply| reply.with("number", number).with("taken", taken), "number-handed-on");
    for channel in Channel::ALL {
        if !contact.channels.contains_key(&channel) {
            continue;
        }
        suspend(scene, &mut contact, channel, said);
        contact.on_mut(channel).ever_agreed = false;
        scene.put(&contact);
        sending::withdraw_everything(scene, &contact, channel, "address");
    }
}

fn tell_of_person(scene: &mut Scene, contact: &Contact, said: &ClientMessage, more: impl FnOnce(Reply) -> Reply, template: &str) {
    let reply = more(Reply::new(Code::Notice, template).about(&contact.id).with("channel", said.channel.name()));
    for place in places_of(scene, contact, said) {
        let name = place_name(scene, &place, &contact.id);
        scene.post(place, reply.clone().with("name", name).with("id", contact.id.to_string()));
    }
}

fn keys_of(contact: &Contact) -> ClientKeys {
    let (phone, wa_id, user_id) = (contact.phone.clone(), contact.wa_id.clone(), contact.user_id.clone());
    ClientKeys { phone, wa_id, user_id, profile_name: None }
}

/// Where the store points from each of these keys, the most stable first.
fn keys_in_store(keys: &ClientKeys) -> Vec<Key> {
    let by_user_id = keys.user_id.as_ref().map(|id| Key::new("bsuid", id));
    let by_wa_id = keys.wa_id.as_ref().map(|id| Key::new("wa", id));
    let by_phone = keys.phone.as_ref().map(|phone| Key::new("phone", phone.e164()));
    [by_user_id, by_wa_id, by_phone].into_iter().flatten().collect()
}

/// The same, and after them the other writings of the number: in some countries WhatsApp does not write it as it is dialled.
fn keys_by_which_he_is_known(keys: &ClientKeys) -> Vec<Key> {
    let mut all = keys_in_store(keys);
    let by_wa_id = keys.wa_id.as_deref().and_then(|id| Phone::from_e164(&format!("+{id}")));
    let numbers = keys.phone.iter().chain(by_wa_id.iter());
    all.extend(numbers.flat_map(number_keys));
    all
}

/// The number in each way in which it may be known here, the given one first.
pub fn number_keys(number: &Phone) -> Vec<Key> {
    let written = [number.clone()].into_iter().chain(phone::other_writing(number));
    written.flat_map(|one| [Key::new("phone", one.e164()), Key::new("wa", one.digits())]).collect()
}

/// The number leads here no more. The business-scoped id goes on leading here, for what bears it and comes late was said by
/// this client; for what is said from now on it counts no more.
fn free_number(scene: &mut Scene, contact: &Contact) {
    let keys = ClientKeys { user_id: None, ..keys_of(contact) };
    for key in keys_by_which_he_is_known(&keys) {
        if scene.pointer(key.clone()).is_some_and(|owner| owner == contact.id.0) {
            scene.case.remove::<Pointer>(&key);
        }
    }
}
