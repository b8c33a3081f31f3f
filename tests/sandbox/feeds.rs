//! The bot reads the platform's own datafeed, and its feed is lost: nothing is missed, nothing is done twice.
use super::outside::*;
use std::process::Command;

#[tokio::test]
async fn the_first_conversation_over_long_polls() {
    let world = own_over_long_polls();
    let log = std::fs::read_to_string(world.program.data.join("stderr.log")).unwrap();
    assert!(log.contains("\"transport\":\"long-poll\""), "{log}");
    let doctor = Command::new(env!("CARGO_BIN_EXE_liaison"))
        .args(["doctor", "--config"])
        .arg(world.program.data.join("bot-config.toml"))
        .envs([LONG_POLL])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(doctor.status.success(), "{told}");
    let feeds = "1 of at most 20 datafeeds of this account are in use; the one tagged liaison is among them and was left alone.";
    assert!(told.contains(feeds), "{told}");
    super::onboarding::first_conversation(world).await;
}

#[tokio::test]
async fn a_lost_feed_costs_nothing_over_long_polls() {
    a_lost_feed_costs_nothing(own_over_long_polls()).await;
}

#[tokio::test]
async fn a_lost_feed_costs_nothing_over_websockets() {
    a_lost_feed_costs_nothing(own()).await;
}

/// What is written between the loss of a feed and the making of the next is in no feed at all.
async fn a_lost_feed_costs_nothing(world: Outside) {
    let room = world.agreed("Gap").await;
    let (mut texts, mut added) = (Vec::new(), Vec::new());
    for round in 0..3 {
        world.trouble("symphony", "feed-gone", 1).await;
        for nth in 0..6 {
            let text = format!("words {round}.{nth}");
            world.say(JANE, &room.name, &text).await;
            texts.push(text);
        }
        let contact = client("Lost");
        world.has_phone(&contact).await;
        world.say(JANE, IM, &world.adding(&contact, "")).await;
        added.push(contact);
        world.until("the feed is lost and another made", async || (losses(&world).await > round).then_some(())).await;
    }
    for text in &texts {
        world.receives(&room.number, text).await;
    }
    for contact in &added {
        world.line(JANE, IM, "the answer", |line| line.is("answer") && line.text.contains(&contact.name)).await;
    }
    // A line and a contact of each command, and each text once: whatever came twice was known.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    for text in &texts {
        assert_eq!(world.counts(&room.number, text).await, 1, "{text}");
    }
    let lines = world.lines(JANE, IM).await;
    for contact in &added {
        let answers: Vec<&Line> =
            lines.iter().filter(|line| !line.code.is_empty() && line.text.contains(&contact.name)).collect();
        assert_eq!(answers.len(), 1, "{answers:?}");
    }
    let made = world.journal(&[]).iter().filter(|entry| entry["kind"] == "contact.created").count();
    assert_eq!(made, 1 + added.len(), "no command was run twice");
    assert_eq!(world.program.end(), Some(0));
}

/// Feeds that the bot found gone.
async fn losses(world: &Outside) -> u64 {
    let asked = world.http.get(format!("{}/metrics", world.address("ops"))).send().await.unwrap();
    let metrics = asked.text().await.unwrap();
    let line = metrics.lines().find(|line| line.starts_with("liaison_feed_reconnects_total{reason=\"feed-gone\"}"));
    line.and_then(|line| line.split(' ').next_back()?.parse().ok()).unwrap_or_default()
}
