//! Who is in a room, changed by the people themselves: colleagues come and go, become owners, and the bot itself may be
//! taken out. What cannot be said in a room meanwhile is said to one who belongs to it, in his own chat.
use super::commit::{Entry, Key};
use super::contact::Pointer;
use super::effect::*;
use super::event::{MemberChange, Person};
use super::ids::*;
use super::room::{Room, RoomMember, Seat};
use super::scene::{PROGRAM, Scene};
use serde_json::json;

/// The platform knows nobody (any more) with whom this 1:1 chat could be.
pub const NO_SUCH_USER: &str = "symphony-no-such-user";

// ---- what people do in a room's own settings

pub fn changed(scene: &mut Scene, stream: &StreamId, user: &Person, change: MemberChange, by: &Person) {
    let Some(mut room) = scene.room_of_stream(stream) else { return };
    if user.id == scene.policy.bot {
        return bot_changed(scene, room, change, by);
    }
    if user.service {
        return;
    }
    let known = scene.meet(user);
    match change {
        MemberChange::Joined if room.members.contains_key(&user.id) => return,
        MemberChange::Joined => {
            if !belongs(scene, &room, user.id) {
                return show_out(scene, &room, stream, user.id, &known.name);
            }
            room.outsiders.remove(&user.id);
            room.members.insert(user.id, RoomMember { name: known.name.clone(), owner: false });
            scene.point(member_key(user.id, &room), &room.key);
        }
        MemberChange::Left => {
            let was_outsider = room.outsiders.remove(&user.id);
            if room.members.remove(&user.id).is_none() && !was_outsider {
                return;
            }
            scene.case.remove::<Pointer>(&member_key(user.id, &room));
        }
        MemberChange::Promoted | MemberChange::Demoted => {
            let Some(member) = room.members.get_mut(&user.id) else { return };
            member.owner = change == MemberChange::Promoted;
        }
    }
    scene.put(&room);
    let detail = json!({
        "user": scene.actor(user.id), "change": format!("{change:?}"),
        "by_us": by.id == scene.policy.bot, "compared": by.is_unknown(),
    });
    let actor = actor(scene, by);
    scene.note(Entry::new("room.members_changed", actor).room(&room.key).detail(detail));
}

fn member_key(user: UserId, room: &Room) -> Key {
    Key::new("member", format_args!("{user}/{}", room.key))
}

/// Who did it; the program where it found out by comparing.
pub fn actor(scene: &Scene, by: &Person) -> String {
    if by.is_unknown() { PROGRAM.to_owned() } else { scene.actor(by.id) }
}

/// May he read what this room's clients write?
fn belongs(scene: &Scene, room: &Room, user: UserId) -> bool {
    let rights = scene.rights(user);
    rights.may_use(room.channel) && rights.sub_org == room.sub_org
}

/// Invariant 9: somebody who may not see the client's words is taken out before the next line is posted (both stand in
/// the room's lane of the outbox, in this order), and the owner is told.
fn show_out(scene: &mut Scene, room: &Room, stream: &StreamId, user: UserId, name: &str) {
    scene.effect(Effect::RemoveMember { stream: stream.clone(), user });
    let reply = Reply::new(Code::Notice, "shown-out").with("user", name).with("room", room.name.clone());
    tell_reader(scene, room, reply.with("channel", room.channel.name()));
    let detail = json!({ "user": scene.actor(user), "why": "not entitled for this room" });
    scene.note(Entry::new("room.member_shown_out", PROGRAM).room(&room.key).detail(detail));
}

/// The platform did not let us change a member. An outsider who could not be taken out reads along: until he is gone
/// nothing is said in this room any more.
pub fn could_not_change(scene: &mut Scene, effect: &Effect, code: &str, detail: &str) {
    let (Effect::AddMember { stream, user, .. } | Effect::RemoveMember { stream, user }) = effect else { return };
    let detail = json!({ "code": code, "detail": detail, "user": user, "stream": stream });
    scene.note(Entry::new("room.member_change_failed", PROGRAM).detail(detail));
    let Some(mut room) = scene.room_of_stream(stream) else { return };
    let reads_along = matches!(effect, Effect::RemoveMember { .. })
        && room.is_live()
        && !room.members.contains_key(user)
        && !belongs(scene, &room, *user);
    let template = if reads_along { "outsider-stays" } else { "member-change-failed" };
    if reads_along {
        room.outsiders.insert(*user);
        scene.put(&room);
    }
    let reply = Reply::new(Code::Notice, template).with("user", scene.user_name(*user)).with("room", room.name.clone());
    tell_reader(scene, &room, reply.with("channel", room.channel.name()));
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
    room.bot != Seat::Outside && room.outsiders.is_empty()
}

/// Who reads what cannot be said in the room: an owner, else a member; one who is gone from the platform only if nobody
/// else is left.
pub fn reader(scene: &Scene, room: &Room) -> Option<UserId> {
    let there = |user: &&UserId| !is_gone(scene, **user);
    let owners = room.members.iter().filter(|(_, member)| member.owner).map(|(user, _)| user);
    owners.chain(room.members.keys()).find(there).copied().or_else(|| room.owner())
}

fn tell_reader(scene: &mut Scene, room: &Room, reply: Reply) {
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
