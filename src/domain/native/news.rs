//! What WhatsApp tells of a native group, and what came of what we asked of it.
use super::*;
use crate::domain::event::{ClientKeys, GroupNews, GroupTold};
use crate::domain::relay::{find_contact, learn_of};
use crate::fault;

/// A stranger who asks again and again is told of once in this time.
const STRANGERS_TOLD_EVERY: Span = Span::hours(1);

pub fn told(scene: &mut Scene, told: &GroupTold) {
    note(scene, told);
    match &told.news {
        GroupNews::Created { request, link } => {
            if let Some(room) = scene.pointer(request_key(request)).map(RoomKey::new) {
                created(scene, &room, &told.group, link.as_deref());
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
        GroupNews::Joined { who } => joined(scene, &room, group, who),
        GroupNews::Left { who } => left(scene, &room, who),
        GroupNews::Removed { who } => removed(scene, &room, who),
        GroupNews::NotRemoved { who, code, .. } => not_removed(scene, &room, who, code),
        GroupNews::NotChanged { code, .. } => {
            tell(scene, &room, Reply::new(Code::Notice, "group-not-changed").because(code.clone()))
        }
        GroupNews::PictureChanged { request } => picture::told(scene, &room, request, None),
        GroupNews::PictureNotChanged { request, code, detail } => picture::told(scene, &room, request, Some((code, detail))),
        GroupNews::Deleted => ended(scene, room),
        GroupNews::Suspended => suspended(scene, room, true),
        GroupNews::Unsuspended => suspended(scene, room, false),
        GroupNews::AsksNoMore { .. } | GroupNews::Created { .. } | GroupNews::NotCreated { .. } => {}
    }
}

pub(super) fn tell(scene: &mut Scene, room: &Room, reply: Reply) {
    scene.post(Place::Room(room.key.clone()), reply.with("room", room.name.clone()));
}

// ---- made

fn created(scene: &mut Scene, key: &RoomKey, group: &GroupId, link: Option<&str>) {
    let Some(mut room) = scene.room(key) else { return };
    let Some(native) = room.native.as_mut().filter(|native| native.group.is_none()) else { return };
    native.group = Some(group.clone());
    native.look_at = None;
    native.link = link.map(str::to_owned);
    let has_link = native.link.is_some();
    scene.put(&room);
    scene.point(group_key(group), key);
    scene.note(Entry::new("group.created", PROGRAM).room(key).detail(json!({ "group": group })));
    if !room.is_live() {
        return room_closed(scene, &room);
    }
    if has_link {
        send_links(scene, key);
    } else {
        act(scene, &room, GroupCall::Link { group: group.clone(), anew: false });
    }
    let invited =
        scene.room(key).and_then(|room| room.native).map_or(0, |native| native.members.values().filter(|m| m.linked).count());
    tell(scene, &room, Reply::new(Code::Info, "group-created").with("invited", invited).with("count", room.contacts.len()));
}

/// What came of a call; changes of one kind may be done twice, so nothing else is lost with one.
pub fn call_done(scene: &mut Scene, done: &GroupAct, answer: Option<&str>) {
    let answer = answer.unwrap_or_default();
    match &done.call {
        GroupCall::Create { .. } => asked_for(scene, &done.room, answer),
        GroupCall::Find { .. } => created(scene, &done.room, &GroupId::new(answer), None),
        GroupCall::Link { .. } => {
            let Some(mut room) = scene.room(&done.room) else { return };
            let Some(native) = &mut room.native else { return };
            native.link = Some(answer.to_owned());
            scene.put(&room);
            send_links(scene, &done.room);
        }
        GroupCall::Picture { file, .. } => picture::taken(scene, &done.room, &file.id, answer),
        GroupCall::Change { .. } | GroupCall::Answer { .. } | GroupCall::Remove { .. } | GroupCall::Delete { .. } => {}
    }
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
        created(scene, key, &GroupId::new(group), Some(link).filter(|link| !link.is_empty()));
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
        GroupCall::Remove { who, .. } => {
            let keys = ClientKeys { phone: who.phone.clone(), user_id: who.user_id.clone(), ..ClientKeys::default() };
            not_removed(scene, &room, &keys, code);
        }
        GroupCall::Picture { file, .. } => picture::refused(scene, &room.key, Some(&file.id), code, detail),
        GroupCall::Change { .. } | GroupCall::Link { .. } => {
            tell(scene, &room, Reply::new(Code::Notice, "group-not-changed").because(code));
        }
        GroupCall::Answer { .. } | GroupCall::Delete { .. } => {}
    }
}

// ---- people

/// S1-12, S1-14, S1-16: whoever is invited and has agreed is let in, everybody else is not.
fn asks_to_join(scene: &mut Scene, room: &Room, group: &GroupId, request: &str, who: &ClientKeys) {
    let contact = find_contact(scene, who);
    let state = contact.as_ref().and_then(|contact| room.native.as_ref()?.state_of(&contact.id));
    let may_join = |state: Membership| state.may_join() || fault::planted("barred-let-in");
    let approve = contact.as_ref().is_some_and(may_be_invited) && state.is_some_and(may_join) && room.is_live();
    act(scene, room, GroupCall::Answer { group: group.clone(), request: request.to_owned(), approve });
    let kind = if approve { "group.request_approved" } else { "group.request_rejected" };
    let detail = json!({ "request": request, "state": state.map(Membership::name) });
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
fn joined(scene: &mut Scene, room: &Room, group: &GroupId, who: &ClientKeys) {
    let contact = find_contact(scene, who);
    let state = contact.as_ref().and_then(|contact| room.native.as_ref()?.state_of(&contact.id));
    let Some((contact, state)) = contact.clone().zip(state).filter(|(_, state)| *state != Membership::Barred) else {
        return take_out(scene, room, group, contact.as_ref(), who);
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
    let Some(member) = room.native.as_mut().and_then(|native| native.members.get_mut(&contact.id)) else { return };
    let Some(state) = member.state.after(Step::Join) else { return };
    member.state = state;
    scene.put(&room);
    scene.note(Entry::new("group.joined", "client").about(&contact.id).room(key).told_at(scene.event.at));
    let name = crate::domain::sending::contact_name(scene, Some(key), &contact.id);
    tell(scene, &room, Reply::new(Code::Notice, "group-joined").about(&contact.id).with("name", name));
}

/// His own message shows that he is in, by whatever door (S1-28): he is taken out, which is asked for once.
pub(super) fn show_out(scene: &mut Scene, room: &Room, group: &GroupId, contact: Option<&Contact>, who: &ClientKeys) {
    let Some(native) = room.native.as_ref().filter(|_| room.is_live()) else { return };
    let state = contact.and_then(|contact| native.state_of(&contact.id));
    let asked = native.strangers.contains(&mark_of(who)) || contact.is_some_and(|c| native.reading_along.contains(&c.id));
    if !asked && state.is_none_or(|state| state == Membership::Barred) {
        take_out(scene, room, group, contact, who);
    }
}

/// What WhatsApp calls somebody who is no contact.
fn mark_of(who: &ClientKeys) -> String {
    let phone = who.phone.as_ref().map(|phone| phone.digits().to_owned());
    who.wa_id.clone().or(phone).or(who.user_id.clone()).unwrap_or_default()
}

fn take_out(scene: &mut Scene, room: &Room, group: &GroupId, contact: Option<&Contact>, who: &ClientKeys) {
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
    take_out_of_group(scene, room, contact, group.clone(), address);
    let entry = Entry::new("group.uninvited_taken_out", PROGRAM).room(&room.key);
    scene.note(Entry { contact: contact.map(|contact| contact.id.clone()), ..entry });
    tell(scene, room, Reply::new(Code::Notice, "group-uninvited"));
}

fn left(scene: &mut Scene, room: &Room, who: &ClientKeys) {
    reads_no_more(scene, &room.key, who);
    step(scene, room, who, Step::Leave, "group-left");
}

/// Taken out: by us, or by somebody in the firm's own WhatsApp tools, which counts the same.
fn removed(scene: &mut Scene, room: &Room, who: &ClientKeys) {
    reads_no_more(scene, &room.key, who);
    step(scene, room, who, Step::Bar, "group-removed");
}

/// Whoever had no right to be in it is out, taken out or by himself: what waited for that may go.
fn reads_no_more(scene: &mut Scene, key: &RoomKey, who: &ClientKeys) {
    let contact = find_contact(scene, who);
    let Some(mut room) = scene.room(key) else { return };
    let Some(native) = &mut room.native else { return };
    let known = contact.is_some_and(|contact| native.reading_along.remove(&contact.id));
    if !native.strangers.remove(&mark_of(who)) && !known {
        return;
    }
    scene.put(&room);
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
    let name = find_contact(scene, who).map(|contact| crate::domain::sending::contact_name(scene, Some(&room.key), &contact.id));
    tell(scene, room, Reply::new(Code::Notice, "group-not-removed").because(code).with("name", name));
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
    }
    scene.put(&room);
    rooms::closed(scene, &room.key, "whatsapp");
}

fn suspended(scene: &mut Scene, mut room: Room, now: bool) {
    let Some(native) = room.native.as_mut().filter(|native| native.suspended != now) else { return };
    native.suspended = now;
    scene.put(&room);
    tell(scene, &room, Reply::new(Code::Notice, "group-suspended").with("over", !now));
    talk::release(scene, &room.key);
}
