//! Contacts come in: by line, by form, for a colleague, twice, and without WhatsApp.
use super::outside::*;
use serde_json::json;

#[tokio::test]
async fn the_first_conversation_of_the_readme() {
    first_conversation(own()).await;
}

/// Whatever the transport of the datafeed.
pub async fn first_conversation(world: Outside) {
    let ann = "+4915112345678";
    let added = world.command(JANE, "/contact add Ann Lee phone=+4915112345678 email=ann@lee.de channel=whatsapp --room").await;
    assert!(added.is("answer"), "{added:?}");
    world.room(JANE, "Ann Lee").await;
    world.receives(ann, "liaison_invitation").await;
    let held = world.remark(JANE, "Ann Lee", "Good morning Ann.").await;
    assert!(held.is("held") && held.reason == "consent", "{held:?}");
    world.receives(ann, "liaison_message_waiting").await;
    world.tap(ann, "consent:yes").await;
    world.receives(ann, "Good morning Ann.").await;
    let received = world.received(ann).await;
    assert_eq!(received.len(), 4, "invitation, notice, welcome, message: {received:?}");
    assert!(received[2].contains("STOP"), "the welcome says how to stop: {received:?}");
    world.advance("25h").await;
    let held = world.remark(JANE, "Ann Lee", "Are you there?").await;
    assert!(held.is("held") && held.reason == "window", "{held:?}");
    let preview = world.remark(JANE, "Ann Lee", "/template send follow_up").await;
    assert!(preview.is("confirm"), "{preview:?}");
    world.press(JANE, "Ann Lee", &preview, "confirm", "confirm", json!({})).await;
    world.receives(ann, "follow_up").await;
    assert_eq!(world.counts(ann, "Are you there?").await, 0, "a template opens no window");
    world.write(ann, "Yes, I am here.").await;
    world.receives(ann, "Are you there?").await;
    let line =
        world.line(JANE, "Ann Lee", "Ann's words", |line| line.is("client_message") && line.text.contains("I am here")).await;
    assert!(line.presentation.contains("<b>Ann Lee</b> · WhatsApp<br/>Yes, I am here."), "{line:?}");
    assert_eq!(world.counts(ann, "liaison_message_waiting").await, 2, "once for each silence");
    assert_eq!(world.program.end(), Some(0), "SIGTERM drains");
}

#[tokio::test]
async fn a_form_comes_back_filled_counts_once_and_answers_the_same_again() {
    let world = shared();
    let client = client("Fay");
    world.has_phone(&client).await;
    let form = world.command(JANE, "/contact add").await;
    assert!(form.is("form") && form.presentation.contains("id=\"contact-add\""), "{form:?}");
    for field in ["first", "last", "phone", "email", "company", "channel", "lang", "room"] {
        assert!(form.presentation.contains(&format!("name=\"{field}\"")), "the form has no field {field}");
    }
    let wrong =
        json!({ "first": "Fay", "last": client.last, "phone": "12", "email": client.email, "channel": "whatsapp", "room": "on" });
    let again = world.pressed(JANE, &form, "contact-add", "submit", wrong.clone()).await;
    assert!(again.is("form"), "{again:?}");
    assert!(again.presentation.contains(&client.email) && again.presentation.contains(&client.last), "not filled: {again:?}");
    let mut right = wrong;
    right["phone"] = client.number.clone().into();
    let added = world.pressed(JANE, &again, "contact-add", "submit", right.clone()).await;
    assert!(added.is("answer") && added.text.contains(&client.name), "{added:?}");
    world.room(JANE, &client.name).await;
    world.receives(&client.number, "liaison_invitation").await;
    let same = world.pressed(JANE, &again, "contact-add", "submit", right).await;
    assert_eq!(same.text, added.text, "a form counts once");
    assert_eq!(world.counts(&client.number, "liaison_invitation").await, 1);
}

#[tokio::test]
async fn a_form_can_be_left_alone() {
    let world = shared();
    let client = client("Gus");
    let form = world.command(JANE, "/contact add").await;
    let values =
        json!({ "first": "Gus", "last": client.last, "phone": client.number, "email": client.email, "channel": "whatsapp" });
    let answer = world.pressed(JANE, &form, "contact-add", "cancel", values).await;
    assert!(!answer.is("refusal") && !answer.is("form"), "{answer:?}");
    let shown = world.command(JANE, &format!("/contact show {}", client.number)).await;
    assert!(shown.refuses("no-such-contact"), "{shown:?}");
}

#[tokio::test]
async fn for_a_requestor_contact_room_owner_invitation_and_one_answer() {
    let world = shared();
    let client = client("Rob");
    world.has_phone(&client).await;
    let answer = world.command(OLGA, &world.adding(&client, "for=@sam.lee@acme.com --room")).await;
    assert!(answer.is("answer") && answer.text.contains("Sam Lee"), "{answer:?}");
    let room = world.room(SAM, &client.name).await;
    let owner = |email: &str| room["members"].as_array().unwrap().iter().any(|m| m["email"] == email && m["owner"] == true);
    assert!(owner(SAM) && owner("liaison@acme.com"), "{room}");
    assert!(!room["members"].as_array().unwrap().iter().any(|member| member["email"] == OLGA), "the contact is the requestor's");
    world.receives(&client.number, "liaison_invitation").await;
    let journal = world.journal(&["--contact", &answer.contact]);
    let at = |kind: &str| journal.iter().position(|entry| entry["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"));
    assert!(at("contact.created") < at("room.opened") && at("room.opened") < at("message.sent"), "the order of S0-18");
    assert_eq!(journal[at("contact.created")]["actor"], OLGA);
    let about = |line: &Line| line.is("answer") && line.text.contains(&client.name);
    let answers = world.lines(OLGA, IM).await.into_iter().filter(about).count();
    assert_eq!(answers, 1, "one answer");
}

#[tokio::test]
async fn only_who_may_onboard_for_another() {
    let world = shared();
    let client = client("Pam");
    let answer = world.command(JANE, &world.adding(&client, "for=@sam.lee@acme.com")).await;
    assert!(answer.refuses("no-permission"), "{answer:?}");
    let answer = world.command(OLGA, &world.adding(&client, "for=@nina.roy@acme.com")).await;
    assert!(answer.refuses("requestor-not-entitled"), "{answer:?}");
    let shown = world.command(OLGA, &format!("/contact show {}", client.number)).await;
    assert!(shown.refuses("no-such-contact"), "nothing was written: {shown:?}");
}

#[tokio::test]
async fn without_whatsapp_the_advisor_is_offered_sms() {
    for (button, code) in [("sms-no", "info"), ("sms-yes", "answer")] {
        let world = own();
        let paul = "/contact add Paul Roux phone=+33612345678 email=paul@roux.fr channel=whatsapp --room";
        let added = world.command(JANE, paul).await;
        assert!(added.is("answer"), "{added:?}");
        let card = world.line(JANE, "Paul Roux", "the SMS card", |line| line.is("not_on_whatsapp")).await;
        assert!(card.presentation.contains("sms-yes") && card.presentation.contains("sms-no"), "{card:?}");
        let said = world.pressed_in(JANE, "Paul Roux", &card, super::consent::form_of(&card), button, json!({})).await;
        assert!(said.is(code), "{button}: {said:?}");
        if button == "sms-no" {
            let refused = world.remark(JANE, "Paul Roux", "Hello Paul").await;
            assert!(refused.refuses("address"), "{refused:?}");
            assert!(world.received("+33612345678").await.is_empty());
        }
    }
}

#[tokio::test]
async fn the_same_person_is_recognised_and_half_a_match_is_refused() {
    let world = shared();
    let client = world.invited("Mia").await;
    let again = world.command(JANE, &world.adding(&client, "")).await;
    assert!(again.refuses("already-yours"), "{again:?}");
    let (number, email) = (&client.number, &client.email);
    let other_mail =
        world.command(SAM, &format!("/contact add Mia X phone={number} email=else@example.com channel=whatsapp")).await;
    assert!(other_mail.refuses("match-one-only"), "{other_mail:?}");
    assert!(!other_mail.text.contains(email.as_str()), "the stored value is not told");
    let other_phone =
        world.command(SAM, &format!("/contact add Mia X phone=+4915119999999 email={email} channel=whatsapp")).await;
    assert!(other_phone.refuses("match-one-only"), "{other_phone:?}");
    assert!(!other_phone.text.contains(number.as_str()), "the stored value is not told");
    assert_eq!(other_mail.text, other_phone.text, "neither tells which");
    let shown = world.command(SAM, &format!("/contact show {number}")).await;
    assert!(shown.refuses("no-such-contact"), "{shown:?}");
    let raw = format!("0049 {}", &number[3..]);
    let upper = email.to_uppercase();
    let both =
        world.command(SAM, &format!("/contact add Mia Other phone=\"+{}\" email={upper} channel=whatsapp", &raw[2..])).await;
    assert!(both.is("answer"), "both the same in canonical form: {both:?}");
    let journal = world.journal(&["--contact", &both.contact]);
    assert_eq!(journal.iter().filter(|entry| entry["kind"] == "contact.created").count(), 1, "no second identity");
}

#[tokio::test]
async fn arguments_that_cannot_be_are_named() {
    let world = shared();
    for (command, reason) in [
        ("/contact add Ann Lee phone=12 email=a@b.de channel=whatsapp", "phone-invalid"),
        ("/contact add Ann Lee phone=+4915112340000 channel=whatsapp", "email-required"),
        ("/contact add Ann Lee phone=+4915112340000 email=a@b.de channel=telex", "bad-argument"),
        ("/contact ad", "unknown-command"),
        ("/contact show c-00000000", "no-such-contact"),
    ] {
        let answer = world.command(JANE, command).await;
        assert!(answer.refuses(reason), "{command}: {answer:?}");
    }
}

#[tokio::test]
async fn nina_may_do_nothing_and_nothing_changes() {
    let world = shared();
    let client = client("Noa");
    let answer = world.command(NINA, &world.adding(&client, "--room")).await;
    assert!(answer.is("refusal"), "{answer:?}");
    assert!(["not-entitled", "no-permission"].contains(&answer.reason.as_str()), "{answer:?}");
    let shown = world.command(OLGA, &format!("/contact show {}", client.number)).await;
    assert!(shown.refuses("no-such-contact"), "{shown:?}");
    assert!(!world.journal(&[]).iter().any(|entry| entry.to_string().contains(&client.number)), "nothing was written");
}

#[tokio::test]
async fn the_pages_journal_is_read_in_whole_commits() {
    let world = own();
    world.agreed("Pages").await;
    let entries = |page: serde_json::Value| page.as_array().unwrap().clone();
    let all = entries(world.get("/api/journal?after=0").await);
    let (mut read, mut after) = (Vec::new(), 0);
    loop {
        let page = entries(world.get(&format!("/api/journal?after={after}&limit=1")).await);
        let Some(last) = page.last() else { break };
        assert!(page.iter().all(|entry| entry["sequence"] == last["sequence"]), "one commit: {page:?}");
        after = last["sequence"].as_u64().unwrap();
        read.extend(page);
    }
    assert!(all.len() > 20 && read[..all.len()] == all[..], "nothing is left out between two pages");
}
