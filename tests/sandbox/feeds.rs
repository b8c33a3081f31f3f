//! The bot reads the platform's own datafeed, and its feed is lost: nothing is missed, nothing is done twice.
use super::outside::*;
use serde_json::json;
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

#[tokio::test]
async fn members_are_compared_after_a_gap_over_long_polls() {
    members_are_compared_after_a_gap(own_over_long_polls()).await;
}

#[tokio::test]
async fn members_are_compared_after_a_gap_over_websockets() {
    members_are_compared_after_a_gap(own()).await;
}

/// What is changed by hand while there is no feed comes by comparing, each time anew, and each time once.
async fn members_are_compared_after_a_gap(world: Outside) {
    let client = world.agreed("Mem").await;
    let stream = world.room(JANE, &client.name).await["id"].as_str().unwrap().to_owned();
    let (sam, nina) = (world.user_id(SAM).await, world.user_id(NINA).await);
    let change = async |what: &str, user: &serde_json::Value| {
        world.by_hand(&format!("/pod/v1/room/{stream}/membership/{what}"), json!({ "id": user })).await;
    };
    let mut rounds = 0;
    // Which of two events the old feed still brings is a matter of luck, so it is tried until each kind was lost once.
    while !["Joined", "Left", "Promoted"].iter().all(|kind| compared(&world, kind) > 0) {
        rounds += 1;
        assert!(rounds <= 12, "nothing was lost in {rounds} rounds: {:?}", changes(&world));
        lose_feed(&world, &client, async || {
            change("add", &sam).await;
            change("promoteOwner", &sam).await;
            change("add", &nina).await;
        })
        .await;
        let text = format!("Sam, round {rounds}");
        world.until("Sam is in", async || (count(&world, "Joined") == rounds).then_some(())).await;
        world.say(SAM, &client.name, &text).await;
        world.receives(&client.number, &format!("Sam Lee: {text}")).await;
        world
            .until("Nina is shown out", async || {
                let rooms = world.rooms(NINA).await;
                rooms.iter().all(|room| room["name"] != client.name.as_str()).then_some(())
            })
            .await;
        lose_feed(&world, &client, async || change("remove", &sam).await).await;
        world.until("Sam is out", async || (count(&world, "Left") == rounds).then_some(())).await;
        let text = format!("Jane alone, round {rounds}");
        world.say(JANE, &client.name, &text).await;
        world.receives(&client.number, &text).await;
    }
    for kind in ["Joined", "Promoted", "Left"] {
        assert_eq!(count(&world, kind), rounds, "{kind}: {:?}", changes(&world));
    }
    assert_eq!(world.program.end(), Some(0));
}

/// The feed is lost, and something is done before the next one is made.
async fn lose_feed(world: &Outside, client: &Client, meanwhile: impl AsyncFnOnce()) {
    let before = losses(world).await;
    world.trouble("symphony", "feed-gone", 1).await;
    world.say(JANE, &client.name, "// ").await;
    meanwhile().await;
    world.until("the feed is lost and another made", async || (losses(world).await > before).then_some(())).await;
}

/// What the journal tells of Sam in a room.
fn changes(world: &Outside) -> Vec<serde_json::Value> {
    let all = world.journal(&[]).into_iter().filter(|entry| entry["kind"] == "room.members_changed");
    all.map(|entry| entry["detail"].clone()).filter(|detail| detail["user"] == SAM).collect()
}

fn count(world: &Outside, kind: &str) -> usize {
    changes(world).iter().filter(|detail| detail["change"] == kind).count()
}

fn compared(world: &Outside, kind: &str) -> usize {
    changes(world).iter().filter(|detail| detail["change"] == kind && detail["compared"] == true).count()
}

/// Feeds that the bot found gone.
async fn losses(world: &Outside) -> u64 {
    let asked = world.http.get(format!("{}/metrics", world.address("ops"))).send().await.unwrap();
    let metrics = asked.text().await.unwrap();
    let line = metrics.lines().find(|line| line.starts_with("liaison_feed_reconnects_total{reason=\"feed-gone\"}"));
    line.and_then(|line| line.split(' ').next_back()?.parse().ok()).unwrap_or_default()
}
