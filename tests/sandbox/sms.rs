//! SMS & Voice from outside: both ways to begin, the question of the law, the stop, pictures, and the offer beside WhatsApp.
use super::consent::form_of;
use super::files::{file, png};
use super::outside::*;
use serde_json::{Value, json};

/// Of New York, without WhatsApp.
const MIA: &str = "+19175550148";
/// Of Munich, without WhatsApp.
const JAN: &str = "+491713920012";
/// Of France, without WhatsApp.
const PAUL: &str = "+33612345678";
/// Of Chicago; nobody knows them.
const CALLER: &str = "+13125550199";
const MISSED: &str = "+13125550188";
const STRANGER: &str = "+13125550177";

impl Outside {
    /// A contact of Jane's with his room and his welcome (S2-1 to S2-3).
    pub async fn texting_with(&self, first: &str, last: &str, number: &str) -> String {
        let answer = self.command(JANE, &format!("/contact add {first} {last} phone={number} channel=sms")).await;
        assert!(answer.is("answer"), "{answer:?}");
        let name = format!("{first} {last}");
        self.room(JANE, &name).await;
        self.gets(number, "this is Jane Doe of Acme Wealth").await;
        name
    }

    /// What the firm's words on the phone hold somewhere.
    pub async fn gets(&self, number: &str, part: &str) -> String {
        let found = async || self.received(number).await.into_iter().find(|text| text.contains(part));
        self.until(&format!("“{part}” on {number}"), found).await
    }

    /// Everything that came, or left, is marked as a text message or a call.
    async fn has_only_sms(&self, number: &str) {
        assert!(self.phone(number).await.iter().all(|shown| shown["channel"] == "sms"), "{:?}", self.phone(number).await);
    }
}

#[tokio::test]
async fn s2_4_to_9_an_american_and_a_german_side_by_side() {
    let world = own();
    let mia = world.texting_with("Mia", "Cole", MIA).await;
    let jan = world.texting_with("Jan", "Vogt", JAN).await;
    for text in ["Good morning Mia.", "Are you free on Friday?"] {
        let held = world.remark(JANE, &mia, text).await;
        assert!(held.is("held") && held.reason == "consent", "S2-7: {held:?}");
    }
    world.say(JANE, &jan, "Guten Morgen Jan.").await;
    world.receives(JAN, "Guten Morgen Jan.").await;
    world.gets(MIA, "Reply YES to agree").await;
    assert_eq!(world.received(MIA).await.len(), 2, "S2-6: the welcome and the question, once");
    assert_eq!(world.received(JAN).await.len(), 2, "S2-8: the welcome and the words");
    world.text(MIA, "Yes").await;
    world.receives(MIA, "Are you free on Friday?").await;
    world.line(JANE, &mia, "the yes", |line| line.is("consent_yes")).await;
    let received = world.received(MIA).await;
    assert_eq!(received[received.len() - 2..], ["Good morning Mia.", "Are you free on Friday?"], "S3-15: in their order");
    assert!(received[2].starts_with("Thank you"), "S3-14: {received:?}");
    world.text(JAN, "Hallo Jane").await;
    let words = world.line(JANE, &jan, "his words", |line| line.is("client_message")).await;
    assert!(words.presentation.contains("<b>Jan Vogt</b> · SMS<br/>Hallo Jane"), "S4-13: {words:?}");
    world.has_only_sms(MIA).await;
    world.has_only_sms(JAN).await;
}

#[tokio::test]
async fn s2_9_s3_18_19_a_stop_withdraws_refuses_and_a_start_opens_again() {
    let world = own();
    let mia = world.texting_with("Mia", "Cole", MIA).await;
    assert!(world.remark(JANE, &mia, "before the stop").await.is("held"));
    world.gets(MIA, "Reply YES to agree").await;
    world.text(MIA, "STOP").await;
    world.line(JANE, &mia, "the no", |line| line.is("consent_no")).await;
    world.line(JANE, &mia, "what was withdrawn", |line| line.is("withdrawn")).await;
    let refused = world.remark(JANE, &mia, "after the stop").await;
    assert!(refused.refuses("consent"), "{refused:?}");
    let so_far = world.received(MIA).await;
    assert_eq!(so_far.len(), 3, "welcome, question and the provider's own word, to which we add none: {so_far:?}");
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    world.text(MIA, "START").await;
    world.line(JANE, &mia, "the yes", |line| line.is("consent_yes")).await;
    world.say(JANE, &mia, "welcome back").await;
    world.receives(MIA, "welcome back").await;
    for text in ["before the stop", "after the stop"] {
        assert_eq!(world.counts(MIA, text).await, 0, "{text}");
    }
}

#[tokio::test]
async fn s2_10_to_19_a_strangers_text_begins_everything_by_itself() {
    let world = own();
    world.text(STRANGER, "Hello, is this Jane?").await;
    let line = world.line(JANE, STRANGER, "his words", |line| line.is("client_message")).await;
    assert!(line.presentation.contains(&format!("<b>{STRANGER}</b> · SMS<br/>Hello, is this Jane?")), "S2-16: {line:?}");
    let welcome = world.gets(STRANGER, "this is Jane Doe of Acme Wealth").await;
    assert!(welcome.starts_with("Hello, this"), "nobody's name is guessed: {welcome}");
    let card = world.command(JANE, &format!("/contact show {STRANGER}")).await;
    assert!(card.text.contains("INCOMPLETE"), "S2-12: {card:?}");
    assert!(world.remark(JANE, STRANGER, "Yes, it is.").await.is("held"), "S2-6 for a number of the United States");
    let done = world.command(JANE, &format!("/contact complete {STRANGER} first=Sue last=Hart")).await;
    assert!(done.is("answer"), "{done:?}");
    let card = world.command(JANE, &format!("/contact show {STRANGER}")).await;
    assert!(card.text.contains("Sue Hart") && !card.text.contains("INCOMPLETE"), "S2-19: {card:?}");
    world.text(STRANGER, "yes").await;
    world.receives(STRANGER, "Yes, it is.").await;
    world.text(STRANGER, "Thanks").await;
    let words = world.line(JANE, STRANGER, "the next", |line| line.text.ends_with("Thanks")).await;
    assert!(words.presentation.contains("<b>Sue Hart</b>"), "{words:?}");
    let rooms = world.rooms(JANE).await;
    assert_eq!(rooms.iter().filter(|room| room["name"] == STRANGER).count(), 1, "one room");
}

#[tokio::test]
async fn s2_18_a_strangers_calls_answered_and_left_on_voicemail() {
    let world = own();
    world.ring(CALLER, json!({ "answered": true, "seconds": 120 })).await;
    let line = world.line(JANE, CALLER, "the call", |line| line.is("info") && line.text.contains("Call from")).await;
    assert!(line.text.contains(CALLER) && line.text.contains(", 2 min."), "{line:?}");
    world.gets(CALLER, "this is Jane Doe of Acme Wealth").await;
    let heard = world.phone(CALLER).await.into_iter().find(|shown| shown["call"].is_object()).unwrap();
    assert!(heard["call"]["spoken"][0].as_str().unwrap().contains("may be recorded"), "the notice first: {heard}");

    world.ring(MISSED, json!({ "answered": false, "voicemail": "Please call me back about the bonds" })).await;
    let line = world.line(JANE, MISSED, "the call", |line| line.is("info") && line.text.contains("Call from")).await;
    assert!(line.text.contains("not answered"), "{line:?}");
    let mail = world.line(JANE, MISSED, "the voicemail", |line| line.is("client_message")).await;
    let place = |wanted: &Line, lines: &[Line]| lines.iter().position(|line| line.id == wanted.id);
    let lines = world.lines(JANE, MISSED).await;
    assert!(place(&line, &lines) < place(&mail, &lines), "the call stands before what was said after the tone: {lines:?}");
    let files = world.files_of(JANE, MISSED, &mail).await;
    assert_eq!(files.len(), 1, "its recording: {mail:?}");
    let path = format!("/api/rooms/files/{}/{}", mail.id, files[0]["id"].as_str().unwrap());
    assert!(world.bytes(&path).await.len() > 40, "there is something to hear");

    for (number, told) in [(CALLER, ["answered", "2 min"]), (MISSED, ["not answered", "SMS"])] {
        let card = world.command(JANE, &format!("/contact show {number}")).await;
        assert!(card.text.contains("INCOMPLETE"), "{card:?}");
        let calls = world.command(JANE, &format!("/call list {number}")).await;
        assert!(calls.is("answer") && told.iter().all(|part| calls.text.contains(part)), "{calls:?}");
        let lines = world.lines(JANE, number).await;
        assert_eq!(lines.iter().filter(|line| line.text.contains("Call from")).count(), 1, "one call, one line");
    }
    assert!(world.remark(JANE, MISSED, "You called?").await.is("held"), "a call is no consent");
}

#[tokio::test]
async fn s3_10_s3_11_who_is_not_on_whatsapp_is_offered_sms_with_what_waited() {
    let world = own();
    // WhatsApp is away for a moment, so that Jane has written before it says that he is not there.
    world.trouble("whatsapp", "503", 2).await;
    let add = format!("/contact add Paul Roux phone={PAUL} email=paul@roux.fr channel=whatsapp --room");
    world.say(JANE, IM, &add).await;
    world.room(JANE, "Paul Roux").await;
    world.say(JANE, "Paul Roux", "Bonjour Paul").await;
    world.line(JANE, "Paul Roux", "that it waits", |line| line.is("held")).await;
    let offer = world.line(JANE, "Paul Roux", "the offer", |line| line.is("not_on_whatsapp")).await;
    assert!(world.received(PAUL).await.is_empty(), "nothing by itself");
    world.press(JANE, "Paul Roux", &offer, form_of(&offer), "sms-yes", json!({})).await;
    let another = |room: &Value| {
        let name = room["name"].as_str().unwrap_or_default();
        (name.starts_with("Paul Roux") && name != "Paul Roux").then(|| name.to_owned())
    };
    let room = world.until("the SMS room", async || world.rooms(JANE).await.iter().find_map(another)).await;
    let card = world.line(JANE, &room, "the held text", |line| line.is("confirm")).await;
    assert!(card.text.contains("Bonjour Paul"), "{card:?}");
    world.gets(PAUL, "this is Jane Doe of Acme Wealth").await;
    assert_eq!(world.counts(PAUL, "Bonjour Paul").await, 0, "only when she says so");
    for _ in 0..2 {
        world.press(JANE, &room, &card, form_of(&card), "confirm", json!({})).await;
    }
    world.receives(PAUL, "Bonjour Paul").await;
    world.say(JANE, &room, "Ça va ?").await;
    world.receives(PAUL, "Ça va ?").await;
    assert_eq!(world.counts(PAUL, "Bonjour Paul").await, 1, "two clicks, one message");
    world.has_only_sms(PAUL).await;
}

#[tokio::test]
async fn s4_3_pictures_go_both_ways_by_mms() {
    let world = own();
    let jan = world.texting_with("Jan", "Vogt", JAN).await;
    let bytes = png(120_000);
    let picture = json!({ "channel": "sms", "text": "my <b>house</b>", "image": file("house.png", "image/png", &bytes) });
    world.post(&format!("/api/phones/{JAN}/messages"), picture).await;
    world.line(JANE, &jan, "his words", |line| line.text.ends_with("my <b>house</b>")).await;
    let line = world.line(JANE, &jan, "his picture", |line| line.text.contains("sent a picture")).await;
    let files = world.files_of(JANE, &jan, &line).await;
    assert_eq!(files.len(), 1, "{files:?}");
    assert!(
        world.bytes(&format!("/api/rooms/files/{}/{}", line.id, files[0]["id"].as_str().unwrap())).await == bytes,
        "the same"
    );

    let chart = png(90_000);
    let files = json!([file("chart.png", "image/png", &chart)]);
    world.says_with_files(JANE, &jan, "your depot", files).await;
    world.say(JANE, &jan, "any questions?").await;
    world.receives(JAN, "any questions?").await;
    let shown = world.phone(JAN).await.into_iter().find(|shown| shown["text"] == "your depot").expect("before what follows it");
    let path = format!("/api/phones/files/{}", shown["file"]["id"].as_str().unwrap());
    assert!(world.bytes(&path).await == chart, "fetched by the address that only the provider was given");
}
