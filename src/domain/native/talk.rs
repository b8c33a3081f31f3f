//! What is said in a native group: by its members, by the advisors of its room, and by the program.
use super::news::{is_in, show_out};
use super::*;
use crate::domain::approval;
use crate::domain::event::{ClientKeys, ClientMessage, Content, Delivery, DeliveryReported};
use crate::domain::gates::{GATES, Gate, Subject, Verdict};
use crate::domain::members;
use crate::domain::message::{Message, MessageState, Reached};
use crate::domain::relay;
use crate::domain::saying;
use crate::domain::sending;
use crate::fault;
use serde_json::Value;

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
    sending::release(scene, key, &ContactId::of_group(key));
}

/// One gate, asked for a whole group.
pub struct Row {
    pub gate: &'static str,
    pub verdict: Verdict,
    /// The members who do not pass it.
    pub who: Vec<ContactId>,
    /// What is in the way where it is none of them.
    pub what: Option<&'static str>,
}

/// The gate, asked for a whole group, row by row. What one member has not agreed to holds up all until it is settled.
pub fn verdicts(scene: &Scene, room: &Room, native: &Native, author: UserId, free_text: bool) -> Vec<Row> {
    let readers: Vec<Contact> = native.joined().filter_map(|id| scene.contact(id)).collect();
    // What is asked of the author and the room is the same whoever reads it, and is asked before anybody does.
    let anybody = readers.first().cloned().or_else(|| room.contacts.first().and_then(|id| scene.contact(id)));
    let Some(anybody) = anybody else { return vec![Row::of("membership", Verdict::Refuse, Some("nobody"))] };
    let rights = scene.rights(author);
    let subject = |contact| Subject {
        now: scene.now,
        policy: scene.policy,
        author,
        rights: &rights,
        contact,
        room: Some(room),
        channel: room.channel,
        line: &room.line,
        free_text,
    };
    let of_members = |gate: &Gate, as_group: fn(Verdict) -> Verdict| {
        let refused = readers.iter().map(|contact| (contact, (gate.check)(&subject(contact))));
        let refused: Vec<_> = refused.filter(|(_, verdict)| *verdict != Verdict::Pass).collect();
        let verdict = refused.iter().map(|(_, verdict)| as_group(*verdict)).reduce(worse).unwrap_or(Verdict::Pass);
        Row { who: refused.into_iter().map(|(contact, _)| contact.id.clone()).collect(), ..Row::of(gate.id, verdict, None) }
    };
    let row = |gate: &Gate| match gate.id {
        "consent" if fault::planted("group-before-stop") => Row::of(gate.id, Verdict::Pass, None),
        "blocked" | "address" | "consent" => of_members(gate, held),
        "quiet_hours" => of_members(gate, |verdict| verdict),
        // S1-18: before anybody is in there is nobody to write to.
        "membership" if readers.is_empty() => Row::of(gate.id, Verdict::Refuse, Some("nobody")),
        "room" => room_row((gate.check)(&subject(&anybody)), native),
        "window" => Row::of(gate.id, window(scene, native, free_text), None),
        _ => Row::of(gate.id, (gate.check)(&subject(&anybody)), None),
    };
    GATES.iter().map(row).collect()
}

impl Row {
    fn of(gate: &'static str, verdict: Verdict, what: Option<&'static str>) -> Row {
        Row { gate, verdict, who: Vec::new(), what: what.filter(|_| verdict != Verdict::Pass) }
    }
}

/// What keeps an advisor's message from this group as things stand now.
pub fn objection(scene: &Scene, room: Option<&Room>, author: UserId, message: &Message) -> Option<(&'static str, Verdict)> {
    let Some((room, native)) = room.and_then(|room| Some((room, room.native.as_ref()?))) else {
        return Some(("room", Verdict::Refuse));
    };
    let by_gates = first_objection(scene, room, native, author, message.is_free_text());
    by_gates.or_else(|| approval::objection(scene, &readers(scene, &room.key), message))
}

pub fn first_objection(
    scene: &Scene,
    room: &Room,
    native: &Native,
    author: UserId,
    free_text: bool,
) -> Option<(&'static str, Verdict)> {
    let rows = verdicts(scene, room, native, author, free_text);
    rows.into_iter().find(|row| row.verdict != Verdict::Pass).map(|row| (row.gate, row.verdict))
}

/// Those who do not pass a gate, each with what there is to say of him.
pub fn who(scene: &Scene, room: &Room, row: &Row, name: impl Fn(&ContactId) -> String) -> Value {
    let contacts = row.who.iter().filter_map(|id| scene.contact(id));
    let member = |contact: Contact| json!({ "name": name(&contact.id), "consent": contact.consent(room.channel).name(), "blocked": contact.blocked.is_some() });
    contacts.map(member).collect()
}

/// The row of this gate, which an advisor's message into the group does not pass, as the room reads it.
pub fn hindrance(scene: &Scene, room: &Room, author: UserId, free_text: bool, gate: &str) -> Value {
    let rows = room.native.as_ref().map(|native| verdicts(scene, room, native, author, free_text)).unwrap_or_default();
    let Some(row) = rows.iter().find(|row| row.gate == gate) else {
        return json!({ "gate": gate, "what": null, "who": [] });
    };
    let name = |id: &ContactId| sending::contact_name(scene, Some(&room.key), id);
    json!({ "gate": row.gate, "what": row.what, "who": who(scene, room, row, name) })
}

/// The line of a message to the group that waits, maybe for something that only one of its members has to do.
pub fn held_line(scene: &Scene, message: &Message, room: &Room, gate: &str) -> Reply {
    let author = message.advisor().unwrap_or(scene.policy.bot);
    let row = hindrance(scene, room, author, message.is_free_text(), gate);
    let reply = Reply::new(Code::Held, "held-group").about(&message.contact).of(&message.id).because(gate);
    reply.with("name", room.name.clone()).with("row", row)
}

/// Who reads what is said in this room's group.
pub fn readers(scene: &Scene, room: &RoomKey) -> Vec<Contact> {
    let native = scene.room(room).and_then(|room| room.native);
    native.iter().flat_map(Native::joined).filter_map(|id| scene.contact(id)).collect()
}

fn held(verdict: Verdict) -> Verdict {
    if verdict == Verdict::Refuse { Verdict::Hold } else { verdict }
}

fn worse(one: Verdict, other: Verdict) -> Verdict {
    if one == Verdict::Refuse { one } else { other }
}

fn window(scene: &Scene, native: &Native, free_text: bool) -> Verdict {
    if !free_text || native.window.is_open(scene.now) { Verdict::Pass } else { Verdict::Hold }
}

/// Suspended, not made yet, or with somebody in it who was removed: it waits.
fn room_row(verdict: Verdict, native: &Native) -> Row {
    let what = match native {
        _ if verdict != Verdict::Pass => return Row::of("room", verdict, None),
        Native { group: None, .. } => "not-made",
        Native { suspended: true, .. } => "suspended",
        native if !native.is_among_us() => "removed-reads-along",
        _ => return Row::of("room", Verdict::Pass, None),
    };
    Row { who: native.reading_along.iter().cloned().collect(), ..Row::of("room", Verdict::Hold, Some(what)) }
}

/// The program's own words into the group: the approved template, once somebody is in and all who are have agreed.
pub fn say_to_group(scene: &mut Scene, key: &RoomKey, name: &str, more: &[(&str, &str)]) {
    let Some(room) = scene.room(key).filter(|room| room.is_live()) else { return };
    let Some(native) = room.native.as_ref().filter(|native| is_fit(scene, native)) else { return };
    let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let body = saying::body_for_all(scene, &room, &native.subject, &readers(scene, key), name, more);
    saying::say_to_group(scene, &room, name, body);
}

/// What the program says into a group is asked again when it is taken.
pub fn objection_to_own(scene: &Scene, message: &Message) -> Option<(&'static str, Verdict)> {
    let room = message.room.as_ref().and_then(|key| scene.room(key)).filter(Room::is_live);
    let Some(room) = room.filter(|room| room.native.as_ref().is_some_and(|native| is_fit(scene, native))) else {
        return Some(("consent", Verdict::Refuse));
    };
    approval::objection(scene, &readers(scene, &room.key), message)
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

// ---- whom it went to

/// A message that is taken for a group goes to those who are in it now: it is theirs from now on, and nobody else's.
pub fn goes_to_its_members(scene: &mut Scene, message: &mut Message) {
    if let Some(key) = message.room.clone().filter(|_| message.to_group) {
        message.recipients = readers(scene, &key).into_iter().map(|contact| (contact.id, Reached::default())).collect();
        message.recipients.keys().for_each(|contact| sending::remember(scene, contact, &message.id));
    }
}

/// Whom a status of a message to a group is about.
pub fn member(scene: &Scene, told: &DeliveryReported, name: &str) -> Option<ContactId> {
    let digits = name.strip_prefix('+').unwrap_or(name);
    let named =
        ClientKeys { phone: Phone::from_e164(&format!("+{digits}")), wa_id: Some(digits.to_owned()), ..ClientKeys::default() };
    let contact = relay::find_contact(scene, &told.recipient).or_else(|| relay::find_contact(scene, &named));
    contact.map(|contact| contact.id)
}

/// How far it came with one member. For all of them it counts as delivered with the first, and as read with the last.
pub fn reached(scene: &mut Scene, mut message: Message, member: Option<ContactId>, status: &Delivery, at: Timestamp) {
    let native = message.room.as_ref().and_then(|key| scene.room(key)).and_then(|room| room.native);
    let is_in = |id: &ContactId| native.as_ref().is_none_or(|native| native.state_of(id) == Some(Membership::Joined));
    if message.recipients.is_empty() {
        // It was taken by an earlier version, which did not write them down.
        let joined = native.iter().flat_map(Native::joined).cloned();
        message.recipients = joined.map(|id| (id, Reached::default())).collect();
    }
    let mut nobody = Reached::default();
    let reached = member.map_or(&mut nobody, |member| message.recipients.entry(member).or_default());
    match status {
        Delivery::Sent => {}
        Delivery::Delivered => reached.delivered_at = reached.delivered_at.or(Some(at)),
        Delivery::Read => reached.read_at = reached.read_at.or(Some(at)),
        Delivery::Failed { code, .. } => reached.failed = Some(code.clone()),
    }
    let mut readers = message.recipients.iter().filter(|(id, _)| is_in(id)).map(|(_, reached)| reached).peekable();
    let all_read = readers.peek().is_some() && readers.all(|reached| reached.read_at.is_some());
    let state = match status {
        Delivery::Sent | Delivery::Failed { .. } => MessageState::Sent,
        Delivery::Read if all_read => MessageState::Read,
        Delivery::Delivered | Delivery::Read => MessageState::Delivered,
    };
    if state == MessageState::Read {
        message.read_at = message.read_at.or(Some(at));
    }
    if state.rank() >= MessageState::Delivered.rank() {
        message.delivered_at = message.delivered_at.or(Some(at));
    }
    if state.rank() > message.state.rank() {
        message.state = state;
    }
    scene.put(&message);
}
