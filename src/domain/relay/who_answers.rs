//! Who is put before a client who writes and has no room that anybody reads.
use crate::domain::contact::Contact;
use crate::domain::effect::{Code, Reply};
use crate::domain::event::ClientMessage;
use crate::domain::ids::*;
use crate::domain::presence::{self, Cause};
use crate::domain::room::Room;
use crate::domain::scene::Scene;

/// The cover of a room that everybody has left, those who list him, the line's advisor, those who answer for everybody: the
/// first of them of whom there is one; nobody who has left him, unless there is nobody else.
pub fn advisors_for(scene: &Scene, contact: &Contact, said: &ClientMessage) -> Vec<UserId> {
    let there = |user: &UserId| !presence::has_gone(scene, contact, said.channel, *user);
    let found = advisors_by_rule(scene, contact, said, &there);
    // Somebody who has left is better than nobody.
    if found.is_empty() { advisors_by_rule(scene, contact, said, &|_| true) } else { found }
}

fn advisors_by_rule(scene: &Scene, contact: &Contact, said: &ClientMessage, there: &dyn Fn(&UserId) -> bool) -> Vec<UserId> {
    let may = |user: &UserId| scene.rights(*user).may_use(said.channel) && there(user);
    let listing: Vec<UserId> = contact.listed_by.iter().copied().filter(may).collect();
    let line = scene.policy.line(&said.line).and_then(|line| line.advisor.clone());
    let by_email = |email: &String| scene.user_by_email(email).map(|user| user.id);
    let of_line: Vec<UserId> = line.iter().filter_map(by_email).filter(may).collect();
    // An own number of an advisor (SMS & Voice Direct) is his, whoever else knows the client (S2-17).
    if !of_line.is_empty() && (said.channel == Channel::Sms || listing.is_empty()) {
        return of_line;
    }
    let left = room_that_was_left(scene, contact, said);
    let cover = left.as_ref().map_or(&[][..], |room| scene.policy.cover_of(&room.sub_org));
    let cover: Vec<UserId> = cover.iter().filter_map(by_email).filter(may).collect();
    if !cover.is_empty() {
        return those_who_may_read(scene, left.as_ref(), cover);
    }
    if !listing.is_empty() {
        return same_sub_org(scene, listing);
    }
    let defaults: Vec<UserId> = scene.policy.default_advisors.iter().filter_map(by_email).filter(may).collect();
    those_who_may_read(scene, left.as_ref(), defaults)
}

/// A group's words stand in its own room: when everybody has left it, those who stand in come into it. False where nobody may.
pub fn somebody_is_there(scene: &mut Scene, key: &RoomKey, contact: &Contact, said: &ClientMessage) -> bool {
    let Some(mut room) = scene.room(key) else { return false };
    if !room.members.is_empty() {
        return true;
    }
    let mut users = advisors_for(scene, contact, said);
    users.retain(|user| presence::belongs(scene, &room, *user));
    for user in &users {
        let owner = room.members.is_empty();
        presence::comes(scene, &mut room, *user, owner, &Cause::rule());
    }
    let names: Vec<String> = users.iter().map(|user| scene.user_name(*user)).collect();
    presence::tell_room(scene, &room, Reply::new(Code::Notice, "stand-ins").with("names", names));
    !users.is_empty()
}

/// On the line on which he writes; he has no other, or he would not ask who answers.
fn room_that_was_left(scene: &Scene, contact: &Contact, said: &ClientMessage) -> Option<Room> {
    let rooms = contact.rooms.iter().filter_map(|key| scene.room(key));
    rooms.filter(|room| room.is_live() && room.channel == said.channel && room.line == said.line).last()
}

/// Those who may read the room that everybody has left come first, and decide whose room it is.
fn those_who_may_read(scene: &Scene, left: Option<&Room>, mut users: Vec<UserId>) -> Vec<UserId> {
    users.sort_by_key(|user| left.is_some_and(|room| scene.rights(*user).sub_org != room.sub_org));
    same_sub_org(scene, users)
}

/// A room has one sub-organisation: that of its first owner (the ethical wall).
fn same_sub_org(scene: &Scene, mut users: Vec<UserId>) -> Vec<UserId> {
    if let Some(first) = users.first().map(|user| scene.rights(*user).sub_org) {
        users.retain(|user| scene.rights(*user).sub_org == first);
    }
    users
}
