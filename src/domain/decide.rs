//! One event, one decision: pure, so that the same records, event and time always give the same commit.
use super::answers;
use super::approval;
use super::case::{Record, Records};
use super::commands;
use super::commit::{Commit, Entry, Key};
use super::event::{Event, Fact, Person, RoomMessage, StreamKind};
use super::ids::*;
use super::lane::{Due, DueState};
use super::policy::Policy;
use super::room::{Room, RoomState};
use super::time::{Span, Timestamp};
use super::{
    contact::Pointer,
    effect::*,
    grammar, lines, members, native, outbox,
    refusal::Refusal,
    relay, rooms,
    scene::{Scene, digest_of},
    wakes,
};
use crate::fault;
use serde::{Deserialize, Serialize};
use serde_json::json;

pub enum Decision {
    Commit(Box<Commit>),
    /// The event was applied before.
    Before,
    /// Nothing follows from it: nothing to keep.
    Nothing,
    /// It rests on something that is on its way (a posted form whose id is not known yet): come again shortly.
    Soon,
    /// A queue is full: come again later.
    NotNow,
}

/// `last_try`: the event has come again often enough; decide with what is there.
pub fn decide(records: &dyn Records, policy: &Policy, now: Timestamp, event: &Event, last_try: bool) -> Decision {
    let mut scene = Scene::new(records, policy, now, event);
    let seen = Key::new("seen", &event.id);
    // Events of the world are counted once by their id; our own are guarded by the state of what they speak of.
    let counted_once = event.fact.is_of_the_world();
    if counted_once && !fault::planted("seen-forgotten") && scene.case.holds(&seen) {
        return Decision::Before;
    }
    if matches!(event.fact, Fact::OfNoConcern { .. }) {
        return Decision::Nothing;
    }
    if let Fact::FormSent(sent) = &event.fact
        && !last_try
        && answers::question_of(&scene, sent).is_none()
    {
        return Decision::Soon;
    }
    if may_be_a_room_in_the_making(&scene, &event.fact) {
        return if last_try { Decision::NotNow } else { Decision::Soon };
    }
    apply(&mut scene, &event.fact);
    if scene.overfull {
        return Decision::NotNow;
    }
    if counted_once {
        // Seen keys are kept 30 days (INTERFACES §3); the time is what a sweep goes by.
        scene.put(&Pointer::new(seen, now.0));
    } else if scene.wrote_nothing() {
        return Decision::Nothing;
    }
    Decision::Commit(Box::new(scene.into_commit()))
}

/// Rooms that are being made at the same moment, looked through for one whose stream is not known yet.
const ROOMS_IN_THE_MAKING: usize = 100;

/// A room that is not there after so long is not made by a try whose answer was lost: what others write elsewhere waits no
/// longer for it.
const MAKING_LASTS: Span = Span::minutes(5);

/// The platform shows a new room to its people before its id has come back to us: what they write in it at once belongs
/// to a room that we shall know in a moment, and must not be taken for a stranger's.
fn may_be_a_room_in_the_making(scene: &Scene, fact: &Fact) -> bool {
    let Fact::RoomMessage(said) = fact else { return false };
    if said.kind != StreamKind::Room || said.author.id == scene.policy.bot || scene.room_of_stream(&said.stream).is_some() {
        return false;
    }
    let due: Vec<Due> = scene.case.scan("out/room/", None, ROOMS_IN_THE_MAKING);
    due.iter().any(|due| matches!(due.effect, Effect::OpenRoom(_)) && may_have_made_it(due, scene.now))
}

/// Also one that waits for its next try: an earlier one may have made the room although its answer said otherwise or was lost.
fn may_have_made_it(due: &Due, now: Timestamp) -> bool {
    match due.state {
        DueState::Taken { .. } | DueState::Doubtful { .. } => true,
        DueState::Waiting { .. } => due.tried_since.is_some_and(|since| now - since < MAKING_LASTS),
    }
}

fn apply(scene: &mut Scene, fact: &Fact) {
    match fact {
        Fact::RoomMessage(said) => room_message(scene, said),
        Fact::FormSent(sent) => answers::form_sent(scene, sent),
        Fact::MessageSuppressed { message, by, .. } => relay::advisor_deleted(scene, message, by.id),
        Fact::MembersChanged { stream, user, change, by } => members::changed(scene, stream, user, *change, by),
        Fact::RoomRenamed { stream, name, by } => members::renamed(scene, stream, name, by),
        Fact::RoomActive { stream, active, by } => room_active(scene, stream, *active, by),
        Fact::ConnectionRequested { by } => connection_requested(scene, by),
        Fact::ClientMessage(said) => relay::client_wrote(scene, said),
        Fact::ClientCalled(call) => relay::client_called(scene, call),
        Fact::DeliveryReported(told) => outbox::delivery_reported(scene, told, scene.event.at),
        Fact::UserFound { user } => {
            scene.meet(user);
            members::is_there(scene, user.id);
        }
        Fact::EffectWanted { key, attempt, text } => outbox::wanted(scene, key, *attempt, text.as_deref()),
        Fact::EffectEnded { key, attempt, outcome } => outbox::ended(scene, key, *attempt, outcome),
        Fact::EffectPutOff { key, attempt, why, not_before } => outbox::put_off(scene, key, *attempt, why, *not_before),
        Fact::DoubtIsOld { key } => outbox::doubt_is_old(scene, key),
        Fact::TimeCame { wake } => wakes::time_came(scene, wake),
        Fact::LineTroubled { line, trouble } => lines::troubled(scene, line, trouble),
        Fact::LineWorks { line } => lines::works(scene, line),
        Fact::TemplateTold(told) => approval::told(scene, told),
        Fact::TemplatesListed(seen) => approval::listed(scene, seen),
        Fact::GroupTold(told) => native::told(scene, told),
        Fact::MarketingChosen(told) => relay::marketing_chosen(scene, told),
        Fact::Unreadable { source, why } => set_aside(scene, source, why),
        Fact::NotUsed { source, what } => {
            scene.note(Entry::new("webhook.not_used", source.clone()).told_at(scene.event.at).detail(json!({ "what": what })));
        }
        Fact::OfNoConcern { .. } => {}
    }
}

/// What lies in quarantine; its bytes stand in the journal.
#[derive(Clone, Serialize, Deserialize)]
struct SetAside {
    why: String,
    event: EventId,
    at: Timestamp,
}

impl Record for SetAside {
    fn key(&self) -> Key {
        Key::new("quarantine", format_args!("{:016}/{}", self.at.0, digest_of(&self.event)))
    }
    fn sealed_for(&self) -> Option<ContactId> {
        None
    }
}

fn set_aside(scene: &mut Scene, source: &str, why: &str) {
    let kept = SetAside { why: why.to_owned(), event: scene.event.id.clone(), at: scene.now };
    scene.put(&kept);
    scene.note(Entry::new("quarantined", source).detail(json!({ "why": why })));
}

fn room_message(scene: &mut Scene, said: &RoomMessage) {
    // The bot ignores its own messages and other service accounts (COMMANDS §1).
    if said.author.id == scene.policy.bot || said.author.service {
        return;
    }
    let caller = scene.meet(&said.author);
    members::is_there(scene, caller.id);
    let room = scene.room_of_stream(&said.stream);
    let direct = said.kind == StreamKind::Direct;
    match grammar::hear(&said.text, &said.mentions, scene.policy.bot, direct) {
        // Edits and forwards of commands are ignored.
        grammar::Heard::Command(_) | grammar::Heard::Unfinished { .. } if said.edits.is_some() || said.forwarded => {}
        grammar::Heard::Command(line) => commands::run_line(scene, caller, said, room, line),
        grammar::Heard::Unfinished { after, .. } => {
            let refusal =
                Refusal::bad_argument("quotes", format!("were opened and never closed, before “{after}”"), "name=\"Ann Lee\"");
            scene.post(Place::Stream(said.stream.clone()), refusal.into_reply());
        }
        grammar::Heard::Escaped(text) => match room {
            Some(room) => relay::advisor_wrote(scene, &room, said, &text),
            None => point_to_help(scene, said),
        },
        grammar::Heard::NotForUs => match room {
            Some(room) => relay::advisor_wrote(scene, &room, said, &said.text),
            None if direct => point_to_help(scene, said),
            None => {}
        },
    }
}

fn point_to_help(scene: &mut Scene, said: &RoomMessage) {
    if said.edits.is_none() {
        scene.post(Place::Stream(said.stream.clone()), Reply::new(Code::Info, "no-command"));
    }
}

/// Requests from users with rights are accepted by itself, others stay pending (S0-9).
fn connection_requested(scene: &mut Scene, by: &Person) {
    let user = scene.meet(by);
    let rights = scene.rights_of_email(&user.email);
    let accepted = rights.has_any();
    scene.note(Entry::new("connection.requested", scene.actor(user.id)).detail(json!({ "accepted": accepted })));
    if accepted {
        scene.effect(Effect::AcceptConnection { user: user.id });
        let reply = Reply::new(Code::Info, "connected").with("name", user.name);
        scene.post(Place::Direct(user.id), commands::for_reader(reply, &rights));
    }
}

/// A room that somebody deactivates in its own settings is closed for us too, for good: when it is opened again there, its
/// people read that the client is not behind it any more.
fn room_active(scene: &mut Scene, stream: &StreamId, active: bool, by: &Person) {
    let Some(room) = scene.room_of_stream(stream) else { return };
    match (active, room.state) {
        (false, RoomState::Opening | RoomState::Active) => {
            let actor = members::actor(scene, by);
            rooms::closed(scene, &room.key, &actor);
            if by.id != scene.policy.bot {
                tell_closed(scene, &room, by);
            }
        }
        (true, RoomState::Deactivated) => {
            let reply = Reply::new(Code::Notice, "room-stays-closed").with("room", room.name.clone());
            scene.post(Place::Stream(stream.clone()), reply);
        }
        (false, _) | (true, _) => {}
    }
}

fn tell_closed(scene: &mut Scene, room: &Room, by: &Person) {
    let Some(reader) = members::reader(scene, room) else { return };
    let by = (!by.is_unknown()).then(|| members::name_of(scene, room, by.id));
    let reply = Reply::new(Code::Notice, "room-closed-by-hand").with("room", room.name.clone()).with("by", by);
    scene.post(Place::Direct(reader), reply);
}
