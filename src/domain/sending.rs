//! From an advisor's words to an effect: accepted, held, released, withdrawn; and the few messages that the program itself may send.
use super::approval::{self, TEMPLATE};
use super::ask::{About, Ask, CONFIRMATION_LASTS};
use super::commit::{Entry, Key};
use super::consent::Consent;
use super::contact::Contact;
use super::effect::*;
use super::files;
use super::gates::{self, Subject, Verdict, quiet_hours};
use super::groups;
use super::ids::*;
use super::lane::{DueState, Lane, OutboxLane};
use super::message::{Author, Message, MessageState};
use super::native;
use super::outbox::order;
use super::policy::MESSAGE_WAITING;
use super::room::Room;
use super::saying::{say_to_client, template_body};
use super::scene::{CLIENT, PROGRAM, Scene};
use super::sms;
use super::time::Timestamp;
use super::wakes;
use crate::fault;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// An advisor's message before it has passed the gate.
pub struct Draft<'d> {
    pub room: &'d Room,
    pub contact: &'d ContactId,
    pub author: UserId,
    pub body: Body,
    pub chat_message: Option<ChatMessageId>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Accepted {
    Ready(MessageId),
    Held(MessageId, &'static str),
    Refused(&'static str),
    /// The lane holds as many as it may.
    Full(usize),
}

/// What the gate says of a message as things stand now.
pub fn objection(scene: &Scene, message: &Message) -> Option<(&'static str, Verdict)> {
    if message.passed_on_from().is_some() {
        return groups::objection(scene, message);
    }
    let author = message.advisor()?;
    let room = message.room.as_ref().and_then(|key| scene.room(key));
    if message.to_group {
        return native::objection(scene, room.as_ref(), author, message);
    }
    let Some(contact) = scene.contact(&message.contact) else { return Some(("address", Verdict::Refuse)) };
    let rights = scene.rights(author);
    let by_gates = gates::first_objection(&Subject {
        now: scene.now,
        policy: scene.policy,
        author,
        rights: &rights,
        contact: &contact,
        room: room.as_ref(),
        channel: message.channel,
        line: &message.line,
        free_text: message.is_free_text(),
    });
    by_gates.or_else(|| approval::objection(scene, &[contact], message))
}

/// Takes an advisor's message in: it goes, waits, or is refused. What the author reads about it is left to the caller, but
/// for the lines that a held message brings with it.
pub fn accept(scene: &mut Scene, draft: Draft) -> Accepted {
    let message = write_down(scene, &draft);
    take_in(scene, draft.room, message)
}

/// The same for words that have been written down already, an advisor's or those of another client.
pub fn take_in(scene: &mut Scene, room: &Room, mut message: Message) -> Accepted {
    let mut lane = scene.lane(&room.key, &message.contact);
    let verdict = objection(scene, &message);
    if let Some((gate, Verdict::Refuse)) = verdict {
        note_refused(scene, &message, gate);
        return Accepted::Refused(gate);
    }
    if message.is_free_text() && !lane.held.is_empty() && verdict.is_none() {
        release(scene, &room.key, &message.contact);
        lane = scene.lane(&room.key, &message.contact);
    }
    // Who waits longer goes first: behind a held message everything of the lane is held.
    let waits = message.is_free_text() && first_text(scene, &lane).is_some();
    let waiting = waiting_like(scene, &lane, &message);
    match verdict {
        None if !waits => {
            note_accepted(scene, &message);
            make_ready(scene, &mut message);
            Accepted::Ready(message.id)
        }
        _ if waiting >= scene.policy.held_max_of(&room.sub_org) => Accepted::Full(waiting),
        _ => {
            let gate = verdict.map_or_else(|| gate_of_head(scene, &lane), |(gate, _)| gate);
            note_accepted(scene, &message);
            hold(scene, &mut message, gate);
            Accepted::Held(message.id, gate)
        }
    }
}

/// How many wait of the kind of this one: what clients write to each other takes no advisor's place.
fn waiting_like(scene: &Scene, lane: &Lane, message: &Message) -> usize {
    let passed_on = message.passed_on_from().is_some();
    let like = |id: &&MessageId| scene.message(id).is_some_and(|other| other.passed_on_from().is_some() == passed_on);
    lane.held.iter().filter(like).count()
}

/// Of two messages of one moment the one that was heard later stands later, behind what is due and behind what is held.
fn next_in_order(scene: &Scene, draft: &Draft) -> (Timestamp, u32) {
    let name = match &draft.room.native {
        Some(_) => OutboxLane::to_group(&draft.room.key),
        None => OutboxLane::to_contact(draft.room.channel, draft.contact),
    };
    let due: Option<OutboxLane> = scene.case.get(&OutboxLane::key_of(&name));
    let order = (scene.now, due.map_or(0, |lane| lane.next as u32));
    let held = scene.lane(&draft.room.key, draft.contact).held;
    let last = held.last().and_then(|id| scene.message(id)).map(|last| last.order);
    last.map_or(order, |(at, nth)| order.max((at, nth + 1)))
}

/// Templates that wait beside the texts keep nobody waiting (RULES, Terms).
fn first_text(scene: &Scene, lane: &Lane) -> Option<Message> {
    lane.held.iter().filter_map(|id| scene.message(id)).find(Message::is_free_text)
}

/// What holds up the messages of this lane.
pub fn gate_of_head(scene: &Scene, lane: &Lane) -> &'static str {
    first_text(scene, lane).and_then(|head| objection(scene, &head)).map_or("window", |(gate, _)| gate)
}

pub fn write_down(scene: &mut Scene, draft: &Draft) -> Message {
    let order = next_in_order(scene, draft);
    Message {
        id: scene.new_message_id(),
        contact: draft.contact.clone(),
        room: Some(draft.room.key.clone()),
        channel: draft.room.channel,
        line: draft.room.line.clone(),
        author: Author::Advisor(draft.author),
        body: draft.body.clone(),
        to_group: draft.room.is_native(),
        recipients: BTreeMap::new(),
        chat_message: draft.chat_message.clone(),
        accepted_at: scene.now,
        order,
        state: MessageState::Ready,
        told: false,
        expires_at: None,
        expiry_warned: false,
        wamid: None,
        sent_at: None,
        refused_since: None,
        delivered_at: None,
        read_at: None,
        price_category: None,
        price_type: None,
    }
}

/// Whose words they are, as the journal names him.
pub fn actor_of(scene: &Scene, message: &Message) -> String {
    match &message.author {
        Author::Advisor(user) => scene.actor(*user),
        Author::Program(_) => PROGRAM.to_owned(),
        Author::Client(_) => CLIENT.to_owned(),
    }
}

fn note_refused(scene: &mut Scene, message: &Message, gate: &str) {
    let actor = actor_of(scene, message);
    let detail = json!({ "gate": gate, "body": message.body });
    scene.note(Entry {
        room: message.room.clone(),
        ..Entry::new("message.refused", actor).about(&message.contact).detail(detail)
    });
}

fn note_accepted(scene: &mut Scene, message: &Message) {
    let actor = actor_of(scene, message);
    let (from, chat) = (message.passed_on_from(), &message.chat_message);
    let detail = json!({ "channel": message.channel.key(), "body": message.body, "chat_message": chat, "passed_on_from": from });
    let entry = Entry::new("message.accepted", actor).about(&message.contact).message(&message.id).detail(detail);
    scene.note(Entry { room: message.room.clone(), ..entry });
}

/// The message may go: it becomes an effect in the contact's lane of the outbox.
pub fn make_ready(scene: &mut Scene, message: &mut Message) {
    let room = message.room.clone().filter(|_| message.to_group);
    let Some(to) = address(scene, &message.contact, room.as_ref()) else { return };
    // Whom a message to a group goes to is known when it is taken.
    remember(scene, &message.contact, &message.id);
    message.state = MessageState::Ready;
    message.expires_at = None;
    scene.put(message);
    if let Some(chat) = &message.chat_message {
        scene.point_from_chat(chat, &message.id);
    }
    files::upload_first(scene, message);
    scene.effect(Effect::Send(Send {
        room,
        message: message.id.clone(),
        contact: message.contact.clone(),
        channel: message.channel,
        line: message.line.clone(),
        to,
        body: message.body.clone(),
    }));
}

/// It stands among the messages to this contact from now on.
pub fn remember(scene: &mut Scene, contact: &ContactId, message: &MessageId) {
    if let Some(mut contact) = scene.contact(contact).filter(|contact| !contact.recent.contains(message)) {
        contact.remember(message);
        scene.put(&contact);
    }
}

/// Where it goes as things stand: to the contact, or to the native group of this room. `None` where neither is known.
pub fn address(scene: &Scene, contact: &ContactId, group_of: Option<&RoomKey>) -> Option<Address> {
    match group_of {
        Some(key) => {
            scene.room(key).map(|room| Address { group: room.native.and_then(|native| native.group), ..Address::default() })
        }
        None => scene.contact(contact).map(|contact| contact.address()),
    }
}

/// The message waits for what `gate` asks; author and, once per silence, client are told.
pub fn hold(scene: &mut Scene, message: &mut Message, gate: &'static str) {
    put_into_lane(scene, message, gate);
    tell_if_held(scene, message);
    if message.to_group {
        return; // Nobody is asked or told by himself of what waits for a group.
    }
    if gate == "consent" {
        match (message.channel, message.advisor()) {
            (Channel::Sms, Some(author)) => {
                sms::ask_by_text(scene, &message.contact, &message.line, message.room.clone(), author)
            }
            (Channel::WhatsApp | Channel::Sms, _) => ask_for_invitation(scene, message),
        }
    }
    // The client's answer would not let it go; after quiet hours he is told in the morning.
    if gate != TEMPLATE && gate != quiet_hours::GATE.id {
        tell_client_that_a_message_waits(scene, &message.contact, message.channel, &message.line);
    }
}

/// Into the lane behind those that wait there, and for what they wait.
pub fn wait_behind_the_head(scene: &mut Scene, message: &mut Message) {
    let Some(room) = message.room.clone() else { return };
    let gate = gate_of_head(scene, &scene.lane(&room, &message.contact));
    put_into_lane(scene, message, gate);
}

/// The line of a message that waits.
pub fn tell_if_held(scene: &mut Scene, message: &Message) {
    let MessageState::Held { gate } = &message.state else { return };
    // Of words that are passed on the room reads in one line for all whom they did not reach.
    if message.passed_on_from().is_none() {
        let reply = held_line(scene, message, gate);
        tell_room(scene, message, reply);
    }
}

/// Back into its lane at the place that it had.
pub fn put_into_lane(scene: &mut Scene, message: &mut Message, gate: &'static str) {
    let Some(room) = message.room.clone() else { return };
    message.state = MessageState::Held { gate: gate.to_owned() };
    message.expires_at.get_or_insert(message.accepted_at + scene.policy.held_expiry_of(&scene.sub_org_of(&room)));
    scene.put(message);
    if let Some(chat) = &message.chat_message {
        scene.point_from_chat(chat, &message.id);
    }
    let mut lane = scene.lane(&room, &message.contact);
    let place = lane.held.iter().position(|id| scene.message(id).is_some_and(|other| other.order > message.order));
    let place = if fault::planted("lane-order-lost") { Some(0) } else { place };
    lane.held.insert(place.unwrap_or(lane.held.len()), message.id.clone());
    scene.put(&lane);
    wakes::when_the_quiet_hours_end(scene, gate, &room, &message.contact);
    if gate == TEMPLATE {
        approval::await_approval(scene, message);
    }
    let detail = json!({ "gate": gate });
    scene.note(Entry::new("message.held", PROGRAM).about(&message.contact).room(&room).message(&message.id).detail(detail));
}

fn held_line(scene: &Scene, message: &Message, gate: &str) -> Reply {
    let room = message.room.as_ref().filter(|_| message.to_group).and_then(|key| scene.room(key));
    if let Some(room) = room {
        return native::held_line(scene, message, &room, gate);
    }
    let name = contact_name(scene, message.room.as_ref(), &message.contact);
    let consent = scene.contact(&message.contact).map(|c| c.consent(message.channel)).unwrap_or_default();
    let in_group = message.room.as_ref().and_then(|key| scene.room(key)).is_some_and(|room| room.is_group());
    Reply::new(Code::Held, "held")
        .about(&message.contact)
        .of(&message.id)
        .because(gate)
        .with("gate", gate)
        .with("name", name)
        .with("consent", consent.name())
        .with("channel", message.channel.name())
        .with("notice", client_is_told(scene, message))
        .with("group", in_group)
}

/// Into the room, or to the author alone where there is none.
pub fn tell_room(scene: &mut Scene, message: &Message, reply: Reply) {
    match (&message.room, message.advisor()) {
        (Some(room), _) => scene.post(Place::Room(room.clone()), reply),
        (None, Some(author)) => scene.post(Place::Direct(author), reply),
        (None, None) => {
            let asked_by = scene.contact(&message.contact).and_then(|contact| contact.on(message.channel).asked_by);
            if let Some(user) = asked_by {
                scene.post(Place::Direct(user), reply);
            }
        }
    }
}

/// The name under which the room's owner keeps the contact, the number where there is none (INTERFACES §5).
pub fn contact_name(scene: &Scene, room: Option<&RoomKey>, contact: &ContactId) -> String {
    let owner = room.and_then(|key| scene.room(key)).and_then(|room| room.owner());
    name_for(scene, owner, contact)
}

/// The name under which this advisor keeps the contact, a native group's own; a colleague's name for him is never shown (S2-17).
pub fn name_for(scene: &Scene, user: Option<UserId>, contact: &ContactId) -> String {
    if let Some(room) = contact.group().and_then(|key| scene.room(&key)) {
        return room.name;
    }
    let listed = user.and_then(|user| scene.listing(user, contact)).map(|listing| listing.name());
    listed
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| scene.contact(contact).map(|contact| contact.number()).unwrap_or_else(|| contact.to_string()))
}

/// S3-6: nothing goes out before the advisor has confirmed that the client agreed to be contacted. One question at a time.
pub fn ask_for_invitation(scene: &mut Scene, message: &Message) {
    let Some(contact) = scene.contact(&message.contact) else { return };
    let (Consent::None, Some(author)) = (contact.consent(message.channel), message.advisor()) else { return };
    let open_key = Key::new("inviteask", format_args!("{}/{}", contact.id, message.channel.key()));
    let open = scene.pointer(open_key.clone()).and_then(|id| scene.ask(&AskId(id)));
    if open.is_some_and(|ask| ask.answered.is_none() && ask.expires_at.is_none_or(|end| scene.now < end)) {
        return;
    }
    let place = message.room.clone().map_or(Place::Direct(author), Place::Room);
    let about = About::Invitation { contact: contact.id.clone(), channel: message.channel, room: message.room.clone() };
    let ask = confirmation(scene, author, &place, about, Some(&contact.id));
    scene.point(open_key, &ask.id);
    let name = contact_name(scene, message.room.as_ref(), &contact.id);
    let reply = Reply::new(Code::Confirm, "confirm-invitation").about(&contact.id).asking(&ask.id).with("name", name);
    scene.post(place, reply.with("channel", message.channel.name()));
}

/// A question to this person, open for ten minutes.
pub fn confirmation(scene: &mut Scene, asked: UserId, place: &Place, about: About, contact: Option<&ContactId>) -> Ask {
    let mut ask = scene.new_ask(Some(asked), place, about, contact);
    ask.expires_at = Some(scene.now + CONFIRMATION_LASTS);
    scene.put(&ask);
    ask
}

/// Whether the firm lets clients know of what waits in this message's room. By SMS nobody is: what waits there waits for the
/// answer to a question that he has got.
fn client_is_told(scene: &Scene, message: &Message) -> bool {
    let sub_org = message.room.as_ref().map(|room| scene.sub_org_of(room)).unwrap_or_default();
    message.channel == Channel::WhatsApp && scene.policy.waiting_notice_of(&sub_org)
}

/// S0-24, S0-27, C6: one notice per silence, and never again for messages that were told once.
pub fn tell_client_that_a_message_waits(scene: &mut Scene, contact: &ContactId, channel: Channel, line: &LineId) {
    let Some(mut contact) = scene.contact(contact) else { return };
    let on = contact.on(channel);
    let may_be_told = matches!(on.consent, Consent::Pending { .. } | Consent::OptedIn { .. });
    let silent = channel == Channel::WhatsApp && !on.window(line).is_open(scene.now);
    let every_time = fault::planted("notice-every-time");
    if !may_be_told || !silent || (on.notice_sent && !every_time) {
        return;
    }
    let mut waiting = held_messages(scene, &contact, channel);
    waiting.retain(|message| client_is_told(scene, message));
    if waiting.iter().all(|message| message.told && !every_time) {
        return;
    }
    contact.on_mut(channel).notice_sent = true;
    scene.put(&contact);
    let (room, writer) = who_has_a_message(scene, &waiting);
    for mut message in waiting {
        message.told = true;
        scene.put(&message);
    }
    let writer = BTreeMap::from([("advisor.name".to_owned(), writer)]);
    let template = template_body(scene, &contact, room.as_ref(), None, MESSAGE_WAITING, writer);
    say_to_client(scene, &contact.id, channel, line, room, MESSAGE_WAITING, template);
}

/// The notice says that somebody has a message for the client: the first of those who wrote what he was not told of yet. Where
/// that are other clients' words alone no advisor has written anything, and the firm is it who passes them on.
fn who_has_a_message(scene: &Scene, waiting: &[Message]) -> (Option<RoomKey>, String) {
    let untold = || waiting.iter().filter(|message| !message.told);
    let written = untold().find_map(|message| Some((message, message.advisor()?)));
    let message = written.map(|(message, _)| message).or_else(|| untold().next()).or(waiting.first());
    let writer = written.map_or_else(|| scene.policy.firm.clone(), |(_, user)| scene.user_name(user));
    (message.and_then(|message| message.room.clone()), writer)
}

/// All messages that wait for this contact on this channel, room by room.
pub fn held_messages(scene: &Scene, contact: &Contact, channel: Channel) -> Vec<Message> {
    let own = |key: &&RoomKey| scene.room(key).is_some_and(|room| room.channel == channel && !room.is_native());
    let rooms = contact.rooms.iter().filter(own);
    let ids: Vec<MessageId> = rooms.flat_map(|key| scene.lane(key, &contact.id).held).collect();
    ids.iter().filter_map(|id| scene.message(id)).collect()
}

/// Lets the head of the lane go, and the next, as long as the gate says yes; and the templates that wait beside it.
/// Returns how many.
pub fn release(scene: &mut Scene, room: &RoomKey, contact: &ContactId) -> usize {
    let mut lane = scene.lane(room, contact);
    let (mut gone, mut withdrawn, mut kept) = (Vec::new(), Vec::new(), Vec::new());
    let mut text_waits = false;
    let held: Vec<Message> = lane.held.drain(..).filter_map(|id| scene.message(&id)).collect();
    for mut message in held {
        match objection(scene, &message) {
            // Texts go in their order; templates wait for nobody (RULES, Terms).
            None if text_waits && message.is_free_text() => kept.push(message.id),
            None => gone.push(message),
            Some((gate, Verdict::Refuse)) => {
                message.state = MessageState::Withdrawn { reason: gate.to_owned() };
                scene.put(&message);
                withdrawn.push((message, gate));
            }
            Some((gate, Verdict::Hold | Verdict::Pass)) => {
                text_waits |= message.is_free_text();
                wakes::when_the_quiet_hours_end(scene, gate, room, contact);
                if !matches!(&message.state, MessageState::Held { gate: known } if known == gate) {
                    message.state = MessageState::Held { gate: gate.to_owned() };
                    scene.put(&message);
                    if gate == TEMPLATE {
                        approval::await_approval(scene, &message);
                    }
                }
                kept.push(message.id);
            }
        }
    }
    lane.held = kept;
    if gone.is_empty() && withdrawn.is_empty() {
        return 0;
    }
    scene.put(&lane);
    let reason = withdrawn.first().map(|(_, gate)| *gate);
    tell_withdrawn(scene, withdrawn.into_iter().map(|(message, _)| message).collect(), reason.unwrap_or_default());
    tell_released(scene, room, contact, &gone);
    let count = gone.len();
    if let Some(first) = gone.iter().filter(|message| message.is_free_text()).min_by_key(|message| message.order) {
        gone.extend(order::texts_taken_back_behind(scene, &lane, &first.clone()));
        gone.sort_by_key(|message| message.order);
    }
    for message in &mut gone {
        make_ready(scene, message);
    }
    count
}

fn tell_released(scene: &mut Scene, room: &RoomKey, contact: &ContactId, gone: &[Message]) {
    let Some(first) = gone.first() else { return };
    let name = contact_name(scene, Some(room), contact);
    let reply = Reply::new(Code::Released, "released").about(contact).of(&first.id);
    let reply = reply.with("count", gone.len()).with("name", name).with("to_group", contact.group().is_some());
    scene.post(Place::Room(room.clone()), reply);
    for message in gone {
        scene.note(Entry::new("message.released", PROGRAM).about(contact).room(room).message(&message.id));
    }
}

/// Releases whatever may go now to this contact, in all his rooms on the channel.
pub fn release_all(scene: &mut Scene, contact: &ContactId, channel: Channel) -> usize {
    // Who may be written to now reads first who else is in his groups.
    groups::bring_in_everywhere(scene, contact, channel);
    let Some(contact) = scene.contact(contact) else { return 0 };
    let rooms: Vec<Room> =
        contact.rooms.iter().filter_map(|key| scene.room(key)).filter(|room| room.channel == channel).collect();
    rooms.iter().map(|room| release(scene, &room.key, &room.lane_of(&contact.id))).sum()
}

/// The author reads of each message that it will not go, and can send it again once the client agrees anew.
pub fn tell_withdrawn(scene: &mut Scene, messages: Vec<Message>, reason: &str) {
    for message in messages {
        let entry = Entry::new("message.withdrawn", PROGRAM).about(&message.contact).message(&message.id);
        scene.note(Entry { room: message.room.clone(), ..entry.detail(json!({ "reason": reason })) });
        let Some(author) = message.advisor() else { continue };
        let message = told_where_he_reads(scene, message, author);
        let place = message.room.clone().map_or(Place::Direct(author), Place::Room);
        let ask = scene.new_ask(None, &place, About::SendAgain { message: message.id.clone() }, Some(&message.contact));
        scene.put(&ask);
        let name = match &message.room {
            Some(room) => contact_name(scene, Some(room), &message.contact),
            None => name_for(scene, Some(author), &message.contact),
        };
        let reply = Reply::new(Code::Withdrawn, "withdrawn").about(&message.contact).of(&message.id).because(reason);
        let reply = reply.asking(&ask.id).with("name", name).with("gate", reason).with("text", gist(&message.body));
        tell_room(scene, &message, reply);
    }
}

/// Who is not in the room (any more) reads it in his own chat.
fn told_where_he_reads(scene: &Scene, message: Message, author: UserId) -> Message {
    let room = message.room.as_ref().and_then(|key| scene.room(key)).filter(|room| room.members.contains_key(&author));
    Message { room: room.map(|room| room.key), ..message }
}

/// On a stop: everything held or due for that contact on that channel will not go (RULES, Consent). Returns which of
/// the advisors' messages that were.
pub fn withdraw_everything(scene: &mut Scene, contact: &Contact, channel: Channel, reason: &str) -> Vec<MessageId> {
    let mut withdrawn = held_messages(scene, contact, channel);
    for message in &withdrawn {
        if let Some(room) = &message.room {
            scene.put(&Lane::empty(room, &contact.id));
        }
    }
    withdrawn.extend(take_from_outbox(scene, &contact.id, channel, |_| true));
    for message in &mut withdrawn {
        message.state = MessageState::Withdrawn { reason: reason.to_owned() };
        scene.put(message);
    }
    let advisors: Vec<MessageId> =
        withdrawn.iter().filter(|message| message.advisor().is_some()).map(|message| message.id.clone()).collect();
    for message in withdrawn.iter().filter(|message| message.is_request()) {
        if let Some(room) = &message.room {
            super::rooms::invitation_ended(scene, room, &message.id);
        }
    }
    tell_withdrawn(scene, withdrawn, reason);
    advisors
}

/// The messages to this contact that are due and were not taken leave the outbox, as far as they fit.
fn take_from_outbox(scene: &mut Scene, contact: &ContactId, channel: Channel, fits: impl Fn(&Message) -> bool) -> Vec<Message> {
    let name = OutboxLane::to_contact(channel, contact);
    let mut taken = Vec::new();
    for due in scene.due_in(&name) {
        let (Effect::Send(send), DueState::Waiting { .. }) = (&due.effect, &due.state) else { continue };
        let message = scene.message(&send.message);
        if message.as_ref().is_none_or(&fits) {
            scene.settle(&due);
            taken.extend(message);
        }
    }
    taken
}

/// The contact is no longer in this room: what people wrote to him in it and he did not get will not go. Returns how many.
pub fn withdraw_from_room(scene: &mut Scene, room: &Room, contact: &ContactId) -> usize {
    let held = scene.lane(&room.key, contact).held;
    scene.put(&Lane::empty(&room.key, contact));
    let mut withdrawn: Vec<Message> = held.iter().filter_map(|id| scene.message(id)).collect();
    let of_room = |message: &Message| message.room.as_ref() == Some(&room.key) && message.is_of_a_person();
    withdrawn.extend(take_from_outbox(scene, contact, room.channel, of_room));
    for message in &mut withdrawn {
        message.state = MessageState::Withdrawn { reason: "membership".to_owned() };
        scene.put(message);
    }
    let count = withdrawn.len();
    tell_withdrawn(scene, withdrawn, "membership");
    count
}

/// What `/sent`, `/queue` and cards show of a body, without the client's or advisor's words being cut by accident.
pub fn gist(body: &Body) -> Value {
    match body {
        Body::Text(text) => json!(shortened(text, 80)),
        Body::Media { file, caption: None } => json!(format!("[{}]", file.name)),
        Body::Media { file, caption: Some(caption) } => json!(shortened(&format!("[{}] {caption}", file.name), 80)),
        Body::Template { name, .. } | Body::Wording { name, .. } | Body::Question { name, .. } => json!(format!("<{name}>")),
    }
}

pub fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}
