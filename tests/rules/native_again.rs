//! S1: what WhatsApp refuses or tells nobody of in a native group is asked again, and nobody is forgotten.
use super::native::{GROUP, LINK, ROOM, approved, asked_for, asks, into_group, news, open, who};
use crate::common::world::*;
use liaison::domain::effect::*;
use liaison::domain::event::*;
use liaison::domain::ids::*;
use liaison::domain::membership::Membership;
use liaison::domain::native::LOOK_AFTER;
use liaison::domain::native::owed::TRIES_MAX;
use liaison::domain::native::requests::FIRST_LOOK;
use liaison::domain::time::Span;
use serde_json::json;

/// WhatsApp suspends the group, as far as this call shows it.
const SUSPENDED: &str = "131207";
const FULL: &str = "131204";
const NOTE: Span = Span::minutes(2);

/// Ann and Ben are in, and the window is open.
fn both() -> World {
    let mut world = open();
    world.client(BEN).taps("consent:yes");
    news(&mut world, GroupNews::Joined { who: who(BEN) });
    world
}

/// Ben was removed, WhatsApp has refused it with this code, and Jane has written something that waits.
fn refused(code: &'static str) -> World {
    let mut world = both();
    world.group_troubles.push_back(code);
    world.in_room(ROOM).says("jane", &format!("/room remove {BEN}"));
    world.presses("jane", "confirm");
    world.in_room(ROOM).says("jane", "not for Ben");
    world
}

fn removals(world: &World) -> usize {
    world.group_calls.iter().filter(|call| matches!(call, GroupCall::Remove { .. })).count()
}

fn told(world: &World, template: &str) -> usize {
    world.posts.iter().filter(|post| post.place == ROOM && post.reply.template == template).count()
}

/// The link that went to this number last.
fn link_of(world: &World, number: &str) -> String {
    let sent = world.sends.iter().rfind(|sent| sent.to == number).unwrap();
    match &sent.body {
        Body::Question { name, vars, .. } | Body::Template { name, vars, .. } if name == "liaison_group_invite" => {
            vars["link"].clone()
        }
        other => panic!("{other:?}"),
    }
}

fn changes(world: &World) -> Vec<(Option<String>, Option<String>)> {
    let words = |call: &GroupCall| match call {
        GroupCall::Change { subject, description, .. } => Some((subject.clone(), description.clone())),
        _ => None,
    };
    world.group_calls.iter().filter_map(words).collect()
}

// ---- removals

#[test]
fn s1_21_s1_28_a_refused_removal_is_asked_again_by_itself_with_growing_waits() {
    let mut world = refused(SUSPENDED);
    assert_eq!(world.state_of("not for Ben"), "held(room)");
    assert_eq!((removals(&world), told(&world, "group-not-removed")), (1, 1));
    for _ in 0..3 {
        world.group_troubles.push_back(SUSPENDED);
    }
    world.passes(Span::minutes(1));
    assert_eq!(removals(&world), 2);
    world.passes(Span::minutes(1));
    assert_eq!(removals(&world), 2, "the second wait is longer");
    world.passes(Span::minutes(5));
    assert_eq!((removals(&world), told(&world, "group-not-removed")), (4, 1), "told once");
    world.passes(Span::minutes(8));
    assert_eq!(removals(&world), 5, "now WhatsApp takes it");
    news(&mut world, GroupNews::Removed { who: who(BEN) });
    assert_eq!(world.state_of("not for Ben"), "sent");
    assert_eq!(told(&world, "group-removed"), 1, "the room waited for it");
    world.passes(Span::days(2));
    assert_eq!(removals(&world), 5, "what is done is asked no more");
}

#[test]
fn s1_21_an_owner_may_ask_again_for_whom_whatsapp_has_not_taken_out() {
    let mut world = refused(SUSPENDED);
    world.group_troubles.push_back(SUSPENDED);
    world.in_room(ROOM).says("jane", &format!("/room remove {BEN}"));
    world.presses("jane", "confirm");
    assert_eq!((removals(&world), told(&world, "group-not-removed")), (2, 2), "he who asks reads the answer");
    world.in_room(ROOM).says("jane", "/room remove \"Ben Lee\"");
    world.presses("jane", "confirm");
    assert_eq!(removals(&world), 3);
    news(&mut world, GroupNews::Removed { who: who(BEN) });
    assert_eq!(into_group(&world).last().unwrap(), "not for Ben");
    assert!(world.has_room(ROOM));
}

#[test]
fn s1_21_when_the_suspension_is_over_the_removal_goes_first_and_only_then_what_waited() {
    let mut world = both();
    news(&mut world, GroupNews::Suspended);
    world.group_troubles.push_back(SUSPENDED);
    world.removes_from_group(ROOM, BEN);
    world.in_room(ROOM).says("jane", "not for Ben");
    let mark = world.group_calls.len();
    news(&mut world, GroupNews::Unsuspended);
    assert!(matches!(&world.group_calls[mark..], [GroupCall::Remove { .. }]), "{:?}", &world.group_calls[mark..]);
    assert_eq!(world.state_of("not for Ben"), "held(room)");
    let reply = world.last_reply(ROOM);
    assert_eq!(
        (reply.template.as_str(), &reply.vars["reading_along"]),
        ("group-suspended", &json!(true)),
        "nothing goes out yet"
    );
    news(&mut world, GroupNews::Removed { who: who(BEN) });
    assert_eq!(world.state_of("not for Ben"), "sent");
}

#[test]
fn a_suspension_whose_begin_nobody_told_ends_all_the_same() {
    let mut world = refused(SUSPENDED);
    news(&mut world, GroupNews::Unsuspended);
    assert_eq!(removals(&world), 2);
}

#[test]
fn whoever_is_no_participant_any_more_reads_along_no_more() {
    let world = refused("131212");
    assert_eq!((removals(&world), world.state_of("not for Ben").as_str()), (1, "sent"));
    assert_eq!(told(&world, "group-not-removed"), 0);
    let mut lost = both();
    lost.removes_from_group(ROOM, BEN);
    lost.in_room(ROOM).says("jane", "not for Ben");
    lost.group_troubles.push_back("131212");
    lost.passes(Span(LOOK_AFTER.0 + NOTE.0));
    assert_eq!((removals(&lost), lost.state_of("not for Ben").as_str()), (2, "sent"), "the webhook was lost");
}

#[test]
fn a_removal_that_whatsapp_takes_and_then_does_not_do_is_asked_again() {
    let mut world = both();
    world.removes_from_group(ROOM, BEN);
    let not = || GroupNews::NotRemoved { who: who(BEN), code: "131000".to_owned(), detail: "no".to_owned() };
    news(&mut world, not());
    news(&mut world, not());
    assert_eq!(told(&world, "group-not-removed"), 1, "told twice, refused once");
    world.passes(Span::minutes(1));
    assert_eq!(removals(&world), 2);
}

#[test]
fn what_cannot_be_is_not_repeated_and_what_never_ends_is_given_up_with_a_word() {
    let mut hopeless = refused("131041");
    let reply = hopeless.posts.iter().rfind(|post| post.reply.template == "group-not-removed").unwrap().reply.clone();
    assert_eq!((reply.reason.as_deref(), &reply.vars["over"]), (Some("131041"), &json!(true)));
    hopeless.passes(Span::days(3));
    assert_eq!(removals(&hopeless), 1);

    let mut world = refused(SUSPENDED);
    world.group_troubles.extend(std::iter::repeat_n(SUSPENDED, 100));
    world.passes(Span::days(10));
    assert_eq!(removals(&world), TRIES_MAX as usize);
    assert_eq!(told(&world, "group-not-removed"), 2, "at the first refusal and at the last");
    world.group_troubles.clear();
    world.in_room(ROOM).says("jane", &format!("/room remove {BEN}"));
    world.presses("jane", "confirm");
    assert_eq!(removals(&world), TRIES_MAX as usize + 1);
}

#[test]
fn s1_28_of_two_owners_who_confirm_at_once_the_second_reads_that_he_is_barred() {
    let mut world = both();
    world.in_room(ROOM).says("jane", "/room add @bob.ray@acme.com");
    world.in_room(ROOM).says("jane", "/room promote @bob.ray@acme.com");
    world.in_room(ROOM).says("jane", &format!("/room remove {BEN}"));
    let hers = world.question();
    world.in_room(ROOM).says("bob", &format!("/room remove {BEN}"));
    let his = world.question();
    world.presses_on(&hers, "jane", "confirm");
    assert_eq!(world.presses_on(&his, "bob", "confirm"), ["refusal(barred)"]);
    news(&mut world, GroupNews::Removed { who: who(BEN) });
    assert_eq!(world.in_room(ROOM).says("jane", "/room remove \"Ben Lee\""), ["refusal(barred)"]);
    assert_eq!(removals(&world), 1);
}

#[test]
fn s1_12_a_stranger_whom_whatsapp_does_not_take_out_is_asked_for_again() {
    let mut world = open();
    world.group_troubles.push_back(SUSPENDED);
    news(&mut world, GroupNews::Joined { who: who("+4915100000000") });
    world.in_room(ROOM).says("jane", "among us");
    world.group_troubles.push_back("131212");
    world.passes(Span::minutes(1));
    assert_eq!((removals(&world), world.state_of("among us").as_str()), (2, "sent"), "he has gone by himself");
}

#[test]
fn a_group_that_whatsapp_does_not_delete_is_asked_for_again() {
    let mut world = open();
    world.group_troubles.push_back(SUSPENDED);
    world.in_room(ROOM).says("jane", "/room deactivate");
    world.presses("jane", "confirm");
    world.passes(NOTE);
    let ends = world.group_calls.iter().filter(|call| matches!(call, GroupCall::Delete { .. })).count();
    assert_eq!(ends, 2);
    let told = |world: &World| world.posts.iter().filter(|post| post.reply.template == "group-deleted").count();
    news(&mut world, GroupNews::Deleted);
    assert_eq!(told(&world), 0, "whoever closed the room knows");
    world.passes(Span::days(2));
    assert_eq!(world.group_calls.iter().filter(|call| matches!(call, GroupCall::Delete { .. })).count(), ends);
}

// ---- requests to join

#[test]
fn s1_16_a_request_whose_answer_is_refused_is_answered_again_as_he_then_stands() {
    let mut world = both();
    news(&mut world, GroupNews::Left { who: who(BEN) });
    world.group_troubles.push_back(SUSPENDED);
    assert!(approved(&asks(&mut world, BEN)));
    let reply = world.last_reply(ROOM);
    assert_eq!((reply.template.as_str(), reply.reason.as_deref()), ("group-request-waits", Some(SUSPENDED)));
    assert_eq!((&reply.vars["name"], &reply.vars["full"]), (&json!("Ben Lee"), &json!(false)));
    let mark = world.group_calls.len();
    world.passes(Span::minutes(1));
    assert!(approved(&world.group_calls[mark..]));
    let mark = world.group_calls.len();
    world.passes(Span::days(1));
    assert!(world.group_calls[mark..].is_empty(), "answered once");

    world.group_troubles.push_back(SUSPENDED);
    assert!(approved(&asks(&mut world, BEN)));
    world.removes_from_group(ROOM, BEN);
    let mark = world.group_calls.len();
    news(&mut world, GroupNews::Unsuspended);
    assert!(!approved(&world.group_calls[mark..]), "removed meanwhile (S1-28)");
    assert_eq!(told(&world, "group-request-rejected"), 1);
}

#[test]
fn s1_12_a_stranger_is_turned_away_in_the_end_and_the_room_reads_it_once() {
    let mut world = open();
    world.group_troubles.push_back(SUSPENDED);
    assert!(!approved(&asks(&mut world, "+4915100000000")));
    let mark = world.group_calls.len();
    world.passes(Span::minutes(1));
    assert!(!approved(&world.group_calls[mark..]));
    assert_eq!((told(&world, "group-request-rejected"), told(&world, "group-request-waits")), (1, 0));
}

#[test]
fn s1_4_who_finds_the_group_full_comes_in_when_somebody_leaves() {
    for by_himself in [true, false] {
        let mut world = both();
        news(&mut world, GroupNews::Left { who: who(BEN) });
        world.group_troubles.push_back(FULL);
        asks(&mut world, BEN);
        assert_eq!(world.last_reply(ROOM).vars["full"], json!(true), "the room knows");
        let mark = world.group_calls.len();
        let ann = who(ANN);
        news(&mut world, if by_himself { GroupNews::Left { who: ann } } else { GroupNews::Removed { who: ann } });
        assert!(approved(&world.group_calls[mark..]), "a place is free");
        news(&mut world, GroupNews::Joined { who: who(BEN) });
        let mark = world.group_calls.len();
        world.passes(Span::days(1));
        assert!(world.group_calls[mark..].is_empty(), "{:?}", &world.group_calls[mark..]);
    }
}

#[test]
fn a_request_that_was_taken_back_is_forgotten() {
    for by_webhook in [true, false] {
        let mut world = both();
        news(&mut world, GroupNews::Left { who: who(BEN) });
        world.group_troubles.push_back(SUSPENDED);
        asks(&mut world, BEN);
        let mark = world.group_calls.len();
        if by_webhook {
            news(&mut world, GroupNews::AsksNoMore { request: format!("ask-{BEN}"), who: who(BEN) });
        } else {
            world.group_troubles.push_back("131213");
        }
        world.passes(Span::days(1));
        assert_eq!(world.group_calls.len() - mark, usize::from(!by_webhook));
        assert_eq!(told(&world, "group-request-waits"), 1);
    }
}

#[test]
fn s1_16_a_request_of_which_no_webhook_tells_is_found_in_the_list() {
    let mut world = asked_for();
    let request = world.answers.last().unwrap().clone();
    news(&mut world, GroupNews::Created { request, link: Some(LINK.to_owned()) });
    let list = [("ask-1", ANN), ("ask-2", "+4915100000000")]
        .map(|(request, number)| JoinRequest { request: request.to_owned(), who: keys_of(number) });
    let mark = world.group_calls.len();
    world.group_answer = Some(serde_json::to_string(&list).unwrap());
    world.passes(FIRST_LOOK);
    let [GroupCall::Requests { .. }, GroupCall::Answer { request, approve: true, .. }, GroupCall::Answer { approve: false, .. }] =
        &world.group_calls[mark..]
    else {
        panic!("{:?}", &world.group_calls[mark..])
    };
    assert_eq!(request, "ask-1");
    news(&mut world, GroupNews::Joined { who: who(ANN) });
    let mark = world.group_calls.len();
    world.passes(Span::days(60));
    assert!(world.group_calls[mark..].is_empty(), "nobody who has a link is still to come");
}

#[test]
fn the_list_is_looked_at_more_and_more_seldom_and_ends_with_two_weeks() {
    let mut world = asked_for();
    let request = world.answers.last().unwrap().clone();
    news(&mut world, GroupNews::Created { request, link: Some(LINK.to_owned()) });
    let looks = |world: &World| world.group_calls.iter().filter(|call| matches!(call, GroupCall::Requests { .. })).count();
    world.group_troubles.extend([SUSPENDED, SUSPENDED]);
    world.passes(Span::hours(1));
    assert_eq!(looks(&world), 2, "after 10 minutes and after 30; a refusal is no end");
    world.passes(Span::days(1));
    assert!((5..8).contains(&looks(&world)), "{}", looks(&world));
    world.passes(Span::days(60));
    assert_eq!(looks(&world), 20);
}

// ---- its name, its advisors, its link

#[test]
fn s1_7_s1_13_s1_27_what_changed_while_the_group_was_made_follows_in_one_call() {
    let mut world = asked_for();
    world.in_room(ROOM).says("jane", "/room rename \"Lee & Sons\"");
    world.in_room("Lee & Sons").says("jane", "/room add @bob.ray@acme.com");
    assert_eq!(changes(&world), [], "there is no group yet");
    let request = world.answers[0].clone();
    news(&mut world, GroupNews::Created { request, link: Some(LINK.to_owned()) });
    let all = changes(&world);
    let [(Some(subject), Some(description))] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!(subject, "Lee & Sons");
    assert!(description.contains("Bob Ray") && description.contains("Jane Doe"), "{description}");

    let mut as_asked = asked_for();
    let request = as_asked.answers[0].clone();
    news(&mut as_asked, GroupNews::Created { request, link: Some(LINK.to_owned()) });
    assert_eq!(changes(&as_asked), []);
}

#[test]
fn s1_7_a_group_whose_webhook_was_lost_is_looked_for_by_the_name_that_it_got() {
    let mut world = asked_for();
    world.in_room(ROOM).says("jane", "/room rename \"Lee & Sons\"");
    let mark = world.group_calls.len();
    world.passes(Span(LOOK_AFTER.0 + NOTE.0));
    let [GroupCall::Find { subject, .. }, GroupCall::Link { .. }, GroupCall::Change { subject: name, description: None, .. }] =
        &world.group_calls[mark..]
    else {
        panic!("{:?}", &world.group_calls[mark..])
    };
    assert_eq!((subject.as_str(), name.as_deref()), (ROOM, Some("Lee & Sons")));
}

#[test]
fn a_group_that_is_told_of_when_the_room_has_gone_on_without_it_is_deleted() {
    let mut world = asked_for();
    let request = world.answers[0].clone();
    world.group_troubles.extend(std::iter::repeat_n("not-there", 6));
    world.passes(Span::hours(5));
    assert!(!world.room(ROOM).is_native());
    news(&mut world, GroupNews::Created { request, link: Some(LINK.to_owned()) });
    let last = world.group_calls.last().unwrap();
    assert!(matches!(last, GroupCall::Delete { group } if group.as_str() == GROUP), "{last:?}");
    news(&mut world, GroupNews::Deleted);
    assert!(world.has_room(ROOM), "the room itself stays");
    world.in_room(ROOM).says("jane", "To each of you");
    assert_eq!(world.sent_to(ANN).last().unwrap(), "To each of you");
}

#[test]
fn s1_13_s1_27_a_change_that_whatsapp_does_not_take_over_is_asked_again_with_all_that_stands_then() {
    let mut world = open();
    world.group_troubles.push_back(SUSPENDED);
    world.in_room(ROOM).says("jane", "/room rename \"Lee & Sons\"");
    assert_eq!(told_in(&world, "Lee & Sons", "group-not-changed"), 1);
    world.passes(Span::minutes(1));
    let all = changes(&world);
    let [_, (Some(subject), Some(description))] = all.as_slice() else { panic!("{all:?}") };
    assert!(subject == "Lee & Sons" && description.contains("Jane Doe"), "{all:?}");
    let not = GroupNews::NotChanged { code: "131000".to_owned(), detail: "no".to_owned() };
    news(&mut world, not);
    world.in_room("Lee & Sons").says("jane", "/room add @bob.ray@acme.com");
    let all = changes(&world);
    let Some((Some(subject), Some(description))) = all.last() else { panic!("{all:?}") };
    assert!(subject == "Lee & Sons" && description.contains("Bob Ray"), "what was refused goes with it: {all:?}");
    world.passes(Span::days(1));
    assert_eq!((changes(&world).len(), told_in(&world, "Lee & Sons", "group-not-changed")), (all.len(), 1));
}

fn told_in(world: &World, room: &str, template: &str) -> usize {
    world.posts.iter().filter(|post| post.place == room && post.reply.template == template).count()
}

#[test]
fn s1_10_each_link_is_asked_for_anew_since_it_may_have_been_reset() {
    const FRESH: &str = "https://chat.whatsapp.com/Fresh";
    let mut world = open();
    world.group_answer = Some(FRESH.to_owned());
    world.client(BEN).taps("consent:yes");
    assert_eq!(link_of(&world, BEN), FRESH);
    news(&mut world, GroupNews::Left { who: who(ANN) });
    world.group_troubles.push_back(SUSPENDED);
    world.in_room(ROOM).says("jane", &format!("/room add {ANN}"));
    world.presses("jane", "confirm");
    assert_eq!(told(&world, "group-not-changed"), 1, "WhatsApp gives no link");
    world.group_answer = Some("https://chat.whatsapp.com/Newest".to_owned());
    world.passes(Span::minutes(1));
    assert_eq!(link_of(&world, ANN), "https://chat.whatsapp.com/Newest");
    assert_eq!(world.room(ROOM).native.unwrap().state_of(&world.contact(ANN).id), Some(Membership::Invited));
}

#[test]
fn many_requests_of_strangers_do_not_fill_the_record() {
    let mut world = open();
    world.group_troubles.extend(std::iter::repeat_n(SUSPENDED, 200));
    for nth in 0..200 {
        let number = format!("+49151000{nth:05}");
        let told = GroupNews::AsksToJoin { request: format!("ask-{nth}"), who: who(&number) };
        let told = GroupTold { line: LineId::new(LINE), group: GroupId::new(GROUP), news: told };
        world.feed(Fact::GroupTold(told));
        world.work_off();
    }
    assert_eq!(world.room(ROOM).native.unwrap().owed.len(), 64);
    let mark = world.group_calls.len();
    world.passes(NOTE);
    assert!(
        world.group_calls[mark..].iter().any(|call| matches!(call, GroupCall::Requests { .. })),
        "the others stand in the list"
    );
}
