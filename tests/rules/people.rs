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
