//! An advisor in a conversation: how he comes in and goes, and that the room is never without an owner.
//!
//! ```text
//! (never there) --comes--> In;  In --leaves--> Left;  In --is removed--> Removed;  Left, Removed --comes--> In
//! ```
use super::case::Record;
use super::commit::{Entry, Key};
use super::contact::{Contact, Pointer};
use super::effect::*;
use super::entitlement::{Permission, User};
use super::event::Person;
use super::handover;
use super::ids::*;
use super::members;
use super::message::{Message, MessageState};
use super::native::{self, Changed};
use super::refusal::Refusal;
use super::room::{Room, RoomMember};
use super::scene::{PROGRAM, Scene};
use super::sending;
use super::time::Timestamp;
use crate::fault;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    In { since: Timestamp },
    Left { at: Timestamp },
    Removed { at: Timestamp },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Comes,
    Leaves,
    IsRemoved,
}

impl Presence {
    /// `None` where the step changes nothing.
    pub fn after(before: Option<Presence>, step: Step, at: Timestamp) -> Option<Presence> {
        use Presence::*;
        match (before, step) {
            (None | Some(Left { .. } | Removed { .. }), Step::Comes) => Some(In { since: at }),
            (Some(In { .. }), Step::Leaves) => Some(Left { at }),
            (Some(In { .. }), Step::IsRemoved) => Some(Removed { at }),
            (Some(In { .. }), Step::Comes) => None,
            (None | Some(Left { .. } | Removed { .. }), Step::Leaves | Step::IsRemoved) => None,
        }
    }
    /// He was in the conversation and may ask to be in it again (S4-40).
    pub fn is_over(&self) -> bool {
        matches!(self, Presence::Left { .. } | Presence::Removed { .. })
    }
}

/// Of members who are there since the room was made nothing is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stay {
    room: RoomKey,
    user: UserId,
    presence: Presence,
}

impl Stay {
    fn key_of(room: &RoomKey, user: UserId) -> Key {
        Key::new("stay", format_args!("{room}/{user}"))
    }
}

impl Record for Stay {
    fn key(&self) -> Key {
        Stay::key_of(&self.room, self.user)
    }
    fn sealed_for(&self) -> Option<ContactId> {
        None
    }
}

/// `None` for somebody who never was in the conversation.
pub fn presence(scene: &Scene, room: &Room, user: UserId) -> Option<Presence> {
    let kept = scene.case.get::<Stay>(&Stay::key_of(&room.key, user)).map(|stay| stay.presence);
    match (room.members.contains_key(&user), kept) {
        (true, Some(Presence::In { since })) => Some(Presence::In { since }),
        (true, Some(Presence::Left { .. } | Presence::Removed { .. }) | None) => Some(Presence::In { since: room.created_at }),
        (false, Some(over)) if over.is_over() => Some(over),
        (false, _) => None,
    }
}

/// He was in a conversation with this client that goes on (or stands empty) without him.
pub fn has_gone(scene: &Scene, contact: &Contact, channel: Channel, user: UserId) -> bool {
    let rooms = contact.rooms.iter().filter_map(|key| scene.room(key));
    let mut rooms = rooms.filter(|room| room.is_live() && room.channel == channel);
    rooms.any(|room| presence(scene, &room, user).is_some_and(|presence| presence.is_over()))
}

// ---- who may

/// May he read what this room's clients write (S4-30)?
pub fn belongs(scene: &Scene, room: &Room, user: UserId) -> bool {
    let rights = scene.rights(user);
    rights.may_use(room.channel) && rights.sub_org == room.sub_org
}

pub fn is_owner(room: &Room, user: UserId) -> bool {
    room.is_owned_by(user)
}

pub fn has_another_owner(room: &Room, user: UserId) -> bool {
    room.members.iter().any(|(other, member)| member.owner && *other != user)
}

/// S1-20..25: owners by our own record, and whoever may manage any room of this channel.
pub fn may_manage(scene: &Scene, room: &Room, user: UserId) -> bool {
    let manages_any = scene.rights(user).may(Permission::RoomManageAny, Some(room.channel));
    manages_any || (is_owner(room, user) && belongs(scene, room, user))
}

/// S4-30: a colleague of the same sub-organisation with the channel, who is not in it yet.
pub fn may_come(scene: &Scene, room: &Room, user: &User) -> Result<(), Refusal> {
    if room.members.contains_key(&user.id) {
        return Err(Refusal::new("already-member").with("user", user.name.clone()).with("name", user.name.clone()));
    }
    may_take_part(scene, user, room.channel, &room.sub_org)
}

/// May he read what clients write on this channel, on this side of the wall? The one answer to whoever names a colleague for a
/// room, and the reason where it is no.
pub fn may_take_part(scene: &Scene, user: &User, channel: Channel, sub_org: &str) -> Result<(), Refusal> {
    let rights = scene.rights(user.id);
    let refusal = if !rights.may_use(channel) {
        Refusal::new("not-enabled")
    } else if rights.sub_org != sub_org {
        Refusal::new("other-sub-org")
    } else {
        return Ok(());
    };
    Err(refusal.with("user", user.name.clone()).with("channel", channel.name()))
}

// ---- what happens

/// Who brought a change about, and how.
pub struct Cause {
    pub actor: String,
    /// Unknown where the bot found it out by comparing, or its own account was used.
    pub by: Option<UserId>,
    /// In the room's own settings: the platform has it already.
    pub by_hand: bool,
    /// Found out by comparing.
    pub compared: bool,
}

impl Cause {
    pub fn command(scene: &Scene, by: UserId) -> Cause {
        Cause { actor: scene.actor(by), by: Some(by), by_hand: false, compared: false }
    }
    pub fn by_hand(scene: &Scene, by: &Person) -> Cause {
        let somebody = !by.is_unknown() && by.id != scene.policy.bot;
        let actor = members::actor(scene, by);
        Cause { actor, by: somebody.then_some(by.id), by_hand: true, compared: by.is_unknown() }
    }
    /// What follows from the rules alone.
    pub fn rule() -> Cause {
        Cause { actor: PROGRAM.to_owned(), by: None, by_hand: false, compared: false }
    }
}

pub fn note_change(scene: &mut Scene, room: &Room, user: UserId, change: &str, cause: &Cause) {
    let by_us = !cause.by_hand || (cause.by.is_none() && !cause.compared);
    let detail = json!({ "user": scene.actor(user), "change": change, "by_us": by_us, "compared": cause.compared });
    scene.note(Entry::new("room.members_changed", cause.actor.clone()).room(&room.key).detail(detail));
}

pub fn member_key(user: UserId, room: &RoomKey) -> Key {
    Key::new("member", format_args!("{user}/{room}"))
}

/// He is in, in our records and on the platform.
pub fn comes(scene: &mut Scene, room: &mut Room, user: UserId, owner: bool, cause: &Cause) {
    let name = scene.user_name(user);
    step(scene, room, user, Step::Comes);
    room.outsiders.remove(&user);
    room.members.insert(user, RoomMember { name, owner });
    scene.put(room);
    pass_lead(scene, room);
    scene.point(member_key(user, &room.key), &room.key);
    if let (false, Some(stream)) = (cause.by_hand, room.stream.clone()) {
        scene.effect(Effect::AddMember { stream, user, owner });
    }
    note_change(scene, room, user, "Joined", cause);
    native::advisors_changed(scene, &room.key, Changed::Added);
    // Everybody had left: whoever comes, whoever brings him, is the one who answers for it.
    if let Some(heir) = heir_of(scene, room, None) {
        crown(scene, room, heir);
    }
}

fn step(scene: &mut Scene, room: &Room, user: UserId, step: Step) {
    if let Some(presence) = Presence::after(presence(scene, room, user), step, scene.now) {
        scene.put(&Stay { room: room.key.clone(), user, presence });
    }
}

/// What is left when somebody has gone.
pub struct Gone {
    pub room: Room,
    /// Who owns it now, where nobody would have.
    pub heir: Option<UserId>,
    /// How many of his messages were withdrawn.
    pub withdrawn: usize,
}

/// He is out, in our records and on the platform. Who owns the room then, and what becomes of his words, is left to the caller.
pub fn steps_out(scene: &mut Scene, room: &mut Room, user: UserId, how: Step, cause: &Cause) {
    step(scene, room, user, how);
    room.lead = room.lead.or_else(|| room.owner());
    room.members.remove(&user);
    scene.put(room);
    pass_lead(scene, room);
    scene.case.remove::<Pointer>(&member_key(user, &room.key));
    if let (false, Some(stream)) = (cause.by_hand, room.stream.clone()) {
        scene.effect(Effect::RemoveMember { stream, user });
    }
    let change = if how == Step::IsRemoved { "Removed" } else { "Left" };
    // What was done by hand is told in the platform's own word.
    note_change(scene, room, user, if cause.by_hand { "Left" } else { change }, cause);
    native::advisors_changed(scene, &room.key, Changed::Removed);
}

/// The same; somebody owns the room, and what he wrote and the client did not get is withdrawn. Whom to tell is left to the
/// caller.
pub fn goes(scene: &mut Scene, room: &Room, user: UserId, how: Step, cause: &Cause) -> Gone {
    let mut room = room.clone();
    steps_out(scene, &mut room, user, how, cause);
    let heir = heir_of(scene, &room, None);
    if let Some(heir) = heir {
        crown(scene, &mut room, heir);
    }
    let withdrawn = withdraw_held(scene, &room, user);
    Gone { room, heir, withdrawn }
}

/// Who owns a room that has no owner (any more): the one who is there longest and may read it; `but` only if nobody else is
/// left.
pub fn heir_of(scene: &Scene, room: &Room, but: Option<UserId>) -> Option<UserId> {
    if room.members.values().any(|member| member.owner) || fault::planted("last-owner-gone") {
        return None;
    }
    let rank = |user: &UserId| (but == Some(*user), !belongs(scene, room, *user), since(scene, room, *user), *user);
    room.members.keys().copied().min_by_key(rank)
}

fn since(scene: &Scene, room: &Room, user: UserId) -> Timestamp {
    match presence(scene, room, user) {
        Some(Presence::In { since }) => since,
        Some(Presence::Left { .. } | Presence::Removed { .. }) | None => room.created_at,
    }
}

/// Whoever answers for a room does so until he goes, or owns it no more; then it is the owner who is there longest.
/// What the one before called the contacts stays his (S2-17).
fn pass_lead(scene: &mut Scene, room: &mut Room) {
    if room.lead.is_some_and(|lead| room.is_owned_by(lead)) {
        return;
    }
    if let Some(next) = room.owners().min_by_key(|user| (!belongs(scene, room, *user), since(scene, room, *user), *user)) {
        leads(scene, room, next);
    }
}

pub fn leads(scene: &mut Scene, room: &mut Room, user: UserId) {
    room.lead = Some(user);
    scene.put(room);
}

/// The owner gives the room to another. Its contacts are his now, under the names that they had: clients go on reading the
/// same names, and he finds them on his list.
pub fn is_given(scene: &mut Scene, room: &mut Room, user: UserId) {
    let before = room.owner();
    leads(scene, room, user);
    let Some(before) = before.filter(|before| *before != user) else { return };
    for id in &room.contacts {
        let entry = scene.listing(before, id).filter(|entry| !entry.incomplete);
        let known = scene.listing(user, id).is_some_and(|entry| !entry.incomplete);
        if let (Some(entry), false) = (entry, known) {
            handover::share(scene, &entry, user, BTreeSet::from([room.channel]));
        }
    }
}

fn crown(scene: &mut Scene, room: &mut Room, heir: UserId) {
    let Some(member) = room.members.get_mut(&heir) else { return };
    member.owner = true;
    scene.put(room);
    pass_lead(scene, room);
    if let Some(stream) = room.stream.clone() {
        scene.effect(Effect::AddMember { stream, user: heir, owner: true });
    }
    note_change(scene, room, heir, "Promoted", &Cause::rule());
    native::advisors_changed(scene, &room.key, Changed::Promoted);
}

/// S1-22, S1-23. Gives the one who owns the room instead, where it would have been nobody.
pub fn set_owner(scene: &mut Scene, room: &mut Room, user: UserId, owner: bool, cause: &Cause) -> Option<UserId> {
    room.lead = room.lead.or_else(|| room.owner());
    let member = room.members.get_mut(&user)?;
    member.owner = owner;
    scene.put(room);
    pass_lead(scene, room);
    note_change(scene, room, user, if owner { "Promoted" } else { "Demoted" }, cause);
    native::advisors_changed(scene, &room.key, if owner { Changed::Promoted } else { Changed::Demoted });
    if let (false, Some(stream)) = (cause.by_hand, room.stream.clone()) {
        let raised = Effect::AddMember { stream: stream.clone(), user, owner: true };
        scene.effect(if owner { raised } else { Effect::DemoteMember { stream, user } });
    }
    let heir = heir_of(scene, room, Some(user));
    if let Some(heir) = heir {
        crown(scene, room, heir);
    }
    heir
}

// ---- what waits

/// What this author wrote in this room and the clients did not get yet.
pub fn held_of(scene: &Scene, room: &Room, user: UserId) -> Vec<Message> {
    let held = room.addressees().into_iter().flat_map(|contact| scene.lane(&room.key, &contact).held);
    held.filter_map(|id| scene.message(&id)).filter(|message| message.advisor() == Some(user)).collect()
}

/// His messages leave their lanes as WITHDRAWN; his colleagues' keep their places. Nobody is told here.
pub fn take_out_held(scene: &mut Scene, room: &Room, user: UserId) -> Vec<Message> {
    let mut own = held_of(scene, room, user);
    for message in &mut own {
        let mut lane = scene.lane(&room.key, &message.contact);
        lane.held.retain(|id| *id != message.id);
        scene.put(&lane);
        message.state = MessageState::Withdrawn { reason: "membership".to_owned() };
        scene.put(message);
    }
    own
}

fn withdraw_held(scene: &mut Scene, room: &Room, user: UserId) -> usize {
    let own = take_out_held(scene, room, user);
    let count = own.len();
    sending::tell_withdrawn(scene, own, "membership");
    if count > 0 {
        // What stood behind his may go now.
        for contact in room.addressees() {
            sending::release(scene, &room.key, &contact);
        }
    }
    count
}

// ---- who is told in the chat

/// S4-37, S4-39, and the line for those who stay when somebody leaves.
pub fn tell_colleagues(scene: &mut Scene, gone: &Gone, user: UserId, how: Step, cause: &Cause) {
    let name = members::name_of(scene, &gone.room, user);
    let owner = gone.heir.map(|heir| members::name_of(scene, &gone.room, heir));
    let remover = cause.by.filter(|by| how == Step::IsRemoved && *by != user);
    let Some(remover) = remover else {
        let reply = Reply::new(Code::Notice, "colleague-left").with("name", name).with("owner", owner);
        return tell_room(scene, &gone.room, reply);
    };
    let by = members::name_of(scene, &gone.room, remover);
    let told = Reply::new(Code::Notice, "you-were-removed").with("by", by.clone()).with("room", gone.room.name.clone());
    scene.post(Place::Direct(user), told);
    if gone.room.members.keys().any(|other| *other != remover) {
        let reply = Reply::new(Code::Notice, "colleague-removed").with("by", by).with("name", name);
        tell_room(scene, &gone.room, reply.with("owner", owner));
    }
}

/// A room that everybody has left has no readers.
pub fn tell_room(scene: &mut Scene, room: &Room, reply: Reply) {
    if !room.members.is_empty() && room.is_live() {
        scene.post(Place::Room(room.key.clone()), reply);
    }
}
