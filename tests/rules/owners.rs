//! What the platform lets the bot do as an owner of a room, and what is told where it is none or a change fails after all.
use crate::common::world::*;
use liaison::domain::effect::RenameRoom;
use liaison::domain::event::MemberChange;
use liaison::domain::ids::UserId;
use liaison::domain::rooms;
use liaison::domain::time::Span;
use serde_json::json;

const ROOM: &str = "Ann Lee";
const BOB: &str = "@bob.ray@acme.com";
const CARL: &str = "@carl@acme.com";

/// Jane and Bob own the room with Ann.
fn two_owners() -> World {
    let mut world = World::agreed(|_| {});
    world.in_room(ROOM).says("jane", &format!("/room add {BOB}"));
    world.passes(Span::minutes(1));
    world.in_room(ROOM).says("jane", &format!("/room promote {BOB}"));
    world.passes(Span::minutes(1));
    world
}

/// Somebody has made the bot a plain member.
fn demoted(mut world: World) -> World {
    world.bots_seat(ROOM, "jane", MemberChange::Demoted);
    world
}

/// The bot is an owner as far as it knows; the platform refuses all the same.
fn refusing(mut world: World) -> World {
    world.keeps_members = true;
    world
}

fn confirmed(world: &mut World, who: &str, line: &str) {
    let asked = world.in_room(ROOM).says(who, line);
    assert!(asked.iter().any(|said| said.starts_with("confirm ")), "{line} asks first: {asked:?}");
    world.presses(who, "confirm");
}

/// Members of the room as `jane*` for owners.
fn members(world: &World) -> Vec<String> {
    let names = ["", "jane", "bob", "eve", "olga", "carl", "adam", "nina", "cora"];
    let shown = |user: &UserId, owner: bool| format!("{}{}", names[user.0 as usize], if owner { "*" } else { "" });
    world.room(ROOM).members.iter().map(|(user, member)| shown(user, member.owner)).collect()
}

/// What Ann read since, with the advisor whom it names.
fn read_since(world: &World, mark: usize) -> Vec<String> {
    use liaison::domain::effect::Body;
    let told = world.sends[mark..].iter().map(|sent| match &sent.body {
        Body::Wording { name, vars, .. } => format!("{name} {}", vars["advisor.name"]),
        body => read_as(body),
    });
    told.collect()
}

// ---- the bot is no owner

#[test]
fn s1_20_s1_21_s1_22_s1_23_s1_24_where_the_bot_is_no_owner_nothing_is_changed_or_announced() {
    let lines = [
        format!("/room add {CARL}"),
        format!("/room remove {BOB}"),
        format!("/room promote {BOB}"),
        format!("/room demote {BOB}"),
        "/room rename \"Lee family\"".to_owned(),
        format!("/room transfer {CARL}"),
        "/room leave".to_owned(),
        "/room deactivate".to_owned(),
        // The last client: with him the room ends.
        "/room remove Ann Lee".to_owned(),
        "/contact remove Ann Lee".to_owned(),
    ];
    for line in &lines {
        let mut world = demoted(two_owners());
        let (records, sent, told) = (world.records(), world.sends.len(), world.told("bob").len());
        assert_eq!(world.in_room(ROOM).says("jane", line), ["refusal(not-owner)"], "{line}");
        let reply = world.last_reply(ROOM).vars;
        assert_eq!((&reply["bot"], &reply["room"]), (&json!(true), &json!(ROOM)), "{line}: who must do what");
        assert_eq!(world.records(), records, "{line} changes nothing");
        assert_eq!((world.sends.len(), world.told("bob").len()), (sent, told), "{line}: nobody is told anything");
        world.bots_seat(ROOM, "jane", MemberChange::Promoted);
        let said = world.in_room(ROOM).says("jane", line);
        assert!(!said.iter().any(|said| said.starts_with("refusal")), "{line}: {said:?}");
    }
}

#[test]
fn s1_25_who_may_not_change_a_room_reads_that_first() {
    let mut world = demoted(two_owners());
    assert_eq!(world.in_room(ROOM).says("carl", &format!("/room add {CARL}")), ["refusal(not-owner)"]);
    assert!(!world.last_reply(ROOM).vars.contains_key("bot"), "it is Carl who is no owner");
}

#[test]
fn s0_10_contacts_come_and_go_without_the_platform() {
    let mut world = demoted(two_owners());
    world.says("jane", &format!("/contact add Ben Orr phone={BEN} email=ben@orr.de channel=whatsapp"));
    confirmed(&mut world, "jane", "/room add Ben Orr");
    assert_eq!(world.room(ROOM).contacts.len(), 2);
    confirmed(&mut world, "jane", "/room remove Ben Orr");
    assert_eq!(world.room(ROOM).contacts.len(), 1);
}

#[test]
fn s4_40_nobody_is_asked_for_one_whom_the_bot_could_not_bring_in() {
    let mut world = two_owners();
    confirmed(&mut world, "bob", "/room leave");
    let mut world = demoted(world);
    let sent = world.sends.len();
    assert_eq!(world.says("bob", &format!("/room restart {ANN}")), ["refusal(not-owner)"]);
    assert_eq!(world.sends.len(), sent);
}

#[test]
fn s4_41_what_the_bot_cannot_hand_over_stays_where_it_is() {
    let pass = "from=@jane.doe@acme.com to=@carl@acme.com";
    let mut world = demoted(World::agreed(|_| {}));
    let sent = world.sends.len();
    assert_eq!(world.says("adam", &format!("/contact transfer Ann Lee {pass}")), ["refusal(not-owner)"]);
    world.says("adam", &format!("/contact transfer all {pass}"));
    world.presses("adam", "confirm");
    assert_eq!(world.last_reply("adam").vars["refused"], json!([{ "name": "Ann Lee", "why": "bot-not-owner" }]));
    assert_eq!((members(&world), world.sends.len()), (vec!["jane*".to_owned()], sent));
    assert!(world.listing("jane", ANN).is_some() && world.listing("carl", ANN).is_none());
    // What is only on the list needs no room.
    world.says("jane", &format!("/contact add Ben Orr phone={BEN} email=ben@orr.de channel=whatsapp"));
    world.says("adam", &format!("/contact transfer {BEN} {pass}"));
    world.presses("adam", "confirm");
    assert!(world.listing("carl", BEN).is_some());
}

#[test]
fn s1_20_nobody_is_let_in_by_a_bot_that_is_no_owner() {
    let mut world = World::agreed(|_| {});
    world.says("bob", ADD_ANN);
    world.says("bob", &format!("/room create \"Mine\" {ANN}"));
    world.presses("bob", "join");
    let card = world.question();
    let mut world = demoted(world);
    let sent = world.sends.len();
    assert_eq!(world.presses_on(&card, "jane", "confirm"), ["info not-admitted", "refusal(not-owner)"]);
    assert_eq!((members(&world), world.sends.len()), (vec!["jane*".to_owned()], sent));
    assert_eq!(world.last_told("bob"), "info not-admitted");
}

#[test]
fn s1_24_a_name_that_could_not_be_given_for_want_of_a_seat_is_refused_with_that_reason() {
    let mut world = demoted(World::agreed(|_| {}));
    let stream = world.room(ROOM).stream.unwrap();
    let place = liaison::domain::effect::Place::Direct(UserId(1));
    let rename = RenameRoom { stream, name: "Lee family".to_owned(), contact: None, asked: Some((UserId(1), place)) };
    world.in_scene(|scene, _| rooms::could_not_rename(scene, &rename, "symphony-403", "no owner"), ROOM);
    assert_eq!(world.last_told("jane"), "refusal(not-owner)");
    assert_eq!(world.last_reply("jane").vars["bot"], json!(true));
}

// ---- announced, and refused after all

#[test]
fn s4_38_one_who_could_not_be_added_after_all_is_taken_back_at_everybody_who_was_told() {
    let mut world = refusing(World::agreed(|_| {}));
    let mark = world.sends.len();
    world.in_room(ROOM).says("jane", &format!("/room add {BOB}"));
    assert_eq!(members(&world), ["jane*"]);
    assert_eq!(read_since(&world, mark), ["advisor_joined Bob Ray", "advisor_left Bob Ray"]);
    assert_eq!(world.told("bob"), ["notice you-were-added", "notice you-are-not-in"]);
    assert_eq!(world.last_told(ROOM), "notice member-change-failed");
    assert_eq!(world.in_room(ROOM).says("bob", "Hello"), ["refusal(membership)"]);
}

#[test]
fn s4_41_a_hand_over_that_fails_leaves_the_conversation_with_the_one_who_has_it() {
    for line in [format!("/room transfer {BOB}"), String::new()] {
        let mut world = refusing(World::agreed(|_| {}));
        let mark = world.sends.len();
        match line.as_str() {
            "" => {
                world.says("adam", &format!("/contact transfer Ann Lee from=@jane.doe@acme.com to={BOB}"));
                world.presses("adam", "confirm");
            }
            line => confirmed(&mut world, "jane", line),
        }
        assert_eq!(members(&world), ["jane*"], "{line}");
        let read = read_since(&world, mark);
        assert_eq!(read, ["advisor_joined Bob Ray", "advisor_left Bob Ray", "advisor_joined Jane Doe"], "{line}");
        assert_eq!(world.last_told("bob"), "notice you-are-not-in");
        world.in_room(ROOM).says("jane", "Here I am");
        assert_eq!(world.state_of("Here I am"), "sent");
    }
}

#[test]
fn s4_33_one_who_could_not_be_let_go_is_in_it_until_he_leaves_by_himself() {
    let mut world = refusing(two_owners());
    let mark = world.sends.len();
    confirmed(&mut world, "bob", "/room leave");
    assert_eq!(members(&world), ["jane*", "bob"]);
    assert_eq!(read_since(&world, mark), ["advisor_left Bob Ray", "advisor_joined Bob Ray"]);
    assert_eq!(world.last_told(ROOM), "notice member-change-failed");
    world.passes(Span::minutes(1));
    let stream = world.room(ROOM).stream.unwrap();
    let (user, by, change) = (person("bob"), person("bob"), MemberChange::Left);
    world.feed(liaison::domain::event::Fact::MembersChanged { stream, user, change, by });
    world.work_off();
    assert_eq!(
        (members(&world), read_since(&world, mark).pop().unwrap().as_str()),
        (vec!["jane*".to_owned()], "advisor_left Bob Ray")
    );
}

// ---- why somebody may not be here

#[test]
fn invariant_9_the_owner_reads_why_an_outsider_may_not_be_there() {
    let why = |world: &World| world.last_reply("jane").vars["why"].as_str().unwrap().to_owned();
    for (who, reason) in [("eve", "other-sub-org"), ("nina", "not-enabled"), ("cora", "not-enabled")] {
        let mut world = World::agreed(|_| {});
        world.member(ROOM, who, MemberChange::Joined);
        assert_eq!((world.last_told("jane").as_str(), why(&world).as_str()), ("notice shown-out", reason), "{who}");
        let mut world = refusing(demoted(World::agreed(|_| {})));
        world.member(ROOM, who, MemberChange::Joined);
        assert_eq!((world.last_told("jane").as_str(), why(&world).as_str()), ("notice outsider-stays", reason), "{who}");
    }
    let mut world = refusing(two_owners());
    confirmed(&mut world, "jane", &format!("/room remove {BOB}"));
    let alarm = world.posts.iter().rfind(|post| post.reply.template == "outsider-stays").unwrap();
    assert_eq!((alarm.place.as_str(), &alarm.reply.vars["why"]), ("jane", &json!("removed")));
}

// ---- what waited when a room was handed over

#[test]
fn s4_41_what_waited_bears_the_same_reason_however_it_was_handed_over() {
    for by_admin in [false, true] {
        let mut world = World::agreed(|_| {});
        world.outbox_stands = true;
        world.in_room(ROOM).says("jane", "On its way");
        world.passes(Span::days(2));
        world.in_room(ROOM).says("jane", "Held");
        match by_admin {
            true => {
                world.says("adam", &format!("/contact transfer Ann Lee from=@jane.doe@acme.com to={BOB}"));
                world.presses("adam", "confirm");
            }
            false => confirmed(&mut world, "jane", &format!("/room transfer {BOB}")),
        }
        world.outbox_stands = false;
        world.work_off();
        let cards = world.posts.iter().filter(|post| post.reply.template == "take-over");
        let cards: Vec<_> = cards.map(|card| (card.reply.vars["text"].clone(), card.reply.reason.clone().unwrap())).collect();
        let both = ["On its way", "Held"].map(|text| (json!(text), "handover".to_owned()));
        assert_eq!(cards, both, "by an administrator: {by_admin}");
        assert_eq!(
            (world.state_of("On its way"), world.state_of("Held")),
            ("withdrawn(handover)".into(), "withdrawn(handover)".into())
        );
        assert!(!world.sent_to(ANN).contains(&"On its way".to_owned()));
    }
}
