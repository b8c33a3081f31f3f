//! S4-3, S4-27: pictures and files both ways, in their order, all or none, and taken back before they go.
use crate::common::world::*;
use liaison::domain::event::*;
use liaison::domain::ids::*;
use liaison::domain::media::{Kind, Media};
use liaison::domain::time::Span;
use serde_json::json;

fn picture(caption: Option<&str>) -> Content {
    Content::Media(Box::new(ClientFile {
        kind: Kind::Picture,
        id: "900".to_owned(),
        mime: Some("image/jpeg; x=y".to_owned()),
        sha256: Some("ab".to_owned()),
        name: None,
        caption: caption.map(str::to_owned),
    }))
}

fn files(world: &World) -> Vec<Media> {
    world.all("media/")
}

#[test]
fn s4_3_a_clients_picture_is_kept_and_shown_in_the_room() {
    let mut world = World::agreed(|_| {});
    world.client(ANN).sends(picture(Some("my new house")));
    assert_eq!(world.last_told("Ann Lee"), "client_message Ann Lee: picture: my new house");
    let kept = files(&world).pop().unwrap();
    assert!(kept.is_kept() && kept.id.as_str().starts_with("f-") && kept.mime == "image/jpeg", "{kept:?}");
    let line = world.last_reply("Ann Lee");
    assert_eq!((line.files.len(), &line.files[0].id, &line.files[0].name), (1, &kept.id, &format!("{}.jpg", kept.id)));
    assert!(!line.vars.contains_key("lost"));
    let entry = world.entries.iter().find(|entry| entry.kind == "media.kept").unwrap();
    assert_eq!((&entry.detail["size"], &entry.detail["sha256"]), (&json!(3), &json!("ab")), "never the bytes");
}

#[test]
fn s4_3_what_the_client_writes_after_his_picture_stands_after_it() {
    let mut world = World::agreed(|_| {});
    world.no_files = true;
    world.client(ANN).sends(picture(None));
    world.client(ANN).writes("Do you like it?");
    assert!(!world.told("Ann Lee").contains(&"client_message Ann Lee: Do you like it?".to_owned()), "it does not overtake");
    world.no_files = false;
    world.work_off();
    let told = world.told("Ann Lee");
    assert_eq!(told[told.len() - 2..], ["client_message Ann Lee: picture", "client_message Ann Lee: Do you like it?"]);
}

#[test]
fn s4_3_a_picture_that_cannot_be_kept_is_named_with_its_ids_and_why() {
    let mut world = World::agreed(|_| {});
    world.file_troubles.push_back(("wrong-hash", "its bytes are not those of the hash that was told"));
    world.client(ANN).sends(picture(Some("hello")));
    let line = world.last_reply("Ann Lee");
    let lost = &line.vars["lost"];
    assert!(line.files.is_empty() && line.vars["caption"] == "hello");
    assert_eq!((&lost["theirs"], &lost["code"]), (&json!("900"), &json!("wrong-hash")));
    assert!(lost["id"].as_str().unwrap().starts_with("f-") && world.kinds().contains(&"media.lost"));
}

#[test]
fn s4_3_what_the_chat_would_not_take_is_kept_and_said() {
    let mut world = World::agreed(|_| {});
    world.found_size = Some(40 << 20);
    world.client(ANN).sends(picture(None));
    let line = world.last_reply("Ann Lee");
    assert!(line.files.is_empty() && files(&world)[0].is_kept());
    assert_eq!((&line.vars["lost"]["code"], &line.vars["lost"]["size"]), (&json!("too-large"), &json!("40 MB")));
}

#[test]
fn a_stop_under_a_picture_is_heard_and_the_picture_shown_and_a_yes_there_agrees_to_nothing() {
    let mut world = World::agreed(|_| {});
    world.client(ANN).sends(picture(Some("STOP")));
    assert!(world.consent(ANN).is_opted_out());
    assert!(world.told("Ann Lee").contains(&"client_message Ann Lee: picture: STOP".to_owned()));
    let mut world = World::invited(|_| {});
    world.client(ANN).sends(picture(Some("yes")));
    assert!(world.consent(ANN).is_pending());
}

#[test]
fn s4_3_an_advisors_picture_goes_with_its_text_and_nothing_overtakes_it() {
    let mut world = World::agreed(|_| {});
    world.log.clear();
    world.outbox_stands = true;
    world.in_room("Ann Lee").sends_files("jane", "Your depot", &[("chart.png", 9), ("terms.pdf", 9)]);
    world.in_room("Ann Lee").says("jane", "Any questions?");
    world.outbox_stands = false;
    world.work_off();
    let expected = ["[chart.png] Your depot", "[terms.pdf]", "Any questions?"];
    let sent = world.sent_to(ANN);
    assert_eq!(sent[sent.len() - 3..], expected);
    let fetches = world.log.iter().position(|line| line == "fetch terms.pdf");
    let first = world.log.iter().position(|line| line.contains("chart.png] Your depot"));
    assert!(fetches < first, "all are here before the first goes: {:?}", world.log);
}

#[test]
fn s4_3_words_that_do_not_fit_under_a_file_go_before_it() {
    let mut world = World::agreed(|_| {});
    world.in_room("Ann Lee").sends_files("jane", "Listen", &[("note.mp3", 9), ("chart.png", 9)]);
    let sent = world.sent_to(ANN);
    assert_eq!(sent[sent.len() - 3..], ["Listen", "[note.mp3]", "[chart.png]"]);
    let long = "x".repeat(1_025);
    world.in_room("Ann Lee").sends_files("jane", &long, &[("chart.png", 9)]);
    let sent = world.sent_to(ANN);
    assert_eq!(sent[sent.len() - 2..], [long, "[chart.png]".to_owned()]);
}

#[test]
fn s4_3_types_and_sizes_are_looked_at_before_anything_is_accepted() {
    type Files = &'static [(&'static str, u64)];
    let table: [(Files, &str, &str); 6] = [
        (&[("chart.png", 9), ("run.exe", 9)], "type", "run.exe"),
        (&[("photo.jpg", (5 << 20) + 1)], "size", "photo.jpg"),
        (&[("film.mp4", 17 << 20)], "size", "film.mp4"),
        (&[("empty.pdf", 0)], "empty", "empty.pdf"),
        (&[("nothing", 1)], "type", "nothing"),
        (&[("cat.gif", 1)], "type", "cat.gif"),
    ];
    for (attached, why, file) in table {
        let mut world = World::agreed(|_| {});
        let sent = world.sends.len();
        world.in_room("Ann Lee").sends_files("jane", "Look", attached);
        let refusal = world.last_reply("Ann Lee");
        assert_eq!(said_of(&refusal), ("attachment".to_owned(), why.to_owned(), file.to_owned()));
        assert!(world.sends.len() == sent && files(&world).is_empty() && !world.kinds().contains(&"message.accepted"));
    }
}

#[test]
fn s4_3_by_sms_go_pictures_and_nothing_else() {
    let mut world = World::with(direct_line);
    world.says("jane", "/contact add Ann Lee phone=+4915112345678 channel=sms");
    let mut refused = |attached: &[(&str, u64)]| {
        world.in_room("Ann Lee").sends_files("jane", "Look", attached);
        let refusal = world.last_reply("Ann Lee");
        assert_eq!(refusal.vars["channel"], "SMS");
        said_of(&refusal)
    };
    let said = |why: &str, file: &str| ("attachment".to_owned(), why.to_owned(), file.to_owned());
    assert_eq!(refused(&[("cat.gif", 9), ("terms.pdf", 9)]), said("type", "terms.pdf"));
    assert_eq!(refused(&[("film.mp4", 9)]), said("type", "film.mp4"));
    assert_eq!(refused(&[("cat.gif", (5 << 20) + 1)]), said("size", "cat.gif"));
    world.in_room("Ann Lee").sends_files("jane", "Look", &[("cat.gif", 9)]);
    assert_eq!(world.sent_to(ANN).last().unwrap(), "[cat.gif] Look");
}

fn said_of(refusal: &liaison::domain::effect::Reply) -> (String, String, String) {
    let var = |name: &str| refusal.vars.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
    (refusal.reason.clone().unwrap_or_default(), var("why"), var("file"))
}

#[test]
fn s4_3_all_files_of_a_message_go_or_none() {
    let mut world = World::agreed(|_| {});
    let sent = world.sends.len();
    world.file_troubles.push_back(("", ""));
    world.file_troubles.push_back(("wrong-type", "its bytes are not of the type application/pdf"));
    world.in_room("Ann Lee").sends_files("jane", "Look", &[("chart.png", 9), ("terms.pdf", 9)]);
    assert_eq!(world.sends.len(), sent, "nothing was sent");
    assert_eq!(said_of(&world.last_reply("Ann Lee")), ("attachment".to_owned(), "unread".to_owned(), "terms.pdf".to_owned()));
    assert_eq!(world.told("Ann Lee").iter().filter(|line| line.starts_with("refusal")).count(), 1, "told once");
    world.in_room("Ann Lee").says("jane", "Sorry");
    assert_eq!(world.sent_to(ANN).last().unwrap(), "Sorry", "the lane goes on");
}

#[test]
fn s4_3_held_files_survive_and_go_out_in_order_when_the_client_writes() {
    let mut world = World::agreed(|_| {});
    world.passes(Span::hours(25));
    world.in_room("Ann Lee").sends_files("jane", "Your depot", &[("chart.png", 9)]);
    world.in_room("Ann Lee").says("jane", "Any questions?");
    assert_eq!(world.state_of("[chart.png] Your depot"), "held(window)");
    assert!(files(&world)[0].is_kept(), "taken at once, not when it goes");
    world.client(ANN).writes("Good morning");
    let sent = world.sent_to(ANN);
    assert_eq!(sent[sent.len() - 2..], ["[chart.png] Your depot", "Any questions?"]);
}

#[test]
fn s4_3_what_the_gate_refuses_is_not_fetched() {
    let mut world = World::agreed(|_| {});
    world.client(ANN).writes("STOP");
    world.log.clear();
    world.in_room("Ann Lee").sends_files("jane", "Your depot", &[("chart.png", 9)]);
    assert_eq!(world.last_told("Ann Lee"), "refusal(consent)");
    assert!(!world.log.iter().any(|line| line.starts_with("fetch")) && files(&world).is_empty());
    assert!(world.kinds().contains(&"message.refused"));
}

#[test]
fn s4_3_all_files_find_room_in_the_lane_or_none() {
    let mut world = World::agreed(|policy| policy.held_max = 2);
    world.passes(Span::hours(25));
    world.in_room("Ann Lee").says("jane", "One");
    world.in_room("Ann Lee").sends_files("jane", "Two", &[("a.png", 9), ("b.png", 9)]);
    assert_eq!(world.last_told("Ann Lee"), "refusal(held-max)");
    assert!(files(&world).is_empty() && world.messages().len() == 1);
}

#[test]
fn s4_27_a_held_file_can_be_cancelled_by_command_and_by_deleting_it() {
    let mut world = World::agreed(|_| {});
    world.passes(Span::hours(25));
    world.in_room("Ann Lee").sends_files("jane", "Your depot", &[("chart.png", 9)]);
    let id = world.message("[chart.png] Your depot").id;
    world.says("jane", &format!("/queue cancel {id}"));
    assert_eq!(world.state_of("[chart.png] Your depot"), "cancelled");
    let chat = world.in_room("Ann Lee").sends_files("jane", "Two", &[("a.png", 9), ("b.png", 9)]);
    world.deletes("jane", "Ann Lee", &chat);
    assert_eq!((world.state_of("[a.png] Two"), world.state_of("[b.png]")), ("cancelled".to_owned(), "cancelled".to_owned()));
    let sent = world.sends.len();
    world.client(ANN).writes("Hello");
    assert_eq!(world.sends.len(), sent, "nothing waits any more");
}

#[test]
fn s4_27_what_is_taken_back_while_its_file_is_fetched_neither_goes_nor_is_fetched() {
    let mut world = World::agreed(|_| {});
    world.outbox_stands = true;
    let chat = world.in_room("Ann Lee").sends_files("jane", "Your depot", &[("chart.png", 9)]);
    world.deletes("jane", "Ann Lee", &chat);
    assert_eq!(world.state_of("[chart.png] Your depot"), "cancelled");
    world.log.clear();
    world.outbox_stands = false;
    world.work_off();
    assert!(world.log.is_empty(), "{:?}", world.log);
}

#[test]
fn s4_27_the_words_under_a_held_file_can_be_changed() {
    let mut world = World::agreed(|_| {});
    world.passes(Span::hours(25));
    let chat = world.in_room("Ann Lee").sends_files("jane", "Your dpot", &[("chart.png", 9), ("terms.pdf", 9)]);
    world.in_room("Ann Lee").edits("jane", &chat, "Your depot");
    world.client(ANN).writes("Hello");
    let sent = world.sent_to(ANN);
    assert_eq!(sent[sent.len() - 2..], ["[chart.png] Your depot", "[terms.pdf]"]);
}

#[test]
fn s4_3_a_stop_while_the_file_is_fetched_keeps_it_here() {
    let mut world = World::agreed(|_| {});
    world.outbox_stands = true;
    world.in_room("Ann Lee").sends_files("jane", "Your depot", &[("chart.png", 9)]);
    world.client(ANN).writes("STOP");
    world.outbox_stands = false;
    world.work_off();
    assert_eq!(world.sent_to(ANN).last().unwrap(), "opted_out");
    assert_eq!(world.state_of("[chart.png] Your depot"), "withdrawn(consent)");
    assert!(!world.log.iter().any(|line| line.starts_with("upload")));
}

#[test]
fn s4_3_in_a_room_of_two_the_client_reads_whose_file_it_is() {
    let mut world = World::agreed(|_| {});
    world.member("Ann Lee", "bob", MemberChange::Joined);
    world.in_room("Ann Lee").sends_files("bob", "", &[("chart.png", 9)]);
    assert_eq!(world.sent_to(ANN).last().unwrap(), "[chart.png] Bob Ray:");
}

#[test]
fn s4_3_what_is_sent_again_is_not_uploaded_again_while_the_provider_has_it() {
    let mut world = World::agreed(|_| {});
    world.troubles.push_back(Trouble::NotYet(Span::seconds(5)));
    world.in_room("Ann Lee").sends_files("jane", "Your depot", &[("chart.png", 9)]);
    world.passes(Span::minutes(1));
    assert_eq!(world.sent_to(ANN).last().unwrap(), "[chart.png] Your depot");
    assert_eq!(world.log.iter().filter(|line| line.starts_with("upload")).count(), 1);
    let sent = world.sends.last().unwrap();
    let liaison::domain::effect::Body::Media { file, .. } = &sent.body else { panic!("{sent:?}") };
    assert!(file.uploaded_for(&LineId::new(LINE), world.now).is_some());
}

#[test]
fn s4_3_a_file_is_given_up_only_after_real_tries() {
    let mut world = World::agreed(|_| {});
    world.file_troubles.extend(std::iter::repeat_n(("put off", ""), 40));
    world.client(ANN).sends(picture(None));
    world.passes(Span::hours(3));
    assert_eq!(world.last_reply("Ann Lee").vars["lost"]["code"], "not-fetched", "the room is not held up for ever");
    let tries = 40 - world.file_troubles.len();
    assert!(tries >= 5, "{tries} tries are not enough, however much time has passed");
}

#[test]
fn s1_19_room_info_counts_the_files_of_both_sides() {
    let mut world = World::agreed(|_| {});
    world.client(ANN).sends(picture(None));
    world.in_room("Ann Lee").sends_files("jane", "Look", &[("a.png", 9), ("b.png", 9)]);
    world.file_troubles.push_back(("wrong-hash", "no"));
    world.client(ANN).sends(picture(None));
    world.says("jane", "/room info \"Ann Lee\"");
    assert_eq!(world.room("Ann Lee").files, 3, "what could not be kept is none");
}
