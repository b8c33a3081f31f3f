//! What people change by hand: names, members, owners, whole rooms, and the bot's own seat in them.
use crate::common::world::*;
use liaison::domain::effect::Effect;
use liaison::domain::event::{Fact, MemberChange, Person};
use liaison::domain::ids::UserId;
use liaison::domain::room::{RoomState, Seat};
use liaison::domain::time::Span;

fn with_bob() -> World {
    let mut world = World::agreed(|_| {});
    world.member("Ann Lee", "bob", MemberChange::Joined);
    world
}

fn removals(world: &World) -> usize {
    world.members.iter().filter(|effect| matches!(effect, Effect::RemoveMember { .. })).count()
}

// ---- people

#[test]
fn s4_4_who_changed_his_name_signs_with_the_new_one() {
    let mut world = with_bob();
    let renamed = Person { name: "Robert Ray-Roe".to_owned(), ..person("bob") };
    world.feed(Fact::UserFound { user: renamed });
    let stream = world.room("Ann Lee").stream.unwrap();
    let mut said = world.room_message(
        "bob",
        stream,
        liaison::domain::event::StreamKind::Room,
        "Hello",
        liaison::domain::ids::ChatMessageId::new("m1"),
        None,
    );
    said.author.name = "Robert Ray-Roe".to_owned();
    world.feed(Fact::RoomMessage(said));
    world.work_off();
    assert_eq!(world.sent_to(ANN).last().unwrap(), "Robert Ray-Roe: Hello");
    world.in_room("Ann Lee").says("jane", "/room info");
    let shown = serde_json::to_string(&world.last_reply("Ann Lee").vars).unwrap();
    assert!(shown.contains("Robert Ray-Roe") && !shown.contains("Bob Ray"), "{shown}");
}

#[test]
fn one_who_is_gone_loses_nothing_and_the_admins_are_told_once() {
    let mut world = World::invited(|_| {});
    world.gone.insert(UserId(1));
    let stream = world.room("Ann Lee").stream.unwrap();
    world.activates(stream, "bob", false);
    for _ in 0..2 {
        let stream = world.rooms()[0].stream.clone().unwrap();
        let (user, by) = (person("eve"), person("jane"));
        world.feed(Fact::MembersChanged { stream, user, change: MemberChange::Joined, by });
        world.work_off();
    }
    let told = world.told("adam");
    assert_eq!(told.iter().filter(|line| *line == "notice user-unreachable").count(), 1, "{told:?}");
    assert!(told.contains(&"notice room-closed-by-hand".to_owned()), "what she was to read is passed on: {told:?}");
    assert!(told.iter().filter(|line| *line == "notice shown-out").count() == 2, "{told:?}");
    assert_eq!(world.told("jane").last().unwrap(), "answer contact-added", "what reached her before");
}

#[test]
fn a_colleague_reads_for_an_owner_who_is_gone() {
    let mut world = with_bob();
    world.gone.insert(UserId(1));
    world.bots_seat("Ann Lee", "eve", MemberChange::Left);
    world.client(ANN).writes("One");
    world.client(ANN).writes("Two");
    assert_eq!(world.last_told("bob"), "client_message Ann Lee: Two");
    let told = world.told("adam");
    assert_eq!(told.iter().filter(|line| *line == "notice user-unreachable").count(), 1, "{told:?}");
    // She is back, and says something.
    world.gone.clear();
    world.says("jane", "/whoami");
    world.client(ANN).writes("Three");
    assert_eq!(world.last_told("jane"), "client_message Ann Lee: Three");
    assert!(world.kinds().contains(&"user.reachable_again"));
}

#[test]
fn where_even_the_admins_are_gone_the_line_is_in_the_journal_and_nothing_spins() {
    let mut world = World::agreed(|_| {});
    world.gone.extend([UserId(1), UserId(6)]);
    world.bots_seat("Ann Lee", "eve", MemberChange::Left);
    world.client(ANN).writes("Hello?");
    let refused = world.entries.iter().filter(|entry| entry.kind == "chat.line_refused");
    assert!(refused.filter(|entry| entry.detail.to_string().contains("Hello?")).count() >= 2);
    assert!(world.entries.len() < 60, "it comes to an end: {}", world.entries.len());
}

// ---- members

#[test]
fn invariant_9_members_come_by_hand_and_stay_only_if_they_may() {
    let mut world = World::agreed(|_| {});
    world.member("Ann Lee", "bob", MemberChange::Joined);
    assert_eq!((world.room("Ann Lee").members.len(), removals(&world)), (2, 0));
    world.member("Ann Lee", "bob", MemberChange::Promoted);
    assert!(world.room("Ann Lee").members[&UserId(2)].owner);
    world.member("Ann Lee", "eve", MemberChange::Joined);
    assert_eq!((world.room("Ann Lee").members.len(), removals(&world)), (2, 1));
}

#[test]
fn invariant_9_while_an_outsider_cannot_be_taken_out_nothing_is_said_in_the_room() {
    let mut world = World::agreed(|_| {});
    world.bots_seat("Ann Lee", "jane", MemberChange::Demoted);
    world.keeps_members = true;
    world.member("Ann Lee", "eve", MemberChange::Joined);
    assert_eq!(world.last_told("jane"), "notice outsider-stays");
    let before = world.told("Ann Lee").len();
    world.client(ANN).writes("A secret");
    world.in_room("Ann Lee").says("jane", "/window");
    assert_eq!(world.told("Ann Lee").len(), before, "Eve reads nothing");
    assert!(world.told("jane").contains(&"client_message Ann Lee: A secret".to_owned()));
    // An owner again, the bot tries anew; and when she has left the room goes on.
    world.keeps_members = false;
    world.bots_seat("Ann Lee", "jane", MemberChange::Promoted);
    assert_eq!(removals(&world), 1);
    world.member("Ann Lee", "eve", MemberChange::Left);
    world.client(ANN).writes("Hello");
    assert_eq!(world.last_told("Ann Lee"), "client_message Ann Lee: Hello");
}

// ---- the bot's own seat

#[test]
fn the_bot_taken_out_of_a_room_tells_so_and_its_lines_go_to_the_owner() {
    let mut world = World::agreed(|_| {});
    let before = world.told("Ann Lee").len();
    world.bots_seat("Ann Lee", "bob", MemberChange::Left);
    assert_eq!((world.last_told("jane"), world.last_told("adam")), ("notice bot-removed".into(), "notice bot-removed".into()));
    assert_eq!(world.last_reply("jane").vars["by"], "Bob Ray");
    world.client(ANN).writes("Are you there?");
    assert_eq!(world.last_told("jane"), "client_message Ann Lee: Are you there?");
    assert_eq!(world.told("Ann Lee").len(), before, "nothing is tried in vain");
    assert!(world.has_room("Ann Lee"), "it is the same room still");
    assert_eq!(world.rooms().len(), 1);
    // Again in it, and an owner.
    world.bots_seat("Ann Lee", "jane", MemberChange::Joined);
    assert_eq!(world.last_told("Ann Lee"), "notice bot-back");
    assert_eq!(world.last_reply("Ann Lee").vars["owner"], false);
    world.bots_seat("Ann Lee", "jane", MemberChange::Promoted);
    world.client(ANN).writes("Hello");
    assert_eq!(world.last_told("Ann Lee"), "client_message Ann Lee: Hello");
    world.in_room("Ann Lee").says("jane", "Here I am");
    assert_eq!(world.sent_to(ANN).last().unwrap(), "Here I am");
    assert_eq!(world.room("Ann Lee").bot, Seat::Owner);
}

#[test]
fn what_is_held_goes_out_although_the_bot_is_out_of_the_room() {
    let mut world = World::invited(|_| {});
    world.in_room("Ann Lee").says("jane", "held");
    world.bots_seat("Ann Lee", "bob", MemberChange::Left);
    world.client(ANN).taps("consent:yes");
    assert_eq!(world.state_of("held"), "sent");
    assert!(world.told("jane").contains(&"consent_yes".to_owned()), "{:?}", world.told("jane"));
}

#[test]
fn the_bot_demoted_tells_so_once_and_goes_on() {
    let mut world = World::agreed(|_| {});
    for _ in 0..2 {
        world.bots_seat("Ann Lee", "bob", MemberChange::Demoted);
    }
    assert_eq!(world.told("adam"), ["notice bot-demoted"]);
    assert_eq!(world.last_told("jane"), "notice bot-demoted");
    world.client(ANN).writes("Hello");
    assert_eq!(world.last_told("Ann Lee"), "client_message Ann Lee: Hello");
}

// ---- whole rooms

#[test]
fn a_room_renamed_by_hand_is_known_by_its_new_name() {
    let mut world = World::agreed(|_| {});
    let stream = world.room("Ann Lee").stream.unwrap();
    world.feed(Fact::RoomRenamed { stream, name: "Lee family".to_owned(), by: person("jane") });
    world.says("jane", "/room list");
    assert!(world.last_reply("jane").vars["rooms"].to_string().contains("Lee family"));
    world.client(ANN).writes("Hello");
    assert_eq!(world.last_told("Lee family"), "client_message Ann Lee: Hello");
}

#[test]
fn a_room_deactivated_by_hand_is_closed_told_and_followed_by_another() {
    let mut world = World::agreed(|_| {});
    world.passes(Span::days(2));
    world.in_room("Ann Lee").says("jane", "held");
    let closed = world.room("Ann Lee");
    world.activates(closed.stream.clone().unwrap(), "bob", false);
    assert_eq!(world.state_of("held"), "withdrawn(room)");
    assert!(world.told("jane").contains(&"notice room-closed-by-hand".to_owned()), "{:?}", world.told("jane"));
    // Activated again by hand it stays closed for the client, and says so.
    world.activates(closed.stream.clone().unwrap(), "bob", true);
    let posted = world.posts.iter().rfind(|post| Some(&post.stream) == closed.stream.as_ref()).unwrap();
    assert_eq!(said_as(posted), "notice room-stays-closed");
    world.client(ANN).writes("Hello?");
    let open: Vec<_> = world.rooms().into_iter().filter(|room| room.state == RoomState::Active).collect();
    assert_eq!(open.len(), 1);
    assert_ne!(open[0].key, closed.key);
    assert!(world.posts.iter().any(|post| said_as(post).ends_with("Hello?") && Some(&post.stream) == open[0].stream.as_ref()));
}

#[test]
fn differences_that_were_found_by_comparing_name_nobody_as_their_author() {
    let mut world = World::agreed(|_| {});
    let stream = world.room("Ann Lee").stream.unwrap();
    let user = person("bob");
    world.feed(Fact::MembersChanged { stream, user, change: MemberChange::Joined, by: Person::unknown() });
    let entry = world.entries.iter().rfind(|entry| entry.kind == "room.members_changed").unwrap();
    assert_eq!((entry.actor.as_str(), &entry.detail["compared"]), ("liaison", &serde_json::json!(true)));
}

#[test]
fn a_promotion_that_overtakes_the_joining_is_not_lost() {
    let mut world = World::agreed(|_| {});
    world.member("Ann Lee", "bob", MemberChange::Promoted);
    assert!(world.room("Ann Lee").members[&UserId(2)].owner);
    world.member("Ann Lee", "bob", MemberChange::Joined);
    assert!(world.room("Ann Lee").members[&UserId(2)].owner, "what comes later is known");
    world.member("Ann Lee", "eve", MemberChange::Promoted);
    assert!(!world.room("Ann Lee").members.contains_key(&person("eve").id), "who does not belong is shown out");
}
