//! SMS when things go wrong: the provider fails, forgets, repeats itself, and strangers come to the webhook.
use super::outside::*;
use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::StreamExt;
use std::time::{Duration, Instant};

const LINE: &str = "+12025550143";
const ACCOUNT_SID: &str = "AC00000000000000000000000000000001";
const JAN: &str = "+491713920012";
const EVA: &str = "+442071234567";
/// Long enough that a second copy would have come.
const A_WHILE: Duration = Duration::from_secs(3);
const STRANGERS: usize = 3_000;
/// Webhooks under way at once: more than Twilio would keep open to one small firm.
const AT_ONCE: usize = 32;
/// Within this a known client's words are in the room while strangers pour in; on a machine at rest it is a fraction of a second.
const KNOWN_WITHIN: Duration = Duration::from_secs(5);
/// `policy.onboarding_per_hour`, by default.
const ROOMS_PER_HOUR: usize = 20;

type Form<'f> = Vec<(&'f str, &'f str)>;

impl Outside {
    /// A webhook as anybody could post it.
    async fn twilio_hook(&self, form: &[(&str, &str)], signature: Option<&str>) -> u16 {
        let call = self.http.post(format!("{}/webhooks/twilio/sms", self.address("bot"))).form(form);
        let call = signature.into_iter().fold(call, |call, signature| call.header("X-Twilio-Signature", signature));
        call.send().await.unwrap().status().as_u16()
    }

    /// Signed as Twilio does: the address, then each parameter once in the order of their names.
    fn twilio_signature(&self, form: &[(&str, &str)], token: &str) -> String {
        let mut sorted = form.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let text: String = sorted.iter().map(|(name, value)| format!("{name}{value}")).collect();
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
        let signed = format!("{}/webhooks/twilio/sms{text}", self.address("bot"));
        STANDARD.encode(hmac::sign(&key, signed.as_bytes()))
    }

    async fn twilio_says(&self, form: &[(&str, &str)]) -> u16 {
        self.twilio_hook(form, Some(&self.twilio_signature(form, "sandbox-token"))).await
    }

    async fn heard(&self, room: &str, text: &str) -> usize {
        let lines = self.lines(JANE, room).await;
        lines.iter().filter(|line| line.is("client_message") && line.text.ends_with(text)).count()
    }
}

fn text_of<'f>(sid: &'f str, from: &'f str, body: &'f str) -> Form<'f> {
    vec![("MessageSid", sid), ("AccountSid", ACCOUNT_SID), ("From", from), ("To", LINE), ("Body", body), ("NumMedia", "0")]
}

#[tokio::test]
async fn s3_1_a_number_that_the_provider_blocks_has_opted_out_at_once_or_later() {
    let world = own();
    for (code, first, number) in [("21610", "Jan", JAN), ("21610-later", "Eva", EVA)] {
        let room = world.texting_with(first, "Vogt", number).await;
        world.trouble("twilio", code, 1).await;
        world.say(JANE, &room, "are you there").await;
        let told = world.line(JANE, &room, "the no", |line| line.is("consent_no")).await;
        assert_eq!(told.reason, "21610", "{told:?}");
        let refused = world.remark(JANE, &room, "and now?").await;
        assert!(refused.refuses("consent"), "{code}: {refused:?}");
        assert_eq!(world.counts(number, "and now?").await, 0);
    }
}

#[tokio::test]
async fn twilio_fails_and_each_message_arrives_once_and_in_order() {
    let world = own();
    let jan = world.texting_with("Jan", "Vogt", JAN).await;
    let troubles = [("429", 2), ("lost-answer", 1), ("duplicate", 1), ("out-of-order", 1), ("delay", 1)];
    for (code, times) in troubles {
        let text = format!("in spite of {code}");
        world.trouble("twilio", code, times).await;
        world.say(JANE, &jan, &text).await;
        world.receives(JAN, &text).await;
        tokio::time::sleep(A_WHILE).await;
        assert_eq!(world.counts(JAN, &text).await, 1, "{code}: once, not twice");
        world.trouble("twilio", "500", 0).await;
    }
    let order: Vec<String> = troubles.iter().map(|(code, _)| format!("in spite of {code}")).collect();
    assert_eq!(world.received(JAN).await[1..], order[..]);
    let lines = world.lines(JANE, &jan).await;
    assert!(!lines.iter().any(|line| line.is("failed") || line.is("unconfirmed")), "all of them arrived: {lines:?}");
}

#[tokio::test]
async fn what_may_have_left_is_sent_again_only_when_the_list_does_not_show_it() {
    let world = own();
    let jan = world.texting_with("Jan", "Vogt", JAN).await;
    world.trouble("twilio", "503", 1).await;
    world.say(JANE, &jan, "did it leave?").await;
    world.say(JANE, &jan, "the next").await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(world.received(JAN).await.len(), 1, "a doubtful head holds its lane");
    world.advance("31s").await;
    world.receives(JAN, "the next").await;
    assert_eq!(world.received(JAN).await[1..], ["did it leave?", "the next"], "once, in order");
}

#[tokio::test]
async fn a_clients_words_come_once_however_often_and_late_their_webhook_does() {
    let world = own();
    let jan = world.texting_with("Jan", "Vogt", JAN).await;
    for code in ["duplicate", "delay"] {
        world.trouble("twilio", code, 1).await;
        world.text(JAN, &format!("told with {code}")).await;
    }
    for code in ["duplicate", "delay"] {
        let text = format!("told with {code}");
        world.line(JANE, &jan, &text, |line| line.text.ends_with(&text)).await;
    }
    tokio::time::sleep(A_WHILE).await;
    for code in ["duplicate", "delay"] {
        assert_eq!(world.heard(&jan, &format!("told with {code}")).await, 1, "{code}");
    }
}

#[tokio::test]
async fn the_webhook_refuses_what_twilio_did_not_sign() {
    let world = own();
    let jan = world.texting_with("Jan", "Vogt", JAN).await;
    let form = text_of("SM00000000000000000000000000000001", JAN, "really me");
    let good = world.twilio_signature(&form, "sandbox-token");
    assert_eq!(world.twilio_hook(&form, None).await, 403, "no signature");
    for wrong in ["", "AAAA", &world.twilio_signature(&form, "another-token"), &good.to_lowercase()] {
        assert_eq!(world.twilio_hook(&form, Some(wrong)).await, 403, "{wrong:?}");
    }
    let smuggled: Form = form.iter().copied().chain([("Body", "somebody else")]).collect();
    assert_eq!(world.twilio_hook(&smuggled, Some(&good)).await, 403, "a second body that nobody signed");
    let doubled: Form = form.iter().chain(&form).copied().collect();
    assert_eq!(world.twilio_hook(&doubled, Some(&good)).await, 200, "the same parameter twice is signed once");
    assert_eq!(world.twilio_hook(&form, Some(&good)).await, 200, "the same message again");
    world.line(JANE, &jan, "his words", |line| line.text.ends_with("really me")).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(world.heard(&jan, "really me").await, 1);
    assert_eq!(world.heard(&jan, "somebody else").await, 0);
}

#[tokio::test]
async fn thousands_of_strangers_make_few_rooms_and_slow_nobody_who_is_known() {
    let world = own();
    let jan = world.texting_with("Jan", "Vogt", JAN).await;
    let before = world.rooms(JANE).await.len();
    let flood = async {
        let all = (0..STRANGERS).map(|nth| {
            let world = &world;
            async move {
                let (sid, from) = (format!("SM{nth:032}"), format!("+1{}555{:04}", 201 + nth / 40 % 79, nth % 10_000));
                world.twilio_says(&text_of(&sid, &from, "Hello")).await
            }
        });
        futures_util::stream::iter(all).buffer_unordered(AT_ONCE).collect::<Vec<u16>>().await
    };
    let known = async {
        let mut longest = Duration::ZERO;
        for nth in 0..5 {
            let (text, began) = (format!("I am known {nth}"), Instant::now());
            world.text(JAN, &text).await;
            world.line(JANE, &jan, "a known client's words", |line| line.text.ends_with(&text)).await;
            longest = longest.max(began.elapsed());
        }
        longest
    };
    let began = Instant::now();
    let (answers, longest) = tokio::join!(flood, known);
    eprintln!("{STRANGERS} strangers in {:?}; a known client waited {longest:?} at most", began.elapsed());
    assert!(longest < KNOWN_WITHIN, "a known client waited {longest:?}");
    let kept = answers.iter().filter(|status| **status == 200).count();
    // 503 is an answer, too: Twilio's list brings the message later.
    assert!(answers.iter().all(|status| [200, 503].contains(status)), "{answers:?}");
    let rooms = world.rooms(JANE).await.len() - before;
    assert!((1..=ROOMS_PER_HOUR).contains(&rooms), "{rooms} rooms");
    let parked = world.journal(&[]).iter().filter(|entry| entry["kind"] == "client.parked").count();
    assert_eq!(parked + rooms, kept, "each is kept");
    let told = world.lines(OLGA, IM).await.len();
    assert!((1..=20).contains(&told), "the admin reads {told} lines of {STRANGERS} strangers");
    world.say(JANE, &jan, "still here").await;
    world.receives(JAN, "still here").await;
}

#[tokio::test]
async fn more_than_a_text_message_takes_is_refused_with_the_count() {
    let world = own();
    let jan = world.texting_with("Jan", "Vogt", JAN).await;
    let refused = world.remark(JANE, &jan, &"y".repeat(1_601)).await;
    assert!(refused.refuses("too-long"), "{refused:?}");
    for part in ["1601", "1600", "11 parts"] {
        assert!(refused.text.contains(part), "{part}: {refused:?}");
    }
    let most = "y".repeat(1_600);
    world.say(JANE, &jan, &most).await;
    world.receives(JAN, &most).await;
}
