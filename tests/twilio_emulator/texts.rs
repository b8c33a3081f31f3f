//! Text messages both ways: statuses, webhooks, keywords, files, troubles, and what a restart keeps.
use super::*;
use liaison::sandbox::views::Given;
use serde_json::json;

const SMS: &str = "/webhooks/twilio/sms";
const STATUS: &str = "/status?m=m-1";

fn words(heard: &[receiver::Heard]) -> Vec<&str> {
    heard.iter().map(|one| one.get("MessageStatus")).collect()
}

#[tokio::test]
async fn a_sent_message_is_told_twice_signed_and_shown_on_the_phone() {
    let world = World::open().await;
    let sid = world.sent(MIA, "Hello Mia, 50 % & more €").await;
    let heard = world.firm.hears(STATUS, 2).await;
    assert_eq!(words(&heard), ["sent", "delivered"]);
    for one in &heard {
        assert!(one.signed, "{one:?}");
        assert_eq!((one.get("MessageSid"), one.get("SmsSid"), one.get("AccountSid")), (sid.as_str(), sid.as_str(), ACCOUNT));
        assert_eq!((one.get("To"), one.get("From"), one.get("ApiVersion")), (MIA, LINE, "2010-04-01"));
        assert!(!one.fields.contains_key("ErrorCode"));
    }
    assert_eq!(heard[1].get("RawDlrDoneDate"), "2611201400");
    let shown = world.twilio.messages(MIA);
    assert_eq!((shown.len(), shown[0].text.as_str(), shown[0].channel.as_str()), (1, "Hello Mia, 50 % & more €", "sms"));
    assert_eq!(world.twilio.clients(), [MIA]);
}

#[tokio::test]
async fn a_clients_message_comes_with_all_its_fields_once() {
    let world = World::open().await;
    world.firm.answers(SMS, 200, "<Response><Message>Thank &amp; you</Message></Response>");
    let text = " Hello\nJane ÄÖ 👍 ";
    let sent = world.text(MIA, text);
    assert_eq!(sent.status, "pending");
    let one = world.firm.hears(SMS, 1).await.remove(0);
    assert!(one.signed);
    let fixed = [
        ("ToCountry", "US"),
        ("ToState", "DC"),
        ("ToCity", "WASHINGTON"),
        ("ToZip", ""),
        ("FromCountry", "US"),
        ("FromCity", ""),
        ("FromZip", ""),
        ("SmsStatus", "received"),
        ("NumMedia", "0"),
        ("NumSegments", "1"),
        ("Body", text),
        ("To", LINE),
        ("From", MIA),
        ("AccountSid", ACCOUNT),
        ("ApiVersion", "2010-04-01"),
    ];
    for (name, value) in fixed {
        assert_eq!(one.get(name), value, "{name}");
    }
    for name in ["MessageSid", "SmsSid", "SmsMessageSid"] {
        assert_eq!(one.get(name), sent.id, "{name}");
    }
    world.until("the reply", || (world.received(MIA) == ["Thank & you"]).then_some(())).await;
    assert_eq!(world.twilio.messages(MIA)[0].status, "sent");
    assert_eq!(world.get("/Messages.json?To=%2B19175550148").await["messages"][0]["direction"], "outbound-reply");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.firm.heard(SMS).len(), 1);
    world.twilio.text(JAN, Texted { text: "Hallo".into(), ..Texted::default() }).unwrap();
    assert_eq!(world.firm.hears(SMS, 2).await[1].get("FromCountry"), "DE");
}

#[tokio::test]
async fn a_refused_webhook_is_lost_and_never_repeated() {
    let world = World::open().await;
    world.firm.answers(SMS, 503, "");
    world.text(MIA, "nobody hears");
    world.until("the loss", || (world.twilio.messages(MIA)[0].status == "lost").then_some(())).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.firm.heard(SMS).len(), 1);
    let sid = world.twilio.messages(MIA)[0].id.clone();
    assert_eq!(world.get(&format!("/Messages/{sid}.json")).await["status"], "received");
}

#[tokio::test]
async fn only_a_broken_connection_is_tried_a_second_time() {
    let world = World::open().await;
    // A port that was free a moment ago: the first connection is refused, the second finds somebody.
    let place = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let path = world.path("/IncomingPhoneNumbers/PN00000000000000000000000000000001.json");
    world.ask(Method::POST, &path, &[("SmsUrl", &format!("http://{place}/late"))]).await;
    world.text(MIA, "is anybody there?");
    tokio::time::sleep(Duration::from_millis(40)).await;
    let listener = tokio::net::TcpListener::bind(place).await.unwrap();
    let app = axum::Router::new().fallback(async || "<Response/>");
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    world.until("the second attempt", || (world.twilio.messages(MIA)[0].status == "sent").then_some(())).await;
    world.ask(Method::POST, &path, &[("SmsUrl", "http://127.0.0.1:9/never")]).await;
    world.text(MIA, "and now?");
    world.until("the loss", || (world.twilio.messages(MIA)[1].status == "lost").then_some(())).await;
}

#[tokio::test]
async fn messages_of_one_person_keep_their_order() {
    let world = World::open().await;
    (0..20).for_each(|nth| drop(world.text(MIA, &nth.to_string())));
    let heard = world.firm.hears(SMS, 20).await;
    let order: Vec<String> = heard.iter().map(|one| one.get("Body").to_owned()).collect();
    assert_eq!(order, (0..20).map(|nth| nth.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_line_that_wrote_last_is_answered() {
    let world = World::open().await;
    assert_eq!(world.text(MIA, "first").line.as_deref(), Some(LINE));
    let form = [("To", MIA), ("From", SECOND), ("Body", "Sam here")];
    assert_eq!(world.ask(Method::POST, &world.path("/Messages.json"), &form).await.0, 201);
    assert_eq!(world.text(MIA, "hello Sam").line.as_deref(), Some(SECOND));
    let named = Texted { text: "hello Jane".into(), line: Some(LINE.into()), ..Texted::default() };
    assert_eq!(world.twilio.text(MIA, named).unwrap().line.as_deref(), Some(LINE));
    let wrong = Texted { text: "x".into(), line: Some("+19995550000".into()), ..Texted::default() };
    assert!(world.twilio.text(MIA, wrong).unwrap_err().contains("no line"));
}

#[tokio::test]
async fn a_short_code_writes_like_anybody() {
    let world = World::open().await;
    let from = Texted { text: "Your code is 1".into(), sender: Some("72345".into()), ..Texted::default() };
    world.twilio.text(MIA, from).unwrap();
    let one = world.firm.hears(SMS, 1).await.remove(0);
    assert_eq!((one.get("From"), one.get("FromCountry")), ("72345", ""));
}

#[tokio::test]
async fn stop_is_answered_by_twilio_blocks_and_reaches_the_firm() {
    let world = World::open().await;
    world.text(MIA, " stop ");
    world.text(MIA, "STOP");
    let heard = world.firm.hears(SMS, 2).await;
    assert!(heard.iter().all(|one| !one.fields.contains_key("OptOutType")), "{heard:?}");
    let received = world.received(MIA);
    assert!(received.len() == 1 && received[0].contains("unsubscribed"), "one answer: {received:?}");
    let refused = world.send(MIA, "sorry", &[]).await;
    assert_eq!((refused.0.as_u16(), &refused.1["code"]), (400, &json!(21610)));
    let other = [("To", MIA), ("From", SECOND), ("Body", "another line")];
    assert_eq!(world.ask(Method::POST, &world.path("/Messages.json"), &other).await.0, 201, "the block is between two numbers");
    let line = |text: &str| Texted { text: text.into(), line: Some(LINE.into()), ..Texted::default() };
    world.twilio.text(MIA, line("HELP")).unwrap();
    world.twilio.text(MIA, line("please stop")).unwrap();
    assert_eq!(world.send(MIA, "still?", &[]).await.0, 400, "help and a sentence lift nothing");
    world.twilio.text(MIA, line("yes")).unwrap();
    assert_eq!(world.send(MIA, "welcome back", &[]).await.0, 201);
    let said = |part: &str| world.received(MIA).iter().filter(|text| text.contains(part)).count();
    assert_eq!((said("Reply STOP to unsubscribe. Msg&Data"), said("re-subscribed")), (2, 1));
    world.text(JAN, "yes");
    assert!(world.received(JAN).is_empty(), "a yes is a keyword only to who is blocked");
    let listed = world.get("/Messages.json?From=%2B12025550143").await;
    let listed = listed["messages"].as_array().unwrap();
    assert!(listed.iter().all(|one| one["direction"] == "outbound-api"), "Twilio's own words are in no list: {listed:?}");
}

#[tokio::test]
async fn keywords_may_be_the_firms_own_affair_or_be_told() {
    let world = World::open().await;
    world.twilio.trouble("keywords-off", 1).unwrap();
    world.text(MIA, "STOP");
    world.firm.hears(SMS, 1).await;
    assert!(world.received(MIA).is_empty());
    assert_eq!(world.send(MIA, "still here", &[]).await.0, 201);
    world.twilio.trouble("keywords-advanced", 1).unwrap();
    for word in ["STOP", "UNSTOP", "INFO", "hello"] {
        world.text(JAN, word);
    }
    let heard = world.firm.hears(SMS, 5).await;
    let types: Vec<Option<&String>> = heard[1..].iter().map(|one| one.fields.get("OptOutType")).collect();
    assert_eq!(types, [Some(&"STOP".into()), Some(&"START".into()), Some(&"HELP".into()), None]);
}

#[tokio::test]
async fn a_picture_is_reached_by_a_redirect_that_wants_no_credentials() {
    let world = World::open().await;
    let file = |name: &str, mime: &str| Given { name: name.into(), mime: mime.into(), bytes: format!("bytes of {name}").into() };
    let files = vec![file("a.jpg", "image/jpeg"), file("b.pdf", "application/pdf")];
    let sent = world.twilio.text(MIA, Texted { text: "two".into(), files, ..Texted::default() }).unwrap();
    assert!(sent.id.starts_with("MM"));
    let one = world.firm.hears(SMS, 1).await.remove(0);
    assert_eq!((one.get("NumMedia"), one.get("MediaContentType1")), ("2", "application/pdf"));
    let url = one.get("MediaUrl0");
    assert!(url.starts_with(&format!("{}{}", world.base, world.path(&format!("/Messages/{}/Media/ME", sent.id)))), "{url}");
    assert_eq!(world.http.get(url).send().await.unwrap().status(), 401);
    let with_token = |url: &str| world.http.get(url).basic_auth(ACCOUNT, Some("sandbox-token"));
    world.twilio.trouble("media-404", 1).unwrap();
    assert_eq!(with_token(url).send().await.unwrap().status(), 404);
    let redirect = with_token(url).send().await.unwrap();
    assert_eq!(redirect.status(), 307);
    let place = redirect.headers()["location"].to_str().unwrap();
    assert_eq!(with_token(place).send().await.unwrap().status(), 400, "credentials go no further");
    let bytes = world.http.get(place).send().await.unwrap();
    assert_eq!(bytes.headers()["content-type"], "image/jpeg");
    assert_eq!(bytes.text().await.unwrap(), "bytes of a.jpg");
    let shown = world.twilio.messages(MIA);
    assert_eq!(shown.iter().filter(|line| line.file.is_some()).count(), 2);
    let name = &shown[1].file.as_ref().unwrap();
    assert_eq!((name.name.as_str(), world.twilio.file(&name.id).unwrap().1.as_ref()), ("b.pdf", "bytes of b.pdf".as_bytes()));
}

#[tokio::test]
async fn a_picture_of_the_firm_is_fetched_and_one_that_is_not_there_fails_the_message() {
    let world = World::open().await;
    world.firm.answers("/nothing.jpg", 404, "");
    let picture = axum::Router::new().fallback(async || ([("content-type", "image/png")], "png"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = format!("http://{}/card.png", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, picture).await.unwrap() });
    let (status, answer) = world.send(MIA, "", &[("MediaUrl", &here)]).await;
    assert_eq!((status.as_u16(), &answer["num_media"]), (201, &json!("1")));
    assert!(answer["sid"].as_str().unwrap().starts_with("MM"));
    world.until("the picture", || world.twilio.messages(MIA).first()?.file.clone().filter(|file| file.mime == "image/png")).await;
    let nothing = format!("{}/nothing.jpg", world.firm.base);
    let callback = format!("{}{STATUS}", world.firm.base);
    world.send(MIA, "x", &[("MediaUrl", &nothing), ("StatusCallback", &callback)]).await;
    let told = world.firm.hears(STATUS, 1).await.remove(0);
    assert_eq!((told.get("MessageStatus"), told.get("ErrorCode")), ("failed", "11200"));
}

#[tokio::test]
async fn refusals_are_ordered_and_are_over() {
    let world = World::open().await;
    for (code, status, number) in [
        ("429", 429, 20429),
        ("20429", 429, 20429),
        ("500", 500, 20500),
        ("503", 503, 20503),
        ("21610", 400, 21610),
        ("20003", 401, 20003),
    ] {
        world.twilio.trouble(code, 1).unwrap();
        let (answered, error) = world.send(MIA, "x", &[]).await;
        assert_eq!((answered.as_u16(), error["code"].as_i64()), (status, Some(number)), "{code}");
    }
    world.twilio.trouble("html", 1).unwrap();
    assert_eq!(world.send(MIA, "x", &[]).await, (StatusCode::BAD_GATEWAY, Value::Null));
    assert_eq!(world.send(MIA, "x", &[]).await.0, 201);
    world.twilio.trouble("500", 5).unwrap();
    world.twilio.trouble("500", 0).unwrap();
    assert_eq!(world.send(MIA, "x", &[]).await.0, 201);
    assert!(world.twilio.trouble("rain", 1).unwrap_err().contains("lost-answer"));
}

#[tokio::test]
async fn a_lost_answer_is_a_message_that_arrives_and_a_hanging_one_is_none() {
    let world = World::open().await;
    let callback = format!("{}{STATUS}", world.firm.base);
    let form = [("To", MIA), ("From", LINE), ("Body", "lost"), ("StatusCallback", callback.as_str())];
    let url = format!("{}{}", world.base, world.path("/Messages.json"));
    let post = || world.http.post(&url).basic_auth(ACCOUNT, Some("sandbox-token"));
    world.twilio.trouble("lost-answer", 1).unwrap();
    let lost = post().form(&form).send().await;
    assert!(lost.is_err() || lost.unwrap().bytes().await.is_err());
    assert_eq!(words(&world.firm.hears(STATUS, 2).await), ["sent", "delivered"]);
    assert_eq!(world.received(MIA), ["lost"]);
    world.twilio.trouble("hang", 1).unwrap();
    assert!(
        post().form(&[("To", MIA), ("From", LINE), ("Body", "hung")]).timeout(Duration::from_millis(300)).send().await.is_err()
    );
    assert_eq!(world.received(MIA), ["lost"]);
}

#[tokio::test]
async fn a_message_may_fail_later() {
    let cases = [
        ("30007", vec!["sent", "undelivered"], "30007", "Message filtered"),
        ("21610-later", vec!["failed"], "21610", "Attempt to send to unsubscribed recipient"),
        ("30001", vec!["failed"], "30001", "Queue overflow"),
    ];
    for (trouble, expected, code, sentence) in cases {
        let world = World::open().await;
        world.twilio.trouble(trouble, 1).unwrap();
        let sid = world.sent(MIA, "x").await;
        let heard = world.firm.hears(STATUS, expected.len()).await;
        assert_eq!(words(&heard), expected);
        let last = heard.last().unwrap();
        assert_eq!((last.get("ErrorCode"), last.get("ErrorMessage")), (code, sentence));
        let message = world.get(&format!("/Messages/{sid}.json")).await;
        assert_eq!(message["error_code"].as_i64().unwrap().to_string(), code);
        assert_eq!(message["status"], *expected.last().unwrap());
        assert!(world.received(MIA).is_empty(), "{trouble}");
    }
}

#[tokio::test]
async fn webhooks_may_come_often_backwards_forged_or_not_at_all() {
    let world = World::open().await;
    world.twilio.trouble("duplicate", 1).unwrap();
    world.text(MIA, "thrice");
    let heard = world.firm.hears(SMS, 3).await;
    assert!(heard.iter().all(|one| one.get("Body") == "thrice" && one.signed));
    world.twilio.trouble("bad-signature", 1).unwrap();
    world.text(MIA, "forged");
    assert!(!world.firm.hears(SMS, 4).await[3].signed);
    world.twilio.trouble("out-of-order", 1).unwrap();
    let sid = world.sent(MIA, "backwards").await;
    assert_eq!(words(&world.firm.hears(STATUS, 2).await), ["delivered", "sent"]);
    assert_eq!(world.get(&format!("/Messages/{sid}.json")).await["status"], "delivered", "an end is an end");
    world.twilio.trouble("no-webhook", 1).unwrap();
    world.text(MIA, "unheard");
    world.until("the loss", || (world.twilio.messages(MIA).last()?.status == "lost").then_some(())).await;
    assert_eq!(world.firm.heard(SMS).len(), 4);
    world.twilio.trouble("no-status", 1).unwrap();
    world.sent(MIA, "in silence").await;
    world.until("the message", || world.received(MIA).contains(&"in silence".to_owned()).then_some(())).await;
    assert_eq!(world.firm.heard(STATUS).len(), 2);
}

#[tokio::test]
async fn a_second_receiver_hears_everything_signed_for_its_own_address() {
    let world = World::open().await;
    let other = Receiver::open().await;
    world.twilio.add_callback(&format!("{}/second", other.base));
    world.text(MIA, "Hello");
    world.sent(MIA, "Hello yourself").await;
    let heard = other.hears("/second", 3).await;
    assert!(heard.iter().all(|one| one.signed), "{heard:?}");
    assert_eq!(heard.iter().filter(|one| one.fields.contains_key("MessageStatus")).count(), 2);
}

#[tokio::test]
async fn a_restart_forgets_nothing_and_goes_on_with_what_was_under_way() {
    let folder = tempfile::tempdir().unwrap();
    let first = World::in_folder(Some(folder.path().to_owned())).await;
    first.text(MIA, "STOP");
    first.firm.hears(SMS, 1).await;
    first.sent(JAN, "before").await;
    first.firm.hears(STATUS, 2).await;
    let picture = Given { name: "a.png".into(), mime: "image/png".into(), bytes: "png".into() };
    first.twilio.text(JAN, Texted { files: vec![picture], ..Texted::default() }).unwrap();
    first.firm.hears(SMS, 2).await;
    first.until("the answer", || (first.twilio.messages(JAN).last()?.status == "sent").then_some(())).await;
    // Accepted and never told: the process ends first.
    first.stop.cancel();
    let under_way = first.sent(JAN, "under way").await;
    let before = first.twilio.messages(JAN).len();
    let second = World::in_folder(Some(folder.path().to_owned())).await;
    assert_eq!(second.send(MIA, "x", &[]).await.1["code"], 21610);
    second.until("the message", || second.received(JAN).contains(&"under way".to_owned()).then_some(())).await;
    let shown = second.twilio.messages(JAN);
    assert_eq!(shown.len(), before + 1);
    let file = shown.iter().find_map(|message| message.file.clone()).unwrap();
    assert_eq!(second.twilio.file(&file.id).unwrap().1.as_ref(), b"png");
    let told = first.firm.hears(STATUS, 4).await;
    assert_eq!(told[3].get("MessageSid"), under_way, "the callback was kept");
}
