//! A command does what its line says, or it changes nothing and says why: no word and nobody named is ever left out silently.
use crate::common::world::*;
use liaison::domain::commands::{self, Command, People};
use liaison::domain::entitlement::{Permission, Rights};
use liaison::domain::ids::*;
use serde_json::{Value, json};

/// Jane may do everything; Ann and Eva Sun are hers, and she sits in Ann's room.
fn all_rights() -> World {
    let mut world = World::with(|policy| {
        let all =
            ["advisor", "onboarder", "compliance", "admin"].iter().flat_map(|bundle| Permission::parse_many(bundle).unwrap());
        let jane = Rights::new("jane.doe@acme.com", &Channel::ALL, &all.collect::<Vec<_>>(), "Private Clients");
        policy.advisors.insert("jane.doe@acme.com".to_owned(), jane);
    });
    world.says("jane", &format!("{ADD_ANN} --room"));
    world.says("jane", &format!("/contact add Eva Sun phone={BEN} email=eva@sun.de channel=whatsapp"));
    world
}

/// What the refusal says of what is wrong; empty where it is none of an argument.
fn complaint(world: &World, place: &str) -> String {
    let reply = world.last_reply(place);
    let word = |name: &str| reply.vars.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    if reply.reason.as_deref() == Some("bad-argument") { format!("{} {}", word("argument"), word("why")) } else { String::new() }
}

/// Reads its whole line as it is.
fn takes_any_text(command: &Command) -> bool {
    command.keys.contains(&commands::ANY)
}

#[test]
fn every_command_names_the_word_for_which_it_has_no_place() {
    for command in commands::ALL.iter().filter(|command| !takes_any_text(command) && !command.several) {
        for in_room in [false, true] {
            let mut world = all_rights();
            let (before, sent) = (world.records(), world.sends.len());
            let line = format!("{} \"one more\" \"and another\"", command.example);
            let place = if in_room { "Ann Lee" } else { "jane" };
            let told = if in_room { world.in_room("Ann Lee").says("jane", &line) } else { world.says("jane", &line) };
            assert_eq!(told, ["refusal(bad-argument)"], "{line}");
            let why = complaint(&world, place);
            assert!(why.contains("one more") || why.contains("and another"), "{line}: {why}");
            assert_eq!((world.records(), world.sends.len()), (before, sent), "{line}");
        }
    }
}

#[test]
fn every_command_names_the_colleague_for_whom_it_has_no_place() {
    for command in commands::ALL.iter().filter(|command| !takes_any_text(command) && command.people != People::Several) {
        let mut world = all_rights();
        let before = world.records();
        let line = format!("{} @bob.ray@acme.com @carl@acme.com", command.example);
        assert_eq!(world.says("jane", &line), ["refusal(bad-argument)"], "{line}");
        let why = complaint(&world, "jane");
        assert!(why.contains("bob.ray") || why.contains("carl"), "{line}: {why}");
        assert_eq!(world.records(), before, "{line}");
    }
}

#[test]
fn every_command_says_that_a_misspelt_mention_is_not_known() {
    for command in commands::ALL.iter().filter(|command| !takes_any_text(command) && command.positional != [commands::TEXT]) {
        let mut world = all_rights();
        let line = format!("{} @olga.berg", command.example);
        assert_eq!(world.says("jane", &line), ["refusal(bad-argument)"], "{line}");
        let why = complaint(&world, "jane");
        assert!(why.contains("@olga.berg") && why.contains("not known to me"), "{line}: {why}");
    }
}

#[test]
fn the_example_of_every_command_has_its_place() {
    for command in commands::ALL {
        let mut world = all_rights();
        world.in_room("Ann Lee").says("jane", command.example);
        let why = complaint(&world, "Ann Lee");
        let all_placed = !["too many", "is named with @", "given twice", "known here"].iter().any(|words| why.contains(words));
        assert!(all_placed, "{}: {why}", command.example);
    }
}

#[test]
fn what_would_have_been_left_out_is_refused_by_name() {
    let lines = [
        ("/group create \"GX\" contacts=Ann Lee,Eva Sun --standard", "“Lee,Eva”"),
        ("/group create Lee family contacts=Ann Lee,Eva Sun --standard", "“Lee,Eva”"),
        ("/group create \"GY\" contacts=Ann,Eva @olga.berg", "@olga.berg"),
        ("/group create Lee family contacts=Ann,Eva @olga.berg", "@olga.berg"),
        ("/group create \"GZ\" contacts=Ann,Eva advisors=@bob.ray@acme.com,@olga.berg", "@olga.berg"),
        ("/contact add Bo Roe phone=+4915112345601 email=b@x.de advisors=@olga.berg --room", "@olga.berg"),
        ("/contact add Bo Roe phone=+4915112345601 email=b@x.de advisors=bob --room", "“bob”"),
        ("/admin suborg @bob.ray@acme.com @carl@acme.com \"Corporate\"", "@carl@acme.com"),
        ("/admin entitle @bob.ray@acme.com @carl@acme.com channel=sms", "@carl@acme.com"),
        ("/admin offboard @bob.ray@acme.com @carl@acme.com to=@olga@acme.com", "@carl@acme.com"),
        ("/contact transfer Ann from=@jane.doe@acme.com to=@bob.ray@acme.com to=@carl@acme.com", "to is given twice"),
        ("/queue cancel m-AAAAAAAA m-BBBBBBBB", "m-BBBBBBBB"),
        ("/template send document_ready document=Annual report to=Ann", "“report”"),
        ("/contact list @carl@acme.com", "@carl@acme.com"),
        ("/room add Eva Sun @carl@acme.com", "@carl@acme.com"),
        ("/room add @carl@acme.com Eva Sun", "“Eva Sun”"),
        ("/room rename Smith @carl@acme.com", "@carl@acme.com"),
        ("/room transfer @carl@acme.com now please", "“now”"),
        ("/room promote Carl Central", "“Carl”"),
        ("/room info Ann", "“Ann”"),
    ];
    for (line, named) in lines {
        let mut world = all_rights();
        let before = world.records();
        assert_eq!(world.in_room("Ann Lee").says("jane", line), ["refusal(bad-argument)"], "{line}");
        let why = complaint(&world, "Ann Lee");
        assert!(why.contains(named), "{line}: {why}");
        assert_eq!(world.records(), before, "{line}");
        let played = world.in_room("Ann Lee").says("jane", &format!("/dryrun {line}"));
        assert_eq!(played, ["answer dryrun"], "{line}");
        assert_eq!(world.last_reply("Ann Lee").vars["refused"]["code"], json!("bad-argument"), "{line}");
    }
}

#[test]
fn what_has_its_place_is_taken_as_before() {
    let lines = [
        ("/contact show Ann Lee", "answer contact-card"),
        ("/contact list @lee.de", "answer contact-list"),
        ("/contact block Eva Sun reason=spam", "answer contact-block"),
        ("/contact share Ann Lee @bob.ray@acme.com @carl@acme.com", "confirm confirm-share"),
        ("/contact share @bob.ray@acme.com @carl@acme.com Ann Lee", "confirm confirm-share"),
        ("/contact transfer Ann Lee from=@jane.doe@acme.com to=@bob.ray@acme.com", "confirm confirm-transfer"),
        ("/room create \"Both\" Ann Eva @bob.ray@acme.com @carl@acme.com", "answer room-created"),
        ("/room create \"Eva's\" Eva Sun", "answer room-created"),
        ("/group create \"Both\" contacts=\"Ann Lee\",Eva @bob.ray@acme.com @carl@acme.com --standard", "answer group-standard"),
        ("/group create Lee family contacts=Ann,Eva @bob.ray@acme.com --standard", "answer group-standard"),
        ("/group create @bob.ray@acme.com Lee family contacts=Ann,Eva --standard", "answer group-standard"),
        ("/group create \"Both\" contacts=Ann contacts=Eva advisors=@bob.ray@acme.com --standard", "answer group-standard"),
        ("/admin suborg @bob.ray@acme.com Retail Clients", "answer handover-report"),
        ("/admin suborg bob.ray@acme.com \"Retail Clients\"", "answer handover-report"),
        ("/admin suborg \"Retail Clients\" @bob.ray@acme.com", "answer handover-report"),
        ("/admin entitle bob.ray@acme.com channel=sms", "answer admin-entitled"),
        ("/help contact add", "answer help-command"),
    ];
    for (line, expected) in lines {
        let mut world = all_rights();
        let told = world.says("jane", line);
        assert_eq!(told.last().map(String::as_str), Some(expected), "{line}: {told:?}, {}", complaint(&world, "jane"));
    }
    let mut world = all_rights();
    for (line, expected) in [
        ("/note Ask @olga.berg, x=1 x=2 --no \"yes\" @carl@acme.com", "answer noted"),
        ("/dryrun Hello @olga.berg x=1 x=2", "answer dryrun"),
        ("/room add Eva Sun", "confirm confirm-room-contact-add"),
        ("/room add @bob.ray@acme.com", "answer member-added"),
        ("/room rename The Lee & Sun family", "answer room-renamed"),
    ] {
        assert_eq!(world.in_room("Ann Lee").says("jane", line).last().map(String::as_str), Some(expected), "{line}");
    }
    assert!(world.has_room("The Lee & Sun family"));
}

#[test]
fn a_form_leaves_nobody_out_either() {
    let mut world = all_rights();
    world.says("jane", "/group create");
    let values = json!({ "action": "submit", "name": "Both", "contacts": "Ann,Eva", "advisors": "nobody" });
    let before = world.rooms().len();
    assert_eq!(world.submits(&world.question(), "jane", values), ["form(bad-argument)"]);
    let mistake = world.last_reply("jane").vars["mistake"].clone();
    assert_eq!(mistake["vars"]["argument"], json!("advisors"), "{mistake}");
    assert_eq!(world.rooms().len(), before);
}
