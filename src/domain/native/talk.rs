//! What is said in a native group: by its members, by the advisors of its room, and by the program.
use super::news::{is_in, show_out};
use super::*;
use crate::domain::event::{ClientMessage, Content, Delivery};
use crate::domain::gates::{self, GATES, Subject, Verdict};
use crate::domain::members;
use crate::domain::message::{Message, MessageState};
use crate::domain::relay;
use crate::domain::saying;
use crate::domain::sending;
use crate::fault;

/// A member's message opens the group's window and no other; it stands in the group's room.
pub fn client_wrote(scene: &mut Scene, said: &ClientMessage, group: &GroupId) {
    let at = scene.event.at.min(scene.now);
    let contact = relay::find_contact(scene, &said.from);
    let room = room_of(scene, group);
    if let Some(room) = &room {
        show_out(scene, room, contact.as_ref(), &said.from);
    }
    let (Some(room), Some(contact)) = (room, contact) else {
        let detail = json!({ "line": said.line, "message": said.id, "group": group });
        return scene.note(Entry::new("client.in_unknown_group", "client").told_at(at).detail(detail));
    };
    scene.raw_belongs_to(&contact.id);
    relay::note_group_message(scene, &contact, said, &room.key);
    let Some(state) = room.native.as_ref().and_then(|native| native.state_of(&contact.id)) else { return };
    if state == Membership::Barred || contact.blocked.is_some() || !room.is_live() {
        return relay::heed_only_a_stop(scene, &contact.id, said);
    }
    if state != Membership::Joined {
        // The webhook that tells of it was lost.
        is_in(scene, &room.key, &contact, &said.from);
    }
    if !matches!(said.content, Content::Sign { .. })
        && let Some(mut room) = scene.room(&room.key)
        && let Some(native) = &mut room.native
    {
        native.window.opened(at);
        scene.put(&room);
    }
    members::keep_room_to_readers(scene, &room.key);
    if !relay::somebody_is_there(scene, &room.key, &contact, said) {
        return relay::park(scene, said, "nobody who may use this channel is left in the group's room");
    }
    relay::heed_and_show(scene, &contact.id, said, &room.key);
    release(scene, &room.key);
}

pub(super) fn release(scene: &mut Scene, key: &RoomKey) {
    let first = scene.room(key).and_then(|room| room.contacts.first().cloned());
    if let Some(first) = first {
        sending::release(scene, key, &first);
    }
}

/// The gate, asked for a whole group: the first row at which any member, or the group itself, does not say yes. What one
/// member has not agreed to holds up all until it is settled.
pub fn objection(scene: &Scene, room: &Room, native: &Native, message: &Message) -> Option<(&'static str, Verdict)> {
    let author = message.advisor()?;
    let rights = scene.rights(author);
    let joined: Vec<Contact> = native.joined().filter_map(|id| scene.contact(id)).collect();
    let subject = |contact| Subject {
        now: scene.now,
        policy: scene.policy,
        author,
        rights: &rights,
        contact,
        room: Some(room),
        channel: message.channel,
        line: &message.line,
        free_text: message.is_free_text(),
    };
    let Some(first) = joined.first() else {
        // S1-18: before anybody is in there is nobody to write to; whoever may not write at all reads that first.
        let nobody = scene.contact(&message.contact)?;
        let own = gates::first_objection(&subject(&nobody)).filter(|(id, _)| matches!(*id, "entitled" | "sub_org"));
        return Some(own.unwrap_or(("membership", Verdict::Refuse)));
    };
    GATES.iter().find_map(|gate| {
        let verdict = match gate.id {
            "window" => window(scene, native, message),
            "consent" if fault::planted("group-before-stop") => Verdict::Pass,
            "room" => room_verdict((gate.check)(&subject(first)), native),
            "blocked" | "address" | "consent" => worst(joined.iter().map(|contact| held((gate.check)(&subject(contact))))),
            _ => worst(joined.iter().map(|contact| (gate.check)(&subject(contact)))),
        };
        (verdict != Verdict::Pass).then_some((gate.id, verdict))
    })
}

fn held(verdict: Verdict) -> Verdict {
    if verdict == Verdict::Refuse { Verdict::Hold } else { verdict }
}

fn worst(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    verdicts
        .reduce(|one, other| if one == Verdict::Refuse || other == Verdict::Pass { one } else { other })
        .unwrap_or(Verdict::Pass)
}

fn window(scene: &Scene, native: &Native, message: &Message) -> Verdict {
    if !message.is_free_text() || native.window.is_open(scene.now) { Verdict::Pass } else { Verdict::Hold }
}

/// Suspended, not made yet, or with somebody in it who was removed: it waits.
fn room_verdict(verdict: Verdict, native: &Native) -> Verdict {
    let ready = native.group.is_some() && !native.suspended && native.is_among_us();
    if verdict == Verdict::Pass && !ready { Verdict::Hold } else { verdict }
}

/// The program's own words into the group: the approved template, once somebody is in and all who are have agreed.
pub fn say_to_group(scene: &mut Scene, key: &RoomKey, name: &str, more: &[(&str, &str)]) {
    let Some(room) = scene.room(key).filter(|room| room.is_live()) else { return };
    let Some(first) = room.contacts.first().and_then(|id| scene.contact(id)) else { return };
    let Some(native) = room.native.as_ref().filter(|native| is_fit(scene, native)) else { return };
    // All of them read it: no one's name or number stands where a template names a contact.
    let nobody = [("contact.first", native.subject.as_str()), ("contact.last", "")];
    let vars = nobody.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let body = saying::template_body(scene, &first, Some(key), None, name, vars);
    saying::say_to_group(scene, &first.id, &room, name, body);
}

/// Asked again when it is taken.
pub fn program_may_say(scene: &Scene, message: &Message) -> bool {
    let room = message.room.as_ref().and_then(|key| scene.room(key)).filter(Room::is_live);
    room.and_then(|room| room.native).is_some_and(|native| is_fit(scene, &native))
}

fn is_fit(scene: &Scene, native: &Native) -> bool {
    let open = native.group.is_some() && !native.suspended && native.is_among_us();
    open && native.joined().next().is_some() && unsettled(scene, native).is_empty()
}

/// 131047 is the truth about the group's window too.
pub fn window_was_closed(scene: &mut Scene, message: &Message, said_at: Timestamp) {
    let Some(mut room) = message.room.as_ref().and_then(|key| scene.room(key)) else { return };
    if let Some(native) = &mut room.native {
        native.window.refused = Some(native.window.refused.map_or(said_at, |before| before.max(said_at)));
        scene.put(&room);
    }
}

/// How far it came with one member. For all of them it counts as delivered with the first, and as read with the last.
pub fn reached(scene: &mut Scene, mut message: Message, participant: &str, status: &Delivery, at: Timestamp) {
    let (name, state) = match status {
        Delivery::Sent => ("sent", MessageState::Sent),
        Delivery::Delivered => ("delivered", MessageState::Delivered),
        Delivery::Read => ("read", MessageState::Read),
        Delivery::Failed { .. } => ("failed", MessageState::Sent),
    };
    let far = ["failed", "sent", "delivered", "read"];
    let rank = |name: &str| far.iter().position(|known| *known == name);
    let before = message.participants.get(participant).and_then(|before| rank(before));
    if rank(name) > before {
        message.participants.insert(participant.to_owned(), name.to_owned());
    }
    let members = message.room.as_ref().and_then(|key| scene.room(key)).and_then(|room| room.native);
    let members = members.map_or(1, |native| native.joined().count());
    let all_read = message.participants.values().filter(|state| *state == "read").count() >= members;
    let state = if state == MessageState::Read && !all_read { MessageState::Delivered } else { state };
    match state {
        MessageState::Read => message.read_at = message.read_at.or(Some(at)),
        MessageState::Delivered => message.delivered_at = message.delivered_at.or(Some(at)),
        MessageState::Sent
        | MessageState::Held { .. }
        | MessageState::Ready
        | MessageState::Taken
        | MessageState::Doubtful { .. }
        | MessageState::Failed { .. }
        | MessageState::Unconfirmed
        | MessageState::Expired
        | MessageState::Withdrawn { .. }
        | MessageState::Cancelled => {}
    }
    if state.rank() > message.state.rank() {
        message.state = state;
    }
    scene.put(&message);
}
