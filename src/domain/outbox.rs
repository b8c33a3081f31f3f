//! An effect on its way: may it still go, and how did it end.
pub mod order;
mod reported;

pub use self::reported::delivery_reported;

use super::approval;
use super::ask::{About, Ask};
use super::commands;
use super::commit::{Entry, Key};
use super::consent::Turn;
use super::effect::*;
use super::files;
use super::gates::Verdict;
use super::ids::*;
use super::lane::{Due, DueState, OutboxLane};
use super::members::{self, NO_SUCH_USER};
use super::message::{Message, MessageState};
use super::native;
use super::parked;
use super::policy::MESSAGE_WAITING;
use super::relay;
use super::room::RoomState;
use super::rooms;
use super::saying;
use super::scene::{PROGRAM, Scene};
use super::sending::{self, contact_name, tell_room};
use super::sms;
use super::time::{Span, Timestamp};
use crate::fault;
use serde_json::{Value, json};

/// An advisor's words that could not be handed to the provider for this long are not sent any more: a day late they would
/// surprise the client more than they help.
const SEND_TRIES_LAST: Span = Span::hours(24);
const NOT_SENT: &str = "not-sent";
const NOT_FETCHED: &str = "not-fetched";
/// WhatsApp: more than 24 hours have passed since the client wrote.
pub const WINDOW_CLOSED: &str = "131047";
/// WhatsApp: the number is not on WhatsApp (or cannot be reached there).
pub const NOT_ON_WHATSAPP: &str = "131026";

// ---- still allowed?

/// The outbox may hear of two commits in the other order, and wants what it takes for the head of a lane: the records know.
fn is_head(scene: &Scene, due: &Due) -> bool {
    let first: Vec<Due> = scene.case.scan(&format!("{}{}/", Due::PREFIX, due.lane), None, 1);
    first.first().is_none_or(|head| head.place_in_lane == due.place_in_lane)
}

/// Takes the effect, or sends it back to its lane, or lets it fall: a decision on fresh records.
pub fn wanted(scene: &mut Scene, key: &Key, attempt: u32, text: Option<&str>) {
    let Some(mut due) = scene.case.get::<Due>(key) else { return };
    let waiting = matches!(due.state, DueState::Waiting { .. });
    if !waiting || due.attempt != attempt || !is_head(scene, &due) {
        return;
    }
    let effect = due.effect.clone();
    let goes = match &effect {
        Effect::Send(send) => message_may_go(scene, &due, send, text),
        Effect::Post { place, reply } => {
            due.effect = Effect::Post { place: resolve(scene, place), reply: files::as_they_are(scene, reply) };
            true
        }
        Effect::Fetch(fetch) => files::fetch_may_go(scene, &due, fetch),
        Effect::Upload(upload) => {
            let now = files::upload_may_go(scene, &due, upload);
            let goes = now.is_some();
            due.effect = now.map_or(due.effect, Effect::Upload);
            goes
        }
        Effect::Group(act) => {
            let now = native::picture::call_may_go(scene, &due, act);
            let goes = now.is_some();
            due.effect = now.map_or(due.effect, Effect::Group);
            goes
        }
        Effect::OpenRoom(_)
        | Effect::AddMember { .. }
        | Effect::RemoveMember { .. }
        | Effect::DemoteMember { .. }
        | Effect::RenameRoom(_)
        | Effect::DeactivateRoom { .. }
        | Effect::AcceptConnection { .. }
        | Effect::FindUser { .. } => true,
    };
    if goes {
        // The client may have taken a new number since this was due.
        if let Effect::Send(send) = &mut due.effect
            && let Some(to) = sending::address(scene, &send.contact, send.room.as_ref())
        {
            send.to = to;
            send.body = files::as_it_is(scene, &send.line, &send.body).unwrap_or_else(|_| send.body.clone());
        }
        due.tried_since.get_or_insert(scene.now);
        due.state = DueState::Taken { at: scene.now };
        due.attempt += 1;
        scene.put(&due);
    }
}

/// A room that was not made, is closed, or has not the bot in it cannot be written in, and one with an outsider must not
/// be: somebody who belongs to it reads the line in his own chat.
fn resolve(scene: &Scene, place: &Place) -> Place {
    let room = match place {
        Place::Room(key) => scene.room(key),
        Place::Stream(stream) => scene.room_of_stream(stream).filter(|room| room.is_live() && !members::is_fit(room)),
        Place::Direct(_) | Place::DirectByEmail(_) => None,
    };
    let Some(room) = room else { return place.clone() };
    match (&room.stream, room.state) {
        (Some(stream), RoomState::Active) if members::is_fit(&room) => Place::Stream(stream.clone()),
        (_, RoomState::Opening | RoomState::Active | RoomState::Failed | RoomState::Deactivated) => {
            let reader = members::reader(scene, &room).map(Place::Direct);
            reader.or_else(|| scene.admins().into_iter().next()).unwrap_or_else(|| place.clone())
        }
    }
}

fn message_may_go(scene: &mut Scene, due: &Due, send: &Send, text: Option<&str>) -> bool {
    let Some(mut message) = scene.message(&send.message) else {
        scene.settle(due);
        return false;
    };
    let verdict = if fault::planted("no-gate-at-taking") { None } else { verdict_now(scene, &message) };
    match verdict {
        // The line may have been out of order all that time.
        None if order::an_older_one_waits(scene, &message) => {
            scene.settle(due);
            order::wait_in_line(scene, message);
            false
        }
        None if scene.now - due.since > SEND_TRIES_LAST => {
            scene.settle(due);
            message_failed(scene, message, NOT_SENT, "It could not be handed over in time.");
            false
        }
        None if let Err(why) = files::as_it_is(scene, &send.line, &send.body) => {
            scene.settle(due);
            message_failed(scene, message, "attachment", why);
            false
        }
        None => {
            message.state = MessageState::Taken;
            native::goes_to_its_members(scene, &mut message);
            scene.put(&message);
            let detail = json!({ "text": text, "attempt": due.attempt + 1, "channel": send.channel.key(), "body": send.body });
            let detail = with_recipients(detail, &message);
            let entry =
                Entry::new("message.taken", sending::actor_of(scene, &message)).about(&message.contact).message(&message.id);
            scene.note(Entry { room: message.room.clone(), ..entry.detail(detail) });
            true
        }
        Some((gate, Verdict::Hold | Verdict::Pass)) => {
            scene.settle(due);
            if message.is_of_a_person() {
                sending::hold(scene, &mut message, gate);
            } else {
                approval::hold_own(scene, &mut message);
                invitation_is_over(scene, &message);
            }
            false
        }
        Some((gate, Verdict::Refuse)) => {
            scene.settle(due);
            message.state = MessageState::Withdrawn { reason: gate.to_owned() };
            scene.put(&message);
            invitation_is_over(scene, &message);
            notice_never_left(scene, &message);
            if gate == approval::MARKETING {
                request_failed(scene, &message);
            }
            sending::tell_withdrawn(scene, vec![message], gate);
            false
        }
    }
}

/// Of a message to a group the journal tells whom it went to (S3-2).
fn with_recipients(mut detail: Value, message: &Message) -> Value {
    if message.to_group {
        detail["recipients"] = json!(message.recipients.keys().collect::<Vec<_>>());
    }
    detail
}

fn verdict_now(scene: &Scene, message: &Message) -> Option<(&'static str, Verdict)> {
    let Some(name) = message.program_name() else { return sending::objection(scene, message) };
    if message.to_group {
        return native::objection_to_own(scene, message);
    }
    let contact = scene.contact(&message.contact)?;
    let fine = saying::program_may_say(scene, &contact, message, name);
    if !fine {
        return Some(("consent", Verdict::Refuse));
    }
    approval::objection(scene, &[contact], message)
}

fn invitation_is_over(scene: &mut Scene, message: &Message) {
    if message.is_request()
        && let Some(room) = &message.room
    {
        rooms::invitation_ended(scene, room, &message.id);
    }
}

// ---- how it ended

pub fn ended(scene: &mut Scene, key: &Key, attempt: u32, outcome: &Outcome) {
    let Some(due) = scene.case.get::<Due>(key) else { return };
    let open = matches!(due.state, DueState::Taken { .. } | DueState::Doubtful { .. });
    if !open || due.attempt != attempt {
        return;
    }
    match outcome {
        Outcome::Done { external_id } => {
            scene.settle(&due);
            done(scene, &due, external_id.as_deref());
        }
        Outcome::Failed { code, detail } => {
            scene.settle(&due);
            failed(scene, &due, code, detail);
        }
        Outcome::Unknown { why } if fault::planted("blind-retry") => put_off(scene, key, attempt, why, scene.now),
        Outcome::Unknown { why } => in_doubt(scene, due, why),
    }
}

/// Certainly not done: back to the head of its lane, to be taken again.
pub fn put_off(scene: &mut Scene, key: &Key, attempt: u32, why: &str, not_before: Timestamp) {
    let Some(mut due) = scene.case.get::<Due>(key) else { return };
    if due.attempt != attempt || matches!(due.state, DueState::Waiting { .. }) {
        return;
    }
    if matches!(due.effect, Effect::Upload(_)) && scene.now - due.since > SEND_TRIES_LAST {
        scene.settle(&due);
        return failed(scene, &due, NOT_SENT, why);
    }
    if let Effect::Send(send) = &due.effect {
        let Some(mut message) = scene.message(&send.message) else { return };
        if scene.now - due.since > SEND_TRIES_LAST {
            scene.settle(&due);
            return message_failed(scene, message, NOT_SENT, why);
        }
        message.state = MessageState::Ready;
        scene.put(&message);
    }
    if let Some(fetch) = files::gives_up(&due, scene.now).cloned() {
        scene.settle(&due);
        return files::not_fetched(scene, &fetch, NOT_FETCHED, why);
    }
    due.state = DueState::Waiting { not_before };
    scene.put(&due);
}

fn in_doubt(scene: &mut Scene, mut due: Due, why: &str) {
    if let Effect::Send(send) = &due.effect {
        let Some(mut message) = scene.message(&send.message) else { return };
        // A status may have told already that it was sent.
        if message.state.rank() >= MessageState::Sent.rank() {
            scene.settle(&due);
            return invitation_is_over(scene, &message);
        }
        message.state = MessageState::Doubtful { since: scene.now, lane_freed: false };
        scene.put(&message);
        let entry = Entry::new("message.in_doubt", PROGRAM).about(&message.contact).message(&message.id);
        scene.note(Entry { room: message.room.clone(), ..entry.detail(json!({ "why": why })) });
    }
    due.state = DueState::Doubtful { since: scene.now };
    scene.put(&due);
}

/// A doubtful head has held its lane for 30 s: the lane goes on, with a mark.
pub fn doubt_is_old(scene: &mut Scene, key: &Key) {
    let Some(due) = scene.case.get::<Due>(key) else { return };
    let (DueState::Doubtful { since }, Effect::Send(send)) = (&due.state, &due.effect) else { return };
    let since = *since;
    if scene.now - since < super::message::DOUBT_HOLDS_LANE {
        return;
    }
    scene.settle(&due);
    let Some(mut message) = scene.message(&send.message) else { return };
    message.state = MessageState::Doubtful { since, lane_freed: true };
    scene.put(&message);
    if message.is_of_a_person() {
        let name = contact_name(scene, message.room.as_ref(), &message.contact);
        let reply = Reply::new(Code::Info, "lane-goes-on").about(&message.contact).of(&message.id).with("name", name);
        tell_room(scene, &message, reply.with("text", sending::gist(&message.body)));
    }
}

fn done(scene: &mut Scene, due: &Due, external_id: Option<&str>) {
    match &due.effect {
        Effect::Send(send) => {
            let whom = send.room.as_ref().map_or(send.contact.clone(), ContactId::of_group);
            let wamid = external_id.map(|answer| relay::learn_from_answer(scene, &whom, &send.to, answer));
            if let Some(message) = scene.message(&send.message) {
                sent(scene, message, wamid);
            }
        }
        Effect::Post { reply, .. } => {
            if let (Some(ask), Some(posted)) = (&reply.ask, external_id) {
                scene.point(Ask::posted_key(&ChatMessageId::new(posted)), ask);
            }
        }
        Effect::OpenRoom(room) => {
            if let Some((stream, name)) = external_id.map(|id| id.split_once('\n').map_or((id, None), |(s, n)| (s, Some(n)))) {
                rooms::opened(scene, &room.key, &StreamId::new(stream), name);
            }
        }
        Effect::Fetch(fetch) => files::fetched(scene, fetch, external_id),
        Effect::Upload(upload) => files::uploaded(scene, upload, external_id),
        Effect::RenameRoom(rename) => rooms::renamed(scene, rename),
        Effect::AddMember { .. }
        | Effect::RemoveMember { .. }
        | Effect::DemoteMember { .. }
        | Effect::DeactivateRoom { .. }
        | Effect::AcceptConnection { .. } => {}
        Effect::Group(act) => native::call_done(scene, act, external_id),
        Effect::FindUser { then, .. } => {
            let found = external_id.and_then(|person| serde_json::from_str(person).ok());
            commands::run_again(scene, then, found);
        }
    }
}

fn sent(scene: &mut Scene, mut message: Message, wamid: Option<Wamid>) {
    if let Some(wamid) = wamid {
        scene.point(Key::new("wamid", &wamid), &message.id);
        message.wamid = Some(wamid);
    }
    if message.state.rank() < MessageState::Sent.rank() {
        message.state = MessageState::Sent;
    }
    message.sent_at.get_or_insert(scene.now);
    scene.put(&message);
    if message.is_of_a_person()
        && let Some(mut room) = message.room.as_ref().and_then(|key| scene.room(key))
    {
        if !message.to_group {
            room.last_exchange.insert(message.contact.clone(), scene.now);
        }
        // A file that is passed on was counted when it came.
        room.files += u32::from(matches!(message.body, Body::Media { .. }) && message.advisor().is_some());
        scene.put(&room);
    }
    let detail = with_recipients(json!({ "wamid": message.wamid, "channel": message.channel.key() }), &message);
    let entry = Entry::new("message.sent", sending::actor_of(scene, &message)).about(&message.contact).message(&message.id);
    scene.note(Entry { room: message.room.clone(), ..entry.detail(detail) });
    invitation_is_over(scene, &message);
    if let Some(wamid) = message.wamid.clone() {
        for (at, told) in parked::claim(scene, &message, &wamid) {
            delivery_reported(scene, &told, at);
        }
    }
}

fn failed(scene: &mut Scene, due: &Due, code: &str, detail: &str) {
    match &due.effect {
        Effect::Send(send) => {
            if let Some(message) = scene.message(&send.message) {
                message_failed(scene, message, code, detail);
            }
        }
        Effect::Post { place, reply } => line_failed(scene, place, reply, code, detail),
        Effect::Fetch(fetch) => files::not_fetched(scene, fetch, code, detail),
        Effect::Upload(upload) => {
            if let Some(message) = scene.message(&upload.message) {
                take_out(scene, &message);
                message_failed(scene, message, code, detail);
            }
        }
        Effect::OpenRoom(room) => rooms::could_not_open(scene, &room.key, code, detail),
        Effect::RenameRoom(rename) => rooms::could_not_rename(scene, rename, code, detail),
        Effect::AddMember { .. } | Effect::RemoveMember { .. } | Effect::DemoteMember { .. } => {
            members::could_not_change(scene, due, code, detail)
        }
        Effect::Group(act) => native::call_failed(scene, act, code, detail),
        Effect::FindUser { then, .. } => commands::run_again(scene, then, None),
        Effect::DeactivateRoom { .. } | Effect::AcceptConnection { .. } => {
            scene.note(Entry::new("chat.refused", PROGRAM).detail(json!({ "code": code, "detail": detail })));
        }
    }
}

/// A line that its place refuses goes to one who reads for the room, then to the admins; it is never dropped in silence.
fn line_failed(scene: &mut Scene, place: &Place, reply: &Reply, code: &str, detail: &str) {
    let mut entry = Entry::new("chat.line_refused", PROGRAM).detail(json!({ "code": code, "detail": detail, "line": reply }));
    entry.contact = reply.contact.clone();
    scene.note(entry);
    if !reply.files.is_empty() {
        return scene.post(place.clone(), files::without_files(reply, detail));
    }
    if let (NO_SUCH_USER, Place::Direct(user)) = (code, place) {
        members::gone(scene, *user);
    }
    let passed_on = reply.vars.get("passed_on").and_then(|n| n.as_u64()).unwrap_or(0);
    let reader = match (passed_on, place) {
        (0, Place::Stream(stream)) => scene.room_of_stream(stream).and_then(|room| members::reader(scene, &room)),
        _ => None,
    };
    let mut next = match (reader, passed_on) {
        (Some(user), _) => vec![Place::Direct(user)],
        (None, 0 | 1) => scene.admins(),
        (None, _) => Vec::new(),
    };
    next.retain(|other| other != place);
    for place in next {
        scene.post(place, reply.clone().with("passed_on", passed_on + 1));
    }
}

fn message_failed(scene: &mut Scene, mut message: Message, code: &str, detail: &str) {
    let contact = scene.contact(&message.contact);
    if contact.is_none() && !message.to_group {
        return;
    }
    if code == WINDOW_CLOSED && message.is_free_text() {
        window_was_closed(scene, &message);
        if message.is_of_a_person() {
            return wait_again(scene, message);
        }
    }
    message.state = MessageState::Failed { code: code.to_owned() };
    scene.put(&message);
    approval::refused(scene, &message, code, detail);
    relay::marketing_refused(scene, &message, code, detail);
    let entry = Entry::new("message.failed", PROGRAM).about(&message.contact).message(&message.id);
    scene.note(Entry { room: message.room.clone(), ..entry.detail(json!({ "code": code, "detail": detail })) });
    let never_reached = contact.is_some_and(|contact| !contact.on(message.channel).ever_reached);
    if code == NOT_ON_WHATSAPP && message.channel == Channel::WhatsApp && never_reached {
        not_on_whatsapp(scene, &message);
    } else if code == sms::OPTED_OUT_AT_PROVIDER && message.channel == Channel::Sms {
        sms::opted_out_at_provider(scene, &message);
    } else {
        tell_failed(scene, &message, code, detail);
        request_failed(scene, &message);
        notice_never_left(scene, &message);
    }
    invitation_is_over(scene, &message);
}

/// 131047 is the truth about the window, as of when the provider said so, whatever we thought.
fn window_was_closed(scene: &mut Scene, message: &Message) {
    let said_at = scene.event.at.min(scene.now);
    if message.to_group {
        return native::window_was_closed(scene, message, said_at);
    }
    let Some(mut contact) = scene.contact(&message.contact) else { return };
    let window = contact.on_mut(message.channel).windows.entry(message.line.clone()).or_default();
    window.refused = Some(window.refused.map_or(said_at, |before| before.max(said_at)));
    scene.put(&contact);
}

/// The message waits again; when the client has written since, it goes at once.
fn wait_again(scene: &mut Scene, mut message: Message) {
    sending::hold(scene, &mut message, "window");
    if let Some(room) = message.room {
        sending::release(scene, &room, &message.contact);
    }
}

/// S3-10: proved, and nothing was ever exchanged here: the advisor is told and offered SMS.
fn not_on_whatsapp(scene: &mut Scene, message: &Message) {
    let Some(mut contact) = scene.contact(&message.contact) else { return };
    let evidence = json!({ "actor": PROGRAM, "message": message.id, "code": NOT_ON_WHATSAPP });
    let now = scene.now;
    if !scene.turn_consent(&mut contact, message.channel, Turn::NotOnWhatsApp, now, evidence) {
        return;
    }
    let waited = sending::withdraw_everything(scene, &contact, message.channel, "address");
    let own = message.advisor().is_some().then(|| message.id.clone());
    let card = sms::offer(scene, message.room.as_ref(), &contact.id, own.into_iter().chain(waited).collect());
    tell_room(scene, message, card);
}

fn tell_failed(scene: &mut Scene, message: &Message, code: &str, detail: &str) {
    if !message.is_of_a_person() && !message.is_request() {
        return;
    }
    let name = contact_name(scene, message.room.as_ref(), &message.contact);
    let reply = Reply::new(Code::Failed, "failed").about(&message.contact).of(&message.id).because(code).with("name", name);
    let reply = reply.with("provider_code", code).with("detail", detail).with("text", sending::gist(&message.body));
    tell_room(scene, message, reply);
}

/// A request that never reached the client was no request: he may be asked again.
fn request_failed(scene: &mut Scene, message: &Message) {
    let was_asked = message.is_template() || message.channel == Channel::Sms;
    if !message.is_request() || !was_asked {
        return;
    }
    if let Some(mut contact) = scene.contact(&message.contact)
        && contact.on(message.channel).asked_in.as_ref() == Some(&message.id)
    {
        let evidence = json!({ "actor": PROGRAM, "message": message.id });
        let now = scene.now;
        scene.turn_consent(&mut contact, message.channel, Turn::RequestFailed, now, evidence);
    }
}

/// A notice that never left has told nobody anything: the messages that wait are told of anew (S0-24).
fn notice_never_left(scene: &mut Scene, message: &Message) {
    if message.program_name() != Some(MESSAGE_WAITING) {
        return;
    }
    let Some(mut contact) = scene.contact(&message.contact) else { return };
    contact.on_mut(message.channel).notice_sent = false;
    scene.put(&contact);
    for mut waiting in sending::held_messages(scene, &contact, message.channel) {
        waiting.told = false;
        scene.put(&waiting);
    }
}

/// No trace of it for 60 s: the author decides (invariant 4).
pub fn unconfirmed(scene: &mut Scene, mut message: Message) {
    message.state = MessageState::Unconfirmed;
    scene.put(&message);
    settle_due_of(scene, &message);
    let entry = Entry::new("message.unconfirmed", PROGRAM).about(&message.contact).message(&message.id);
    scene.note(Entry { room: message.room.clone(), ..entry });
    let place = match (&message.room, message.advisor()) {
        (Some(room), _) => Place::Room(room.clone()),
        (None, Some(author)) => Place::Direct(author),
        (None, None) => Place::Direct(UserId(0)),
    };
    let ask = scene.new_ask(None, &place, About::SendAgain { message: message.id.clone() }, Some(&message.contact));
    scene.put(&ask);
    let name = contact_name(scene, message.room.as_ref(), &message.contact);
    let reply = Reply::new(Code::Unconfirmed, "unconfirmed").about(&message.contact).of(&message.id).asking(&ask.id);
    tell_room(scene, &message, reply.with("name", name).with("text", sending::gist(&message.body)));
    invitation_is_over(scene, &message);
}

/// The effect that carries this message, if it still stands in the outbox, leaves it.
fn settle_due_of(scene: &mut Scene, message: &Message) {
    if let Some(due) = due_of(scene, message) {
        scene.settle(&due);
    }
}

fn due_of(scene: &Scene, message: &Message) -> Option<Due> {
    let due = scene.due_in(&OutboxLane::of_message(message));
    due.into_iter().find(|due| matches!(&due.effect, Effect::Send(send) if send.message == message.id))
}

/// The messages that are due in this lane and were not taken yet, in its order.
pub fn waiting_in(scene: &Scene, lane: &str) -> Vec<Message> {
    let due = scene.due_in(lane);
    let sends = due.iter().filter(|due| matches!(due.state, DueState::Waiting { .. })).filter_map(|due| match &due.effect {
        Effect::Send(send) => Some(&send.message),
        _ => None,
    });
    sends.filter_map(|id| scene.message(id)).collect()
}

/// Takes a message that is due out of the outbox, unless it was taken for sending. Both are commits that rest on the
/// message as it was read: of two at the same moment one is decided anew.
pub fn take_back(scene: &mut Scene, message: &Message) -> bool {
    let due = due_of(scene, message).filter(|due| matches!(due.state, DueState::Waiting { .. }));
    if let (MessageState::Ready, Some(due)) = (&message.state, &due) {
        scene.settle(due);
        return true;
    }
    false
}

/// The message will not go as it is: out of where it waits, held or due. False: it does not wait.
pub fn take_out(scene: &mut Scene, message: &Message) -> bool {
    let (MessageState::Held { .. }, Some(room)) = (&message.state, &message.room) else { return take_back(scene, message) };
    let mut lane = scene.lane(room, &message.contact);
    lane.held.retain(|id| *id != message.id);
    scene.put(&lane);
    true
}
