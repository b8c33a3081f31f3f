//! What WhatsApp tells of a native group, and what came of what we asked of it.
use super::*;
use crate::domain::event::{ClientKeys, GroupNews, GroupTold};
use crate::domain::relay::{find_contact, learn_of};
use crate::fault;
use serde_json::Value;

/// A stranger who asks again and again is told of once in this time.
const STRANGERS_TOLD_EVERY: Span = Span::hours(1);

pub fn told(scene: &mut Scene, told: &GroupTold) {
    note(scene, told);
    match &told.news {
        GroupNews::Created { request, link } => {
            if let Some(room) = scene.pointer(request_key(request)).map(RoomKey::new) {
                told_of_creation(scene, &room, &told.group, link.as_deref());
            } else {
                // The webhook overtook the answer to our call: it is kept until that comes.
                scene.point(request_key(request), format_args!("{}\n{}", told.group, link.as_deref().unwrap_or_default()));
            }
        }
        GroupNews::NotCreated { request, code, detail } => {
            if let Some(room) = scene.pointer(request_key(request)).map(RoomKey::new) {
                fall_back(scene, &room, code, detail);
            }
        }
        GroupNews::AsksToJoin { .. }
        | GroupNews::AsksNoMore { .. }
        | GroupNews::Joined { .. }
        | GroupNews::Left { .. }
        | GroupNews::Removed { .. }
        | GroupNews::NotRemoved { .. }
        | GroupNews::NotChanged { .. }
        | GroupNews::PictureChanged { .. }
        | GroupNews::PictureNotChanged { .. }
        | GroupNews::Deleted
        | GroupNews::Suspended
        | GroupNews::Unsuspended => {
            if let Some(room) = room_of(scene, &told.group) {
                heard(scene, room, &told.group, &told.news);
            }
        }
    }
}

/// Under the key of whom it tells of; of somebody we do not know only what he did.
fn note(scene: &mut Scene, told: &GroupTold) {
    let room = room_of(scene, &told.group).map(|room| room.key);
    let (word, who) = in_short(&told.news);
    let contact = who.and_then(|who| find_contact(scene, who)).map(|contact| contact.id);
    if let Some(contact) = &contact {
        scene.raw_belongs_to(contact);
    }
    let who = who.filter(|_| contact.is_some());
    let detail = json!({ "line": told.line, "group": told.group, "news": word, "who": who });
    scene.note(Entry { room, contact, ..Entry::new("group.told", "whatsapp").told_at(scene.event.at).detail(detail) });
}

fn in_short(news: &GroupNews) -> (&'static str, Option<&ClientKeys>) {
    match news {
        GroupNews::Created { .. } => ("created", None),
        GroupNews::NotCreated { .. } => ("not created", None),
        GroupNews::AsksToJoin { who, .. } => ("asks to join", Some(who)),
        GroupNews::AsksNoMore { who, .. } => ("asks no more", Some(who)),
        GroupNews::Joined { who } => ("joined", Some(who)),
        GroupNews::Left { who } => ("left", Some(who)),
        GroupNews::Removed { who } => ("removed", Some(who)),
        GroupNews::NotRemoved { who, .. } => ("not removed", Some(who)),
        GroupNews::NotChanged { .. } => ("not changed", None),
        GroupNews::PictureChanged { .. } => ("picture changed", None),
        GroupNews::PictureNotChanged { .. } => ("picture not changed", None),
        GroupNews::Deleted => ("deleted", None),
        GroupNews::Suspended => ("suspended", None),
        GroupNews::Unsuspended => ("unsuspended", None),
    }
}

fn heard(scene: &mut Scene, room: Room, group: &GroupId, news: &GroupNews) {
    match news {
        GroupNews::AsksToJoin { request, who } => asks_to_join(scene, &room, group, request, who),
        GroupNews::Joined { who } => joined(scene, &room, who),
        GroupNews::Left { who } => left(scene, &room, who),
        GroupNews::Removed { who } => removed(scene, &room, who),
        GroupNews::NotRemoved { who, code, .. } => not_removed(scene, &room, who, code),
        GroupNews::NotChanged { code, .. } => owed::refused(scene, &room.key, &What::Words, code),
        GroupNews::PictureChanged { request } => picture::told(scene, &room, request, None),
        GroupNews::PictureNotChanged { request, code, detail } => picture::told(scene, &room, request, Some((code, detail))),
        GroupNews::Deleted => ended(scene, room),
        GroupNews::Suspended => suspended(scene, room, true),
        GroupNews::Unsuspended => suspended(scene, room, false),
        GroupNews::AsksNoMore { request, who } => owed::done(scene, &room.key, &answer_to(request, who, false)),
        GroupNews::Created { .. } | GroupNews::NotCreated { .. } => {}
    }
}

pub(super) fn tell(scene: &mut Scene, room: &Room, reply: Reply) {
    scene.post(Place::Room(room.key.clone()), reply.with("room", room.name.clone()));
}

// ---- made

/// One that comes when the room has gone on without it has nobody behind it, and goes.
fn told_of_creation(scene: &mut Scene, key: &RoomKey, group: &GroupId, link: Option<&str>) {
    match scene.room(key) {
        Some(room) if !room.is_native() => {
            scene.note(Entry::new("group.came_too_late", PROGRAM).room(key).detail(json!({ "group": group })));
            act(scene, &room, GroupCall::Delete { group: group.clone() });
        }
        Some(_) | None => created(scene, key, group, link),
    }
}

fn created(scene: &mut Scene, key: &RoomKey, group: &GroupId, link: Option<&str>) {
    let Some(mut room) = scene.room(key) else { return };
    let Some(native) = room.native.as_mut().filter(|native| native.group.is_none()) else { return };
    native.group = Some(group.clone());
    native.look_at = None;
    scene.put(&room);
    scene.point(group_key(group), key);
    scene.note(Entry::new("group.created", PROGRAM).room(key).detail(json!({ "group": group })));
    if !room.is_live() {
        return room_closed(scene, &room);
    }
    match link {
        Some(link) => send_links(scene, key, link),
        None => ask_for_link(scene, key),
    }
    catch_up(scene, &room);
    let invited =
        scene.room(key).and_then(|room| room.native).map_or(0, |native| native.members.values().filter(|m| m.linked).count());
    tell(scene, &room, Reply::new(Code::Info, "group-created").with("invited", invited).with("count", room.contacts.len()));
}

/// What came of a call; changes of one kind may be done twice, so nothing else is lost with one.
pub fn call_done(scene: &mut Scene, done: &GroupAct, answer: Option<&str>) {
    let (key, answer) = (&done.room, answer.unwrap_or_default());
    match &done.call {
        GroupCall::Create { .. } => asked_for(scene, key, answer),
        GroupCall::Find { .. } => created(scene, key, &GroupId::new(answer), None),
        GroupCall::Link { .. } => {
            owed::done(scene, key, &What::Link);
            send_links(scene, key, answer);
        }
        GroupCall::Requests { .. } => requests::found(scene, key, answer),
        GroupCall::Picture { file, .. } => picture::taken(scene, key, &file.id, answer),
        GroupCall::Answer { request, .. } => owed::done(scene, key, &answer_to(request, &ClientKeys::default(), false)),
        GroupCall::Remove { who, .. } => owed::taken(scene, key, &removal_of(done.contact.as_ref(), who)),
        // A part of it says nothing of what was refused before.
        GroupCall::Change { subject: Some(_), description: Some(_), .. } => owed::taken(scene, key, &What::Words),
        GroupCall::Change { .. } => {}
        GroupCall::Delete { .. } => owed::done(scene, key, &What::End),
    }
}

fn answer_to(request: &str, who: &ClientKeys, approve: bool) -> What {
    What::Answer { request: request.to_owned(), who: ClientKeys { profile_name: None, ..who.clone() }, approve }
}

fn removal_of(contact: Option<&ContactId>, who: &Address) -> What {
    let keys = ClientKeys { phone: who.phone.clone(), user_id: who.user_id.clone(), ..ClientKeys::default() };
    What::Out { contact: contact.cloned(), mark: mark_of(&keys), to: who.clone() }
}

fn asked_for(scene: &mut Scene, key: &RoomKey, request: &str) {
    // Where the answer was lost there is no request's name: then the group is looked for.
    let before = scene.pointer(request_key(request)).filter(|_| !request.is_empty());
    if !request.is_empty() {
        scene.point(request_key(request), key);
    }
    let Some(mut room) = scene.room(key) else { return };
    let Some(native) = &mut room.native else { return };
    native.look_at = Some(scene.now + LOOK_AFTER);
    scene.put(&room);
    // Told already, before the answer.
    if let Some((group, link)) = before.as_deref().and_then(|told| told.split_once('\n')) {
        told_of_creation(scene, key, &GroupId::new(group), Some(link).filter(|link| !link.is_empty()));
    }
}

pub fn call_failed(scene: &mut Scene, failed: &GroupAct, code: &str, detail: &str) {
    let call = json!({ "call": failed.call, "code": code, "detail": detail });
    let entry = Entry::new("group.call_failed", PROGRAM).room(&failed.room).detail(call);
    scene.note(Entry { contact: failed.contact.clone(), ..entry });
    let Some(mut room) = scene.room(&failed.room) else { return };
    match &failed.call {
        GroupCall::Create { .. } => fall_back(scene, &failed.room, code, detail),
        GroupCall::Find { .. } => {
            let Some(native) = &mut room.native else { return };
            if native.looks >= LOOKS_MAX {
                return fall_back(scene, &failed.room, code, detail);
            }
            native.look_at = Some(scene.now + Span(LOOK_AFTER.0 << native.looks));
            scene.put(&room);
        }
        GroupCall::Remove { who, .. } => owed::refused(scene, &room.key, &removal_of(failed.contact.as_ref(), who), code),
        GroupCall::Picture { file, .. } => picture::refused(scene, &room.key, Some(&file.id), code, detail),
        GroupCall::Change { .. } => owed::refused(scene, &room.key, &What::Words, code),
        GroupCall::Link { .. } => owed::refused(scene, &room.key, &What::Link, code),
        GroupCall::Delete { .. } => owed::refused(scene, &room.key, &What::End, code),
        GroupCall::Answer { request, .. } => not_answered(scene, room, request, code),
        // The next look is due already.
        GroupCall::Requests { .. } => {}
    }
}

/// Of a request that is not kept here only WhatsApp's list says who asks.
fn not_answered(scene: &mut Scene, mut room: Room, request: &str, code: &str) {
    let now = scene.now;
    match &mut room.native {
        Some(native) if !native.owes_answer(request) => {
            requests::look_soon(native, now);
            scene.put(&room);
        }
        Some(_) => owed::refused(scene, &room.key, &answer_to(request, &ClientKeys::default(), false), code),
        None => {}
    }
}

// ---- people

/// S1-12, S1-14, S1-16: whoever is invited and has agreed is let in, everybody else is not.
pub(super) fn asks_to_join(scene: &mut Scene, room: &Room, group: &GroupId, request: &str, who: &ClientKeys) {
    let approve = may_come_in(scene, room, who);
    owed::ask(scene, &room.key, answer_to(request, who, approve));
    note_decision(scene, room, who, approve, json!({ "request": request, "group": group }));
}

fn may_come_in(scene: &Scene, room: &Room, who: &ClientKeys) -> bool {
    let contact = find_contact(scene, who);
    let may_join = |state: Membership| state.may_join() || fault::planted("barred-let-in");
    let state = standing_of(room, contact.as_ref());
    contact.as_ref().is_some_and(may_be_invited) && state.is_some_and(may_join) && room.is_live()
}

fn standing_of(room: &Room, contact: Option<&Contact>) -> Option<Membership> {
    contact.and_then(|contact| room.native.as_ref()?.state_of(&contact.id))
}

/// WhatsApp did not take the answer, and is asked again: he may be another one by now.
pub(super) fn decided_anew(scene: &mut Scene, key: &RoomKey, who: &ClientKeys, before: bool) -> bool {
    let Some(room) = scene.room(key) else { return false };
    let approve = may_come_in(scene, &room, who);
    if approve != before {
        note_decision(scene, &room, who, approve, json!({ "again": true }));
    }
    approve
}

fn note_decision(scene: &mut Scene, room: &Room, who: &ClientKeys, approve: bool, mut detail: Value) {
    let contact = find_contact(scene, who);
    let state = standing_of(room, contact.as_ref());
    let kind = if approve { "group.request_approved" } else { "group.request_rejected" };
    detail["state"] = json!(state.map(Membership::name));
    let entry = Entry::new(kind, PROGRAM).room(&room.key).detail(detail);
    scene.note(Entry { contact: contact.as_ref().map(|contact| contact.id.clone()), ..entry });
    if !approve {
        tell_of_rejection(scene, room, contact.as_ref(), state);
    }
}

fn tell_of_rejection(scene: &mut Scene, room: &Room, contact: Option<&Contact>, state: Option<Membership>) {
    let Some(mut room) = scene.room(&room.key) else { return };
    let now = scene.now;
    let Some(native) = &mut room.native else { return };
    if contact.is_none() && native.strangers_told_at.is_some_and(|told| now < told + STRANGERS_TOLD_EVERY) {
        return;
    }
    if contact.is_none() {
        native.strangers_told_at = Some(now);
        scene.put(&room);
    }
    let name = contact.map(|contact| crate::domain::sending::contact_name(scene, Some(&room.key), &contact.id));
    let reply = Reply::new(Code::Notice, "group-request-rejected").with("name", name).with("state", state.map(Membership::name));
    tell(scene, &room, reply);
}

/// S1-15, S1-17. Whoever is in without a right to be is taken out at once.
fn joined(scene: &mut Scene, room: &Room, who: &ClientKeys) {
    let contact = find_contact(scene, who);
    let state = contact.as_ref().and_then(|contact| room.native.as_ref()?.state_of(&contact.id));
    let Some((contact, state)) = contact.clone().zip(state).filter(|(_, state)| *state != Membership::Barred) else {
        return take_out(scene, room, contact.as_ref(), who);
    };
    if state == Membership::Joined {
        return;
    }
    is_in(scene, &room.key, &contact, who);
    tell_alone(scene, room, &contact, GROUP_JOINED, &[]);
}

/// He is in, whether WhatsApp said so or his first message shows it.
pub(super) fn is_in(scene: &mut Scene, key: &RoomKey, contact: &Contact, who: &ClientKeys) {
    learn_of(scene, contact, who);
    let Some(mut room) = scene.room(key) else { return };
    let Some(native) = &mut room.native else { return };
    let Some(member) = native.members.get_mut(&contact.id) else { return };
    let Some(state) = member.state.after(Step::Join) else { return };
    member.state = state;
    // Whatever he asked for was answered.
    let his = |who: &ClientKeys| find_contact(scene, who).is_some_and(|asking| asking.id == contact.id);
    native.owed.retain(|owed| !matches!(&owed.what, What::Answer { who, .. } if his(who)));
    scene.put(&room);
    scene.note(Entry::new("group.joined", "client").about(&contact.id).room(key).told_at(scene.event.at));
    let name = crate::domain::sending::contact_name(scene, Some(key), &contact.id);
    tell(scene, &room, Reply::new(Code::Notice, "group-joined").about(&contact.id).with("name", name));
}

/// His own message shows that he is in, by whatever door (S1-28): he is taken out, which is asked for once.
pub(super) fn show_out(scene: &mut Scene, room: &Room, contact: Option<&Contact>, who: &ClientKeys) {
    let Some(native) = room.native.as_ref().filter(|_| room.is_live()) else { return };
    let state = contact.and_then(|contact| native.state_of(&contact.id));
    let asked = native.strangers.contains(&mark_of(who)) || contact.is_some_and(|c| native.reading_along.contains(&c.id));
    if !asked && state.is_none_or(|state| state == Membership::Barred) {
        take_out(scene, room, contact, who);
    }
}

/// What WhatsApp calls somebody who is no contact.
fn mark_of(who: &ClientKeys) -> String {
    let phone = who.phone.as_ref().map(|phone| phone.digits().to_owned());
    who.wa_id.clone().or(phone).or(who.user_id.clone()).unwrap_or_default()
}

fn take_out(scene: &mut Scene, room: &Room, contact: Option<&Contact>, who: &ClientKeys) {
    if let Some(mut room) = scene.room(&room.key)
        && let Some(native) = &mut room.native
    {
        match contact {
            Some(contact) => drop(native.reading_along.insert(contact.id.clone())),
            None => drop(native.strangers.insert(mark_of(who))),
        }
        scene.put(&room);
    }
    let address = Address { phone: who.phone.clone(), user_id: who.user_id.clone(), group: None };
    owed::ask(scene, &room.key, owed::out(contact, mark_of(who), address));
    let entry = Entry::new("group.uninvited_taken_out", PROGRAM).room(&room.key);
    scene.note(Entry { contact: contact.map(|contact| contact.id.clone()), ..entry });
    tell(scene, room, Reply::new(Code::Notice, "group-uninvited"));
}

fn left(scene: &mut Scene, room: &Room, who: &ClientKeys) {
    is_out(scene, &room.key, who);
    step(scene, room, who, Step::Leave, "group-left");
    owed::place_is_free(scene, &room.key);
}

/// Taken out: by us, or by somebody in the firm's own WhatsApp tools, which counts the same.
fn removed(scene: &mut Scene, room: &Room, who: &ClientKeys) {
    is_out(scene, &room.key, who);
    step(scene, room, who, Step::Bar, "group-removed");
    owed::place_is_free(scene, &room.key);
}

fn is_out(scene: &mut Scene, key: &RoomKey, who: &ClientKeys) {
    let contact = find_contact(scene, who).map(|contact| contact.id);
    reads_no_more(scene, key, contact.as_ref(), &mark_of(who));
}

/// Whoever had no right to be in it is out, taken out or by himself: what waited for that may go.
pub(super) fn reads_no_more(scene: &mut Scene, key: &RoomKey, contact: Option<&ContactId>, mark: &str) {
    let Some(mut room) = scene.room(key) else { return };
    let Some(native) = &mut room.native else { return };
    let known = contact.is_some_and(|contact| native.reading_along.remove(contact));
    let stranger = native.strangers.remove(mark);
    let asked = What::Out { contact: contact.cloned(), mark: mark.to_owned(), to: Address::default() };
    let waited = native.owes_no_more(&asked).is_some_and(|owed| owed.was_told());
    if !stranger && !known {
        return;
    }
    scene.put(&room);
    if let Some(contact) = contact.filter(|_| known && waited) {
        let name = crate::domain::sending::contact_name(scene, Some(key), contact);
        tell(scene, &room, Reply::new(Code::Notice, "group-removed").about(contact).with("name", name));
    }
    if known {
        removal_is_done(scene, key);
    }
    talk::release(scene, key);
}

fn step(scene: &mut Scene, room: &Room, who: &ClientKeys, step: Step, template: &str) {
    let Some(contact) = find_contact(scene, who) else { return };
    let Some(mut room) = scene.room(&room.key) else { return };
    let Some(member) = room.native.as_mut().and_then(|native| native.members.get_mut(&contact.id)) else { return };
    let Some(state) = member.state.after(step) else { return };
    member.state = state;
    member.linked = false;
    scene.put(&room);
    scene
        .note(Entry::new("group.member", "whatsapp").about(&contact.id).room(&room.key).detail(json!({ "state": state.name() })));
    let name = crate::domain::sending::contact_name(scene, Some(&room.key), &contact.id);
    tell(scene, &room, Reply::new(Code::Notice, template).about(&contact.id).with("name", name));
    // One who had not agreed any more may have been what held the others up.
    talk::release(scene, &room.key);
}

fn not_removed(scene: &mut Scene, room: &Room, who: &ClientKeys, code: &str) {
    let contact = find_contact(scene, who);
    let to = Address { phone: who.phone.clone(), user_id: who.user_id.clone(), group: None };
    owed::refused(scene, &room.key, &owed::out(contact.as_ref(), mark_of(who), to), code);
}

// ---- the group itself

/// Deleted from elsewhere: the room has nobody behind it any more.
fn ended(scene: &mut Scene, mut room: Room) {
    // With its room gone before, the firm itself has ended it.
    if room.is_live() {
        tell(scene, &room, Reply::new(Code::Notice, "group-deleted"));
    }
    if let Some(native) = &mut room.native {
        native.group = None;
        native.look_at = None;
        native.owed.clear();
    }
    scene.put(&room);
    rooms::closed(scene, &room.key, "whatsapp");
}

/// With the end of it all that was refused is asked for at once. Whether that goes through shows only later.
fn suspended(scene: &mut Scene, mut room: Room, now: bool) {
    let changed = room.native.as_mut().is_some_and(|native| std::mem::replace(&mut native.suspended, now) != now);
    if changed {
        scene.put(&room);
    }
    if !now {
        owed::again(scene, &room.key, true, |owed| owed.standing.is_refused());
    }
    if changed {
        talk::release(scene, &room.key);
        tell_of_suspension(scene, &room, now);
    }
}

fn tell_of_suspension(scene: &mut Scene, room: &Room, now: bool) {
    let held = scene.lane(&room.key, &ContactId::of_group(&room.key)).held.len();
    let reading_along = room.native.as_ref().is_some_and(|native| !native.is_among_us());
    let reply = Reply::new(Code::Notice, "group-suspended").with("over", !now).with("held", held);
    tell(scene, room, reply.with("reading_along", reading_along));
}
