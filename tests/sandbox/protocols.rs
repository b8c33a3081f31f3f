//! Other programs at the same addresses: a foreign WhatsApp client, Meta's own calls to the bot, the guest bot, the operators.
use super::outside::*;
use aws_lc_rs::hmac;
use serde_json::{Value, json};

/// The largest body that a webhook may have.
const MAX_BODY: usize = 3 * 1024 * 1024;

fn signed(body: &[u8], secret: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    format!("sha256={}", hex::encode(hmac::sign(&key, body)))
}

/// The same webhook with another message in it.
fn with(hook: &Value, change: impl FnOnce(&mut Value)) -> Value {
    let mut hook = hook.clone();
    change(&mut hook["entry"][0]["changes"][0]["value"]);
    hook
}

fn seconds() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

pub fn text_of(client: &Client, wamid: &str, text: &str, quoted: Option<&str>) -> Value {
    let from = client.number.trim_start_matches('+');
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let mut message =
        json!({ "from": from, "id": wamid, "timestamp": now.to_string(), "type": "text", "text": { "body": text } });
    if let Some(quoted) = quoted {
        message["context"] = json!({ "from": "15550100001", "id": quoted });
    }
    json!({ "object": "whatsapp_business_account", "entry": [{ "id": ACCOUNT, "changes": [{ "field": "messages", "value": {
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": "15550100001", "phone_number_id": LINE_ID },
        "contacts": [{ "profile": { "name": client.name }, "wa_id": from }],
        "messages": [message],
    } }] }] })
}

impl Outside {
    pub async fn hook(&self, body: Vec<u8>, signature: Option<String>) -> u16 {
        let mut call =
            self.http.post(format!("{}/webhooks/whatsapp", self.address("bot"))).header("Content-Type", "application/json");
        if let Some(signature) = signature {
            call = call.header("X-Hub-Signature-256", signature);
        }
        call.body(body).send().await.unwrap().status().as_u16()
    }

    pub async fn hook_signed(&self, value: &Value) -> u16 {
        let body = value.to_string().into_bytes();
        let signature = signed(&body, "sandbox-secret");
        self.hook(body, Some(signature)).await
    }

    async fn text_at(&self, address: &str, path: &str) -> (u16, String) {
        let answer = self.http.get(format!("{}{path}", self.address(address))).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

#[tokio::test]
async fn a_webhook_counts_once_and_only_with_its_signature() {
    let world = shared();
    let client = world.agreed("Web").await;
    let hook = text_of(&client, "wamid.OUTSIDE1", "by webhook", None);
    assert_eq!(world.hook_signed(&hook).await, 200);
    world.line(JANE, &client.name, "the words", |line| line.text.ends_with("by webhook")).await;
    assert_eq!(world.hook_signed(&hook).await, 200, "a duplicate is taken and ignored");
    let body = text_of(&client, "wamid.OUTSIDE2", "forged", None).to_string().into_bytes();
    assert_eq!(world.hook(body.clone(), Some(signed(&body, "other-secret"))).await, 401);
    assert_eq!(world.hook(body.clone(), None).await, 401);
    assert_eq!(world.hook(body, Some("sha256=nonsense".into())).await, 401);
    assert_eq!(world.hook_signed(&text_of(&client, "wamid.OUTSIDE3", "the last", None)).await, 200);
    world.line(JANE, &client.name, "the last words", |line| line.text.ends_with("the last")).await;
    let lines = world.lines(JANE, &client.name).await;
    assert_eq!(lines.iter().filter(|line| line.text.ends_with("by webhook")).count(), 1);
    assert!(!lines.iter().any(|line| line.text.contains("forged")));
}

#[tokio::test]
async fn webhooks_that_are_none() {
    let world = shared();
    for body in ["", "no json", "[]", "42", "{\"object\":\"page\",\"entry\":[{}]}"] {
        let status = world.hook(body.into(), Some(signed(body.as_bytes(), "sandbox-secret"))).await;
        assert_eq!(status, 400, "{body:?}");
    }
    for body in [
        "{\"object\":\"whatsapp_business_account\",\"entry\":[]}",
        "{\"object\":\"whatsapp_business_account\",\"entry\":[],\"new\":1}",
    ] {
        let status = world.hook(body.into(), Some(signed(body.as_bytes(), "sandbox-secret"))).await;
        assert_eq!(status, 200, "{body:?}");
    }
    let large = vec![b' '; MAX_BODY + 1];
    assert_eq!(world.hook(large, None).await, 413, "the size is looked at before the signature");
    let mut fits = b"{\"object\":\"whatsapp_business_account\",\"entry\":[]}".to_vec();
    fits.resize(MAX_BODY, b' ');
    let signature = signed(&fits, "sandbox-secret");
    assert_eq!(world.hook(fits, Some(signature)).await, 200, "3 MB are not above 3 MB");
}

#[tokio::test]
async fn meta_verifies_the_address_of_the_webhook() {
    let world = shared();
    let config = std::fs::read_to_string(world.program.data.join("bot-config.toml")).unwrap();
    let config: toml::Value = toml::from_str(&config).unwrap();
    let token = config["whatsapp"]["verify_token"].as_str().unwrap();
    let path = |token: &str| format!("/webhooks/whatsapp?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token={token}");
    assert_eq!(world.text_at("bot", &path(token)).await, (200, "1158201444".to_owned()));
    assert_eq!(world.text_at("bot", &path("other")).await.0, 403);
}

#[tokio::test]
async fn a_quoted_message_finds_its_room() {
    let world = shared();
    let client = world.agreed("Quo").await;
    world.say(JANE, &client.name, "quote me").await;
    world.receives(&client.number, "quote me").await;
    let second = format!("Other {}", client.last);
    let offered = world.command(JANE, &format!("/room create \"{second}\" {}", client.number)).await;
    world.pressed(JANE, &offered, super::consent::form_of(&offered), "new-room", json!({})).await;
    world.room(JANE, &second).await;
    world.say(JANE, &second, "newer").await;
    world.receives(&client.number, "newer").await;
    let quoted = world.phone(&client.number).await.into_iter().find(|message| message["text"] == "quote me").unwrap();
    let hook = text_of(&client, "wamid.QUOTING", "to the older room", quoted["id"].as_str());
    assert_eq!(world.hook_signed(&hook).await, 200);
    world.line(JANE, &client.name, "the quoting line", |line| line.text.contains("to the older room")).await;
    assert!(!world.lines(JANE, &second).await.iter().any(|line| line.text.contains("to the older room")));
}

#[tokio::test]
async fn a_foreign_client_of_the_whatsapp_api() {
    let world = shared();
    let stranger = client("For");
    world.has_phone(&stranger).await;
    let graph = format!("{}/v23.0", world.address("whatsapp"));
    let templates =
        world.http.get(format!("{graph}/{ACCOUNT}/message_templates")).bearer_auth("sandbox-token").send().await.unwrap();
    assert_eq!(templates.status(), 200);
    let templates: Value = templates.json().await.unwrap();
    let names: Vec<&str> = templates["data"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"liaison_invitation") && names.contains(&"follow_up"), "{names:?}");
    let text = json!({ "messaging_product": "whatsapp", "recipient_type": "individual", "to": stranger.number, "type": "text",
        "text": { "body": "too early" } });
    let send = async |token: &str| {
        let call = world.http.post(format!("{graph}/{LINE_ID}/messages")).bearer_auth(token).json(&text);
        let answer = call.send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let (status, bad) = send("wrong-token").await;
    assert_eq!((status, bad["error"]["code"].as_i64()), (401, Some(190)), "{bad}");
    let (status, answer) = send("sandbox-token").await;
    if status != 200 {
        assert_eq!(answer["error"]["code"], 131047, "{answer}");
    }
    assert!(world.received(&stranger.number).await.is_empty(), "{answer}");
    let (_, metrics) = world.text_at("ops", "/metrics").await;
    assert!(metrics.contains("liaison_"), "the bot lives on");
}

#[tokio::test]
async fn a_second_callback_gets_signed_webhooks() {
    let (heard, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mine", listener.local_addr().unwrap());
    let take = async move |headers: axum::http::HeaderMap, body: bytes::Bytes| {
        let signature = headers["x-hub-signature-256"].to_str().unwrap().to_owned();
        heard.send((signature, body)).unwrap();
    };
    let router = axum::Router::new().route("/mine", axum::routing::post(take));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let world = own_with(&["--whatsapp-callback", &url]);
    world.write("+4915112345678", "for both").await;
    let (signature, body) = tokio::time::timeout(std::time::Duration::from_secs(20), hears.recv()).await.unwrap().unwrap();
    assert_eq!(signature, signed(&body, "sandbox-secret"));
    assert!(String::from_utf8_lossy(&body).contains("for both"));
    world.line(JANE, "+4915112345678", "the bot's own", |line| line.text.ends_with("for both")).await;
}

#[tokio::test]
async fn a_room_without_the_bot_is_read_by_whoever_names_no_user() {
    let world = shared();
    let opened = world.post(&format!("/api/users/{JANE}/ims"), json!({ "with": "guest-bot" })).await;
    let room = opened["id"].as_str().unwrap();
    world.post(&format!("/api/users/{JANE}/messages"), json!({ "room": room, "text": "Hello guest" })).await;
    let read = async |path: String| -> Value {
        world.http.get(format!("{}{path}", world.address("page"))).send().await.unwrap().json().await.unwrap()
    };
    let (all, own) =
        (read(format!("/api/rooms/{room}/messages")).await, read(format!("/api/rooms/{room}/messages?user={JANE}")).await);
    assert_eq!(all.as_array().unwrap().last().unwrap()["text"], "Hello guest", "{all}");
    assert_eq!(all, own);
    let rooms = read("/api/rooms".to_owned()).await;
    let listed = rooms.as_array().unwrap().iter().find(|listed| listed["id"] == room).unwrap();
    assert_eq!(listed["last_line"], "Hello guest");
}

#[tokio::test]
async fn the_guest_bot_logs_in_to_the_pod() {
    let world = shared();
    let pem = std::fs::read(world.program.data.join("keys/guest-bot.pem")).unwrap();
    let exp = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 240;
    let key = jsonwebtoken::EncodingKey::from_rsa_pem(&pem).unwrap();
    let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS512);
    let token = jsonwebtoken::encode(&header, &json!({ "sub": "guest-bot", "exp": exp }), &key).unwrap();
    let pod = world.address("pod");
    let mut tokens = Vec::new();
    for place in ["login", "relay"] {
        let call = world.http.post(format!("{pod}/{place}/pubkey/authenticate")).json(&json!({ "token": token }));
        let answer = call.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{place}");
        let answer: Value = answer.json().await.unwrap();
        tokens.push(answer["token"].as_str().unwrap().to_owned());
    }
    let info = world.http.get(format!("{pod}/pod/v2/sessioninfo")).header("sessionToken", &tokens[0]).send().await.unwrap();
    let info: Value = info.json().await.unwrap();
    assert_eq!(info["username"], "guest-bot", "{info}");
    let other = jsonwebtoken::encode(&header, &json!({ "sub": "liaison", "exp": exp }), &key).unwrap();
    let call = world.http.post(format!("{pod}/login/pubkey/authenticate")).json(&json!({ "token": other }));
    assert_eq!(call.send().await.unwrap().status(), 401, "its key opens no other account");
    let bare = world.http.get(format!("{pod}/pod/v2/sessioninfo")).header("sessionToken", "no").send().await.unwrap();
    assert_eq!(bare.status(), 401);
}

#[tokio::test]
async fn operators_read_health_metrics_and_version() {
    let world = shared();
    world.agreed("Ops").await;
    assert_eq!(world.text_at("ops", "/healthz").await.0, 200);
    let (status, ready) = world.text_at("ops", "/readyz").await;
    let ready: Value = serde_json::from_str(&ready).unwrap();
    assert_eq!((status, &ready["ready"], &ready["reasons"]), (200, &json!(true), &json!([])));
    let (_, version) = world.text_at("ops", "/version").await;
    let version: Value = serde_json::from_str(&version).unwrap();
    assert_eq!(version["name"], "liaison");
    assert!(version["version"].is_string() && version["commit"].is_string(), "{version}");
    world.hook(b"{}".to_vec(), Some("sha256=00".into())).await;
    let (_, metrics) = world.text_at("ops", "/metrics").await;
    for name in [
        "liaison_events_total{",
        "liaison_outbox_messages{",
        "liaison_held_messages{",
        "liaison_feed_reconnects_total",
        "liaison_signature_failures_total{",
        "liaison_quarantine_events",
        "liaison_commit_seconds",
        "liaison_effect_seconds",
    ] {
        assert!(metrics.contains(name), "{name} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn the_page_is_for_its_own_host_only() {
    let world = shared();
    let page = world.address("page");
    let rebound = world.http.get(format!("{page}/api/rooms")).header("Host", "evil.example").send().await.unwrap();
    assert!(rebound.status().is_client_error(), "{}", rebound.status());
    let foreign =
        world.http.post(format!("{page}/api/clock")).header("Origin", "https://evil.example").body("{\"advance\":\"1s\"}");
    assert_eq!(foreign.send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn what_cannot_be_shown_yet_is_named_and_strange_parts_hurt_nobody() {
    let world = shared();
    let client = world.agreed("Pic").await;
    let base = text_of(&client, "wamid.PIC", "base", None);
    let kinds = [
        ("image", json!({ "id": "111", "mime_type": "image/jpeg", "sha256": "x", "caption": "look <b>here</b>" })),
        ("location", json!({ "latitude": 1.5, "longitude": 2.5 })),
        ("contacts", json!([{ "name": { "formatted_name": "X" } }])),
        ("hologram", json!({ "never": ["seen", 1, null] })),
    ];
    for (nth, (kind, content)) in kinds.into_iter().enumerate() {
        let hook = with(&base, |value| {
            let message = &mut value["messages"][0];
            message["id"] = format!("wamid.PIC{nth}").into();
            message["type"] = kind.into();
            message.as_object_mut().unwrap().remove("text");
            message[kind] = content;
        });
        assert_eq!(world.hook_signed(&hook).await, 200, "{kind}");
        let count = nth + 1;
        let relayed = async || {
            let lines = world.lines(JANE, &client.name).await;
            (lines.iter().filter(|line| line.is("client_message")).count() == count).then_some(())
        };
        world.until(&format!("a line for {kind}"), relayed).await;
    }
    let lines = world.lines(JANE, &client.name).await;
    let picture = lines.iter().find(|line| line.is("client_message")).unwrap();
    assert!(picture.text.contains("picture") && picture.text.contains("look <b>here</b>"), "{picture:?}");
    let foreign = with(&base, |value| value["metadata"]["phone_number_id"] = "999".into());
    assert_eq!(world.hook_signed(&foreign).await, 200, "a line of somebody else");
    let mut mixed = base.clone();
    mixed["entry"]
        .as_array_mut()
        .unwrap()
        .insert(0, json!({ "id": ACCOUNT, "changes": [{ "field": "news", "value": { "a": 1 } }] }));
    assert_eq!(world.hook_signed(&mixed).await, 200);
    world.line(JANE, &client.name, "the sound part", |line| line.text.ends_with("base")).await;
}

#[tokio::test]
async fn the_window_counts_from_the_providers_time() {
    let world = shared();
    let client = client("Tim");
    world.has_phone(&client).await;
    world.command(JANE, &world.adding(&client, "--room")).await;
    world.receives(&client.number, "liaison_invitation").await;
    let at = |id: &str, text: &str, time: u64| {
        with(&text_of(&client, id, text, None), |value| value["messages"][0]["timestamp"] = time.to_string().into())
    };
    assert_eq!(world.hook_signed(&at("wamid.TIM1", "yes", seconds() - 25 * 3_600)).await, 200);
    let yes = world.line(JANE, &client.name, "a late yes counts", |line| line.is("consent_yes")).await;
    assert!(!yes.text.contains("has been told"), "nothing can be told while the window is closed: {yes:?}");
    let held = world.remark(JANE, &client.name, "are you there").await;
    assert!(held.is("held") && held.reason == "window", "words of yesterday open no window: {held:?}");
    assert_eq!(world.hook_signed(&at("wamid.TIM2", "from the future", seconds() + 86_400)).await, 200);
    // The sandbox's WhatsApp knows that nobody wrote; the bot, who cannot, tries.
    world.line(JANE, &client.name, "the release", |line| line.is("released")).await;
}

#[tokio::test]
async fn many_clients_at_once_are_each_heard_once_and_in_order() {
    let world = shared();
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(world.agreed("Row").await);
    }
    let all = clients.iter().map(|client| async {
        for nth in 0..15 {
            world.write(&client.number, &format!("word {nth:02}")).await;
            world.say(JANE, &client.name, &format!("reply {nth:02}")).await;
        }
    });
    futures_util::future::join_all(all).await;
    for client in &clients {
        world.receives(&client.number, "reply 14").await;
        world.line(JANE, &client.name, "the last word", |line| line.text.ends_with("word 14")).await;
        let all_words = async || {
            let lines = world.lines(JANE, &client.name).await;
            let words: Vec<String> =
                lines.iter().filter(|line| line.is("client_message")).map(|line| line.text.clone()).collect();
            (words.len() >= 15).then_some(words)
        };
        let words = world.until("all words", all_words).await;
        assert_eq!(words.len(), 15, "{words:?}");
        assert!(words.is_sorted(), "{words:?}");
        let replies = world.received(&client.number).await.split_off(2);
        assert_eq!(replies, (0..15).map(|nth| format!("reply {nth:02}")).collect::<Vec<_>>());
    }
}

/// A webhook of this client's with another element in the place of his text.
pub fn hook_of(client: &Client, wamid: &str, user_id: Option<&str>, change: impl FnOnce(&mut Value)) -> Value {
    let mut hook = text_of(client, wamid, "Hello", None);
    let value = &mut hook["entry"][0]["changes"][0]["value"];
    if let Some(user_id) = user_id {
        value["contacts"][0]["user_id"] = json!(user_id);
        value["messages"][0]["from_user_id"] = json!(user_id);
    }
    change(&mut value["messages"][0]);
    hook
}

#[tokio::test]
async fn identity_a_sign_that_somebody_else_may_read_suspends_the_consent() {
    let world = shared();
    let client = world.agreed("Ida").await;
    let sign = hook_of(&client, "wamid.IDENTITY1", None, |message| {
        message["type"] = json!("system");
        message["system"] = json!({ "body": "User identity changed", "type": "customer_identity_changed" });
    });
    assert_eq!(world.hook_signed(&sign).await, 200);
    let notice = world.line(JANE, &client.name, "the notice", |line| line.is("notice")).await;
    assert!(notice.text.contains("somebody else") && notice.text.contains("/optin send"), "{notice:?}");
    world.say(JANE, &client.name, "For your eyes only").await;
    let question = world.line(JANE, &client.name, "the question of S3-6", |line| line.is("confirm")).await;
    world.press(JANE, &client.name, &question, "confirm", "confirm", json!({})).await;
    let asked_again = async || (world.counts(&client.number, "liaison_invitation").await == 2).then_some(());
    world.until("the second invitation", asked_again).await;
    assert_eq!(world.counts(&client.number, "For your eyes only").await, 0, "held until the yes");
    let history = world.command(JANE, &format!("/consent history {}", client.name)).await;
    assert!(history.text.contains("suspended: somebody else may have the number now"), "{history:?}");
    world.tap(&client.number, "consent:yes").await;
    world.receives(&client.number, "For your eyes only").await;
}

#[tokio::test]
async fn identity_another_user_id_on_a_known_number_is_a_stranger() {
    let world = shared();
    let client = world.agreed("Olive").await;
    world.write(&client.number, "It is me").await;
    world.line(JANE, &client.name, "her words", |line| line.text.ends_with("It is me")).await;
    // Meta counts in whole seconds: the stranger writes later than she did.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let hook = hook_of(&client, "wamid.STRANGER1", Some("DE.1234567890"), |_| {});
    assert_eq!(world.hook_signed(&hook).await, 200);
    let notice = world.line(JANE, &client.name, "the notice", |line| line.is("notice")).await;
    assert!(notice.text.contains("belongs to somebody else"), "{notice:?}");
    world.line(JANE, &client.number, "the stranger's words in a room of his own", |line| line.text.ends_with("Hello")).await;
    world.say(JANE, &client.name, "Olive?").await;
    world.line(JANE, &client.name, "the refusal", |line| line.refuses("address")).await;
    assert_eq!(world.counts(&client.number, "Olive?").await, 0);
}
