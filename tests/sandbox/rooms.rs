//! Rooms: what stays inside them, what leaves them, and which of several a client's words go to.
use super::outside::*;
use serde_json::json;

#[tokio::test]
async fn commands_never_reach_the_client_and_two_slashes_do() {
    // Lines come unasked into the 1:1 chat here, where other tests would take them for their answers.
    let world = own();
    let client = world.agreed("Kim").await;
    for text in ["/nonsense for you", "@liaison@acme.com what is this", "/help", "@liaison@acme.com /window", "/ hello"] {
        let answer = world.remark(JANE, &client.name, text).await;
        assert!(["answer", "refusal"].contains(&answer.code.as_str()), "{text}: {answer:?}");
    }
    let unknown = world.remark(JANE, &client.name, "/contcat list").await;
    assert!(unknown.refuses("unknown-command") && unknown.text.contains("/contact list"), "{unknown:?}");
    world.say(JANE, &client.name, "//whisper is no command").await;
    world.receives(&client.number, "/whisper is no command").await;
    let received = world.received(&client.number).await;
    assert_eq!(received.len(), 3, "invitation, welcome, the escaped line: {received:?}");
}

#[tokio::test]
async fn names_that_are_taken_or_too_long() {
    let world = shared();
    let (one, two) = (world.agreed("Uma").await, client("Uwe"));
    world.has_phone(&two).await;
    let taken = world.command(JANE, &world.adding(&two, &format!("room=\"{}\"", one.name))).await;
    assert!(taken.refuses("name-taken"), "{taken:?}");
    let shown = world.command(JANE, &format!("/contact show {}", two.number)).await;
    assert!(shown.is("answer"), "the contact is kept: {shown:?}");
    assert!(world.received(&two.number).await.is_empty(), "no invitation");
    let fifty = "n".repeat(50);
    let long = world.command(JANE, &format!("/room create {fifty} {}", two.number)).await;
    assert!(long.refuses("name-too-long"), "{long:?}");
    let fits = format!("{:n<49}", two.last);
    let made = world.command(JANE, &format!("/room create {fits} {}", two.number)).await;
    assert!(made.is("answer") && made.text.contains("1 sent now"), "{made:?}");
    world.room(JANE, &fits).await;
    let again = world.command(SAM, &format!("/room create {fits}")).await;
    assert!(again.is("refusal"), "{again:?}");
}

#[tokio::test]
async fn long_names_of_people_are_kept_whole() {
    let world = shared();
    let someone = client("Max");
    world.has_phone(&someone).await;
    let (first, last) = ("F".repeat(50), format!("{:L<50}", someone.last));
    let add = format!("/contact add {first} {last} phone={} email={} channel=whatsapp --room", someone.number, someone.email);
    let answer = world.command(JANE, &add).await;
    assert!(answer.is("answer") && answer.text.contains(&last), "{answer:?}");
    world.receives(&someone.number, "liaison_invitation").await;
}

#[tokio::test]
async fn a_name_that_is_taken_gets_the_short_id() {
    let world = shared();
    let one = world.invited("Dan").await;
    let two = client("Dan");
    world.has_phone(&two).await;
    let add = format!("/contact add Dan {} phone={} email={} channel=whatsapp --room", one.last, two.number, two.email);
    let answer = world.command(JANE, &add).await;
    assert!(answer.is("answer"), "{answer:?}");
    world.receives(&two.number, "liaison_invitation").await;
    let named = |room: &serde_json::Value| {
        room["name"].as_str().is_some_and(|name| name.starts_with(&one.name) && name.contains(&answer.contact))
    };
    assert!(world.rooms(JANE).await.iter().any(named), "{:?}", answer.contact);
}

#[tokio::test]
async fn a_colleague_joins_when_the_owner_agrees() {
    // Lines come unasked into the 1:1 chat here, where other tests would take them for their answers.
    let world = own();
    let client = world.agreed("Joy").await;
    let listed = world
        .command(
            SAM,
            &format!("/contact add Joy {} phone={} email={} channel=whatsapp", client.last, client.number, client.email),
        )
        .await;
    assert!(listed.is("answer") && listed.text.to_lowercase().contains("already"), "{listed:?}");
    let offered = world.command(SAM, &format!("/room create \"Second {}\" {}", client.last, client.number)).await;
    assert!(offered.presentation.contains("name=\"join\"") && offered.presentation.contains("name=\"new-room\""), "{offered:?}");
    let asked = world.pressed(SAM, &offered, super::consent::form_of(&offered), "join", json!({})).await;
    assert!(!asked.is("refusal"), "{asked:?}");
    let mine = |line: &Line| line.is("confirm") && line.text.contains("Sam");
    let question = async || {
        let own = world.lines(JANE, IM).await.into_iter().filter(mine).map(|line| (IM.to_owned(), line));
        let room = world.lines(JANE, &client.name).await.into_iter().filter(mine).map(|line| (client.name.clone(), line));
        own.chain(room).find(|(_, line)| !line.submitted)
    };
    let (place, question) = world.until("the owner's question", question).await;
    assert!(!world.rooms(SAM).await.iter().any(|room| room["name"] == client.name.as_str()), "not before the owner says so");
    if place == IM {
        world.pressed(JANE, &question, "confirm", "confirm", json!({})).await;
    } else {
        world.press(JANE, &place, &question, "confirm", "confirm", json!({})).await;
    }
    world.room(SAM, &client.name).await;
    world.say(SAM, &client.name, "Sam here").await;
    world.receives(&client.number, "Sam Lee: Sam here").await;
    world.say(JANE, &client.name, "and Jane").await;
    world.receives(&client.number, "Jane Doe: and Jane").await;
    let preview = world.remark(JANE, &client.name, "/template send follow_up").await;
    let told = world.pressed_in(SAM, &client.name, &preview, "confirm", "confirm", json!({})).await;
    assert!(told.is("refusal"), "a question is answered by whom it was asked: {told:?}");
    assert_eq!(world.counts(&client.number, "follow_up").await, 0);
    world.press(JANE, &client.name, &preview, "confirm", "confirm", json!({})).await;
    world.receives(&client.number, "follow_up").await;
}

#[tokio::test]
async fn of_several_rooms_the_last_used_and_the_quoted_one() {
    let world = shared();
    let client = world.agreed("Bea").await;
    world.say(JANE, &client.name, "from the first room").await;
    world.receives(&client.number, "from the first room").await;
    let second = format!("Second {}", client.last);
    let offered = world.command(JANE, &format!("/room create \"{second}\" {}", client.number)).await;
    assert!(offered.presentation.contains("name=\"new-room\""), "the caller's own room is named, a new one offered: {offered:?}");
    world.pressed(JANE, &offered, super::consent::form_of(&offered), "new-room", json!({})).await;
    world.room(JANE, &second).await;
    world.say(JANE, &second, "from the second room").await;
    world.receives(&client.number, "from the second room").await;
    world.write(&client.number, "to the last used").await;
    let marked = |line: &Line| line.is("client_message") && line.text.contains("to the last used");
    let line = world.line(JANE, &second, "the line", marked).await;
    assert!(line.text.contains("last used") && line.presentation.contains("name=\"move-here\""), "{line:?}");
    world.press(JANE, &second, &line, super::consent::form_of(&line), "move-here", json!({})).await;
    world.line(JANE, &client.name, "the moved line", marked).await;
}

#[tokio::test]
async fn the_bot_taken_out_of_a_room_loses_nothing() {
    let world = own();
    let client = world.agreed("Tea").await;
    let stream = world.room(JANE, &client.name).await["id"].as_str().unwrap().to_owned();
    let bot = world.bot_id().await;
    world.by_hand(&format!("/pod/v1/room/{stream}/membership/remove"), json!({ "id": bot })).await;
    world.line(JANE, IM, "what happened and what to do", |line| line.is("notice") && line.text.contains(&client.name)).await;
    world.write(&client.number, "is anybody there?").await;
    world.line(JANE, IM, "the client's words", |line| line.is("client_message") && line.text.contains("is anybody there?")).await;
    let refused = world.journal(&[]).iter().filter(|entry| entry["kind"] == "chat.line_refused").count();
    assert_eq!(refused, 0, "nothing was tried in vain");
    assert_eq!(world.program.end(), Some(0));
}
