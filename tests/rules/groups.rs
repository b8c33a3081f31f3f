//! Standard groups: several clients in one room, each reached by himself, who read each other; clients into rooms and out.
use crate::common::world::*;
use liaison::domain::consent::Consent;
use liaison::domain::contact::Contact;
use liaison::domain::effect::{Body, Code, Effect, GroupCall};
use liaison::domain::entitlement::Rights;
use liaison::domain::event::*;
use liaison::domain::ids::*;
use liaison::domain::media::Kind;
use liaison::domain::message::{Message, MessageState};
use liaison::domain::policy::*;
use liaison::domain::room::{Room, RoomMember, RoomState};
use liaison::domain::time::Span;
use serde_json::{Value, json};

const CID: &str = "+4915112345601";
const GROUP: &str = "Lee family";

fn add(world: &mut World, name: &str, number: &str) {
    let email = format!("{}@x.de", number.trim_start_matches('+'));
    world.says("jane", &format!("/contact add {name} phone={number} email={email} channel=whatsapp"));
}

/// Jane's contacts Ann, Ben and Cid; nobody was asked yet.
fn contacts(change: impl FnOnce(&mut Policy)) -> World {
    let mut world = World::with(change);
    add(&mut world, "Ann Lee", ANN);
    add(&mut world, "Ben Orr", BEN);
    add(&mut world, "Cid Roe", CID);
    world
}

fn create(world: &mut World, contacts: &[&str]) -> Vec<String> {
    world.says("jane", &format!("/group create \"{GROUP}\" contacts={} --standard", contacts.join(",")))
}

/// Ann and Ben in one room, both invited.
fn invited(change: impl FnOnce(&mut Policy)) -> World {
    let mut world = contacts(change);
    create(&mut world, &[ANN, BEN]);
    world
}

/// And both have agreed.
fn group() -> World {
    group_with(|_| {})
}

fn group_with(change: impl FnOnce(&mut Policy)) -> World {
    let mut world = invited(change);
    world.client(ANN).taps("consent:yes");
    world.client(BEN).taps("consent:yes");
    world
}

fn the_room(world: &World) -> Room {
    world.rooms().into_iter().find(|room| room.name == GROUP).expect("the group has a room")
}

fn vars(world: &World, number: &str, name: &str) -> std::collections::BTreeMap<String, String> {
    let sent = world.sends.iter().rfind(|sent| sent.to == number && read_as(&sent.body) == name);
    match &sent.unwrap_or_else(|| panic!("{number} did not read {name}")).body {
        Body::Wording { vars, .. } | Body::Template { vars, .. } => vars.clone(),
        body => panic!("{body:?}"),
    }
}

/// Everything that this client was ever sent, as the wire gets it.
fn all_of(world: &World, number: &str) -> String {
    let bodies = world.sends.iter().filter(|sent| sent.to == number).map(|sent| serde_json::to_string(&sent.body).unwrap());
    bodies.collect()
}

fn picture(caption: Option<&str>) -> Content {
    let caption = caption.map(str::to_owned);
    Content::Media(Box::new(ClientFile {
        kind: Kind::Picture,
        id: "media-1".to_owned(),
        mime: Some("image/jpeg".to_owned()),
        sha256: None,
        name: None,
        caption,
    }))
}

// ---- what the advisor writes

#[test]
fn s0_10_a_standard_group_is_one_room_and_each_client_is_invited() {
    let mut world = contacts(|_| {});
    let answer = create(&mut world, &[ANN, BEN]);
    assert_eq!(answer.last().unwrap(), "answer group-standard");
    let reply = world.last_reply("jane");
    assert_eq!((&reply.vars["standard"], &reply.vars["count"], &reply.vars["invited"]), (&json!("asked"), &json!(2), &json!(2)));
    assert_eq!(
        (world.sent_to(ANN), world.sent_to(BEN)),
        (vec!["<liaison_invitation>".to_owned()], vec!["<liaison_invitation>".to_owned()])
    );
    assert_eq!(the_room(&world).contacts, [world.contact(ANN).id, world.contact(BEN).id]);
}

#[test]
fn s4_9_open_ones_get_it_now_and_closed_ones_when_they_write() {
    let mut world = group();
    world.passes(Span::hours(25));
    world.client(ANN).writes("I am here");
    let told = world.in_room(GROUP).says("jane", "Good morning");
    assert_eq!(world.sent_to(ANN).last().unwrap(), "Good morning");
    assert!(!world.sent_to(BEN).contains(&"Good morning".to_owned()));
    assert_eq!(told, ["held(window)", "info group-sent"], "one line for each held message, one for all of it");
    let held = world.posts.iter().rfind(|post| post.reply.code == Code::Held).unwrap();
    assert_eq!(held.reply.contact, Some(world.contact(BEN).id), "INTERFACES §5: each held line names its contact");
    let line = world.last_reply(GROUP);
    assert_eq!(
        (&line.vars["sent"], &line.vars["held"]),
        (&json!(["Ann Lee"]), &json!([{ "name": "Ben Orr", "gate": "window" }]))
    );
    world.client(BEN).writes("So am I");
    let read = world.sent_to(BEN);
    assert_eq!(read[read.len() - 2..], ["Ann Lee: I am here", "Good morning"], "S0-26: in the order of the conversation");
}

#[test]
fn what_all_have_needs_no_line_and_what_is_refused_is_named() {
    let mut world = group();
    assert_eq!(world.in_room(GROUP).says("jane", "Good morning"), [""; 0]);
    world.client(BEN).writes("STOP");
    let told = world.in_room(GROUP).says("jane", "Are you there?");
    assert_eq!(told, ["refusal(consent)", "info group-sent"]);
    let line = world.last_reply(GROUP);
    assert_eq!(
        (&line.vars["sent"], &line.vars["refused"][0]),
        (&json!(["Ann Lee"]), &json!({ "name": "Ben Orr", "gate": "consent" }))
    );
}

#[test]
fn s4_3_files_go_to_each_client_and_one_line_tells_of_all() {
    let mut world = group();
    world.client(BEN).writes("STOP");
    world.in_room(GROUP).sends_files("jane", "The chart", &[("chart.png", 10)]);
    assert_eq!(world.sent_to(ANN).last().unwrap(), "[chart.png] The chart");
    assert_eq!(world.last_told(GROUP), "info group-sent");
    assert!(!all_of(&world, BEN).contains("chart"));
}

// ---- what clients write

#[test]
fn in_a_standard_group_the_contacts_see_each_others_messages() {
    let mut world = group();
    world.client(ANN).writes("Hello Ben");
    assert_eq!(world.sent_to(BEN).last().unwrap(), "Ann Lee: Hello Ben");
    assert_eq!(world.last_told(GROUP), "client_message Ann Lee: Hello Ben");
    world.client(BEN).writes("Hello Ann");
    assert_eq!(world.sent_to(ANN).last().unwrap(), "Ben Orr: Hello Ann");
    let echoes = world.sent_to(ANN).iter().filter(|text| text.contains("Hello Ben")).count();
    assert_eq!(echoes, 0, "nobody gets his own words back");
    assert!(world.messages().is_empty(), "no advisor wrote any of it");
}

#[test]
fn passed_on_words_wait_for_consent_and_window_of_the_one_who_gets_them() {
    let mut world = invited(|_| {});
    world.client(ANN).taps("consent:yes");
    world.client(ANN).writes("Are you in?");
    assert_eq!(world.state_of("Ann Lee: Are you in?"), "held(consent)");
    assert_eq!(world.last_told(GROUP), "info group-passed-on");
    assert_eq!(world.last_reply(GROUP).vars["held"], json!([{ "name": "Ben Orr", "gate": "consent" }]));
    assert_eq!(world.sent_to(BEN), ["<liaison_invitation>", "<liaison_message_waiting>"], "S0-24, S0-25");
    let read = world.client(BEN).taps("consent:yes");
    assert_eq!(read[..3], ["welcome", "group_members", "Ann Lee: Are you in?"]);
    world.passes(Span::hours(25));
    world.client(ANN).writes("Still there?");
    assert_eq!(world.state_of("Ann Lee: Still there?"), "held(window)");
    assert_eq!(world.client(BEN).writes("Yes I am"), ["Ann Lee: Still there?", "Ben Orr: Yes I am"]);
}

#[test]
fn passed_on_words_expire_like_others() {
    let mut world = group();
    world.passes(Span::hours(25));
    world.client(ANN).writes("Still there?");
    world.passes(Span::days(14));
    assert_eq!(world.state_of("Ann Lee: Still there?"), "expired");
    assert!(world.told(GROUP).contains(&"expired".to_owned()));
    assert_eq!(world.client(BEN).writes("Here I am").iter().filter(|text| text.contains("Still")).count(), 0);
}

#[test]
fn s3_1_before_a_client_has_read_who_is_there_his_words_are_for_the_firm() {
    let mut world = invited(|_| {});
    world.client(BEN).taps("consent:yes");
    world.client(ANN).writes("Is this private?");
    assert_eq!(world.last_told(GROUP), "client_message Ann Lee: Is this private?");
    assert!(!all_of(&world, BEN).contains("private"), "Ann has not agreed and does not know of Ben");
    world.client(ANN).taps("consent:yes");
    world.client(ANN).writes("Hello all");
    assert_eq!(world.sent_to(BEN).last().unwrap(), "Ann Lee: Hello all");
    assert!(!all_of(&world, BEN).contains("private"));
}

#[test]
fn no_number_is_ever_shown_to_another_client() {
    // Nobody had a name for them when they came in.
    let mut world = contacts(|_| {});
    create(&mut world, &[ANN, BEN]);
    for number in [ANN, BEN] {
        world.unlist("jane", number);
    }
    for number in [ANN, BEN] {
        world.client(number).taps("consent:yes");
    }
    world.client(ANN).called("Annie").writes("Hello");
    let read = vars(&world, BEN, "group_message");
    assert_eq!((read["participant"].as_str(), read["text"].as_str()), ("1", "Hello"));
    world.client(BEN).sends(picture(None));
    let read = world.sent_to(ANN);
    assert_eq!(read[read.len() - 2..][0], "group_message", "who sent the picture stands before it");
    for (one, other) in [(ANN, BEN), (BEN, ANN)] {
        let all = all_of(&world, one);
        assert!(!all.contains(other) && !all.contains(&other[1..]) && (one == ANN || !all.contains("Annie")), "{all}");
    }
    let mut listed = contacts(|_| {});
    listed.says("jane", "/contact edit Ben first=015112345699 last=x");
    create(&mut listed, &[ANN, BEN]);
    listed.client(ANN).taps("consent:yes");
    assert_eq!(vars(&listed, ANN, "group_members")["members"], "", "a number for a name is no name");
    assert_eq!(vars(&listed, ANN, "group_members")["unnamed"], "1");
}

#[test]
fn consent_words_buttons_and_signs_are_for_the_firm_alone() {
    let mut world = group();
    let before = world.sent_to(BEN);
    world.client(ANN).writes("Help");
    world.client(ANN).taps("something");
    world.client(ANN).sends(Content::Sign { kind: "reaction".to_owned(), detail: "👍".to_owned() });
    world.client(ANN).writes("please stop texting me");
    assert_eq!(world.sent_to(BEN), before);
    let review = world.posts.iter().rfind(|post| post.reply.code == Code::ConsentReview).unwrap().clone();
    world.presses_on(&review, "jane", "review-clear");
    world.client(ANN).writes("Thanks");
    assert_eq!(world.sent_to(BEN).last().unwrap(), "Ann Lee: Thanks");
    let before = world.sent_to(BEN);
    world.client(ANN).writes("STOP");
    world.client(ANN).writes("I am still angry");
    world.passes(Span::minutes(1));
    world.client(ANN).writes("YES");
    assert_eq!(world.sent_to(BEN), before, "neither the stop, nor what is said while it stands, nor the yes");
    world.client(ANN).writes("yes");
    assert_eq!(world.sent_to(BEN).last().unwrap(), "Ann Lee: yes", "an answer that moves no consent is an ordinary word");
}

#[test]
fn s4_3_pictures_are_passed_on_by_the_kept_file() {
    let mut world = group();
    world.log.clear();
    world.client(ANN).sends(picture(Some("my cat")));
    let sent = world.sends.last().unwrap().clone();
    let Body::Media { file, caption } = &sent.body else { panic!("{sent:?}") };
    assert_eq!((sent.to.as_str(), caption.as_deref()), (BEN, Some("Ann Lee: my cat")));
    assert_eq!(file.contact, world.contact(ANN).id, "it is hers, and nobody makes a second one");
    let fetched = world.log.iter().position(|line| line.starts_with("fetch")).unwrap();
    let uploaded = world.log.iter().position(|line| line.starts_with("upload")).unwrap();
    assert!(fetched < uploaded, "{:?}", world.log);
    assert_eq!(the_room(&world).files, 1, "S1-19: one file");
    assert!(world.told(GROUP).iter().any(|line| line.starts_with("client_message Ann Lee: picture")));
}

#[test]
fn s4_3_a_picture_that_waits_goes_when_its_reader_writes() {
    let mut world = group();
    world.passes(Span::hours(25));
    world.client(ANN).sends(picture(None));
    assert!(!all_of(&world, BEN).contains("media-1"));
    assert_eq!(world.client(BEN).writes("Hello")[0], format!("[{}] Ann Lee:", picture_name(&world)));
}

fn picture_name(world: &World) -> String {
    let all: Vec<Message> = world.all("message/");
    let mut files = all.iter().filter_map(|message| match &message.body {
        Body::Media { file, .. } => Some(file.name.clone()),
        _ => None,
    });
    files.next_back().unwrap()
}

#[test]
fn a_picture_that_cannot_be_had_fails_and_holds_up_nobody() {
    let mut world = group();
    world.file_troubles.extend([("131052", "gone"), ("131052", "gone")]);
    world.client(ANN).sends(picture(None));
    world.client(ANN).writes("Did you get it?");
    assert_eq!(world.sent_to(BEN).last().unwrap(), "Ann Lee: Did you get it?");
    assert!(world.told(GROUP).contains(&"failed(attachment)".to_owned()), "{:?}", world.told(GROUP));
}

#[test]
fn what_cannot_be_passed_on_is_named() {
    let mut world = group();
    let place = Content::Other { kind: "location".to_owned(), id: None, caption: Some("52.5, 13.4".to_owned()) };
    world.client(ANN).sends(place);
    let read = vars(&world, BEN, "group_thing");
    assert_eq!((read["members"].as_str(), read["text"].as_str()), ("Ann Lee", "52.5, 13.4"));
}

#[test]
fn a_text_as_long_as_it_may_be_is_passed_on_whole() {
    let mut world = group();
    let text = "word ".repeat(819) + "x";
    world.client(ANN).writes(&text);
    let parts: Vec<String> = world.sent_to(BEN).into_iter().filter(|read| read.starts_with("Ann Lee: word")).collect();
    assert_eq!(parts.len(), 2);
    assert!(parts.iter().all(|part| part.chars().count() <= 4096));
    let words = |text: &str| text.matches("word").count();
    assert_eq!(parts.iter().map(|part| words(part)).sum::<usize>(), words(&text));
}

#[test]
fn with_advisors_only_the_firm_sees_them() {
    let mut world = group_with(|policy| policy.group_relay = GroupRelay::Advisors);
    world.client(ANN).writes("Hello Ben");
    assert_eq!(world.last_told(GROUP), "client_message Ann Lee: Hello Ben");
    assert_eq!(world.sent_to(BEN), ["<liaison_invitation>", "welcome"], "and nobody reads who else is there");
}

#[test]
fn what_waits_of_clients_takes_no_advisors_place() {
    let mut world = group_with(|policy| policy.held_max = 2);
    world.passes(Span::hours(25));
    for nth in 0..3 {
        world.client(ANN).writes(&format!("word {nth}"));
    }
    assert_eq!(world.last_reply(GROUP).vars["refused"], json!([{ "name": "Ben Orr", "gate": "held-max" }]));
    world.in_room(GROUP).says("jane", "Good morning");
    let waits: Vec<Message> = world.all("message/");
    let held = waits.iter().filter(|message| matches!(message.state, MessageState::Held { .. })).count();
    assert_eq!(held, 3, "two of Ann's and Jane's own");
}

#[test]
fn a_window_that_whatsapp_says_is_closed_keeps_passed_on_words_too() {
    let mut world = group();
    world.troubles.push_back(Trouble::Fails("131047"));
    world.client(ANN).writes("Hello Ben");
    assert_eq!(world.state_of("Ann Lee: Hello Ben"), "held(window)");
    world.passes(Span::minutes(1));
    assert_eq!(world.client(BEN).writes("Hi")[0], "Ann Lee: Hello Ben");
}

#[test]
fn passed_on_words_of_which_nobody_knows_can_be_sent_again() {
    let mut world = group();
    world.troubles.push_back(Trouble::UnknownAndLost);
    world.client(ANN).writes("Hello Ben");
    world.passes(Span::minutes(2));
    assert_eq!(world.state_of("Ann Lee: Hello Ben"), "unconfirmed");
    world.presses("jane", "send-again");
    assert_eq!(world.sent_to(BEN).last().unwrap(), "Ann Lee: Hello Ben");
    assert!(world.messages().is_empty(), "they stay a client's words");
}

// ---- who is in the group

#[test]
fn each_contact_reads_who_is_in_the_group_when_he_comes_in_and_the_others_that_he_came() {
    let mut world = contacts(|_| {});
    create(&mut world, &[ANN, BEN, CID]);
    assert_eq!(world.sent_to(ANN), ["<liaison_invitation>"], "nothing before consent");
    assert_eq!(world.client(ANN).taps("consent:yes"), ["welcome", "group_members"]);
    assert_eq!(vars(&world, ANN, "group_members")["members"], "Ben Orr, Cid Roe");
    assert_eq!(world.sent_to(BEN), ["<liaison_invitation>"], "nothing of the group before consent");
    world.client(BEN).taps("consent:yes");
    assert_eq!(world.sent_to(BEN), ["<liaison_invitation>", "welcome", "group_members"]);
    assert_eq!(vars(&world, BEN, "group_members")["members"], "Ann Lee, Cid Roe");
    assert_eq!(world.sent_to(ANN).last().unwrap(), "group_joined");
    assert_eq!(vars(&world, ANN, "group_joined")["members"], "Ben Orr");
    world.client(BEN).writes("Hello");
    assert_eq!(world.sent_to(BEN).iter().filter(|text| *text == "group_members").count(), 1, "once");
}

#[test]
fn s4_4_a_client_who_comes_in_reads_of_every_advisor_who_is_there() {
    let mut world = contacts(|_| {});
    world.says("jane", &format!("/group create \"{GROUP}\" contacts={ANN},{BEN} @bob.ray@acme.com --standard"));
    world.client(ANN).taps("consent:yes");
    let read = vars(&world, ANN, "group_members");
    assert_eq!((read["advisors"].as_str(), read["members"].as_str()), ("Jane Doe, Bob Ray", "Ben Orr"), "the owner first");
    // Who comes later is announced by himself, and named to those who come after him.
    world.in_room(GROUP).says("jane", "/room add @olga@acme.com");
    assert_eq!(world.sent_to(ANN).last().unwrap(), "advisor_joined");
    world.in_room(GROUP).says("jane", "/room remove @bob.ray@acme.com");
    world.presses("jane", "confirm");
    world.client(BEN).taps("consent:yes");
    assert_eq!(vars(&world, BEN, "group_members")["advisors"], "Jane Doe, Olga Onboarder");
}

#[test]
fn s4_4_advisors_who_are_not_named_are_counted() {
    let mut world = contacts(|policy| {
        let rights = policy.advisors["bob.ray@acme.com"].clone();
        for nth in 0..40 {
            let email = format!("a{nth}@acme.com");
            policy.advisors.insert(email.clone(), Rights { email, ..rights.clone() });
        }
    });
    create(&mut world, &[ANN, BEN]);
    let mut room = the_room(&world);
    for nth in 0..40 {
        let name = format!("Advisor Number-{nth} {}", "x".repeat(70));
        let (id, email) = (UserId(100 + nth), Some(format!("a{nth}@acme.com")));
        world.feed(Fact::UserFound { user: Person { id, name: name.clone(), email, service: false } });
        room.members.insert(id, RoomMember { name, owner: false });
    }
    world.put(&room);
    world.client(ANN).taps("consent:yes");
    let read = vars(&world, ANN, "group_members");
    let named = read["advisors"].split(", ").count();
    assert!(read["advisors"].starts_with("Jane Doe, ") && named > 1, "{read:?}");
    assert_eq!(read["unnamed"], (41 - named).to_string(), "all of them: Ben is named");
    assert!(read["advisors"].chars().count() + read["members"].chars().count() <= 640, "it fits into a notice");
}

#[test]
fn a_room_that_every_advisor_has_left_names_none_to_a_client_who_comes_in() {
    let mut world = group();
    world.in_room(GROUP).says("jane", "/room add Cid Roe");
    world.presses("jane", "confirm");
    world.in_room(GROUP).says("jane", "/room leave");
    world.presses("jane", "confirm");
    world.client(CID).taps("consent:yes");
    let read = vars(&world, CID, "group_members");
    assert_eq!((read["advisors"].as_str(), read["members"].as_str(), read["unnamed"].as_str()), ("", "Ann Lee, Ben Orr", ""));
}

#[test]
fn in_a_closed_window_it_is_the_template_of_notices() {
    let mut world = group();
    world.passes(Span::hours(25));
    world.in_room(GROUP).says("jane", "/room add Cid Roe");
    world.presses("jane", "confirm");
    world.client(CID).taps("consent:yes");
    assert_eq!(world.sent_to(ANN).last().unwrap(), "<liaison_notice>");
    let notice = vars(&world, ANN, "<liaison_notice>");
    assert_eq!((notice["notice_text"].as_str(), notice["members"].as_str()), ("group_joined", "Cid Roe"));
    assert_eq!(vars(&world, CID, "group_members")["members"], "Ann Lee, Ben Orr");
}

#[test]
fn one_who_is_added_reads_nothing_that_was_said_before_he_came() {
    let mut world = group();
    world.in_room(GROUP).says("jane", "/room add Cid Roe");
    world.presses("jane", "confirm");
    world.client(ANN).writes("About Cid");
    assert_eq!(world.sent_to(BEN).last().unwrap(), "Ann Lee: About Cid");
    world.client(CID).taps("consent:yes");
    assert!(!all_of(&world, CID).contains("About Cid"), "Ann did not know that he would read it");
    world.client(ANN).writes("Welcome");
    assert_eq!(world.sent_to(CID).last().unwrap(), "Ann Lee: Welcome");
}

#[test]
fn by_sms_it_is_the_same() {
    let mut world = World::with(direct_line);
    world.says("jane", "/contact add Ann Lee phone=+4915112345678 channel=sms");
    world.says("jane", "/contact add Sam Hill phone=+19175550123 channel=sms");
    let told = world.says("jane", &format!("/group create \"{GROUP}\" contacts={ANN},{SAM}"));
    assert_eq!(told.last().unwrap(), "answer group-standard");
    assert_eq!(world.last_reply("jane").vars["standard"], "sms");
    assert_eq!(world.sent_to(ANN), ["welcome", "group_members"], "Ann need not be asked");
    world.in_room(GROUP).says("jane", "Good morning");
    assert_eq!(world.sent_to(ANN).last().unwrap(), "Good morning");
    assert_eq!(world.sent_to(SAM).last().unwrap(), "opt_in", "S2-6");
    world.client(SAM).by_sms().writes("Yes");
    assert_eq!(world.sent_to(SAM)[2..], ["opted_in", "group_members", "Good morning"]);
    assert_eq!(world.sent_to(ANN).last().unwrap(), "group_joined");
    world.client(SAM).by_sms().writes("Morning");
    // The room last used is the group: Sam's own room is older.
    assert_eq!(world.sent_to(ANN).last().unwrap(), "Sam Hill: Morning");
    world.client(SAM).by_sms().sends(picture(Some("my cat")));
    assert_eq!(vars(&world, ANN, "group_thing")["text"], "my cat", "no pictures by SMS");
}

// ---- a stop

#[test]
fn a_stop_by_one_ends_his_consent_and_nothing_for_the_others() {
    let mut world = group();
    world.passes(Span::hours(25));
    world.client(ANN).writes("Waits for Ben");
    world.in_room(GROUP).says("jane", "Waits too");
    let (ann, posts) = (world.sent_to(ANN), world.posts.len());
    world.client(BEN).writes("STOP");
    assert!(world.consent(BEN).is_opted_out() && world.consent(ANN).is_opted_in());
    assert_eq!(world.state_of("Ann Lee: Waits for Ben"), "withdrawn(consent)");
    assert_eq!(world.sent_to(ANN), ann, "the others read nothing of it");
    let told: Vec<String> = world.posts[posts..].iter().map(said_as).collect();
    assert_eq!(told.iter().filter(|line| *line == "withdrawn(consent)").count(), 1, "Jane's own: {told:?}");
    assert!(told.contains(&"consent_no".to_owned()));
    world.client(ANN).writes("Hello?");
    world.in_room(GROUP).says("jane", "Hello Ann");
    assert_eq!(world.sent_to(ANN).last().unwrap(), "Hello Ann", "the others go on");
    assert_eq!(world.sent_to(BEN).last().unwrap(), "opted_out", "nothing more");
}

#[test]
fn nothing_is_passed_on_to_one_who_is_blocked_or_from_him() {
    let mut world = group();
    let mut ben: Contact = world.contact(BEN);
    ben.blocked = Some("spam".to_owned());
    world.put(&ben);
    let before = world.sent_to(BEN);
    world.client(ANN).writes("Hello");
    world.client(BEN).writes("Buy this");
    assert_eq!(world.sent_to(BEN), before);
    assert!(!all_of(&world, ANN).contains("Buy this"));
}

#[test]
fn s3_1_one_who_was_blocked_before_he_came_in_reads_who_is_there_before_his_words_are_passed_on() {
    let mut world = invited(|_| {});
    world.says("cora", &format!("/contact block {BEN} reason=spam"));
    for number in [ANN, BEN] {
        world.set_consent(number, Consent::OptedIn { at: MIDNIGHT });
    }
    world.client(ANN).writes("I am here");
    assert_eq!(world.sent_to(BEN), ["<liaison_invitation>"]);
    world.says("cora", &format!("/contact unblock {BEN}"));
    assert_eq!(world.last_reply("cora").vars["groups"], json!([GROUP]), "who lifted it reads what the client reads");
    assert_eq!(world.sent_to(BEN)[1..], ["<liaison_notice>"], "he has not written yet");
    assert_eq!(vars(&world, BEN, "<liaison_notice>")["notice_text"], "group_members");
    world.client(ANN).writes("I am Ann");
    world.client(BEN).writes("Hello all");
    assert!(world.told(GROUP).contains(&"client_message Ben Orr: Hello all".to_owned()));
    assert_eq!(world.sent_to(ANN).last().unwrap(), "Ben Orr: Hello all", "his first word is passed on");
    // Whoever was in it before is told nothing.
    let before = world.sent_to(BEN).len();
    world.says("cora", &format!("/contact block {BEN} reason=spam"));
    world.says("cora", &format!("/contact unblock {BEN}"));
    assert_eq!((world.sent_to(BEN).len(), &world.last_reply("cora").vars["groups"]), (before, &json!([])));
}

// ---- into the room and out

#[test]
fn s0_10_adding_a_contact_asks_first_and_invites_him() {
    let mut world = group();
    world.client(ANN).writes("Hi");
    assert_eq!(world.in_room(GROUP).says("jane", "/room add Cid Roe"), ["confirm confirm-room-contact-add"]);
    assert!(world.sent_to(CID).is_empty() && the_room(&world).contacts.len() == 2, "nothing before the confirmation");
    assert_eq!(world.last_reply(GROUP).vars["others"], json!(["Ann Lee", "Ben Orr"]));
    let told = world.presses("jane", "confirm");
    assert_eq!(told, ["answer room-contact-added"]);
    assert_eq!(world.last_reply(GROUP).vars["status"], "INACTIVE", "until Cid replies");
    assert_eq!(world.sent_to(CID), ["<liaison_invitation>"], "S3-6: adding is the confirmed act");
    let room = the_room(&world);
    assert!(room.contacts.contains(&world.contact(CID).id) && world.contact(CID).rooms.contains(&room.key));
    world.client(CID).taps("consent:yes");
    world.in_room(GROUP).says("jane", "/room info");
    assert_eq!(world.last_reply(GROUP).vars["room"]["status"], "ACTIVE");
}

#[test]
fn s0_10_who_cannot_be_added_is_refused_by_name() {
    let mut world = group_with(direct_line);
    let add = |world: &mut World, who: &str| world.in_room(GROUP).says("jane", &format!("/room add {who}"));
    assert_eq!(add(&mut world, "Ann Lee"), ["refusal(already-member)"]);
    world.says("jane", "/contact add Sam Hill phone=+19175550123 channel=sms");
    assert_eq!(add(&mut world, "Sam Hill"), ["refusal(mixed-channels)"]);
    let now = world.now;
    world.set_consent(CID, Consent::OptedOut { at: now });
    assert_eq!(add(&mut world, "Cid Roe"), ["refusal(opted-out)"]);
    world.set_consent(CID, Consent::Unreachable { since: now, before: Box::new(Consent::None) });
    assert_eq!(add(&mut world, "Cid Roe"), ["not_on_whatsapp(not-on-whatsapp)"]);
    assert_eq!(the_room(&world).contacts.len(), 2);
}

#[test]
fn s4_30_the_wall_between_sub_organisations_stands_for_added_contacts() {
    let mut world = group();
    let email = format!("{}@x.de", CID.trim_start_matches('+'));
    world.says("eve", &format!("/contact add Cid Roe phone={CID} email={email} channel=whatsapp --room"));
    assert_eq!(world.in_room(GROUP).says("jane", "/room add Cid Roe"), ["refusal(no-line-left)"]);
}

#[test]
fn s0_10_removing_a_contact_withdraws_what_waits_for_him() {
    let mut world = group();
    world.passes(Span::hours(25));
    world.client(ANN).writes("For Ben");
    world.in_room(GROUP).says("jane", "For both");
    assert_eq!(world.in_room(GROUP).says("jane", "/room remove Ben Orr"), ["confirm confirm-room-contact-remove"]);
    assert_eq!(world.last_reply(GROUP).vars["held"], 2);
    let told = world.presses("jane", "confirm");
    assert_eq!(told, ["withdrawn(membership)", "answer room-contact-removed"]);
    assert_eq!((world.state_of("Ann Lee: For Ben").as_str(), world.contact(BEN).rooms.len()), ("withdrawn(membership)", 0));
    let before = world.sent_to(BEN);
    world.in_room(GROUP).says("jane", "Only Ann");
    world.client(ANN).writes("Only Jane");
    assert_eq!(world.sent_to(BEN), before);
    world.client(BEN).writes("Where am I?");
    assert_eq!(world.last_told("Ben Orr"), "client_message Ben Orr: Where am I?", "a room of his own");
    assert!(!all_of(&world, ANN).contains("Where am I"));
    assert_eq!(world.in_room(GROUP).says("jane", "/room remove Ben Orr"), ["refusal(not-a-member)"]);
}

#[test]
fn s0_10_with_the_last_contact_the_room_is_deactivated() {
    let mut world = group();
    world.in_room(GROUP).says("jane", "/room remove Ben Orr");
    world.presses("jane", "confirm");
    world.in_room(GROUP).says("jane", "/room remove Ann Lee");
    assert_eq!(world.last_reply(GROUP).vars["last"], true, "warned");
    world.presses("jane", "confirm");
    assert_eq!(the_room(&world).state, RoomState::Deactivated);
    assert!(world.members.iter().any(|effect| matches!(effect, Effect::DeactivateRoom { .. })));
    assert!(world.contact(ANN).rooms.is_empty());
    assert_eq!(world.last_told("jane"), "answer room-contact-removed");
}

#[test]
fn one_who_comes_back_reads_again_who_is_there() {
    let mut world = group();
    for command in ["/room remove Ben Orr", "/room add Ben Orr"] {
        world.in_room(GROUP).says("jane", command);
        world.presses("jane", "confirm");
    }
    assert_eq!(world.sent_to(BEN).iter().filter(|text| *text == "group_members").count(), 2);
    assert_eq!(world.sent_to(ANN).last().unwrap(), "group_joined");
}

#[test]
fn a_room_for_one_becomes_a_group_when_another_is_added() {
    let mut world = World::agreed(|_| {});
    add(&mut world, "Ben Orr", BEN);
    world.in_room("Ann Lee").says("jane", "/room add Ben Orr");
    world.presses("jane", "confirm");
    assert_eq!(world.sent_to(ANN).last().unwrap(), "group_members", "Ann reads that she is not alone any more");
    world.client(BEN).taps("consent:yes");
    world.client(BEN).writes("Hello");
    assert_eq!(world.sent_to(ANN).last().unwrap(), "Ben Orr: Hello");
}

// ---- /group create

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|nth| format!("+49151123400{nth:02}")).collect()
}

#[test]
fn s1_5_nine_contacts_make_a_standard_group_and_the_advisor_is_told() {
    let mut world = World::new();
    for (nth, number) in numbers(31).iter().enumerate() {
        add(&mut world, &format!("Client N{}", (b'a' + nth as u8) as char), number);
    }
    let create = |world: &mut World, count: usize| {
        world.says("jane", &format!("/group create \"Group {count}\" contacts={}", numbers(count).join(",")));
        world.last_reply("jane")
    };
    assert_eq!(create(&mut world, 9).vars["standard"], "too-many");
    assert_eq!(world.room("Group 9").contacts.len(), 9);
    assert_eq!(create(&mut world, 8).template, "group-native", "S1-6");
    assert!(world.room("Group 8").is_native() && !world.room("Group 9").is_native());
    let refused = create(&mut world, 31);
    assert_eq!((refused.code, refused.reason.as_deref()), (Code::Refusal, Some("bad-argument")));
    assert!(!world.has_room("Group 31"));
}

#[test]
fn a_list_of_contacts_may_stand_in_one_pair_of_quotes() {
    let mut world = contacts(|_| {});
    let told = world.says("jane", &format!("/group create \"{GROUP}\" contacts=\"Ann Lee, Ben Orr\" --standard"));
    assert_eq!(told.last().unwrap(), "answer group-standard");
    assert_eq!(the_room(&world).contacts.len(), 2);
    let told = world.says("jane", "/group create \"Other\" contacts=\"Ann Lee, Bea Orr\" --standard");
    assert_eq!(told, ["refusal(no-such-contact)"]);
    assert_eq!(world.last_reply("jane").vars["typed"], "Bea Orr");
}

#[test]
fn the_same_contact_twice_is_one_contact() {
    let mut world = contacts(|_| {});
    create(&mut world, &[ANN, BEN, ANN, "\"Ann Lee\""]);
    assert_eq!(the_room(&world).contacts.len(), 2);
    assert_eq!(world.sent_to(ANN), ["<liaison_invitation>"]);
}

#[test]
fn s1_1_without_the_feature_it_is_a_standard_group_that_says_so() {
    let mut world = contacts(|policy| policy.native_groups = false);
    world.says("jane", &format!("/group create \"{GROUP}\" contacts={ANN},{BEN}"));
    let reply = world.last_reply("jane");
    assert_eq!((&reply.vars["standard"], reply.reason.as_deref()), (&json!("feature-off"), Some("feature-off")));
    assert_eq!(the_room(&world).contacts.len(), 2);
}

#[test]
fn s1_2_only_those_who_may_make_groups() {
    let mut world = contacts(|_| {});
    let told = world.says("carl", &format!("/group create \"{GROUP}\" contacts={ANN},{BEN}"));
    assert_eq!(told, ["refusal(no-permission)"]);
}

#[test]
fn a_groups_name_has_up_to_128_characters_and_its_room_as_many_words_as_fit() {
    let long = |words: usize| format!("{}end", "family ".repeat(words));
    let cut = format!("{}…", ["family"; 7].join(" "));
    for (standard, name, room) in [
        ("", "x".repeat(49), "x".repeat(49)),
        ("", "x".repeat(50), format!("{}…", "x".repeat(48))),
        ("", long(10), cut.clone()),
        (" --standard", long(17), cut),
    ] {
        let mut world = contacts(|_| {});
        let told = world.says("jane", &format!("/group create \"{name}\" contacts={ANN},{BEN}{standard}"));
        assert!(told.last().unwrap().starts_with("answer group-"), "{told:?}");
        let reply = world.last_reply("jane");
        assert_eq!((&reply.vars["name"], &reply.vars["room"]), (&json!(name), &json!(room)));
        let native = world.room(&room).native;
        assert_eq!(native.map(|native| native.subject), standard.is_empty().then_some(name));
        assert!(room.chars().count() <= 49, "{room}");
    }
    let mut world = contacts(|_| {});
    world.says("jane", &format!("/group create \"{}\" contacts={ANN},{BEN}", long(10)));
    let told = world.says("jane", &format!("/group create \"{} too\" contacts={ANN},{BEN}", long(10)));
    assert_eq!(told, ["refusal(name-taken)"], "another group whose room would be called the same");
    let told = world.says("jane", &format!("/group create \"{}\" contacts={ANN},{BEN}", "x".repeat(129)));
    assert_eq!(told, ["refusal(name-too-long)"]);
    let reply = world.last_reply("jane");
    assert_eq!((&reply.vars["most"], &reply.vars["length"]), (&json!(128), &json!(129)));
}

#[test]
fn group_create_refuses_before_anything_is_made() {
    let mut world = contacts(direct_line);
    world.says("jane", "/contact add Sam Hill phone=+19175550123 channel=sms");
    let rooms = world.rooms().len();
    assert_eq!(create(&mut world, &[ANN, SAM]), ["refusal(mixed-channels)"]);
    assert_eq!(create(&mut world, &[ANN, "+4915100000000"])[0], "refusal(no-such-contact)");
    assert_eq!(world.says("jane", "/group create \"x\" --standard"), ["refusal(bad-argument)"]);
    let now = world.now;
    world.set_consent(BEN, Consent::OptedOut { at: now });
    assert_eq!(create(&mut world, &[ANN, BEN]), ["refusal(opted-out)"]);
    let walled = format!("/group create \"x\" contacts={ANN} --standard @eve.fox@acme.com");
    assert_eq!(world.says("jane", &walled), ["refusal(other-sub-org)"], "S4-30");
    assert_eq!(world.rooms().len(), rooms);
    assert!(world.sent_to(ANN).is_empty());
}

#[test]
fn the_form_makes_the_same_group() {
    let mut world = contacts(|policy| policy.native_groups = false);
    assert_eq!(world.says("jane", "/group create"), ["form"]);
    let form = world.question();
    let fields = json!({ "action": "submit", "name": GROUP, "contacts": format!("Ann Lee, {BEN}\n{CID}"), "advisors": [2], "native": "on" });
    world.submits(&form, "jane", fields);
    assert_eq!(world.last_reply("jane").vars["standard"], "feature-off");
    let room = the_room(&world);
    assert_eq!((room.contacts.len(), room.members.len()), (3, 2));
    world.says("jane", "/group create");
    let form = world.question();
    world.submits(&form, "jane", json!({ "action": "submit", "name": "Other", "contacts": "Ann Lee,Ben Orr" }));
    assert_eq!(world.last_reply("jane").vars["standard"], "asked", "S1-8: a box that is not ticked");
    world.says("jane", "/group create");
    let form = world.question();
    world.submits(&form, "jane", json!({ "action": "submit", "name": "Third", "contacts": "Nobody", "native": "on" }));
    let again = world.last_reply("jane");
    assert_eq!((again.template.as_str(), &again.vars["values"]["contacts"]), ("form-group-create", &json!("Nobody")));
}

// ---- what is shown of it

#[test]
fn s1_19_room_info_shows_all_contacts_with_their_windows() {
    let mut world = group();
    world.passes(Span::hours(25));
    world.client(ANN).writes("Hello");
    world.in_room(GROUP).says("jane", "/room info");
    let room = world.last_reply(GROUP).vars["room"].clone();
    let of = |nth: usize, what: &str| room["contacts"][nth][what].clone();
    assert_eq!((of(0, "name"), of(1, "name")), (json!("Ann Lee"), json!("Ben Orr")));
    assert_eq!((&of(0, "window")["open"], &of(1, "window")["open"]), (&json!(true), &json!(false)));
    assert_eq!((&room["status"], &room["members"]), (&json!("INACTIVE"), &json!([{ "name": "Jane Doe", "owner": true }])));
    assert!(room["link"].is_string() && room["attachments"] == 0 && room["created_at"].is_number());
    world.client(BEN).writes("Hello");
    world.says("jane", "/room list");
    let rooms = world.last_reply("jane").vars["rooms"].clone();
    assert_eq!(rooms[0]["status"], "ACTIVE");
    assert_eq!(rooms[0]["contacts"].as_array().map(Vec::len), Some(2));
    world.in_room(GROUP).says("jane", "/queue list");
    assert_eq!(world.last_reply(GROUP).vars["count"], 0);
}

#[test]
fn the_queue_names_the_client_whose_words_wait() {
    let mut world = group();
    world.passes(Span::hours(25));
    world.client(ANN).writes("Hello");
    world.in_room(GROUP).says("jane", "/queue list");
    let rows: Value = world.last_reply(GROUP).vars["messages"].clone();
    assert_eq!((&rows[0]["author"], &rows[0]["contact"]), (&json!("Ann Lee"), &json!("Ben Orr")));
    let id = rows[0]["id"].as_str().unwrap();
    assert_eq!(world.in_room(GROUP).says("jane", &format!("/queue cancel {id}")), ["refusal(not-yours)"]);
}

// ---- WhatsApp's own groups

/// Ann and Ben have agreed; a WhatsApp group was asked for.
fn native() -> World {
    let mut world = contacts(|_| {});
    world.says("jane", &format!("/group create \"{GROUP}\" contacts={ANN},{BEN}"));
    world.client(ANN).taps("consent:yes");
    world.client(BEN).taps("consent:yes");
    world
}

#[test]
fn s1_8_a_native_group_is_made_when_asked_for() {
    let mut world = contacts(|_| {});
    let told = world.says("jane", &format!("/group create \"{GROUP}\" contacts={ANN},{BEN}"));
    assert_eq!(told.last().unwrap(), "answer group-native");
    let room = the_room(&world);
    assert_eq!(room.native.unwrap().subject, GROUP, "S1-7");
    assert!(world.group_calls.iter().any(|call| matches!(call, GroupCall::Create { .. })));
}

#[test]
fn s1_1_where_whatsapp_makes_none_its_clients_read_each_other_as_in_a_standard_group() {
    let mut world = native();
    assert!(!world.sent_to(ANN).contains(&"group_members".to_owned()), "WhatsApp shows its members itself");
    let request = world.answers.last().unwrap().clone();
    let news = GroupNews::NotCreated { request, code: "131214".to_owned(), detail: "not eligible".to_owned() };
    world.feed(Fact::GroupTold(GroupTold { line: LineId::new(LINE), group: GroupId::new(""), news }));
    world.work_off();
    assert_eq!(world.last_told(GROUP), "notice group-fell-back");
    assert_eq!(
        (world.sent_to(ANN).pop(), world.sent_to(BEN).pop()),
        (Some("group_members".to_owned()), Some("group_members".to_owned()))
    );
    // What she tapped before there was a group opened a room of her own; now this one is used last.
    world.passes(Span::minutes(1));
    world.in_room(GROUP).says("jane", "Hello");
    world.client(ANN).writes("Hello Ben");
    assert_eq!(world.sent_to(BEN).last().unwrap(), "Ann Lee: Hello Ben");
}

#[test]
fn s1_10_one_who_was_blocked_gets_his_link_and_the_group_its_words_when_the_block_ends() {
    let mut world = contacts(|_| {});
    for number in [ANN, BEN] {
        world.set_consent(number, Consent::OptedIn { at: MIDNIGHT });
    }
    world.says("jane", &format!("/group create \"{GROUP}\" contacts={ANN},{BEN}"));
    world.says("cora", &format!("/contact block {BEN} reason=spam"));
    let request = world.answers.last().unwrap().clone();
    let (group, link) = (GroupId::new("group-1"), Some("https://chat.whatsapp.com/x".to_owned()));
    world.feed(Fact::GroupTold(GroupTold { line: LineId::new(LINE), group, news: GroupNews::Created { request, link } }));
    world.work_off();
    assert_eq!((world.sent_to(ANN).len(), world.sent_to(BEN).len()), (1, 0));
    world.says("cora", &format!("/contact unblock {BEN}"));
    assert_eq!(world.sent_to(BEN), ["<liaison_group_invite>"]);
    for (number, who) in [(ANN, "joined"), (BEN, "joined")] {
        let news = GroupNews::Joined { who: keys_of(number) };
        world.feed(Fact::GroupTold(GroupTold { line: LineId::new(LINE), group: GroupId::new("group-1"), news }));
        world.work_off();
        assert!(world.told(GROUP).contains(&"notice group-joined".to_owned()), "{who}");
    }
    world.client(ANN).in_group("group-1").writes("Hello");
    world.says("cora", &format!("/contact block {BEN} reason=spam"));
    world.in_room(GROUP).says("jane", "Good morning");
    assert_eq!(world.state_of("Good morning"), "held(blocked)");
    world.says("cora", &format!("/contact unblock {BEN}"));
    assert_eq!(world.state_of("Good morning"), "sent");
}

#[test]
fn s1_28_who_was_removed_from_a_native_group_is_barred_by_the_command_too() {
    let mut world = native();
    let add = |world: &mut World| world.in_room(GROUP).says("jane", "/room add Cid Roe");
    assert_eq!(add(&mut world), ["confirm confirm-room-contact-add"]);
    world.presses("jane", "confirm");
    assert_eq!(world.sent_to(CID), ["<liaison_invitation>"]);
    assert_eq!(add(&mut world), ["refusal(already-member)"]);
    world.in_room(GROUP).says("jane", "/room remove Cid Roe");
    assert_eq!(world.last_reply(GROUP).vars["barred"], true);
    world.presses("jane", "confirm");
    assert_eq!(add(&mut world), ["refusal(barred)"]);
    assert_eq!(world.in_room(GROUP).says("jane", "/room remove Cid Roe"), ["refusal(barred)"]);
    assert_eq!(the_room(&world).state, RoomState::Active);
}

// ---- who answers for it

#[test]
fn s1_22_a_promotion_changes_nothing_that_clients_read() {
    // Olga makes the group; Bob, whose number in the records is lower, is in it and lists nobody.
    let mut world = World::with(|_| {});
    world.says("olga", "/contact add Ann Lee phone=+4915112345678 email=ann@lee.de channel=whatsapp");
    world.says("olga", "/contact add Ben Orr phone=+4915112345699 email=ben@orr.de channel=whatsapp");
    world.says("olga", &format!("/room create \"{GROUP}\" {ANN} {BEN} @bob.ray@acme.com"));
    for number in [ANN, BEN] {
        world.client(number).taps("consent:yes");
    }
    let from_ann = |world: &mut World, text: &str| {
        world.client(ANN).writes(text);
        world.sent_to(BEN).pop().unwrap()
    };
    assert_eq!(from_ann(&mut world, "one"), "Ann Lee: one");
    world.in_room(GROUP).says("olga", "/room promote @bob.ray@acme.com");
    assert_eq!(from_ann(&mut world, "two"), "Ann Lee: two");
    assert_eq!(world.last_told(GROUP), "client_message Ann Lee: two");
    assert!(world.listing("bob", ANN).is_none(), "and nobody's list changes");
    // Who answers for the group goes: then Bob does, and the names stay.
    world.in_room(GROUP).says("olga", "/room leave");
    world.presses("olga", "confirm");
    assert_eq!(from_ann(&mut world, "three"), "Ann Lee: three", "as they know her");
    assert_eq!(world.last_told(GROUP), format!("client_message {ANN}: three"), "Olga's name for her is Olga's (S2-17)");
}
