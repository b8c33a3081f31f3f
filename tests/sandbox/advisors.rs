//! Several advisors with one client, on the real platform's protocols: coming, going, handing over, and what the client reads.
use super::outside::*;
use serde_json::json;

async fn confirmed(world: &Outside, who: &str, room: &str, text: &str) {
    let card = world.remark(who, room, text).await;
    assert!(card.is("confirm"), "{text}: {card:?}");
    world.press(who, room, &card, "confirm", "confirm", json!({})).await;
}

async fn reads(world: &Outside, number: &str, words: &str) -> String {
    let found = async || {
        let phone = world.phone(number).await;
        let texts = phone.iter().filter(|message| message["direction"] == "in").filter_map(|message| message["text"].as_str());
        texts.map(str::to_owned).find(|text| text.contains(words))
    };
    world.until(&format!("“{words}” on the phone"), found).await
}

#[tokio::test]
async fn s4_33_to_s4_41_a_colleague_comes_is_removed_and_takes_over() {
    let world = own();
    let client = world.agreed("Ivo").await;
    let added = world.remark(JANE, &client.name, "/room add @sam.lee@acme.com").await;
    assert!(added.is("answer"), "{added:?}");
    world.room(SAM, &client.name).await;
    reads(&world, &client.number, "Sam Lee of").await;
    let again = world.remark(JANE, &client.name, "/room add @sam.lee@acme.com").await;
    assert!(again.refuses("already-member"), "{again:?}");
    let refused = world.remark(SAM, &client.name, "/room remove @jane.doe@acme.com").await;
    assert!(refused.refuses("not-owner"), "{refused:?}");

    confirmed(&world, JANE, &client.name, "/room remove @sam.lee@acme.com").await;
    let line = world.line(SAM, IM, "what became of him", |line| line.text.contains("has removed you")).await;
    assert!(
        line.is("notice") && line.text.contains("Your colleague Jane Doe has removed you from the conversation."),
        "{line:?}"
    );
    let told = |line: &Line| line.is("answer") && line.text.contains("You removed Sam Lee from the conversation.");
    world.line(JANE, &client.name, "the answer", told).await;
    reads(&world, &client.number, "Sam Lee is no longer available in this conversation").await;
    let is_out = async || (!world.rooms(SAM).await.iter().any(|room| room["name"] == client.name.as_str())).then_some(());
    world.until("Sam is out", is_out).await;

    world.advance("30h").await;
    world.say(JANE, &client.name, "before the hand-over").await;
    world.line(JANE, &client.name, "it waits", |line| line.is("held")).await;
    confirmed(&world, JANE, &client.name, "/room transfer @sam.lee@acme.com").await;
    let room = world.room(SAM, &client.name).await;
    let notice = reads(&world, &client.number, "A note from").await;
    assert!(notice.contains("Sam Lee of Acme Wealth is now in this conversation"), "the template bears the text: {notice}");
    let card = world
        .line(SAM, &client.name, "the card", |line| line.is("withdrawn") && line.text.contains("before the hand-over"))
        .await;
    world.write(&client.number, "hello").await;
    world.line(SAM, &client.name, "the client's words", |line| line.is("client_message") && line.text.contains("hello")).await;
    assert_eq!(world.counts(&client.number, "before the hand-over").await, 0);
    world.press(SAM, &client.name, &card, "withdrawn", "send-again", json!({})).await;
    world.receives(&client.number, "before the hand-over").await;

    let renamed = format!("Family {}", client.last);
    world.say(SAM, &client.name, &format!("/room rename \"{renamed}\"")).await;
    world.line(SAM, &renamed, "the answer", |line| line.is("answer") && line.text.contains("is called")).await;
    assert_eq!(world.room(SAM, &renamed).await["id"], room["id"]);
    confirmed(&world, SAM, &renamed, "/room deactivate").await;
    let done = world.line(SAM, IM, "the answer", |line| line.is("answer") && line.text.contains("cannot be reactivated")).await;
    assert!(done.text.contains(&renamed), "{done:?}");
    assert_eq!(world.program.end(), Some(0));
}

#[tokio::test]
async fn s4_33_s4_34_s4_40_a_colleague_leaves_and_comes_back_with_the_clients_yes() {
    let world = own();
    let client = world.agreed("Lea").await;
    world.remark(JANE, &client.name, "/room add @sam.lee@acme.com").await;
    world.room(SAM, &client.name).await;
    let promoted = world.remark(JANE, &client.name, "/room promote @sam.lee@acme.com").await;
    assert!(promoted.text.contains("Sam Lee is an owner of this room."), "{promoted:?}");
    confirmed(&world, SAM, &client.name, "/room leave").await;
    let left = |line: &Line| line.is("answer") && line.text.contains("You have left the conversation");
    world.line(SAM, IM, "S4-34", left).await;
    reads(&world, &client.number, "Sam Lee is no longer available in this conversation").await;
    world.line(JANE, &client.name, "for who stays", |line| line.text.contains("Sam Lee has left this conversation.")).await;
    let asked = world.command(SAM, &format!("/room restart {}", client.number)).await;
    assert!(asked.is("answer") && asked.text.contains("New opt-in sent to"), "{asked:?}");
    let is_asked = async || (world.counts(&client.number, "liaison_invitation").await == 2).then_some(());
    world.until("the new opt-in", is_asked).await;
    let again = world.command(SAM, &format!("/room restart {}", client.number)).await;
    assert!(again.refuses("pending-until"), "{again:?}");
    world.tap(&client.number, "consent:yes").await;
    world.room(SAM, &client.name).await;
    world.line(JANE, &client.name, "that he is back", |line| line.text.contains("Sam Lee is in this conversation again.")).await;
    world.say(SAM, &client.name, "back again").await;
    world.receives(&client.number, "Sam Lee: back again").await;
}

#[tokio::test]
async fn who_is_blocked_is_kept_and_not_relayed_and_who_leaves_the_firm_hands_over() {
    let world = own();
    let client = world.agreed("Ole").await;
    let refused = world.command(JANE, &format!("/contact block {} reason=spam", client.number)).await;
    assert!(refused.refuses("no-permission"), "{refused:?}");
    let blocked = world.command(CARL, &format!("/contact block {} reason=spam", client.number)).await;
    assert!(blocked.is("answer"), "{blocked:?}");
    world.line(JANE, &client.name, "the block", |line| line.text.contains("has been blocked (spam)")).await;
    world.write(&client.number, "while blocked").await;
    let held = world.remark(JANE, &client.name, "Hello Ole").await;
    assert!(held.refuses("blocked"), "{held:?}");
    let unblocked = world.command(CARL, &format!("/contact unblock {}", client.number)).await;
    assert!(unblocked.is("answer") && unblocked.text.contains("1 message"), "{unblocked:?}");
    world.write(&client.number, "and after").await;
    world.line(JANE, &client.name, "his words", |line| line.is("client_message") && line.text.contains("and after")).await;
    let shown = world.lines(JANE, &client.name).await.iter().any(|line| line.text.contains("while blocked"));
    assert!(!shown, "kept, and not shown");

    world.advance("30h").await;
    let held = world.remark(JANE, &client.name, "not yet").await;
    assert!(held.is("held"), "{held:?}");
    let card = world.command(OLGA, "/admin offboard @jane.doe@acme.com to=@sam.lee@acme.com").await;
    assert!(card.is("confirm") && card.text.contains("All rights end at once"), "{card:?}");
    let report = world.pressed(OLGA, &card, "confirm", "confirm", json!({})).await;
    let all = ["Jane Doe has no rights any more", "1 contact", "1 message that waited"];
    assert!(all.iter().all(|part| report.text.contains(part)), "{report:?}");
    world.room(SAM, &client.name).await;
    reads(&world, &client.number, "Sam Lee of Acme Wealth is now in this conversation").await;
    let card = world.line(SAM, &client.name, "the card", |line| line.is("withdrawn") && line.text.contains("not yet")).await;
    world.press(SAM, &client.name, &card, "withdrawn", "cancel", json!({})).await;
    let declined = async || {
        let journal = world.journal(&["--contact", &card.contact]);
        journal.into_iter().find(|entry| entry["kind"] == "message.not_taken_over")
    };
    assert_eq!(world.until("the evidence", declined).await["actor"], SAM);
    world.write(&client.number, "who is there?").await;
    world.line(SAM, &client.name, "his words", |line| line.is("client_message") && line.text.contains("who is there?")).await;
    assert_eq!(world.counts(&client.number, "not yet").await, 0);
    let nothing = world.command(JANE, &format!("/contact show {}", client.number)).await;
    assert!(nothing.is("refusal"), "{nothing:?}");
}
