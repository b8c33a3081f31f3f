//! The providers fail: nothing is lost, nothing comes twice, and people are told what matters to them.
use super::outside::*;
use serde_json::Value;
use std::time::Duration;

/// Long enough that a second copy would have come: retries begin within this time.
const A_WHILE: Duration = Duration::from_secs(3);

#[tokio::test]
async fn whatsapp_fails_and_each_message_arrives_once() {
    let world = own();
    let client = world.agreed("Err").await;
    for (code, times) in [("500", 2), ("503", 1), ("429", 2), ("lost-answer", 1), ("duplicate", 2)] {
        let text = format!("in spite of {code}");
        world.trouble("whatsapp", code, times).await;
        world.say(JANE, &client.name, &text).await;
        world.receives(&client.number, &text).await;
        tokio::time::sleep(A_WHILE).await;
        assert_eq!(world.counts(&client.number, &text).await, 1, "{code}: once, not twice");
        world.trouble("whatsapp", "500", 0).await;
    }
    let texts: Vec<String> = world.received(&client.number).await.split_off(2);
    let order = ["500", "503", "429", "lost-answer", "duplicate"].map(|code| format!("in spite of {code}"));
    assert_eq!(texts, order, "in the order in which they were written");
    world.trouble("whatsapp", "duplicate", 1).await;
    world.write(&client.number, "three copies of this").await;
    world.line(JANE, &client.name, "the words", |line| line.text.ends_with("three copies of this")).await;
    tokio::time::sleep(A_WHILE).await;
    let lines = world.lines(JANE, &client.name).await;
    assert_eq!(lines.iter().filter(|line| line.text.ends_with("three copies of this")).count(), 1);
    let silent = |line: &&Line| line.is("failed") || line.is("unconfirmed");
    let loud: Vec<&Line> = lines.iter().filter(silent).collect();
    assert!(loud.is_empty(), "a message that arrived is not called lost: {loud:?}");
}

#[tokio::test]
async fn webhooks_late_thrice_and_backwards_lose_nothing_and_double_nothing() {
    let world = own();
    let client = world.agreed("Bck").await;
    world.trouble("whatsapp", "out-of-order", 3).await;
    for text in ["eins: Grüße 😀", "zwei: https://acme.com/a/b", "drei"] {
        world.write(&client.number, text).await;
    }
    for text in ["eins: Grüße 😀", "zwei: https://acme.com/a/b", "drei"] {
        world.line(JANE, &client.name, text, |line| line.is("client_message") && line.text.ends_with(text)).await;
    }
    world.trouble("whatsapp", "out-of-order", 1).await;
    world.say(JANE, &client.name, "told backwards").await;
    world.receives(&client.number, "told backwards").await;
    world.trouble("whatsapp", "delay", 1).await;
    world.say(JANE, &client.name, "told late").await;
    world.receives(&client.number, "told late").await;
    let all_told = async || {
        let told = |entry: &Value| entry["kind"] == "delivery.reported" && entry["detail"]["status"] == "Delivered";
        (world.journal(&[]).iter().filter(|entry| told(entry)).count() == 4).then_some(())
    };
    world.until("that invitation, welcome and both texts were delivered", all_told).await;
    tokio::time::sleep(A_WHILE).await;
    let lines = world.lines(JANE, &client.name).await;
    assert_eq!(lines.iter().filter(|line| line.is("client_message")).count(), 3);
    assert!(!lines.iter().any(|line| line.is("failed") || line.is("unconfirmed")), "{lines:?}");
    for text in ["told backwards", "told late"] {
        assert_eq!(world.counts(&client.number, text).await, 1);
    }
}

#[tokio::test]
async fn a_closed_window_that_whatsapp_reports_holds_the_message() {
    let world = own();
    let client = world.agreed("Cls").await;
    world.trouble("whatsapp", "131047", 1).await;
    world.say(JANE, &client.name, "too late").await;
    let told = |line: &Line| line.is("held") && line.reason == "window";
    world.line(JANE, &client.name, "that it is held", told).await;
    assert_eq!(world.counts(&client.number, "too late").await, 0);
    world.advance("5m").await;
    world.write(&client.number, "here").await;
    world.receives(&client.number, "too late").await;
    assert_eq!(world.counts(&client.number, "too late").await, 1);
}

#[tokio::test]
async fn a_doubtful_message_is_told_and_can_be_sent_again() {
    let world = own();
    let client = world.agreed("Los").await;
    world.trouble("whatsapp", "html", 1).await;
    let first = world.say(JANE, &client.name, "into the void").await;
    world.say(JANE, &client.name, "the next").await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(world.received(&client.number).await.len(), 2, "a doubtful head holds its lane: {first}");
    world.advance("31s").await;
    world.receives(&client.number, "the next").await;
    world.advance("60s").await;
    let card = world.line(JANE, &client.name, "that nobody knows", |line| line.is("unconfirmed")).await;
    assert!(card.presentation.contains("name=\"send-again\""), "{card:?}");
    for _ in 0..2 {
        world.press(JANE, &client.name, &card, super::consent::form_of(&card), "send-again", serde_json::json!({})).await;
    }
    world.receives(&client.number, "into the void").await;
    world.say(JANE, &client.name, "the last").await;
    world.receives(&client.number, "the last").await;
    assert_eq!(world.counts(&client.number, "into the void").await, 1, "one click, one message");
}

#[tokio::test]
async fn a_refusal_for_good_is_told_and_frees_the_lane() {
    let world = own();
    let client = world.agreed("Ref").await;
    world.trouble("whatsapp", "131051", 1).await;
    world.say(JANE, &client.name, "not to be").await;
    let failed = world.line(JANE, &client.name, "the failure", |line| line.is("failed")).await;
    assert_eq!(failed.reason, "131051", "{failed:?}");
    world.say(JANE, &client.name, "but this").await;
    world.receives(&client.number, "but this").await;
    assert_eq!(world.counts(&client.number, "not to be").await, 0);
}

#[tokio::test]
async fn symphony_fails_and_no_line_is_lost_or_doubled_over_websockets() {
    let more = [("disconnect", 1), ("refresh", 1)];
    symphony_fails_and_no_line_is_lost_or_doubled(own(), &more).await;
}

#[tokio::test]
async fn symphony_fails_and_no_line_is_lost_or_doubled_over_long_polls() {
    symphony_fails_and_no_line_is_lost_or_doubled(own_over_long_polls(), &[]).await;
}

async fn symphony_fails_and_no_line_is_lost_or_doubled(world: Outside, more: &[(&str, u32)]) {
    let client = world.agreed("Sym").await;
    let on_both = [
        ("500", 3),
        ("503", 2),
        ("429", 2),
        ("502-html", 1),
        ("401", 1),
        ("expire-tokens", 2),
        ("lost-answer", 1),
        ("slow", 2),
        ("feed-gone", 1),
        ("duplicate", 2),
    ];
    let troubles: Vec<(&str, u32)> = on_both.iter().chain(more).copied().collect();
    for (code, times) in &troubles {
        let (to, from) = (format!("to the client, {code}"), format!("to the advisor, {code}"));
        world.trouble("symphony", code, *times).await;
        world.say(JANE, &client.name, &to).await;
        world.write(&client.number, &from).await;
        world.line(JANE, &client.name, &from, |line| line.is("client_message") && line.text.ends_with(&from)).await;
        world.receives(&client.number, &to).await;
        world.trouble("symphony", code, 0).await;
    }
    tokio::time::sleep(A_WHILE).await;
    let lines = world.lines(JANE, &client.name).await;
    let mut seen = std::collections::BTreeMap::new();
    lines.iter().filter(|line| line.is("client_message")).for_each(|line| *seen.entry(line.text.clone()).or_insert(0) += 1);
    assert_eq!(seen.len(), troubles.len(), "{seen:?}");
    assert!(seen.values().all(|count| *count == 1), "{seen:?}");
    let received = world.received(&client.number).await;
    assert_eq!(received.len(), 2 + troubles.len(), "invitation, welcome, and each line once: {received:?}");
}

#[tokio::test]
async fn a_room_is_made_once_although_the_answer_was_lost() {
    let world = own();
    let client = client("Rom");
    world.has_phone(&client).await;
    world.trouble("symphony", "lost-answer", 1).await;
    world.say(JANE, IM, &world.adding(&client, "--room")).await;
    world.receives(&client.number, "liaison_invitation").await;
    tokio::time::sleep(A_WHILE).await;
    let rooms = world.rooms("liaison@acme.com").await;
    let made = rooms.iter().filter(|room| room["name"].as_str().unwrap().starts_with(&client.name)).count();
    assert_eq!(made, 1, "one room");
    let about = |line: &Line| line.is("answer") && line.text.contains(&client.name);
    let answers = world.lines(JANE, IM).await.into_iter().filter(about).count();
    assert_eq!(answers, 1, "one answer");
}

#[tokio::test]
async fn the_status_shows_the_feed_the_store_the_queues_and_the_lines() {
    let world = shared();
    let client = world.agreed("Stan").await;
    world.say(JANE, &client.name, "On the line").await;
    world.receives(&client.number, "On the line").await;
    let until_works = async || {
        let status = world.command(OLGA, "/admin status").await;
        status.text.contains("+15550100001: works").then_some(status)
    };
    let status = world.until("a line that works", until_works).await;
    for part in ["Feed: connected since", "(websocket)", "commits", "free", "in flight", "Symphony: logged in"] {
        assert!(status.text.contains(part), "{part}: {status:?}");
    }
    assert!(!status.text.contains("sandbox-token") && status.text.len() < 2_000, "{status:?}");
}
