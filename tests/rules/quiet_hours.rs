//! Issue 5.5: messages wait through the night of the client, by his own clock, where the firm has switched that on.
use crate::common::world::*;
use liaison::domain::consent::Consent;
use liaison::domain::gates::quiet_hours;
use liaison::domain::ids::*;
use liaison::domain::policy::{Policy, QuietHours};
use liaison::domain::time::{Span, Timestamp};
use serde_json::json;

const BY_DAY: QuietHours = QuietHours { open_from: 8 * 60, open_until: 21 * 60 };

fn switched_on(policy: &mut Policy) {
    policy.quiet_hours = Some(BY_DAY);
}

fn at(text: &str) -> Timestamp {
    let at: jiff::Timestamp = text.parse().unwrap();
    Timestamp(at.as_millisecond())
}

/// Ann with another number, whose window never closes; everybody else as before.
fn with_number(number: &str, change: impl FnOnce(&mut Policy)) -> World {
    let mut world = World::agreed(change);
    let mut ann = world.contact(ANN);
    ann.phone = Phone::from_e164(number);
    world.put(&ann);
    world.point(liaison::domain::commit::Key::new("phone", number), ann.id.as_str());
    world
}

/// It is this moment, and the window is open for the whole day.
fn it_is(world: &mut World, number: &str, now: &str) {
    world.now = at(now);
    world.client(number).at(at(now)).writes("Are you there?");
}

/// Says it, and tells at which moment it left.
fn leaves_at(mut world: World, text: &str) -> String {
    assert_eq!(world.in_room("Ann Lee").says("jane", text), ["held(quiet_hours)"]);
    let contact = world.find_contact(ANN).unwrap_or_else(|| world.all("contact/").remove(0));
    let opens = quiet_hours::opens_at(&world.policy, "", &contact, world.now).unwrap();
    world.passes(opens - Span(1) - world.now);
    assert_eq!(world.state_of(text), "held(quiet_hours)", "not a moment before");
    world.passes(Span(1));
    assert_eq!(world.state_of(text), "sent");
    jiff::Timestamp::from_millisecond(world.now.0).unwrap().to_string()
}

#[test]
fn quiet_hours_hold_and_the_morning_releases() {
    let mut world = World::agreed(switched_on);
    world.passes(Span::hours(12));
    world.client(ANN).writes("Good evening");
    assert_eq!(world.in_room("Ann Lee").says("jane", "Good night"), ["held(quiet_hours)"]);
    // 08:00 in Berlin, in winter.
    world.now = MIDNIGHT + Span::hours(31) - Span(1);
    world.passes(Span(0));
    assert_eq!(world.state_of("Good night"), "held(quiet_hours)");
    world.passes(Span(1));
    assert_eq!(world.state_of("Good night"), "sent");
}

#[test]
fn quiet_hours_that_are_off_hold_nothing_at_any_hour() {
    for hour in 0..24 {
        let mut world = World::agreed(|_| {});
        world.now = MIDNIGHT + Span::hours(24 + hour);
        world.client(ANN).at(MIDNIGHT + Span::hours(24 + hour)).writes("Hello");
        assert_eq!(world.in_room("Ann Lee").says("jane", "At any hour"), [""; 0], "{hour} o'clock");
        assert_eq!(world.state_of("At any hour"), "sent", "{hour} o'clock");
        assert_eq!(world.says("jane", "/why Ann"), ["answer()"]);
        assert_eq!(world.last_reply("jane").vars["quiet"], json!(null));
    }
}

#[test]
fn quiet_hours_go_by_the_number_and_not_by_the_firms_clock() {
    // The firm is in UTC. In Berlin it is 07:30, in New York 01:30, in Singapore 14:30.
    let rows = [
        ("+4915112345678", "held(quiet_hours)"),
        ("+12125550100", "held(quiet_hours)"),
        ("+6561234567", "sent"),
        // A country that the table does not know: the firm's clock shows 06:30.
        ("+8811234567", "held(quiet_hours)"),
    ];
    for (number, expected) in rows {
        let mut world = with_number(number, switched_on);
        it_is(&mut world, number, "2027-01-20T06:30:00Z");
        world.in_room("Ann Lee").says("jane", "Hello");
        assert_eq!(world.state_of("Hello"), expected, "{number}");
    }
}

#[test]
fn quiet_hours_of_an_unknown_country_are_the_firms() {
    let number = "+8811234567";
    let mut world = with_number(number, |policy| {
        switched_on(policy);
        policy.time_zone = "America/New_York".to_owned();
    });
    it_is(&mut world, number, "2027-01-20T12:00:00Z");
    assert_eq!(leaves_at(world, "Hello"), "2027-01-20T13:00:00Z");
}

#[test]
fn quiet_hours_of_a_split_area_code_end_when_the_last_zone_opens() {
    let rows = [
        // Idaho: Mountain and Pacific.
        ("+12085550100", "2027-01-20T15:00:00Z", "2027-01-20T16:00:00Z"),
        // West Florida: Eastern and Central; 21:00 in the east is the end of the day for both.
        ("+18505550100", "2027-01-20T13:30:00Z", "2027-01-20T14:00:00Z"),
        ("+18505550100", "2027-01-20T02:00:00Z", "2027-01-20T14:00:00Z"),
        // Toll-free: from coast to coast.
        ("+18005550100", "2027-01-20T15:59:00Z", "2027-01-20T16:00:00Z"),
    ];
    for (number, now, opens) in rows {
        let mut world = with_number(number, switched_on);
        it_is(&mut world, number, now);
        assert_eq!(leaves_at(world, "Hello"), opens, "{number} at {now}");
    }
}

#[test]
fn quiet_hours_end_at_the_right_minute_over_a_change_of_the_clock() {
    let gap = QuietHours { open_from: 2 * 60 + 30, open_until: 21 * 60 };
    let twice = QuietHours { open_from: 60 + 30, open_until: 21 * 60 };
    let rows = [
        // The night before is an hour shorter, or longer.
        (BY_DAY, "2027-03-14T02:00:00Z", "2027-03-14T12:00:00Z"),
        (BY_DAY, "2027-11-07T02:00:00Z", "2027-11-07T13:00:00Z"),
        // 02:30 does not exist: the clock jumps from 02:00 to 03:00.
        (gap, "2027-03-14T06:00:00Z", "2027-03-14T07:00:00Z"),
        // 01:30 comes twice, and so does the quiet before it.
        (twice, "2027-11-07T05:00:00Z", "2027-11-07T05:30:00Z"),
        (twice, "2027-11-07T06:00:00Z", "2027-11-07T06:30:00Z"),
    ];
    for (hours, now, opens) in rows {
        let number = "+12125550100";
        let mut world = with_number(number, |policy| policy.quiet_hours = Some(hours));
        it_is(&mut world, number, now);
        assert_eq!(leaves_at(world, "Hello"), opens, "{now}");
    }
}

#[test]
fn quiet_hours_of_a_zone_that_was_written_down_go_before_the_number() {
    let mut world = World::agreed(switched_on);
    it_is(&mut world, ANN, "2027-01-20T12:00:00Z");
    assert_eq!(world.says("jane", "/contact edit Ann Lee zone=america/new_york"), ["answer contact-updated"]);
    assert_eq!(world.contact(ANN).time_zone.as_deref(), Some("America/New_York"));
    world.says("jane", "/contact show Ann Lee");
    assert_eq!(world.last_reply("jane").vars["zone"], "America/New_York");
    assert_eq!(leaves_at(world, "Hello"), "2027-01-20T13:00:00Z");
}

#[test]
fn quiet_hours_of_a_wrong_zone_are_refused_with_an_example() {
    let mut world = World::agreed(switched_on);
    for zone in ["Berlin", "EST", "Europe/Gotham", "\"08:00\""] {
        assert_eq!(world.says("jane", &format!("/contact edit Ann Lee zone={zone}")), ["refusal(bad-argument)"], "{zone}");
        let told = world.last_reply("jane").vars;
        assert_eq!((&told["argument"], &told["example"]), (&json!("zone"), &json!("zone=Europe/Berlin")));
    }
    assert_eq!(world.contact(ANN).time_zone, None);
}

#[test]
fn quiet_hours_of_the_new_zone_count_for_what_waits_already() {
    // 23:00 in Berlin: by the number she sleeps.
    let night = "2027-01-20T22:00:00Z";
    for (zone, state, opens) in [
        ("America/New_York", "sent", None),
        ("Asia/Dubai", "held(quiet_hours)", Some("2027-01-21T04:00:00Z")),
        ("Atlantic/Azores", "held(quiet_hours)", Some("2027-01-21T09:00:00Z")),
    ] {
        let mut world = World::agreed(switched_on);
        it_is(&mut world, ANN, night);
        assert_eq!(world.in_room("Ann Lee").says("jane", "Hello"), ["held(quiet_hours)"]);
        world.says("jane", &format!("/contact edit Ann Lee zone={zone}"));
        assert_eq!(world.state_of("Hello"), state, "{zone}");
        let Some(opens) = opens else { continue };
        world.passes(at(opens) - Span(1) - world.now);
        assert_eq!(world.state_of("Hello"), state, "{zone}: not a moment before");
        world.passes(Span(1));
        assert_eq!(world.state_of("Hello"), "sent", "{zone}");
    }
}

#[test]
fn quiet_hours_wake_what_waited_for_something_else_when_they_began() {
    let mut world = World::invited(switched_on);
    world.in_room("Ann Lee").says("jane", "Good morning");
    assert_eq!(world.state_of("Good morning"), "held(consent)");
    // She agrees at 23:00 of her clock.
    world.passes(Span::hours(13));
    world.client(ANN).taps("consent:yes");
    assert_eq!(world.state_of("Good morning"), "held(quiet_hours)");
    world.passes(MIDNIGHT + Span::hours(31) - world.now);
    assert_eq!(world.state_of("Good morning"), "sent");
}

#[test]
fn quiet_hours_that_begin_before_a_message_is_taken_hold_it() {
    let mut world = World::agreed(switched_on);
    it_is(&mut world, ANN, "2027-01-20T19:59:00Z");
    world.outbox_stands = true;
    world.in_room("Ann Lee").says("jane", "Just in time");
    assert_eq!(world.state_of("Just in time"), "ready");
    world.passes(Span::minutes(1));
    world.outbox_stands = false;
    world.work_off();
    assert_eq!(world.state_of("Just in time"), "held(quiet_hours)");
    world.passes(at("2027-01-21T07:00:00Z") - world.now);
    assert_eq!(world.state_of("Just in time"), "sent");
}

#[test]
fn quiet_hours_hold_no_answer_of_the_program() {
    let mut world = World::invited(switched_on);
    // 02:00 of her clock: the welcome answers her yes, the confirmation her stop.
    world.now = at("2027-01-20T01:00:00Z");
    assert_eq!(world.client(ANN).at(at("2027-01-20T01:00:00Z")).taps("consent:yes"), ["welcome"]);
    assert_eq!(world.client(ANN).at(at("2027-01-20T01:01:00Z")).writes("stop"), ["opted_out"]);
    assert!(matches!(world.consent(ANN), Consent::OptedOut { .. }));
}

#[test]
fn quiet_hours_wake_nobody_with_a_notice_that_a_message_waits() {
    let mut world = World::agreed(switched_on);
    // Her window has closed, and it is night.
    world.now = at("2027-01-20T22:00:00Z");
    let read = world.sent_to(ANN).len();
    assert_eq!(world.in_room("Ann Lee").says("jane", "In the night"), ["held(quiet_hours)"]);
    assert_eq!(world.sent_to(ANN).len(), read);
    world.passes(at("2027-01-21T07:00:00Z") - Span(1) - world.now);
    assert_eq!(world.sent_to(ANN).len(), read);
    world.passes(Span(1));
    assert_eq!(world.sent_to(ANN)[read..], ["<liaison_message_waiting>"]);
}

#[test]
fn quiet_hours_without_an_hour_in_common_hold_until_the_zone_is_known() {
    let number = "+79161234567";
    let office = QuietHours { open_from: 9 * 60, open_until: 17 * 60 };
    let mut world = with_number(number, |policy| policy.quiet_hours = Some(office));
    it_is(&mut world, number, "2027-01-20T09:00:00Z");
    assert_eq!(world.in_room("Ann Lee").says("jane", "Hello"), ["held(quiet_hours)"]);
    world.says("jane", "/why Ann");
    assert_eq!(world.last_reply("jane").vars["quiet"]["never_over"], true);
    world.says("jane", "/contact edit Ann Lee zone=Europe/Moscow");
    assert_eq!(world.state_of("Hello"), "sent");
}

#[test]
fn quiet_hours_are_told_with_the_zone_and_the_hour_in_why_and_dryrun() {
    let number = "+12085550100";
    let mut world = with_number(number, switched_on);
    it_is(&mut world, number, "2027-01-20T15:00:00Z");
    let opens = at("2027-01-20T16:00:00Z").0;
    world.in_room("Ann Lee").says("jane", "/dryrun Hello");
    let told = world.last_reply("Ann Lee").vars["items"][0].clone();
    assert_eq!((&told["reason"], &told["at"]), (&json!("quiet_hours"), &json!(opens)));
    world.in_room("Ann Lee").says("jane", "/why");
    let why = world.last_reply("Ann Lee").vars;
    let row = why["rows"].as_array().unwrap().iter().find(|row| row["gate"] == "quiet_hours").unwrap();
    assert_eq!((&row["ok"], &why["blocker"]), (&json!(false), &json!("quiet_hours")));
    let zones = ["America/Boise", "America/Denver", "America/Los_Angeles"];
    let quiet =
        json!({ "zones": zones, "opens_at": opens, "clock": "08:00", "zone": "America/Los_Angeles", "never_over": false });
    assert_eq!(why["quiet"], quiet);
    world.passes(Span::hours(1));
    world.in_room("Ann Lee").says("jane", "/why");
    assert_eq!(world.last_reply("Ann Lee").vars["blocker"], json!(null));
}
