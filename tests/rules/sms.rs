//! S2 and S3 on SMS, begun by the advisor: contact, room, welcome, and the question that the law asks of a US number.
use crate::common::world::*;
use liaison::domain::consent::Consent;
use liaison::domain::effect::{Body, Code};
use liaison::domain::entitlement::{Permission, Rights};
use liaison::domain::event::*;
use liaison::domain::ids::*;
use liaison::domain::policy::*;
use liaison::domain::time::Span;
use serde_json::json;

pub const ADD_SAM: &str = "/contact add Sam Hill phone=+19175550123 channel=sms";
const ADD_ANN_BY_SMS: &str = "/contact add Ann Lee phone=+4915112345678 channel=sms";

pub fn world() -> World {
    World::with(direct_line)
}

fn world_with(change: impl FnOnce(&mut Policy)) -> World {
    World::with(|policy| {
        direct_line(policy);
        change(policy);
    })
}

pub fn by_sms(world: &World, number: &str) -> Consent {
    world.contact(number).consent(Channel::Sms)
}

/// Sam is Jane's contact and has the welcome.
fn sam() -> World {
    let mut world = world();
    world.says("jane", ADD_SAM);
    world
}

#[test]
fn s2_1_s2_2_s2_3_s2_4_s2_5_contact_room_welcome_conversation_in_this_order() {
    let mut world = world();
    let answer = world.says("jane", ADD_ANN_BY_SMS);
    assert_eq!(answer.last().unwrap(), "answer contact-added", "{answer:?}");
    assert_eq!(world.sent_to(ANN), ["welcome"], "S2-3");
    let order: Vec<&str> = world.kinds().into_iter().collect();
    let place = |kind: &str| order.iter().position(|known| *known == kind).unwrap_or_else(|| panic!("{kind} in {order:?}"));
    assert!(place("contact.created") < place("room.opened") && place("room.opened") < place("message.taken"));
    assert_eq!(world.room("Ann Lee").line, LineId::new(JANES_LINE));
    world.in_room("Ann Lee").says("jane", "Good morning");
    assert_eq!(world.sent_to(ANN), ["welcome", "Good morning"], "S2-4");
    world.client(ANN).by_sms().writes("Good morning, Jane");
    assert_eq!(world.last_told("Ann Lee"), "client_message Ann Lee: Good morning, Jane");
    assert_eq!(world.last_reply("Ann Lee").vars["channel"], "SMS", "S4-13");
}

#[test]
fn s2_2_on_sms_the_room_comes_with_the_contact_and_no_email_is_needed() {
    let world = sam();
    assert!(world.has_room("Sam Hill"));
    assert_eq!(world.contact(SAM).email, None);
}

#[test]
fn s2_6_the_first_text_to_a_us_contact_asks_him_at_once_and_nobody_else() {
    let mut world = sam();
    let told = world.in_room("Sam Hill").says("jane", "Good morning Sam");
    assert_eq!(told, ["held(consent)"], "no card for the advisor");
    assert_eq!(world.sent_to(SAM), ["welcome", "opt_in"]);
    assert!(by_sms(&world, SAM).is_pending());
    let Body::Wording { vars, .. } = &world.sends.last().unwrap().body else { panic!() };
    assert_eq!((vars["advisor.name"].as_str(), vars["firm"].as_str()), ("Jane Doe", "Acme Wealth"));
    world.in_room("Sam Hill").says("jane", "Are you there?");
    assert_eq!(world.sent_to(SAM), ["welcome", "opt_in"], "he is asked once");
}

#[test]
fn s2_7_nothing_of_the_advisor_goes_before_the_yes_and_then_in_order() {
    let mut world = sam();
    world.in_room("Sam Hill").says("jane", "one");
    world.in_room("Sam Hill").says("jane", "two");
    assert_eq!((world.state_of("one"), world.state_of("two")), ("held(consent)".to_owned(), "held(consent)".to_owned()));
    assert_eq!(world.client(SAM).by_sms().writes("Yes"), ["opted_in", "one", "two"], "S3-14, S3-15");
    assert!(by_sms(&world, SAM).is_opted_in());
    assert!(world.told("Sam Hill").contains(&"consent_yes".to_owned()), "S3-13");
    world.in_room("Sam Hill").says("jane", "three");
    assert_eq!(world.sent_to(SAM).last().unwrap(), "three", "S2-8: later messages skip the question");
}

#[test]
fn s2_7_free_text_is_no_yes_and_the_question_comes_once_more() {
    let mut world = sam();
    world.in_room("Sam Hill").says("jane", "one");
    world.passes(Span::minutes(5));
    assert_eq!(world.client(SAM).by_sms().writes("Who is this?"), ["opt_in"]);
    assert_eq!(world.last_told("Sam Hill"), "client_message Sam Hill: Who is this?");
    assert_eq!(world.client(SAM).by_sms().writes("Tell me"), [""; 0]);
    assert_eq!(world.state_of("one"), "held(consent)");
}

#[test]
fn s2_8_who_lives_elsewhere_is_not_asked() {
    let mut world = world();
    world.says("jane", ADD_ANN_BY_SMS);
    world.in_room("Ann Lee").says("jane", "Good morning");
    assert_eq!(world.sent_to(ANN), ["welcome", "Good morning"]);
    assert_eq!(by_sms(&world, ANN), Consent::None);
    // Canada shares +1 and is not the United States.
    world.says("jane", "/contact add Cat Roy phone=+14165550123 channel=sms");
    world.in_room("Cat Roy").says("jane", "Bonjour");
    assert_eq!(world.sent_to("+14165550123"), ["welcome", "Bonjour"]);
}

#[test]
fn s2_8_the_firm_may_ask_everybody_or_nobody() {
    let mut all = world_with(|policy| policy.sms_consent = SmsConsent::All);
    all.says("jane", ADD_ANN_BY_SMS);
    all.in_room("Ann Lee").says("jane", "Good morning");
    assert_eq!(all.sent_to(ANN), ["welcome", "opt_in"]);
    let mut nobody = world_with(|policy| policy.sms_consent = SmsConsent::Nobody);
    nobody.says("jane", ADD_SAM);
    nobody.in_room("Sam Hill").says("jane", "Good morning");
    assert_eq!(nobody.sent_to(SAM), ["welcome", "Good morning"]);
}

#[test]
fn s2_9_after_a_no_it_is_never_delivered() {
    let mut world = sam();
    world.in_room("Sam Hill").says("jane", "one");
    assert_eq!(world.client(SAM).by_sms().writes("STOP"), [""; 0], "the provider has answered this word");
    assert_eq!(world.state_of("one"), "withdrawn(consent)");
    let told = world.told("Sam Hill");
    assert!(told.contains(&"consent_no".to_owned()) && told.contains(&"withdrawn(consent)".to_owned()), "{told:?}");
    world.in_room("Sam Hill").says("jane", "two");
    assert_eq!(world.last_told("Sam Hill"), "refusal(consent)");
    world.passes(Span::days(20));
    assert_eq!(world.sent_to(SAM), ["welcome", "opt_in"]);
}

#[test]
fn s3_18_a_stop_is_confirmed_once_by_whoever_answers_keywords() {
    // "Opt out" is no word of the provider's own: it is ours to confirm.
    let mut world = sam();
    assert_eq!(world.client(SAM).by_sms().writes("Opt out!"), ["opted_out"]);
    assert_eq!(world.client(SAM).by_sms().writes("Opt out!"), [""; 0], "once");
    let mut ours = world_with(|policy| policy.keyword_replies = KeywordReplies::Liaison);
    ours.says("jane", ADD_SAM);
    assert_eq!(ours.client(SAM).by_sms().writes("Stop."), ["opted_out"]);
}

#[test]
fn s3_18_a_confirmation_that_comes_too_late_does_not_go() {
    let mut world = world_with(|policy| policy.keyword_replies = KeywordReplies::Liaison);
    world.says("jane", ADD_SAM);
    world.outbox_stands = true;
    world.client(SAM).by_sms().writes("STOP");
    world.passes(Span::minutes(6));
    world.outbox_stands = false;
    world.work_off();
    assert_eq!(world.sent_to(SAM), ["welcome"], "after five minutes it would be one message more");
}

#[test]
fn s3_19_a_later_yes_opens_it_again() {
    let mut world = sam();
    world.in_room("Sam Hill").says("jane", "one");
    world.client(SAM).by_sms().writes("stop");
    world.passes(Span::hours(1));
    assert_eq!(world.client(SAM).by_sms().writes("START"), [""; 0], "the provider answers its own word");
    assert!(by_sms(&world, SAM).is_opted_in());
    world.client(SAM).by_sms().writes("Opt out");
    world.passes(Span::hours(1));
    assert_eq!(world.client(SAM).by_sms().writes("Ja"), ["opted_in"], "and not ours");
    world.in_room("Sam Hill").says("jane", "two");
    assert_eq!(world.sent_to(SAM).last().unwrap(), "two");
}

#[test]
fn s3_1_a_stop_that_only_the_provider_heard_counts_at_once_or_later() {
    for later in [false, true] {
        let mut world = world_with(|policy| policy.sms_consent = SmsConsent::Nobody);
        world.says("jane", ADD_SAM);
        if !later {
            world.troubles.push_back(Trouble::Fails("21610"));
        }
        world.in_room("Sam Hill").says("jane", "one");
        if later {
            let sent = world.sends.last().unwrap().clone();
            let failed = Delivery::Failed {
                code: "21610".to_owned(),
                detail: "Attempt to send to unsubscribed recipient".to_owned(),
                of_line: false,
            };
            world.reports_on(&sent, failed, world.now);
        }
        assert!(by_sms(&world, SAM).is_opted_out(), "later: {later}");
        assert_eq!(world.last_told("Sam Hill"), "consent_no(21610)");
        world.in_room("Sam Hill").says("jane", "two");
        assert_eq!(world.last_told("Sam Hill"), "refusal(consent)");
        assert!(!world.sent_to(SAM).contains(&"opted_out".to_owned()), "it would be refused as well");
    }
}

#[test]
fn help_is_answered_where_sending_is_allowed_and_robots_end() {
    let mut world = world_with(|policy| policy.keyword_replies = KeywordReplies::Liaison);
    world.says("jane", ADD_ANN_BY_SMS);
    assert_eq!(world.client(ANN).by_sms().writes("HELP"), ["help"]);
    assert_eq!(world.last_told("Ann Lee"), "client_message Ann Lee: HELP", "relayed as well");
    for _ in 0..10 {
        assert_eq!(world.client(ANN).by_sms().writes("Help"), [""; 0], "a robot is not answered twice");
    }
    world.passes(Span::hours(25));
    assert_eq!(world.client(ANN).by_sms().writes("Help"), ["help"]);
    let mut provider = sam();
    assert_eq!(provider.client(SAM).by_sms().writes("HELP"), [""; 0]);
}

#[test]
fn the_welcome_may_wait_for_the_yes() {
    let mut world = world_with(|policy| policy.sms_welcome = SmsWelcome::AfterConsent);
    world.says("jane", ADD_SAM);
    assert!(world.sent_to(SAM).is_empty());
    world.in_room("Sam Hill").says("jane", "one");
    assert_eq!(world.client(SAM).by_sms().writes("YES"), ["welcome", "one"]);
    assert_eq!(world.sent_to(SAM), ["opt_in", "welcome", "one"]);
    world.says("jane", ADD_ANN_BY_SMS);
    assert_eq!(world.sent_to(ANN), ["welcome"], "who need not be asked is welcomed at once");
}

#[test]
fn a_request_may_be_repeated_after_a_day_and_not_earlier() {
    let mut world = sam();
    world.in_room("Sam Hill").says("jane", "one");
    assert_eq!(world.in_room("Sam Hill").says("jane", "/optin resend"), ["refusal(pending-until)"], "S3-21");
    world.passes(Span::hours(25));
    world.in_room("Sam Hill").says("jane", "/optin resend");
    assert_eq!(world.sent_to(SAM), ["welcome", "opt_in", "opt_in"], "S3-20");
    world.client(SAM).by_sms().writes("y");
    assert_eq!(world.state_of("one"), "sent");
}

#[test]
fn s0_24_by_sms_no_notice_is_promised_and_none_is_sent() {
    let mut world = sam();
    for text in ["one", "two"] {
        world.in_room("Sam Hill").says("jane", text);
        assert_eq!(world.last_reply("Sam Hill").vars["notice"], false, "{text}");
    }
    assert_eq!(world.sent_to(SAM), ["welcome", "opt_in"]);
    world.policy.held_max = 2;
    assert_eq!(world.in_room("Sam Hill").says("jane", "three"), ["refusal(held-max)"]);
    let told = world.last_reply("Sam Hill").vars;
    assert_eq!((&told["gate"], &told["consent"], &told["channel"]), (&json!("consent"), &json!("PENDING"), &json!("SMS")));
    world.passes(Span::days(13));
    let told = world.last_reply("Sam Hill").vars;
    assert_eq!(world.last_told("Sam Hill"), "info expires-soon");
    assert_eq!((&told["gate"], &told["consent"], &told["channel"]), (&json!("consent"), &json!("PENDING"), &json!("SMS")));
    world.passes(Span::days(1));
    assert_eq!(world.last_told("Sam Hill"), "expired");
    assert_eq!(world.last_reply("Sam Hill").vars["gate"], "consent");
}

#[test]
fn s3_10_not_on_whatsapp_is_offered_sms() {
    let mut world = world();
    world.troubles.push_back(Trouble::Fails("131026"));
    world.says("jane", &format!("{ADD_ANN} --room"));
    assert!(world.told("Ann Lee").contains(&"not_on_whatsapp(131026)".to_owned()), "{:?}", world.told("Ann Lee"));
    let rooms = world.rooms().len();
    world.presses("jane", "sms-no");
    assert_eq!((world.rooms().len(), world.sends.len()), (rooms, 0), "S4-43: no sends nothing");
}

#[test]
fn s3_11_yes_opens_the_sms_room_and_what_waited_goes_only_when_confirmed() {
    let mut world = world();
    world.says("jane", &format!("{ADD_ANN} --room"));
    world.in_room("Ann Lee").says("jane", "Good morning");
    assert_eq!(world.state_of("Good morning"), "held(consent)");
    let invitation = world.sends.last().unwrap().clone();
    let failed = Delivery::Failed { code: "131026".to_owned(), detail: "no".to_owned(), of_line: false };
    world.reports_on(&invitation, failed, world.now);
    assert_eq!(world.state_of("Good morning"), "withdrawn(address)");
    let offer = world.posts.iter().rfind(|post| post.reply.code == Code::NotOnWhatsapp).unwrap().clone();
    let sent = world.sends.len();
    world.presses_on(&offer, "jane", "sms-yes");
    let room = world.rooms().into_iter().find(|room| room.channel == Channel::Sms).unwrap();
    assert_eq!(
        world.sends[sent..].iter().map(|s| read_as(&s.body)).collect::<Vec<_>>(),
        ["welcome"],
        "its own consent, its own welcome"
    );
    let card = world.posts.iter().rfind(|post| post.reply.template == "send-by-sms").unwrap().clone();
    assert_eq!((card.place.as_str(), card.reply.vars["text"].as_str()), (room.name.as_str(), Some("Good morning")));
    world.presses_on(&card, "jane", "confirm");
    assert_eq!(world.sent_to(ANN).last().unwrap(), "Good morning");
    world.presses_on(&card, "jane", "confirm");
    assert_eq!(world.sent_to(ANN).iter().filter(|text| *text == "Good morning").count(), 1, "once");
}

#[test]
fn s3_11_an_offer_of_sms_that_was_refused_still_stands() {
    let mut world = world();
    world.troubles.push_back(Trouble::Fails("131026"));
    world.says("jane", &format!("{ADD_ANN} --room"));
    let offer = world.question();
    let rights = world.policy.advisors["jane.doe@acme.com"].clone();
    let whatsapp = Rights::new("jane.doe@acme.com", &[Channel::WhatsApp], &[Permission::Chat], "Private Clients");
    world.policy.advisors.insert(whatsapp.email.clone(), whatsapp);
    assert_eq!(world.presses_on(&offer, "jane", "sms-yes"), ["refusal(not-entitled)"]);
    world.policy.advisors.insert(rights.email.clone(), rights);
    world.presses_on(&offer, "jane", "sms-yes");
    assert!(world.rooms().iter().any(|room| room.channel == Channel::Sms));
}

#[test]
fn s3_11_what_may_not_go_by_sms_yet_may_later() {
    let mut world = world();
    world.says("jane", &format!("{ADD_ANN} --room"));
    world.in_room("Ann Lee").says("jane", "Good morning");
    let invitation = world.sends.last().unwrap().clone();
    let failed = Delivery::Failed { code: "131026".to_owned(), detail: "no".to_owned(), of_line: false };
    world.reports_on(&invitation, failed, world.now);
    let offer = world.posts.iter().rfind(|post| post.reply.code == Code::NotOnWhatsapp).unwrap().clone();
    world.presses_on(&offer, "jane", "sms-yes");
    let card = world.posts.iter().rfind(|post| post.reply.template == "send-by-sms").unwrap().clone();
    world.client(ANN).by_sms().writes("STOP");
    assert_eq!(world.presses_on(&card, "jane", "confirm"), ["refusal(consent)"]);
    world.passes(Span::minutes(1));
    world.client(ANN).by_sms().writes("START");
    world.presses_on(&card, "jane", "confirm");
    assert_eq!(world.sent_to(ANN).last().unwrap(), "Good morning");
}

#[test]
fn s2_8_where_nobody_is_asked_no_request_is_advised() {
    let mut world = world();
    world.says("jane", ADD_ANN_BY_SMS);
    world.says("jane", ADD_SAM);
    for (who, needs_no_yes) in [(ANN, true), (SAM, false)] {
        world.says("jane", &format!("/consent show {who}"));
        assert_eq!(world.last_reply("jane").vars["channels"][0]["needs_no_yes"], needs_no_yes, "{who}");
    }
}

#[test]
fn sms_opens_or_names_the_room_and_its_consent_is_its_own() {
    let mut world = World::agreed(direct_line);
    let opened = world.says("jane", "/sms Ann Lee");
    assert_eq!(opened.last().unwrap(), "answer sms-room", "{opened:?}");
    let contact = world.contact(ANN);
    assert!(contact.consent(Channel::WhatsApp).is_opted_in() && contact.consent(Channel::Sms) == Consent::None, "two consents");
    assert_eq!(contact.rooms.len(), 2, "rooms never mix channels");
    assert_eq!(world.says("jane", "/sms Ann Lee"), ["answer sms-room"]);
    assert_eq!(world.contact(ANN).rooms.len(), 2, "named, not made anew");
    let room = world.rooms().into_iter().find(|room| room.channel == Channel::Sms).unwrap();
    world.client(ANN).by_sms().writes("by text");
    assert_eq!(world.last_told(&room.name), "client_message Ann Lee: by text");
    world.client(ANN).writes("by WhatsApp");
    assert_eq!(world.last_told("Ann Lee"), "client_message Ann Lee: by WhatsApp");
    assert_eq!(world.says("jane", "/contact show Ann Lee"), ["answer contact-card"]);
    assert_eq!(world.last_reply("jane").vars["channels"].as_array().unwrap().len(), 2, "one card");
}

#[test]
fn a_stop_counts_for_its_channel_or_for_all_as_the_firm_chose() {
    for (scope, out) in [(StopScope::Channel, false), (StopScope::All, true)] {
        let mut world = World::agreed(|policy| {
            direct_line(policy);
            policy.stop_scope = scope;
        });
        world.says("jane", "/sms Ann Lee");
        world.client(ANN).by_sms().writes("STOP");
        assert!(by_sms(&world, ANN).is_opted_out());
        assert_eq!(world.contact(ANN).consent(Channel::WhatsApp).is_opted_out(), out, "{scope:?}");
    }
}

#[test]
fn sms_after_a_no_there_is_consent_missing() {
    let mut world = World::agreed(direct_line);
    world.says("jane", "/sms Ann Lee");
    world.client(ANN).by_sms().writes("STOP");
    assert_eq!(world.says("jane", "/sms Ann Lee"), ["refusal(consent-missing)"]);
}

#[test]
fn without_a_line_sms_is_not_set_up() {
    let mut world = World::new();
    assert_eq!(world.says("jane", ADD_SAM), ["refusal(sms-not-set-up)"]);
    assert!(world.find_contact(SAM).is_none(), "nothing was written");
    let mut of_jane = sam();
    assert_eq!(
        of_jane.says("bob", "/contact add Sam Hill phone=+19175550199 channel=sms").last().unwrap(),
        "refusal(no-line-left)"
    );
}

#[test]
fn templates_are_whatsapps() {
    let mut world = sam();
    world.in_room("Sam Hill").says("jane", "/template send follow_up");
    assert_eq!(world.last_told("Sam Hill"), "refusal(bad-argument)");
}
