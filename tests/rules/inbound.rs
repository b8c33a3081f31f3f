//! S2-10…19 on WhatsApp, which room, who is who, and events that come twice.
use crate::common::story::story;
use crate::common::world::*;
use expect_test::expect;
use liaison::domain::event::*;
use liaison::domain::ids::*;
use liaison::domain::policy::UnknownSender;
use liaison::domain::time::Span;

#[test]
fn s2_10_s2_14_s2_15_s2_16_a_stranger_gets_a_contact_a_room_a_welcome_and_is_relayed() {
    story(expect![[r#"
        d1 09:00 +4915112345678: Hello, do you manage portfolios?
                 -> room +4915112345678
                 -> +4915112345678: room_opened
                 -> +4915112345678: client_message +4915112345678: Hello, do you manage portfolios?
                 -> whatsapp +4915112345678: welcome
        d1 09:01 +4915112345678: Are you there?
                 -> +4915112345678: client_message +4915112345678: Are you there?
    "#]]);
}

#[test]
fn s2_11_s2_12_he_is_incomplete_and_shows_his_number_only() {
    let mut world = World::new();
    world.client(ANN).called("Annie 💎").writes("Hello");
    let listing = world.listing("jane", ANN).unwrap();
    assert!(listing.incomplete && listing.name().is_empty());
    assert_eq!(world.last_reply(ANN).vars["name"], ANN, "not what he calls himself");
}

#[test]
fn s2_17_a_colleagues_name_for_him_is_never_shown() {
    let mut world = World::with(|policy| policy.default_advisors = vec!["bob.ray@acme.com".to_owned()]);
    world.client(ANN).writes("Hello");
    world.says("jane", ADD_ANN);
    world.client(ANN).writes("Again");
    assert_eq!(world.last_told(ANN), format!("client_message {ANN}: Again"), "Bob's room");
    assert!(world.listing("bob", ANN).unwrap().incomplete && !world.listing("jane", ANN).unwrap().incomplete);
}

#[test]
fn a_known_sender_without_a_room_gets_one_with_those_who_list_him() {
    let mut world = World::new();
    world.says("bob", ADD_ANN);
    assert_eq!(world.client(ANN).writes("Hello"), ["welcome"]);
    assert_eq!(world.room("Ann Lee").owner(), Some(UserId(2)));
    assert!(world.told("Ann Lee").contains(&"client_message Ann Lee: Hello".to_owned()));
}

#[test]
fn else_the_lines_own_advisor_else_the_default_else_the_admins() {
    let mut world = World::with(|policy| policy.lines[0].advisor = Some("bob.ray@acme.com".to_owned()));
    world.client(ANN).writes("Hello");
    assert_eq!(world.room(ANN).owner(), Some(UserId(2)));
    let mut world = World::with(|policy| policy.default_advisors.clear());
    world.client(ANN).writes("Hello");
    assert!(world.rooms().is_empty());
    assert_eq!(world.told("adam"), ["info parked"]);
}

#[test]
fn unknown_sender_park_and_refuse() {
    for (rule, admin, kind) in
        [(UnknownSender::Park, vec!["info parked"], "client.parked"), (UnknownSender::Refuse, vec![], "client.refused")]
    {
        let mut world = World::with(|policy| policy.unknown_sender = rule);
        assert_eq!(world.client(ANN).writes("Hello"), [""; 0]);
        assert!(world.find_contact(ANN).is_none() && world.rooms().is_empty());
        assert_eq!(world.told("adam"), admin);
        assert!(world.kinds().contains(&kind));
    }
}

#[test]
fn onboarding_is_capped_per_hour_and_per_prefix() {
    let mut world = World::new();
    for n in 0..7 {
        world.client(&format!("+491511234560{n}")).writes("Hello");
    }
    let made = |world: &World| world.records().keys().filter(|key| key.starts_with("contact/")).count();
    assert_eq!(made(&world), 5, "per prefix");
    for n in 0..30 {
        world.client(&format!("+4916{n:02}1234567")).writes("Hello");
    }
    assert_eq!(made(&world), 20, "all together");
    assert_eq!(world.kinds().iter().filter(|kind| **kind == "client.parked").count(), 17, "each is kept");
    assert_eq!(world.told("adam"), ["info parked"; 5].into_iter().chain(["info parked-more"]).collect::<Vec<_>>());
    world.passes(Span::hours(1));
    world.client(BEN).writes("Hello");
    assert_eq!(made(&world), 21, "the next hour counts anew");
}

#[test]
fn which_room_the_quoted_the_only_the_last_used() {
    let mut world = World::agreed(|_| {});
    world.client(ANN).writes("only");
    assert_eq!(world.last_reply("Ann Lee").vars["rule"], "only");
    world.passes(Span::minutes(1));
    world.says("bob", "/contact add Anna Lea phone=+4915112345678 email=ann@lee.de --room");
    world.in_room("Anna Lea").says("bob", "From Bob");
    let bobs = world.sends.last().unwrap().wamid.clone();
    world.passes(Span::minutes(1));
    world.in_room("Ann Lee").says("jane", "From Jane");
    world.passes(Span::minutes(1));
    world.client(ANN).writes("to the last");
    assert_eq!(world.last_told("Ann Lee"), "client_message Ann Lee: to the last");
    assert_eq!(world.last_reply("Ann Lee").vars["rule"], "last-used");
    world.client(ANN).quoting(&bobs).writes("to Bob");
    assert_eq!(world.last_told("Anna Lea"), "client_message Anna Lea: to Bob");
    assert_eq!(world.last_reply("Anna Lea").vars["rule"], "quoted");
    assert!(world.entries.iter().any(|entry| entry.kind == "client.relayed" && entry.detail["rule"] == "quoted"), "stored");
}

#[test]
fn a_line_in_the_room_last_used_can_be_moved() {
    let mut world = World::agreed(|_| {});
    world.says("bob", "/contact add Anna Lea phone=+4915112345678 email=ann@lee.de --room");
    world.passes(Span::minutes(1));
    world.in_room("Ann Lee").says("jane", "From Jane");
    world.client(ANN).writes("for Bob");
    world.presses("jane", "move-here");
    assert!(world.told("Anna Lea").contains(&"client_message Anna Lea: for Bob".to_owned()));
    world.passes(Span::minutes(1));
    world.client(ANN).writes("and more");
    assert_eq!(world.last_told("Anna Lea"), "client_message Anna Lea: and more");
}

#[test]
fn a_client_without_a_visible_number_is_one_identity() {
    let hidden = ClientKeys { user_id: Some("DE.77".to_owned()), profile_name: Some("annie".to_owned()), ..Default::default() };
    let mut world = World::new();
    world.client(ANN).with_keys(hidden.clone()).writes("Hello");
    world.client(ANN).with_keys(hidden.clone()).writes("Again");
    assert_eq!(world.rooms().len(), 1);
    assert!(world.find_contact(ANN).is_none());
    let shown = ClientKeys { phone: Phone::from_e164(ANN), ..hidden };
    world.client(ANN).with_keys(shown).writes("Now with my number");
    assert_eq!(world.contact(ANN).user_id.as_deref(), Some("DE.77"));
    assert_eq!(world.rooms().len(), 1);
}

#[test]
fn a_key_of_somebody_else_stays_where_it_is() {
    let mut world = World::new();
    world.client(ANN).writes("Hello");
    world.client(BEN).writes("Hello");
    let mixed = ClientKeys { phone: Phone::from_e164(BEN), wa_id: Some(ANN[1..].to_owned()), ..Default::default() };
    world.client(ANN).with_keys(mixed).writes("Who am I?");
    assert_eq!(world.contact(BEN).wa_id.as_deref(), Some(&BEN[1..]));
    assert_ne!(world.contact(ANN).id, world.contact(BEN).id);
}

#[test]
fn an_advisor_is_pinned_by_user_id_at_first_sight() {
    let mut world = World::new();
    let before = world.records();
    let impostor = Person { id: UserId(66), name: "Jane Doe".to_owned(), email: person("jane").email, service: false };
    let stream = StreamId::new("im-66");
    let mut said = world.room_message("jane", stream, StreamKind::Direct, ADD_ANN, ChatMessageId::new("x"), None);
    said.author = impostor;
    world.feed(Fact::RoomMessage(said));
    world.work_off();
    assert_eq!(world.last_told("user 66"), "refusal(not-entitled)");
    assert_eq!(world.records(), before);
}

#[test]
fn the_bot_and_other_service_accounts_are_not_obeyed() {
    for (id, service) in [(BOT, false), (UserId(1), true)] {
        let mut world = World::new();
        let mut said =
            world.room_message("jane", StreamId::new("im-1"), StreamKind::Direct, ADD_ANN, ChatMessageId::new("x"), None);
        said.author = Person { id, service, ..said.author };
        world.feed(Fact::RoomMessage(said));
        world.work_off();
        assert!(world.find_contact(ANN).is_none() && world.posts.is_empty());
    }
}

#[test]
fn edits_and_forwards_of_commands_are_ignored() {
    let mut world = World::new();
    world.chat("jane", StreamId::new("im-1"), StreamKind::Direct, ADD_ANN, Some("earlier"));
    let mut said = world.room_message("jane", StreamId::new("im-1"), StreamKind::Direct, ADD_ANN, ChatMessageId::new("x"), None);
    said.forwarded = true;
    world.feed(Fact::RoomMessage(said));
    world.work_off();
    assert!(world.find_contact(ANN).is_none() && world.posts.is_empty());
}

#[test]
fn the_same_event_twice_counts_once() {
    let mut world = World::agreed(|_| {});
    let stream = world.room("Ann Lee").stream.unwrap();
    let said = world.room_message("jane", stream, StreamKind::Room, "once", ChatMessageId::new("x"), None);
    let now = world.now;
    assert_eq!(world.feed_as("same", now, Fact::RoomMessage(said.clone())), Fed::Committed);
    assert_eq!(world.feed_as("same", now, Fact::RoomMessage(said)), Fed::Before);
    world.work_off();
    assert_eq!(world.sent_to(ANN).iter().filter(|text| *text == "once").count(), 1);
}

#[test]
fn what_looks_like_a_command_from_a_client_is_text() {
    for text in ["/contact add Eve Fox phone=+4915112345699 email=e@f.de", "/whoami", "@Liaison /template list", "//x"] {
        let mut world = World::agreed(|_| {});
        let people = world.records().keys().filter(|key| key.starts_with("contact/")).count();
        assert_eq!(world.client(ANN).writes(text), [""; 0]);
        assert_eq!(world.last_told("Ann Lee"), format!("client_message Ann Lee: {text}"));
        assert_eq!(world.records().keys().filter(|key| key.starts_with("contact/")).count(), people);
    }
}

#[test]
fn a_clients_text_comes_as_it_was_but_for_control_characters() {
    let mut world = World::agreed(|_| {});
    world.client(ANN).writes("a\r\nb\u{7}\tc <b>bold</b> {{ firm }}");
    assert_eq!(world.last_told("Ann Lee"), "client_message Ann Lee: a\nb\tc <b>bold</b> {{ firm }}");
}

#[test]
fn what_cannot_be_shown_yet_is_named() {
    let mut world = World::agreed(|_| {});
    world.client(ANN).sends(Content::Other { kind: "picture".to_owned(), id: Some("m1".to_owned()), caption: None });
    assert_eq!(world.last_told("Ann Lee"), "client_message Ann Lee: picture");
    let entry = world.entries.iter().rfind(|entry| entry.kind == "client.wrote").unwrap();
    assert!(entry.detail.to_string().contains("m1"), "its id is kept");
}
