//! Many people around one client: blocked, in several rooms, shared, handed over, and behind walls.
use crate::common::world::*;
use liaison::domain::case::Record;
use liaison::domain::commit::Key;
use liaison::domain::consent::Consent;
use liaison::domain::event::*;
use liaison::domain::ids::*;
use liaison::domain::inbound::Inbound;
use liaison::domain::time::Span;

const SECOND: &str = "206540352242922";

fn second_line(policy: &mut liaison::domain::policy::Policy) {
    policy.lines.push(line(SECOND, "+15550783882"));
}

/// Ann agreed, and has a second room with Jane on the same line.
fn two_rooms() -> World {
    let mut world = World::agreed(|_| {});
    world.says("jane", "/room create \"Estate\" +4915112345678");
    world.presses("jane", "new-room");
    world.passes(Span::minutes(1));
    world
}

fn calls(world: &mut World, id: &str, over: bool) {
    let stage =
        if over { CallStage::Over { answered: false, seconds: None } } else { CallStage::Ringing { may_be_answered: false } };
    let (channel, line, from) = (Channel::WhatsApp, LineId::new(LINE), keys_of(ANN));
    world.feed(Fact::ClientCalled(ClientCalled { channel, line, id: id.to_owned(), from, stage }));
    world.work_off();
}

/// The id of the client's line that stands in this room last.
fn last_line(world: &World, room: &str) -> MessageId {
    let line = world.posts.iter().rfind(|post| post.place == room && post.reply.template == "client-message").unwrap();
    line.reply.message.clone().unwrap()
}

// ---- blocked

#[test]
fn block_what_they_send_is_kept_and_counted_and_nothing_is_relayed_or_answered() {
    let mut world = World::agreed(|_| {});
    world.passes(Span::days(2));
    world.in_room("Ann Lee").says("jane", "held");
    let told = world.says("cora", "/contact block +4915112345678 reason=spam");
    assert_eq!(told, ["notice contact-blocked", "withdrawn(blocked)", "answer contact-block"]);
    assert_eq!(world.last_reply("cora").vars["withdrawn"], 1);
    assert_eq!(world.state_of("held"), "withdrawn(blocked)");
    assert!(world.told("Ann Lee").contains(&"notice contact-blocked".to_owned()), "{:?}", world.told("Ann Lee"));
    let (read, sent) = (world.posts.len(), world.sends.len());
    for text in ["Buy now", "help", "yes", "please stop texting me"] {
        assert_eq!(world.client(ANN).writes(text), [""; 0], "{text}");
    }
    calls(&mut world, "wacid.1", false);
    calls(&mut world, "wacid.1", true);
    world.passes(Span::hours(1));
    assert_eq!((world.posts.len(), world.sends.len()), (read, sent), "nobody reads or hears anything");
    world.in_room("Ann Lee").says("jane", "Are you there?");
    assert_eq!(world.last_told("Ann Lee"), "refusal(blocked)");
    // Everything is in the journal, and told by number when the block ends.
    let kept = world.entries.iter().filter(|entry| entry.kind == "client.kept").count();
    assert_eq!((kept, world.kinds().iter().filter(|kind| **kind == "client.wrote").count() >= 4), (4, true));
    let told = world.says("cora", "/contact unblock +4915112345678");
    assert_eq!(told, ["notice contact-unblocked", "answer contact-unblock"]);
    for place in ["cora", "Ann Lee"] {
        let vars = world.last_reply(place).vars;
        assert_eq!((&vars["messages"], &vars["calls"]), (&4.into(), &1.into()), "{place}");
    }
    assert_eq!(world.last_told("Ann Lee"), "notice contact-unblocked");
    world.client(ANN).writes("Me again");
    assert_eq!(world.last_told("Ann Lee"), "client_message Ann Lee: Me again");
    // The next block counts from nothing.
    world.says("cora", "/contact block +4915112345678 reason=abuse");
    world.says("cora", "/contact unblock +4915112345678");
    assert_eq!(world.last_reply("cora").vars["messages"], 0);
}

#[test]
fn block_a_stop_is_heard_and_not_answered() {
    let mut world = World::agreed(|_| {});
    world.says("cora", "/contact block +4915112345678 reason=other");
    assert_eq!(world.client(ANN).writes("STOP"), [""; 0]);
    assert!(world.consent(ANN).is_opted_out());
    world.says("cora", "/contact unblock +4915112345678");
    assert!(world.consent(ANN).is_opted_out());
}

#[test]
fn block_what_stands_in_the_outbox_does_not_leave() {
    let mut world = World::agreed(|_| {});
    world.outbox_stands = true;
    world.in_room("Ann Lee").says("jane", "On its way");
    world.says("cora", "/contact block +4915112345678 reason=compliance");
    world.outbox_stands = false;
    world.passes(Span::minutes(1));
    assert_eq!(world.state_of("On its way"), "withdrawn(blocked)");
    assert!(!world.sent_to(ANN).contains(&"On its way".to_owned()));
}

#[test]
fn block_a_call_that_rang_before_is_not_shown_after() {
    let mut world = World::agreed(|_| {});
    let stage = CallStage::Ringing { may_be_answered: true };
    let (channel, line, from) = (Channel::WhatsApp, LineId::new(LINE), keys_of(ANN));
    world.feed(Fact::ClientCalled(ClientCalled { channel, line, id: "wacid.2".to_owned(), from, stage }));
    world.says("cora", "/contact block +4915112345678 reason=spam");
    calls(&mut world, "wacid.2", true);
    world.passes(Span::hours(2));
    assert!(!world.told("Ann Lee").contains(&"info client-called".to_owned()));
}

#[test]
fn block_needs_its_permission_a_reason_and_somebody_who_is_not_blocked() {
    let mut world = World::agreed(|_| {});
    assert_eq!(world.says("jane", "/contact block Ann Lee reason=spam"), ["refusal(no-permission)"]);
    assert_eq!(world.says("cora", "/contact block Ann Lee"), ["refusal(bad-argument)"]);
    assert_eq!(world.says("cora", "/contact block Ann Lee reason=dislike"), ["refusal(bad-argument)"]);
    assert_eq!(world.says("cora", "/contact unblock Ann Lee"), ["refusal(bad-argument)"]);
    assert!(world.contact(ANN).blocked.is_none());
    world.says("cora", "/contact block Ann Lee reason=SPAM");
    assert_eq!(world.contact(ANN).blocked.as_deref(), Some("spam"));
    assert_eq!(world.says("cora", "/contact block Ann Lee reason=abuse"), ["refusal(bad-argument)"]);
    assert_eq!(world.contact(ANN).blocked.as_deref(), Some("spam"));
}

#[test]
fn block_nobody_is_asked_for_consent() {
    let mut world = World::new();
    world.says("jane", ADD_ANN);
    world.says("cora", "/contact block +4915112345678 reason=spam");
    assert_eq!(world.last_told("jane"), "notice contact-blocked", "she lists him, and there is no room");
    assert_eq!(world.says("jane", "/optin send Ann Lee"), ["refusal(blocked)"]);
    assert_eq!(world.consent(ANN), Consent::None);
}

// ---- conversations apart

#[test]
fn s4_20_why_tells_by_which_rule_a_clients_message_came_into_its_room() {
    let mut world = two_rooms();
    world.in_room("Ann Lee").says("jane", "About your account");
    let about = world.sends.last().unwrap().wamid.clone();
    world.passes(Span::minutes(1));
    world.in_room("Estate").says("jane", "About the house");
    world.passes(Span::minutes(1));
    world.client(ANN).quoting(&about).writes("Which one?");
    let quoted = last_line(&world, "Ann Lee");
    world.says("jane", &format!("/why {quoted}"));
    let told = world.last_reply("jane");
    assert_eq!((told.template.as_str(), &told.vars["rule"]), ("why-client-message", &"quoted".into()));
    assert_eq!((&told.vars["room"], &told.vars["quoted"]), (&"Ann Lee".into(), &"About your account".into()));
    world.passes(Span::minutes(1));
    world.client(ANN).writes("And this?");
    let last_used = last_line(&world, "Ann Lee");
    world.presses("jane", "move-here");
    assert_eq!(world.last_told("Estate"), "client_message Ann Lee: And this?");
    world.says("jane", &format!("/why {last_used}"));
    let told = world.last_reply("jane").vars;
    assert_eq!((&told["rule"], &told["room"]), (&"last-used".into(), &"Estate".into()));
    assert_eq!((&told["moves"][0]["from"], &told["moves"][0]["by"]), (&"Ann Lee".into(), &"Jane Doe".into()));
    assert_eq!(told["others"], serde_json::json!(["Estate"]));
    // Nobody else is told of it, and compliance is.
    assert_eq!(world.says("bob", &format!("/why {last_used}")), ["refusal(bad-argument)"]);
    world.says("cora", &format!("/why {last_used}"));
    assert_eq!(world.last_reply("cora").vars["rule"], "last-used");
}

#[test]
fn s4_20_what_why_needs_is_found_by_the_id_and_sealed_for_the_contact() {
    let mut world = World::agreed(|_| {});
    world.client(ANN).writes("Hello");
    let id = last_line(&world, "Ann Lee");
    let kept: Inbound = world.get(&Key::new("inbound", &id)).unwrap();
    assert_eq!((kept.rule.as_str(), kept.sealed_for()), ("only", Some(world.contact(ANN).id)));
    assert!(world.get::<Inbound>(&Key::new("inbound", "m-0000")).is_none());
}

#[test]
fn s4_20_a_line_is_not_moved_into_a_room_that_is_closed_meanwhile() {
    let mut world = two_rooms();
    world.client(ANN).writes("Which room?");
    let question = world.question();
    let here = question.place.clone();
    let other = if here == "Estate" { "Ann Lee" } else { "Estate" };
    let stream = world.room(other).stream.unwrap();
    world.activates(stream, "bob", false);
    let before = world.posts.len();
    assert_eq!(world.presses_on(&question, "jane", "move-here"), ["info nothing-done"]);
    assert!(world.posts[before..].iter().all(|post| !said_as(post).contains("Which room?")));
}

#[test]
fn s4_30_rooms_that_share_a_line_and_a_contact_have_one_sub_organisation() {
    let mut world = World::agreed(second_line);
    world.says("eve", ADD_ANN);
    assert_eq!(world.says("eve", "/room create \"Retail\" +4915112345678"), ["room_opened", "answer room-created"]);
    assert_eq!((world.room("Ann Lee").line.as_str(), world.room("Retail").line.as_str()), (LINE, SECOND), "a line of its own");
    // What she writes on each line stands on its side of the wall only.
    world.client(ANN).writes("For Jane");
    world.client(ANN).on_line(SECOND).writes("For Eve");
    assert!(world.told("Ann Lee").contains(&"client_message Ann Lee: For Jane".to_owned()));
    assert!(world.told("Retail").contains(&"client_message Ann Lee: For Eve".to_owned()));
    let crossed = |room: &str, word: &str| world.told(room).iter().any(|line| line.contains(word));
    assert!(!crossed("Ann Lee", "For Eve") && !crossed("Retail", "For Jane"));
    // With one line there is none left.
    let mut world = World::agreed(|_| {});
    world.says("eve", ADD_ANN);
    assert_eq!(world.says("eve", "/room create \"Retail\" +4915112345678"), ["refusal(no-line-left)"]);
    assert_eq!(world.rooms().len(), 1);
}

#[test]
fn s4_30_the_words_of_a_stop_or_a_quote_do_not_cross_the_wall() {
    let mut world = World::agreed(second_line);
    world.says("eve", ADD_ANN);
    world.says("eve", "/room create \"Retail\" +4915112345678");
    world.in_room("Ann Lee").says("jane", "Your secret number is 7");
    let secret = world.sends.last().unwrap().wamid.clone();
    world.client(ANN).on_line(SECOND).quoting(&secret).writes("What is that?");
    let line = world.last_reply("Retail");
    assert_eq!(line.vars["text"], "What is that?");
    assert!(!line.vars.contains_key("quoted"), "{line:?}");
    world.client(ANN).writes("Please stop texting me about the secret house");
    let text_in = |room: &str| {
        let review = world.posts.iter().rfind(|post| post.place == room && post.reply.template == "consent-review").unwrap();
        review.reply.vars["text"].as_str().unwrap().to_owned()
    };
    assert_eq!(text_in("Ann Lee"), "Please stop texting me about the secret house");
    assert_eq!(text_in("Retail"), "", "they are told that it may be a stop, not in which words");
}

// ---- shared

fn confirmed(world: &mut World, who: &str, command: &str) -> Vec<String> {
    let asked = world.says(who, command);
    assert!(asked[0].starts_with("confirm "), "{command}: {asked:?}");
    world.presses(who, "confirm")
}

#[test]
fn s2_17_a_shared_contact_starts_with_the_sharers_name_and_is_the_colleagues_own_from_then_on() {
    let mut world = World::agreed(|_| {});
    assert!(world.listing("bob", ANN).is_none());
    let told = confirmed(&mut world, "jane", "/contact share Ann Lee @bob.ray@acme.com");
    assert_eq!(told, ["notice shared-with-you", "answer contact-shared"]);
    let theirs = world.listing("bob", ANN).unwrap();
    assert_eq!((theirs.name().as_str(), theirs.added_by.as_str()), ("Ann Lee", "jane.doe@acme.com"));
    assert!(world.contact(ANN).listed_by.contains(&UserId(2)) && world.contact(ANN).listed_by.contains(&UserId(1)));
    world.says("bob", "/contact edit Ann Lee first=Anne");
    assert_eq!(world.listing("bob", ANN).unwrap().name(), "Anne Lee");
    assert_eq!(world.listing("jane", ANN).unwrap().name(), "Ann Lee", "each entry is its owner's");
    assert_eq!(world.says("jane", "/contact share Ann Lee @bob.ray@acme.com"), ["refusal(bad-argument)"], "already there");
    assert_eq!(world.sent_to(ANN).len(), 2, "the client is told nothing: the invitation and the welcome");
}

#[test]
fn s2_17_sharing_completes_an_entry_without_a_name_and_leaves_a_name_of_his_own() {
    let mut world = World::with(|policy| policy.default_advisors = vec!["bob.ray@acme.com".to_owned()]);
    world.client(ANN).writes("Hello");
    world.says("jane", ADD_ANN);
    assert!(world.listing("bob", ANN).unwrap().incomplete);
    confirmed(&mut world, "jane", "/contact share Ann Lee @bob.ray@acme.com");
    let theirs = world.listing("bob", ANN).unwrap();
    assert_eq!((theirs.incomplete, theirs.name().as_str()), (false, "Ann Lee"));
}

#[test]
fn s4_30_sharing_stops_at_the_wall_and_tells_of_each_colleague() {
    let mut world = World::agreed(|_| {});
    assert_eq!(world.says("jane", "/contact share Ann Lee @eve.fox@acme.com"), ["refusal(other-sub-org)"]);
    assert_eq!(world.says("jane", "/contact share Ann Lee @adam@acme.com"), ["refusal(not-entitled)"]);
    assert_eq!(world.says("jane", "/contact share Ann Lee"), ["refusal(bad-argument)"]);
    assert_eq!(world.says("bob", "/contact share Ann Lee @olga@acme.com"), ["refusal(no-such-contact)"]);
    confirmed(&mut world, "jane", "/contact share Ann Lee @eve.fox@acme.com @bob.ray@acme.com @adam@acme.com");
    let rows = world.last_reply("jane").vars["colleagues"].clone();
    let whys: Vec<_> = rows.as_array().unwrap().iter().map(|row| row["why"].clone()).collect();
    assert_eq!(whys, [serde_json::json!("other-sub-org"), serde_json::Value::Null, serde_json::json!("not-entitled")]);
    assert!(world.listing("eve", ANN).is_none() && world.listing("adam", ANN).is_none());
    assert!(world.told("eve").is_empty());
}

// ---- handed over

const TO_BOB: &str = "from=@jane.doe@acme.com to=@bob.ray@acme.com";

fn owners(world: &World, room: &str) -> Vec<u64> {
    world.room(room).members.iter().filter(|(_, member)| member.owner).map(|(user, _)| user.0).collect()
}

fn effects(world: &World) -> Vec<String> {
    use liaison::domain::effect::Effect::*;
    let word = |effect: &_| match effect {
        AddMember { user, owner, .. } => format!("add {user} owner={owner}"),
        RemoveMember { user, .. } => format!("remove {user}"),
        _ => "another".to_owned(),
    };
    world.members.iter().map(word).collect()
}

#[test]
fn s4_41_transfer_moves_the_entry_the_room_and_tells_the_client_who_is_there() {
    let mut world = World::agreed(|_| {});
    let told = confirmed(&mut world, "adam", &format!("/contact transfer Ann Lee {TO_BOB}"));
    assert!(told.contains(&"answer handover-report".to_owned()), "{told:?}");
    assert_eq!((owners(&world, "Ann Lee"), world.room("Ann Lee").members.len()), (vec![2], 1));
    assert_eq!(effects(&world), ["add 2 owner=true", "remove 1"], "on the platform too, and never without an owner");
    assert!(world.listing("jane", ANN).is_none());
    assert_eq!(world.listing("bob", ANN).unwrap().name(), "Ann Lee");
    assert_eq!(world.contact(ANN).listed_by.into_iter().collect::<Vec<_>>(), [UserId(2)]);
    assert_eq!(world.sent_to(ANN).last().unwrap(), "advisor_joined");
    assert_eq!(world.last_told("bob"), "notice handed-to-you");
    world.client(ANN).writes("Hello Bob");
    assert_eq!(world.last_told("Ann Lee"), "client_message Ann Lee: Hello Bob");
    world.in_room("Ann Lee").says("jane", "Still me");
    assert_eq!(world.last_told("Ann Lee"), "refusal(membership)");
}

#[test]
fn s4_41_held_messages_wait_for_the_new_advisor_and_never_go_by_themselves() {
    let mut world = World::agreed(|_| {});
    world.passes(Span::days(2));
    for text in ["one", "two"] {
        world.in_room("Ann Lee").says("jane", text);
    }
    confirmed(&mut world, "adam", &format!("/contact transfer Ann Lee {TO_BOB}"));
    assert_eq!(world.state_of("one"), "withdrawn(handover)");
    assert_eq!(world.sent_to(ANN).last().unwrap(), "<liaison_notice>", "the window is closed");
    world.client(ANN).writes("I am back");
    world.passes(Span::hours(1));
    assert!(!world.sent_to(ANN).contains(&"one".to_owned()) && !world.sent_to(ANN).contains(&"two".to_owned()));
    let cards: Vec<Posted> = world.posts.iter().filter(|post| post.reply.template == "take-over").cloned().collect();
    assert_eq!(cards.iter().map(|card| card.reply.vars["text"].as_str().unwrap()).collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(world.presses_on(&cards[0], "jane", "send-again"), ["refusal(not-yours)"]);
    world.presses_on(&cards[0], "bob", "send-again");
    world.presses_on(&cards[0], "bob", "send-again");
    world.presses_on(&cards[1], "bob", "cancel");
    let sent = world.sent_to(ANN);
    assert_eq!((sent.iter().filter(|text| *text == "one").count(), sent.contains(&"two".to_owned())), (1, false));
    assert_eq!(world.kinds().iter().filter(|kind| **kind == "message.not_taken_over").count(), 1);
}

#[test]
fn s4_41_what_is_due_and_not_taken_waits_for_the_new_advisor_too() {
    let mut world = World::agreed(|_| {});
    world.outbox_stands = true;
    world.in_room("Ann Lee").says("jane", "On its way");
    confirmed(&mut world, "adam", &format!("/contact transfer Ann Lee {TO_BOB}"));
    world.outbox_stands = false;
    world.passes(Span::minutes(1));
    assert_eq!(world.state_of("On its way"), "withdrawn(handover)");
    assert!(!world.sent_to(ANN).contains(&"On its way".to_owned()));
}

#[test]
fn s4_41_without_consent_the_client_is_told_nothing_of_a_transfer() {
    for stop in [false, true] {
        let mut world = World::invited(|_| {});
        if stop {
            world.client(ANN).writes("stop");
        }
        let before = world.sent_to(ANN);
        confirmed(&mut world, "adam", &format!("/contact transfer Ann Lee {TO_BOB}"));
        assert_eq!((owners(&world, "Ann Lee"), world.sent_to(ANN)), (vec![2], before), "stopped: {stop}");
    }
}

#[test]
fn s4_30_a_transfer_stops_at_the_wall_and_changes_nothing() {
    let mut world = World::agreed(|_| {});
    let before = world.records();
    for (command, why) in [
        ("/contact transfer Ann Lee from=@jane.doe@acme.com to=@eve.fox@acme.com", "refusal(other-sub-org)"),
        ("/contact transfer all from=@jane.doe@acme.com to=@eve.fox@acme.com", "refusal(other-sub-org)"),
        ("/contact transfer Ann Lee from=@jane.doe@acme.com to=@nina@acme.com", "refusal(not-entitled)"),
        ("/contact transfer Ann Lee from=@bob.ray@acme.com to=@olga@acme.com", "refusal(bad-argument)"),
        ("/contact transfer Ann Lee from=@jane.doe@acme.com to=@jane.doe@acme.com", "refusal(bad-argument)"),
        ("/contact transfer Ann Lee to=@bob.ray@acme.com", "refusal(bad-argument)"),
        ("/contact transfer all from=@bob.ray@acme.com to=@olga@acme.com", "refusal(bad-argument)"),
    ] {
        assert_eq!(world.says("adam", command), [why], "{command}");
    }
    assert_eq!(world.says("jane", &format!("/contact transfer Ann Lee {TO_BOB}")), ["refusal(no-permission)"]);
    assert_eq!(world.records(), before);
}

#[test]
fn s4_41_a_colleague_who_is_in_the_room_is_not_announced_once_more() {
    let mut world = World::agreed(|_| {});
    world.member("Ann Lee", "bob", MemberChange::Joined);
    let before = world.sent_to(ANN).len();
    confirmed(&mut world, "adam", &format!("/contact transfer Ann Lee {TO_BOB}"));
    assert_eq!(world.sent_to(ANN)[before..], ["advisor_left"], "Bob was there: what is new is that Jane is not");
    assert_eq!(owners(&world, "Ann Lee"), [2]);
}

#[test]
fn s4_41_one_who_has_another_client_in_the_room_stays_until_that_one_goes_too() {
    let mut world = World::agreed(|_| {});
    world.says("jane", "/contact add Ben Roe phone=+4915112345699 email=ben@roe.de channel=whatsapp");
    world.says("jane", "/room create \"Both\" +4915112345678 +4915112345699");
    world.passes(Span::minutes(1));
    world.passes(Span::days(2));
    world.in_room("Both").says("jane", "Hello both");
    let states = |world: &World| world.messages().into_iter().map(|(_, state)| state).collect::<Vec<_>>();
    assert_eq!(states(&world), ["held(window)", "held(consent)"]);
    confirmed(&mut world, "adam", &format!("/contact transfer Ann Lee {TO_BOB}"));
    assert_eq!((owners(&world, "Both"), owners(&world, "Ann Lee")), (vec![1, 2], vec![2]));
    assert_eq!(states(&world), ["held(window)", "held(consent)"], "she is there, and it is hers");
    confirmed(&mut world, "adam", &format!("/contact transfer {BEN} {TO_BOB}"));
    assert_eq!((owners(&world, "Both"), states(&world)), (vec![2], vec!["withdrawn(handover)".to_owned(); 2]));
    let lines = world.told("Both").iter().filter(|line| *line == "notice conversation-handed-over").count();
    assert_eq!(lines, 2, "that he came, and that she left");
}

const CID: &str = "+4915112345688";

/// Jane has Ann, Ben and Cid in one room, and no other room with Ben and Cid.
fn three_in_one_room() -> World {
    let mut world = World::agreed(|_| {});
    world.says("jane", &format!("/contact add Ben Roe phone={BEN} email=ben@roe.de channel=whatsapp"));
    world.says("jane", &format!("/contact add Cid Orr phone={CID} email=cid@orr.de channel=whatsapp"));
    world.says("jane", &format!("/group create \"Both\" contacts={ANN},{BEN},{CID} --standard"));
    for number in [ANN, BEN, CID] {
        world.set_consent(number, Consent::OptedIn { at: MIDNIGHT });
    }
    world.passes(Span::days(2));
    world
}

/// What a room read of a handing over: who stays.
fn handed_over_lines(world: &World, room: &str) -> Vec<bool> {
    let lines = world.posts.iter().filter(|post| post.place == room && post.reply.template == "conversation-handed-over");
    lines.map(|post| post.reply.vars["stays"].as_bool().unwrap()).collect()
}

#[test]
fn s4_41_a_room_with_several_contacts_passes_once_and_counts_once() {
    for command in [OFFBOARD.to_owned(), format!("/contact transfer all {TO_BOB}")] {
        let mut world = three_in_one_room();
        world.in_room("Both").says("jane", "Hello all");
        let asked = world.says("adam", &command);
        assert_eq!(asked[0].split(' ').next(), Some("confirm"), "{asked:?}");
        let card = world.last_reply("adam").vars;
        assert_eq!((&card["contacts"], &card["rooms"]), (&3.into(), &2.into()));
        let before = [ANN, BEN, CID].map(|number| world.sent_to(number).len());
        world.presses("adam", "confirm");
        for place in ["adam", "bob"] {
            let told = world.last_reply(place).vars;
            assert_eq!(
                (&told["contacts"], &told["rooms"], &told["held"]),
                (&3.into(), &2.into(), &3.into()),
                "{place}: {command}"
            );
        }
        assert_eq!(handed_over_lines(&world, "Both"), [false], "one line, and Jane is gone: {command}");
        assert_eq!(owners(&world, "Both"), [2]);
        assert_eq!(world.room("Both").members.len(), 1);
        let after = [ANN, BEN, CID].map(|number| world.sent_to(number).len());
        assert_eq!(after, [before[0] + 2, before[1] + 1, before[2] + 1], "one notice in each room");
        // The cards name the clients as Bob knows them from now on.
        let cards = world.posts.iter().filter(|post| post.reply.template == "take-over");
        let mut names: Vec<_> = cards.map(|card| card.reply.vars["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        assert_eq!(names, ["Ann Lee", "Ben Roe", "Cid Orr"]);
    }
}

#[test]
fn s4_41_one_who_cannot_pass_keeps_his_advisor_in_the_room_and_loses_an_offboarded_one() {
    // Ben is Jane's by SMS too, which Bob may not use.
    let world = || {
        let mut world = three_in_one_room();
        let mut entry = world.listing("jane", BEN).unwrap();
        entry.channels.insert(Channel::Sms);
        world.put(&entry);
        let advisor = liaison::domain::entitlement::Permission::parse_many("advisor").unwrap();
        world.put(&liaison::domain::entitlement::Rights::new(
            "bob.ray@acme.com",
            &[Channel::WhatsApp],
            &advisor,
            "Private Clients",
        ));
        world
    };
    let mut transferred = world();
    confirmed(&mut transferred, "adam", &format!("/contact transfer all {TO_BOB}"));
    assert_eq!((handed_over_lines(&transferred, "Both"), owners(&transferred, "Both")), (vec![true], vec![1, 2]));
    let mut offboarded = world();
    confirmed(&mut offboarded, "adam", OFFBOARD);
    assert_eq!((handed_over_lines(&offboarded, "Both"), owners(&offboarded, "Both")), (vec![false], vec![2]));
    for world in [&transferred, &offboarded] {
        let report = world.last_reply("adam").vars;
        assert_eq!((&report["contacts"], &report["rooms"], &report["refused_count"]), (&2.into(), &2.into(), &1.into()));
    }
}

#[test]
fn s4_41_contacts_whom_nobody_lists_go_with_their_room() {
    let mut world = three_in_one_room();
    for number in [ANN, BEN, CID] {
        world.unlist("jane", number);
    }
    confirmed(&mut world, "adam", OFFBOARD);
    let report = world.last_reply("adam").vars;
    assert_eq!((&report["refused_count"], &report["rooms"], &report["contacts"]), (&0.into(), &2.into(), &3.into()));
    assert_eq!((handed_over_lines(&world, "Both"), owners(&world, "Both")), (vec![false], vec![2]));
}

#[test]
fn s4_41_a_room_whose_contacts_pass_in_several_commits_passes_with_the_last_of_them() {
    let mut world = World::agreed(|_| {});
    let mut numbers = vec![ANN.to_owned()];
    for nth in 0..29 {
        numbers.push(format!("+49151123400{nth:02}"));
        let (name, phone) = (format!("Client N{}", (b'A' + nth) as char), &numbers[nth as usize + 1]);
        world.says("jane", &format!("/contact add {name} phone={phone} email=n{nth}@x.de channel=whatsapp"));
    }
    world.says("jane", &format!("/group create \"All\" contacts={} --standard", numbers.join(",")));
    assert_eq!(world.room("All").contacts.len(), 30);
    confirmed(&mut world, "adam", &format!("/contact transfer all {TO_BOB}"));
    world.passes(Span::minutes(2));
    let told = world.last_reply("bob").vars;
    assert_eq!((&told["contacts"], &told["rooms"]), (&30.into(), &2.into()));
    assert_eq!((handed_over_lines(&world, "All"), owners(&world, "All")), (vec![false], vec![2]));
}

/// `count` clients on Jane's list, the first three with a room.
fn many(count: usize) -> World {
    let mut world = World::agreed(|policy| policy.default_advisors = vec!["olga@acme.com".to_owned()]);
    for n in 1..count {
        let room = if n < 3 { "--room" } else { "" };
        world.says("jane", &format!("/contact add Client No{n} phone=+49151000{n:05} email=c{n}@lee.de channel=whatsapp {room}"));
    }
    world.passes(Span::minutes(1));
    world
}

fn reports(world: &World) -> usize {
    world.entries.iter().filter(|entry| entry.kind == "handover.ended").count()
}

#[test]
fn s4_41_all_goes_in_small_commits_by_itself_with_one_report() {
    let mut world = many(50);
    let told = confirmed(&mut world, "adam", &format!("/contact transfer all {TO_BOB}"));
    assert!(told.contains(&"answer handover-goes-on".to_owned()), "{told:?}");
    let moved = |world: &World| world.entries.iter().filter(|entry| entry.kind == "contact.transferred").count();
    assert_eq!((moved(&world), reports(&world)), (20, 0), "one commit holds no more");
    assert_eq!(world.says("adam", &format!("/contact transfer all {TO_BOB}")), ["refusal(busy)"]);
    world.passes(Span::minutes(1));
    assert_eq!((moved(&world), reports(&world)), (50, 1));
    let told = world.told("adam").iter().filter(|line| *line == "answer handover-report").count();
    assert_eq!((told, &world.last_reply("adam").vars["contacts"]), (1, &50.into()));
    assert_eq!(world.all::<liaison::domain::contact::Listing>("listing/1/").len(), 0);
    assert_eq!(world.all::<liaison::domain::contact::Listing>("listing/2/").len(), 50);
    assert!(world.rooms().iter().all(|room| room.owner() == Some(UserId(2)) && room.members.len() == 1));
    assert!(!world.records().keys().any(|key| key.starts_with("handover/") || key.starts_with("wake/")), "nothing is left of it");
}

#[test]
fn s4_41_a_room_that_is_being_made_is_waited_for() {
    let mut world = World::agreed(|_| {});
    world.no_rooms = true;
    world.says("jane", "/contact add Ben Roe phone=+4915112345699 email=ben@roe.de channel=whatsapp --room");
    confirmed(&mut world, "adam", &format!("/contact transfer all {TO_BOB}"));
    world.passes(Span::minutes(2));
    assert_eq!((owners(&world, "Ann Lee"), owners(&world, "Ben Roe"), reports(&world)), (vec![2], vec![1], 0));
    world.no_rooms = false;
    world.passes(Span::minutes(2));
    assert_eq!((owners(&world, "Ben Roe"), reports(&world)), (vec![2], 1));
    assert_eq!(world.last_reply("adam").vars["refused_count"], 0);
}

// ---- offboarded

const OFFBOARD: &str = "/admin offboard @jane.doe@acme.com to=@bob.ray@acme.com";

#[test]
fn offboard_ends_the_rights_first_and_gives_everything_to_the_colleague() {
    let mut world = many(4);
    world.passes(Span::days(2));
    world.in_room("Ann Lee").says("jane", "held");
    let told = confirmed(&mut world, "adam", OFFBOARD);
    assert!(told.contains(&"answer handover-report".to_owned()), "{told:?}");
    let at = |kind: &str| world.entries.iter().position(|entry| entry.kind == kind).unwrap();
    assert!(at("admin.offboarded") < at("contact.transferred"));
    let report = world.last_reply("adam").vars;
    assert_eq!((&report["contacts"], &report["rooms"], &report["held"]), (&4.into(), &3.into(), &1.into()));
    assert_eq!(report["moved"].as_array().unwrap().len(), 4, "a row per contact");
    assert!(world.rooms().iter().all(|room| !room.members.contains_key(&UserId(1)) && room.owner() == Some(UserId(2))));
    assert_eq!(world.says("jane", "/contact list"), ["refusal(not-entitled)"]);
    assert_eq!(world.state_of("held"), "withdrawn(handover)");
}

#[test]
fn offboard_he_leaves_rooms_of_others_too_and_an_owner_takes_his_place() {
    let mut world = World::agreed(|_| {});
    world.says("bob", "/contact add Ben Roe phone=+4915112345699 email=ben@roe.de channel=whatsapp --room");
    world.member("Ben Roe", "jane", MemberChange::Joined);
    confirmed(&mut world, "adam", "/admin offboard @jane.doe@acme.com to=@olga@acme.com");
    assert_eq!(world.room("Ben Roe").members.keys().map(|user| user.0).collect::<Vec<_>>(), [2]);
    assert_eq!(world.last_reply("adam").vars["left"], serde_json::json!(["Ben Roe"]));
    assert_eq!(owners(&world, "Ann Lee"), [4]);
}

#[test]
fn offboard_goes_on_after_a_crash_between_its_parts() {
    let mut world = many(45);
    confirmed(&mut world, "adam", OFFBOARD);
    assert!(world.records().keys().any(|key| key.starts_with("handover/1")));
    // The program stops here; what stands in the records is all that it has, and it wakes by the index alone.
    world.passes(Span::minutes(1));
    assert_eq!(world.all::<liaison::domain::contact::Listing>("listing/2/").len(), 45);
    assert_eq!(reports(&world), 1);
}

#[test]
fn offboard_needs_an_admin_who_is_another_and_a_colleague_on_this_side_of_the_wall() {
    let mut world = World::agreed(|_| {});
    assert_eq!(world.says("jane", OFFBOARD), ["refusal(no-permission)"]);
    assert_eq!(world.says("adam", "/admin offboard @adam@acme.com to=@bob.ray@acme.com"), ["refusal(bad-argument)"]);
    assert_eq!(world.says("adam", "/admin offboard @jane.doe@acme.com to=@eve.fox@acme.com"), ["refusal(other-sub-org)"]);
    assert_eq!(world.says("adam", "/admin offboard @jane.doe@acme.com"), ["refusal(bad-argument)"]);
    assert_eq!(world.says("jane", "/contact list"), ["answer contact-list"], "nothing was revoked");
}

#[test]
fn invariant_9_when_the_last_advisor_is_gone_the_next_message_reaches_the_default_advisors() {
    // Bob may not use WhatsApp with these clients' channel any more, so Ann stays behind; Jane is out all the same.
    let mut world = World::agreed(|policy| {
        policy.default_advisors = vec!["olga@acme.com".to_owned()];
        let only_sms = liaison::domain::entitlement::Permission::parse_many("advisor").unwrap();
        let rights = liaison::domain::entitlement::Rights::new("bob.ray@acme.com", &[Channel::Sms], &only_sms, "Private Clients");
        policy.advisors.insert("bob.ray@acme.com".to_owned(), rights);
    });
    confirmed(&mut world, "adam", OFFBOARD);
    let report = world.last_reply("adam").vars;
    assert_eq!(report["refused"][0]["why"], "not-entitled");
    assert_eq!(report["empty"], serde_json::json!(["Ann Lee"]));
    assert!(world.told("adam").contains(&"notice room-without-advisors".to_owned()));
    world.client(ANN).writes("Is anybody there?");
    let new = world.rooms().into_iter().find(|room| room.owner() == Some(UserId(4))).expect("the default advisor has a room");
    assert!(
        world.posts.iter().any(|post| Some(&post.stream) == new.stream.as_ref() && said_as(post).ends_with("Is anybody there?"))
    );
    assert!(world.told("jane").iter().all(|line| !line.contains("Is anybody there?")));
    // Without anybody in the list the admins have it: never nowhere.
    let mut world = World::agreed(|policy| policy.default_advisors.clear());
    world.member("Ann Lee", "jane", MemberChange::Left);
    world.revoke("jane");
    world.client(ANN).writes("Hello?");
    assert_eq!(world.told("adam").last().unwrap(), "info parked");
}

// ---- revoked

#[test]
fn invariant_9_whoever_loses_a_channel_is_out_of_its_rooms() {
    let mut world = World::agreed(|policy| policy.default_advisors = vec!["olga@acme.com".to_owned()]);
    world.member("Ann Lee", "bob", MemberChange::Joined);
    let told = world.says("adam", "/admin revoke @jane.doe@acme.com channel=whatsapp");
    assert!(told.contains(&"answer admin-revoked".to_owned()), "{told:?}");
    let reports: Vec<_> = world.posts.iter().filter(|post| post.reply.template == "handover-report").collect();
    assert_eq!(reports.len(), 1);
    let report = &reports[0].reply.vars;
    assert_eq!((&report["kind"], &report["left"]), (&"revoke".into(), &serde_json::json!(["Ann Lee"])));
    assert_eq!((owners(&world, "Ann Lee"), world.room("Ann Lee").members.len()), (vec![2], 1), "Bob owns it");
    assert_eq!(effects(&world), ["remove 1", "add 2 owner=true"]);
    assert_eq!(world.listing("jane", ANN).unwrap().name(), "Ann Lee", "her list stays hers");
    world.client(ANN).writes("Still there?");
    assert_eq!(world.last_told("Ann Lee"), format!("client_message {ANN}: Still there?"));
    // The last one loses it: nobody would read the next word.
    world.says("adam", "/admin revoke @bob.ray@acme.com channel=whatsapp");
    assert!(world.told("adam").contains(&"notice room-without-advisors".to_owned()));
    world.client(ANN).writes("Anybody?");
    let new = world.rooms().into_iter().find(|room| room.owner() == Some(UserId(4))).expect("Olga stands in");
    assert!(world.posts.iter().any(|post| Some(&post.stream) == new.stream.as_ref() && said_as(post).ends_with("Anybody?")));
}

#[test]
fn invariant_9_rights_that_the_configuration_takes_end_with_the_clients_next_word() {
    let mut world = World::agreed(|policy| policy.default_advisors = vec!["bob.ray@acme.com".to_owned()]);
    world.policy.advisors.remove("jane.doe@acme.com");
    world.client(ANN).writes("A secret");
    assert!(!world.room("Ann Lee").members.contains_key(&UserId(1)));
    assert_eq!(effects(&world)[0], "remove 1");
    let read: Vec<_> = world.posts.iter().filter(|post| said_as(post).ends_with("A secret")).collect();
    assert_eq!(read.len(), 1);
    let room = world.rooms().into_iter().find(|room| room.stream.as_ref() == Some(&read[0].stream)).unwrap();
    assert_eq!(room.members.keys().copied().collect::<Vec<_>>(), [UserId(2)]);
    assert!(world.kinds().contains(&"room.members_changed"), "what happened is in the journal");
}

// ---- sub-organisations

#[test]
fn s4_30_suborg_takes_him_out_of_the_rooms_that_he_no_longer_shares() {
    let mut world = World::agreed(|_| {});
    world.says("bob", "/contact add Ben Roe phone=+4915112345699 email=ben@roe.de channel=whatsapp --room");
    world.member("Ben Roe", "jane", MemberChange::Joined);
    world.member("Ann Lee", "bob", MemberChange::Joined);
    let told = world.says("adam", "/admin suborg @jane.doe@acme.com Retail");
    assert!(told.contains(&"answer handover-report".to_owned()), "{told:?}");
    let report = world.last_reply("adam").vars;
    assert_eq!((&report["left_count"], &report["sub_org"]), (&2.into(), &"Retail".into()));
    assert_eq!(owners(&world, "Ann Lee"), [2], "a room is never without an owner");
    assert!(world.rooms().iter().all(|room| !room.members.contains_key(&UserId(1))));
    assert_eq!(world.listing("jane", ANN).unwrap().name(), "Ann Lee", "her list is hers");
    world.client(ANN).writes("Hello");
    // By her number: Bob does not list her, and Jane's name for her is Jane's (S2-17).
    assert_eq!(world.last_told("Ann Lee"), format!("client_message {ANN}: Hello"));
    assert_eq!(world.says("adam", "/admin suborg @jane.doe@acme.com Retail"), ["refusal(bad-argument)"]);
    assert_eq!(world.says("adam", "/admin suborg @jane.doe@acme.com"), ["refusal(bad-argument)"]);
    assert_eq!(world.says("jane", "/admin suborg @bob.ray@acme.com Retail"), ["refusal(no-permission)"]);
}

#[test]
fn s4_30_suborg_tells_the_admins_of_a_room_in_which_nobody_is_left() {
    let mut world = World::agreed(|_| {});
    world.says("adam", "/admin suborg @jane.doe@acme.com \"Private Banking\"");
    assert_eq!(world.last_reply("adam").vars["empty"], serde_json::json!(["Ann Lee"]));
    assert!(world.told("adam").contains(&"notice room-without-advisors".to_owned()));
    assert_eq!(world.sent_to(ANN).last().unwrap(), "advisor_left");
}
