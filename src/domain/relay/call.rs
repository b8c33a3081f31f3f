//! A client calls: no word is said and nobody here answers, and yet it may be how a conversation begins (S2-10, S2-18).
use super::identity::{note_call, who_called};
use super::{live_rooms, open_for_client, room_for};
use crate::domain::commit::{Entry, Key};
use crate::domain::contact::{Contact, Pointer};
use crate::domain::effect::{Code, Place, Reply};
use crate::domain::event::{CallStage, ClientCalled, ClientMessage, Content};
use crate::domain::ids::Wamid;
use crate::domain::scene::{CLIENT, Scene};
use crate::domain::sending::contact_name;
use serde_json::json;

/// Several events tell of one call, in any order; the first that comes has all the consequences. A call opens no window and
/// is no consent: only the client's own message does that (C1). For the same reason nobody is welcomed in answer to it.
pub fn client_called(scene: &mut Scene, call: &ClientCalled) {
    if scene.policy.line(&call.line).is_none() {
        return scene.note(Entry::new("client.on_unknown_line", CLIENT).detail(json!({ "line": call.line, "call": call.id })));
    }
    let known = Key::new("seen", format_args!("call:{}:{}", call.line, call.id));
    let first = !scene.case.holds(&known);
    let said = without_a_word(call);
    let at = scene.event.at.min(scene.now);
    let Some(contact) = who_called(scene, &said, at, first) else {
        return scene.put(&Pointer::new(known, scene.now.0));
    };
    scene.raw_belongs_to(&contact.id);
    let contact = note_call(scene, contact, &said, at);
    let detail = json!({ "line": call.line, "call": call.id, "stage": call.stage });
    scene.note(Entry::new("client.called", CLIENT).about(&contact.id).told_at(scene.event.at).detail(detail));
    if !first {
        return;
    }
    scene.put(&Pointer::new(known, scene.now.0));
    if contact.blocked.is_none() {
        tell_of_call(scene, &contact, &said, call);
    }
}

/// The call as one who asks where a client's words go sees it.
fn without_a_word(call: &ClientCalled) -> ClientMessage {
    ClientMessage {
        channel: call.channel,
        line: call.line.clone(),
        id: Wamid::new(call.id.clone()),
        from: call.from.clone(),
        content: Content::Sign { kind: "call".to_owned(), detail: "A call without a word".to_owned() },
        quoted: None,
        group: None,
    }
}

fn tell_of_call(scene: &mut Scene, contact: &Contact, said: &ClientMessage, call: &ClientCalled) {
    if live_rooms(scene, contact, said).is_empty() {
        open_for_client(scene, contact, said);
    }
    let Some(contact) = scene.contact(&contact.id) else { return };
    let Some((room, _, _)) = room_for(scene, &contact, said) else { return };
    let seconds = match call.stage {
        CallStage::Ringing { .. } => None,
        CallStage::Over { seconds, .. } => seconds,
    };
    let reply = Reply::new(Code::Info, "client-called")
        .about(&contact.id)
        .with("name", contact_name(scene, Some(&room.key), &contact.id))
        .with("channel", said.channel.name())
        .with("at", scene.event.at.min(scene.now).0)
        .with("seconds", seconds)
        .with("consent", contact.consent(said.channel).name())
        .with("now", scene.now.0);
    scene.post(Place::Room(room.key), reply);
}
