//! What people read is so: refusals name the true reason and a next step that works, reports count what happened, and nobody is
//! told of what did not happen.
use crate::common::world::*;
use liaison::domain::effect::{Code, Reply};
use liaison::domain::entitlement::{Permission, Rights};
use liaison::domain::ids::*;
use liaison::domain::policy::Policy;
use serde_json::{Value, json};

const GROUP: &str = "Lee family";
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

/// Both in one standard group, and both have agreed.
fn group_with(change: impl FnOnce(&mut Policy)) -> World {
    let mut world = contacts(change);
    world.says("jane", &format!("/group create \"{GROUP}\" contacts={ANN},{BEN} --standard"));
    world.client(ANN).taps("consent:yes");
    world.client(BEN).taps("consent:yes");
    world
}

fn group() -> World {
    group_with(|_| {})
}

fn confirmed(world: &mut World, who: &str, line: &str) -> Vec<String> {
    let asked = world.says(who, line);
    assert!(asked[0].starts_with("confirm "), "{line}: {asked:?}");
    world.presses(who, "confirm")
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

#[test]
fn s4_30_a_colleague_named_for_a_room_is_refused_for_the_true_reason() {
    for (who, code) in [(EVE, "refusal(other-sub-org)"), (NINA, "refusal(not-enabled)")] {
        let bo = "/contact add Bo Roe phone=+4915112345601 email=b@x.de channel=whatsapp --room";
        let lines = [
            format!("/room create \"Both\" Ann Ben {who}"),
            format!("/group create \"Both\" contacts=Ann,Ben {who}"),
            format!("/group create \"Both\" contacts=Ann,Ben advisors={who} --standard"),
            format!("{bo} advisors={who}"),
        ];
        for line in lines {
            let mut world = contacts(|_| {});
            let before = world.records();
            assert_eq!(world.says("jane", &line), [code], "{line}");
            assert_eq!(world.records(), before, "{line}");
        }
    }
}

#[test]
fn s4_30_the_form_tells_the_same_beside_its_field() {
    for (user, code) in [(3, "other-sub-org"), (7, "not-enabled")] {
        let mut world = contacts(|_| {});
        world.says("jane", "/group create");
        let values = json!({ "action": "submit", "name": "Both", "contacts": "Ann,Ben", "advisors": [user] });
        assert_eq!(world.submits(&world.question(), "jane", values), [format!("form({code})")]);
        let mistake = word(&world.last_reply("jane"), "mistake");
        assert_eq!((&mistake["code"], &mistake["vars"]["argument"]), (&json!(code), &json!("advisors")));
    }
}

#[test]
fn s1_22_a_member_who_may_not_own_a_room_is_refused_for_the_true_reason() {
    let retail = Rights::new("bob.ray@acme.com", &Channel::ALL, &Permission::parse_many("advisor").unwrap(), "Retail");
    let none = Rights { email: retail.email.clone(), ..Rights::default() };
    for (rights, code) in [(retail, "refusal(other-sub-org)"), (none, "refusal(not-enabled)")] {
        let mut world = World::agreed(|_| {});
        world.in_room("Ann Lee").says("jane", &format!("/room add {BOB}"));
        world.put(&rights);
        assert_eq!(world.in_room("Ann Lee").says("jane", &format!("/room promote {BOB}")), [code]);
    }
}

#[test]
fn one_who_is_not_in_the_room_is_still_a_contact() {
    let mut world = group();
    let remove = |world: &mut World| world.in_room(GROUP).says("jane", "/room remove Ben Orr");
    remove(&mut world);
    world.presses("jane", "confirm");
    assert_eq!(remove(&mut world), ["refusal(not-a-member)"]);
    assert_eq!(word(&world.last_reply(GROUP), "user"), json!("Ben Orr"));
}

#[test]
fn one_who_is_named_without_an_at_sign_is_looked_for_among_clients_and_the_answer_says_how_colleagues_are_named() {
    let mut world = World::agreed(|_| {});
    for line in ["/room add bob.ray@acme.com", "/room add Bob Ray", "/room remove Bob Ray"] {
        assert_eq!(world.in_room("Ann Lee").says("jane", line)[0], "refusal(no-such-contact)", "{line}");
        assert_eq!(word(&world.last_reply("Ann Lee"), "colleagues"), json!(true), "{line}");
    }
    world.in_room("Ann Lee").says("jane", "/contact show Bob Ray");
    assert_eq!(word(&world.last_reply("Ann Lee"), "colleagues"), Value::Null);
}

#[test]
fn a_long_name_of_a_sub_organisation_is_no_rooms_name() {
    let mut world = World::new();
    let line = format!("/admin suborg {BOB} \"{}\"", "x".repeat(61));
    assert_eq!(world.says("adam", &line), ["refusal(name-too-long)"]);
    assert_eq!(word(&world.last_reply("adam"), "sub_org"), json!(true));
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

#[test]
fn a_name_that_is_taken_proposes_the_same_group_again() {
    let mut world = contacts(|_| {});
    let (ann, ben) = (world.contact(ANN).id, world.contact(BEN).id);
    let rows = [
        (format!("/group create \"{GROUP}\" contacts=Ann,Ben {BOB}"), format!("/group create \"…\" contacts={ann},{ben} {BOB}")),
        (
            format!("/group create \"{GROUP}\" contacts=Ann,Ben --standard"),
            format!("/group create \"…\" contacts={ann},{ben} --standard"),
        ),
        (format!("/room create \"{GROUP}\" Ann Ben"), format!("/room create \"…\" {ann} {ben}")),
    ];
    world.take_name(GROUP);
    for (line, again) in rows {
        assert_eq!(world.says("jane", &line), ["refusal(name-taken)"], "{line}");
        let reply = world.last_reply("jane");
        assert_eq!((word(&reply, "again"), word(&reply, "added")), (json!(again), json!(false)), "{line}");
    }
    world.says("jane", &format!("/contact add Bo Roe phone=+4915112345601 email=b@x.de channel=whatsapp room=\"{GROUP}\""));
    assert_eq!(word(&world.last_reply("jane"), "added"), json!(true));
}

#[test]
fn the_form_of_a_group_comes_back_with_all_that_was_chosen() {
    let mut world = contacts(|_| {});
    world.take_name(GROUP);
    world.says("jane", "/group create");
    let fields = json!({ "action": "submit", "name": GROUP, "contacts": "Ann,Ben", "advisors": [2], "native": "on" });
    world.submits(&world.question(), "jane", fields);
    let form = world.last_reply("jane");
    assert_eq!((form.template.as_str(), form.reason.as_deref()), ("form-group-create", Some("name-taken")));
    let both = format!("{},{}", world.contact(ANN).id, world.contact(BEN).id);
    let values = word(&form, "values");
    assert_eq!((&values["contacts"], &values["advisors"], &values["native"]), (&json!(both), &json!([2]), &json!(true)));
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

// ---- the blocked, and the first line of a room

#[test]
fn a_blocked_client_gets_no_new_room() {
    let mut world = contacts(|_| {});
    world.says("cora", &format!("/contact block {BEN} reason=spam"));
    let before = world.rooms().len();
    for line in [
        "/room create \"Ben\" Ben Orr".to_owned(),
        format!("/group create \"{GROUP}\" contacts=Ann,Ben"),
        format!("/group create \"{GROUP}\" contacts=Ann,Ben --standard"),
    ] {
        assert_eq!(world.says("jane", &line), ["refusal(blocked)"], "{line}");
        let reply = world.last_reply("jane");
        assert_eq!((word(&reply, "name"), word(&reply, "sends")), (json!("Ben Orr"), json!(false)), "{line}");
    }
    assert_eq!((world.rooms().len(), world.sent_to(ANN).len()), (before, 0));
    world.says("jane", "/room create \"Ann Lee\" Ann");
    assert_eq!(world.in_room("Ann Lee").says("jane", "/room add Ben Orr"), ["refusal(blocked)"]);
    assert_eq!(word(&world.last_reply("Ann Lee"), "sends"), json!(false), "nothing was to be sent");
}

#[test]
fn s3_16_the_first_line_of_a_room_that_an_answer_opened_knows_the_answer() {
    for (payload, consent) in [("consent:stop", "OPTED_OUT"), ("consent:yes", "OPTED_IN")] {
        let mut world = contacts(|_| {});
        confirmed(&mut world, "jane", "/optin send Ann Lee");
        world.client(ANN).taps(payload);
        let opened: Vec<&Reply> =
            world.posts.iter().map(|post| &post.reply).filter(|reply| reply.code == Code::RoomOpened).collect();
        assert_eq!(opened.len(), 1);
        assert_eq!(word(opened[0], "consent"), json!(consent));
    }
}

#[test]
fn an_own_group_is_no_room_with_the_client_alone() {
    let mut world = group();
    assert_eq!(world.says("jane", "/room create \"Ann\" Ann Lee"), ["confirm room-is-there"]);
    let reply = world.last_reply("jane");
    assert_eq!((word(&reply, "own"), word(&reply, "group")), (json!(true), json!(true)));
    world.presses("jane", "new-room");
    assert_eq!(world.says("jane", "/room create \"Ann again\" Ann Lee"), ["confirm room-is-there"]);
    let reply = world.last_reply("jane");
    assert_eq!((word(&reply, "room"), word(&reply, "group")), (json!("Ann"), json!(false)), "the nearer of the two");
}
