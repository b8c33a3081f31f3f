//! With `--data` everything is there again.
use super::outside::*;
use std::path::Path;
use std::process::{Command, Output};

/// A start in this folder that must fail.
fn second(data: &Path, page: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_liaison"));
    command.args(["sandbox", "--json", "--listen", page, "--data"]).arg(data).output().unwrap()
}

#[tokio::test]
async fn contacts_rooms_held_messages_and_the_clock_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let world = in_folder(folder.path());
    let (one, two) = (world.agreed("Old").await, world.invited("New").await);
    let held = world.remark(JANE, &two.name, "kept for you").await;
    assert!(held.is("held"), "{held:?}");
    world.receives(&two.number, "liaison_message_waiting").await;
    world.advance("30h").await;
    let window = world.remark(JANE, &one.name, "closed by now").await;
    assert!(window.is("held") && window.reason == "window", "{window:?}");
    let before = world.lines(JANE, &one.name).await.len();
    let journal = world.journal(&[]).len();
    assert_eq!(world.program.end(), Some(0), "SIGTERM drains");
    let offline = world.journal(&[]).len();
    assert!(offline >= journal, "the journal is read without the program too");
    drop(world);

    let world = in_folder(folder.path());
    assert!(world.lines(JANE, &one.name).await.len() >= before, "rooms are there");
    assert_eq!(world.journal(&[]).len(), offline, "nothing happens again");
    let held = world.remark(JANE, &one.name, "closed still").await;
    assert!(held.is("held") && held.reason == "window", "the clock is where it was: {held:?}");
    world.write(&one.number, "here I am").await;
    world.receives(&one.number, "closed still").await;
    let received = world.received(&one.number).await;
    assert_eq!(received[received.len() - 2..], ["closed by now".to_owned(), "closed still".to_owned()]);
    world.tap(&two.number, "consent:yes").await;
    world.receives(&two.number, "kept for you").await;
    for (number, text) in [(&one.number, "closed by now"), (&two.number, "kept for you")] {
        assert_eq!(world.counts(number, text).await, 1, "once: {text}");
    }
    let known = world.command(JANE, &world.adding(&one, "")).await;
    assert!(known.refuses("already-yours"), "{known:?}");
}

#[tokio::test]
async fn a_second_sandbox_in_the_same_folder_leaves_the_first_alone() {
    let folder = tempfile::tempdir().unwrap();
    let world = in_folder(folder.path());
    let client = world.agreed("Twice").await;
    let config = std::fs::read_to_string(folder.path().join("bot-config.toml")).unwrap();
    let own_page = world.address("page").replace("http://", "");
    for (page, why) in
        [("127.0.0.1:0", "Another Liaison runs on the folder"), (own_page.as_str(), "Stop the program that listens")]
    {
        let told = second(folder.path(), page);
        let why_not = String::from_utf8_lossy(&told.stderr).into_owned();
        assert_eq!((told.status.code(), told.stdout.len()), (Some(1), 0), "{why_not}");
        assert!(why_not.starts_with("liaison: ") && why_not.contains(why) && why_not.lines().count() == 1, "{why_not}");
        assert_eq!(std::fs::read_to_string(folder.path().join("bot-config.toml")).unwrap(), config, "{why}");
    }
    world.say(JANE, &client.name, "after the second start").await;
    world.receives(&client.number, "after the second start").await;
    world.write(&client.number, "read and kept").await;
    world.line(JANE, &client.name, "the client's message", |line| line.text.contains("read and kept")).await;
    world.text(&client.number, "texted and kept").await;
    assert_eq!(world.program.end(), Some(0));
    drop(world);

    let world = in_folder(folder.path());
    let lines = world.lines(JANE, &client.name).await;
    for text in ["after the second start", "read and kept"] {
        assert!(lines.iter().any(|line| line.text.contains(text)), "{text}: {lines:?}");
    }
    assert_eq!(world.counts(&client.number, "after the second start").await, 1);
    let phone = world.phone(&client.number).await;
    assert!(phone.iter().any(|message| message["text"] == "texted and kept"), "{phone:?}");
}
