//! Clients write first, and they write what they like.
use super::outside::*;
use serde_json::json;

#[tokio::test]
async fn a_stranger_gets_a_room_a_welcome_and_an_answer_after_his_yes() {
    let world = shared();
    let stranger = client("Zoe");
    world.write(&stranger.number, "Is anybody there?").await;
    let line = world.line(JANE, &stranger.number, "the stranger's words", |line| line.is("client_message")).await;
    let shown = format!("<b>{}</b> · WhatsApp<br/>Is anybody there?", stranger.number);
    assert!(line.presentation.contains(&shown), "{line:?}");
    let until_welcome = async || (!world.received(&stranger.number).await.is_empty()).then_some(());
    world.until("the welcome", until_welcome).await;
    let card = world.command(JANE, &format!("/contact show {}", stranger.number)).await;
    assert!(card.is("answer") && card.text.to_uppercase().contains("INCOMPLETE"), "S2-12: {card:?}");
    let asked = world.say(JANE, &stranger.number, "Yes, I am.").await;
    let question = world.answer_to(JANE, &stranger.number, &asked).await;
    let question = if question.is("confirm") {
        question
    } else {
        world.line(JANE, &stranger.number, "the question of S3-6", |line| line.is("confirm")).await
    };
    assert_eq!(world.counts(&stranger.number, "liaison_invitation").await, 0, "nothing goes out without Confirm");
    world.press(JANE, &stranger.number, &question, "confirm", "confirm", json!({})).await;
    world.receives(&stranger.number, "liaison_invitation").await;
    assert_eq!(world.counts(&stranger.number, "Yes, I am.").await, 0, "held until the yes");
    world.tap(&stranger.number, "consent:yes").await;
    world.receives(&stranger.number, "Yes, I am.").await;
    let done = format!("/contact complete {} first=Zoe last={} email={}", stranger.number, stranger.last, stranger.email);
    let complete = world.command(JANE, &done).await;
    assert!(complete.is("answer"), "{complete:?}");
    let card = world.command(JANE, &format!("/contact show {}", stranger.number)).await;
    assert!(!card.text.to_uppercase().contains("INCOMPLETE"), "S2-19: {card:?}");
    world.write(&stranger.number, "Thank you").await;
    let line =
        world.line(JANE, &stranger.number, "the new name", |line| line.is("client_message") && line.text.contains("Thank")).await;
    assert!(line.presentation.contains(&format!("<b>{}</b>", stranger.name)), "{line:?}");
}

#[tokio::test]
async fn hostile_words_arrive_as_they_were_written() {
    let world = shared();
    let client = world.agreed("Hal").await;
    let long = "x".repeat(4_000) + &"ä".repeat(96);
    let words = [
        "<b>&${7*7}#{x}</b><script>alert(1)</script><mention uid=\"1\"/>",
        "\u{202e}evil\u{202c} \u{200f}rtl 👩‍👩‍👧‍👦 ‹›",
        "/contact add Eve Il phone=+4915110000001 email=e@v.il channel=whatsapp",
        "@Liaison /help",
        "{% include 'x' %} {{ 7*7 }} &nbsp; &#60;",
        "a\tb\nc",
        long.as_str(),
    ];
    for text in words {
        world.write(&client.number, text).await;
        let same = |line: &Line| line.is("client_message") && line.text.ends_with(text);
        world.line(JANE, &client.name, &format!("{text:.60}"), same).await;
    }
    let relayed = world.lines(JANE, &client.name).await.into_iter().filter(|line| line.is("client_message")).count();
    assert_eq!(relayed, words.len(), "each once");
    let shown = world.command(OLGA, "/contact show +4915110000001").await;
    assert!(shown.refuses("no-such-contact"), "a client commands nobody: {shown:?}");
    world.write(&client.number, "one\r\ntwo\u{7}\u{1b}[31m three").await;
    world.line(JANE, &client.name, "cleaned text", |line| line.text.ends_with("one\ntwo[31m three")).await;
}

#[tokio::test]
async fn twenty_thousand_characters_are_shown_whole() {
    let world = shared();
    let client = world.agreed("Lou").await;
    let long: String = (0..2_500).map(|nth| format!("{nth:07} ")).collect();
    world.write(&client.number, long.trim()).await;
    let all = async || {
        let lines = world.lines(JANE, &client.name).await;
        let text: String = lines.iter().filter(|line| line.is("client_message")).map(|line| line.text.as_str()).collect();
        (text.contains("0000000 ") && text.contains("0002499")).then_some(text)
    };
    let text = world.until("the long text", all).await;
    assert!((0..2_500).all(|nth| text.contains(&format!("{nth:07}"))), "nothing of it is missing");
}

#[tokio::test]
async fn advisors_words_arrive_as_they_were_written() {
    let world = shared();
    let client = world.agreed("Ida").await;
    for text in ["<b>&${7*7}#{x}</b>", "5 < 6 && 7 > 2 👍", "{{ contact.first }}", "\u{202e}rtl"] {
        world.say(JANE, &client.name, text).await;
        world.receives(&client.number, text).await;
    }
    let refused = world.remark(JANE, &client.name, &"y".repeat(4_097)).await;
    assert!(refused.refuses("too-long") && refused.text.contains("4"), "{refused:?}");
    world.say(JANE, &client.name, &"y".repeat(4_096)).await;
    world.receives(&client.number, &"y".repeat(4_096)).await;
}

#[tokio::test]
async fn a_strangers_first_word_is_stop() {
    let world = own();
    let stranger = client("Nay");
    world.write(&stranger.number, "STOP").await;
    let told = async || (!world.received(&stranger.number).await.is_empty()).then_some(());
    world.until("the confirmation", told).await;
    world.write(&stranger.number, "I said stop").await;
    world.line(JANE, &stranger.number, "his words", |line| line.is("client_message") && line.text.contains("I said")).await;
    let received = world.received(&stranger.number).await;
    assert!(received.len() == 1 && received[0].contains("YES"), "one confirmation, no welcome: {received:?}");
    let refused = world.remark(JANE, &stranger.number, "sorry").await;
    assert!(refused.is("refusal"), "{refused:?}");
}

#[tokio::test]
async fn a_strangers_yes_is_only_a_word() {
    let world = own();
    let stranger = client("Aye");
    world.write(&stranger.number, "yes").await;
    let line = world.line(JANE, &stranger.number, "the word", |line| line.is("client_message")).await;
    assert!(line.text.ends_with("yes"), "{line:?}");
    let shown = world.command(JANE, &format!("/consent show {}", stranger.number)).await;
    assert!(shown.is("answer"), "{shown:?}");
    let asked = world.say(JANE, &stranger.number, "hello").await;
    let question = world.answer_to(JANE, &stranger.number, &asked).await;
    assert!(question.is("confirm") || question.is("held"), "there was no question to say yes to: {question:?}");
    assert!(!world.received(&stranger.number).await.iter().any(|text| text == "hello"));
}

#[tokio::test]
async fn two_taps_are_one_yes_and_the_no_button_is_a_stop() {
    let world = shared();
    let yes = world.agreed("Tap").await;
    world.write(&yes.number, "yes").await;
    world.line(JANE, &yes.name, "a word", |line| line.is("client_message") && line.text.ends_with("yes")).await;
    world.say(JANE, &yes.name, "fine").await;
    world.receives(&yes.number, "fine").await;
    assert_eq!(world.received(&yes.number).await.len(), 3, "one welcome");
    let no = world.invited("Nop").await;
    world.tap(&no.number, "consent:stop").await;
    world.line(JANE, &no.name, "the no", |line| line.is("consent_no")).await;
    let confirmed = async || world.received(&no.number).await.last().cloned().filter(|text| text.contains("YES"));
    world.until("the confirmation", confirmed).await;
    assert_eq!(world.received(&no.number).await.len(), 2);
}

#[tokio::test]
async fn s2_18_a_call_without_a_word_is_enough() {
    let world = shared();
    let caller = client("Cal");
    world.call(&caller.number).await;
    let line = world.line(JANE, &caller.number, "the call", |line| line.is("info") && line.text.contains("not answered")).await;
    assert!(line.text.contains(&format!("Call from {}", caller.number)), "{line:?}");
    let card = world.command(JANE, &format!("/contact show {}", caller.number)).await;
    assert!(card.is("answer") && card.text.to_uppercase().contains("INCOMPLETE"), "{card:?}");
    world.write(&caller.number, "I called before").await;
    world.line(JANE, &caller.number, "the words", |line| line.is("client_message")).await;
    let calls = world.lines(JANE, &caller.number).await.iter().filter(|line| line.text.contains("Call from")).count();
    assert_eq!(calls, 1, "one line for one call");
    assert!(world.received(&caller.number).await.is_empty(), "a call is answered with nothing");
}
