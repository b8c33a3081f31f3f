//! Owners, and several advisors with one client: who may change a room, and who reads what of it.
use crate::common::world::*;
use liaison::domain::consent::Consent;
use liaison::domain::effect::{Body, Effect};
use liaison::domain::event::{Fact, MemberChange, Person};
use liaison::domain::ids::{Channel, UserId};
use liaison::domain::presence::{Presence, Step};
use liaison::domain::room::RoomState;
use liaison::domain::time::{Span, Timestamp};
use serde_json::Value;

const ROOM: &str = "Ann Lee";
const BOB: &str = "@bob.ray@acme.com";
const JANE: &str = "@jane.doe@acme.com";
const CARL: &str = "@carl@acme.com";

/// Jane owns the room with Ann, Bob is a member.
fn two() -> World {
    let mut world = World::agreed(|_| {});
    world.in_room(ROOM).says("jane", &format!("/room add {BOB}"));
    world
}

/// And Bob owns it too.
fn two_owners() -> World {
    let mut world = two();
    world.in_room(ROOM).says("jane", &format!("/room promote {BOB}"));
    world
}

/// And Carl is a plain member.
fn three() -> World {
    let mut world = two();
    world.passes(Span::hours(1));
    world.in_room(ROOM).says("jane", &format!("/room add {CARL}"));
    world
}

fn confirmed(world: &mut World, who: &str, line: &str) -> Vec<String> {
    let asked = world.in_room(ROOM).says(who, line);
    assert!(asked.iter().any(|said| said.starts_with("confirm ")), "{line} asks first: {asked:?}");
    world.presses(who, "confirm")
}

fn by_hand(world: &mut World, by: &str, who: &str, change: MemberChange) {
    by_somebody(world, person(by), who, change);
}

fn by_somebody(world: &mut World, by: Person, who: &str, change: MemberChange) {
    let stream = world.room(ROOM).stream.unwrap();
    world.feed(Fact::MembersChanged { stream, user: person(who), change, by });
    world.work_off();
}

fn the_bot() -> Person {
    Person { id: BOT, name: "Liaison".to_owned(), email: None, service: true }
}

fn renamed_by(world: &mut World, by: &str, name: &str) {
    let stream = world.room(ROOM).stream.unwrap();
    world.feed(Fact::RoomRenamed { stream, name: name.to_owned(), by: person(by) });
    world.work_off();
}

/// Members of the room as `jane*` for owners.
fn members(world: &World) -> Vec<String> {
    let names = ["", "jane", "bob", "eve", "olga", "carl", "adam", "nina", "cora"];
    let shown = |user: &UserId, owner: bool| format!("{}{}", names[user.0 as usize], if owner { "*" } else { "" });
    world.room(ROOM).members.iter().map(|(user, member)| shown(user, member.owner)).collect()
}

/// What the platform was told to do, the newest last.
fn did(world: &World) -> Vec<String> {
    let told = |effect: &Effect| match effect {
        Effect::AddMember { user, owner, .. } => format!("add {user}{}", if *owner { "*" } else { "" }),
        Effect::RemoveMember { user, .. } => format!("remove {user}"),
        Effect::DemoteMember { user, .. } => format!("demote {user}"),
        Effect::RenameRoom(rename) => format!("rename {}", rename.name),
        Effect::DeactivateRoom { .. } => "deactivate".to_owned(),
        other => panic!("{other:?}"),
    };
    world.members.iter().map(told).collect()
}

fn words(reply: &liaison::domain::effect::Reply, name: &str) -> String {
    reply.vars.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn actor_of_last(world: &World, kind: &str) -> String {
    world.entries.iter().rfind(|entry| entry.kind == kind).unwrap_or_else(|| panic!("no {kind}")).actor.clone()
}

// ---- who may

#[test]
fn s4_30_presence_has_all_its_arrows() {
    let (was, now) = (Timestamp(1), Timestamp(2));
    let (inside, left, removed) = (Presence::In { since: was }, Presence::Left { at: was }, Presence::Removed { at: was });
    let table = [
        (None, Step::Comes, Some(Presence::In { since: now })),
        (None, Step::Leaves, None),
        (None, Step::IsRemoved, None),
        (Some(inside), Step::Comes, None),
        (Some(inside), Step::Leaves, Some(Presence::Left { at: now })),
        (Some(inside), Step::IsRemoved, Some(Presence::Removed { at: now })),
        (Some(left), Step::Comes, Some(Presence::In { since: now })),
        (Some(left), Step::Leaves, None),
        (Some(left), Step::IsRemoved, None),
        (Some(removed), Step::Comes, Some(Presence::In { since: now })),
        (Some(removed), Step::Leaves, None),
        (Some(removed), Step::IsRemoved, None),
    ];
    for (before, step, after) in table {
        assert_eq!(Presence::after(before, step, now), after, "{before:?} {step:?}");
    }
}

/// Everybody who could try: what each reads who may not.
const ROLES: [(&str, Option<&str>); 8] = [
    ("jane", None),
    // Holds room.manage-any.
    ("adam", None),
    ("bob", Some("refusal(not-owner)")),
    // Was in it.
    ("carl", Some("refusal(not-owner)")),
    ("olga", Some("refusal(not-owner)")),
    // Of another sub-organisation.
    ("eve", Some("refusal(not-owner)")),
    // Without the channel.
    ("cora", Some("refusal(no-permission)")),
    ("nina", Some("refusal(not-entitled)")),
];

fn with_a_former_member() -> World {
    let mut world = three();
    confirmed(&mut world, "carl", "/room leave");
    world
}

#[test]
fn s1_20_s1_21_s1_22_s1_23_s1_24_s1_25_owners_and_only_owners_change_a_room() {
    let lines = [
        "/room add @olga@acme.com".to_owned(),
        format!("/room remove {BOB}"),
        format!("/room promote {BOB}"),
        format!("/room demote {BOB}"),
        "/room rename \"Lee family\"".to_owned(),
        "/room deactivate".to_owned(),
    ];
    for line in &lines {
        for (who, refused) in ROLES {
            let mut world = with_a_former_member();
            let before = world.records();
            let said = world.in_room(ROOM).says(who, line);
            match refused {
                Some(code) => {
                    assert_eq!(said, [code], "{who}: {line}");
                    assert_eq!(world.records(), before, "{who}: {line} changes nothing");
                }
                None => assert!(!said.iter().any(|said| said.starts_with("refusal")), "{who}: {line}: {said:?}"),
            }
        }
    }
}

#[test]
fn s4_41_only_an_owner_who_is_in_it_hands_a_room_over() {
    for (who, refused) in ROLES {
        let mut world = with_a_former_member();
        let said = world.in_room(ROOM).says(who, &format!("/room transfer {CARL}"));
        let expected = if who == "adam" { "refusal(not-a-member)" } else { refused.unwrap_or("confirm confirm-room-transfer") };
        assert_eq!(said, [expected], "{who}");
    }
}

#[test]
fn s4_30_only_colleagues_of_the_same_sub_organisation_with_the_channel_come_in() {
    let table = [
        (CARL, None),
        (BOB, Some("already-member")),
        (JANE, Some("already-member")),
        ("@eve.fox@acme.com", Some("other-sub-org")),
        ("@nina@acme.com", Some("not-enabled")),
        ("@cora@acme.com", Some("not-enabled")),
        ("@nobody@acme.com", Some("bad-argument")),
        ("", Some("bad-argument")),
    ];
    for (who, refused) in table {
        let mut world = two();
        let said = world.in_room(ROOM).says("jane", &format!("/room add {who}"));
        match refused {
            Some(code) => {
                assert_eq!(said, [format!("refusal({code})")], "{who}");
                assert_eq!(members(&world), ["jane*", "bob"], "{who}");
            }
            None => assert_eq!(members(&world), ["jane*", "bob", "carl"]),
        }
    }
}

#[test]
fn s4_30_the_same_holds_for_a_hand_over() {
    for (who, code) in [("@eve.fox@acme.com", "other-sub-org"), ("@nina@acme.com", "not-enabled"), (JANE, "bad-argument")] {
        let mut world = two();
        let said = world.in_room(ROOM).says("jane", &format!("/room transfer {who}"));
        assert_eq!(said, [format!("refusal({code})")]);
    }
    let mut world = two();
    world.revoke("bob");
    let said = world.in_room(ROOM).says("jane", &format!("/room transfer {BOB}"));
    assert_eq!(said, ["refusal(not-enabled)"], "a member who lost the channel");
}

#[test]
fn commands_for_owners_work_in_client_rooms_only() {
    let mut world = two();
    for line in ["/room leave", "/room deactivate", "/room rename X", "/room add @carl@acme.com"] {
        assert_eq!(world.says("jane", line), ["refusal(not-a-member)"], "{line}");
    }
}

// ---- coming in

#[test]
fn s4_4_who_is_added_can_write_and_the_client_hears_of_him() {
    let mut world = World::agreed(|_| {});
    let said = world.in_room(ROOM).says("jane", &format!("/room add {BOB}"));
    assert!(said.contains(&"answer member-added".to_owned()), "{said:?}");
    assert_eq!(world.last_told("bob"), "notice you-were-added");
    assert_eq!(did(&world), ["add 2"]);
    world.in_room(ROOM).says("bob", "Hello");
    assert_eq!(world.sent_to(ANN)[2..], ["advisor_joined", "Bob Ray: Hello"]);
    assert_eq!(actor_of_last(&world, "room.members_changed"), "jane.doe@acme.com");
}

#[test]
fn s4_4_who_cannot_be_added_on_the_platform_is_no_member() {
    let mut world = World::agreed(|_| {});
    world.keeps_members = true;
    world.in_room(ROOM).says("jane", &format!("/room add {BOB}"));
    assert_eq!(members(&world), ["jane*"]);
    assert_eq!(world.last_told(ROOM), "notice member-change-failed");
}

// ---- leaving

#[test]
fn s4_33_s4_34_the_client_and_the_leaver_are_told() {
    let mut world = two();
    let before = world.sent_to(ANN).len();
    confirmed(&mut world, "bob", "/room leave");
    assert_eq!(world.last_told("bob"), "answer you-left");
    assert_eq!(world.last_told(ROOM), "notice colleague-left");
    assert_eq!(world.sent_to(ANN)[before..], ["advisor_left"]);
    let Body::Wording { vars, .. } = &world.sends.last().unwrap().body else { panic!("a text") };
    assert_eq!(vars["advisor.name"], "Bob Ray");
    assert_eq!((members(&world), did(&world)), (vec!["jane*".to_owned()], vec!["add 2".to_owned(), "remove 2".to_owned()]));
}

#[test]
fn s4_33_nobody_leaves_without_confirming() {
    let mut world = two();
    let before = world.sends.len();
    world.in_room(ROOM).says("bob", "/room leave");
    world.presses("bob", "cancel");
    assert_eq!((members(&world).len(), world.sends.len()), (2, before));
}

#[test]
fn s4_34_only_members_leave() {
    let mut world = two();
    for who in ["olga", "eve", "adam"] {
        let said = world.in_room(ROOM).says(who, "/room leave");
        let expected = if who == "adam" { "refusal(no-permission)" } else { "refusal(not-a-member)" };
        assert_eq!(said, [expected], "{who}");
    }
}

#[test]
fn the_last_owner_stays_while_others_are_there_and_goes_when_alone() {
    let mut world = two();
    assert_eq!(world.in_room(ROOM).says("jane", "/room leave"), ["refusal(last-owner)"]);
    assert_eq!(world.in_room(ROOM).says("jane", &format!("/room demote {JANE}")), ["refusal(last-owner)"]);
    assert_eq!(world.in_room(ROOM).says("jane", &format!("/room remove {JANE}")), ["refusal(last-owner)"]);
    assert_eq!(world.in_room(ROOM).says("adam", &format!("/room remove {JANE}")), ["refusal(last-owner)"]);
    confirmed(&mut world, "bob", "/room leave");
    confirmed(&mut world, "jane", "/room leave");
    assert!(members(&world).is_empty());
    assert_eq!(world.room(ROOM).state, RoomState::Active, "the room stays");
}

#[test]
fn when_the_last_one_has_left_the_next_message_reaches_the_default_list() {
    let mut world = World::agreed(|policy| policy.default_advisors = vec!["bob.ray@acme.com".to_owned()]);
    confirmed(&mut world, "jane", "/room leave");
    world.client(ANN).writes("Anybody?");
    let read: Vec<&Posted> = world.posts.iter().filter(|post| said_as(post).ends_with("Anybody?")).collect();
    let room = world.rooms().into_iter().find(|room| room.stream.as_ref() == Some(&read[0].stream)).unwrap();
    assert_eq!((read.len(), room.members.keys().copied().collect::<Vec<_>>()), (1, vec![UserId(2)]), "not Jane, who left");
}

#[test]
fn who_has_left_reads_again_rather_than_nobody() {
    let mut world = World::agreed(|policy| policy.default_advisors.clear());
    confirmed(&mut world, "jane", "/room leave");
    world.client(ANN).writes("Anybody?");
    let reader = world.rooms().into_iter().find(|room| !room.members.is_empty()).expect("never nowhere");
    assert_eq!(reader.owner(), Some(UserId(1)));
    assert!(world.posts.iter().any(|post| said_as(post).ends_with("Anybody?")));
}

// ---- removing

#[test]
fn s4_35_s4_36_s4_37_s4_38_s4_39_everybody_reads_his_own_sentence() {
    let mut world = three();
    let before = world.sent_to(ANN).len();
    assert_eq!(world.in_room(ROOM).says("jane", &format!("/room remove {CARL}")), ["confirm confirm-room-remove"]);
    assert_eq!((members(&world).len(), world.sent_to(ANN).len()), (3, before), "S4-35: it asks first");
    world.presses("jane", "confirm");
    assert_eq!(world.last_told("jane"), "answer you-removed", "S4-36");
    assert_eq!(words(&world.last_reply("jane"), "user"), "Carl Central");
    assert_eq!(world.last_told(ROOM), "notice colleague-removed", "S4-37");
    let others = world.last_reply(ROOM);
    assert_eq!((words(&others, "by"), words(&others, "name")), ("Jane Doe".to_owned(), "Carl Central".to_owned()));
    assert_eq!(world.last_told("carl"), "notice you-were-removed", "S4-39");
    assert_eq!(words(&world.last_reply("carl"), "by"), "Jane Doe");
    assert_eq!(world.sent_to(ANN)[before..], ["advisor_left"], "S4-38");
    assert_eq!(did(&world).last().unwrap(), "remove 5");
}

#[test]
fn s4_36_where_nobody_else_reads_the_remover_reads_it_in_the_room() {
    let mut world = two();
    assert_eq!(confirmed(&mut world, "jane", &format!("/room remove {BOB}")).last().unwrap(), "answer you-removed");
    assert_eq!(world.last_told(ROOM), "answer you-removed");
    assert!(!world.told(ROOM).contains(&"notice colleague-removed".to_owned()));
}

#[test]
fn s4_38_in_a_closed_window_the_notice_is_the_template_that_bears_the_text() {
    let mut world = two();
    world.passes(Span::hours(30));
    confirmed(&mut world, "bob", "/room leave");
    let Body::Template { name, vars, .. } = &world.sends.last().unwrap().body else { panic!("{:?}", world.sends.last()) };
    assert_eq!((name.as_str(), vars["notice_text"].as_str()), ("liaison_notice", "advisor_left"));
    assert_eq!(vars["advisor.name"], "Bob Ray");
}

#[test]
fn s4_38_by_sms_the_notice_is_a_text_at_any_time() {
    let mut world = World::with(direct_line);
    let added = world.says("jane", "/contact add Uwe Orr phone=+4915112345699 email=uwe@orr.de channel=sms");
    assert!(!added.iter().any(|line| line.starts_with("refusal")), "{added:?}");
    world.passes(Span::hours(40));
    world.in_room("Uwe Orr").says("jane", &format!("/room add {BOB}"));
    let sent = world.sends.last().unwrap();
    assert_eq!((sent.channel, read_as(&sent.body)), (Channel::Sms, "advisor_joined".to_owned()));
}

#[test]
fn s4_38_never_without_consent_and_never_to_somebody_blocked() {
    let mut world = World::invited(|_| {});
    let before = world.sends.len();
    world.in_room(ROOM).says("jane", &format!("/room add {BOB}"));
    confirmed(&mut world, "bob", "/room leave");
    assert_eq!(world.sends.len(), before, "PENDING");
    for consent in [Consent::None, Consent::OptedOut { at: MIDNIGHT }] {
        world.set_consent(ANN, consent.clone());
        world.in_room(ROOM).says("jane", &format!("/room add {BOB}"));
        confirmed(&mut world, "bob", "/room leave");
        assert_eq!(world.sends.len(), before, "{consent:?}");
    }
    world.set_consent(ANN, Consent::OptedIn { at: MIDNIGHT });
    let mut contact = world.contact(ANN);
    contact.blocked = Some("spam".to_owned());
    world.put(&contact);
    world.in_room(ROOM).says("jane", &format!("/room add {BOB}"));
    assert_eq!(world.sends.len(), before, "blocked");
    assert!(!world.kinds().contains(&"message.withdrawn"), "it is not even begun");
}

#[test]
fn s4_38_a_stop_in_the_meantime_withdraws_the_notice() {
    let mut world = two();
    world.outbox_stands = true;
    confirmed(&mut world, "bob", "/room leave");
    world.client(ANN).writes("STOP");
    world.outbox_stands = false;
    world.work_off();
    assert_eq!(world.sent_to(ANN).last().unwrap(), "opted_out");
    assert!(!world.sent_to(ANN).contains(&"advisor_left".to_owned()));
}

#[test]
fn what_a_removed_advisor_wrote_is_withdrawn_and_told_to_him() {
    let mut world = two();
    world.passes(Span::hours(30));
    world.in_room(ROOM).says("bob", "held");
    world.in_room(ROOM).says("jane", "mine");
    confirmed(&mut world, "jane", &format!("/room remove {BOB}"));
    assert_eq!(world.state_of("Bob Ray: held"), "withdrawn(membership)");
    assert_eq!(world.state_of("Jane Doe: mine"), "held(window)", "colleagues' keep their places");
    assert!(world.told("bob").contains(&"withdrawn(membership)".to_owned()), "{:?}", world.told("bob"));
    assert!(!world.told(ROOM).contains(&"withdrawn(membership)".to_owned()));
    world.client(ANN).writes("Hi");
    assert_eq!(world.sent_to(ANN).last().unwrap(), "Jane Doe: mine");
}

#[test]
fn what_is_ready_is_judged_when_it_is_taken_and_told_to_him_who_is_out() {
    let mut world = two();
    world.outbox_stands = true;
    world.in_room(ROOM).says("bob", "ready");
    confirmed(&mut world, "jane", &format!("/room remove {BOB}"));
    world.outbox_stands = false;
    world.work_off();
    assert_eq!(world.state_of("Bob Ray: ready"), "withdrawn(membership)");
    assert_eq!(world.last_told("bob"), "withdrawn(membership)");
}

// ---- order and races

#[test]
fn of_two_owners_who_remove_each_other_the_second_is_no_owner_any_more() {
    let mut world = two_owners();
    world.in_room(ROOM).says("jane", &format!("/room remove {BOB}"));
    let of_jane = world.question();
    world.in_room(ROOM).says("bob", &format!("/room remove {JANE}"));
    let of_bob = world.question();
    world.presses_on(&of_jane, "jane", "confirm");
    assert_eq!(world.presses_on(&of_bob, "bob", "confirm"), ["refusal(not-owner)"]);
    assert_eq!(members(&world), ["jane*"]);
}

#[test]
fn of_two_last_owners_who_leave_at_once_the_second_stays_for_the_others() {
    let mut world = three();
    world.in_room(ROOM).says("jane", &format!("/room promote {BOB}"));
    world.in_room(ROOM).says("jane", "/room leave");
    let of_jane = world.question();
    world.in_room(ROOM).says("bob", "/room leave");
    let of_bob = world.question();
    world.presses_on(&of_jane, "jane", "confirm");
    assert_eq!(world.presses_on(&of_bob, "bob", "confirm"), ["refusal(last-owner)"]);
    assert_eq!(members(&world), ["bob*", "carl"]);
}

#[test]
fn one_who_has_just_been_removed_commands_nothing() {
    let mut world = two_owners();
    world.in_room(ROOM).says("bob", "/room deactivate");
    let question = world.question();
    confirmed(&mut world, "jane", &format!("/room remove {BOB}"));
    assert_eq!(world.presses_on(&question, "bob", "confirm"), ["refusal(not-owner)"]);
    assert_eq!(world.in_room(ROOM).says("bob", &format!("/room add {CARL}")), ["refusal(not-owner)"]);
    assert_eq!(world.in_room(ROOM).says("bob", "/room leave"), ["refusal(not-a-member)"]);
    assert_eq!(world.in_room(ROOM).says("bob", "Hello"), ["refusal(membership)"]);
    assert_eq!(world.room(ROOM).state, RoomState::Active);
}

#[test]
fn a_confirmation_counts_once() {
    let mut world = two();
    confirmed(&mut world, "bob", "/room leave");
    let before = world.sends.len();
    assert_eq!(world.presses("bob", "confirm"), ["answer you-left"], "the first answer again");
    assert_eq!((world.sends.len(), did(&world).len()), (before, 2));
}

// ---- owners

#[test]
fn s1_22_s1_23_owners_come_and_go() {
    let mut world = two();
    world.in_room(ROOM).says("jane", &format!("/room promote {BOB}"));
    assert_eq!(members(&world), ["jane*", "bob*"]);
    assert_eq!(actor_of_last(&world, "room.members_changed"), "jane.doe@acme.com");
    world.in_room(ROOM).says("bob", &format!("/room demote {JANE}"));
    assert_eq!(members(&world), ["jane", "bob*"]);
    assert_eq!(did(&world), ["add 2", "add 2*", "demote 1"]);
    assert_eq!(world.in_room(ROOM).says("jane", &format!("/room promote {JANE}")), ["refusal(not-owner)"]);
    assert_eq!(world.in_room(ROOM).says("bob", &format!("/room promote {CARL}")), ["refusal(not-a-member)"]);
    let info = serde_json::to_string(&{
        world.in_room(ROOM).says("bob", "/room info");
        world.last_reply(ROOM).vars
    });
    assert!(info.unwrap().contains(r#""members":[{"name":"Jane Doe","owner":false},{"name":"Bob Ray","owner":true}]"#));
}

#[test]
fn s1_22_an_owner_who_lost_the_channel_owns_no_more_than_his_seat() {
    let mut world = two_owners();
    world.revoke("bob");
    assert_eq!(world.in_room(ROOM).says("bob", "/room deactivate"), ["refusal(not-entitled)"]);
    assert_eq!(world.in_room(ROOM).says("jane", &format!("/room promote {BOB}")), ["refusal(not-enabled)"]);
}

#[test]
fn s1_24_the_platform_has_the_last_word_on_a_name() {
    let mut world = two();
    world.take_name("Orr");
    let table = [
        ("\"Ann Lee\"".to_owned(), "refusal(same-name)"),
        ("Orr".to_owned(), "refusal(name-taken)"),
        (format!("\"{}\"", "x".repeat(50)), "refusal(name-too-long)"),
        (String::new(), "refusal(bad-argument)"),
    ];
    for (name, refused) in table {
        assert_eq!(world.in_room(ROOM).says("jane", &format!("/room rename {name}")), [refused]);
        assert!(world.has_room(ROOM));
    }
    let longest = "y".repeat(49);
    let stream = world.room(ROOM).stream.unwrap();
    world.in_room(ROOM).says("jane", &format!("/room rename \"{longest}\""));
    assert_eq!(world.last_told(&longest), "answer room-renamed");
    assert_eq!(actor_of_last(&world, "room.renamed"), "jane.doe@acme.com");
    // The platform's own word about it changes nothing.
    let entries = world.entries.len();
    world.feed(Fact::RoomRenamed { stream, name: longest.clone(), by: the_bot() });
    assert_eq!(world.entries.len(), entries);
}

// ---- handing over

#[test]
fn s4_41_the_new_advisor_owns_the_room_and_the_client_knows() {
    for is_member in [true, false] {
        let mut world = if is_member { two() } else { World::agreed(|_| {}) };
        let before = world.sent_to(ANN).len();
        confirmed(&mut world, "jane", &format!("/room transfer {BOB}"));
        assert_eq!(members(&world), ["bob*"]);
        assert_eq!(world.sent_to(ANN)[before..], ["advisor_joined"], "one notice, not two");
        let Body::Wording { vars, .. } = &world.sends.last().unwrap().body else { panic!("a text") };
        assert_eq!(vars["advisor.name"], "Bob Ray");
        assert_eq!(did(&world)[did(&world).len() - 2..], ["add 2*", "remove 1"]);
        assert_eq!(
            (world.last_told("jane"), world.last_told("bob")),
            ("answer room-transferred".into(), "notice handed-over-to-you".into())
        );
        assert_eq!(actor_of_last(&world, "room.transferred"), "jane.doe@acme.com");
        assert_eq!(world.in_room(ROOM).says("jane", "Wait"), ["refusal(membership)"]);
    }
}

#[test]
fn s4_41_held_messages_wait_for_the_new_advisors_word() {
    let mut world = World::agreed(|_| {});
    world.passes(Span::hours(30));
    world.in_room(ROOM).says("jane", "first");
    world.in_room(ROOM).says("jane", "second");
    confirmed(&mut world, "jane", &format!("/room transfer {BOB}"));
    let cards: Vec<Posted> = world.posts.iter().filter(|post| post.reply.template == "take-over").cloned().collect();
    assert_eq!(cards.iter().map(|card| words(&card.reply, "text")).collect::<Vec<_>>(), ["first", "second"]);
    world.client(ANN).writes("Hello");
    assert!(!world.sent_to(ANN).iter().any(|text| text.contains("first")), "nothing of them goes by itself");
    assert_eq!(world.presses_on(&cards[0], "jane", "send-again"), ["refusal(not-yours)"]);
    world.presses_on(&cards[0], "bob", "send-again");
    world.presses_on(&cards[1], "bob", "cancel");
    assert_eq!(world.sent_to(ANN).last().unwrap(), "first");
    assert_eq!(world.message("first").advisor(), Some(UserId(2)), "it is Bob's now");
    world.presses_on(&cards[0], "bob", "send-again");
    assert_eq!(world.sent_to(ANN).iter().filter(|text| *text == "first").count(), 1);
    assert!(!world.sent_to(ANN).contains(&"second".to_owned()));
    assert_eq!(actor_of_last(&world, "message.not_taken_over"), "bob.ray@acme.com");
    assert_eq!(world.kinds().iter().filter(|kind| **kind == "message.not_taken_over").count(), 1, "the other one was");
}

#[test]
fn s4_41_what_may_not_be_taken_over_yet_may_be_later() {
    let mut world = World::agreed(|_| {});
    world.passes(Span::hours(30));
    world.in_room(ROOM).says("jane", "first");
    confirmed(&mut world, "jane", &format!("/room transfer {BOB}"));
    let card = world.posts.iter().rfind(|post| post.reply.template == "take-over").unwrap().clone();
    world.client(ANN).writes("stop");
    assert_eq!(world.presses_on(&card, "bob", "send-again"), ["refusal(consent)"]);
    world.passes(Span::minutes(1));
    world.client(ANN).writes("yes");
    assert_eq!(world.presses_on(&card, "bob", "send-again"), ["info sent-again"]);
    assert_eq!(world.sent_to(ANN).last().unwrap(), "first");
}

#[test]
fn s4_41_what_bore_the_old_advisors_name_bears_the_new_ones() {
    let mut world = three();
    world.passes(Span::hours(30));
    world.in_room(ROOM).says("jane", "first");
    confirmed(&mut world, "jane", &format!("/room transfer {BOB}"));
    let card = world.posts.iter().rfind(|post| post.reply.template == "take-over").unwrap().clone();
    world.client(ANN).writes("Hello");
    world.presses_on(&card, "bob", "send-again");
    assert_eq!(world.sent_to(ANN).last().unwrap(), "Bob Ray: first");
}

// ---- restarting

fn bob_left() -> World {
    let mut world = two();
    confirmed(&mut world, "bob", "/room leave");
    world
}

#[test]
fn s4_40_a_former_member_is_in_again_when_the_client_says_yes() {
    for removed in [false, true] {
        let mut world = two();
        match removed {
            false => confirmed(&mut world, "bob", "/room leave"),
            true => confirmed(&mut world, "jane", &format!("/room remove {BOB}")),
        };
        let before = world.sends.len();
        assert_eq!(world.says("bob", &format!("/room restart {ANN}")), ["answer restart-asked"]);
        assert_eq!(read_as(&world.sends[before].body), "<liaison_invitation>", "the new opt-in");
        assert_eq!(members(&world), ["jane*"], "not before the yes");
        world.in_room(ROOM).says("jane", "I can write meanwhile");
        assert_eq!(world.state_of("I can write meanwhile"), "sent", "the firm's consent stands");
        world.client(ANN).taps("consent:yes");
        assert_eq!(members(&world), ["jane*", "bob"]);
        assert_eq!(world.last_told("bob"), "consent_yes");
        assert!(world.told(ROOM).contains(&"notice colleague-joined".to_owned()));
        assert_eq!(world.sent_to(ANN).last().unwrap(), "advisor_joined");
        world.in_room(ROOM).says("bob", "Back");
        assert_eq!(world.sent_to(ANN).last().unwrap(), "Bob Ray: Back");
        assert_eq!(actor_of_last(&world, "conversation.restarted"), "bob.ray@acme.com");
    }
}

#[test]
fn s4_40_the_question_waits_a_day_for_the_next() {
    let mut world = bob_left();
    let line = format!("/room restart {ANN}");
    assert_eq!(world.says("bob", &line), ["answer restart-asked"]);
    assert_eq!(world.says("bob", &line), ["refusal(pending-until)"]);
    world.passes(Span::hours(24));
    assert_eq!(world.says("bob", &line), ["answer restart-asked"]);
}

#[test]
fn s4_40_who_may_not_restart_reads_why() {
    let mut world = bob_left();
    let line = format!("/room restart {ANN}");
    assert_eq!(world.says("jane", &line), ["info you-are-in"]);
    assert_eq!(world.says("carl", &line), ["refusal(no-such-contact)", "form"][..1], "he never was in it");
    world.says("olga", &format!("{ADD_ANN} lang=en"));
    assert_eq!(world.says("olga", &line), ["refusal(not-a-member)"]);
    let mut contact = world.contact(ANN);
    contact.blocked = Some("spam".to_owned());
    world.put(&contact);
    assert_eq!(world.says("bob", &line), ["refusal(blocked)"]);
    contact.blocked = None;
    world.put(&contact);
    world.set_consent(ANN, Consent::OptedOut { at: MIDNIGHT });
    assert_eq!(world.says("bob", &line), ["refusal(opted-out)"]);
    world.revoke("bob");
    assert_eq!(world.says("bob", &line), ["refusal(not-entitled)"]);
}

#[test]
fn s4_40_a_stop_ends_the_asking_and_a_plain_yes_much_later_is_a_colleagues() {
    let mut world = bob_left();
    world.says("bob", &format!("/room restart {ANN}"));
    world.passes(Span::hours(30));
    world.client(ANN).writes("Yes");
    assert_eq!(members(&world), ["jane*"], "she answers Jane");
    assert_eq!(world.last_told(ROOM), "client_message Ann Lee: Yes");
    world.client(ANN).writes("STOP");
    assert_eq!(world.last_told("bob"), "consent_no");
    world.client(ANN).taps("consent:yes");
    assert_eq!(members(&world), ["jane*"]);
}

#[test]
fn s4_40_a_yes_in_words_counts_for_a_day_and_is_shown() {
    let mut world = bob_left();
    world.says("bob", &format!("/room restart {ANN}"));
    world.client(ANN).writes("Yes");
    assert_eq!(members(&world), ["jane*", "bob"]);
    assert!(world.told(ROOM).contains(&"client_message Ann Lee: Yes".to_owned()));
}

#[test]
fn s4_40_before_the_client_agreed_to_the_firm_the_opt_in_is_the_firms() {
    let mut world = World::invited(|_| {});
    world.in_room(ROOM).says("jane", &format!("/room add {BOB}"));
    confirmed(&mut world, "bob", "/room leave");
    assert_eq!(world.says("bob", &format!("/room restart {ANN}")), ["refusal(pending-until)"], "she was asked a minute ago");
    world.passes(Span::hours(24));
    assert_eq!(world.says("bob", &format!("/room restart {ANN}")), ["answer restart-asked"]);
    world.client(ANN).taps("consent:yes");
    assert!(world.consent(ANN).is_opted_in());
    assert_eq!(members(&world), ["jane*", "bob"]);
}

#[test]
fn s4_40_a_yes_for_one_who_lost_his_right_brings_nobody_in() {
    let mut world = bob_left();
    world.says("bob", &format!("/room restart {ANN}"));
    world.revoke("bob");
    world.client(ANN).taps("consent:yes");
    assert_eq!(members(&world), ["jane*"]);
    assert_eq!(world.last_told("bob"), "notice restart-void");
}

#[test]
fn s4_40_who_comes_back_into_an_empty_room_owns_it() {
    let mut world = World::agreed(|_| {});
    confirmed(&mut world, "jane", "/room leave");
    world.says("jane", &format!("/room restart {ANN}"));
    world.client(ANN).taps("consent:yes");
    let room = world.rooms().into_iter().find(|room| room.created_by == "jane.doe@acme.com").unwrap();
    assert_eq!(room.members.get(&UserId(1)).map(|member| member.owner), Some(true));
}

#[test]
fn s1_20_who_is_brought_into_a_room_that_everybody_has_left_owns_it() {
    for by_command in [true, false] {
        let mut world = World::agreed(|_| {});
        confirmed(&mut world, "jane", "/room leave");
        match by_command {
            true => drop(world.in_room(ROOM).says("adam", &format!("/room add {BOB}"))),
            false => by_hand(&mut world, "adam", "bob", MemberChange::Joined),
        }
        assert_eq!((members(&world), did(&world).last().unwrap().as_str()), (vec!["bob*".to_owned()], "add 2*"));
    }
}

#[test]
fn s4_30_an_empty_room_whose_client_went_to_another_sub_organisation_is_not_restarted() {
    let mut world = World::agreed(|policy| policy.default_advisors = vec!["eve.fox@acme.com".to_owned()]);
    confirmed(&mut world, "jane", "/room leave");
    world.client(ANN).writes("Anybody?");
    assert!(world.rooms().iter().any(|room| room.members.contains_key(&UserId(3))), "Eve answers for everybody");
    assert_eq!(world.says("jane", &format!("/room restart {ANN}")), ["refusal(no-line-left)"]);
}

#[test]
fn s4_30_of_those_who_answer_for_everybody_the_ones_of_the_left_room_come_first() {
    let defaults = ["eve.fox@acme.com", "bob.ray@acme.com"].map(str::to_owned).to_vec();
    let mut world = World::agreed(|policy| policy.default_advisors = defaults);
    confirmed(&mut world, "jane", "/room leave");
    world.client(ANN).writes("Anybody?");
    let rooms = world.rooms();
    let room = rooms.iter().find(|room| !room.members.is_empty()).unwrap();
    assert_eq!((room.owner(), room.sub_org.as_str()), (Some(UserId(2)), "Private Clients"));
}

// ---- deactivating

#[test]
fn a_room_is_deactivated_for_good_and_its_messages_are_withdrawn() {
    let mut world = two();
    world.passes(Span::hours(30));
    world.in_room(ROOM).says("jane", "held");
    assert_eq!(world.in_room(ROOM).says("jane", "/room deactivate"), ["confirm confirm-room-deactivate"]);
    assert_eq!(world.last_reply(ROOM).vars["held"], 1);
    let stream = world.room(ROOM).stream.unwrap();
    world.presses("jane", "confirm");
    assert_eq!(world.state_of("Jane Doe: held"), "withdrawn(room)");
    assert_eq!(world.last_told("bob"), "notice colleague-deactivated");
    assert!(world.told("jane").contains(&"answer room-deactivated".to_owned()));
    assert_eq!(did(&world).last().unwrap(), "deactivate");
    assert_eq!(actor_of_last(&world, "room.deactivated"), "jane.doe@acme.com");
    assert!(!world.has_room(ROOM));
    let said = world.chat("jane", stream, liaison::domain::event::StreamKind::Room, "/room deactivate", None);
    assert_eq!(said, ["refusal(deactivated)"]);
}

// ---- by hand

#[test]
fn s1_20_to_s1_24_what_an_owner_does_by_hand_is_as_good_as_his_command() {
    let mut world = World::agreed(|_| {});
    let before = world.sent_to(ANN).len();
    by_hand(&mut world, "jane", "bob", MemberChange::Joined);
    by_hand(&mut world, "jane", "carl", MemberChange::Joined);
    by_hand(&mut world, "jane", "bob", MemberChange::Promoted);
    assert_eq!(members(&world), ["jane*", "bob*", "carl"]);
    by_hand(&mut world, "bob", "bob", MemberChange::Demoted);
    by_hand(&mut world, "jane", "bob", MemberChange::Left);
    assert_eq!(members(&world), ["jane*", "carl"]);
    assert_eq!(world.last_told("bob"), "notice you-were-removed");
    assert_eq!(world.last_told(ROOM), "notice colleague-removed");
    assert_eq!(world.sent_to(ANN)[before..], ["advisor_joined", "advisor_joined", "advisor_left"]);
    renamed_by(&mut world, "jane", "Lee family");
    assert!(world.has_room("Lee family"));
    assert!(did(&world).is_empty(), "the platform has it already");
    assert_eq!(world.says("bob", &format!("/room restart {ANN}")), ["answer restart-asked"], "the same state as by command");
}

#[test]
fn s1_25_what_others_do_by_hand_is_undone_and_explained() {
    for by in ["bob", "olga", "eve", "nina"] {
        let table = [
            ("carl", MemberChange::Joined, "remove 5"),
            ("jane", MemberChange::Left, "add 1*"),
            ("bob", MemberChange::Promoted, "demote 2"),
            ("jane", MemberChange::Demoted, "add 1*"),
        ];
        for (who, change, undone) in table {
            let mut world = two();
            let before = world.sends.len();
            by_hand(&mut world, by, who, change);
            assert_eq!(members(&world), ["jane*", "bob"], "{by} {who} {change:?}");
            assert_eq!(did(&world).last().unwrap(), undone);
            assert_eq!(world.last_told(by), "notice change-undone");
            assert_eq!(world.sends.len(), before, "the client hears nothing of it");
            assert!(world.kinds().contains(&"room.change_undone"));
        }
        let mut world = two();
        renamed_by(&mut world, by, "Mine");
        assert!(world.has_room(ROOM));
        assert_eq!(did(&world).last().unwrap(), "rename Ann Lee");
        assert_eq!(world.last_told(by), "notice change-undone");
    }
}

#[test]
fn s1_25_the_walls_hold_whoever_adds() {
    for by in ["jane", "bob"] {
        let mut world = two();
        by_hand(&mut world, by, "eve", MemberChange::Joined);
        assert_eq!(members(&world), ["jane*", "bob"]);
        assert_eq!(did(&world).last().unwrap(), "remove 3");
        assert_eq!(world.last_told("jane"), "notice shown-out");
    }
}

#[test]
fn a_room_whose_last_owner_goes_by_hand_belongs_to_the_one_who_is_there_longest() {
    // Carl came before Bob; Bob's number is the smaller one.
    let mut world = World::agreed(|_| {});
    world.in_room(ROOM).says("jane", &format!("/room add {CARL}"));
    world.passes(Span::hours(1));
    world.in_room(ROOM).says("jane", &format!("/room add {BOB}"));
    let mut left = world;
    by_hand(&mut left, "jane", "jane", MemberChange::Left);
    assert_eq!(members(&left), ["bob", "carl*"]);
    assert_eq!(did(&left).last().unwrap(), "add 5*", "on the platform too");
    assert_eq!(words(&left.last_reply(ROOM), "owner"), "Carl Central");
    assert_eq!(left.sent_to(ANN).last().unwrap(), "advisor_left");
}

#[test]
fn a_room_whose_last_owner_is_demoted_by_hand_gets_another_one() {
    let mut world = three();
    by_hand(&mut world, "jane", "jane", MemberChange::Demoted);
    assert_eq!(members(&world), ["jane", "bob*", "carl"]);
    assert_eq!((did(&world).last().unwrap().as_str(), world.last_told(ROOM)), ("add 2*", "notice owner-instead".into()));
    // Alone there is nobody else.
    let mut world = World::agreed(|_| {});
    by_hand(&mut world, "jane", "jane", MemberChange::Demoted);
    assert_eq!((members(&world), did(&world)), (vec!["jane*".to_owned()], vec!["add 1*".to_owned()]));
}

#[test]
fn an_heir_is_one_who_may() {
    let mut world = three();
    world.revoke("bob");
    by_hand(&mut world, "jane", "jane", MemberChange::Left);
    assert_eq!(members(&world), ["bob", "carl*"], "Bob is there longer and may not");
}

#[test]
fn what_the_bot_did_by_a_command_is_no_news_when_the_platform_tells_of_it() {
    let mut world = two_owners();
    confirmed(&mut world, "jane", &format!("/room remove {BOB}"));
    let (before, told, done) = (members(&world), world.posts.len(), did(&world));
    // Adding, promoting and removing, told late; our records are further.
    for change in [MemberChange::Joined, MemberChange::Promoted, MemberChange::Left] {
        by_somebody(&mut world, the_bot(), "bob", change);
    }
    assert_eq!((members(&world), world.posts.len(), did(&world)), (before, told, done));
    world.in_room(ROOM).says("jane", &format!("/room add {BOB}"));
    by_somebody(&mut world, the_bot(), "bob", MemberChange::Left);
    assert_eq!(members(&world), ["jane*", "bob"], "he was taken out before he came again");
}

#[test]
fn what_somebody_does_with_the_bots_own_account_counts() {
    let mut world = bob_left();
    world.passes(Span::minutes(1));
    by_somebody(&mut world, the_bot(), "bob", MemberChange::Joined);
    by_somebody(&mut world, the_bot(), "bob", MemberChange::Promoted);
    assert_eq!(members(&world), ["jane*", "bob*"]);
    world.passes(Span::minutes(1));
    by_somebody(&mut world, the_bot(), "jane", MemberChange::Left);
    assert_eq!(members(&world), ["bob*"]);
    let stream = world.room(ROOM).stream.unwrap();
    world.feed(Fact::RoomRenamed { stream, name: "Lee family".to_owned(), by: the_bot() });
    assert!(world.has_room("Lee family"));
}

#[test]
fn invariant_9_one_who_was_removed_and_cannot_be_taken_out_reads_nothing_more() {
    let mut world = two();
    world.keeps_members = true;
    confirmed(&mut world, "jane", &format!("/room remove {BOB}"));
    assert_eq!(world.room(ROOM).outsiders.iter().copied().collect::<Vec<_>>(), [UserId(2)]);
    world.client(ANN).writes("A secret");
    assert_eq!(world.last_told("jane"), "client_message Ann Lee: A secret");
    assert!(!world.told(ROOM).iter().any(|line| line.ends_with("A secret")));
    // He goes by himself: the room is fit again.
    by_hand(&mut world, "bob", "bob", MemberChange::Left);
    world.client(ANN).writes("Hello");
    assert_eq!(world.last_told(ROOM), "client_message Ann Lee: Hello");
}

#[test]
fn a_hand_over_meets_nobody_in_between() {
    let mut world = World::agreed(|_| {});
    confirmed(&mut world, "jane", &format!("/room transfer {BOB}"));
    world.client(ANN).writes("Who is there?");
    assert_eq!(world.last_told(ROOM), "client_message Ann Lee: Who is there?", "in the same room");
    let entry = world.listing("bob", ANN).expect("she is his now, by the name that Jane gave her");
    assert_eq!((entry.name().as_str(), entry.added_by.as_str()), ("Ann Lee", "jane.doe@acme.com"));
    assert_eq!(world.rooms().len(), 1);
}
