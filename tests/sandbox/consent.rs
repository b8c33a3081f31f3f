//! Yes, no, perhaps: who may be written to and who may not any more.
use super::outside::*;
use serde_json::json;

#[tokio::test]
async fn a_stop_withdraws_what_waits_and_a_yes_opens_again() {
    let world = shared();
    let client = world.invited("Stu").await;
    for text in ["first", "second"] {
        let held = world.remark(JANE, &client.name, text).await;
        assert!(held.is("held") && held.reason == "consent", "{held:?}");
    }
    world.write(&client.number, "STOP").await;
    world.line(JANE, &client.name, "the no", |line| line.is("consent_no")).await;
    world.line(JANE, &client.name, "what was withdrawn", |line| line.is("withdrawn")).await;
    let confirmed = async || world.received(&client.number).await.last().cloned().filter(|text| text.contains("YES"));
    world.until("the one confirmation", confirmed).await;
    let so_far = world.received(&client.number).await;
    let refused = world.remark(JANE, &client.name, "please come back").await;
    assert!(refused.refuses("consent") || refused.refuses("opted-out"), "{refused:?}");
    let template = world.remark(JANE, &client.name, "/template send follow_up").await;
    assert!(template.refuses("opted-out"), "{template:?}");
    let invitation = world.command(JANE, &format!("/optin resend {}", client.number)).await;
    assert!(invitation.refuses("opted-out"), "{invitation:?}");
    world.write(&client.number, "stop!").await;
    world.write(&client.number, "I mean it").await;
    world.line(JANE, &client.name, "his words", |line| line.is("client_message") && line.text.contains("mean it")).await;
    assert_eq!(world.received(&client.number).await, so_far, "one confirmation, and nothing after it");
    // WhatsApp tells whole seconds, and within one of them a stop wins over a yes.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    world.write(&client.number, "Yes.").await;
    world.line(JANE, &client.name, "the yes", |line| line.is("consent_yes")).await;
    world.say(JANE, &client.name, "welcome back").await;
    world.receives(&client.number, "welcome back").await;
    assert_eq!(world.counts(&client.number, "first").await, 0, "withdrawn stays withdrawn");
}

#[tokio::test]
async fn a_possible_stop_is_the_advisors_to_judge() {
    let world = shared();
    for (button, code) in [("review-stop", "consent_no"), ("review-clear", "answer")] {
        let client = world.agreed("Rea").await;
        world.write(&client.number, "please stop texting me").await;
        let card = world.line(JANE, &client.name, "the card", |line| line.is("consent_review")).await;
        assert!(card.presentation.contains("review-stop") && card.presentation.contains("review-clear"), "{card:?}");
        let held = world.remark(JANE, &client.name, "one moment").await;
        assert!(held.is("held") && held.reason == "consent", "{held:?}");
        world.press(JANE, &client.name, &card, form_of(&card), button, json!({})).await;
        let after = |line: &Line| line.is(code) || (button == "review-clear" && line.is("released"));
        world.line(JANE, &client.name, button, after).await;
        match button {
            "review-clear" => world.receives(&client.number, "one moment").await,
            _ => {
                world.line(JANE, &client.name, "withdrawn", |line| line.is("withdrawn")).await;
                let refused = world.remark(JANE, &client.name, "one more").await;
                assert!(refused.is("refusal"), "{refused:?}");
                assert_eq!(world.counts(&client.number, "one moment").await, 0);
            }
        }
    }
}

/// The id of the form in a message.
pub fn form_of(line: &Line) -> &str {
    line.presentation.split_once("<form id=\"").and_then(|(_, rest)| rest.split_once('"')).expect("there is a form").0
}

#[tokio::test]
async fn ordinary_sentences_are_no_stop() {
    let world = shared();
    let client = world.agreed("Ole").await;
    for text in ["The end of the month suits me", "I'll stop by at 5", "cancel my 3 pm meeting"] {
        world.write(&client.number, text).await;
        world.line(JANE, &client.name, text, |line| line.is("client_message") && line.text.contains(text)).await;
    }
    let lines = world.lines(JANE, &client.name).await;
    assert!(!lines.iter().any(|line| line.is("consent_review") || line.is("consent_no")), "{lines:?}");
}

#[tokio::test]
async fn free_text_is_no_consent_and_is_answered_once_with_the_question() {
    let world = shared();
    let client = world.invited("Fri").await;
    world.write(&client.number, "Who is this?").await;
    let question = async || {
        let messages = world.phone(&client.number).await;
        messages.into_iter().find(|message| message["template"].is_null() && !message["buttons"].as_array().unwrap().is_empty())
    };
    let question = world.until("the question with buttons", question).await;
    assert_eq!(question["buttons"][0]["payload"], "consent:yes");
    assert_eq!(question["buttons"][1]["payload"], "consent:stop");
    world.write(&client.number, "Hello?").await;
    world.line(JANE, &client.name, "the second text", |line| line.text.ends_with("Hello?")).await;
    let held = world.remark(JANE, &client.name, "It is me").await;
    assert!(held.is("held") && held.reason == "consent", "{held:?}");
    let with_buttons = world.phone(&client.number).await.into_iter().filter(|m| !m["buttons"].as_array().unwrap().is_empty());
    assert_eq!(with_buttons.count(), 2, "the invitation and one question");
    world.tap(&client.number, "consent:yes").await;
    world.receives(&client.number, "It is me").await;
}

#[tokio::test]
async fn the_first_message_is_confirmed_by_the_advisor() {
    let world = shared();
    let client = client("Cat");
    world.has_phone(&client).await;
    let added = world.command(JANE, &world.adding(&client, "")).await;
    assert!(added.is("answer"), "{added:?}");
    assert!(!world.rooms(JANE).await.iter().any(|room| room["name"] == client.name.as_str()), "S0-17: no room");
    assert!(world.received(&client.number).await.is_empty(), "and no invitation");
    let question = world.command(JANE, &format!("/optin send {}", client.number)).await;
    assert!(question.is("confirm"), "{question:?}");
    let sent = world.pressed(JANE, &question, "confirm", "confirm", json!({})).await;
    assert!(sent.is("answer"), "{sent:?}");
    world.receives(&client.number, "liaison_invitation").await;
    let again = world.command(JANE, &format!("/optin send {}", client.number)).await;
    assert!(again.refuses("pending-until"), "{again:?}");
    let room = world.command(JANE, &format!("/room create \"Talk {}\" {}", client.last, client.number)).await;
    assert!(room.is("answer") && room.text.contains("0 sent now") && room.text.contains("1 already waiting"), "{room:?}");
}

#[tokio::test]
async fn twenty_messages_wait_and_the_next_is_refused() {
    let world = shared();
    let client = world.invited("Max").await;
    let texts: Vec<String> = (1..=20).map(|nth| format!("waiting {nth}")).collect();
    for text in &texts {
        world.say(JANE, &client.name, text).await;
    }
    let refused = world.remark(JANE, &client.name, "one too many").await;
    let refused =
        if refused.is("refusal") { refused } else { world.line(JANE, &client.name, "no", |line| line.is("refusal")).await };
    assert!(refused.refuses("held-max") && refused.text.contains("20"), "{refused:?}");
    world.tap(&client.number, "consent:yes").await;
    world.receives(&client.number, "waiting 20").await;
    let received = world.received(&client.number).await;
    assert_eq!(received[received.len() - 20..], texts, "all of them, in order");
    assert_eq!(world.counts(&client.number, "liaison_message_waiting").await, 1);
}
