//! What people read is so: refusals name the true reason and a next step that works, reports count what happened, and nobody is
//! told of what did not happen.
use crate::common::world::*;
use liaison::domain::effect::Reply;
use liaison::domain::entitlement::{Permission, Rights};
use liaison::domain::ids::*;
use liaison::domain::policy::Policy;
use serde_json::{Value, json};

const BOB: &str = "@bob.ray@acme.com";
const EVE: &str = "@eve.fox@acme.com";
const NINA: &str = "@nina@acme.com";

/// Jane's contacts Ann and Ben; nobody was asked yet.
fn contacts(change: impl FnOnce(&mut Policy)) -> World {
    let mut world = World::with(change);
    world.says("jane", ADD_ANN);
    world.says("jane", &format!("/contact add Ben Orr phone={BEN} email=ben@orr.de channel=whatsapp"));
    world
}

fn word(reply: &Reply, name: &str) -> Value {
    reply.vars.get(name).cloned().unwrap_or_default()
}

// ---- the true reason

#[test]
fn s4_30_sharing_with_one_who_has_no_right_at_all_is_no_matter_of_the_wall() {
    let mut world = contacts(|_| {});
    assert_eq!(world.says("jane", &format!("/contact share Ann Lee {NINA}")), ["refusal(not-entitled)"]);
    assert_eq!(word(&world.last_reply("jane"), "channel"), json!("WhatsApp"));
    assert_eq!(world.says("jane", &format!("/contact share Ann Lee {EVE}")), ["refusal(other-sub-org)"]);
}

// ---- a next step that works

#[test]
fn s4_40_who_asked_to_come_back_asks_again_with_the_same_command() {
    let mut world = World::agreed(|_| {});
    world.in_room("Ann Lee").says("jane", &format!("/room add {BOB}"));
    world.in_room("Ann Lee").says("bob", "/room leave");
    world.presses("bob", "confirm");
    let line = format!("/room restart {ANN}");
    world.says("bob", &line);
    assert_eq!(world.says("bob", &line), ["refusal(pending-until)"]);
    assert_eq!(word(&world.last_reply("bob"), "command"), json!("/room restart"));
    let mut invited = World::invited(|_| {});
    assert_eq!(invited.says("jane", "/optin resend Ann Lee"), ["refusal(pending-until)"]);
    assert_eq!(word(&invited.last_reply("jane"), "command"), json!("/optin resend"));
}

#[test]
fn an_example_is_one_of_the_command_that_was_typed() {
    let mut world = World::agreed(|_| {});
    let jane = "@jane.doe@acme.com";
    for (line, path) in [
        (format!("/admin offboard {jane} to={jane}"), "/admin offboard"),
        (format!("/contact transfer Ann from={jane} to={jane}"), "/contact transfer"),
    ] {
        assert_eq!(world.says("adam", &line), ["refusal(bad-argument)"]);
        assert!(word(&world.last_reply("adam"), "example").as_str().unwrap().starts_with(path), "{line}");
    }
}

// ---- what is handed over

#[test]
fn the_card_of_a_transfer_names_the_channel_that_is_missing() {
    let mut world = World::with(|policy| {
        direct_line(policy);
        let rights =
            Rights::new("bob.ray@acme.com", &[Channel::WhatsApp], &Permission::parse_many("advisor").unwrap(), "Private Clients");
        policy.advisors.insert("bob.ray@acme.com".to_owned(), rights);
    });
    world.says("jane", &format!("/contact add Sam Hill phone={SAM} channel=sms"));
    let line = "/contact transfer Sam Hill from=@jane.doe@acme.com to=@bob.ray@acme.com";
    assert_eq!(world.says("adam", line), ["refusal(not-entitled)"]);
    assert_eq!(word(&world.last_reply("adam"), "channel"), json!("SMS"));
}
