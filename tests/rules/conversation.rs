//! S4 and C: conversations, windows, templates, several advisors.
use crate::common::story::story_in;
use crate::common::world::*;
use expect_test::expect;
use liaison::domain::consent::Consent;
use liaison::domain::effect::Effect;
use liaison::domain::event::{MemberChange, StreamKind};
use liaison::domain::ids::*;
use liaison::domain::policy::Line;
use liaison::domain::room::Room;
use liaison::domain::time::Span;
use serde_json::json;

#[test]
fn s4_1_s4_13_each_relayed_line_shows_its_channel() {
    let mut world = World::agreed(|_| {});
    world.client(ANN).writes("Hello");
    assert_eq!(world.last_reply("Ann Lee").vars["channel"], "WhatsApp");
}

#[test]
fn s4_2_alone_the_advisor_is_not_named_with_colleagues_he_is() {
    let mut world = World::agreed(|_| {});
    world.in_room("Ann Lee").says("jane", "Hello");
    world.member("Ann Lee", "bob", MemberChange::Joined);
    world.in_room("Ann Lee").says("bob", "Me too");
    assert_eq!(world.sent_to(ANN)[2..], ["Hello", "advisor_joined", "Bob Ray: Me too"]);
}

#[test]
fn s4_7_only_contacts_can_be_written_to() {
    let mut world = World::agreed(|_| {});
    let sent = world.sends.len();
    world.chat("jane", StreamId::new("some-other-room"), StreamKind::Room, "Hello", None);
    assert_eq!(world.sends.len(), sent);
    assert_eq!(world.in_room("Ann Lee").says("bob", "I am not in it"), ["refusal(membership)"]);
    assert_eq!(world.sends.len(), sent);
}

#[test]
fn s4_9_s4_22_s4_23_after_a_lapse_texts_wait_and_a_template_goes() {
    let world = World::agreed(|_| {});
    story_in(
        world,
        expect![[r#"
            d3 10:00 jane in Ann Lee: Are you there?
                     -> Ann Lee: held(window)
                     -> whatsapp +4915112345678: <liaison_message_waiting>
            d3 10:01 jane in Ann Lee: /template send follow_up
                     -> Ann Lee: confirm confirm-template
            d3 10:02 jane presses confirm
                     -> Ann Lee: answer template-sent
                     -> whatsapp +4915112345678: <follow_up>
            d3 10:03 jane in Ann Lee: Still waiting.
                     -> Ann Lee: held(window)
            d3 11:00 +4915112345678: Yes, sorry.
                     -> Ann Lee: client_message Ann Lee: Yes, sorry.
                     -> Ann Lee: released
                     -> whatsapp +4915112345678: Are you there?
                     -> whatsapp +4915112345678: Still waiting.
        "#]],
    );
}

#[test]
fn s4_18_the_client_may_always_write() {
    let mut world = World::agreed(|_| {});
    for text in ["stop", "one", "yes", "two"] {
        world.client(ANN).writes(text);
    }
    world.passes(Span::days(40));
    world.client(ANN).writes("three");
    let told = world.told("Ann Lee");
    for text in ["one", "two", "three"] {
        assert!(told.contains(&format!("client_message Ann Lee: {text}")), "{text}");
    }
}

#[test]
fn s4_20_one_client_has_several_conversations_each_in_its_room() {
    let mut world = World::agreed(|_| {});
    world.says("bob", "/contact add Anna Lea phone=+4915112345678 email=ann@lee.de --room");
    world.in_room("Anna Lea").says("bob", "From Bob");
    world.in_room("Ann Lee").says("jane", "From Jane");
    assert_eq!(world.sent_to(ANN)[2..], ["From Bob", "From Jane"]);
    assert_eq!(world.told("Ann Lee").iter().filter(|line| line.contains("Bob")).count(), 0);
}

#[test]
fn s4_25_a_template_is_previewed_and_a_second_act_sends_it() {
    let mut world = World::agreed(|_| {});
    assert_eq!(world.says("jane", "/template send follow_up to=\"Ann Lee\""), ["confirm confirm-template"]);
    assert!(!world.sent_to(ANN).contains(&"<follow_up>".to_owned()));
    assert_eq!(world.presses("jane", "cancel"), ["info nothing-done"]);
    world.says("jane", "/template send document_ready to=\"Ann Lee\"");
    assert_eq!(world.last_told("jane"), "refusal(missing-parameter)");
    world.says("jane", "/template send document_ready document=Report to=\"Ann Lee\"");
    assert_eq!(world.presses("jane", "confirm"), ["answer template-sent"]);
    assert_eq!(world.sent_to(ANN).last().unwrap(), "<document_ready>");
}

#[test]
fn the_programs_own_templates_are_not_the_advisors() {
    let mut world = World::agreed(|_| {});
    assert_eq!(world.says("jane", "/template send liaison_invitation to=\"Ann Lee\""), ["refusal(bad-argument)"]);
}

#[test]
fn c1_c2_a_template_goes_into_a_closed_window_and_only_the_answer_opens_it() {
    let mut world = World::agreed(|_| {});
    world.passes(Span::days(2));
    world.says("jane", "/template send follow_up to=\"Ann Lee\"");
    world.presses("jane", "confirm");
    assert_eq!(world.sent_to(ANN).last().unwrap(), "<follow_up>");
    world.reports(ANN, liaison::domain::event::Delivery::Read);
    assert_eq!(world.in_room("Ann Lee").says("jane", "Hello"), ["held(window)"], "neither sending nor reading opens it");
    assert_eq!(world.client(ANN).writes("Yes"), ["Hello"]);
}

#[test]
fn c4_a_lapse_holds_and_tells_so() {
    let mut world = World::agreed(|_| {});
    world.passes(Span::days(2));
    assert_eq!(world.in_room("Ann Lee").says("jane", "Hello"), ["held(window)"]);
    assert_eq!(world.last_reply("Ann Lee").vars["gate"], "window");
}

#[test]
fn c6_the_notice_is_the_only_second_message_of_the_program_once_per_silence() {
    let mut world = World::agreed(|_| {});
    for _ in 0..2 {
        world.passes(Span::days(2));
        for text in ["a", "b"] {
            world.in_room("Ann Lee").says("jane", text);
            world.passes(Span::days(1));
        }
        world.client(ANN).writes("Here");
    }
    let notices = world.sent_to(ANN).iter().filter(|text| *text == "<liaison_message_waiting>").count();
    assert_eq!(notices, 2);
}

#[test]
fn invariant_9_who_may_not_see_the_client_is_shown_out() {
    for outsider in ["eve", "nina"] {
        let mut world = World::agreed(|_| {});
        world.member("Ann Lee", outsider, MemberChange::Joined);
        assert!(world.members.iter().any(|effect| matches!(effect, Effect::RemoveMember { .. })), "{outsider}");
        assert_eq!(world.last_told("jane"), "notice shown-out");
        assert_eq!(world.room("Ann Lee").members.keys().copied().collect::<Vec<_>>(), [UserId(1)]);
    }
}

#[test]
fn when_the_last_has_left_the_next_message_goes_where_somebody_is() {
    let mut world = World::agreed(|_| {});
    world.member("Ann Lee", "jane", MemberChange::Left);
    world.client(ANN).writes("Anybody?");
    let read: Vec<&Posted> = world.posts.iter().filter(|post| said_as(post).ends_with("Anybody?")).collect();
    assert_eq!(read.len(), 1);
    let room = world.rooms().into_iter().find(|room| room.stream.as_ref() == Some(&read[0].stream)).unwrap();
    assert!(!room.members.is_empty());
}

#[test]
fn what_is_held_for_one_who_left_is_withdrawn() {
    let mut world = World::invited(|_| {});
    world.member("Ann Lee", "bob", MemberChange::Joined);
    world.in_room("Ann Lee").says("bob", "held");
    world.member("Ann Lee", "bob", MemberChange::Left);
    world.client(ANN).taps("consent:yes");
    assert_eq!(world.state_of("Bob Ray: held"), "withdrawn(membership)");
}

#[test]
fn a_text_in_a_client_room_that_is_a_command_is_never_relayed() {
    let mut world = World::agreed(|_| {});
    let sent = world.sends.len();
    assert_eq!(world.in_room("Ann Lee").says("jane", "/hlep me"), ["refusal(unknown-command)"]);
    assert_eq!(world.sends.len(), sent);
    world.in_room("Ann Lee").says("jane", "//hello");
    assert_eq!(world.sent_to(ANN).last().unwrap(), "/hello");
}

#[test]
fn a_text_over_4096_characters_is_refused_with_the_count() {
    let mut world = World::agreed(|_| {});
    world.in_room("Ann Lee").says("jane", &"ä".repeat(4_096));
    assert_eq!(world.state_of(&"ä".repeat(4_096)), "sent");
    assert_eq!(world.in_room("Ann Lee").says("jane", &"ä".repeat(4_097)), ["refusal(too-long)"]);
    assert_eq!(world.last_reply("Ann Lee").vars["length"], 4_097);
}

/// The room of Ann on SMS, where she has agreed: the records as they stand then.
fn by_sms() -> World {
    let mut world = World::agreed(|_| {});
    let number = "+12025550143";
    world.policy.lines.push(Line { channel: Channel::Sms, ..line(number, number) });
    let mut ann = world.contact(ANN);
    ann.on_mut(Channel::Sms).consent = Consent::OptedIn { at: MIDNIGHT };
    world.put(&ann);
    let room = Room { channel: Channel::Sms, line: LineId::new(number), ..world.room("Ann Lee") };
    world.put(&room);
    world
}

/// The same before her answer.
fn asked_by_sms() -> World {
    let mut world = by_sms();
    let mut ann = world.contact(ANN);
    ann.on_mut(Channel::Sms).consent = Consent::Pending { asked_at: MIDNIGHT, asked_before: None };
    world.put(&ann);
    world
}

#[test]
fn an_sms_over_1600_characters_is_refused_with_the_count_and_its_parts() {
    let mut world = by_sms();
    assert_eq!(world.in_room("Ann Lee").says("jane", &"ä".repeat(1_601)), ["refusal(too-long)"]);
    let vars = world.last_reply("Ann Lee").vars;
    assert_eq!((&vars["length"], &vars["most"], &vars["parts"]), (&json!(1_601), &json!(1_600), &json!(11)));
    // Counted as the network counts: an emoji is two.
    assert_eq!(world.in_room("Ann Lee").says("jane", &"👍".repeat(801)), ["refusal(too-long)"]);
    assert!(world.messages().is_empty());
    world.in_room("Ann Lee").says("jane", &"ä".repeat(1_600));
    assert_eq!(world.state_of(&"ä".repeat(1_600)), "sent");
}

#[test]
fn a_dry_run_tells_the_parts_of_an_sms() {
    let parts = |mut world: World| {
        world.in_room("Ann Lee").says("jane", &format!("/dryrun {}", "a".repeat(400)));
        world.last_reply("Ann Lee").vars["items"].as_array().unwrap().iter().map(|item| item["parts"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(parts(by_sms()), [json!(3)]);
    assert_eq!(parts(asked_by_sms()), [json!(3)], "of one that is held");
    let mut on_whatsapp = World::agreed(|_| {});
    on_whatsapp.client(ANN).writes("Hello");
    assert_eq!(parts(on_whatsapp), [json!(null)]);
}

#[test]
fn an_sms_that_waits_is_not_edited_beyond_its_limit() {
    let mut world = asked_by_sms();
    let said = world.in_room("Ann Lee").says_and_keeps("jane", "Good morning");
    assert_eq!(world.in_room("Ann Lee").edits("jane", &said, &"ä".repeat(1_601)), ["info edit-too-late"]);
    assert_eq!(world.in_room("Ann Lee").edits("jane", &said, &"ä".repeat(1_600)), ["info edited"]);
}
