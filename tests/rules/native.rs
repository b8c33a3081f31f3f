//! S1: native WhatsApp groups, from the invitation to the last removal.
use crate::common::world::*;
use liaison::domain::consent::Consent;
use liaison::domain::effect::*;
use liaison::domain::event::*;
use liaison::domain::ids::*;
use liaison::domain::lane::{Due, OutboxLane};
use liaison::domain::membership::Membership;
use liaison::domain::native::{self, Changed, LOOK_AFTER};
use liaison::domain::time::Span;

pub const ROOM: &str = "Lee family";
pub const GROUP: &str = "group-1";
pub const LINK: &str = "https://chat.whatsapp.com/AbCdEf";

pub fn news(world: &mut World, news: GroupNews) {
    let told = GroupTold { line: LineId::new(LINE), group: GroupId::new(GROUP), news };
    assert_eq!(world.feed(Fact::GroupTold(told)), Fed::Committed);
    world.work_off();
}

pub fn who(number: &str) -> ClientKeys {
    ClientKeys { phone: None, ..keys_of(number) }
}

fn member(world: &World, number: &str) -> Option<Membership> {
    world.room(ROOM).native.unwrap().state_of(&world.contact(number).id)
}

/// Ann has agreed, Ben has not been asked; a group with both was asked for.
pub fn asked_for() -> World {
    let mut world = World::agreed(|_| {});
    world.says("jane", "/contact add Ben Lee phone=+4915112345699 email=ben@lee.de channel=whatsapp");
    let contacts = [world.contact(ANN).id, world.contact(BEN).id];
    world.native_group(ROOM, &contacts, "jane");
    world
}

/// It was made; Ann has her link.
fn made() -> World {
    let mut world = asked_for();
    let request = world.answers.last().unwrap().clone();
    news(&mut world, GroupNews::Created { request, link: Some(LINK.to_owned()) });
    world
}

pub fn asks(world: &mut World, number: &str) -> Vec<GroupCall> {
    let mark = world.group_calls.len();
    news(world, GroupNews::AsksToJoin { request: format!("ask-{number}"), who: who(number) });
    world.group_calls[mark..].to_vec()
}

pub fn approved(calls: &[GroupCall]) -> bool {
    let [GroupCall::Answer { approve, .. }] = calls else { panic!("{calls:?}") };
    *approve
}

/// Ann is in.
fn joined() -> World {
    let mut world = made();
    assert!(approved(&asks(&mut world, ANN)));
    news(&mut world, GroupNews::Joined { who: who(ANN) });
    world
}

/// And has written, so that the group's window is open.
pub fn open() -> World {
    let mut world = joined();
    writes(&mut world, ANN, "Hello all");
    world
}

fn writes(world: &mut World, number: &str, text: &str) {
    world.client(number).in_group(GROUP).writes(text);
}

pub fn into_group(world: &World) -> Vec<String> {
    world.sent_to(GROUP)
}

#[test]
fn s1_7_s1_13_the_group_bears_the_rooms_name_and_names_the_advisors() {
    let world = asked_for();
    let [GroupCall::Create { subject, description }] = world.group_calls.as_slice() else { panic!("{:?}", world.group_calls) };
    assert_eq!(subject, ROOM);
    assert!(description.contains("Jane Doe") && description.contains("Acme Wealth"), "{description}");
}

#[test]
fn s1_9_advisors_are_in_at_once_and_contacts_are_not() {
    let mut world = World::agreed(|_| {});
    world.says("jane", &format!("/group create \"{ROOM}\" contacts={ANN} @bob.ray@acme.com"));
    let advisors: Vec<u64> = world.room(ROOM).members.keys().map(|user| user.0).collect();
    assert_eq!(advisors, [1, 2], "before WhatsApp has even made the group");
    assert_eq!(member(&world, ANN), Some(Membership::Invited));
    let [GroupCall::Create { description, .. }] = world.group_calls.as_slice() else { panic!("{:?}", world.group_calls) };
    assert!(description.contains("Jane Doe") && description.contains("Bob Ray"), "{description}");
}

#[test]
fn s1_10_s1_11_each_contact_gets_the_link_by_himself_and_only_with_consent() {
    let mut world = made();
    assert_eq!(world.sent_to(ANN).last().unwrap(), "[liaison_group_invite]", "her window is open");
    assert!(!world.sent_to(BEN).concat().contains("group"), "he has not agreed: {:?}", world.sent_to(BEN));
    let link = |world: &World, number: &str| {
        let sent = world.sends.iter().rfind(|sent| sent.to == number).unwrap().clone();
        match sent.body {
            Body::Question { vars, .. } | Body::Template { vars, .. } => vars["link"].clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(link(&world, ANN), LINK);
    world.client(BEN).taps("consent:yes");
    assert_eq!(world.sent_to(BEN).last().unwrap(), "[liaison_group_invite]", "with his yes");
    assert!(
        into_group(&world).is_empty() && !world.told(ROOM).concat().contains("chat.whatsapp.com"),
        "S1-12: the link stands nowhere else"
    );
}

#[test]
fn s1_11_in_a_closed_window_the_link_goes_by_template() {
    let mut world = World::agreed(|_| {});
    world.passes(Span::hours(25));
    let contacts = [world.contact(ANN).id];
    world.native_group(ROOM, &contacts, "jane");
    let request = world.answers.last().unwrap().clone();
    news(&mut world, GroupNews::Created { request, link: Some(LINK.to_owned()) });
    assert_eq!(world.sent_to(ANN).last().unwrap(), "<liaison_group_invite>");
}

#[test]
fn s1_12_s1_16_only_who_is_invited_and_has_agreed_is_let_in() {
    let mut world = made();
    assert!(approved(&asks(&mut world, ANN)));
    assert!(!approved(&asks(&mut world, BEN)), "invited, and has not agreed");
    assert!(!approved(&asks(&mut world, "+4915100000000")), "a stranger with a forwarded link");
    let told = world.told(ROOM);
    assert_eq!(told.iter().filter(|line| *line == "notice group-request-rejected").count(), 2, "{told:?}");
    for nth in 0..20 {
        asks(&mut world, &format!("+49151000001{nth:02}"));
    }
    assert_eq!(
        world.told(ROOM).iter().filter(|line| *line == "notice group-request-rejected").count(),
        2,
        "a flood is told once an hour"
    );
}

#[test]
fn s1_14_s1_15_s1_17_being_in_is_told_to_the_room_and_to_him() {
    let world = joined();
    assert_eq!(member(&world, ANN), Some(Membership::Joined));
    assert!(world.told(ROOM).contains(&"notice group-joined".to_owned()));
    assert_eq!(world.sent_to(ANN).last().unwrap(), "[liaison_group_joined]");
    assert_eq!(member(&world, BEN), Some(Membership::Invited));
}

#[test]
fn s1_18_before_somebody_is_in_nothing_goes_into_the_group() {
    let mut world = made();
    world.in_room(ROOM).says("jane", "Anybody here?");
    assert_eq!(world.last_told(ROOM), "refusal(membership)");
    assert!(into_group(&world).is_empty());
}

#[test]
fn the_groups_window_is_its_own() {
    let mut world = joined();
    world.passes(Span::hours(30));
    world.in_room(ROOM).says("jane", "Good morning all");
    assert_eq!(world.state_of("Good morning all"), "held(window)");
    world.client(ANN).writes("only to you");
    assert_eq!(world.state_of("Good morning all"), "held(window)", "her own message opens her own window");
    writes(&mut world, ANN, "Hello all");
    assert_eq!(into_group(&world), ["Good morning all"]);
    assert_eq!(world.last_told("Ann Lee"), "client_message Ann Lee: only to you");
    let lines = world.told(ROOM);
    assert!(lines.contains(&"client_message Ann Lee: Hello all".to_owned()), "{lines:?}");
    world.passes(Span::hours(23));
    world.in_room("Ann Lee").says("jane", "and to you");
    assert_eq!(world.state_of("and to you"), "sent", "until her own 24 hours are over");
    world.passes(Span::hours(2));
    writes(&mut world, ANN, "once more");
    world.in_room("Ann Lee").says("jane", "later");
    assert_eq!(world.state_of("later"), "held(window)", "nor does the group's open hers");
}

#[test]
fn what_is_written_in_the_room_goes_once_into_the_group() {
    let mut world = open();
    news(&mut world, GroupNews::AsksNoMore { request: "x".to_owned(), who: who(BEN) });
    world.client(BEN).taps("consent:yes");
    news(&mut world, GroupNews::Joined { who: who(BEN) });
    let before = world.sends.len();
    world.in_room(ROOM).says("jane", "To both of you");
    let sent: Vec<&str> = world.sends[before..].iter().map(|sent| sent.to.as_str()).collect();
    assert_eq!(sent, [GROUP]);
}

/// What is due, with the lane in which it stands.
fn due(world: &World) -> Vec<(&'static str, String)> {
    let kind = |effect: &Effect| match effect {
        Effect::Fetch(_) => "fetch",
        Effect::Upload(_) => "upload",
        Effect::Send(_) => "send",
        _ => "other",
    };
    world.all::<Due>(Due::PREFIX).iter().map(|due| (kind(&due.effect), due.lane.clone())).collect()
}

#[test]
fn s4_3_a_file_for_the_group_is_fetched_in_the_lane_in_which_it_is_sent() {
    let mut world = open();
    world.outbox_stands = true;
    world.in_room(ROOM).sends_files("jane", "Your depot", &[("chart.png", 9)]);
    let lane = OutboxLane::to_group(&world.room(ROOM).key);
    assert_eq!(due(&world), ["fetch", "upload", "send"].map(|kind| (kind, lane.clone())));
    (world.outbox_stands, world.no_files) = (false, true);
    world.in_room(ROOM).says("jane", "as you see there");
    assert!(into_group(&world).is_empty(), "neither the file nor what was written after it overtakes the fetch");
    world.no_files = false;
    world.work_off();
    assert_eq!(into_group(&world), ["[chart.png] Your depot", "as you see there"]);
}

#[test]
fn s4_27_what_is_due_for_the_group_can_be_taken_back() {
    let mut world = open();
    world.outbox_stands = true;
    let chat = world.in_room(ROOM).says_and_keeps("jane", "not that");
    world.deletes("jane", ROOM, &chat);
    assert_eq!(world.state_of("not that"), "cancelled");
    assert_eq!(due(&world), []);
    world.in_room(ROOM).says("jane", "but this");
    world.outbox_stands = false;
    world.work_off();
    assert_eq!(into_group(&world), ["but this"]);
}

#[test]
fn what_is_said_in_the_group_after_a_doubtful_message_goes() {
    let mut world = open();
    world.troubles.push_back(Trouble::UnknownAndLost);
    world.in_room(ROOM).says("jane", "perhaps");
    world.in_room(ROOM).says("jane", "certainly");
    world.passes(Span::minutes(5));
    assert_eq!(world.state_of("perhaps"), "unconfirmed");
    assert_eq!(into_group(&world), ["certainly"]);
    assert_eq!(due(&world), []);
}

#[test]
fn s4_41_what_is_due_for_the_group_waits_for_the_new_advisor_too() {
    let mut world = open();
    world.outbox_stands = true;
    world.in_room(ROOM).says("jane", "on its way");
    world.says("adam", "/contact transfer all from=@jane.doe@acme.com to=@bob.ray@acme.com");
    world.presses("adam", "confirm");
    assert_eq!(world.state_of("on its way"), "withdrawn(handover)");
}

#[test]
fn a_stop_by_one_member_holds_the_group_until_it_is_settled() {
    let mut world = open();
    world.client(BEN).taps("consent:yes");
    news(&mut world, GroupNews::Joined { who: who(BEN) });
    writes(&mut world, BEN, "STOP");
    assert!(world.consent(BEN).is_opted_out() && world.consent(ANN).is_opted_in(), "his own consent");
    assert!(world.told(ROOM).contains(&"notice group-unsettled".to_owned()), "{:?}", world.told(ROOM));
    world.in_room(ROOM).says("jane", "one");
    assert_eq!(world.state_of("one"), "held(consent)");
    news(&mut world, GroupNews::Left { who: who(BEN) });
    assert_eq!(world.state_of("one"), "sent", "settled: he has left");
    assert_eq!(into_group(&world), ["one"]);
}

#[test]
fn s1_28_s1_29_who_was_removed_is_barred_through_every_door_and_a_leaver_is_not() {
    let mut world = open();
    let mark = world.group_calls.len();
    world.removes_from_group(ROOM, ANN);
    assert!(matches!(&world.group_calls[mark..], [GroupCall::Remove { .. }]), "{:?}", &world.group_calls[mark..]);
    assert_eq!(member(&world, ANN), Some(Membership::Barred));
    news(&mut world, GroupNews::Removed { who: who(ANN) });
    assert!(!approved(&asks(&mut world, ANN)), "an old link");
    let mark = world.group_calls.len();
    news(&mut world, GroupNews::Joined { who: who(ANN) });
    assert!(matches!(&world.group_calls[mark..], [GroupCall::Remove { .. }]), "in by whatever door, she is taken out");
    assert_eq!(member(&world, ANN), Some(Membership::Barred));
    writes(&mut world, ANN, "Hello?");
    assert!(!world.told(ROOM).last().unwrap().contains("Hello?"), "what she writes there is kept, not shown");
    world.client(ANN).writes("by myself");
    assert_eq!(world.last_told("Ann Lee"), "client_message Ann Lee: by myself", "the 1:1 room is untouched");
    let mut other = joined();
    news(&mut other, GroupNews::Left { who: who(ANN) });
    assert_eq!(member(&other, ANN), Some(Membership::Left));
    assert!(approved(&asks(&mut other, ANN)), "a leaver may come back");
}

#[test]
fn s1_26_a_removal_is_told_to_the_group_when_who_was_removed_reads_along_no_more() {
    let mut world = open();
    world.client(BEN).taps("consent:yes");
    news(&mut world, GroupNews::Joined { who: who(BEN) });
    world.removes_from_group(ROOM, BEN);
    assert!(into_group(&world).is_empty(), "he would read it, too");
    news(&mut world, GroupNews::Removed { who: who(BEN) });
    assert_eq!(into_group(&world), ["<liaison_group_changed>"]);
    let Body::Template { vars, .. } = &world.sends.last().unwrap().body else { panic!() };
    assert_eq!(vars["change"], "removed");
}

#[test]
fn nothing_is_said_while_somebody_who_was_removed_reads_along() {
    let mut world = open();
    world.client(BEN).taps("consent:yes");
    news(&mut world, GroupNews::Joined { who: who(BEN) });
    world.group_troubles.push_back("131000");
    world.removes_from_group(ROOM, BEN);
    assert!(world.told(ROOM).contains(&"notice(131000)".to_owned()), "{:?}", world.told(ROOM));
    world.in_room(ROOM).says("jane", "not for Ben");
    assert_eq!(world.state_of("not for Ben"), "held(room)");
    news(&mut world, GroupNews::Removed { who: who(BEN) });
    assert_eq!(world.state_of("not for Ben"), "sent");
}

#[test]
fn s1_28_who_was_removed_and_writes_in_the_group_is_taken_out_once() {
    let mut world = open();
    world.removes_from_group(ROOM, ANN);
    news(&mut world, GroupNews::Removed { who: who(ANN) });
    let mark = world.group_calls.len();
    writes(&mut world, ANN, "I am back");
    writes(&mut world, ANN, "and still here");
    assert!(matches!(&world.group_calls[mark..], [GroupCall::Remove { .. }]), "{:?}", &world.group_calls[mark..]);
    assert!(!world.told(ROOM).concat().contains("I am back"));
}

#[test]
fn s1_12_nothing_is_said_while_a_stranger_is_in_the_group() {
    const STRANGER: &str = "+4915100000000";
    for by_his_words in [false, true] {
        let mut world = open();
        let mark = world.group_calls.len();
        match by_his_words {
            true => writes(&mut world, STRANGER, "Who is this?"),
            false => news(&mut world, GroupNews::Joined { who: who(STRANGER) }),
        }
        assert!(matches!(&world.group_calls[mark..], [GroupCall::Remove { .. }]), "{:?}", &world.group_calls[mark..]);
        assert!(!world.told(ROOM).concat().contains("Who is this?"));
        world.in_room(ROOM).says("jane", "among us");
        assert_eq!(world.state_of("among us"), "held(room)");
        news(&mut world, GroupNews::Removed { who: who(STRANGER) });
        assert_eq!(into_group(&world), ["among us"]);
    }
}

#[test]
fn who_could_not_be_taken_out_and_leaves_by_himself_holds_nobody_up() {
    let mut world = open();
    world.client(BEN).taps("consent:yes");
    news(&mut world, GroupNews::Joined { who: who(BEN) });
    world.group_troubles.push_back("131000");
    world.removes_from_group(ROOM, BEN);
    world.in_room(ROOM).says("jane", "not for Ben");
    assert_eq!(world.state_of("not for Ben"), "held(room)");
    news(&mut world, GroupNews::Left { who: who(BEN) });
    assert_eq!(world.state_of("not for Ben"), "sent");
    assert_eq!(member(&world, BEN), Some(Membership::Barred));
}

#[test]
fn s1_26_s1_27_changes_are_told_to_the_group_and_the_name_follows() {
    let mut world = open();
    world.in_scene(|scene, room| native::renamed(scene, room, "Lee & Sons"), ROOM);
    assert_eq!(into_group(&world), ["<liaison_group_changed>"]);
    assert!(matches!(world.group_calls.last(), Some(GroupCall::Change { subject: Some(name), .. }) if name == "Lee & Sons"));
    for (change, word) in
        [(Changed::Added, "added"), (Changed::Removed, "removed"), (Changed::Promoted, "promoted"), (Changed::Demoted, "demoted")]
    {
        world.in_scene(|scene, room| native::advisors_changed(scene, room, change), ROOM);
        let Body::Template { vars, .. } = &world.sends.last().unwrap().body else { panic!() };
        assert_eq!(vars["change"], word);
        assert_eq!(
            (vars["contact.first"].as_str(), vars["contact.last"].as_str()),
            ("Lee & Sons", ""),
            "no member's name or number"
        );
    }
}

#[test]
fn s1_26_s1_27_what_owners_command_reaches_the_group_and_nobody_by_himself() {
    let mut world = open();
    let to_ann = world.sent_to(ANN).len();
    let mut done = Vec::new();
    for line in ["add", "promote", "demote", "remove"] {
        world.in_room(ROOM).says("jane", &format!("/room {line} @bob.ray@acme.com"));
        if line == "remove" {
            world.presses("jane", "confirm");
        }
        let Body::Template { vars, .. } = &world.sends.last().unwrap().body else { panic!("{line}") };
        done.push(vars["change"].clone());
    }
    assert_eq!(done, ["added", "promoted", "demoted", "removed"]);
    world.in_room(ROOM).says("jane", "/room rename \"Lee & Sons\"");
    let named = |call: &GroupCall| matches!(call, GroupCall::Change { subject: Some(name), .. } if name == "Lee & Sons");
    assert!(world.group_calls.iter().any(named), "{:?}", world.group_calls);
    assert_eq!((into_group(&world).len(), world.sent_to(ANN).len()), (5, to_ann));
}

#[test]
fn without_a_native_group_the_room_is_a_standard_one() {
    let mut world = World::agreed(|_| {});
    world.says("jane", "/contact add Ben Lee phone=+4915112345699 email=ben@lee.de channel=whatsapp");
    world.group_troubles.push_back("131215");
    let contacts = [world.contact(ANN).id, world.contact(BEN).id];
    world.native_group(ROOM, &contacts, "jane");
    assert!(world.told(ROOM).contains(&"notice group-fell-back".to_owned()));
    assert!(!world.room(ROOM).is_native());
    world.in_room(ROOM).says("jane", "To each of you");
    assert_eq!(world.sent_to(ANN).last().unwrap(), "To each of you");
}

#[test]
fn s4_33_when_everybody_has_left_the_groups_words_reach_those_who_stand_in() {
    let mut world = open();
    world.policy.default_advisors = vec!["eve.fox@acme.com".to_owned(), "bob.ray@acme.com".to_owned()];
    world.in_room(ROOM).says("jane", "/room leave");
    world.presses("jane", "confirm");
    assert!(world.room(ROOM).members.is_empty());
    writes(&mut world, ANN, "Anybody here?");
    let room = world.room(ROOM);
    assert_eq!(room.members.keys().map(|user| user.0).collect::<Vec<_>>(), [2], "not Eve, who is behind the wall");
    assert_eq!(room.owner(), Some(UserId(2)));
    assert_eq!(world.last_told(ROOM), format!("client_message {ANN}: Anybody here?"), "Jane's name for her is Jane's");
    assert!(world.told(ROOM).contains(&"notice stand-ins".to_owned()));
    let brought = |effect: &_| matches!(effect, Effect::AddMember { user: UserId(2), owner: true, .. });
    assert!(world.members.iter().any(brought), "{:?}", world.members);
    world.in_room(ROOM).says("bob", "I am here");
    assert_eq!(world.state_of("I am here"), "sent");
}

#[test]
fn s4_33_where_nobody_may_stand_in_for_a_group_its_words_are_kept_for_the_admins() {
    let mut world = open();
    world.policy.default_advisors = vec!["eve.fox@acme.com".to_owned()];
    world.in_room(ROOM).says("jane", "/room leave");
    world.presses("jane", "confirm");
    world.revoke("jane");
    writes(&mut world, ANN, "Anybody here?");
    assert!(world.room(ROOM).members.is_empty());
    assert_eq!(world.told("adam").last().unwrap(), "info parked");
    assert!(world.told("eve").is_empty());
}

#[test]
fn a_lost_webhook_is_made_up_for_by_a_look_at_the_list() {
    let mut world = asked_for();
    world.passes(Span(LOOK_AFTER.0 + 60_000));
    assert!(
        matches!(world.group_calls.last(), Some(GroupCall::Link { .. })),
        "found, and its link asked for: {:?}",
        world.group_calls
    );
    assert!(world.room(ROOM).native.unwrap().group.is_some());
    assert_eq!(world.sent_to(ANN).last().unwrap(), "[liaison_group_invite]");
}

#[test]
fn the_webhook_may_overtake_the_answer() {
    let mut world = World::agreed(|_| {});
    world.group_answer = Some("request-9".to_owned());
    news(&mut world, GroupNews::Created { request: "request-9".to_owned(), link: Some(LINK.to_owned()) });
    let contacts = [world.contact(ANN).id];
    world.native_group(ROOM, &contacts, "jane");
    assert_eq!(world.room(ROOM).native.unwrap().group, Some(GroupId::new(GROUP)));
    assert_eq!(world.sent_to(ANN).last().unwrap(), "[liaison_group_invite]");
}

#[test]
fn a_suspended_group_waits_and_a_deleted_one_closes_its_room() {
    let mut world = open();
    news(&mut world, GroupNews::Suspended);
    world.in_room(ROOM).says("jane", "one");
    assert_eq!(world.state_of("one"), "held(room)");
    news(&mut world, GroupNews::Unsuspended);
    assert_eq!(world.state_of("one"), "sent");
    news(&mut world, GroupNews::Deleted);
    assert!(!world.has_room(ROOM));
    let told = world.posts.iter().filter(|post| post.reply.template == "group-deleted").count();
    assert_eq!(told, 1, "{:?}", world.told("jane"));
}

#[test]
fn each_members_delivery_is_known_by_itself() {
    let mut world = open();
    world.client(BEN).taps("consent:yes");
    news(&mut world, GroupNews::Joined { who: who(BEN) });
    world.in_room(ROOM).says("jane", "one");
    let sent = world.sends.iter().rfind(|sent| sent.to == GROUP).unwrap().clone();
    for (participant, status, state) in [
        (ANN, Delivery::Delivered, "delivered"),
        (ANN, Delivery::Read, "delivered"),
        (BEN, Delivery::Delivered, "delivered"),
        (BEN, Delivery::Read, "read"),
    ] {
        world.reports_for(&sent, participant, status);
        assert_eq!(world.state_of("one"), state, "{participant}");
    }
}

#[test]
fn a_group_message_reaches_an_unknown_sender_nowhere() {
    let mut world = open();
    let rooms = world.rooms().len();
    world.client("+4915100000000").in_group(GROUP).writes("hi");
    world.client(ANN).in_group("another").writes("hi");
    assert_eq!(world.rooms().len(), rooms);
    assert_eq!(world.kinds().iter().filter(|kind| **kind == "client.in_unknown_group").count(), 2);
    assert_eq!(world.consent(BEN), Consent::Pending { asked_at: asked_at(&world), asked_before: None });
}

fn asked_at(world: &World) -> liaison::domain::time::Timestamp {
    world.consent(BEN).since().unwrap()
}

#[test]
fn s4_23_a_template_into_the_group_names_none_of_them() {
    let mut world = joined();
    world.passes(Span::hours(30));
    world.in_room(ROOM).says("jane", "/template send follow_up");
    world.presses("jane", "confirm");
    assert_eq!(into_group(&world), ["<follow_up>"], "into a closed window, too");
    let Body::Template { vars, .. } = &world.sends.last().unwrap().body else { panic!() };
    assert_eq!(vars["contact.first"], ROOM);
    assert!(!serde_json::to_string(vars).unwrap().contains("Ann"), "{vars:?}");
    world.in_room(ROOM).says("jane", &format!("/template send follow_up to={ANN}"));
    world.presses("jane", "confirm");
    assert_eq!(world.sends.last().unwrap().to, ANN, "who is named reads it alone");
}
