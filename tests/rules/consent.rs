//! S3: nothing without consent; four outcomes; stops, reviews, and what counts as an answer.
use crate::common::story::{story, story_in};
use crate::common::world::*;
use expect_test::expect;
use liaison::domain::consent::Consent;
use liaison::domain::effect::Body;
use liaison::domain::event::Delivery;
use liaison::domain::ids::Channel;
use liaison::domain::policy::{ConsentRule, StopScope};
use liaison::domain::time::Span;

/// Everything the program itself may say, and free texts of advisors, as a client with this consent would get it.
#[test]
fn s3_1_without_consent_nothing_leaves_but_the_closed_list() {
    let mut world = World::new();
    world.says("jane", ADD_ANN);
    world.says("jane", "/room create \"Ann\" +4915112345678");
    world.in_room("Ann").says("jane", "Hello");
    world.says("jane", "/template send follow_up to=\"Ann Lee\"");
    world.presses("jane", "confirm");
    world.client(ANN).writes("who is this?");
    let read = world.sent_to(ANN);
    assert_eq!(read, ["<liaison_invitation>", "<liaison_message_waiting>", "[liaison_invitation]"]);
}

#[test]
fn s3_1_only_the_confirmation_goes_after_an_opt_out() {
    let mut world = World::agreed(|_| {});
    assert_eq!(world.client(ANN).writes("STOP"), ["opted_out"]);
    for text in ["hello?", "help", "STOP", "please stop texting me"] {
        assert_eq!(world.client(ANN).writes(text), [""; 0], "{text}");
    }
    world.in_room("Ann Lee").says("jane", "but");
    world.passes(Span::days(3));
    assert_eq!(world.sent_to(ANN).last().unwrap(), "opted_out");
}

#[test]
fn s3_2_requests_and_answers_are_evidence() {
    let world = World::agreed(|_| {});
    let asked = world.entries.iter().find(|entry| entry.kind == "consent.asked").unwrap();
    assert_eq!(asked.actor, "jane.doe@acme.com");
    assert!(asked.detail["evidence"]["attested"].as_str().is_some_and(|words| !words.is_empty()));
    assert_eq!(asked.detail["evidence"]["template"], "liaison_invitation");
    let answered = world.entries.iter().find(|entry| entry.kind == "consent.opted_in").unwrap();
    assert_eq!(answered.actor, "client");
    assert_eq!(answered.detail["evidence"]["content"]["Button"]["payload"], "consent:yes");
    assert!(answered.detail["evidence"]["message"].as_str().is_some_and(|id| id.starts_with("wamid.in")));
    assert!(answered.detail["evidence"]["asked_in"].as_str().is_some_and(|id| id.starts_with("m-")));
    assert!(world.kinds().contains(&"message.taken"), "the text as it left");
}

#[test]
fn s3_2_both_times_of_an_answer_are_kept() {
    let mut world = World::invited(|_| {});
    let said_at = world.now - Span::minutes(20);
    world.client(ANN).at(said_at).taps("consent:yes");
    let answered = world.entries.iter().find(|entry| entry.kind == "consent.opted_in").unwrap();
    assert_eq!(answered.provider_at, Some(said_at));
    assert_eq!(world.consent(ANN), Consent::OptedIn { at: said_at }, "before the request by the provider's clock, and it counts");
}

#[test]
fn s3_3_only_where_the_channel_is_on_for_the_advisor() {
    let mut world =
        World::with(|policy| drop(policy.advisors.get_mut("jane.doe@acme.com").unwrap().channels.remove(&Channel::WhatsApp)));
    let before = world.records();
    assert_eq!(world.says("jane", ADD_ANN), ["refusal(not-entitled)"]);
    assert_eq!(world.records(), before);
}

#[test]
fn s3_4_s3_6_the_first_text_asks_the_advisor_first_and_nothing_goes_without_confirm() {
    story(expect![[r#"
        d1 09:00 +4915112345678: Hello, I am Ann.
                 -> room +4915112345678
                 -> +4915112345678: room_opened
                 -> +4915112345678: client_message +4915112345678: Hello, I am Ann.
                 -> whatsapp +4915112345678: welcome
        d1 09:01 jane in +4915112345678: Good morning Ann.
                 -> +4915112345678: held(consent)
                 -> +4915112345678: confirm confirm-invitation
        d1 09:02 jane in +4915112345678: How can I help?
                 -> +4915112345678: held(consent)
        d1 09:03 jane presses confirm
                 -> +4915112345678: answer invitation-sent
                 -> whatsapp +4915112345678: <liaison_invitation>
        d1 09:04 +4915112345678 taps consent:yes
                 -> +4915112345678: consent_yes
                 -> +4915112345678: released
                 -> whatsapp +4915112345678: welcome
                 -> whatsapp +4915112345678: Good morning Ann.
                 -> whatsapp +4915112345678: How can I help?
    "#]]);
}

#[test]
fn s3_5_another_number_offers_to_add_it() {
    let mut world = World::new();
    assert_eq!(world.says("jane", "/optin send +4915112345699"), ["refusal(no-such-contact)", "form"]);
    assert_eq!(world.last_reply("jane").vars["values"]["phone"], BEN);
}

#[test]
fn s3_6_optin_send_asks_and_cancel_sends_nothing() {
    let mut world = World::new();
    world.says("jane", ADD_ANN);
    assert_eq!(world.says("jane", "/optin send Ann Lee"), ["confirm confirm-invitation"]);
    world.presses("jane", "cancel");
    assert_eq!((world.sent_to(ANN).len(), world.consent(ANN)), (0, Consent::None));
    world.says("jane", "/optin send Ann Lee");
    world.presses("jane", "confirm");
    assert_eq!(world.sent_to(ANN), ["<liaison_invitation>"]);
}

#[test]
fn s3_8_after_confirm_messages_are_held_until_the_yes() {
    let mut world = World::new();
    world.says("jane", ADD_ANN);
    world.says("jane", "/room create \"Ann\" +4915112345678");
    world.in_room("Ann").says("jane", "Hello");
    assert_eq!(world.state_of("Hello"), "held(consent)");
    world.client(ANN).writes("Yes!");
    assert_eq!(world.state_of("Hello"), "sent");
}

#[test]
fn s3_10_s4_43_not_on_whatsapp_is_told_with_the_offer_of_sms() {
    story(expect![[r#"
        d1 09:00 trouble 131026
        d1 09:00 jane: /contact add Ann Lee phone=+4915112345678 email=ann@lee.de channel=whatsapp --room
                 -> room Ann Lee
                 -> Ann Lee: room_opened
                 -> Ann Lee: not_on_whatsapp(131026)
                 -> jane: answer contact-added
        d1 09:01 jane in Ann Lee: Hello
                 -> Ann Lee: refusal(address)
        d1 09:02 jane: /optin send Ann Lee
                 -> jane: not_on_whatsapp(not-on-whatsapp)
        d1 09:03 jane presses sms-no
                 -> jane: info nothing-done
        d1 09:04 jane: /template send follow_up to=Ann
                 -> jane: not_on_whatsapp(not-on-whatsapp)
        d1 09:05 jane presses sms-no
                 -> jane: info nothing-done
    "#]]);
}

#[test]
fn s3_10_by_a_status_as_well() {
    let mut world = World::invited(|_| {});
    world.in_room("Ann Lee").says("jane", "Hello");
    let invitation = world.sends[0].clone();
    let failed = Delivery::Failed { code: "131026".to_owned(), detail: String::new(), of_line: false };
    world.reports_on(&invitation, failed, world.now);
    assert_eq!(world.contact(ANN).status(Channel::WhatsApp), "UNAVAILABLE");
    assert_eq!(world.state_of("Hello"), "withdrawn(address)");
    assert!(world.told("Ann Lee").contains(&"not_on_whatsapp(131026)".to_owned()));
    world.client(ANN).writes("yes");
    assert!(world.consent(ANN).is_opted_in(), "the state before, then the words count");
}

#[test]
fn s3_10_131026_after_something_was_exchanged_is_only_a_failure() {
    let mut world = World::agreed(|_| {});
    world.troubles.push_back(Trouble::Fails("131026"));
    world.in_room("Ann Lee").says("jane", "Hello");
    assert_eq!(world.last_told("Ann Lee"), "failed(131026)");
    assert!(world.consent(ANN).is_opted_in());
    assert_eq!(world.state_of("Hello"), "failed(131026)");
}

#[test]
fn s3_11_the_buttons_of_an_offer_that_came_with_a_refusal_work() {
    let mut world = World::new();
    world.troubles.push_back(Trouble::Fails("131026"));
    world.says("jane", &format!("{ADD_ANN} --room"));
    assert_eq!(world.says("jane", "/optin send Ann Lee"), ["not_on_whatsapp(not-on-whatsapp)"]);
    assert_eq!(world.presses("jane", "sms-no"), ["info nothing-done"]);
}

#[test]
fn s3_13_s3_14_s3_15_yes_is_told_to_both_and_what_was_held_follows() {
    let mut world = World::invited(|_| {});
    world.in_room("Ann Lee").says("jane", "one");
    world.in_room("Ann Lee").says("jane", "two");
    assert_eq!(world.client(ANN).taps("consent:yes"), ["welcome", "one", "two"]);
    assert!(world.told("Ann Lee").contains(&"consent_yes".to_owned()));
}

#[test]
fn s3_13_s3_16_the_advisors_on_every_line_of_the_channel_are_told() {
    let mut world = World::agreed(|policy| {
        policy.rooms_per_line = liaison::domain::policy::RoomsPerLine::One;
        policy.lines.push(line("200", "+15550783882"));
    });
    world.says("bob", "/contact add Anna Lea phone=+4915112345678 email=ann@lee.de --room");
    world.client(ANN).writes("stop");
    assert_eq!(world.last_told("Ann Lee"), "consent_no");
    assert_eq!(world.last_told("Anna Lea"), "consent_no");
}

#[test]
fn s3_16_s3_19_no_and_yes_again() {
    let world = World::agreed(|_| {});
    story_in(
        world,
        expect![[r#"
            d1 10:00 +4915112345678: Stop.
                     -> Ann Lee: consent_no
                     -> whatsapp +4915112345678: opted_out
            d1 10:01 jane in Ann Lee: One more thing
                     -> Ann Lee: refusal(consent)
            d1 10:02 +4915112345678: What is new?
                     -> Ann Lee: client_message Ann Lee: What is new?
            d1 10:03 jane: /optin send Ann Lee
                     -> jane: refusal(opted-out)
            d1 10:04 jane: /optin resend Ann Lee
                     -> jane: refusal(opted-out)
            d1 10:05 jane: /template send follow_up to="Ann Lee"
                     -> jane: refusal(opted-out)
            d1 10:06 +4915112345678: YES
                     -> Ann Lee: consent_yes
                     -> whatsapp +4915112345678: opted_in
            d1 10:07 jane in Ann Lee: Good to have you back.
                     -> whatsapp +4915112345678: Good to have you back.
        "#]],
    );
}

#[test]
fn s3_17_s4_45_texts_and_templates_are_refused_after_a_no() {
    let mut world = World::agreed(|_| {});
    world.client(ANN).writes("stop");
    assert_eq!(world.in_room("Ann Lee").says("jane", "Hello"), ["refusal(consent)"]);
    assert_eq!(world.says("jane", "/template send follow_up to=\"Ann Lee\""), ["refusal(opted-out)"]);
    assert_eq!(world.messages(), []);
}

#[test]
fn s3_17_send_again_too_early_is_refused_and_works_after_the_later_yes() {
    let mut world = World::invited(|_| {});
    world.in_room("Ann Lee").says("jane", "Are you there?");
    world.client(ANN).writes("stop");
    let card = world.posts.iter().rfind(|post| post.reply.template == "withdrawn").unwrap().clone();
    for _ in 0..2 {
        assert_eq!(world.presses_on(&card, "jane", "send-again"), ["refusal(consent)"]);
        let reply = world.last_reply("Ann Lee");
        let said = |name: &str| reply.vars[name].as_str().unwrap().to_owned();
        assert_eq!((said("name").as_str(), said("channel").as_str()), ("Ann Lee", "WhatsApp"));
    }
    world.passes(Span::minutes(1));
    world.client(ANN).writes("yes");
    assert_eq!(world.presses_on(&card, "jane", "send-again"), ["info sent-again"]);
    assert_eq!(world.presses_on(&card, "jane", "send-again"), ["info sent-again"], "and now it is answered");
    assert_eq!(world.sent_to(ANN).iter().filter(|text| *text == "Are you there?").count(), 1);
}

#[test]
fn s3_18_the_confirmation_of_a_stop_goes_only_if_the_window_lets_it() {
    let mut world = World::agreed(|_| {});
    world.passes(Span::days(3));
    let late = world.now - Span::days(2);
    assert_eq!(world.client(ANN).at(late).writes("stop"), [""; 0]);
    assert!(world.consent(ANN).is_opted_out());
}

#[test]
fn s3_20_s3_21_a_new_request_every_24_hours_and_not_earlier() {
    let mut world = World::invited(|_| {});
    world.now = MIDNIGHT + Span::hours(33) - Span(1);
    assert_eq!(world.says("jane", "/optin resend Ann Lee"), ["refusal(pending-until)"]);
    assert_eq!(world.last_reply("jane").vars["until"], (MIDNIGHT + Span::hours(33)).0);
    world.now = MIDNIGHT + Span::hours(33);
    assert_eq!(world.says("jane", "/optin resend Ann Lee"), ["answer invitation-sent"]);
    assert_eq!(world.says("jane", "/optin resend Ann Lee"), ["refusal(pending-until)"]);
    assert_eq!(world.sent_to(ANN), ["<liaison_invitation>", "<liaison_invitation>"]);
}

#[test]
fn s3_21_two_advisors_confirm_and_the_client_is_asked_once() {
    let mut world = World::new();
    world.client(ANN).writes("Hello");
    world.in_room(ANN).says("jane", "Good morning");
    let card = world.question();
    world.says("bob", ADD_ANN);
    world.says("bob", "/optin send Ann Lee");
    world.presses("bob", "confirm");
    assert_eq!(world.presses_on(&card, "jane", "confirm"), ["info consent-stands"]);
    assert_eq!(world.sent_to(ANN), ["welcome", "<liaison_invitation>"]);
}

#[test]
fn a_request_that_failed_was_no_request() {
    let mut world = World::new();
    world.troubles.push_back(Trouble::Fails("132001"));
    world.says("jane", &format!("{ADD_ANN} --room"));
    assert_eq!(world.consent(ANN), Consent::None);
    assert!(world.told("Ann Lee").contains(&"failed(132001)".to_owned()));
    world.says("jane", "/optin send Ann Lee");
    world.presses("jane", "confirm");
    assert_eq!(world.sent_to(ANN), ["<liaison_invitation>"]);
}

#[test]
fn a_later_yes_is_answered_otherwise_than_the_first() {
    let mut world = World::invited(|_| {});
    assert_eq!(world.client(ANN).writes("yes"), ["welcome"]);
    world.passes(Span::minutes(1));
    world.client(ANN).writes("stop");
    world.passes(Span::minutes(1));
    assert_eq!(world.client(ANN).writes("yes"), ["opted_in"]);
}

#[test]
fn a_yes_where_no_arrow_is_is_ordinary_text() {
    let mut world = World::agreed(|_| {});
    assert_eq!(world.client(ANN).writes("yes"), [""; 0]);
    assert_eq!(world.last_told("Ann Lee"), "client_message Ann Lee: yes");
    let mut world = World::new();
    world.client(BEN).writes("yes");
    assert_eq!(world.consent(BEN), Consent::None, "nobody asked");
}

#[test]
fn invariant_2_a_stop_withdraws_what_is_held_and_what_is_due() {
    let mut world = World::agreed(|_| {});
    world.outbox_stands = true;
    world.in_room("Ann Lee").says("jane", "due");
    world.says("jane", "/template send follow_up to=\"Ann Lee\"");
    world.presses("jane", "confirm");
    world.now = world.now + Span::days(2);
    world.in_room("Ann Lee").says("jane", "held");
    world.client(ANN).writes("stop");
    world.outbox_stands = false;
    world.passes(Span::days(1));
    let states: Vec<String> = world.messages().into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, ["withdrawn(consent)", "withdrawn(consent)", "withdrawn(consent)"]);
    assert_eq!(world.sent_to(ANN), ["<liaison_invitation>", "welcome", "opted_out"]);
    assert!(world.told("Ann Lee").contains(&"withdrawn(consent)".to_owned()), "the author is told");
    assert!(world.all::<liaison::domain::lane::Lane>("lane/").iter().all(|lane| lane.held.is_empty()));
}

#[test]
fn invariant_2_a_stop_between_accept_and_take() {
    let mut world = World::agreed(|_| {});
    world.outbox_stands = true;
    world.in_room("Ann Lee").says("jane", "due");
    world.set_consent(ANN, Consent::OptedOut { at: world.now });
    world.outbox_stands = false;
    world.work_off();
    assert_eq!(world.state_of("due"), "withdrawn(consent)");
    assert_eq!(world.last_told("Ann Lee"), "withdrawn(consent)");
}

#[test]
fn invariant_2_a_stop_while_a_message_is_on_its_way_stops_its_next_attempt() {
    let mut world = World::agreed(|_| {});
    world.troubles.push_back(Trouble::NotYet(Span::minutes(1)));
    world.in_room("Ann Lee").says("jane", "throttled");
    world.client(ANN).writes("stop");
    world.passes(Span::hours(1));
    assert_eq!(world.state_of("throttled"), "withdrawn(consent)");
    assert!(!world.sent_to(ANN).contains(&"throttled".to_owned()));
}

#[test]
fn a_possible_stop_holds_and_is_cleared() {
    let world = World::agreed(|_| {});
    story_in(
        world,
        expect![[r#"
            d1 10:00 +4915112345678: Please stop texting me
                     -> Ann Lee: consent_review
                     -> Ann Lee: client_message Ann Lee: Please stop texting me
            d1 10:01 jane in Ann Lee: Do you mean it?
                     -> Ann Lee: held(consent)
            d1 10:02 jane presses review-clear
                     -> Ann Lee: released
                     -> Ann Lee: info review-ended
                     -> whatsapp +4915112345678: Do you mean it?
        "#]],
    );
}

#[test]
fn a_possible_stop_is_confirmed() {
    let mut world = World::agreed(|_| {});
    world.client(ANN).writes("Please stop texting me");
    let card = world.question();
    world.in_room("Ann Lee").says("jane", "held in review");
    world.presses_on(&card, "jane", "review-stop");
    assert!(world.consent(ANN).is_opted_out());
    assert_eq!(world.state_of("held in review"), "withdrawn(consent)");
    assert_eq!(world.sent_to(ANN).last().unwrap(), "opted_out");
}

#[test]
fn a_possible_stop_that_nobody_clears_is_a_stop_after_24_hours() {
    let mut world = World::agreed(|_| {});
    world.client(ANN).writes("Please stop texting me");
    world.in_room("Ann Lee").says("jane", "held in review");
    world.passes(Span(Span::hours(24).0 - 1));
    assert_eq!(world.consent(ANN).name(), "REVIEW");
    world.passes(Span(1));
    assert_eq!(world.consent(ANN).name(), "OPTED_OUT");
    assert_eq!(world.state_of("held in review"), "withdrawn(consent)");
    assert_eq!(world.last_told("Ann Lee"), "consent_no");
}

#[test]
fn a_yes_or_a_stop_ends_a_review() {
    for (word, state) in [("yes", "OPTED_IN"), ("stop", "OPTED_OUT")] {
        let mut world = World::agreed(|_| {});
        world.client(ANN).writes("Please stop texting me");
        world.passes(Span::minutes(5));
        world.client(ANN).writes(word);
        assert_eq!(world.consent(ANN).name(), state);
        world.passes(Span::days(2));
        assert_eq!(world.consent(ANN).name(), state, "no late end of the review");
    }
}

#[test]
fn sentences_that_only_look_like_a_stop_are_relayed() {
    for text in ["The end of the month", "I'll stop by at 5", "cancel my 3 pm meeting"] {
        let mut world = World::agreed(|_| {});
        world.client(ANN).writes(text);
        assert!(world.consent(ANN).is_opted_in(), "{text}");
        assert_eq!(world.last_told("Ann Lee"), format!("client_message Ann Lee: {text}"));
    }
}

#[test]
fn the_latest_provider_time_wins_and_on_equal_times_stop() {
    let mut world = World::agreed(|_| {});
    let agreed = world.consent(ANN).since().unwrap();
    world.client(ANN).at(agreed - Span(1)).writes("stop");
    assert!(world.consent(ANN).is_opted_in(), "an older stop never undoes a newer yes");
    assert!(world.kinds().contains(&"consent.late_stop"), "and is kept");
    world.client(ANN).at(agreed - Span(1)).writes("please stop texting me");
    assert!(world.consent(ANN).is_opted_in(), "nor does an older possible stop");
    world.client(ANN).at(agreed).writes("stop");
    assert!(world.consent(ANN).is_opted_out());
    world.client(ANN).at(agreed).writes("yes");
    assert!(world.consent(ANN).is_opted_out());
    world.client(ANN).at(agreed + Span(1)).writes("yes");
    assert!(world.consent(ANN).is_opted_in());
}

#[test]
fn a_second_stop_is_no_second_confirmation_but_moves_the_time() {
    let mut world = World::agreed(|_| {});
    let start = world.now;
    world.passes(Span::minutes(30));
    assert_eq!(world.client(ANN).at(start).writes("stop"), ["opted_out"]);
    assert_eq!(world.client(ANN).at(start + Span::minutes(10)).writes("stop"), [""; 0]);
    assert_eq!(world.client(ANN).at(start + Span::minutes(5)).writes("yes"), [""; 0], "it lies before the second stop");
    assert!(world.consent(ANN).is_opted_out());
}

#[test]
fn free_text_while_opted_out_is_relayed_and_nothing_is_sent() {
    let mut world = World::agreed(|_| {});
    world.client(ANN).writes("stop");
    assert_eq!(world.client(ANN).writes("By the way"), [""; 0]);
    assert_eq!(world.last_told("Ann Lee"), "client_message Ann Lee: By the way");
}

#[test]
fn free_text_while_pending_is_answered_with_the_question_once_in_24_hours() {
    let mut world = World::invited(|_| {});
    assert_eq!(world.client(ANN).writes("Who are you?"), ["[liaison_invitation]"]);
    assert!(matches!(world.sends.last().unwrap().body, Body::Question { .. }));
    assert_eq!(world.last_told("Ann Lee"), "client_message Ann Lee: Who are you?");
    assert_eq!(world.consent(ANN).name(), "PENDING");
    world.passes(Span::hours(23));
    assert_eq!(world.client(ANN).writes("Hello?"), [""; 0]);
    world.passes(Span::hours(1));
    assert_eq!(world.says("jane", "/optin resend Ann Lee"), ["answer invitation-sent"], "the question does not count for it");
    assert_eq!(world.client(ANN).writes("Me again"), ["[liaison_invitation]"], "the first after a new request");
    assert_eq!(world.client(ANN).taps("consent:yes"), ["welcome"]);
}

#[test]
fn c5_any_reply_counts_where_the_firm_chose_so() {
    let any = || World::invited(|policy| policy.whatsapp_consent = ConsentRule::AnyReply);
    let mut world = any();
    world.in_room("Ann Lee").says("jane", "Hello");
    assert_eq!(world.client(ANN).writes("Who are you?"), ["welcome", "Hello"]);
    assert!(world.told("Ann Lee").contains(&"client_message Ann Lee: Who are you?".to_owned()), "and it is relayed");
    let mut world = any();
    world.client(ANN).writes("stop");
    assert!(world.consent(ANN).is_opted_out());
    let mut world = any();
    world.client(ANN).writes("please stop texting me");
    assert_eq!(world.consent(ANN).name(), "REVIEW");
    let mut world = World::with(|policy| policy.whatsapp_consent = ConsentRule::AnyReply);
    world.client(BEN).writes("hello");
    assert_eq!(world.consent(BEN), Consent::None, "an answer needs a question");
    world.client(BEN).writes("yes");
    assert!(world.consent(BEN).is_opted_in(), "a yes does not");
}

#[test]
fn stop_scope_all_stops_every_channel() {
    for (scope, sms) in [(StopScope::Channel, false), (StopScope::All, true)] {
        let mut world = World::agreed(|policy| policy.stop_scope = scope);
        let mut contact = world.contact(ANN);
        contact.on_mut(Channel::Sms).consent = Consent::OptedIn { at: MIDNIGHT };
        world.put(&contact);
        world.client(ANN).writes("stop");
        assert_eq!(world.contact(ANN).consent(Channel::Sms).is_opted_out(), sms, "{scope:?}");
        assert_eq!(world.sent_to(ANN).iter().filter(|text| *text == "opted_out").count(), 1);
    }
}

#[test]
fn c7_after_a_no_no_advisor_can_reopen() {
    let mut world = World::agreed(|_| {});
    world.client(ANN).writes("stop");
    world.passes(Span::days(30));
    let before = world.records();
    for command in ["/optin send Ann Lee", "/optin resend Ann Lee", "/room create \"Again\" +4915112345678"] {
        assert_eq!(world.says("jane", command), ["refusal(opted-out)"], "{command}");
    }
    assert_eq!(world.says("bob", &format!("{ADD_ANN} --room")), ["refusal(opted-out)"]);
    assert_eq!(world.records(), before);
}

#[test]
fn c3_consent_comes_before_the_window() {
    let mut world = World::agreed(|_| {});
    world.client(ANN).writes("stop");
    world.passes(Span::days(2));
    assert_eq!(world.in_room("Ann Lee").says("jane", "Hello"), ["refusal(consent)"], "not held for the window");
    assert_eq!(world.says("jane", "/template send follow_up to=\"Ann Lee\""), ["refusal(opted-out)"]);
}

#[test]
fn a_stop_of_a_blocked_contact_is_heard_and_nothing_is_relayed() {
    let mut world = World::agreed(|_| {});
    let mut contact = world.contact(ANN);
    contact.blocked = Some("spam".to_owned());
    world.put(&contact);
    let told = world.told("Ann Lee").len();
    world.client(ANN).writes("hello");
    assert_eq!(world.told("Ann Lee").len(), told);
    assert_eq!(world.client(ANN).writes("stop"), [""; 0]);
    assert!(world.consent(ANN).is_opted_out());
    let reply = world.last_reply("Ann Lee");
    assert_eq!((reply.template.as_str(), &reply.vars["blocked"]), ("consent-no", &serde_json::json!(true)));
}
