//! A client calls: no word is said and perhaps nobody answers, and yet it may be how a conversation begins (S2-10, S2-18).
use super::identity::{note_call, who_called};
use super::{live_rooms, open_for_client, room_for};
use crate::domain::blocking;
use crate::domain::call::Call;
use crate::domain::commit::{Entry, Key};
use crate::domain::contact::{Contact, Pointer};
use crate::domain::effect::{Code, Place, Reply};
use crate::domain::event::{CallStage, ClientCalled, ClientMessage, Content};
use crate::domain::ids::*;
use crate::domain::members;
use crate::domain::scene::{CLIENT, Scene};
use crate::domain::sending::contact_name;
use crate::domain::sms;
use crate::domain::time::Timestamp;
use serde_json::json;

/// Several events tell of one call, in any order; the first that comes has all the consequences. A call opens no window and
/// is no consent: only the client's own message does that (C1). On WhatsApp nobody can be welcomed in answer to it for the
/// same reason; a text is allowed, so there he is (S2-15).
pub fn client_called(scene: &mut Scene, call: &ClientCalled) {
    if scene.policy.line(&call.line).is_none() {
        return scene.note(Entry::new("client.on_unknown_line", CLIENT).detail(json!({ "line": call.line, "call": call.id })));
    }
    let said = without_a_word(call.channel, &call.line, &call.id, call.from.clone());
    if call.from.is_nobody() {
        return withheld(scene, call);
    }
    let known = Call::id_key(&call.line, &call.id);
    let before = scene.pointer(known.clone());
    let at = scene.event.at.min(scene.now);
    let Some(contact) = who_called(scene, &said, at, before.is_none()) else {
        return scene.put(&Pointer::new(known, scene.now.0));
    };
    scene.raw_belongs_to(&contact.id);
    let contact = note_call(scene, contact, &said, at);
    let detail = json!({ "line": call.line, "call": call.id, "stage": call.stage });
    scene.note(Entry::new("client.called", CLIENT).about(&contact.id).told_at(scene.event.at).detail(detail));
    match before {
        None => first_heard_of(scene, &contact, &said, call, known, at),
        Some(record) => goes_on(scene, &Key::from_text(record), call.stage),
    }
}

/// Whose number nobody sees cannot be answered: whose line it is reads of it, and that is all.
fn withheld(scene: &mut Scene, call: &ClientCalled) {
    let known = Call::id_key(&call.line, &call.id);
    scene.note(Entry::new("client.called_withheld", CLIENT).detail(json!({ "line": call.line, "call": call.id })));
    if scene.case.holds(&known) {
        return;
    }
    scene.put(&Pointer::new(known, scene.now.0));
    let line = scene.policy.line(&call.line).and_then(|line| line.advisor.clone());
    let Some(advisor) = line.and_then(|email| scene.user_by_email(&email)) else { return };
    let reply = Reply::new(Code::Info, "called-withheld").with("at", scene.event.at.min(scene.now).0);
    scene.post(Place::Direct(advisor.id), reply.with("channel", call.channel.name()));
}

/// The call as one who asks where a client's words go sees it.
fn without_a_word(channel: Channel, line: &LineId, id: &str, from: crate::domain::event::ClientKeys) -> ClientMessage {
    ClientMessage {
        channel,
        line: line.clone(),
        id: Wamid::new(id),
        from,
        content: Content::Sign { kind: "call".to_owned(), detail: "A call without a word".to_owned() },
        quoted: None,
        group: None,
    }
}

fn first_heard_of(scene: &mut Scene, contact: &Contact, said: &ClientMessage, call: &ClientCalled, known: Key, at: Timestamp) {
    members::keep_to_readers(scene, contact, call.channel);
    let mut record = Call {
        id: call.id.clone(),
        contact: contact.id.clone(),
        channel: call.channel,
        line: call.line.clone(),
        at,
        stage: call.stage,
        shown: contact.blocked.is_some(),
    };
    scene.point(known, crate::domain::case::Record::key(&record).as_str());
    if contact.blocked.is_some() {
        blocking::keep_call(scene, &contact.id);
    } else {
        let opened = live_rooms(scene, contact, said).is_empty().then(|| open_for_client(scene, contact, said)).flatten();
        if let Some(room) = opened.and_then(|key| scene.room(&key)).filter(|room| room.channel == Channel::Sms) {
            sms::welcome(scene, &contact.id, &room);
        }
        show_if_it_ended(scene, &mut record);
    }
    scene.put(&record);
}

fn goes_on(scene: &mut Scene, record: &Key, stage: CallStage) {
    let Some(mut call) = scene.case.get::<Call>(record) else { return };
    call.goes_on(stage);
    show_if_it_ended(scene, &mut call);
    scene.put(&call);
}

/// Nobody has told in time how it ended: then its line says only that it came.
pub fn call_woke(scene: &mut Scene, record: &Key) {
    let Some(mut call) = scene.case.get::<Call>(record).filter(|call| !call.shown) else { return };
    show(scene, &mut call);
    scene.put(&call);
}

fn show_if_it_ended(scene: &mut Scene, call: &mut Call) {
    if !call.shown && call.has_an_end() {
        show(scene, call);
    }
}

fn show(scene: &mut Scene, call: &mut Call) {
    call.shown = true;
    let Some(contact) = scene.contact(&call.contact).filter(|contact| contact.blocked.is_none()) else { return };
    let said = without_a_word(call.channel, &call.line, &call.id, Default::default());
    let Some((room, _, _)) = room_for(scene, &contact, &said) else { return };
    let (answered, seconds) = match call.stage {
        CallStage::Ringing { may_be_answered: true } => (None, None),
        CallStage::Ringing { may_be_answered: false } => (Some(false), None),
        CallStage::Over { answered, seconds } => (Some(answered), seconds),
    };
    let reply = Reply::new(Code::Info, "client-called")
        .about(&contact.id)
        .with("name", contact_name(scene, Some(&room.key), &contact.id))
        .with("number", contact.number())
        .with("channel", call.channel.name())
        .with("at", call.at.0)
        .with("answered", answered)
        .with("seconds", seconds)
        .with("consent", contact.consent(call.channel).name())
        .with("willing", sms::is_willing(scene.policy, &contact, call.channel))
        .with("now", scene.now.0);
    scene.post(Place::Room(room.key), reply);
}
