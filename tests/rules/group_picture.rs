//! S1-22 and S1-25, of the group's picture: who gives it, what is taken, and when the room reads that it is there.
use super::native::*;
use crate::common::world::*;
use liaison::domain::effect::*;
use liaison::domain::event::*;
use liaison::domain::media::Media;
use liaison::domain::native::picture::SILENCE;
use liaison::domain::time::Span;
use serde_json::json;

fn gives_a_picture(world: &mut World, who: &str, files: &[(&str, u64)]) -> (Vec<GroupCall>, Reply) {
    let mark = world.group_calls.len();
    world.in_room(ROOM).sends_files(who, "/room photo", files);
    (world.group_calls[mark..].to_vec(), world.last_reply(ROOM))
}

fn picture_news(world: &mut World, request: &str, trouble: Option<&str>) -> String {
    let request = request.to_owned();
    news(
        world,
        match trouble {
            None => GroupNews::PictureChanged { request },
            Some(code) => GroupNews::PictureNotChanged { request, code: code.to_owned(), detail: "no".to_owned() },
        },
    );
    world.last_told(ROOM)
}

const FAMILY: [(&str, u64); 1] = [("family.jpg", 70_000)];

#[test]
fn s1_25_an_owner_gives_the_group_a_picture_and_the_room_reads_when_it_is_there() {
    let mut world = open();
    let (to_ann, into_group_before) = (world.sent_to(ANN).len(), into_group(&world).len());
    world.log.clear();
    let (calls, answer) = gives_a_picture(&mut world, "jane", &FAMILY);
    let [GroupCall::Picture { group, file }] = calls.as_slice() else { panic!("{calls:?}") };
    assert_eq!((group.as_str(), file.name.as_str(), file.mime.as_str()), (GROUP, "family.jpg", "image/jpeg"));
    assert!(file.is_kept() && file.sha256.is_some(), "it was fetched before: {:?}", world.log);
    assert_eq!((answer.code, answer.template.as_str()), (Code::Answer, "group-picture-asked"));
    let request = world.answers.last().unwrap().clone();
    assert_eq!(picture_news(&mut world, &request, None), "notice group-picture-changed");
    assert_eq!(world.last_reply(ROOM).vars["name"], "Jane Doe");

    assert_eq!((world.sent_to(ANN).len(), into_group(&world).len()), (to_ann, into_group_before), "no message, no template");
    assert!(!world.log.iter().any(|line| line.starts_with("upload")), "{:?}", world.log);
    assert!(world.all::<Media>("media/").iter().all(|media| media.is_kept()), "the bytes are evidence");
    let entry = world.entries.iter().find(|entry| entry.kind == "group.picture_changed").unwrap();
    assert!(entry.actor.contains("jane") && entry.contact.is_none() && entry.detail["file"].is_string(), "{entry:?}");
    assert!(world.kinds().contains(&"group.picture_asked"));
}

#[test]
fn s1_22_s1_25_only_owners_change_the_groups_picture() {
    let mut world = open();
    world.in_room(ROOM).says("jane", "/room add @bob.ray@acme.com");
    let (calls, refusal) = gives_a_picture(&mut world, "bob", &FAMILY);
    assert_eq!((calls.len(), refusal.reason.as_deref()), (0, Some("not-owner")));
    world.in_room(ROOM).says("jane", "/room promote @bob.ray@acme.com");
    let (calls, _) = gives_a_picture(&mut world, "bob", &FAMILY);
    assert_eq!(calls.len(), 1);
    let request = world.answers.last().unwrap().clone();
    picture_news(&mut world, &request, None);
    assert_eq!(world.last_reply(ROOM).vars["name"], "Bob Ray");
}

#[test]
fn s1_25_what_is_no_picture_for_a_group_is_said_before_anything_is_called() {
    let mut world = open();
    let sent = world.sends.len();
    world.log.clear();
    let (jpg, big): (&[_], &[_]) = (&[("a.jpg", 9), ("b.jpg", 9)], &[("a.jpg", (5 << 20) + 1)]);
    let table = [
        (&[][..], "is missing"),
        (jpg, "must be one, and 2 files"),
        (&[("a.png", 9)], "must be a JPEG"),
        (&[("a.pdf", 9)], "must be a JPEG"),
        (big, "may have 5 MB"),
        (&[("a.jpg", 0)], "is empty"),
    ];
    for (files, why) in table {
        let (calls, refusal) = gives_a_picture(&mut world, "jane", files);
        assert_eq!((calls.len(), refusal.reason.as_deref()), (0, Some("bad-argument")), "{files:?}");
        let told = refusal.vars["why"].as_str().unwrap();
        assert!(told.contains(why), "{files:?}: {told}");
    }
    assert!(world.dues().is_empty() && world.sends.len() == sent);
    assert!(!world.log.iter().any(|line| line.starts_with("fetch")), "{:?}", world.log);
    assert_eq!(gives_a_picture(&mut world, "jane", &FAMILY).0.len(), 1, "the next one goes");
}

#[test]
fn s1_25_only_a_whatsapp_group_has_a_picture() {
    let mut world = World::agreed(|_| {});
    world.in_room("Ann Lee").sends_files("jane", "/room photo", &FAMILY);
    let refusal = world.last_reply("Ann Lee");
    assert_eq!(refusal.reason.as_deref(), Some("bad-argument"));
    assert!(refusal.vars["why"].as_str().unwrap().contains("only for its own groups"), "{refusal:?}");
    assert!(!world.sent_to(ANN).concat().contains("family"), "nor does the client get it");
    let mut world = asked_for();
    let (calls, refusal) = gives_a_picture(&mut world, "jane", &FAMILY);
    assert_eq!((calls.len(), refusal.reason.as_deref()), (0, Some("busy")), "the group is being made");
}

#[test]
fn one_picture_at_a_time_and_news_of_another_request_is_of_another_picture() {
    let mut world = open();
    gives_a_picture(&mut world, "jane", &FAMILY);
    let first = world.answers.last().unwrap().clone();
    let (calls, refusal) = gives_a_picture(&mut world, "jane", &[("other.jpg", 9)]);
    assert_eq!((calls.len(), refusal.reason.as_deref()), (0, Some("busy")));
    let told = world.told(ROOM).len();
    picture_news(&mut world, "somebody-elses", None);
    assert_eq!(world.told(ROOM).len(), told, "nobody here asked for that");
    assert_eq!(picture_news(&mut world, &first, Some("131209")), "notice(131209)");
    assert_eq!(world.last_reply(ROOM).template, "group-picture-not-changed");
    assert_eq!(gives_a_picture(&mut world, "jane", &[("other.jpg", 9)]).0.len(), 1);
}

#[test]
fn the_webhook_of_a_picture_may_overtake_the_answer_and_a_repeated_call_is_told_of_once() {
    let mut world = open();
    world.no_files = true;
    gives_a_picture(&mut world, "jane", &FAMILY);
    // Nobody knows the request of a call that has no answer yet.
    assert_eq!(picture_news(&mut world, "early", None), "notice group-picture-changed");
    world.no_files = false;
    let calls = world.group_calls.len();
    world.work_off();
    assert_eq!(world.group_calls.len(), calls, "it is shown: nothing is handed over again");
    let told = world.told(ROOM).len();
    picture_news(&mut world, "early", Some("131000"));
    picture_news(&mut world, "early", None);
    assert_eq!(world.told(ROOM).len(), told, "the better end stands, and is told once");
}

#[test]
fn a_picture_that_cannot_be_had_or_is_refused_is_told_with_its_reason_and_keeps_nobody_out() {
    let mut world = open();
    world.file_troubles.push_back(("wrong-type", "its bytes are not of the type image/jpeg"));
    let (calls, reply) = gives_a_picture(&mut world, "jane", &FAMILY);
    assert_eq!((calls.len(), reply.reason.as_deref()), (0, Some("wrong-type")));
    world.found_size = Some(6 << 20);
    let (calls, reply) = gives_a_picture(&mut world, "jane", &FAMILY);
    assert_eq!((calls.len(), reply.reason.as_deref(), reply.vars["detail"].as_str()), (0, Some("too-large"), Some("6 MB")));
    world.found_size = None;
    world.group_troubles.push_back("not-square");
    let (calls, reply) = gives_a_picture(&mut world, "jane", &FAMILY);
    assert_eq!((calls.len(), reply.template.as_str()), (1, "group-picture-not-changed"));
    assert!(world.dues().is_empty() && world.kinds().contains(&"group.picture_refused"));

    world.no_files = true;
    gives_a_picture(&mut world, "jane", &FAMILY);
    world.client(BEN).taps("consent:yes");
    assert!(approved(&asks(&mut world, BEN)), "who asks to join waits for no file");
    world.in_room(ROOM).says("jane", "/room deactivate");
    world.presses("jane", "confirm");
    world.no_files = false;
    let calls = world.group_calls.len();
    world.work_off();
    assert!(world.group_calls.len() == calls && world.dues().is_empty(), "the room is over: {:?}", world.dues());
}

#[test]
fn where_whatsapp_says_nothing_of_the_picture_the_room_reads_that_nobody_knows() {
    let mut world = open();
    gives_a_picture(&mut world, "jane", &FAMILY);
    let request = world.answers.last().unwrap().clone();
    world.passes(Span(SILENCE.0 - 1_000));
    assert_ne!(world.last_told(ROOM), "notice group-picture-silent");
    world.passes(Span::minutes(1));
    assert_eq!(world.last_told(ROOM), "notice group-picture-silent");
    assert_eq!(picture_news(&mut world, &request, None), "notice group-picture-changed", "late, and told all the same");
}

#[test]
fn a_dry_run_tells_of_the_picture_and_hands_nothing_over() {
    let mut world = open();
    let calls = world.group_calls.len();
    world.in_room(ROOM).sends_files("jane", "/dryrun /room photo", &FAMILY);
    let items = world.last_reply(ROOM).vars["items"].clone();
    assert_eq!(items, json!([{ "kind": "picture", "file": "family.jpg" }]));
    assert_eq!((world.group_calls.len(), world.dues().len()), (calls, 0));
    assert!(world.room(ROOM).native.unwrap().picture.is_none());
}
