//! S1, S3-2, S4: what evidence and answers say of a native group: whom a message went to, what it waits for, in which words.
use super::native::{GROUP, ROOM, into_group, news, open, who};
use crate::common::world::*;
use liaison::domain::commit::{Entry, Key};
use liaison::domain::effect::*;
use liaison::domain::event::*;
use liaison::domain::ids::*;
use liaison::domain::lane::{Due, Lane};
use liaison::domain::message::Message;
use liaison::domain::native;
use liaison::domain::policy::Filed;
use liaison::domain::time::Span;
use serde_json::{Value, json};

/// Ann and Ben are in, and the window is open.
fn both() -> World {
    let mut world = open();
    world.client(BEN).taps("consent:yes");
    news(&mut world, GroupNews::Joined { who: who(BEN) });
    world
}

/// Ann was taken out and has said stop by herself; Ben is in.
fn ben_alone() -> World {
    let mut world = both();
    world.removes_from_group(ROOM, ANN);
    news(&mut world, GroupNews::Removed { who: who(ANN) });
    world.client(ANN).writes("STOP");
    world
}

fn writes(world: &mut World, number: &str, text: &str) {
    world.client(number).in_group(GROUP).writes(text);
}

fn last_into_group(world: &World) -> Sent {
    world.sends.iter().rfind(|sent| sent.to == GROUP).unwrap().clone()
}

fn entry<'w>(world: &'w World, kind: &str, message: &MessageId) -> &'w Entry {
    let found = world.entries.iter().rfind(|entry| entry.kind == kind && entry.message.as_ref() == Some(message));
    found.unwrap_or_else(|| panic!("no {kind}"))
}

/// The rows of the latest answer in this place.
fn rows(world: &World, place: &str, name: &str) -> Vec<Value> {
    world.last_reply(place).vars[name].as_array().unwrap().clone()
}

fn row<'r>(rows: &'r [Value], gist: &str) -> Option<&'r Value> {
    rows.iter().find(|row| row["gist"] == gist)
}

// ---- whom it went to

#[test]
fn s3_2_s3_17_what_is_said_in_a_group_is_of_those_who_are_in_it_when_it_goes() {
    let mut world = ben_alone();
    let (ann, ben) = (world.contact(ANN).id, world.contact(BEN).id);
    let (mark, told) = (world.entries.len(), world.posts.len());
    world.passes(Span::hours(25));
    world.in_room(ROOM).says("jane", "for Ben only");
    writes(&mut world, BEN, "Go on");
    assert_eq!(into_group(&world).last().unwrap(), "for Ben only");
    let sent = last_into_group(&world);
    world.reports_for(&sent, BEN, Delivery::Delivered);
    let about_ann = world.entries[mark..].iter().filter(|entry| entry.contact.as_ref() == Some(&ann));
    assert_eq!(about_ann.map(|entry| entry.kind.as_str()).collect::<Vec<_>>(), Vec::<&str>::new());
    for kind in ["message.accepted", "message.held", "message.released", "message.taken", "message.sent"] {
        assert_eq!(entry(&world, kind, &sent.message).contact, None, "{kind} is about no single one of them");
    }
    for kind in ["message.taken", "message.sent"] {
        assert_eq!(entry(&world, kind, &sent.message).detail["recipients"], json!([ben]), "{kind}");
    }
    let delivered = entry(&world, "delivery.reported", &sent.message);
    assert_eq!((&delivered.contact, &delivered.detail["participant"]), (&Some(ben), &json!(BEN)));
    let of_group = |posted: &&Posted| posted.reply.message.as_ref() == Some(&sent.message);
    let lines: Vec<&Posted> = world.posts[told..].iter().filter(of_group).collect();
    assert_eq!(lines.len(), 2, "held and released");
    assert!(lines.iter().all(|posted| posted.reply.client().is_none()), "{lines:?}");
    assert_eq!(lines[1].reply.vars["name"], ROOM, "not a member's name, least of all one who is out");
}

#[test]
fn s3_2_each_member_has_it_among_his_own_with_his_own_ticks() {
    let mut world = both();
    world.in_room(ROOM).says("jane", "to both");
    let sent = last_into_group(&world);
    world.reports_for(&sent, ANN, Delivery::Delivered);
    world.reports_for(&sent, BEN, Delivery::Delivered);
    world.passes(Span::minutes(5));
    world.reports_for(&sent, BEN, Delivery::Read);
    world.says("jane", "/sent Ann Lee");
    let of_ann = row(&rows(&world, "jane", "messages"), "to both").cloned().unwrap();
    world.says("jane", "/sent Ben Lee");
    let of_ben = row(&rows(&world, "jane", "messages"), "to both").cloned().unwrap();
    assert_eq!((&of_ann["state"], &of_ben["state"]), (&json!("delivered"), &json!("read")));
    assert!(of_ann["read_at"].is_null() && of_ben["read_at"].is_number(), "{of_ann} {of_ben}");
    assert_eq!(of_ann["group"], ROOM);
    world.says("jane", "/sent");
    let all = rows(&world, "jane", "messages");
    let once: Vec<&Value> = all.iter().filter(|row| row["gist"] == "to both").collect();
    assert_eq!(once.len(), 1, "one message, though two have it");
    let members: Vec<&Value> = once[0]["members"].as_array().unwrap().iter().map(|member| &member["name"]).collect();
    assert_eq!(members, ["Ann Lee", "Ben Lee"]);
}

#[test]
fn s3_17_who_is_out_has_nothing_of_what_is_said_later() {
    let mut world = ben_alone();
    world.in_room(ROOM).says("jane", "for Ben only");
    world.says("jane", "/sent Ann Lee");
    assert_eq!(row(&rows(&world, "jane", "messages"), "for Ben only"), None);
    world.says("jane", "/sent Ben Lee");
    assert!(row(&rows(&world, "jane", "messages"), "for Ben only").is_some());
}

#[test]
fn what_is_said_in_a_group_lies_under_a_key_that_is_no_members() {
    use liaison::domain::case::Record;
    let mut world = both();
    world.outbox_stands = true;
    world.in_room(ROOM).says("jane", "to both");
    let own = ContactId::of_group(&world.room(ROOM).key);
    assert_eq!(world.message("to both").sealed_for(), Some(own.clone()));
    assert_eq!(world.room(ROOM).sealed_for(), Some(own.clone()));
    let due: Vec<Due> = world.all(Due::PREFIX);
    assert!(!due.is_empty() && due.iter().all(|due| due.sealed_for() == Some(own.clone())), "{due:?}");
    let accepted = entry(&world, "message.accepted", &world.message("to both").id);
    assert_eq!(accepted.sealed_for(), Some(&own));
}

#[test]
fn what_an_earlier_version_left_waiting_for_a_group_goes_as_it_would_have_gone() {
    let mut world = both();
    world.passes(Span::hours(25));
    for text in ["one", "two"] {
        world.in_room(ROOM).says("jane", text);
    }
    let (room, ann) = (world.room(ROOM).key, world.contact(ANN).id);
    // As it stood there: all of it under the first member, in his lane.
    for text in ["one", "two"] {
        let message = world.message(text);
        world.put(&Message { contact: ann.clone(), ..message });
    }
    let held: Lane = world.get(&Lane::key_of(&room, &ContactId::of_group(&room))).unwrap();
    world.remove(&Lane::key_of(&room, &ContactId::of_group(&room)));
    world.put(&Lane { contact: ann.clone(), ..held });
    world.in_room(ROOM).says("jane", "/queue list");
    assert_eq!(rows(&world, ROOM, "messages").len(), 2);
    let two = world.message("two").id;
    world.in_room(ROOM).says("jane", &format!("/queue cancel {two}"));
    writes(&mut world, BEN, "Go on");
    assert_eq!(into_group(&world).last().unwrap(), "one", "and nothing that was cancelled");
    assert_eq!(world.message("one").recipients.len(), 2);
    assert_eq!(world.contact(ANN).recent.back(), Some(&world.message("one").id));
    let raw = json!({ "kind": "message", "participants": { "4915112345678": "read" } });
    let mut old = serde_json::to_value(world.message("one")).unwrap();
    old["participants"] = raw["participants"].clone();
    old.as_object_mut().unwrap().remove("recipients");
    let read: Message = serde_json::from_value(old).unwrap();
    world.put(&read);
    let sent = last_into_group(&world);
    world.reports_for(&sent, BEN, Delivery::Read);
    assert_eq!(world.state_of("one"), "delivered", "Ann is in it, too");
    assert!(world.get::<Message>(&Key::new("message", &two)).is_some());
}

// ---- why it waits

/// The rows that say no, with the names of those whom that concerns.
fn in_the_way(reply: &Reply) -> Vec<(String, Vec<String>)> {
    let rows = reply.vars["rows"].as_array().unwrap().iter().filter(|row| row["ok"] == false);
    let names = |row: &Value| row["who"].as_array().unwrap().iter().map(|who| who["name"].as_str().unwrap().to_owned()).collect();
    rows.map(|row| (row["gate"].as_str().unwrap().to_owned(), names(row))).collect()
}

type Why = (Option<String>, Vec<(String, Vec<String>)>);

fn why(world: &mut World, line: &str) -> Why {
    world.in_room(ROOM).says("jane", line);
    let reply = world.last_reply(ROOM);
    assert_eq!(reply.template, "why-group");
    (reply.reason.clone().filter(|reason| !reason.is_empty()), in_the_way(&reply))
}

fn says_no(rows: &[(&str, &[&str])]) -> Why {
    let names = |who: &[&str]| who.iter().map(|name| (*name).to_owned()).collect();
    (Some(rows[0].0.to_owned()), rows.iter().map(|(gate, who)| ((*gate).to_owned(), names(who))).collect())
}

#[test]
fn why_in_a_groups_room_asks_every_member_and_the_groups_own_window() {
    let mut world = both();
    assert_eq!(why(&mut world, "/why Ann Lee"), (None, vec![]));
    world.passes(Span::hours(30));
    world.client(ANN).writes("only to you");
    for line in ["/why Ann Lee", "/why Ben Lee", "/why"] {
        assert_eq!(why(&mut world, line), says_no(&[("window", &[])]), "{line}");
    }
    world.in_room(ROOM).says("jane", "Good morning all");
    let id = world.message("Good morning all").id;
    assert_eq!(why(&mut world, &format!("/why {id}")), says_no(&[("window", &[])]));
    writes(&mut world, BEN, "Hello");
    news(&mut world, GroupNews::Suspended);
    assert_eq!(why(&mut world, "/why Ann Lee"), says_no(&[("room", &[])]));
    news(&mut world, GroupNews::Unsuspended);
    world.client(BEN).writes("STOP");
    assert_eq!(why(&mut world, "/why Ann Lee"), says_no(&[("consent", &["Ben Lee"])]));
    world.says("jane", "/why Ann Lee");
    assert_eq!(world.last_reply("jane").template, "why", "her own conversation goes on");
    assert_eq!(world.last_reply("jane").vars["blocker"], Value::Null);
}

#[test]
fn s1_18_before_anybody_joined_why_says_so_and_so_does_the_refusal() {
    let mut world = super::native::asked_for();
    assert_eq!(why(&mut world, "/why Ann Lee"), says_no(&[("membership", &[]), ("room", &[]), ("window", &[])]));
    for line in ["Anybody here?", "/template send follow_up"] {
        world.in_room(ROOM).says("jane", line);
        let refusal = world.last_reply(ROOM);
        assert_eq!((refusal.reason.as_deref(), &refusal.vars["nobody"]), (Some("membership"), &json!(true)), "{line}");
    }
}

#[test]
fn the_window_that_a_groups_room_shows_is_the_groups() {
    let mut world = both();
    world.passes(Span::hours(30));
    world.client(ANN).writes("only to you");
    for line in ["/window Ann Lee", "/window"] {
        world.in_room(ROOM).says("jane", line);
        let reply = world.last_reply(ROOM);
        assert_eq!((reply.template.as_str(), &reply.vars["window"]["open"]), ("window-group", &json!(false)), "{line}");
    }
    world.says("jane", "/window Ann Lee");
    assert_eq!(world.last_reply("jane").vars["window"]["open"], json!(true), "her own");
    writes(&mut world, BEN, "Hello");
    world.in_room(ROOM).says("jane", "/window");
    assert_eq!(world.last_reply(ROOM).vars["window"]["open"], json!(true));
}

#[test]
fn what_waits_for_one_member_is_told_with_his_name_and_asks_nobody_for_an_invitation() {
    let ben = (BEN, "Ben Lee");
    for ((number, name), word, consent) in
        [(ben, "STOP", "OPTED_OUT"), (ben, "please stop texting me", "REVIEW"), ((ANN, "Ann Lee"), "STOP", "OPTED_OUT")]
    {
        let mut world = both();
        world.client(number).writes(word);
        let asked = world.asks().len();
        world.in_room(ROOM).says("jane", "for all");
        let held = world.last_reply(ROOM);
        assert_eq!((held.template.as_str(), held.reason.as_deref()), ("held-group", Some("consent")), "{word}");
        let who = &held.vars["row"]["who"];
        assert_eq!((who.as_array().unwrap().len(), &who[0]["name"], &who[0]["consent"]), (1, &json!(name), &json!(consent)));
        assert_eq!((held.client(), world.asks().len()), (None, asked));
        world.in_room(ROOM).says("jane", "/template send follow_up");
        world.presses("jane", "confirm");
        let held = world.posts.iter().rfind(|post| post.reply.template == "template-held").unwrap();
        assert_eq!(held.reply.vars["row"]["who"][0]["name"], name);
    }
}

#[test]
fn what_waits_for_the_groups_window_is_told_to_nobody_and_goes_when_any_member_writes() {
    let mut world = both();
    world.passes(Span::hours(30));
    let alone = (world.sent_to(ANN).len(), world.sent_to(BEN).len());
    world.in_room(ROOM).says("jane", "for all");
    let held = world.last_reply(ROOM);
    assert_eq!((held.template.as_str(), &held.vars["row"]["gate"]), ("held-group", &json!("window")));
    assert_eq!((world.sent_to(ANN).len(), world.sent_to(BEN).len()), alone);
    writes(&mut world, BEN, "Hello");
    assert_eq!(world.state_of("for all"), "sent");
}

// ---- first lines

#[test]
fn the_first_line_of_a_groups_room_speaks_of_a_group() {
    let world = both();
    let first = world.posts.iter().find(|post| post.reply.code == Code::RoomOpened && post.place == ROOM).unwrap();
    assert_eq!(first.reply.vars["native"], true);
    let own = world.posts.iter().find(|post| post.reply.code == Code::RoomOpened && post.place == "Ann Lee").unwrap();
    assert_eq!(own.reply.vars["native"], false);
}

#[test]
fn a_dry_run_of_a_group_tells_of_the_group_and_the_links() {
    let mut world = World::agreed(|_| {});
    world.says("jane", "/contact add Ben Lee phone=+4915112345699 email=ben@lee.de channel=whatsapp");
    world.says("jane", &format!("/dryrun /group create \"Lee family\" contacts={ANN},{BEN}"));
    let items = world.last_reply("jane").vars["items"].clone();
    let room = items.as_array().unwrap().iter().find(|item| item["kind"] == "room").unwrap().clone();
    assert_eq!(
        (&room["group"], &room["linked"], &room["invited"]),
        (&json!("Lee family"), &json!(["Ann Lee"]), &json!(["Ben Lee"]))
    );
}

// ---- the group as a room shows it

#[test]
fn s1_12_s1_19_room_info_and_list_show_where_each_member_stands_and_the_groups_own_window() {
    let mut world = both();
    world.says("jane", "/contact add Cid Roe phone=+4915112345677 email=cid@roe.de channel=whatsapp");
    world.in_room(ROOM).says("jane", "/room add Cid Roe");
    world.presses("jane", "confirm");
    news(&mut world, GroupNews::Left { who: who(BEN) });
    world.in_room(ROOM).says("jane", "/room info");
    let info = world.last_reply(ROOM);
    let members = |room: &Value| -> Vec<String> {
        let contacts = room["contacts"].as_array().unwrap();
        contacts.iter().map(|c| format!("{} {}", c["name"].as_str().unwrap(), c["member"].as_str().unwrap())).collect()
    };
    let room = &info.vars["room"];
    assert_eq!(members(room), ["Ann Lee JOINED", "Ben Lee LEFT", "Cid Roe INVITED"]);
    assert_eq!((&room["status"], &room["group"]["window"]["open"]), (&json!("ACTIVE"), &json!(true)));
    assert!(!serde_json::to_string(&info.vars).unwrap().contains("chat.whatsapp.com"), "its link stands in no room");
    assert_eq!(info.client(), None);
    world.removes_from_group(ROOM, ANN);
    world.passes(Span::hours(30));
    world.client(ANN).writes("only to you");
    world.client(BEN).writes("and I");
    world.says("jane", "/room list");
    let rooms = rows(&world, "jane", "rooms");
    let room = rooms.iter().find(|room| room["name"] == ROOM).unwrap();
    assert_eq!(members(room)[0], "Ann Lee BARRED");
    assert_eq!(
        (&room["status"], &room["group"]["window"]["open"]),
        (&json!("INACTIVE"), &json!(false)),
        "their own windows are not the group's"
    );
}

// ---- small words

#[test]
fn s1_29_the_answer_to_an_added_one_tells_of_the_link() {
    let mut world = both();
    news(&mut world, GroupNews::Left { who: who(BEN) });
    world.in_room(ROOM).says("jane", "/room add Ben Lee");
    world.presses("jane", "confirm");
    let added = world.posts.iter().rfind(|post| post.reply.template == "room-contact-added").unwrap();
    assert_eq!((&added.reply.vars["native"], &added.reply.vars["linked"]), (&json!(true), &json!(true)));
}

#[test]
fn a_group_that_the_firm_ended_itself_is_not_told_as_a_surprise() {
    let mut world = open();
    world.in_room(ROOM).says("jane", "/room deactivate");
    world.presses("jane", "confirm");
    news(&mut world, GroupNews::Deleted);
    assert!(world.posts.iter().all(|post| post.reply.template != "group-deleted"));
}

#[test]
fn s1_13_without_advisors_the_description_is_the_firms_name() {
    let mut world = both();
    world.in_room(ROOM).says("jane", "/room leave");
    world.presses("jane", "confirm");
    let described = world.group_calls.iter().rev().find_map(|call| match call {
        GroupCall::Change { description, .. } => description.clone(),
        _ => None,
    });
    assert_eq!(described.as_deref(), Some("Acme Wealth"));
}

// ---- in which language, by which name

fn speaks(world: &mut World, number: &str, language: &str) {
    let mut contact = world.contact(number);
    contact.language = language.to_owned();
    world.put(&contact);
}

/// A template as both our files have it: the German one greets by first and last name.
fn with_german(policy: &mut liaison::domain::policy::Policy) {
    policy.languages.insert("de".to_owned());
    let parameters = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let languages = [("en", parameters(&["contact.first"])), ("de", parameters(&["contact.first", "contact.last"]))];
    policy.templates.insert("follow_up".to_owned(), languages.into_iter().map(|(l, p)| (l.to_owned(), p)).collect());
}

fn sent_template(world: &World) -> (String, String, String) {
    let Body::Template { language, vars, .. } = last_into_group(world).body else { panic!() };
    (language, vars["contact.first"].clone(), vars["contact.last"].clone())
}

#[test]
fn s4_23_a_group_reads_the_language_that_all_who_are_in_it_share() {
    let sends = |world: &mut World| {
        world.in_room(ROOM).says("jane", "/template send follow_up");
        world.presses("jane", "confirm");
        sent_template(world)
    };
    let told = |first: &str, last: &str, language: &str| (language.to_owned(), first.to_owned(), last.to_owned());
    let mut world = both();
    with_german(&mut world.policy);
    speaks(&mut world, ANN, "de");
    assert_eq!(sends(&mut world), told("Lee family", "", "en"), "Ben reads no German");
    world.in_scene(|scene, room| native::renamed(scene, room, "Lee family"), ROOM);
    assert_eq!(sent_template(&world).0, "en");
    speaks(&mut world, BEN, "de");
    assert_eq!(sends(&mut world), told("Lee", "family", "de"), "a name that no provider refuses");
    world.in_scene(|scene, room| native::renamed(scene, room, "Lee family"), ROOM);
    assert_eq!(sent_template(&world).0, "de");
    world.removes_from_group(ROOM, ANN);
    speaks(&mut world, ANN, "en");
    news(&mut world, GroupNews::Removed { who: who(ANN) });
    assert_eq!(sent_template(&world).0, "de", "who is out is asked no more");
    world.in_scene(|scene, room| native::renamed(scene, room, "Familie"), ROOM);
    world.in_room(ROOM).says("jane", "/template send follow_up");
    let refusal = world.last_reply(ROOM);
    assert_eq!((refusal.reason.as_deref(), &refusal.vars["group"]), (Some("missing-parameter"), &json!("Familie")));
}

#[test]
fn who_wants_no_marketing_keeps_it_from_the_whole_group() {
    let mut world = both();
    let mut ben = world.contact(BEN);
    ben.on_mut(Channel::WhatsApp).marketing = Some(liaison::domain::contact::MarketingChoice { at: world.now, wants_none: true });
    world.put(&ben);
    let filed = Filed { meta_language: "en_US".to_owned(), category: "MARKETING".to_owned(), fixed: 100, places: Vec::new() };
    world.policy.filed.insert("follow_up".to_owned(), [("en".to_owned(), filed)].into());
    world.in_room(ROOM).says("jane", "/template send follow_up");
    let refusal = world.last_reply(ROOM);
    assert_eq!((refusal.reason.as_deref(), &refusal.vars["name"]), (Some("opted-out"), &json!("Ben Lee")));
}

#[test]
fn a_bare_sent_in_a_groups_room_lists_what_went_into_the_group() {
    let mut world = both();
    world.client(ANN).in_group(GROUP).writes("Hello all");
    for text in ["one", "two"] {
        world.in_room(ROOM).says("jane", text);
    }
    assert_eq!(world.in_room(ROOM).says("jane", "/sent"), ["answer sent"]);
    let rows = world.last_reply(ROOM).vars["messages"].clone();
    let gists: Vec<&str> = rows.as_array().unwrap().iter().map(|row| row["gist"].as_str().unwrap()).collect();
    assert_eq!(gists, ["one", "two"], "each once, with the ticks of all");
}
