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
