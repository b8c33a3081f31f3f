//! Who is in a room, changed by the people themselves: colleagues come and go, become owners, and the bot itself may be
//! taken out. What cannot be said in a room meanwhile is said to one who belongs to it, in his own chat.
use super::commit::{Entry, Key};
use super::contact::{Contact, Pointer};
use super::effect::*;
use super::event::{MemberChange, Person};
use super::handover;
use super::ids::*;
use super::lane::Due;
use super::notices::{self, AdvisorChange};
use super::presence::{self, Cause, Presence, Step, belongs};
use super::refusal::Refusal;
use super::room::{Room, RoomState, Seat};
use super::rooms;
use super::scene::{PROGRAM, Scene};
use super::time::{Span, Timestamp};
use crate::fault;
use serde_json::json;

/// The platform knows nobody (any more) with whom this 1:1 chat could be.
pub const NO_SUCH_USER: &str = "symphony-no-such-user";
/// How far the platform's clock may be behind ours.
const CLOCKS_APART: Span = Span::seconds(5);

// ---- what people do in a room's own settings

pub fn changed(scene: &mut Scene, stream: &StreamId, user: &Person, change: MemberChange, by: &Person) {
    let Some(room) = scene.room_of_stream(stream) else { return };
    if user.id == scene.policy.bot {
        return bot_changed(scene, room, change, by);
    }
    if user.service {
        return;
    }
    let known = scene.meet(user);
    let by_us = by.id == scene.policy.bot;
    if by_us && is_late_echo(scene, &room, user.id, change) {
        return;
    }
    let member = room.members.get(&user.id).map(|member| member.owner);
    if change == MemberChange::Promoted && member.is_none() {
        return promoted_before_he_joined(scene, &room, stream, user, by);
    }
    match (change, member) {
        (MemberChange::Joined, None) if !belongs(scene, &room, user.id) => {
            return show_out(scene, &room, stream, user.id, &known.name);
        }
        (MemberChange::Left, None) => return outsider_left(scene, room, user.id, &Cause::by_hand(scene, by)),
        (MemberChange::Joined, None)
        | (MemberChange::Left, Some(_))
        | (MemberChange::Promoted, Some(false))
        | (MemberChange::Demoted, Some(true)) => {}
        // It stands so already.
        (MemberChange::Joined, Some(_)) | (MemberChange::Promoted | MemberChange::Demoted, None | Some(_)) => return,
    }
    let is_his_own = change == MemberChange::Left && by.id == user.id;
    if room.is_live() && !is_his_own && !by_us && !by.is_unknown() && !presence::may_manage(scene, &room, by.id) {
        return undo(scene, &room, user.id, change, by);
    }
    take_over(scene, room, user.id, change, by);
}

/// After a gap an event may overtake the comparing that finds him: whoever is an owner now has joined.
fn promoted_before_he_joined(scene: &mut Scene, room: &Room, stream: &StreamId, user: &Person, by: &Person) {
    changed(scene, stream, user, MemberChange::Joined, by);
    if scene.room(&room.key).is_some_and(|room| room.members.contains_key(&user.id)) {
        changed(scene, stream, user, MemberChange::Promoted, by);
    }
}

/// What an owner did by hand is as good as his command.
fn take_over(scene: &mut Scene, mut room: Room, user: UserId, change: MemberChange, by: &Person) {
    let cause = Cause::by_hand(scene, by);
    match change {
        MemberChange::Joined => {
            presence::comes(scene, &mut room, user, false, &cause);
            notices::tell_clients(scene, &room, user, AdvisorChange::Joined);
        }
        MemberChange::Left => {
            let how = if cause.by.is_none_or(|by| by == user) { Step::Leaves } else { Step::IsRemoved };
            let gone = presence::goes(scene, &room, user, how, &cause);
            presence::tell_colleagues(scene, &gone, user, how, &cause);
            notices::tell_clients(scene, &gone.room, user, AdvisorChange::Left);
        }
        MemberChange::Promoted | MemberChange::Demoted => {
            let heir = presence::set_owner(scene, &mut room, user, change == MemberChange::Promoted, &cause);
            if let Some(heir) = heir {
                let owner = name_of(scene, &room, heir);
                presence::tell_room(scene, &room, Reply::new(Code::Notice, "owner-instead").with("owner", owner));
            }
        }
    }
}

/// The platform tells late of what the bot did by a command; our records are further by now. What was done with the bot's
/// account by somebody else is younger than they are.
fn is_late_echo(scene: &Scene, room: &Room, user: UserId, change: MemberChange) -> bool {
    let since = match (change, presence::presence(scene, room, user)) {
        (MemberChange::Joined, Some(Presence::Left { at } | Presence::Removed { at })) => at,
        (MemberChange::Left, Some(Presence::In { since })) => since,
        (MemberChange::Joined | MemberChange::Left, _) | (MemberChange::Promoted | MemberChange::Demoted, _) => return false,
    };
    scene.event.at < since + CLOCKS_APART
}

/// One who read along and could not be taken out is gone after all.
fn outsider_left(scene: &mut Scene, mut room: Room, user: UserId, cause: &Cause) {
    if room.outsiders.remove(&user) {
        scene.put(&room);
        presence::note_change(scene, &room, user, "Left", cause);
    }
}

/// S1-25: what somebody who is no owner did in the room's settings does not stand; he reads why.
fn undo(scene: &mut Scene, room: &Room, user: UserId, change: MemberChange, by: &Person) {
    let Some(stream) = room.stream.clone() else { return };
    let (done, effect) = match change {
        MemberChange::Joined => ("joined", Effect::RemoveMember { stream, user }),
        MemberChange::Left => ("left", Effect::AddMember { stream, user, owner: presence::is_owner(room, user) }),
        MemberChange::Promoted => ("promoted", Effect::DemoteMember { stream, user }),
        MemberChange::Demoted => ("demoted", Effect::AddMember { stream, user, owner: true }),
    };
    scene.effect(effect);
    let name = name_of(scene, room, user);
    explain(scene, room, by, Reply::new(Code::Notice, "change-undone").with("change", done).with("user", name));
    let detail = json!({ "user": scene.actor(user), "change": format!("{change:?}") });
    scene.note(Entry::new("room.change_undone", actor(scene, by)).room(&room.key).detail(detail));
}

/// A new name counts where an owner gave it.
pub fn renamed(scene: &mut Scene, stream: &StreamId, name: &str, by: &Person) {
    let Some(room) = scene.room_of_stream(stream) else { return };
    let by_us = by.id == scene.policy.bot;
    // What a command asked for is told by the end of its effect.
    if room.name == name || name.is_empty() || (by_us && rooms::is_being_renamed(scene, &room, name)) {
        return;
    }
    if room.is_live() && !by_us && !by.is_unknown() && !presence::may_manage(scene, &room, by.id) {
        let contact = room.contacts.first().cloned();
        scene.effect(Effect::RenameRoom(RenameRoom { stream: stream.clone(), name: room.name.clone(), contact, asked: None }));
        explain(scene, &room, by, Reply::new(Code::Notice, "change-undone").with("change", "renamed").with("user", name));
        let detail = json!({ "change": "Renamed", "to": name });
        return scene.note(Entry::new("room.change_undone", actor(scene, by)).room(&room.key).detail(detail));
    }
    let actor = actor(scene, by);
    rooms::is_called(scene, room, name, actor);
}

fn explain(scene: &mut Scene, room: &Room, by: &Person, reply: Reply) {
    scene.meet(by);
    let reply = reply.with("room", room.name.clone());
    if by.service { tell_reader(scene, room, reply) } else { scene.post(Place::Direct(by.id), reply) }
}

/// Who did it; the program where it found out by comparing.
pub fn actor(scene: &Scene, by: &Person) -> String {
    if by.is_unknown() { PROGRAM.to_owned() } else { scene.actor(by.id) }
}

/// Invariant 9: somebody who may not see the client's words is taken out before the next line is posted (both stand in
/// the room's lane of the outbox, in this order), and the owner is told.
fn show_out(scene: &mut Scene, room: &Room, stream: &StreamId, user: UserId, name: &str) {
    scene.effect(Effect::RemoveMember { stream: stream.clone(), user });
    let reply = Reply::new(Code::Notice, "shown-out").with("user", name).with("room", room.name.clone());
    let reply = reply.with("why", why_not_here(scene, room, user));
    tell_reader(scene, room, reply.with("channel", room.channel.name()));
    let detail = json!({ "user": scene.actor(user), "why": "not entitled for this room" });
    scene.note(Entry::new("room.member_shown_out", PROGRAM).room(&room.key).detail(detail));
}

/// Invariant 9: before a client's next words are posted, whoever may not read them any more (his rights were revoked, or the
/// configuration changed) is out of the rooms in which they may stand.
pub fn keep_to_readers(scene: &mut Scene, contact: &Contact, channel: Channel) {
    for key in &contact.rooms {
        if scene.room(key).is_some_and(|room| room.channel == channel) {
            keep_room_to_readers(scene, key);
        }
    }
}

pub fn keep_room_to_readers(scene: &mut Scene, key: &RoomKey) {
    let Some(room) = scene.room(key).filter(|room| room.state == RoomState::Active) else { return };
    let strangers: Vec<UserId> = room.members.keys().copied().filter(|user| !belongs(scene, &room, *user)).collect();
    for user in strangers {
        if let Some(room) = scene.room(key) {
            handover::take_out(scene, room, user, PROGRAM);
        }
    }
}

/// Why he may not be in this room, as its owner reads it.
fn why_not_here(scene: &Scene, room: &Room, user: UserId) -> &'static str {
    let rights = scene.rights(user);
    match (rights.may_use(room.channel), rights.sub_org == room.sub_org) {
        (false, _) => "not-enabled",
        (true, false) => "other-sub-org",
        (true, true) => "removed",
    }
}

// ---- what the platform lets the bot do

/// Members, name and state of a room are changed on the platform by its owners only: what it would refuse is not begun, and
/// not announced to anybody.
pub fn may_change(room: &Room) -> Result<(), Refusal> {
    let outside = match room.bot {
        Seat::Owner => return Ok(()),
        Seat::Member => false,
        Seat::Outside => true,
    };
    Err(Refusal::new("not-owner").with("bot", true).with("outside", outside).with("room", room.name.clone()))
}

/// The platform did not let us change a member after all: the records follow it, and whoever was told otherwise reads so.
pub fn could_not_change(scene: &mut Scene, due: &Due, code: &str, detail: &str) {
    let (Effect::AddMember { stream, user, .. } | Effect::RemoveMember { stream, user } | Effect::DemoteMember { stream, user }) =
        &due.effect
    else {
        return;
    };
    let user = *user;
    let detail = json!({ "code": code, "detail": detail, "user": user, "stream": stream });
    scene.note(Entry::new("room.member_change_failed", PROGRAM).detail(detail));
    let Some(room) = scene.room_of_stream(stream) else { return };
    let just_moved = room.is_live() && moved_at(scene, &room, user) == due.since;
    let removal = matches!(due.effect, Effect::RemoveMember { .. });
    // A member who could not be made an owner is in it all the same.
    let addition = matches!(due.effect, Effect::AddMember { owner, .. } if !owner || just_moved);
    match room.members.contains_key(&user) {
        false if removal && room.is_live() && !may_read_along(scene, &room, user) => return outsider_stays(scene, room, user),
        false if removal && just_moved => is_still_in(scene, &room, user),
        // It was told when he could not be added.
        false if !removal => return,
        true if addition => is_not_in(scene, &room, user),
        false | true => {}
    }
    let name = scene.user_name(user);
    let reply = Reply::new(Code::Notice, "member-change-failed").with("user", name).with("room", room.name.clone());
    scene.post(Place::Room(room.key), reply);
}

/// When he came or went, by our records: at the very moment of an effect it is what the effect was to bring about.
fn moved_at(scene: &Scene, room: &Room, user: UserId) -> Timestamp {
    match presence::presence(scene, room, user) {
        Some(Presence::In { since: at } | Presence::Left { at } | Presence::Removed { at }) => at,
        None => Timestamp(0),
    }
}

/// He neither writes nor is he counted as one who reads.
fn is_not_in(scene: &mut Scene, room: &Room, user: UserId) {
    let gone = presence::goes(scene, room, user, Step::Leaves, &Cause { by_hand: true, ..Cause::rule() });
    notices::tell_clients(scene, &gone.room, user, AdvisorChange::Left);
    let told = Reply::new(Code::Notice, "you-are-not-in").with("room", room.name.clone());
    scene.post(Place::Direct(user), told);
}

/// He reads what stands there and may: he is in it until he leaves by himself. Where nobody is left the room is his again.
fn is_still_in(scene: &mut Scene, room: &Room, user: UserId) {
    let mut room = room.clone();
    let owner = room.members.is_empty();
    presence::comes(scene, &mut room, user, owner, &Cause { by_hand: true, ..Cause::rule() });
    notices::tell_clients(scene, &room, user, AdvisorChange::Joined);
}

/// An outsider who could not be taken out reads along: until he is gone nothing is said in this room any more.
fn outsider_stays(scene: &mut Scene, mut room: Room, user: UserId) {
    room.outsiders.insert(user);
    scene.put(&room);
    let reply = Reply::new(Code::Notice, "outsider-stays").with("user", scene.user_name(user)).with("room", room.name.clone());
    let reply = reply.with("why", why_not_here(scene, &room, user));
    tell_reader(scene, &room, reply.with("channel", room.channel.name()));
}

/// A colleague who could be a member does no harm; one whom an owner has taken out is to read nothing any more.
fn may_read_along(scene: &Scene, room: &Room, user: UserId) -> bool {
    let removed = matches!(presence::presence(scene, room, user), Some(Presence::Removed { .. }));
    belongs(scene, room, user) && !removed
}

// ---- the bot's own seat

/// Without the bot in it a room is deaf and dumb: its people are told what to do, and read the client in their own chats.
fn bot_changed(scene: &mut Scene, mut room: Room, change: MemberChange, by: &Person) {
    let before = room.bot;
    room.bot = match (change, before) {
        (MemberChange::Left, _) => Seat::Outside,
        (MemberChange::Joined, Seat::Outside) | (MemberChange::Demoted, Seat::Owner) => Seat::Member,
        (MemberChange::Promoted, _) => Seat::Owner,
        (MemberChange::Joined | MemberChange::Demoted, seat) => seat,
    };
    if room.bot == before || !room.is_live() {
        return;
    }
    scene.put(&room);
    let detail = json!({ "user": PROGRAM, "change": format!("{change:?}"), "compared": by.is_unknown() });
    let actor = actor(scene, by);
    scene.note(Entry::new("room.members_changed", actor).room(&room.key).detail(detail));
    match (before, room.bot) {
        (_, Seat::Outside) => alarm(scene, &room, "bot-removed", by),
        (Seat::Owner, Seat::Member) => alarm(scene, &room, "bot-demoted", by),
        (Seat::Outside, _) => {
            let back = Reply::new(Code::Notice, "bot-back").with("owner", room.bot == Seat::Owner);
            scene.post(Place::Room(room.key.clone()), back);
        }
        (Seat::Member, _) => show_out_again(scene, &room),
        (Seat::Owner, Seat::Owner) => {}
    }
}

/// To the one who reads for this room, and to the admins.
fn alarm(scene: &mut Scene, room: &Room, template: &str, by: &Person) {
    let by = (!by.is_unknown()).then(|| scene.user(by.id).map(|user| user.name).unwrap_or_default());
    let mut places: Vec<Place> = reader(scene, room).map(Place::Direct).into_iter().chain(scene.admins()).collect();
    places.sort();
    places.dedup();
    for place in places {
        let reply = Reply::new(Code::Notice, template).with("room", room.name.clone());
        scene.post(place, reply.with("by", by.clone()));
    }
}

/// An owner again, the bot can take out those whom it could not.
fn show_out_again(scene: &mut Scene, room: &Room) {
    let Some(stream) = &room.stream else { return };
    for user in &room.outsiders {
        scene.effect(Effect::RemoveMember { stream: stream.clone(), user: *user });
    }
}

// ---- who reads instead

/// May a line be posted in this room as it is now?
pub fn is_fit(room: &Room) -> bool {
    room.bot != Seat::Outside && (room.outsiders.is_empty() || fault::planted("outsider-reads"))
}

/// Who reads what cannot be said in the room: an owner, else a member; one who is gone from the platform only if nobody
/// else is left.
pub fn reader(scene: &Scene, room: &Room) -> Option<UserId> {
    let there = |user: &&UserId| !is_gone(scene, **user);
    let owners = room.members.iter().filter(|(_, member)| member.owner).map(|(user, _)| user);
    owners.chain(room.members.keys()).find(there).copied().or_else(|| room.owner())
}

pub fn tell_reader(scene: &mut Scene, room: &Room, reply: Reply) {
    if let Some(user) = reader(scene, room) {
        scene.post(Place::Direct(user), reply);
    }
}

// ---- people who are gone from the platform

fn gone_key(user: UserId) -> Key {
    Key::new("gone", user)
}

fn is_gone(scene: &Scene, user: UserId) -> bool {
    scene.case.holds(&gone_key(user))
}

/// His 1:1 chat takes nothing any more (he was disabled, has left the firm, or is no connection): the admins are told
/// once. His lines go on to others one by one.
pub fn gone(scene: &mut Scene, user: UserId) {
    if is_gone(scene, user) {
        return;
    }
    scene.point(gone_key(user), scene.now.0);
    scene.note(Entry::new("user.unreachable", PROGRAM).detail(json!({ "user": scene.actor(user) })));
    let known = scene.user(user);
    let (name, email) = known.map(|user| (user.name, user.email)).unwrap_or_default();
    for admin in scene.admins().into_iter().filter(|admin| *admin != Place::Direct(user)) {
        let reply = Reply::new(Code::Notice, "user-unreachable").with("user", name.clone()).with("email", email.clone());
        scene.post(admin, reply);
    }
}

/// He does something, so he is there.
pub fn is_there(scene: &mut Scene, user: UserId) {
    if is_gone(scene, user) {
        scene.case.remove::<Pointer>(&gone_key(user));
        scene.note(Entry::new("user.reachable_again", PROGRAM).detail(json!({ "user": scene.actor(user) })));
    }
}

/// As the platform shows him now; people change their names.
pub fn name_of(scene: &Scene, room: &Room, user: UserId) -> String {
    let shown = scene.user(user).map(|user| user.name).filter(|name| !name.is_empty());
    let shown = shown.or_else(|| room.members.get(&user).map(|member| member.name.clone()).filter(|name| !name.is_empty()));
    shown.unwrap_or_else(|| scene.user_name(user))
}
