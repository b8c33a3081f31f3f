//! The REST API: who may call it, what it refuses, and the shapes of what it answers.
use super::*;
use serde_json::json;

#[tokio::test]
async fn only_the_accounts_token_and_its_keys_own_secret_open_it() {
    let world = World::open().await;
    let ask = async |user: &str, password: &str| {
        let url = format!("{}/2010-04-01/Accounts/{ACCOUNT}.json", world.base);
        let answer = world.http.get(url).basic_auth(user, Some(password)).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let key = "SK00000000000000000000000000000001";
    assert_eq!(ask(ACCOUNT, "sandbox-token").await.1["sid"], ACCOUNT);
    assert_eq!(ask(key, "sandbox-secret").await.0, 200);
    for (user, password) in [(ACCOUNT, "sandbox-secret"), (key, "sandbox-token"), (ACCOUNT, ""), ("", "")] {
        let (status, error) = ask(user, password).await;
        let more = "https://www.twilio.com/docs/errors/20003";
        assert_eq!((status, error), (401, json!({"code": 20003, "message": "Authenticate", "more_info": more, "status": 401})));
    }
    let bare = world.http.get(format!("{}{}", world.base, world.path("/Messages.json"))).send().await.unwrap();
    assert_eq!(bare.status(), 401);
    assert!(bare.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic"));
}

#[tokio::test]
async fn what_is_not_there_is_20404() {
    let world = World::open().await;
    let elsewhere = "/2010-04-01/Accounts/AC00000000000000000000000000000002/Messages.json".to_owned();
    let nobody = world.path("/Messages/SM00000000000000000000000000000000.json");
    for path in [elsewhere, nobody, world.path("/Unknown.json"), world.path("x.json"), world.path("/Calls/CA1.json")] {
        let (status, error) = world.ask(Method::GET, &path, &[]).await;
        assert_eq!((status.as_u16(), &error["code"], &error["status"]), (404, &json!(20404), &json!(404)), "{path}");
    }
    assert_eq!(world.ask(Method::DELETE, &world.path("/Messages.json"), &[]).await.0, 405);
}

#[tokio::test]
async fn each_mistake_of_a_send_has_its_code() {
    let world = World::open().await;
    let long = "x".repeat(1_601);
    let cases: Vec<(Vec<(&str, &str)>, i64)> = vec![
        (vec![("From", LINE), ("Body", "x")], 21604),
        (vec![("To", "seven"), ("From", LINE), ("Body", "x")], 21211),
        (vec![("To", LINE), ("From", LINE), ("Body", "x")], 21211),
        (vec![("To", MIA), ("Body", "x")], 21603),
        (vec![("To", MIA), ("From", "+12025550001"), ("Body", "x")], 21606),
        (vec![("To", MIA), ("From", LINE)], 21602),
        (vec![("To", MIA), ("From", LINE), ("Body", "")], 21602),
        (vec![("To", MIA), ("From", LINE), ("Body", &long)], 21617),
        (vec![("To", MIA), ("From", LINE), ("Body", "x"), ("StatusCallback", "nowhere")], 21609),
        (vec![("To", MIA), ("From", LINE), ("MediaUrl", "nowhere")], 21620),
        (vec![("To", "+15005550001"), ("From", LINE), ("Body", "x")], 21211),
        (vec![("To", "+15005550002"), ("From", LINE), ("Body", "x")], 21612),
        (vec![("To", "+15005550003"), ("From", LINE), ("Body", "x")], 21408),
        (vec![("To", "+15005550004"), ("From", LINE), ("Body", "x")], 21610),
        (vec![("To", "+15005550009"), ("From", LINE), ("Body", "x")], 21614),
        (vec![("To", MIA), ("From", "+15005550007"), ("Body", "x")], 21606),
        (vec![("To", MIA), ("From", "+15005550008"), ("Body", "x")], 21611),
    ];
    for (form, code) in cases {
        let (status, error) = world.ask(Method::POST, &world.path("/Messages.json"), &form).await;
        assert_eq!((status.as_u16(), error["code"].as_i64()), (400, Some(code)), "{form:?}");
        assert_eq!(error["more_info"], format!("https://www.twilio.com/docs/errors/{code}"));
    }
    assert!(world.received(MIA).is_empty());
    let (status, good) = world.send(MIA, &long[1..], &[]).await;
    assert_eq!((status.as_u16(), &good["num_segments"]), (201, &json!("11")));
}

/// Names and kinds of every field, from the schema of Twilio's document.
#[tokio::test]
async fn every_resource_has_the_fields_of_twilios_document() {
    let world = World::open().await;
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/contracts/twilio");
    let document = std::fs::read(folder.join("twilio_api_v2010.sms-voice.json")).expect("the contract lies in ../shared");
    let document: Value = serde_json::from_slice(&document).unwrap();
    let fits = |what: &str, made: &Value| {
        let schema = &document["components"]["schemas"][what]["properties"];
        let (made, schema) = (made.as_object().unwrap(), schema.as_object().unwrap());
        for (name, field) in schema {
            let value = made.get(name).unwrap_or_else(|| panic!("{what} has no {name}"));
            let kind = field["type"].as_str().unwrap_or("string");
            let right = match kind {
                "string" => value.is_string(),
                "integer" => value.is_i64(),
                "boolean" => value.is_boolean(),
                "object" => value.is_object(),
                other => panic!("{what}.{name} is {other}"),
            };
            assert!(value.is_null() || right, "{what}.{name} should be {kind}: {value}");
            let pattern = field["pattern"].as_str().filter(|_| !value.is_null());
            if let Some(prefixes) = pattern.and_then(|pattern| pattern.strip_prefix('^')?.strip_suffix("[0-9a-fA-F]{32}$")) {
                let sid = value.as_str().unwrap();
                let good = sid.len() == 34 && prefixes.contains(&sid[..2]) && sid[2..].bytes().all(|b| b.is_ascii_hexdigit());
                assert!(good, "{what}.{name} should be {pattern:?}: {sid}");
            }
        }
        let strange: Vec<&String> = made.keys().filter(|name| !schema.contains_key(*name)).collect();
        assert!(strange.is_empty(), "{what} has {strange:?}");
    };
    let created = world.send(MIA, "Hello", &[]).await.1;
    fits("api.v2010.account.message", &created);
    assert_eq!((&created["status"], &created["direction"]), (&json!("queued"), &json!("outbound-api")));
    assert_eq!((&created["num_segments"], &created["num_media"]), (&json!("1"), &json!("0")));
    assert_eq!(created["date_created"], "Fri, 20 Nov 2026 14:00:00 +0000");
    let picture = liaison::sandbox::views::Given { name: "a.png".into(), mime: "image/png".into(), bytes: "png".into() };
    let sent = world.twilio.text(MIA, Texted { files: vec![picture], ..Texted::default() }).unwrap();
    let media = world.get(&format!("/Messages/{}/Media.json", sent.id)).await;
    fits("api.v2010.account.message.media", &media["media_list"][0]);
    let numbers = world.get("/IncomingPhoneNumbers.json?PhoneNumber=%2B12025550143").await;
    assert_eq!(numbers["incoming_phone_numbers"].as_array().unwrap().len(), 1);
    let number = &numbers["incoming_phone_numbers"][0];
    fits("api.v2010.account.incoming_phone_number", number);
    assert_eq!(number["sms_url"], format!("{}/webhooks/twilio/sms", world.firm.base));
    let call = world.twilio.call(MIA, Default::default()).unwrap();
    fits("api.v2010.account.call", &world.get(&format!("/Calls/{}.json", call.id)).await);
}

#[tokio::test]
async fn messages_are_listed_by_both_ends_and_by_day_page_by_page() {
    let world = World::open().await;
    for nth in 0..3 {
        world.sent(MIA, &format!("day one, {nth}")).await;
        world.firm.hears("/status?m=m-1", 2 * (nth + 1)).await;
        world.clock.fetch_add(1_000, Ordering::Relaxed);
    }
    world.clock.fetch_add(86_400_000, Ordering::Relaxed);
    world.sent(MIA, "day two").await;
    world.sent(JAN, "to another").await;
    world.firm.hears("/status?m=m-1", 10).await;
    let texts = async |query: &str| {
        let list = world.get(&format!("/Messages.json?{query}")).await;
        let bodies = list["messages"].as_array().unwrap().iter();
        (bodies.map(|one| one["body"].as_str().unwrap().to_owned()).collect::<Vec<_>>(), list["next_page_uri"].clone())
    };
    let mia = "To=%2B19175550148&From=%2B12025550143";
    assert_eq!(texts(mia).await.0, ["day two", "day one, 2", "day one, 1", "day one, 0"]);
    assert_eq!(texts(&format!("{mia}&DateSent=2026-11-20")).await.0.len(), 3);
    assert_eq!(texts(&format!("{mia}&DateSent%3E=2026-11-21")).await.0, ["day two"]);
    assert_eq!(texts(&format!("{mia}&DateSent%3C=2026-11-20")).await.0.len(), 3);
    assert_eq!(texts(&format!("{mia}&DateSent%3E=2026-11-20T14:00:02Z")).await.0, ["day two", "day one, 2"]);
    assert_eq!(texts("From=%2B12025550199").await.0.len(), 0);
    let (first, next) = texts(&format!("{mia}&PageSize=3")).await;
    assert_eq!(first.len(), 3);
    world.sent(MIA, "came in between").await;
    let (_, rest) = world.ask(Method::GET, next.as_str().unwrap(), &[]).await;
    assert_eq!(rest["messages"].as_array().unwrap().len(), 1, "{rest}");
    assert_eq!((&rest["messages"][0]["body"], &rest["next_page_uri"]), (&json!("day one, 0"), &Value::Null));
    let bad = world.ask(Method::GET, &world.path("/Messages.json?DateSent=tomorrow"), &[]).await;
    assert_eq!(bad.0, 400);
}

#[tokio::test]
async fn a_message_can_be_redacted_and_deleted_once_it_is_over() {
    let world = World::open().await;
    let sid = world.sent(MIA, "secret").await;
    world.firm.hears("/status?m=m-1", 2).await;
    let path = world.path(&format!("/Messages/{sid}.json"));
    assert_eq!(world.ask(Method::GET, &path, &[]).await.1["status"], "delivered");
    let redacted = world.ask(Method::POST, &path, &[("Body", "")]).await;
    assert_eq!((redacted.0.as_u16(), &redacted.1["body"]), (200, &json!("")));
    assert_eq!(world.ask(Method::POST, &path, &[("Status", "canceled")]).await.0, 400);
    assert_eq!(world.ask(Method::DELETE, &path, &[]).await.0, 204);
    assert_eq!(world.ask(Method::GET, &path, &[]).await.0, 404);
    assert!(world.received(MIA).is_empty());
}

#[tokio::test]
async fn a_number_is_pointed_elsewhere() {
    let world = World::open().await;
    let path = world.path("/IncomingPhoneNumbers/PN00000000000000000000000000000001.json");
    let elsewhere = format!("{}/elsewhere", world.firm.base);
    assert_eq!(world.ask(Method::POST, &path, &[("SmsUrl", "nowhere")]).await.0, 400);
    let changed = world.ask(Method::POST, &path, &[("SmsUrl", &elsewhere)]).await.1;
    assert_eq!(changed["sms_url"], elsewhere);
    assert_eq!(changed["voice_url"], format!("{}/webhooks/twilio/voice", world.firm.base));
    world.text(MIA, "Hello");
    world.firm.hears("/elsewhere", 1).await;
    assert!(world.firm.heard("/webhooks/twilio/sms").is_empty());
}
