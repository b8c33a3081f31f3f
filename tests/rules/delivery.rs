//! Messages on their way: held, released, doubtful, failed, expired; and the gate asked again at the taking.
use crate::common::story::story_in;
use crate::common::world::*;
use expect_test::expect;
use liaison::domain::case::Record;
use liaison::domain::effect::{Effect, Outcome};
use liaison::domain::event::{Delivery, DeliveryReported, Fact};
use liaison::domain::ids::{Channel, LineId, Wamid};
use liaison::domain::lines::StoppedLine;
use liaison::domain::policy::QuietHours;
use liaison::domain::time::Span;
use serde_json::json;

fn failed(code: &str) -> Delivery {
    Delivery::Failed { code: code.to_owned(), detail: String::new(), of_line: false }
}

#[test]
fn a_doubtful_message_holds_its_lane_30_s_then_it_goes_on_and_after_60_s_the_author_decides() {
    let world = World::agreed(|_| {});
    story_in(
        world,
        expect![[r#"
            d1 10:00 trouble lost
            d1 10:00 jane in Ann Lee: lost?
            d1 10:00 jane in Ann Lee: behind it
                     -> Ann Lee: info lane-goes-on
                     -> whatsapp +4915112345678: behind it
                     -> Ann Lee: unconfirmed
            d1 10:01 …
            d1 10:02 jane presses send-again
                     -> Ann Lee: info sent-again
                     -> whatsapp +4915112345678: lost?
            d1 10:03 jane presses send-again
                     -> Ann Lee: info sent-again
        "#]],
    );
}

#[test]
fn invariant_5_the_lane_waits_exactly_30_s_and_the_mark_says_where_it_is_not_in_order() {
    let mut world = World::agreed(|_| {});
    world.troubles.push_back(Trouble::UnknownAndLost);
    world.in_room("Ann Lee").says("jane", "lost?");
    world.in_room("Ann Lee").says("jane", "behind it");
    world.passes(Span::seconds(29));
    assert_eq!(world.state_of("behind it"), "ready");
    world.passes(Span::seconds(1));
    assert_eq!(world.state_of("behind it"), "sent");
    assert_eq!(world.last_told("Ann Lee"), "info lane-goes-on");
    world.passes(Span::seconds(29));
    assert_eq!(world.state_of("lost?"), "doubtful");
    world.passes(Span::seconds(1));
    assert_eq!(world.state_of("lost?"), "unconfirmed");
    assert_eq!(world.last_told("Ann Lee"), "unconfirmed");
}

#[test]
fn a_status_ends_the_doubt_at_any_time() {
    for wait in [Span::seconds(5), Span::seconds(45), Span::minutes(10)] {
        let mut world = World::agreed(|_| {});
        world.troubles.push_back(Trouble::UnknownButSent);
        world.in_room("Ann Lee").says("jane", "unheard");
        world.in_room("Ann Lee").says("jane", "behind it");
        world.passes(wait);
        let unheard = world.sends.iter().find(|sent| read_as(&sent.body) == "unheard").unwrap().clone();
        let now = world.now;
        world.reports_on(&unheard, Delivery::Delivered, now);
        assert_eq!(world.state_of("unheard"), "delivered");
        world.passes(Span::hours(1));
        assert_eq!(world.state_of("unheard"), "delivered");
        assert_eq!(world.sent_to(ANN).iter().filter(|text| *text == "unheard").count(), 1);
        assert_eq!(world.sent_to(ANN).last().unwrap(), "behind it");
        if wait == Span::minutes(10) {
            assert_eq!(world.presses("jane", "send-again"), ["info arrived-after-all"]);
            assert_eq!(world.sent_to(ANN).iter().filter(|text| *text == "unheard").count(), 1);
        }
    }
}

#[test]
fn what_is_sent_again_passes_the_gate_anew() {
    let mut world = World::agreed(|_| {});
    world.troubles.push_back(Trouble::UnknownAndLost);
    world.in_room("Ann Lee").says("jane", "lost?");
    world.passes(Span::minutes(2));
    let card = world.question();
    world.client(ANN).writes("stop");
    assert_eq!(world.presses_on(&card, "jane", "send-again"), ["refusal(consent)"]);
    assert!(!world.sent_to(ANN).contains(&"lost?".to_owned()));
}

#[test]
fn c1_131047_puts_the_message_back_to_wait_for_the_client() {
    let mut world = World::agreed(|_| {});
    world.troubles.push_back(Trouble::Fails("131047"));
    world.in_room("Ann Lee").says("jane", "one");
    world.in_room("Ann Lee").says("jane", "two");
    assert_eq!(world.messages(), [("one".into(), "held(window)".into()), ("two".into(), "held(window)".into())]);
    world.passes(Span::hours(1));
    assert_eq!(world.client(ANN).writes("Hello"), ["one", "two"], "in their order");
}

#[test]
fn invariant_5_what_comes_back_goes_before_what_was_due_behind_it() {
    let mut world = World::agreed(|_| {});
    world.outbox_stands = true;
    for text in ["one", "two", "three"] {
        world.in_room("Ann Lee").says("jane", text);
    }
    let due = world.take_only().unwrap();
    world.ends(&due, Outcome::Failed { code: "131047".to_owned(), detail: "re-engagement".to_owned() });
    assert_eq!(["one", "two"].map(|text| world.state_of(text)), ["held(window)", "ready"], "nobody has looked at the second yet");
    world.now = world.now + Span::minutes(1);
    world.client(ANN).writes("I am here");
    world.outbox_stands = false;
    world.work_off();
    let sent = world.sent_to(ANN);
    assert_eq!(sent[sent.len() - 3..], ["one", "two", "three"]);
}

#[test]
fn invariant_5_nothing_is_taken_while_an_older_text_waits() {
    // Ann's morning has come, the wake-up has not: the second text would pass by itself.
    let mut world = World::agreed(|_| {});
    world.outbox_stands = true;
    for text in ["one", "two"] {
        world.in_room("Ann Lee").says("jane", text);
    }
    world.policy.quiet_hours = Some(QuietHours { open_from: 0, open_until: 1 });
    assert!(world.take_only().is_none(), "it is night");
    assert_eq!(["one", "two"].map(|text| world.state_of(text)), ["held(quiet_hours)", "ready"]);
    world.policy.quiet_hours = None;
    world.outbox_stands = false;
    world.work_off();
    let sent = world.sent_to(ANN);
    assert_eq!(sent[sent.len() - 2..], ["one", "two"]);
}

#[test]
fn c1_131047_by_a_status_of_what_was_sent_before() {
    let mut world = World::agreed(|_| {});
    world.in_room("Ann Lee").says("jane", "one");
    let first = world.sends.last().unwrap().clone();
    let (now, failed) = (world.now, failed("131047"));
    world.reports_on(&first, failed, now);
    assert_eq!(world.state_of("one"), "held(window)");
    world.reports_on(&first, Delivery::Sent, now);
    assert_eq!(world.state_of("one"), "held(window)", "the statuses of the first attempt come in any order");
    world.passes(Span::minutes(5));
    assert_eq!(world.client(ANN).writes("Hello"), ["one"]);
}

#[test]
fn c1_131047_that_comes_after_the_clients_next_message_does_not_close_the_window() {
    let mut world = World::agreed(|_| {});
    world.in_room("Ann Lee").says("jane", "one");
    let (sent, told_at) = (world.sends.last().unwrap().clone(), world.now + Span::seconds(1));
    world.passes(Span::minutes(5));
    world.client(ANN).writes("Hello");
    world.passes(Span::minutes(5));
    world.reports_on(&sent, failed("131047"), told_at);
    assert_eq!(world.state_of("one"), "sent", "and the message goes again at once");
    world.in_room("Ann Lee").says("jane", "two");
    assert_eq!(world.state_of("two"), "sent");
}

#[test]
fn a_failed_message_frees_the_lane_and_is_told_with_its_code() {
    let mut world = World::agreed(|_| {});
    world.troubles.push_back(Trouble::Fails("131051"));
    world.in_room("Ann Lee").says("jane", "bad");
    world.in_room("Ann Lee").says("jane", "good");
    assert_eq!(world.messages(), [("bad".into(), "failed(131051)".into()), ("good".into(), "sent".into())]);
    assert!(world.told("Ann Lee").contains(&"failed(131051)".to_owned()));
}

#[test]
fn a_throttled_head_is_tried_again_and_the_order_stays() {
    let mut world = World::agreed(|_| {});
    world.troubles.push_back(Trouble::NotYet(Span::seconds(10)));
    world.in_room("Ann Lee").says("jane", "one");
    world.in_room("Ann Lee").says("jane", "two");
    assert!(!world.sent_to(ANN).contains(&"two".to_owned()));
    world.passes(Span::seconds(10));
    assert_eq!(world.sent_to(ANN)[2..], ["one", "two"]);
}

#[test]
fn the_gate_is_asked_again_at_the_taking() {
    let mut world = World::agreed(|_| {});
    world.outbox_stands = true;
    world.in_room("Ann Lee").says("jane", "hello");
    world.revoke("jane");
    world.outbox_stands = false;
    world.work_off();
    assert_eq!(world.state_of("hello"), "withdrawn(entitled)");
    assert_eq!(world.last_told("Ann Lee"), "withdrawn(entitled)");
    let mut world = World::agreed(|_| {});
    world.outbox_stands = true;
    world.in_room("Ann Lee").says("jane", "hello");
    world.now = world.now + Span::days(2);
    world.outbox_stands = false;
    world.work_off();
    assert_eq!(world.state_of("hello"), "held(window)");
}

#[test]
fn rights_revoked_while_held_withdraw_at_the_release() {
    let mut world = World::agreed(|_| {});
    world.passes(Span::days(2));
    world.in_room("Ann Lee").says("jane", "held");
    world.revoke("jane");
    assert_eq!(world.client(ANN).writes("Hello"), ["advisor_left"], "who may not read her is out before her words stand there");
    assert_eq!(world.state_of("held"), "withdrawn(entitled)");
}

#[test]
fn an_effect_is_taken_once_and_ends_once() {
    let mut world = World::agreed(|_| {});
    world.outbox_stands = true;
    world.in_room("Ann Lee").says("jane", "hello");
    let taken = world.take_only().unwrap();
    let again =
        liaison::domain::event::Fact::EffectWanted { key: liaison::domain::case::Record::key(&taken), attempt: 0, text: None };
    assert_eq!(world.feed(again), Fed::Nothing);
    let done = || Outcome::Done { external_id: Some("wamid-x".to_owned()) };
    world.ends(&taken, done());
    let entries = world.entries.len();
    world.ends(&taken, done());
    assert_eq!(world.entries.len(), entries);
}

/// A status as a provider tells it that does not send our id back.
fn without_our_id(status: Delivery, price: Option<&str>) -> Fact {
    Fact::DeliveryReported(DeliveryReported {
        channel: Channel::WhatsApp,
        line: LineId::new(LINE),
        id: Wamid::new("wamid-early"),
        ours: None,
        status,
        recipient: keys_of(ANN),
        participant: None,
        price_category: price.map(str::to_owned),
        price_type: price.map(|_| "regular".to_owned()),
    })
}

#[test]
fn statuses_that_come_before_the_answer_wait_for_it_and_only_rise() {
    let mut world = World::agreed(|_| {});
    world.outbox_stands = true;
    world.in_room("Ann Lee").says("jane", "hello");
    let taken = world.take_only().unwrap();
    world.feed(without_our_id(Delivery::Read, None));
    world.feed(without_our_id(Delivery::Delivered, Some("utility")));
    world.feed(without_our_id(Delivery::Sent, None));
    assert_eq!(world.state_of("hello"), "taken", "nobody knows yet of what they tell");
    world.ends(&taken, Outcome::Done { external_id: Some("wamid-early".to_owned()) });
    assert_eq!(world.state_of("hello"), "read");
    let message = world.message("hello");
    assert!(message.delivered_at.is_some() && message.read_at.is_some());
    assert_eq!((message.price_category.as_deref(), message.price_type.as_deref()), (Some("utility"), Some("regular")));
}

#[test]
fn a_failure_that_comes_before_the_answer_is_told_to_the_author() {
    let mut world = World::agreed(|_| {});
    world.outbox_stands = true;
    world.in_room("Ann Lee").says("jane", "hello");
    let taken = world.take_only().unwrap();
    world.feed(without_our_id(failed("131051"), None));
    world.outbox_stands = false;
    world.ends(&taken, Outcome::Done { external_id: Some("wamid-early".to_owned()) });
    assert_eq!(world.state_of("hello"), "failed(131051)");
}

#[test]
fn statuses_that_nobody_claims_are_kept_in_the_journal_and_forgotten() {
    let mut world = World::agreed(|_| {});
    for _ in 0..20 {
        world.feed(without_our_id(Delivery::Sent, None));
    }
    assert!(world.records().keys().any(|key| key.starts_with("parked/")));
    assert!(!world.records().keys().any(|key| key.contains("wamid-early")), "the id encodes the client's number");
    world.passes(Span::minutes(11));
    assert!(!world.records().keys().any(|key| key.starts_with("parked/")));
    assert_eq!(world.kinds().iter().filter(|kind| **kind == "delivery.of_unknown_message").count(), 20);
}

#[test]
fn the_price_of_a_message_is_recorded_and_shown() {
    let mut world = World::agreed(|_| {});
    world.in_room("Ann Lee").says("jane", "hello");
    let wamid = world.sends.last().unwrap().wamid.clone();
    let Fact::DeliveryReported(told) = without_our_id(Delivery::Delivered, Some("service")) else { panic!("a status") };
    world.feed(Fact::DeliveryReported(DeliveryReported { id: wamid, ..told }));
    let entry = world.entries.iter().rfind(|entry| entry.kind == "delivery.reported").unwrap();
    assert_eq!((&entry.detail["price_category"], &entry.detail["price_type"]), (&json!("service"), &json!("regular")));
    world.says("jane", "/sent \"Ann Lee\"");
    let rows = world.last_reply("jane").vars["messages"].as_array().unwrap().clone();
    let hello = rows.iter().find(|row| row["gist"] == "hello").unwrap();
    assert_eq!((&hello["price_category"], &hello["price_type"]), (&json!("service"), &json!("regular")));
}

#[test]
fn held_max_refuses_the_next_with_the_count() {
    let mut world = World::invited(|policy| policy.held_max = 3);
    for text in ["1", "2", "3"] {
        assert_eq!(world.in_room("Ann Lee").says("jane", text), ["held(consent)"]);
    }
    assert_eq!(world.in_room("Ann Lee").says("jane", "4"), ["refusal(held-max)"]);
    assert_eq!(world.last_reply("Ann Lee").vars["count"], 3);
    assert_eq!(world.messages().len(), 3);
}

#[test]
fn held_expiry_is_told_24_hours_before_and_when_it_happens() {
    let mut world = World::invited(|_| {});
    world.in_room("Ann Lee").says("jane", "old");
    let held_at = world.now;
    world.passes(Span::days(13));
    assert_eq!(world.last_told("Ann Lee"), "info expires-soon");
    assert_eq!(world.now, held_at + Span::days(13));
    world.passes(Span(Span::days(1).0 - 1));
    assert_eq!((world.state_of("old"), world.last_told("Ann Lee")), ("held(consent)".into(), "info expires-soon".into()));
    world.passes(Span(1));
    assert_eq!((world.state_of("old"), world.last_told("Ann Lee")), ("expired".into(), "expired".into()));
    assert_eq!(world.client(ANN).taps("consent:yes"), ["welcome"]);
}

#[test]
fn edited_or_deleted_while_held() {
    let mut world = World::invited(|_| {});
    let first = world.in_room("Ann Lee").says_and_keeps("jane", "frist");
    let second = world.in_room("Ann Lee").says_and_keeps("jane", "second");
    assert_eq!(world.in_room("Ann Lee").edits("jane", &first, "first"), ["info edited"]);
    assert_eq!(world.deletes("jane", "Ann Lee", &second), ["info cancelled"]);
    assert_eq!(world.client(ANN).taps("consent:yes"), ["welcome", "first"]);
    assert_eq!(world.in_room("Ann Lee").edits("jane", &first, "FIRST"), ["info edit-too-late"]);
    assert_eq!(world.deletes("jane", "Ann Lee", &first), ["info delete-too-late"]);
    assert_eq!(world.state_of("second"), "cancelled");
}

#[test]
fn nobody_edits_or_cancels_what_another_wrote() {
    let mut world = World::new();
    world.says("jane", &format!("{ADD_ANN} advisors=@bob.ray@acme.com --room"));
    world.in_room("Ann Lee").says("jane", "hers");
    let hers = world.message("Jane Doe: hers").chat_message.unwrap().0;
    assert_eq!(world.in_room("Ann Lee").edits("bob", &hers, "his"), [""; 0]);
    assert_eq!(world.deletes("bob", "Ann Lee", &hers), [""; 0]);
    assert_eq!(world.state_of("Jane Doe: hers"), "held(consent)");
}

#[test]
fn s4_23_a_held_template_does_not_wait_behind_a_text() {
    let hours = QuietHours { open_from: 8 * 60, open_until: 21 * 60 };
    let mut world = World::agreed(|policy| policy.quiet_hours = Some(hours));
    world.passes(Span::minutes(36 * 60 + 1));
    world.in_room("Ann Lee").says("jane", "text");
    world.says("jane", "/template send follow_up to=\"Ann Lee\"");
    world.presses("jane", "confirm");
    assert_eq!(
        world.messages(),
        [("text".into(), "held(quiet_hours)".into()), ("<follow_up>".into(), "held(quiet_hours)".into())]
    );
    world.passes(Span::hours(12));
    assert_eq!(world.messages(), [("text".into(), "held(window)".into()), ("<follow_up>".into(), "sent".into())]);
}

#[test]
fn s4_27_what_is_released_and_not_taken_yet_can_be_cancelled() {
    let mut world = World::agreed(|_| {});
    world.client(ANN).writes("Hello");
    world.outbox_stands = true;
    world.in_room("Ann Lee").says("jane", "Wrong words");
    world.in_room("Ann Lee").says("jane", "Right words");
    let id = world.message("Wrong words").id;
    assert_eq!(world.state_of("Wrong words"), "ready");
    world.says("jane", &format!("/queue cancel {id}"));
    assert_eq!(world.last_told("jane"), "answer queue-cancelled");
    world.outbox_stands = false;
    world.passes(Span::minutes(1));
    assert_eq!(world.state_of("Wrong words"), "cancelled");
    assert!(!world.sent_to(ANN).contains(&"Wrong words".to_owned()));
    assert_eq!(world.sent_to(ANN).last().map(String::as_str), Some("Right words"));
    let sent = world.message("Right words").id;
    assert_eq!(world.says("jane", &format!("/queue cancel {sent}")), ["refusal(already-sent)"]);
}

#[test]
fn s4_27_what_was_taken_is_not_cancelled_any_more() {
    let mut world = World::agreed(|_| {});
    world.client(ANN).writes("Hello");
    world.troubles.push_back(Trouble::UnknownAndLost);
    world.in_room("Ann Lee").says("jane", "On its way");
    let id = world.message("On its way").id;
    assert_eq!(world.says("jane", &format!("/queue cancel {id}")), ["refusal(already-sent)"]);
    assert_ne!(world.state_of("On its way"), "cancelled");
}

// ---- a status that refuses the whole line

fn of_line(code: &str) -> Delivery {
    Delivery::Failed { code: code.to_owned(), detail: "No more.".to_owned(), of_line: true }
}

fn stopped(world: &World) -> Option<StoppedLine> {
    world.get(&StoppedLine::key_of(&LineId::new(LINE)))
}

fn count(world: &World, kind: &str) -> usize {
    world.kinds().iter().filter(|known| **known == kind).count()
}

#[test]
fn a_status_that_refuses_the_line_stops_it_as_an_answer_does_and_loses_no_message() {
    for code in ["131048", "368", "190"] {
        let mut world = World::agreed(|_| {});
        world.says("adam", "/help");
        let before = world.sent_to(ANN).len();
        world.in_room("Ann Lee").says("jane", "one");
        world.in_room("Ann Lee").says("jane", "two");
        let (one, two) = (world.sends[world.sends.len() - 2].clone(), world.sends.last().unwrap().clone());
        world.outbox_stands = true;
        world.in_room("Ann Lee").says("jane", "three");
        let now = world.now;
        world.reports_on(&two, of_line(code), now);
        world.reports_on(&one, of_line(code), now);
        assert_eq!(stopped(&world).unwrap().trouble.code, code);
        assert_eq!((count(&world, "line.stopped"), count(&world, "message.put_back")), (1, 2), "{code}");
        world.reports_on(&one, Delivery::Sent, now);
        assert!(world.messages().iter().all(|(_, state)| state == "ready"), "{code}: {:?}", world.messages());
        world.passes(Span::minutes(1));
        world.outbox_stands = false;
        world.work_off();
        assert_eq!(world.sent_to(ANN)[before..], ["one", "two", "one", "two", "three"], "{code}: again, in their order");
        assert!(!world.kinds().contains(&"message.failed") && !world.told("Ann Lee").iter().any(|line| line.contains("failed")));
        let told = world.told("adam").iter().filter(|line| **line == format!("notice({code})")).count();
        assert_eq!(told, 1, "{code}: told once");
        assert!(stopped(&world).is_some(), "{code}: that a message was taken proves nothing");

        world.reports_on(&one, Delivery::Delivered, now);
        assert!(stopped(&world).is_some(), "{code}: it was taken before the line stopped");
        // One that was sent before, and one that was not: either shows it.
        let again = world.sends[world.sends.len() - if code == "368" { 1 } else { 3 }].clone();
        let now = world.now;
        world.reports_on(&again, Delivery::Sent, now);
        assert_eq!((stopped(&world), world.last_told("adam").as_str()), (None, "notice line-works-again"), "{code}");
    }
}

#[test]
fn a_status_that_refuses_the_line_may_be_of_another_program_but_not_of_long_ago() {
    let mut world = World::agreed(|_| {});
    let told = without_our_id(of_line("131048"), None);
    let long_ago = world.now - Span::minutes(61);
    world.feed_as("late", long_ago, told.clone());
    assert_eq!(stopped(&world), None);
    world.feed(told);
    assert_eq!(stopped(&world).unwrap().trouble.code, "131048");
}

#[test]
fn a_message_whose_line_is_refused_for_a_day_fails_and_its_author_is_told() {
    let mut world = World::agreed(|_| {});
    world.in_room("Ann Lee").says("jane", "one");
    for hours in [0, 12, 11] {
        world.passes(Span::hours(hours));
        let (one, now) = (world.sends.last().unwrap().clone(), world.now);
        world.reports_on(&one, of_line("131048"), now);
        assert_eq!(world.state_of("one"), "sent", "and again, as soon as its line lets it");
    }
    assert_eq!(world.sent_to(ANN).iter().filter(|text| *text == "one").count(), 4);
    world.passes(Span::minutes(61));
    let (one, now) = (world.sends.last().unwrap().clone(), world.now);
    world.reports_on(&one, of_line("131048"), now);
    assert_eq!(world.state_of("one"), "failed(131048)");
    assert_eq!(world.last_told("Ann Lee"), "failed(131048)");
}

#[test]
fn a_status_that_refuses_the_line_before_the_answer_puts_the_message_back_once() {
    let mut world = World::agreed(|_| {});
    world.outbox_stands = true;
    world.in_room("Ann Lee").says("jane", "hello");
    let taken = world.take_only().unwrap();
    world.feed(without_our_id(of_line("131048"), None));
    world.ends(&taken, Outcome::Done { external_id: Some("wamid-early".to_owned()) });
    assert_eq!(world.state_of("hello"), "ready");
    world.outbox_stands = false;
    world.work_off();
    assert_eq!(world.sent_to(ANN).iter().filter(|text| *text == "hello").count(), 1, "the first never was");
}

/// The outbox may hear of the later commit first, and want what it takes for the head of the lane.
#[test]
fn what_stands_behind_another_in_its_lane_is_not_taken() {
    let mut world = World::agreed(|_| {});
    world.outbox_stands = true;
    world.in_room("Ann Lee").says("jane", "one");
    world.in_room("Ann Lee").says("jane", "two");
    let sends = world.dues().into_iter().filter(|due| matches!(due.effect, Effect::Send(_)));
    let second = sends.max_by_key(|due| due.place_in_lane).unwrap();
    let wanted = Fact::EffectWanted { key: second.key(), attempt: second.attempt, text: None };
    assert_eq!(world.feed(wanted), Fed::Nothing);
    assert_eq!((world.state_of("one"), world.state_of("two")), ("ready".to_owned(), "ready".to_owned()));
    world.outbox_stands = false;
    world.work_off();
    let sent = world.sent_to(ANN);
    assert_eq!(sent[sent.len() - 2..], ["one", "two"]);
}
