//! S0: who may do what, contacts, rooms, and what a client gets before he has answered.
use crate::common::story::{story, story_in};
use crate::common::world::*;
use expect_test::expect;
use liaison::domain::case::Record;
use liaison::domain::consent::Consent;
use liaison::domain::effect::{Body, Effect};
use liaison::domain::entitlement::{Permission, Rights};
use liaison::domain::event::{Fact, StreamKind};
use liaison::domain::ids::{Channel, ChatMessageId, StreamId, UserId};
use liaison::domain::lane::Due;
use liaison::domain::policy::RoomsPerLine;
use liaison::domain::time::Span;
use serde_json::json;

#[test]
fn s0_1_without_rights_each_command_is_refused_and_changes_nothing() {
    let commands = [
        ADD_ANN,
        "/contact add Ann Lee phone=+4915112345678 email=ann@lee.de --room",
        "/optin send Ann Lee",
        "/optin resend Ann Lee",
        "/room create \"Ann Lee\" +4915112345678",
        "/template list",
        "/template show follow_up",
        "/template send follow_up to=\"Ann Lee\"",
    ];
    let mut world = World::agreed(|_| {});
    let (before, sent) = (world.records(), world.sends.len());
    for command in commands {
        assert_eq!(world.says("nina", command), ["refusal(not-entitled)"], "{command}");
    }
    assert_eq!(world.records(), before);
    assert_eq!(world.sends.len(), sent);
}

#[test]
fn s0_1_the_permission_that_is_missing_is_named() {
    let mut world = World::new();
    let before = world.records();
    assert_eq!(world.says("carl", ADD_ANN), ["refusal(no-permission)"]);
    assert_eq!(world.last_reply("carl").vars["permission"], "contact.create");
    assert_eq!(world.records(), before);
}

#[test]
fn s0_5_s0_7_a_room_with_the_contact_needs_the_permission_for_rooms_too() {
    let mut world = World::with(|policy| {
        let jane = policy.advisors.get_mut("jane.doe@acme.com").unwrap();
        jane.channels.values_mut().for_each(|held| held.retain(|permission| permission.name() != "room.create"));
    });
    let before = world.records();
    assert_eq!(world.says("jane", &format!("{ADD_ANN} --room")), ["refusal(no-permission)"]);
    assert_eq!(world.last_reply("jane").vars["permission"], "room.create");
    assert_eq!(world.records(), before, "nothing at all");
    assert_eq!(world.says("jane", ADD_ANN), ["answer contact-added"]);
    assert_eq!(world.says("jane", "/room create \"Ann\" +4915112345678"), ["refusal(no-permission)"]);
}

#[test]
fn s0_4_a_contact_of_a_colleague_is_no_such_contact() {
    let mut world = World::new();
    world.says("bob", ADD_ANN);
    for named in ["Ann Lee", ANN, "ann@lee.de"] {
        let told = world.says("jane", &format!("/optin send {named}"));
        assert_eq!(told[0], "refusal(no-such-contact)", "{named}");
    }
    assert_eq!(world.says("bob", "/optin send Ann Lee"), ["confirm confirm-invitation"]);
}

#[test]
fn s0_8_no_conversation_before_there_is_a_room() {
    let mut world = World::new();
    world.says("jane", ADD_ANN);
    assert_eq!(world.says("jane", "Good morning Ann."), ["info no-command"]);
    assert_eq!(world.sent_to(ANN), [""; 0]);
}

#[test]
fn s0_9_connections_of_people_with_rights_are_accepted_and_others_stay_pending() {
    let mut world = World::new();
    world.feed(Fact::ConnectionRequested { by: person("jane") });
    world.feed(Fact::ConnectionRequested { by: person("nina") });
    world.work_off();
    assert_eq!(world.members, [Effect::AcceptConnection { user: UserId(1) }]);
    assert_eq!(world.told("jane"), ["info connected"]);
    assert_eq!(world.told("nina"), [""; 0]);
}

#[test]
fn s0_12_s0_14_a_designated_user_onboards_for_another_and_both_are_recorded() {
    let mut world = World::new();
    world.says("olga", &format!("{ADD_ANN} for=@jane.doe@acme.com --room"));
    let contact = world.contact(ANN);
    assert_eq!((contact.created_by.as_str(), contact.requestor), ("olga@acme.com", Some(UserId(1))));
    assert!(world.listing("jane", ANN).is_some() && world.listing("olga", ANN).is_none());
    assert_eq!(world.room("Ann Lee").owner(), Some(UserId(1)));
    assert!(!world.room("Ann Lee").members.contains_key(&UserId(4)), "the onboarder does not read along");
    assert_eq!(world.last_told("olga"), "answer contact-added");
}

#[test]
fn s0_13_nobody_else_onboards_for_another() {
    let mut world = World::new();
    let before = world.records();
    assert_eq!(world.says("jane", &format!("{ADD_ANN} for=@bob.ray@acme.com")), ["refusal(no-permission)"]);
    assert_eq!(world.says("olga", &format!("{ADD_ANN} for=@nina@acme.com")), ["refusal(requestor-not-entitled)"]);
    assert_eq!(world.says("olga", &format!("{ADD_ANN} for=@stranger@acme.com")), ["refusal(requestor-not-entitled)"]);
    assert_eq!(world.records(), before);
}

#[test]
fn s0_15_where_onboarding_is_central_advisors_chat_and_do_not_onboard() {
    let mut world = World::new();
    assert_eq!(world.says("carl", ADD_ANN), ["refusal(no-permission)"]);
    world.says("olga", &format!("{ADD_ANN} for=@carl@acme.com --room"));
    world.client(ANN).taps("consent:yes");
    world.in_room("Ann Lee").says("carl", "Good morning");
    assert_eq!(world.sent_to(ANN), ["<liaison_invitation>", "welcome", "Good morning"]);
}

#[test]
fn s0_12_s0_15_the_onboarder_sees_and_invites_whom_he_onboarded_and_nothing_more() {
    let mut world = World::new();
    world.says("olga", &format!("{ADD_ANN} for=@carl@acme.com"));
    let id = world.contact(ANN).id;
    assert_eq!(world.says("olga", &format!("/contact show {id}")), ["answer contact-card"]);
    assert_eq!(world.last_reply("olga").vars["name"], "Ann Lee");
    for more in ["/contact edit {} first=Anna", "/contact remove {}", "/room create \"Ann\" {}", "/sent {}", "/why {}", "/sms {}"]
    {
        let told = world.says("olga", &more.replace("{}", id.as_str()));
        assert_eq!(told.first().map(String::as_str), Some("refusal(no-such-contact)"), "{more}");
    }
    world.says("olga", &format!("/optin send {id}"));
    assert_eq!(world.presses("olga", "confirm"), ["answer invitation-sent"]);
    assert_eq!(world.sent_to(ANN), ["<liaison_invitation>"]);
    let Body::Template { vars, .. } = &world.sends.last().unwrap().body else { panic!("a template") };
    assert_eq!(vars["advisor.name"], "Carl Central", "the client reads who will write");
    world.client(ANN).taps("consent:yes");
    assert!(world.told("Ann Lee").contains(&"consent_yes".to_owned()));
    assert_eq!(world.room("Ann Lee").owner(), Some(UserId(5)));
    assert!(!world.room("Ann Lee").members.contains_key(&UserId(4)), "the onboarder does not read along");
    world.says("jane", &format!("/contact show {id}"));
    assert_eq!(world.last_told("jane"), "refusal(no-such-contact)", "nobody else's");
    world.revoke("olga");
    assert_eq!(world.says("olga", &format!("/contact show {id}")), ["refusal(not-entitled)"]);
}

#[test]
fn s0_12_whom_a_colleague_shared_is_not_onboarded_by_him() {
    let mut world = World::agreed(|policy| {
        let rights =
            Rights::new("jane.doe@acme.com", &Channel::ALL, &Permission::parse_many("onboarder").unwrap(), "Private Clients");
        policy.advisors.insert(rights.email.clone(), rights);
    });
    world.says("jane", "/contact share Ann Lee @bob.ray@acme.com");
    world.presses("jane", "confirm");
    world.says("jane", "/contact remove Ann Lee");
    world.presses("jane", "confirm");
    assert_eq!(world.says("jane", &format!("/contact show {}", world.contact(ANN).id)), ["refusal(no-such-contact)"]);
}

#[test]
fn s0_17_a_room_can_be_had_later_by_the_same_line() {
    let mut world = World::new();
    let line = format!("{ADD_ANN} for=@carl@acme.com");
    world.says("olga", &line);
    assert_eq!(world.says("olga", &line), ["refusal(already-yours)"]);
    assert!(!world.last_reply("olga").vars.contains_key("room"));
    let renamed = line.replace("Ann Lee", "Anna L");
    world.says("olga", &format!("{renamed} --room"));
    assert_eq!(world.last_told("olga"), "answer contact-added");
    assert_eq!(world.last_reply("olga").vars["was_listed"], true);
    assert_eq!(world.room("Ann Lee").owner(), Some(UserId(5)), "under the name that he has on that list");
    assert_eq!(world.listing("carl", ANN).unwrap().first, "Ann");
    assert_eq!(world.sent_to(ANN), ["<liaison_invitation>"]);
    assert_eq!(world.says("olga", &format!("{line} --room")), ["refusal(already-yours)"]);
    assert_eq!(world.last_reply("olga").vars["room"], "Ann Lee", "there is one already");
    assert_eq!(world.rooms().len(), 1);
}

#[test]
fn s0_16_colleagues_without_a_room_are_refused() {
    let mut world = World::new();
    let before = world.records();
    assert_eq!(world.says("jane", &format!("{ADD_ANN} advisors=@bob.ray@acme.com")), ["refusal(bad-argument)"]);
    assert_eq!(world.last_reply("jane").vars["argument"], "advisors");
    assert_eq!(world.records(), before);
}

#[test]
fn s0_5_s0_7_a_next_step_for_which_the_permission_lacks_is_not_offered() {
    let mut world = World::new();
    world.says("olga", &format!("{ADD_ANN} for=@carl@acme.com"));
    world.says("carl", "/optin send Ann Lee");
    world.presses("carl", "confirm");
    assert_eq!(world.last_reply("carl").vars["lacks"], json!(["contact.create", "room.create"]));
    world.says("carl", "/contact show Ann Lee");
    assert_eq!(world.last_reply("carl").vars["lacks"], json!(["contact.create", "room.create"]));
    world.says("jane", ADD_ANN);
    assert!(!world.last_reply("jane").vars.contains_key("lacks"), "she has all of them");
    world.says("carl", "/help");
    assert_eq!(world.last_reply("carl").vars["example"], "contact list", "one that he may use");
}

#[test]
fn s0_16_s0_18_contact_room_owner_invitation_and_one_answer() {
    story(expect![[r#"
        d1 09:00 jane: /contact add Ann Lee phone=+4915112345678 email=ann@lee.de channel=whatsapp --room
                 -> room Ann Lee
                 -> Ann Lee: room_opened
                 -> whatsapp +4915112345678: <liaison_invitation>
                 -> jane: answer contact-added
    "#]]);
}

#[test]
fn s0_17_without_room_a_contact_and_nothing_else() {
    let mut world = World::new();
    assert_eq!(world.says("jane", ADD_ANN), ["answer contact-added"]);
    assert!(world.rooms().is_empty());
    assert_eq!(world.sent_to(ANN), [""; 0]);
}

#[test]
fn s0_18_the_answer_waits_for_the_room_and_says_after_30_s_that_work_goes_on() {
    let mut world = World::new();
    world.no_rooms = true;
    assert_eq!(world.says("jane", &format!("{ADD_ANN} --room")), [""; 0]);
    world.passes(Span::seconds(29));
    assert_eq!(world.told("jane"), [""; 0]);
    world.passes(Span::seconds(1));
    assert_eq!(world.told("jane"), ["info still-working"]);
    world.no_rooms = false;
    world.passes(Span::minutes(5));
    assert_eq!(world.told("jane"), ["info still-working", "answer contact-added"]);
    assert_eq!(world.sent_to(ANN), ["<liaison_invitation>"]);
}

#[test]
fn s0_18_the_answer_comes_also_when_the_client_stops_before_the_invitation_left() {
    let mut world = World::new();
    world.outbox_stands = true;
    world.says("jane", &format!("{ADD_ANN} --room"));
    world.client(ANN).writes("stop");
    assert_eq!(world.last_told("jane"), "answer contact-added");
    assert_eq!(world.last_reply("jane").vars["consent"], "OPTED_OUT");
}

#[test]
fn s0_18_the_answer_comes_also_when_the_end_of_the_invitation_is_unheard() {
    let mut world = World::new();
    world.troubles.push_back(Trouble::UnknownAndLost);
    world.says("jane", &format!("{ADD_ANN} --room"));
    assert_eq!(world.told("jane"), [""; 0]);
    world.passes(Span::minutes(2));
    assert_eq!(world.told("jane"), ["info still-working", "answer contact-added"]);
}

#[test]
fn s0_19_s0_26_held_messages_go_out_in_order_when_the_client_answers() {
    story(expect![[r#"
        d1 09:00 jane: /contact add Ann Lee phone=+4915112345678 email=ann@lee.de channel=whatsapp --room
                 -> room Ann Lee
                 -> Ann Lee: room_opened
                 -> whatsapp +4915112345678: <liaison_invitation>
                 -> jane: answer contact-added
        d1 09:01 jane in Ann Lee: Good morning Ann.
                 -> Ann Lee: held(consent)
                 -> whatsapp +4915112345678: <liaison_message_waiting>
        d1 09:02 jane in Ann Lee: Are you there?
                 -> Ann Lee: held(consent)
        d1 09:05 +4915112345678 taps consent:yes
                 -> Ann Lee: consent_yes
                 -> Ann Lee: released
                 -> whatsapp +4915112345678: welcome
                 -> whatsapp +4915112345678: Good morning Ann.
                 -> whatsapp +4915112345678: Are you there?
        d1 09:06 jane in Ann Lee: Welcome.
                 -> whatsapp +4915112345678: Welcome.
    "#]]);
}

#[test]
fn s0_20_s0_27_silence_is_measured_on_the_clients_messages_only() {
    let world = World::agreed(|_| {});
    story_in(
        world,
        expect![[r#"
            d1 20:00 jane in Ann Lee: Before the night.
                     -> whatsapp +4915112345678: Before the night.
            d2 08:59 jane in Ann Lee: One minute before the end.
                     -> whatsapp +4915112345678: One minute before the end.
            d2 09:00 jane in Ann Lee: Too late.
                     -> Ann Lee: held(window)
                     -> whatsapp +4915112345678: <liaison_message_waiting>
            d2 09:02 jane in Ann Lee: And later.
                     -> Ann Lee: held(window)
            d2 12:00 +4915112345678: Here I am.
                     -> Ann Lee: client_message Ann Lee: Here I am.
                     -> Ann Lee: released
                     -> whatsapp +4915112345678: Too late.
                     -> whatsapp +4915112345678: And later.
            d3 11:59 jane in Ann Lee: The next silence.
                     -> Ann Lee: held(window)
                     -> whatsapp +4915112345678: <liaison_message_waiting>
            d3 12:00 jane in Ann Lee: Goes on.
                     -> Ann Lee: held(window)
            d3 13:00 +4915112345678: Yes?
                     -> Ann Lee: client_message Ann Lee: Yes?
                     -> Ann Lee: released
                     -> whatsapp +4915112345678: The next silence.
                     -> whatsapp +4915112345678: Goes on.
        "#]],
    );
}

#[test]
fn s0_21_s0_22_before_the_answer_nothing_leaves_and_the_advisor_is_told() {
    let mut world = World::invited(|_| {});
    assert_eq!(world.in_room("Ann Lee").says("jane", "Hello"), ["held(consent)"]);
    world.passes(Span::days(3));
    assert!(!world.sent_to(ANN).contains(&"Hello".to_owned()));
}

#[test]
fn s0_23_what_is_written_before_the_answer_is_held_not_refused() {
    let mut world = World::invited(|_| {});
    world.in_room("Ann Lee").says("jane", "Hello");
    assert_eq!(world.messages(), [("Hello".to_owned(), "held(consent)".to_owned())]);
}

#[test]
fn s0_24_waiting_notice_follows_the_invitation_once_per_silence() {
    let mut world = World::invited(|_| {});
    for text in ["one", "two", "three"] {
        world.in_room("Ann Lee").says("jane", text);
    }
    world.passes(Span::days(2));
    world.says("jane", "/optin resend Ann Lee");
    world.in_room("Ann Lee").says("jane", "four");
    assert_eq!(world.sent_to(ANN), ["<liaison_invitation>", "<liaison_message_waiting>", "<liaison_invitation>"]);
}

#[test]
fn s0_24_a_notice_on_its_way_falls_when_the_client_writes_or_nothing_waits_any_more() {
    let held = || {
        let mut world = World::agreed(|_| {});
        world.passes(Span::days(2));
        world.outbox_stands = true;
        world.in_room("Ann Lee").says("jane", "Are you there?");
        world
    };
    let goes_on = |world: &mut World| {
        world.outbox_stands = false;
        world.work_off();
    };
    let notices = |world: &World| world.sent_to(ANN).iter().filter(|sent| *sent == "<liaison_message_waiting>").count();
    let mut world = held();
    world.client(ANN).writes("Hello?");
    goes_on(&mut world);
    assert_eq!((notices(&world), world.sent_to(ANN).last().unwrap().as_str()), (0, "Are you there?"));
    // The next silence has its own.
    world.passes(Span::days(2));
    world.in_room("Ann Lee").says("jane", "And now?");
    assert_eq!(notices(&world), 1);
    let mut world = held();
    let id = world.message("Are you there?").id;
    world.in_room("Ann Lee").says("jane", &format!("/queue cancel {id}"));
    goes_on(&mut world);
    assert_eq!(notices(&world), 0);
}

#[test]
fn s0_24_a_notice_that_never_left_is_sent_with_the_next_request() {
    let mut world = World::invited(|_| {});
    world.outbox_stands = true;
    world.in_room("Ann Lee").says("jane", "Hello");
    world.set_consent(ANN, liaison::domain::consent::Consent::None);
    world.outbox_stands = false;
    world.work_off();
    assert_eq!(world.sent_to(ANN), ["<liaison_invitation>"], "withdrawn, since nothing is asked any more");
    world.says("jane", "/optin send Ann Lee");
    world.presses("jane", "confirm");
    assert_eq!(world.sent_to(ANN), ["<liaison_invitation>", "<liaison_invitation>", "<liaison_message_waiting>"]);
}

#[test]
fn s0_24_messages_that_were_told_once_are_not_told_again() {
    let mut world = World::agreed(|policy| policy.held_expiry = Span::days(30));
    world.passes(Span::days(2));
    world.in_room("Ann Lee").says("jane", "told");
    assert_eq!(world.sent_to(ANN).last().unwrap(), "<liaison_message_waiting>");
    let told = world.sent_to(ANN).len();
    world.in_room("Ann Lee").says("jane", "in the same silence");
    assert_eq!(world.sent_to(ANN).len(), told);
}

#[test]
fn s0_24_the_notice_can_be_switched_off() {
    let mut world = World::invited(|policy| policy.waiting_notice = false);
    world.in_room("Ann Lee").says("jane", "Hello");
    assert_eq!(world.sent_to(ANN), ["<liaison_invitation>"]);
}

#[test]
fn s0_25_the_notice_carries_no_content() {
    let mut world = World::invited(|_| {});
    world.in_room("Ann Lee").says("jane", "a secret figure");
    let notice = world.sends.last().unwrap();
    assert!(!serde_json::to_string(&notice.body).unwrap().contains("secret"));
}

#[test]
fn s0_27_what_waits_after_a_quiet_night_is_told_when_it_is_over() {
    // Ann agreed at 10:01 of her clock: her window closes at 10:00, an hour before the firm may write again.
    let hours = liaison::domain::policy::QuietHours { open_from: 11 * 60, open_until: 22 * 60 };
    let mut world = World::agreed(|policy| policy.quiet_hours = Some(hours));
    world.passes(Span::hours(12));
    assert_eq!(world.in_room("Ann Lee").says("jane", "in the night"), ["held(quiet_hours)"]);
    let read = world.sent_to(ANN).len();
    world.passes(Span::hours(13));
    assert_eq!(world.sent_to(ANN)[read..], ["<liaison_message_waiting>"]);
    assert_eq!(world.state_of("in the night"), "held(window)");
}

#[test]
fn name_taken_keeps_the_contact_and_makes_no_room() {
    let mut world = World::new();
    world.says("jane", "/contact add Ben Fox phone=+4915112345699 email=ben@fox.de room=\"Clients\"");
    world.says("jane", &format!("{ADD_ANN} room=\"Clients\""));
    assert_eq!(world.last_told("jane"), "refusal(name-taken)");
    assert!(world.find_contact(ANN).is_some());
    assert_eq!(world.sent_to(ANN), [""; 0]);
    assert_eq!(world.rooms().iter().filter(|room| room.is_live()).count(), 1);
}

#[test]
fn a_default_name_that_is_taken_is_followed_by_the_short_id() {
    let mut world = World::new();
    world.says("jane", "/contact add Ann Lee phone=+4915112345699 email=ann@other.de --room");
    world.says("jane", &format!("{ADD_ANN} --room"));
    let name = format!("Ann Lee {}", world.contact(ANN).id);
    assert!(world.has_room(&name), "{name}");
    assert_eq!(world.last_reply("jane").vars["room"], name, "the answer calls it by the name that it has");
    world.says("jane", &format!("/contact show {ANN}"));
    assert_eq!(world.last_reply("jane").vars["rooms"], json!([{ "name": name, "channel": "WhatsApp" }]));
}

#[test]
fn rooms_that_share_line_and_contact_have_one_sub_organisation() {
    let mut world = World::agreed(|_| {});
    let before = world.rooms().len();
    assert_eq!(world.says("eve", &format!("{ADD_ANN} --room")), ["refusal(no-line-left)"]);
    assert_eq!(world.rooms().len(), before);
    world.says("bob", &format!("{ADD_ANN} --room"));
    assert_eq!(world.rooms().len(), before + 1, "a colleague of the same one may share it");
}

#[test]
fn rooms_per_line_one_takes_another_line_or_refuses() {
    let mut world = World::agreed(|policy| {
        policy.rooms_per_line = RoomsPerLine::One;
        policy.lines.push(line("200", "+15550783882"));
    });
    world.says("bob", &format!("{ADD_ANN} --room"));
    let mut lines: Vec<String> = world.rooms().iter().map(|room| room.line.0.clone()).collect();
    lines.sort();
    assert_eq!(lines, [LINE, "200"]);
    assert_eq!(world.says("bob", "/room create \"More\" +4915112345678"), ["refusal(no-line-left)"]);
    assert!(world.last_reply("bob").vars["room"].as_str().unwrap().starts_with("Ann Lee"), "the room that he has is named");
    world.says("olga", ADD_ANN);
    assert_eq!(world.says("olga", "/room create \"More\" +4915112345678"), ["confirm room-is-there"]);
    assert_eq!(world.last_reply("olga").vars["line_left"], false, "only joining is left");
    assert_eq!(world.says("olga", &format!("{ADD_ANN} --room")), ["refusal(no-line-left)"]);
}

#[test]
fn colleagues_named_in_the_command_must_be_able_to_take_part() {
    for (who, told) in [("@eve.fox@acme.com", "refusal(other-sub-org)"), ("@nina@acme.com", "refusal(not-enabled)")] {
        let mut world = World::new();
        let before = world.records();
        assert_eq!(world.says("jane", &format!("{ADD_ANN} advisors={who} --room")), [told], "{who}");
        assert_eq!(world.records(), before);
    }
    let mut world = World::new();
    world.says("jane", &format!("{ADD_ANN} advisors=@bob.ray@acme.com --room"));
    assert_eq!(world.room("Ann Lee").members.len(), 2);
}

#[test]
fn the_status_of_a_contact_follows_the_consent() {
    let mut world = World::invited(|_| {});
    assert_eq!(world.contact(ANN).status(Channel::WhatsApp), "PENDING_CONFIRMATION");
    world.client(ANN).writes("yes");
    assert_eq!(world.contact(ANN).status(Channel::WhatsApp), "CONFIRMED");
    world.passes(Span::minutes(1));
    world.client(ANN).writes("stop");
    assert_eq!(world.contact(ANN).status(Channel::WhatsApp), "CONFIRMED", "there is no way back; the consent tells the rest");
    let mut world = World::invited(|_| {});
    world.client(ANN).writes("stop");
    assert_eq!(world.contact(ANN).status(Channel::WhatsApp), "PENDING_CONFIRMATION", "never confirmed");
}

#[test]
fn the_channel_is_asked_for_where_there_are_two() {
    let line = ADD_ANN.replace(" channel=whatsapp", "");
    let mut world = World::with(direct_line);
    let before = world.records();
    assert_eq!(world.says("jane", &line), ["refusal(bad-argument)"]);
    let told = world.last_reply("jane").vars;
    assert_eq!((&told["argument"], &told["example"]), (&json!("channel"), &json!("channel=whatsapp")));
    assert_eq!(world.records(), before);

    assert_eq!(World::new().says("jane", &line), ["answer contact-added"], "the firm has only one");
    for (channel, listed) in [(Channel::WhatsApp, "WhatsApp"), (Channel::Sms, "SMS")] {
        let mut world = World::with(|policy| {
            direct_line(policy);
            let permissions = Permission::parse_many("advisor").unwrap();
            let rights = Rights::new("jane.doe@acme.com", &[channel], &permissions, "Private Clients");
            policy.advisors.insert(rights.email.clone(), rights);
        });
        world.says("jane", &line);
        assert_eq!(world.last_reply("jane").vars["channel"], listed, "she has only one");
        assert_eq!(world.says("jane", "/contact add"), ["form"]);
        assert_eq!(world.last_reply("jane").vars["channels"], json!([channel]));
    }
}

/// Whom the newest waiting notice names.
fn named_in_notice(world: &World, number: &str) -> String {
    let notice = world.sends.iter().rfind(|sent| sent.to == number && read_as(&sent.body) == "<liaison_message_waiting>");
    match &notice.expect("a notice went out").body {
        Body::Template { vars, .. } => vars["advisor.name"].clone(),
        body => panic!("{body:?}"),
    }
}

#[test]
fn s0_24_the_notice_names_the_one_who_wrote_what_waits() {
    let mut world = World::agreed(|_| {});
    world.in_room("Ann Lee").says("jane", "/room add @bob.ray@acme.com");
    world.passes(Span::days(2));
    world.in_room("Ann Lee").says("bob", "Good morning");
    assert_eq!(named_in_notice(&world, ANN), "Bob Ray", "not the owner, who wrote nothing");
    // A later silence: what is told of is what she was not told of yet.
    world.client(ANN).writes("Hello");
    world.passes(Span::days(2));
    world.in_room("Ann Lee").says("jane", "And good night");
    assert_eq!(named_in_notice(&world, ANN), "Jane Doe");
}

#[test]
fn s0_24_what_waits_in_several_rooms_is_told_of_by_who_wrote_first() {
    let mut world = World::agreed(|_| {});
    world.says("bob", ADD_ANN);
    world.says("bob", &format!("/room create \"Bob and Ann\" {ANN}"));
    world.presses("bob", "new-room");
    world.passes(Span::days(2));
    world.in_room("Bob and Ann").says("bob", "Good morning");
    assert_eq!(named_in_notice(&world, ANN), "Bob Ray");
}

#[test]
fn s0_24_of_a_fellow_clients_words_the_firm_tells() {
    let mut world = World::agreed(|_| {});
    world.says("jane", &format!("/contact add Ben Orr phone={BEN} email=ben@orr.de channel=whatsapp"));
    world.says("jane", &format!("/group create \"Both\" contacts={ANN},{BEN} --standard"));
    world.set_consent(BEN, Consent::OptedIn { at: MIDNIGHT });
    world.client(BEN).writes("Here I am");
    world.client(ANN).writes("Here I am");
    world.passes(Span::days(2));
    world.client(ANN).writes("Who is awake?");
    assert_eq!(world.state_of("Ann Lee: Who is awake?"), "held(window)");
    assert_eq!(named_in_notice(&world, BEN), "Acme Wealth", "Jane has no message for him");
}

#[test]
fn s0_23_what_is_written_into_a_room_whose_making_is_tried_again_is_not_lost() {
    let mut world = World::with(|_| {});
    // Nothing is worked off: each step of the making is taken by itself.
    let (message, stream) = (ChatMessageId::new("command"), StreamId::new("im-1"));
    let command = world.room_message("jane", stream, StreamKind::Direct, &format!("{ADD_ANN} --room"), message, None);
    assert_eq!(world.feed(Fact::RoomMessage(command)), Fed::Committed);
    let said = |world: &mut World| {
        let message = ChatMessageId::new(world.fresh("chat"));
        let said = world.room_message("jane", StreamId::new("s-new"), StreamKind::Room, "Good morning Ann.", message, None);
        world.feed(Fact::RoomMessage(said))
    };
    assert_ne!(said(&mut world), Fed::Soon, "nobody has tried to make it: this is another room");
    let due = world.dues().into_iter().find(|due| matches!(due.effect, Effect::OpenRoom(_))).unwrap();
    assert_eq!(world.feed(Fact::EffectWanted { key: due.key(), attempt: due.attempt, text: None }), Fed::Committed);
    assert_eq!(said(&mut world), Fed::Soon, "it is being made");
    // The pod has made it and answered with an error; the next try finds it.
    let taken: Due = world.get(&due.key()).unwrap();
    let not_before = world.now + Span::minutes(10);
    let put_off = Fact::EffectPutOff { key: due.key(), attempt: taken.attempt, why: "5xx".to_owned(), not_before };
    assert_eq!(world.feed(put_off), Fed::Committed);
    assert_eq!(said(&mut world), Fed::Soon, "it comes again until the room is known");
    // Whoever writes elsewhere does not wait for ever for a room that cannot be made.
    world.now = world.now + Span::minutes(6);
    assert_ne!(said(&mut world), Fed::Soon);
}
