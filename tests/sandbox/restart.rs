//! With `--data` everything is there again.
use super::outside::*;

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
