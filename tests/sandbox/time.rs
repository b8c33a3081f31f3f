//! What only time does: windows close, confirmations expire, invitations may be sent again.
use super::outside::*;
use serde_json::json;

#[tokio::test]
async fn the_window_is_open_for_a_day_less_a_minute() {
    let world = own();
    let client = world.agreed("Wim").await;
    world.advance("1h").await;
    world.write(&client.number, "hello").await;
    world.line(JANE, &client.name, "hello", |line| line.text.ends_with("hello")).await;
    world.advance("1438m").await;
    world.say(JANE, &client.name, "still open").await;
    world.receives(&client.number, "still open").await;
    world.advance("2m").await;
    let held = world.remark(JANE, &client.name, "closed").await;
    assert!(held.is("held") && held.reason == "window", "{held:?}");
    assert!(held.text.to_lowercase().contains("template"), "S4-22, C4: {held:?}");
    world.receives(&client.number, "liaison_message_waiting").await;
    let held = world.remark(JANE, &client.name, "closed too").await;
    assert!(held.is("held"), "{held:?}");
    world.advance("30h").await;
    let held = world.remark(JANE, &client.name, "and later").await;
    assert!(held.is("held"), "{held:?}");
    let queue = world.remark(JANE, &client.name, "/queue list").await;
    assert!(queue.is("answer") && queue.text.matches("m-").count() >= 3, "{queue:?}");
    let cancelled = world.remark(JANE, &client.name, &format!("/queue cancel {}", held.message)).await;
    assert!(cancelled.is("answer"), "{cancelled:?}");
    world.tap_or_write(&client.number).await;
    world.receives(&client.number, "closed too").await;
    let received = world.received(&client.number).await;
    let tail: Vec<&str> = received.iter().rev().take(2).rev().map(String::as_str).collect();
    assert_eq!(tail, ["closed", "closed too"], "in order, and nothing that was cancelled");
    assert_eq!(world.counts(&client.number, "liaison_message_waiting").await, 1, "one notice for one silence");
    let late = world.remark(JANE, &client.name, &format!("/queue cancel {}", held.message)).await;
    assert!(late.is("refusal") || late.is("answer"), "{late:?}");
}

impl Outside {
    async fn tap_or_write(&self, number: &str) {
        self.write(number, "I am back").await;
    }
}

#[tokio::test]
async fn an_invitation_may_be_sent_again_after_a_day() {
    let world = own();
    let client = world.invited("Ray").await;
    let early = world.command(JANE, &format!("/optin resend {}", client.number)).await;
    assert!(early.refuses("pending-until"), "{early:?}");
    world.advance("23h").await;
    let early = world.command(JANE, &format!("/optin resend {}", client.number)).await;
    assert!(early.refuses("pending-until"), "{early:?}");
    world.advance("61m").await;
    let sent = world.command(JANE, &format!("/optin resend {}", client.number)).await;
    assert!(sent.is("answer"), "{sent:?}");
    let twice = async || (world.counts(&client.number, "liaison_invitation").await == 2).then_some(());
    world.until("the second invitation", twice).await;
    world.tap(&client.number, "consent:yes").await;
    world.line(JANE, &client.name, "the yes", |line| line.is("consent_yes")).await;
    let done = world.command(JANE, &format!("/optin resend {}", client.number)).await;
    assert!(done.refuses("nothing-pending") || done.refuses("already-in"), "{done:?}");
}

#[tokio::test]
async fn a_question_expires_is_asked_of_one_and_counts_once() {
    let world = own();
    let client = world.agreed("Tia").await;
    let preview = world.remark(JANE, &client.name, "/template send follow_up").await;
    assert!(preview.is("confirm") && preview.text.contains("Hello Tia"), "S4-25: {preview:?}");
    let told = world.pressed_in(JANE, &client.name, &preview, "confirm", "cancel", json!({})).await;
    assert!(!told.is("refusal"), "{told:?}");
    world.press(JANE, &client.name, &preview, "confirm", "confirm", json!({})).await;
    let preview = world.remark(JANE, &client.name, "/template send follow_up").await;
    world.advance("11m").await;
    let told = world.pressed_in(JANE, &client.name, &preview, "confirm", "confirm", json!({})).await;
    assert!(told.refuses("expired-confirmation"), "{told:?}");
    assert_eq!(world.counts(&client.number, "follow_up").await, 0, "cancelled and expired");
    let preview = world.remark(JANE, &client.name, "/template send follow_up").await;
    world.advance("9m").await;
    world.press(JANE, &client.name, &preview, "confirm", "confirm", json!({})).await;
    world.receives(&client.number, "follow_up").await;
    world.press(JANE, &client.name, &preview, "confirm", "confirm", json!({})).await;
    world.say(JANE, &client.name, "after it").await;
    world.receives(&client.number, "after it").await;
    assert_eq!(world.counts(&client.number, "follow_up").await, 1, "a confirmation counts once");
}

#[tokio::test]
async fn held_messages_expire_after_fourteen_days() {
    let world = own();
    let client = world.invited("Exa").await;
    let held = world.remark(JANE, &client.name, "in time").await;
    assert!(held.is("held"), "{held:?}");
    world.advance("13d").await;
    world.advance("2h").await;
    let soon = |line: &Line| line.message == held.message && line.is("info") && line.text.contains("in time");
    world.line(JANE, &client.name, "the warning a day before", soon).await;
    world.advance("1d").await;
    world.line(JANE, &client.name, "the end", |line| line.is("expired") && line.message == held.message).await;
    world.tap(&client.number, "consent:yes").await;
    world.line(JANE, &client.name, "the yes", |line| line.is("consent_yes")).await;
    world.say(JANE, &client.name, "afterwards").await;
    world.receives(&client.number, "afterwards").await;
    assert_eq!(world.counts(&client.number, "in time").await, 0);
}

#[tokio::test]
async fn a_review_nobody_looks_at_is_a_stop_after_a_day() {
    let world = own();
    let client = world.agreed("Rex").await;
    world.write(&client.number, "take me off your list").await;
    world.line(JANE, &client.name, "the card", |line| line.is("consent_review")).await;
    world.advance("25h").await;
    world.line(JANE, &client.name, "the no", |line| line.is("consent_no")).await;
    let refused = world.remark(JANE, &client.name, "hello?").await;
    assert!(refused.is("refusal"), "{refused:?}");
}
