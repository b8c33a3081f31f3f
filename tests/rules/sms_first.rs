//! S2-10…S2-19: a client whom nobody added writes or calls, and a conversation begins by itself.
use crate::common::world::*;
use crate::sms::{ADD_SAM, by_sms, world};
use liaison::domain::consent::Consent;
use liaison::domain::event::*;
use liaison::domain::ids::*;
use liaison::domain::policy::UnknownSender;
use liaison::domain::time::Span;
use serde_json::json;

fn call(number: Option<&str>, stage: CallStage) -> Fact {
    let from = ClientKeys { phone: number.and_then(Phone::from_e164), ..ClientKeys::default() };
    Fact::ClientCalled(ClientCalled { channel: Channel::Sms, line: LineId::new(JANES_LINE), id: "CA1".to_owned(), from, stage })
}

fn feed(world: &mut World, id: &str, fact: Fact) {
    let now = world.now;
    assert_eq!(world.feed_as(id, now, fact), Fed::Committed);
    world.work_off();
}

const RINGING: CallStage = CallStage::Ringing { may_be_answered: false };
const FORWARDED: CallStage = CallStage::Ringing { may_be_answered: true };
const MISSED: CallStage = CallStage::Over { answered: false, seconds: None };

#[test]
fn s2_10_to_16_a_text_from_a_stranger_starts_everything_by_itself() {
    let mut world = world();
    assert_eq!(world.client(SAM).by_sms().writes("Hello, is this Jane?"), ["welcome"], "S2-15");
    let contact = world.contact(SAM);
    let listing = world.listing("jane", SAM).unwrap();
    assert!(listing.incomplete && listing.name().is_empty(), "S2-11, S2-12: the number only");
    assert_eq!(world.room(SAM).owner(), Some(UserId(1)), "S2-14");
    assert_eq!(world.told(SAM), ["room_opened", &format!("client_message {SAM}: Hello, is this Jane?")], "S2-16");
    assert_eq!(contact.consent(Channel::Sms), Consent::None);
    world.in_room(SAM).says("jane", "Yes it is");
    assert_eq!(world.state_of("Yes it is"), "held(consent)", "S2-6 for a number of the United States");
    assert_eq!(world.client(SAM).by_sms().writes("yes"), ["opted_in", "Yes it is"]);
    assert_eq!(world.client(SAM).by_sms().writes("Thanks"), [""; 0], "one room, one welcome");
}

#[test]
fn s2_13_s2_19_details_are_added_later_and_end_incomplete() {
    let mut world = world();
    world.client(SAM).by_sms().writes("Hello");
    world.says("jane", "/contact list");
    assert_eq!(world.last_reply("jane").vars["contacts"][0]["channels"][0]["status"], json!("INCOMPLETE"));
    assert_eq!(world.says("jane", &format!("/contact complete {SAM} first=Sam last=Hill")), ["answer contact-complete"]);
    assert!(!world.listing("jane", SAM).unwrap().incomplete);
    world.client(SAM).by_sms().writes("It is me");
    assert_eq!(world.last_told(SAM), "client_message Sam Hill: It is me");
}

#[test]
fn s2_17_the_test_is_per_advisors_list_and_a_colleagues_name_is_never_shown() {
    let mut world = world();
    world.says("bob", "/contact add Samuel Secret phone=+19175550123 email=sam@hill.com channel=whatsapp");
    assert_eq!(world.client(SAM).by_sms().writes("Hello Jane"), ["welcome"]);
    let (janes, bobs) = (world.listing("jane", SAM).unwrap(), world.listing("bob", SAM).unwrap());
    assert!(janes.incomplete && !bobs.incomplete, "one identity, two entries");
    assert_eq!(world.room(SAM).owner(), Some(UserId(1)), "the number is Jane's own");
    assert!(!world.told(SAM).concat().contains("Secret"));
    let Some(sent) = world.sends.last() else { panic!() };
    assert!(!serde_json::to_string(&sent.body).unwrap().contains("Samuel"), "nor to the client");
}

#[test]
fn s2_17_one_who_is_on_the_list_gets_his_room_under_his_name() {
    let mut world = world();
    world.says("jane", "/contact add Sam Hill phone=+19175550123 email=sam@hill.com channel=whatsapp");
    world.client(SAM).by_sms().writes("Hello Jane");
    assert_eq!(world.room("Sam Hill").channel, Channel::Sms);
    let listing = world.listing("jane", SAM).unwrap();
    assert!(!listing.incomplete && listing.channels.contains(&Channel::Sms));
}

#[test]
fn s2_18_a_call_without_a_word_is_enough() {
    let mut world = world();
    feed(&mut world, "call-1", call(Some(SAM), RINGING));
    assert_eq!(world.sent_to(SAM), ["welcome"], "S2-15");
    assert_eq!(world.told(SAM), ["room_opened", "info client-called"]);
    let line = world.last_reply(SAM);
    assert_eq!((&line.vars["number"], &line.vars["answered"]), (&json!(SAM), &json!(false)), "nobody takes calls here");
    feed(&mut world, "call-2", call(Some(SAM), MISSED));
    assert_eq!(world.told(SAM).len(), 2, "one call, one line");
    assert_eq!(by_sms(&world, SAM), Consent::None, "a call is no consent");
    world.in_room(SAM).says("jane", "You called?");
    assert_eq!(world.state_of("You called?"), "held(consent)");
}

#[test]
fn s2_18_a_call_that_is_put_through_is_shown_as_it_ended() {
    let mut world = world();
    feed(&mut world, "call-1", call(Some(SAM), FORWARDED));
    assert_eq!(world.told(SAM), ["room_opened"], "room and welcome at once");
    assert_eq!(world.sent_to(SAM), ["welcome"]);
    world.passes(Span::minutes(2));
    feed(&mut world, "call-2", call(Some(SAM), CallStage::Over { answered: true, seconds: Some(120) }));
    let line = world.last_reply(SAM);
    assert_eq!((&line.vars["answered"], &line.vars["seconds"]), (&json!(true), &json!(120)));
    feed(&mut world, "call-3", call(Some(SAM), MISSED));
    assert_eq!(world.told(SAM).len(), 2, "a later, lesser end changes nothing");
    world.says("jane", &format!("/call list {SAM}"));
    let calls = world.last_reply("jane").vars["calls"].clone();
    assert_eq!(
        (&calls[0]["state"], &calls[0]["seconds"], &calls[0]["direction"]),
        (&json!("answered"), &json!(120), &json!("inbound"))
    );
}

#[test]
fn s2_18_a_call_whose_end_nobody_tells_is_shown_all_the_same() {
    let mut world = world();
    feed(&mut world, "call-1", call(Some(SAM), FORWARDED));
    world.passes(Span::hours(5));
    assert_eq!(world.told(SAM), ["room_opened", "info client-called"]);
    assert_eq!(world.last_reply(SAM).vars["answered"], json!(null));
}

#[test]
fn s2_18_the_end_of_a_call_may_come_first() {
    let mut world = world();
    feed(&mut world, "call-2", call(Some(SAM), CallStage::Over { answered: true, seconds: Some(61) }));
    feed(&mut world, "call-1", call(Some(SAM), FORWARDED));
    assert_eq!(world.told(SAM), ["room_opened", "info client-called"]);
    assert_eq!(world.last_reply(SAM).vars["seconds"], json!(61));
}

#[test]
fn a_withheld_number_makes_no_contact() {
    let mut world = world();
    world.says("jane", "/whoami");
    feed(&mut world, "call-1", call(None, RINGING));
    feed(&mut world, "call-2", call(None, MISSED));
    assert!(world.rooms().is_empty() && world.sends.is_empty());
    assert_eq!(world.told("jane").iter().filter(|told| *told == "info called-withheld").count(), 1);
}

#[test]
fn short_codes_and_our_own_numbers_are_nobody() {
    let mut world = world();
    let short = ClientKeys { profile_name: Some("72345".to_owned()), ..ClientKeys::default() };
    world.client(SAM).by_sms().with_keys(short).writes("Your code is 123456");
    assert!(world.rooms().is_empty() && world.sends.is_empty());
    assert_eq!(world.last_told("adam"), "info parked");
    world.client(JANES_LINE).by_sms().writes("a loop");
    assert!(world.rooms().is_empty() && world.sends.is_empty());
}

#[test]
fn unknown_senders_are_parked_or_refused_as_the_firm_chose() {
    for (rule, told) in [(UnknownSender::Park, "info parked"), (UnknownSender::Refuse, "")] {
        let mut world = World::with(|policy| {
            direct_line(policy);
            policy.unknown_sender = rule;
        });
        assert_eq!(world.client(SAM).by_sms().writes("Hello"), [""; 0]);
        feed(&mut world, "call-1", call(Some(SAM), RINGING));
        assert!(world.rooms().is_empty() && world.find_contact(SAM).is_none());
        assert_eq!(world.last_told("adam"), told);
    }
}

#[test]
fn a_flood_of_strangers_stays_under_the_cap_and_is_told_in_few_words() {
    let mut world = World::with(|policy| {
        direct_line(policy);
        policy.onboarding_per_hour = 5;
        policy.onboarding_per_prefix = 3;
    });
    world.says("jane", ADD_SAM);
    for nth in 0..200 {
        world.client(&format!("+4915{:03}0{nth:05}", nth % 50)).by_sms().writes("Hello");
    }
    assert_eq!(world.rooms().len(), 1 + 5);
    let told = world.told("adam").len();
    assert!((2..=6).contains(&told), "{told} lines for 195 strangers");
    assert_eq!(world.kinds().iter().filter(|kind| **kind == "client.parked").count(), 195, "each is kept");
    world.client(SAM).by_sms().writes("I am known");
    assert_eq!(world.last_told("Sam Hill"), "client_message Sam Hill: I am known");
    world.passes(Span::hours(1));
    world.client("+4915200012345").by_sms().writes("Hello");
    assert_eq!(world.rooms().len(), 7, "the next hour counts anew");
}

#[test]
fn a_stop_as_first_word_opens_nothing_and_says_nothing() {
    let mut world = world();
    assert_eq!(world.client(SAM).by_sms().writes("STOP"), [""; 0]);
    assert!(by_sms(&world, SAM).is_opted_out());
    assert!(world.sent_to(SAM).is_empty(), "no welcome after a stop");
}
