//! What people answer to the bot's questions: buttons and forms, each counted once.
use super::ask::{About, Ask};
use super::commands::sms::Wish;
use super::commands::{self, Given};
use super::commit::Entry;
use super::consent::Turn;
use super::effect::*;
use super::entitlement::User;
use super::event::FormSent;
use super::grammar::Args;
use super::groups;
use super::ids::*;
use super::members;
use super::message::{Message, MessageState};
use super::notices::{self, AdvisorChange};
use super::presence::{self, Cause};
use super::refusal::Refusal;
use super::relay;
use super::room::Room;
use super::saying::{Asking, ask_client};
use super::scene::Scene;
use super::sending::{Accepted, Draft, accept, contact_name};
use super::wakes::end_review;
use serde_json::{Map, Value, json};

/// The question that the form's message put; unknown while the answer to our own posting is on its way.
pub fn question_of(scene: &Scene, sent: &FormSent) -> Option<Ask> {
    let id = scene.pointer(Ask::posted_key(&sent.form_message))?;
    scene.ask(&AskId(id))
}

pub fn form_sent(scene: &mut Scene, sent: &FormSent) {
    if sent.by.id == scene.policy.bot || sent.by.service {
        return;
    }
    let caller = scene.meet(&sent.by);
    members::is_there(scene, caller.id);
    let place = Place::Stream(sent.stream.clone());
    let Some(mut ask) = question_of(scene, sent) else {
        return scene.post(place, Refusal::new("expired-confirmation").into_reply());
    };
    if let Err(refusal) = may_answer(scene, &ask, &caller) {
        return scene.post(place, refusal.into_reply());
    }
    if let Some(first) = &ask.answered {
        // A form counts once: later presses get the first answer again (COMMANDS §1).
        return scene.post(place, first.clone());
    }
    if ask.expires_at.is_some_and(|end| scene.now >= end) {
        return scene.post(place, Refusal::new("expired-confirmation").into_reply());
    }
    let pressed = sent.values.get("action").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut fresh = ask.clone();
    // Marked before it runs, so that nothing it does can answer it a second time.
    fresh.answered = Some(Reply::new(Code::Info, "working"));
    scene.put(&fresh);
    let answer = settle(scene, &ask, &caller, &place, &pressed, &sent.values);
    ask.answered = is_settled_by(&ask.about, &answer).then_some(answer);
    scene.put(&ask);
}

/// An offer stands as long as what it offers was not done: who may not send today may do so after the client's later yes.
fn is_settled_by(about: &About, answer: &Reply) -> bool {
    let is_offer = match about {
        About::SendAgain { .. } | About::SendHere { .. } | About::TakeOver { .. } | About::SmsOffer { .. } => true,
        About::Command { .. }
        | About::Form { .. }
        | About::Invitation { .. }
        | About::Review { .. }
        | About::MoveHere { .. }
        | About::JoinOrNew { .. }
        | About::AdmitMember { .. } => false,
    };
    !(is_offer && answer.code == Code::Refusal)
}

fn may_answer(scene: &Scene, ask: &Ask, caller: &User) -> Result<(), Refusal> {
    match (ask.asked, &ask.place) {
        (Some(asked), _) if asked != caller.id => Err(Refusal::new("not-yours").with("name", scene.user_name(asked))),
        (Some(_), _) => Ok(()),
        (None, Place::Room(key)) => {
            let member = scene.room(key).is_some_and(|room| room.members.contains_key(&caller.id));
            let rights = scene.rights_of_email(&caller.email);
            if member && rights.has_any() { Ok(()) } else { Err(Refusal::new("not-entitled")) }
        }
        (None, _) if scene.rights_of_email(&caller.email).has_any() => Ok(()),
        (None, _) => Err(Refusal::new("not-entitled")),
    }
}

fn settle(scene: &mut Scene, ask: &Ask, caller: &User, place: &Place, pressed: &str, values: &Map<String, Value>) -> Reply {
    if pressed == "cancel" {
        note_not_taken_over(scene, ask, caller);
        return say(scene, place, Reply::new(Code::Info, "nothing-done"));
    }
    let press = Press { ask, caller, place, looked_up: false };
    match ask.about.clone() {
        About::Command { path, args, room } => run(scene, &press, &path, args, room),
        About::Form { path, room } => form(scene, &press, &path, values, room),
        About::JoinOrNew { path, args, existing } => match pressed {
            "join" => ask_owner(scene, caller, place, &existing),
            _ => run(scene, &press, &path, args, None),
        },
        About::Invitation { contact, channel, room } => invite(scene, caller, place, &contact, channel, room),
        About::SmsOffer { contact, waited } => match pressed {
            "sms-yes" => try_sms(scene, &press, &contact, &waited),
            _ => say(scene, place, Reply::new(Code::Info, "nothing-done").about(&contact)),
        },
        About::SendHere { message, room } => send_here(scene, caller, place, &message, &room),
        About::Review { contact, channel } => review(scene, caller, place, &contact, channel, pressed),
        About::SendAgain { message } => send_again(scene, caller, place, &message),
        About::TakeOver { message, room } => take_over(scene, caller, place, &message, &room),
        About::MoveHere { contact, room, line, others } => {
            move_here(scene, caller, place, &contact, &room, line, &others, pressed)
        }
        About::AdmitMember { room, user, name } => admit(scene, caller, place, &room, user, &name, pressed),
    }
}

fn say(scene: &mut Scene, place: &Place, reply: Reply) -> Reply {
    scene.post(place.clone(), reply.clone());
    reply
}

/// One press of a button: on which question, by whom, where.
struct Press<'p> {
    ask: &'p Ask,
    caller: &'p User,
    place: &'p Place,
    /// Somebody named in it was looked up already and is not known to the platform.
    looked_up: bool,
}

fn given(scene: &Scene, press: &Press, path: &str, args: Args, room: Option<RoomKey>) -> Option<Given> {
    let command = commands::find(path)?;
    Some(Given {
        command,
        caller: press.caller.clone(),
        rights: scene.rights_of_email(&press.caller.email),
        place: press.place.clone(),
        room: room.and_then(|key| scene.room(&key)),
        args,
        confirmed: false,
        looked_up: press.looked_up,
        ask: Some(press.ask.id.clone()),
    })
}

fn run(scene: &mut Scene, press: &Press, path: &str, args: Args, room: Option<RoomKey>) -> Reply {
    match given(scene, press, path, args, room) {
        Some(given) => commands::run(scene, Given { confirmed: true, ..given }),
        None => say(scene, press.place, Refusal::new("unknown-command").with("suggestions", json!([])).into_reply()),
    }
}

/// A wrong field brings the form back filled, the reason beside the field.
fn form(scene: &mut Scene, press: &Press, path: &str, values: &Map<String, Value>, room: Option<RoomKey>) -> Reply {
    let Some(command) = commands::find(path) else { return Reply::new(Code::Info, "nothing-done") };
    let args = commands::args_of_form(command, values);
    let Some(given) = given(scene, press, path, args, room) else { return Reply::new(Code::Info, "nothing-done") };
    let mark = scene.mark();
    match commands::may_run(&given).and_then(|()| (command.run)(scene, &given)) {
        Err(refusal) => {
            scene.back_to(mark);
            // A colleague whom nobody has met yet may be entitled all the same.
            if commands::ask_who_they_are(scene, &given, values) {
                return Reply::new(Code::Info, "working");
            }
            if !is_of_a_field(&refusal) {
                return commands::run(scene, given);
            }
            let again = commands::form(scene, &given, values, Some(&refusal));
            say(scene, press.place, again)
        }
        Ok(_) => {
            scene.back_to(mark);
            commands::run(scene, given)
        }
    }
}

/// Something in the form can be mended, as against what the caller may not do at all.
fn is_of_a_field(refusal: &Refusal) -> bool {
    const ALWAYS: [&str; 8] = [
        "bad-argument",
        "phone-invalid",
        "email-required",
        "name-too-long",
        "no-such-contact",
        "ambiguous",
        "missing-parameter",
        "match-one-only",
    ];
    ALWAYS.contains(&refusal.code) || refusal.vars.iter().any(|(name, _)| *name == "argument")
}

/// Somebody whom a form or a confirmed command names was looked up: it is judged as if he had been known from the start.
/// False where no question waits for that.
pub fn looked_up(scene: &mut Scene, again: &Again, found: bool) -> bool {
    let ask = again.ask.as_ref().and_then(|id| scene.ask(id));
    let (Some(caller), Some(ask)) = (scene.user(again.caller), ask) else { return false };
    let press = Press { ask: &ask, caller: &caller, place: &again.place, looked_up: !found };
    let answer = match ask.about.clone() {
        About::Form { path, room } => form(scene, &press, &path, &again.values, room),
        About::Command { path, args, room } => run(scene, &press, &path, args, room),
        _ => return false,
    };
    answer_is(scene, &ask.id, answer);
    true
}

/// Later presses get this again.
fn answer_is(scene: &mut Scene, ask: &AskId, answer: Reply) {
    if let Some(mut ask) = scene.ask(ask).filter(|_| answer.template != "working") {
        ask.answered = is_settled_by(&ask.about, &answer).then_some(answer);
        scene.put(&ask);
    }
}

/// The room that a question asked for was not made. A form comes back when its name was taken; whatever is said is the
/// question's answer.
pub fn not_opened(scene: &mut Scene, ask: &AskId, room: &Room, place: &Place, refusal: Refusal) {
    let reply = form_back(scene, ask, room, place, &refusal);
    let mut reply = reply.unwrap_or_else(|| refusal.into_reply());
    reply.contact = room.contacts.first().cloned();
    answer_is(scene, ask, reply.clone());
    scene.post(place.clone(), reply);
}

fn form_back(scene: &mut Scene, ask: &AskId, room: &Room, place: &Place, refusal: &Refusal) -> Option<Reply> {
    let ask = scene.ask(ask)?;
    let About::Form { path, room: at } = ask.about.clone() else { return None };
    let caller = scene.user(ask.asked?)?;
    let command = commands::find(&path).filter(|command| is_of_a_field(refusal) && command.positional.contains(&"name"))?;
    let press = Press { ask: &ask, caller: &caller, place, looked_up: true };
    let values = fields_of(&caller, room);
    let given = given(scene, &press, command.path, Args::default(), at)?;
    Some(commands::form(scene, &given, &values, Some(refusal)))
}

/// What was chosen for this room, as the forms that make rooms have it.
fn fields_of(caller: &User, room: &Room) -> Map<String, Value> {
    let contacts: Vec<&str> = room.contacts.iter().map(|id| id.as_str()).collect();
    let colleagues: Vec<&UserId> = room.members.keys().filter(|user| **user != caller.id).collect();
    let (first, all) = (contacts.first().copied().unwrap_or_default(), contacts.join(","));
    let values = [
        ("name", json!(room.name)),
        ("contact", json!(first)),
        ("contacts", json!(all)),
        ("advisors", json!(colleagues)),
        ("native", json!(room.is_native())),
    ];
    values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// S3-6: the advisor attests, then the client is asked.
fn invite(
    scene: &mut Scene,
    caller: &User,
    place: &Place,
    contact: &ContactId,
    channel: Channel,
    room: Option<RoomKey>,
) -> Reply {
    let rights = scene.rights_of_email(&caller.email);
    let line = room.as_ref().and_then(|key| scene.room(key)).map(|room| room.line);
    let line = line.or_else(|| scene.contact(contact).and_then(|c| c.on(channel).line));
    let (true, Some(line)) = (rights.may_use(channel), line) else {
        return say(scene, place, Refusal::new("not-entitled").about(contact).into_reply());
    };
    let asking = Asking {
        contact,
        channel,
        line: &line,
        room: room.clone(),
        by: caller.id,
        actor: caller.id,
        attested: "confirmed that the client agreed to be contacted",
    };
    let name = contact_name(scene, room.as_ref(), contact);
    // A colleague may have asked in the meantime; the client is asked again after 24 h at the earliest (S3-21).
    let unasked = scene.contact(contact).is_some_and(|contact| contact.consent(channel) == super::consent::Consent::None);
    match if unasked { ask_client(scene, asking) } else { None } {
        Some(_) => {
            let reply = Reply::answer("invitation-sent").about(contact).with("name", name).with("has_room", room.is_some());
            let waits = super::approval::invitation_waits(scene, contact);
            say(scene, place, commands::for_reader(reply.with("waits", waits), &rights))
        }
        None => {
            let consent = scene.contact(contact).map(|c| c.consent(channel)).unwrap_or_default();
            let reply = Reply::new(Code::Info, "consent-stands").about(contact).with("name", name);
            say(scene, place, reply.with("consent", consent.name()))
        }
    }
}

fn review(scene: &mut Scene, caller: &User, place: &Place, contact: &ContactId, channel: Channel, pressed: &str) -> Reply {
    let turn = if pressed == "review-stop" { Turn::StopConfirmed } else { Turn::Cleared };
    let actor = scene.actor(caller.id);
    let ended = end_review(scene, contact, channel, turn, &actor);
    let room = match place {
        Place::Stream(stream) => scene.room_of_stream(stream).map(|room| room.key),
        Place::Room(key) => Some(key.clone()),
        Place::Direct(_) | Place::DirectByEmail(_) => None,
    };
    let name = contact_name(scene, room.as_ref(), contact);
    let consent = scene.contact(contact).map(|c| c.consent(channel)).unwrap_or_default();
    let template = if ended { "review-ended" } else { "consent-stands" };
    say(scene, place, Reply::new(Code::Info, template).about(contact).with("name", name).with("consent", consent.name()))
}

/// S3-11: the SMS room, with its own consent.
fn try_sms(scene: &mut Scene, press: &Press, contact: &ContactId, waited: &[MessageId]) -> Reply {
    let Some(contact) = scene.contact(contact) else { return Reply::new(Code::Info, "nothing-done") };
    let mark = scene.mark();
    let wish = Wish { caller: press.caller, place: press.place, ask: Some(press.ask.id.clone()), again: waited };
    match commands::sms::open(scene, &contact, wish) {
        Ok(Some(there)) => say(scene, press.place, there),
        Ok(None) => Reply::new(Code::Info, "working"),
        Err(refusal) => {
            scene.back_to(mark);
            say(scene, press.place, refusal.about(&contact.id).into_reply())
        }
    }
}

/// What waited on another channel, as a new message of whoever confirms it.
fn send_here(scene: &mut Scene, caller: &User, place: &Place, id: &MessageId, room: &RoomKey) -> Reply {
    let (Some(message), Some(room)) = (scene.message(id), scene.room(room)) else {
        return say(scene, place, Reply::new(Code::Info, "nothing-done"));
    };
    send_anew(scene, caller, place, &message, &room)
}

/// A new message with a new id, linked in the journal; the gate is asked anew.
fn send_again(scene: &mut Scene, caller: &User, place: &Place, id: &MessageId) -> Reply {
    let Some(message) = scene.message(id) else { return say(scene, place, Reply::new(Code::Info, "nothing-done")) };
    let room: Option<Room> = message.room.as_ref().and_then(|key| scene.room(key));
    let may = matches!(message.state, MessageState::Unconfirmed | MessageState::Withdrawn { .. } | MessageState::Failed { .. });
    let (true, Some(room)) = (may, room) else {
        let reply = Reply::new(Code::Info, "arrived-after-all").about(&message.contact).of(id);
        return say(scene, place, reply.with("state", message.state.name()));
    };
    if let Some(from) = message.passed_on_from() {
        let accepted = groups::pass(scene, &room, from, &message.contact, message.body.clone());
        return answer_again(scene, place, &message, &room, accepted);
    }
    if message.advisor().is_none() {
        return ask_again(scene, caller, place, &message, &room);
    }
    send_anew(scene, caller, place, &message, &room)
}

/// S4-41: what waited when the conversation was handed over goes in the words of the one who has it now.
fn take_over(scene: &mut Scene, caller: &User, place: &Place, id: &MessageId, room: &RoomKey) -> Reply {
    let (Some(mut message), Some(room)) = (scene.message(id), scene.room(room)) else {
        return say(scene, place, Reply::new(Code::Info, "nothing-done"));
    };
    message.body = relay::in_the_name_of(scene, &room, &message, caller.id);
    send_anew(scene, caller, place, &message, &room)
}

/// What a colleague had written and the client never gets is evidence of its own.
fn note_not_taken_over(scene: &mut Scene, ask: &Ask, caller: &User) {
    let About::TakeOver { message, room } = &ask.about else { return };
    let Some(message) = scene.message(message) else { return };
    let entry = Entry::new("message.not_taken_over", scene.actor(caller.id)).about(&message.contact);
    scene
        .note(entry.room(room).message(&message.id).detail(json!({ "author": message.advisor().map(|user| scene.actor(user)) })));
}

fn send_anew(scene: &mut Scene, caller: &User, place: &Place, message: &Message, room: &Room) -> Reply {
    let draft = Draft { room, contact: &message.contact, author: caller.id, body: message.body.clone(), chat_message: None };
    let accepted = accept(scene, draft);
    answer_again(scene, place, message, room, accepted)
}

fn ask_again(scene: &mut Scene, caller: &User, place: &Place, message: &Message, room: &Room) -> Reply {
    let asking = Asking {
        contact: &message.contact,
        channel: message.channel,
        line: &room.line,
        room: Some(room.key.clone()),
        by: caller.id,
        actor: caller.id,
        attested: "asked to send the unconfirmed request again",
    };
    let asked = if message.is_request() { ask_client(scene, asking) } else { None };
    let template = if asked.is_some() { "sent-again" } else { "nothing-done" };
    say(scene, place, Reply::new(Code::Info, template).about(&message.contact))
}

fn answer_again(scene: &mut Scene, place: &Place, message: &Message, room: &Room, accepted: Accepted) -> Reply {
    match accepted {
        Accepted::Ready(new) | Accepted::Held(new, _) => {
            let entry = Entry::new("message.sent_again", "advisor").about(&message.contact).message(&new);
            scene.note(entry.room(&room.key).detail(json!({ "instead_of": message.id })));
            say(scene, place, Reply::new(Code::Info, "sent-again").about(&message.contact).of(&new))
        }
        Accepted::Refused(gate) => {
            let refused = relay::refused_text(scene, room, &message.contact, gate);
            say(scene, place, refused)
        }
        Accepted::Full(count) => {
            let refusal = relay::too_many(scene, room, &message.contact, count);
            say(scene, place, refusal.into_reply())
        }
    }
}

#[allow(clippy::too_many_arguments)] // One question, taken apart.
fn move_here(
    scene: &mut Scene,
    caller: &User,
    place: &Place,
    contact: &ContactId,
    from: &RoomKey,
    line: Reply,
    others: &[RoomKey],
    pressed: &str,
) -> Reply {
    // `move-here` is the first of the other rooms, `move-here-2` the second, …
    let nth = pressed.strip_prefix("move-here-").and_then(|n| n.parse::<usize>().ok()).unwrap_or(1);
    let Some(to) = others.get(nth.saturating_sub(1)) else { return Reply::new(Code::Info, "nothing-done") };
    if !relay::move_line(scene, contact, from, to, line, caller.id) {
        return say(scene, place, Reply::new(Code::Info, "nothing-done").about(contact));
    }
    let name = scene.room(to).map(|room| room.name).unwrap_or_default();
    say(scene, place, Reply::new(Code::Info, "moved").about(contact).with("room", name))
}

fn ask_owner(scene: &mut Scene, caller: &User, place: &Place, existing: &RoomKey) -> Reply {
    let Some((room, owner)) = scene.room(existing).and_then(|room| room.owner().map(|owner| (room, owner))) else {
        return say(scene, place, Reply::new(Code::Info, "nothing-done"));
    };
    if room.members.contains_key(&caller.id) {
        return say(scene, place, Reply::new(Code::Info, "you-are-in").with("room", room.name));
    }
    let about = About::AdmitMember { room: existing.clone(), user: caller.id, name: caller.name.clone() };
    let at_owner = Place::Direct(owner);
    let ask = scene.new_ask(Some(owner), &at_owner, about, room.contacts.first());
    scene.put(&ask);
    let card = Reply::new(Code::Confirm, "admit-member").asking(&ask.id).with("name", caller.name.clone());
    scene.post(at_owner, card.with("room", room.name.clone()));
    let owner = scene.user_name(owner);
    say(scene, place, Reply::new(Code::Info, "owner-asked").with("owner", owner).with("room", room.name))
}

fn admit(scene: &mut Scene, caller: &User, place: &Place, key: &RoomKey, user: UserId, name: &str, pressed: &str) -> Reply {
    let Some(mut room) = scene.room(key) else { return Reply::new(Code::Info, "nothing-done") };
    let owned = presence::may_manage(scene, &room, caller.id);
    let fits = owned && presence::belongs(scene, &room, user) && room.is_live() && room.stream.is_some();
    let (true, "confirm") = (fits, pressed) else {
        let reply = Reply::new(Code::Info, "not-admitted").with("room", room.name);
        scene.post(Place::Direct(user), reply);
        return say(scene, place, Reply::new(Code::Info, "nothing-done"));
    };
    if room.members.contains_key(&user) {
        return say(scene, place, Reply::new(Code::Info, "nothing-done"));
    }
    if let Err(refusal) = members::may_change(&room) {
        scene.post(Place::Direct(user), Reply::new(Code::Info, "not-admitted").with("room", room.name));
        return say(scene, place, refusal.into_reply());
    }
    let cause = Cause::command(scene, caller.id);
    presence::comes(scene, &mut room, user, false, &cause);
    notices::tell_clients(scene, &room, user, AdvisorChange::Joined);
    scene.post(Place::Direct(user), Reply::new(Code::Info, "admitted").with("room", room.name.clone()));
    say(scene, place, Reply::answer("member-added").with("name", name).with("room", room.name))
}
