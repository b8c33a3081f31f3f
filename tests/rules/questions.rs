//! Confirmations and forms: who may answer, how long, how often; refusals that leave nothing behind.
use crate::common::world::*;
use liaison::domain::event::{Fact, FormSent};
use liaison::domain::ids::{ChatMessageId, StreamId};
use liaison::domain::time::Span;
use serde_json::json;

fn asked() -> World {
    let mut world = World::new();
    world.says("jane", ADD_ANN);
    world.says("jane", "/optin send Ann Lee");
    world
}

#[test]
fn only_the_one_who_was_asked_may_answer() {
    let mut world = asked();
    let before = world.records();
    assert_eq!(world.presses("bob", "confirm").last().unwrap(), "refusal(not-yours)");
    assert_eq!(world.records(), before);
    world.presses("jane", "confirm");
    assert_eq!(world.sent_to(ANN), ["<liaison_invitation>"]);
}

#[test]
fn a_confirmation_is_valid_ten_minutes() {
    for (wait, sent) in [(Span(Span::minutes(10).0 - 1), 1), (Span::minutes(10), 0)] {
        let mut world = asked();
        world.passes(wait);
        let told = world.presses("jane", "confirm");
        assert_eq!(world.sent_to(ANN).len(), sent, "{told:?}");
        assert_eq!(told.contains(&"refusal(expired-confirmation)".to_owned()), sent == 0);
    }
}

#[test]
fn a_confirmation_counts_once_and_later_presses_get_the_first_answer() {
    let mut world = asked();
    let card = world.question();
    let first = world.presses_on(&card, "jane", "confirm");
    assert_eq!(world.presses_on(&card, "jane", "confirm"), first);
    assert_eq!(world.presses_on(&card, "jane", "cancel"), first);
    assert_eq!(world.sent_to(ANN), ["<liaison_invitation>"]);
}

#[test]
fn confirming_asks_everything_anew() {
    let mut world = asked();
    world.revoke("jane");
    assert_eq!(world.presses("jane", "confirm"), ["refusal(not-entitled)"]);
    assert_eq!(world.sent_to(ANN), [""; 0]);
}

#[test]
fn a_form_counts_once() {
    let mut world = World::new();
    assert_eq!(world.says("jane", "/contact add"), ["form"]);
    let form = world.question();
    let fields =
        json!({ "action": "submit", "first": "Ann", "last": "Lee", "phone": ANN, "email": "ann@lee.de", "channel": "whatsapp" });
    assert_eq!(world.submits(&form, "jane", fields.clone()), ["answer contact-added"]);
    assert_eq!(world.submits(&form, "jane", fields), ["answer contact-added"], "not `already-yours`");
    assert!(world.find_contact(ANN).is_some());
}

#[test]
fn a_wrong_field_brings_the_form_back_with_the_reason() {
    let mut world = World::new();
    world.says("jane", "/contact add");
    let form = world.question();
    let before = world.asks().len();
    let told = world.submits(
        &form,
        "jane",
        json!({ "action": "submit", "first": "Ann", "last": "Lee", "phone": "12", "email": "ann@lee.de" }),
    );
    assert_eq!(told, ["form(phone-invalid)"]);
    assert_eq!(world.last_reply("jane").vars["values"]["first"], "Ann");
    assert_eq!(world.asks().len(), before + 1);
    let again = world.question();
    let fields = json!({ "action": "submit", "first": "Ann", "last": "Lee", "phone": ANN, "email": "ann@lee.de", "room": "on" });
    world.submits(&again, "jane", fields);
    assert!(world.has_room("Ann Lee"), "the checkbox makes the room");
    assert_eq!(world.sent_to(ANN), ["<liaison_invitation>"]);
}

#[test]
fn a_press_on_a_form_that_is_not_known_yet_comes_again() {
    let mut world = World::new();
    let sent = FormSent {
        stream: StreamId::new("im-1"),
        form_message: ChatMessageId::new("on its way"),
        form: "confirm".to_owned(),
        values: json!({ "action": "confirm" }).as_object().cloned().unwrap(),
        by: person("jane"),
    };
    assert_eq!(world.feed(Fact::FormSent(sent)), Fed::Soon);
}

#[test]
fn a_refused_command_leaves_no_writes() {
    let mut world = World::agreed(|_| {});
    let commands = [
        "/contact add Ann",
        "/contact add Ann Lee phone=12 email=a@b.de",
        "/contact add Ann Lee phone=+4915112345678 email=nonsense",
        "/contact add Ann Lee phone=+4915112345678 email=other@lee.de",
        "/contact add Zoe Zed phone=+4915112340000 email=zoe@zed.de channel=fax",
        "/contact add Zoe Zed phone=+4915112340000 email=zoe@zed.de lang=xx",
        "/contact add Zoe Zed phone=+4915112340000 email=zoe@zed.de colour=red",
        "/contact add Zoe Zed phone=+4915112340000 email=zoe@zed.de --loud",
        "/contact add Zoe Zed phone=+4915112340000 email=zoe@zed.de room=\"A name that is longer than the platform takes, by far.\"",
        "/optin send Ann Lee",
        "/optin resend Ann Lee",
        "/optin resend Zoe",
        "/room create \"x\" Zoe",
        "/template show nothing",
        "/nonsense",
        "/contact add \"Ann",
    ];
    let before = world.records();
    for command in commands {
        let told = world.says("jane", command);
        let refused = told.len() == 1 && told[0].starts_with("refusal(");
        assert!(refused, "{command}: {told:?}");
        assert_eq!(world.records(), before, "{command}");
    }
}

#[test]
fn unknown_commands_get_suggestions_that_the_caller_may_use() {
    let mut world = World::new();
    world.says("jane", "/contact ad Ann");
    assert_eq!(world.last_reply("jane").vars["suggestions"][0], "contact add");
    world.says("carl", "/contact ad Ann");
    let suggestions = world.last_reply("carl").vars["suggestions"].to_string();
    assert!(!suggestions.contains("contact add"), "{suggestions}");
}

#[test]
fn where_a_room_is_there_join_asks_its_owner_and_new_room_opens_another() {
    let mut world = World::agreed(|_| {});
    world.says("bob", ADD_ANN);
    assert_eq!(world.says("bob", "/room create \"Mine\" +4915112345678"), ["confirm room-is-there"]);
    let card = world.question();
    world.presses_on(&card, "bob", "join");
    assert_eq!(world.rooms().len(), 1, "none is opened");
    assert_eq!(world.last_told("jane"), "confirm admit-member");
    world.presses("jane", "confirm");
    assert_eq!(world.room("Ann Lee").members.len(), 2);
    world.says("olga", ADD_ANN);
    world.says("olga", "/room create \"Mine\" +4915112345678");
    world.presses("olga", "new-room");
    assert!(world.has_room("Mine"));
}

#[test]
fn the_callers_own_room_is_named_and_a_room_of_another_sub_organisation_is_not_mentioned() {
    let mut world = World::agreed(|_| {});
    world.says("jane", "/room create \"Second\" Ann Lee");
    assert_eq!(world.last_reply("jane").vars["own"], true);
    world.says("eve", ADD_ANN);
    assert_eq!(world.says("eve", "/room create \"Mine\" +4915112345678"), ["refusal(no-line-left)"]);
}
