//! RULES, Identity and time: a client with a new number, a number with a new client, and signs from nobody we know.
use crate::common::world::*;
use liaison::domain::commit::Key;
use liaison::domain::consent::Consent;
use liaison::domain::contact::Contact;
use liaison::domain::effect::Outcome;
use liaison::domain::event::*;
use liaison::domain::ids::*;
use liaison::domain::time::Span;

fn sign(kind: &str, detail: &str) -> Content {
    Content::Sign { kind: kind.to_owned(), detail: detail.to_owned() }
}

/// WhatsApp's own notice that the person behind a number may be another one.
fn identity_changed() -> Content {
    sign("customer_identity_changed", "User identity changed")
}

/// Ann's number, with the id that WhatsApp has given to whoever writes from it.
fn keys(number: &str, user_id: &str) -> ClientKeys {
    ClientKeys { user_id: Some(user_id.to_owned()), ..keys_of(number) }
}

/// Ann has agreed and has written, so that her business-scoped id is known.
fn known_by_user_id() -> World {
    let mut world = World::agreed(|_| {});
    world.client(ANN).with_keys(keys(ANN, "DE.1")).writes("Hello");
    world.passes(Span::minutes(1));
    world
}

fn contacts(world: &World) -> usize {
    world.records().keys().filter(|key| key.starts_with("contact/")).count()
}

#[test]
fn identity_a_changed_number_moves_the_keys_keeps_the_room_and_asks_once_more() {
    let mut world = known_by_user_id();
    world.client(ANN).with_keys(keys(ANN, "DE.1")).sends(sign("user_changed_number", BEN));
    assert_eq!(world.consent(BEN).name(), "PENDING", "consent never moves by itself");
    assert_eq!(world.sent_to(BEN).last().map(String::as_str), Some("<liaison_invitation>"));
    world.in_room("Ann Lee").says("jane", "Is this your new number?");
    assert!(!world.sent_to(BEN).iter().any(|text| text.contains("new number")), "held until he agrees anew");
    world.client(BEN).with_keys(keys(BEN, "DE.2")).taps("consent:yes");
    assert!(world.sent_to(BEN).iter().any(|text| text.contains("new number")), "in the same room");
    assert!(!world.sent_to(ANN).iter().any(|text| text.contains("new number")), "nothing goes to the old number");
    assert_eq!(world.contact(BEN).user_id.as_deref(), Some("DE.2"), "the id that came with the new number");
    let turns: Vec<String> = world.contact(BEN).on(Channel::WhatsApp).history.iter().map(|turn| turn.how.clone()).collect();
    assert_eq!(turns, ["Request", "Yes", "AnotherPerson", "Request", "Yes"]);
    world.client(ANN).with_keys(keys(ANN, "DE.3")).writes("I have this number now");
    assert_eq!(contacts(&world), 2, "whoever gets the old number is a stranger");
}

#[test]
fn identity_a_changed_number_of_a_nameless_contact_is_told_with_the_old_one() {
    let mut world = World::new();
    world.client(ANN).writes("Hello");
    world.client(ANN).sends(sign("user_changed_number", BEN));
    let told = world.last_reply(ANN).vars;
    assert_eq!((told["name"].as_str(), told["from"].as_str(), told["text"].as_str()), (Some(BEN), Some(ANN), Some(BEN)));
}

#[test]
fn identity_a_changed_user_id_is_a_changed_number_that_nobody_may_see() {
    let mut world = known_by_user_id();
    world
        .client(ANN)
        .with_keys(ClientKeys { user_id: Some("DE.1".to_owned()), ..ClientKeys::default() })
        .sends(sign("user_changed_user_id", "DE.2"));
    assert!(world.find_contact(ANN).is_none(), "the number that he had is not his any more");
    assert_eq!(world.sent_to("DE.2"), ["<liaison_invitation>"]);
    let hidden = ClientKeys { user_id: Some("DE.2".to_owned()), ..ClientKeys::default() };
    world.client(ANN).with_keys(hidden).taps("consent:yes");
    assert_eq!(world.last_told("Ann Lee"), "consent_yes");
    assert_eq!(contacts(&world), 1);
}

#[test]
fn identity_a_new_number_that_is_somebody_elses_closes_the_old_identity() {
    let mut world = World::agreed(|_| {});
    world.client(BEN).writes("Hello");
    world.client(ANN).sends(sign("user_changed_number", BEN));
    assert!(world.find_contact(ANN).is_none(), "he does not read that number any more");
    assert_eq!(world.consent(BEN), Consent::None, "and his consent did not go over");
    assert_eq!(world.in_room("Ann Lee").says("jane", "Hello?"), ["refusal(address)"]);
}

#[test]
fn identity_a_sign_that_the_person_may_be_another_suspends_the_consent() {
    let mut world = World::agreed(|_| {});
    world.in_room("Ann Lee").says("jane", "Good morning");
    world.passes(Span::hours(25));
    world.in_room("Ann Lee").says("jane", "Are you there?");
    let before = world.sends.len();
    world.client(ANN).sends(identity_changed());
    assert_eq!(world.consent(ANN), Consent::None);
    assert!(world.told("Ann Lee").contains(&"notice identity-changed".to_owned()));
    assert_eq!(world.last_told("Ann Lee"), "confirm confirm-invitation", "something waits: may she be asked?");
    assert_eq!(world.state_of("Are you there?"), "held(consent)");
    assert_eq!(world.sends.len(), before, "nothing leaves, not even the notice that a message waits");

    let turn = world.contact(ANN).on(Channel::WhatsApp).history.back().cloned().unwrap();
    assert_eq!((turn.from.as_str(), turn.to.as_str(), turn.how.as_str()), ("OPTED_IN", "NONE", "AnotherPerson"));
    assert!(world.kinds().contains(&"consent.suspended"));

    world.presses("jane", "confirm");
    assert_eq!(world.sent_to(ANN).last().map(String::as_str), Some("<liaison_invitation>"));
    assert_eq!(world.client(ANN).taps("consent:yes"), ["welcome", "Are you there?"], "whoever it is, it is his first yes");
}

#[test]
fn identity_the_window_is_closed_until_he_writes_and_his_words_open_no_consent() {
    let mut world = World::agreed(|_| {});
    world.client(ANN).sends(identity_changed());
    assert!(!world.contact(ANN).on(Channel::WhatsApp).window(&LineId::new(LINE)).is_open(world.now));
    assert_eq!(world.client(ANN).writes("Who is this?"), [""; 0], "no welcome, no help, nothing");
    assert_eq!(world.client(ANN).writes("yes"), [""; 0]);
    assert_eq!(world.consent(ANN), Consent::None);
    assert_eq!(world.last_told("Ann Lee"), "client_message Ann Lee: yes");
    world.in_room("Ann Lee").says("jane", "It is me");
    assert_eq!(world.state_of("It is me"), "held(consent)");
}

#[test]
fn identity_what_was_ready_to_go_goes_no_more() {
    let mut world = World::agreed(|_| {});
    world.outbox_stands = true;
    world.in_room("Ann Lee").says("jane", "For Ann's eyes");
    world.client(ANN).sends(identity_changed());
    world.outbox_stands = false;
    world.passes(Span::minutes(1));
    assert!(!world.sent_to(ANN).contains(&"For Ann's eyes".to_owned()));
    assert_eq!(world.state_of("For Ann's eyes"), "held(consent)");
}

#[test]
fn identity_a_stop_outlives_the_sign_and_a_review_cannot_bring_the_old_yes_back() {
    let mut world = World::agreed(|_| {});
    world.client(ANN).writes("STOP");
    world.client(ANN).sends(identity_changed());
    assert!(world.consent(ANN).is_opted_out());

    let mut world = World::agreed(|_| {});
    world.client(ANN).writes("please stop texting me");
    let question = world.question();
    world.client(ANN).sends(identity_changed());
    assert_eq!(world.consent(ANN).name(), "REVIEW");
    world.presses_on(&question, "jane", "review-clear");
    assert_eq!(world.consent(ANN), Consent::None);
}

#[test]
fn identity_a_number_with_another_user_id_is_a_strangers_and_closes_the_old_identity() {
    let mut world = known_by_user_id();
    world.passes(Span::hours(25));
    world.in_room("Ann Lee").says("jane", "Your statement is ready");
    let ann = world.contact(ANN).id;
    world.client(ANN).with_keys(keys(ANN, "DE.9")).writes("Hello, do you manage portfolios?");

    let stranger = world.contact(ANN);
    assert_ne!(stranger.id, ann);
    assert_eq!((stranger.consent(Channel::WhatsApp), contacts(&world)), (Consent::None, 2));
    assert!(world.listing("jane", ANN).unwrap().incomplete, "he starts as every stranger does");
    assert_eq!(world.last_told(ANN), format!("client_message {ANN}: Hello, do you manage portfolios?"), "in a room of his own");
    assert!(world.told("Ann Lee").contains(&"notice number-handed-on".to_owned()));
    assert_eq!(world.last_told("Ann Lee"), "withdrawn(address)");
    assert_eq!(world.state_of("Your statement is ready"), "withdrawn(address)");
    assert!(!world.sent_to(ANN).contains(&"Your statement is ready".to_owned()));

    let old: Contact = world.get(&Key::new("contact", &ann)).unwrap();
    assert_eq!((old.phone, old.wa_id, old.user_id), (None, None, None));
    assert_eq!(old.channels[&Channel::WhatsApp].consent, Consent::None);
    assert!(world.kinds().contains(&"contact.closed"));
    assert_eq!(world.in_room("Ann Lee").says("jane", "Ann?"), ["refusal(address)"]);
}

#[test]
fn identity_a_stranger_on_an_old_number_meets_the_firms_rule_for_strangers() {
    let mut world = World::with(|policy| policy.unknown_sender = liaison::domain::policy::UnknownSender::Park);
    world.says("jane", &format!("{ADD_ANN} --room"));
    world.client(ANN).with_keys(keys(ANN, "DE.1")).taps("consent:yes");
    world.passes(Span::minutes(1));
    world.client(ANN).with_keys(keys(ANN, "DE.9")).writes("Hello");
    assert!(world.find_contact(ANN).is_none());
    assert_eq!(world.last_told("adam"), "info parked");
    assert!(!world.told("Ann Lee").contains(&"client_message Ann Lee: Hello".to_owned()));
}

#[test]
fn identity_a_known_client_on_a_number_that_was_another_ones_keeps_his_own_identity() {
    let mut world = known_by_user_id();
    let hidden = ClientKeys { user_id: Some("DE.7".to_owned()), ..ClientKeys::default() };
    world.client(BEN).with_keys(hidden).writes("Hello from a hidden number");
    world.client(BEN).with_keys(keys(ANN, "DE.7")).writes("I have this number now");
    assert_eq!(contacts(&world), 2);
    assert_eq!(world.contact(ANN).user_id.as_deref(), Some("DE.7"), "the number is his");
    assert!(world.told("Ann Lee").contains(&"notice number-handed-on".to_owned()));
}

#[test]
fn identity_what_comes_late_from_the_one_before_takes_the_number_from_nobody() {
    let mut world = known_by_user_id();
    let (early, ann) = (world.now, world.contact(ANN).id);
    world.passes(Span::minutes(5));
    world.client(ANN).with_keys(keys(ANN, "DE.9")).writes("Hello");
    let stranger = world.contact(ANN).id;
    world.passes(Span::minutes(5));
    world.client(ANN).at(early).with_keys(keys(ANN, "DE.1")).writes("My last words from here");
    assert_eq!(world.contact(ANN).id, stranger);
    assert_eq!(world.last_told("Ann Lee"), "client_message Ann Lee: My last words from here", "not in the stranger's room");
    let old: Contact = world.get(&Key::new("contact", &ann)).unwrap();
    assert_eq!((old.phone, old.wa_id, old.user_id), (None, None, None), "and it stays closed");
}

#[test]
fn identity_what_comes_late_from_the_old_number_is_read_and_agrees_to_nothing() {
    let mut world = known_by_user_id();
    let early = world.now;
    world.passes(Span::minutes(5));
    world.client(ANN).with_keys(keys(ANN, "DE.1")).sends(sign("user_changed_number", BEN));
    world.passes(Span::minutes(1));
    world.client(ANN).at(early).with_keys(keys(ANN, "DE.1")).writes("I shall change my number");
    assert_eq!(world.last_told("Ann Lee"), "client_message Ann Lee: I shall change my number");
    world.client(ANN).at(early).with_keys(keys(ANN, "DE.1")).taps("consent:yes");
    assert_eq!(world.consent(BEN).name(), "PENDING", "he said yes at another number");
    let ann = world.contact(BEN);
    assert!(!ann.on(Channel::WhatsApp).window(&LineId::new(LINE)).is_open(world.now));
    assert_eq!((ann.wa_id.as_deref(), ann.user_id.as_deref()), (Some(&BEN[1..]), None), "and the old keys do not come back");
    world.client(ANN).with_keys(keys(ANN, "DE.3")).writes("Hello");
    assert_eq!((contacts(&world), world.contact(BEN).id), (2, ann.id), "the old number's next owner is a stranger");
    world.client(ANN).at(early).with_keys(keys(ANN, "DE.1")).writes("STOP");
    assert!(world.consent(BEN).is_opted_out(), "a stop is heard at any time");
}

/// Ann has a new number, from which she has agreed anew; her old one lies in somebody's drawer.
fn moved_to_bens_number() -> World {
    let mut world = known_by_user_id();
    world.client(ANN).with_keys(keys(ANN, "DE.1")).sends(sign("user_changed_number", BEN));
    world.passes(Span::minutes(1));
    world.client(BEN).with_keys(keys(BEN, "DE.2")).taps("consent:yes");
    world.passes(Span::minutes(1));
    world
}

#[test]
fn identity_whoever_writes_from_the_old_number_with_its_old_id_is_a_stranger() {
    let mut world = moved_to_bens_number();
    let ann = world.contact(BEN);
    for text in ["Found this phone", "Anybody there?"] {
        world.client(ANN).with_keys(keys(ANN, "DE.1")).writes(text);
        assert_eq!(world.last_told(ANN), format!("client_message {ANN}: {text}"), "in a room of its own");
        world.passes(Span::minutes(1));
    }
    assert_eq!(contacts(&world), 2);
    assert_ne!(world.contact(ANN).id, ann.id);
    assert_eq!(world.contact(ANN).consent(Channel::WhatsApp), Consent::None, "and its yes is not hers");
    let after = world.contact(BEN);
    assert_eq!((after.id, after.wa_id.as_deref(), after.user_id.as_deref()), (ann.id, Some(&BEN[1..]), Some("DE.2")));
    let sent = written(&mut world, "Good morning Ann");
    assert_eq!(sent.to, BEN);
    told_of(&mut world, &sent, keys(BEN, "DE.2"), Delivery::Delivered);
    assert!(!world.told("Ann Lee").contains(&"notice number-handed-on".to_owned()), "she still has her number");
    assert_eq!(world.state_of("Good morning Ann"), "delivered");
}

#[test]
fn identity_a_stop_from_the_old_number_is_a_strangers_too_but_one_from_before_is_hers() {
    let mut world = known_by_user_id();
    let early = world.now;
    world.passes(Span::minutes(5));
    world.client(ANN).with_keys(keys(ANN, "DE.1")).sends(sign("user_changed_number", BEN));
    world.client(BEN).with_keys(keys(BEN, "DE.2")).taps("consent:yes");
    world.passes(Span::minutes(1));
    world.client(ANN).with_keys(keys(ANN, "DE.1")).writes("STOP");
    assert!(world.consent(BEN).is_opted_in());
    assert!(world.consent(ANN).is_opted_out());
    world.client(ANN).at(early).with_keys(keys(ANN, "DE.1")).writes("One more thing");
    assert_eq!(world.last_told("Ann Lee"), "client_message Ann Lee: One more thing");
}

#[test]
fn identity_the_old_id_alone_with_the_number_hidden_tells_of_a_stranger_too() {
    let mut world = moved_to_bens_number();
    world
        .client(ANN)
        .with_keys(ClientKeys { phone: None, wa_id: None, ..keys(ANN, "DE.1") })
        .writes("Hidden, from the old phone");
    assert_eq!((contacts(&world), world.contact(BEN).user_id.as_deref()), (2, Some("DE.2")));
    assert!(!world.last_told("Ann Lee").contains("Hidden"));
}

#[test]
fn identity_the_answer_to_what_was_on_its_way_to_the_old_number_does_not_bring_it_back() {
    let mut world = known_by_user_id();
    world.outbox_stands = true;
    world.in_room("Ann Lee").says("jane", "On its way");
    let due = world.take_only().unwrap();
    world.client(ANN).with_keys(keys(ANN, "DE.1")).sends(sign("user_changed_number", BEN));
    let answer = format!("wamid.1\n{}", &ANN[1..]);
    world.ends(&due, Outcome::Done { external_id: Some(answer) });
    assert_eq!(world.contact(BEN).wa_id.as_deref(), Some(&BEN[1..]));
    assert_eq!(world.state_of("On its way"), "sent");
}

#[test]
fn identity_who_goes_back_to_the_number_he_had_is_found_by_it() {
    let mut world = moved_to_bens_number();
    let ann = world.contact(BEN).id;
    world.client(BEN).with_keys(keys(BEN, "DE.2")).sends(sign("user_changed_number", ANN));
    world.passes(Span::minutes(1));
    world.client(ANN).with_keys(keys(ANN, "DE.1")).taps("consent:yes");
    assert_eq!((contacts(&world), world.contact(ANN).id), (1, ann));
    assert!(world.consent(ANN).is_opted_in());
}

#[test]
fn identity_a_yes_from_before_the_sign_is_no_answer_to_a_later_question() {
    for any_reply in [false, true] {
        let mut world = World::agreed(|policy| {
            if any_reply {
                policy.whatsapp_consent = liaison::domain::policy::ConsentRule::AnyReply;
            }
        });
        let early = world.now;
        world.passes(Span::minutes(5));
        world.client(ANN).sends(identity_changed());
        world.says("jane", "/optin send Ann Lee");
        world.presses("jane", "confirm");
        assert_eq!(world.consent(ANN).name(), "PENDING");
        world.client(ANN).at(early).taps("consent:yes");
        world.client(ANN).at(early).writes("fine");
        assert_eq!(world.consent(ANN).name(), "PENDING", "the one before said so");
        world.client(ANN).taps("consent:yes");
        assert!(world.consent(ANN).is_opted_in());
    }
}

#[test]
fn identity_who_is_added_again_with_his_new_number_is_the_same_and_is_asked_anew() {
    let mut world = known_by_user_id();
    let ann = world.contact(ANN).id;
    world.client(ANN).with_keys(keys(ANN, "DE.9")).writes("Hello");
    world.says("jane", &format!("/contact add Ann Lee phone={BEN} email=ann@lee.de channel=whatsapp"));
    assert_eq!((world.contact(BEN).id, world.consent(BEN)), (ann, Consent::None));
}

#[test]
fn identity_a_sign_from_somebody_unknown_is_only_noted() {
    let signs = [
        identity_changed(),
        sign("user_changed_number", BEN),
        sign("user_changed_user_id", "DE.2"),
        sign("reaction", "👍"),
        sign("revoke", ""),
        sign("request_welcome", ""),
        sign("system", "something new"),
    ];
    for content in signs {
        let mut world = World::new();
        let before = world.records();
        assert_eq!(world.client(ANN).sends(content.clone()), [""; 0]);
        assert_eq!(world.records(), before, "{content:?}");
        assert!(world.posts.is_empty());
        assert_eq!(world.kinds().last(), Some(&"client.sign_of_unknown"));
    }
}

// ---- what a status tells of whom a message came to

fn told_of(world: &mut World, sent: &Sent, recipient: ClientKeys, status: Delivery) {
    let told = DeliveryReported {
        channel: sent.channel,
        line: sent.line.clone(),
        id: sent.wamid.clone(),
        ours: Some(sent.message.clone()),
        status,
        recipient,
        participant: None,
        price_category: None,
        price_type: None,
    };
    world.feed(Fact::DeliveryReported(told));
    world.work_off();
}

/// What Jane has just written to Ann.
fn written(world: &mut World, text: &str) -> Sent {
    world.in_room("Ann Lee").says("jane", text);
    world.sends.last().unwrap().clone()
}

#[test]
fn identity_a_status_tells_the_business_scoped_id_by_which_he_is_found_when_he_hides_his_number() {
    let mut world = World::agreed(|_| {});
    assert_eq!(world.contact(ANN).user_id, None);
    let sent = written(&mut world, "Good morning");
    let closed = world.contact(ANN).on(Channel::WhatsApp).windows;
    told_of(&mut world, &sent, keys(ANN, "DE.1"), Delivery::Sent);
    assert_eq!(world.contact(ANN).user_id.as_deref(), Some("DE.1"));
    assert_eq!(world.contact(ANN).on(Channel::WhatsApp).windows, closed, "C1: a status opens nothing");
    assert_eq!(world.kinds().iter().filter(|kind| **kind == "contact.keys_learnt").count(), 1);
    told_of(&mut world, &sent, keys(ANN, "DE.1"), Delivery::Read);
    assert_eq!(world.kinds().iter().filter(|kind| **kind == "contact.keys_learnt").count(), 1, "known already");
    let hidden = ClientKeys { user_id: Some("DE.1".to_owned()), ..ClientKeys::default() };
    world.client(ANN).with_keys(hidden).writes("My number is hidden now");
    assert_eq!(contacts(&world), 1);
    assert!(world.last_told("Ann Lee").ends_with("My number is hidden now"));
}

#[test]
fn identity_a_status_may_hide_the_number_and_still_tells_who_it_is() {
    let mut world = World::agreed(|_| {});
    let sent = written(&mut world, "Good morning");
    let hidden = ClientKeys { user_id: Some("DE.1".to_owned()), ..ClientKeys::default() };
    told_of(&mut world, &sent, hidden, Delivery::Delivered);
    assert_eq!(world.contact(ANN).user_id.as_deref(), Some("DE.1"));
    let sent = written(&mut world, "And this");
    told_of(&mut world, &sent, ClientKeys::default(), Delivery::Delivered);
    assert_eq!(world.contact(ANN).user_id.as_deref(), Some("DE.1"), "a status that tells nothing takes nothing");
}

#[test]
fn identity_a_status_with_another_id_says_that_the_number_has_a_new_owner() {
    let mut world = known_by_user_id();
    let sent = written(&mut world, "Good morning");
    told_of(&mut world, &sent, keys(ANN, "DE.9"), Delivery::Delivered);
    assert!(world.find_contact(ANN).is_none(), "nothing more goes to that number");
    assert!(world.told("Ann Lee").contains(&"notice number-handed-on".to_owned()), "{:?}", world.told("Ann Lee"));
    assert_eq!(world.in_room("Ann Lee").says("jane", "Hello?"), ["refusal(address)"]);
    world.client(ANN).with_keys(keys(ANN, "DE.9")).writes("Who are you?");
    assert_eq!(contacts(&world), 2, "and consent did not go over");
    assert_eq!(world.consent(ANN), Consent::None);
}

#[test]
fn identity_a_status_of_an_earlier_time_or_number_proves_nothing() {
    let mut world = known_by_user_id();
    let sent = written(&mut world, "Good morning");
    let at = world.now;
    world.passes(Span::minutes(1));
    world.client(ANN).with_keys(keys(ANN, "DE.1")).writes("It is me");
    let told = |world: &mut World, recipient: ClientKeys, at| {
        let (id, ours) = (sent.wamid.clone(), Some(sent.message.clone()));
        let (channel, line, status) = (sent.channel, sent.line.clone(), Delivery::Delivered);
        let (participant, price_category, price_type) = (None, None, None);
        let told = DeliveryReported { channel, line, id, ours, status, recipient, participant, price_category, price_type };
        let id = world.fresh("status");
        world.feed_as(&id, at, Fact::DeliveryReported(told));
    };
    told(&mut world, keys(ANN, "DE.9"), at);
    assert_eq!(world.contact(ANN).user_id.as_deref(), Some("DE.1"), "he has written since");

    world.client(ANN).with_keys(keys(ANN, "DE.1")).sends(sign("user_changed_number", BEN));
    world.passes(Span::minutes(1));
    let now = world.now;
    told(&mut world, keys(ANN, "DE.9"), now);
    assert_eq!(world.contact(BEN).user_id, None, "the message went to his old number, and so to whoever has that");
    assert!(!world.told("Ann Lee").contains(&"notice number-handed-on".to_owned()));
}

#[test]
fn identity_an_id_that_is_another_clients_is_left_where_it_is() {
    let mut world = World::agreed(|_| {});
    let hidden = ClientKeys { user_id: Some("DE.7".to_owned()), ..ClientKeys::default() };
    world.client(BEN).with_keys(hidden).writes("Hello");
    let sent = written(&mut world, "Good morning");
    told_of(&mut world, &sent, keys(ANN, "DE.7"), Delivery::Delivered);
    assert_eq!(world.contact(ANN).user_id, None);
    assert_eq!(world.state_of("Good morning"), "delivered");
}
