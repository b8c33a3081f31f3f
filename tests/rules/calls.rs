//! S2-10, S2-18 on WhatsApp: a call without a word is enough to begin, and it is no message and no yes.
use crate::common::world::*;
use liaison::domain::consent::Consent;
use liaison::domain::effect::Code;
use liaison::domain::event::*;
use liaison::domain::ids::*;
use liaison::domain::policy::UnknownSender;
use liaison::domain::time::Span;

fn call(number: &str, id: &str, over: bool) -> Fact {
    Fact::ClientCalled(ClientCalled {
        channel: Channel::WhatsApp,
        line: LineId::new(LINE),
        id: id.to_owned(),
        from: keys_of(number),
        stage: match over {
            false => CallStage::Ringing { may_be_answered: false },
            true => CallStage::Over { answered: false, seconds: None },
        },
    })
}

/// It rings, and it is over without an answer: two events, as WhatsApp tells them.
fn calls(world: &mut World, number: &str, id: &str) {
    let now = world.now;
    assert_eq!(world.feed_as(&format!("{id}:connect"), now, call(number, id, false)), Fed::Committed);
    world.work_off();
    assert_eq!(world.feed_as(&format!("{id}:terminate"), now, call(number, id, true)), Fed::Committed);
    world.work_off();
}

fn lines(world: &World, room: &str) -> usize {
    world.told(room).iter().filter(|line| *line == "info client-called").count()
}

#[test]
fn s2_18_a_call_without_a_word_is_enough() {
    let mut world = World::new();
    calls(&mut world, ANN, "wacid.1");
    assert_eq!(world.room(ANN).owner(), Some(UserId(1)), "with those who answer strangers");
    assert_eq!(world.told(ANN), ["room_opened", "info client-called"], "one chain for one call");
    let line = world.last_reply(ANN);
    assert_eq!((line.vars["name"].as_str(), line.vars["at"].as_i64()), (Some(ANN), Some(world.now.0)));
    let listing = world.listing("jane", ANN).unwrap();
    assert!(listing.incomplete && listing.name().is_empty(), "S2-12");
    assert!(world.kinds().contains(&"contact.created") && world.kinds().contains(&"client.called"));
}

#[test]
fn s2_18_a_call_opens_no_window_and_is_no_consent() {
    let mut world = World::new();
    calls(&mut world, ANN, "wacid.1");
    assert!(world.sends.is_empty(), "welcome answers a client who wrote (S3-1), and C1 knows only messages");
    assert_eq!(world.consent(ANN), Consent::None);
    assert!(!world.contact(ANN).on(Channel::WhatsApp).window(&LineId::new(LINE)).is_open(world.now));
    world.in_room(ANN).says("jane", "You called?");
    assert_eq!(world.state_of("You called?"), "held(consent)");
    assert_eq!(world.client(ANN).writes("Yes, I did"), [""; 0], "his room is there already");
    assert_eq!(world.last_told(ANN), format!("client_message {ANN}: Yes, I did"));
}

#[test]
fn s2_18_a_call_of_a_known_client_is_a_line_in_his_room() {
    let mut world = World::agreed(|_| {});
    world.passes(Span::hours(25));
    world.in_room("Ann Lee").says("jane", "Good morning");
    calls(&mut world, ANN, "wacid.1");
    calls(&mut world, ANN, "wacid.2");
    assert_eq!(lines(&world, "Ann Lee"), 2);
    let reply = world.last_reply("Ann Lee");
    assert_eq!((reply.code, reply.vars["name"].as_str()), (Code::Info, Some("Ann Lee")));
    assert_eq!(world.state_of("Good morning"), "held(window)", "only his own message opens it");
}

#[test]
fn s2_18_a_call_of_a_known_client_without_a_room_opens_one() {
    let mut world = World::new();
    world.says("bob", ADD_ANN);
    calls(&mut world, ANN, "wacid.1");
    assert_eq!(world.room("Ann Lee").owner(), Some(UserId(2)), "with those who list him");
    assert!(world.sends.is_empty());
}

#[test]
fn s2_18_events_of_a_call_may_come_twice_late_and_in_any_order() {
    let mut world = World::new();
    let now = world.now;
    world.feed_as("c:terminate", now, call(ANN, "c", true));
    world.feed_as("c:connect", now - Span::minutes(1), call(ANN, "c", false));
    assert_eq!(world.feed_as("c:connect", now, call(ANN, "c", false)), Fed::Before);
    world.work_off();
    assert_eq!((world.rooms().len(), lines(&world, ANN)), (1, 1));
}

#[test]
fn s2_18_strangers_who_call_meet_the_firms_rule_for_strangers() {
    let mut world = World::with(|policy| policy.unknown_sender = UnknownSender::Park);
    calls(&mut world, ANN, "wacid.1");
    assert!(world.find_contact(ANN).is_none() && world.rooms().is_empty());
    assert_eq!(world.told("adam"), ["info parked"], "once for one call");

    let mut world = World::with(|policy| policy.unknown_sender = UnknownSender::Refuse);
    calls(&mut world, ANN, "wacid.1");
    assert!(world.find_contact(ANN).is_none() && world.posts.is_empty());
    assert!(world.kinds().contains(&"client.refused"));
}

#[test]
fn s2_18_a_call_proves_that_he_is_on_whatsapp() {
    let mut world = World::new();
    world.troubles.push_back(Trouble::Fails("131026"));
    world.says("jane", &format!("{ADD_ANN} --room"));
    world.passes(Span::minutes(1));
    assert!(world.consent(ANN).is_unreachable());
    calls(&mut world, ANN, "wacid.1");
    assert_eq!(world.consent(ANN).name(), "PENDING", "the state before");
}

#[test]
fn a_call_on_a_line_of_nobody_or_by_somebody_blocked_is_only_noted() {
    let mut world = World::agreed(|_| {});
    let mut contact = world.contact(ANN);
    contact.blocked = Some("spam".to_owned());
    world.put(&contact);
    let before = world.posts.len();
    calls(&mut world, ANN, "wacid.1");
    let Fact::ClientCalled(elsewhere) = call(BEN, "wacid.2", false) else { unreachable!() };
    world.feed(Fact::ClientCalled(ClientCalled { line: LineId::new("777"), ..elsewhere }));
    assert_eq!(world.posts.len(), before);
    assert!(world.find_contact(BEN).is_none());
    assert!(world.kinds().contains(&"client.called") && world.kinds().contains(&"client.on_unknown_line"));
}
