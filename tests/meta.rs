//! The emulated WhatsApp as its users see it: a business over HTTP, a receiver of webhooks, and the clients' phones.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic, also in its helpers")]
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use liaison::sandbox::meta::{Fails, Meta, MetaSettings, Strangers};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const ANN: &str = "+4915112345678";
const HOUR: i64 = 3_600_000;
const START: i64 = 1_800_000_000_000;

/// Takes webhooks, checks their signatures, refuses as many as it is told to.
#[derive(Clone, Default)]
struct Receiver {
    taken: Arc<Mutex<Vec<Value>>>,
    refuse: Arc<AtomicU32>,
    refused: Arc<AtomicU32>,
}

impl Receiver {
    async fn listen(&self) -> String {
        let app = Router::new().route("/hook", get(echo).post(take)).with_state(self.clone());
        format!("{}/hook", serve(app).await)
    }

    fn all(&self) -> Vec<Value> {
        self.taken.lock().unwrap().iter().map(|body| body["entry"][0]["changes"][0]["value"].clone()).collect()
    }

    fn elements(&self, kind: &str) -> Vec<Value> {
        self.all().iter().filter_map(|value| value[kind].get(0).cloned()).collect()
    }

    async fn wait(&self, kind: &str, fits: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..500 {
            if let Some(found) = self.elements(kind).into_iter().find(|element| fits(element)) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no such element of {kind} came: {:?}", self.all());
    }

    async fn wait_status(&self, wamid: &str, status: &str) -> Value {
        self.wait("statuses", |element| element["id"] == wamid && element["status"] == status).await
    }
}

async fn echo(Query(query): Query<HashMap<String, String>>) -> (StatusCode, String) {
    let right = query["hub.mode"] == "subscribe" && query["hub.verify_token"] == "sandbox-verify";
    (if right { StatusCode::OK } else { StatusCode::FORBIDDEN }, query["hub.challenge"].clone())
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"sandbox-secret");
    let signature = headers["x-hub-signature-256"].to_str().unwrap().strip_prefix("sha256=").unwrap();
    aws_lc_rs::hmac::verify(&key, &body, &hex::decode(signature).unwrap()).unwrap();
    assert!(body.is_ascii());
    let slashes = || body.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(place, _)| place);
    assert!(slashes().all(|place| body[place - 1] == b'\\'), "Meta escapes each slash: {body:?}");
    if receiver.refuse.load(Ordering::SeqCst) > 0 {
        receiver.refuse.fetch_sub(1, Ordering::SeqCst);
        receiver.refused.fetch_add(1, Ordering::SeqCst);
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    receiver.taken.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
    StatusCode::OK
}

async fn serve(app: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

struct World {
    meta: Meta,
    url: String,
    clock: Arc<AtomicI64>,
    receiver: Receiver,
    stop: CancellationToken,
    client: reqwest::Client,
}

impl World {
    async fn new() -> World {
        let receiver = Receiver::default();
        let callback = receiver.listen().await;
        World::open(None, receiver, &callback).await
    }

    async fn open(dir: Option<PathBuf>, receiver: Receiver, callback: &str) -> World {
        let clock = Arc::new(AtomicI64::new(START));
        let reading = clock.clone();
        let meta = Meta::open(Arc::new(move || reading.load(Ordering::SeqCst)), MetaSettings::sandbox(), dir).unwrap();
        let stop = CancellationToken::new();
        meta.start(stop.clone());
        meta.add_callback(callback);
        meta.add_phone(ANN, "Ann Lée", true).unwrap();
        meta.register_template("liaison_invitation", "en_US", "UTILITY", invitation()).unwrap();
        let url = serve(meta.router()).await;
        World { meta, url, clock, receiver, stop, client: reqwest::Client::new() }
    }

    fn path(&self, path: &str) -> String {
        format!("{}/v25.0/{path}", self.url)
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let request = self.client.post(self.path(path)).bearer_auth("sandbox-token").json(&body);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let answer = self.client.get(self.path(path)).bearer_auth("sandbox-token").send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn send(&self, body: Value) -> (u16, Value) {
        let mut whole = json!({"messaging_product": "whatsapp", "to": ANN, "biz_opaque_callback_data": "m-1"});
        whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        self.post("100000000000001/messages", whole).await
    }

    async fn text(&self, text: &str) -> (u16, Value) {
        self.send(json!({"type": "text", "text": {"body": text}})).await
    }

    async fn invite(&self) -> String {
        let (status, answer) = self.send(invite_request()).await;
        assert_eq!(status, 200, "{answer}");
        answer["messages"][0]["id"].as_str().unwrap().to_string()
    }
}

fn invitation() -> Value {
    json!([{"type": "BODY", "text": "Hello {{first}}, {{advisor}} would like to write to you."},
        {"type": "FOOTER", "text": "Acme Wealth"},
        {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Yes, I agree"}, {"type": "QUICK_REPLY", "text": "Stop"}]}])
}

fn invite_request() -> Value {
    let parameter = |name: &str, text: &str| json!({"type": "text", "parameter_name": name, "text": text});
    let button = |index: Value, payload: &str| json!({"type": "button", "sub_type": "QUICK_REPLY", "index": index, "parameters": [{"type": "payload", "payload": payload}]});
    let components = json!([{"type": "BODY", "parameters": [parameter("first", "Ann"), parameter("advisor", "Jane")]},
        button(json!("0"), "consent:yes"), button(json!(1), "consent:stop")]);
    json!({"type": "template", "template": {"name": "liaison_invitation", "language": {"code": "en_US"}, "components": components}})
}

#[tokio::test]
async fn a_text_outside_the_window_is_refused_with_131047() {
    let world = World::new().await;
    let (status, answer) = world.text("Good morning").await;
    assert_eq!((status, &answer["error"]["code"]), (400, &json!(131047)));
    world.meta.send_text(ANN, None, "Hi", None).unwrap();
    assert_eq!(world.text("Good morning").await.0, 200);
    world.clock.fetch_add(24 * HOUR, Ordering::SeqCst);
    assert_eq!(world.text("Good morning").await.1["error"]["code"], 131047);
    world.meta.fail_window(Fails::Async);
    let (status, answer) = world.text("Good morning").await;
    assert_eq!(status, 200);
    let failed = world.receiver.wait_status(answer["messages"][0]["id"].as_str().unwrap(), "failed").await;
    assert_eq!(failed["errors"][0]["code"], 131047);
}

#[tokio::test]
async fn a_template_is_delivered_tapped_and_opens_the_window() {
    let world = World::new().await;
    let wamid = world.invite().await;
    assert!(wamid.starts_with("wamid.HBg"));
    let shown = &world.meta.messages(ANN)[0];
    assert_eq!(shown.text, "Hello Ann, Jane would like to write to you.\nAcme Wealth");
    assert_eq!((shown.template.as_deref(), shown.callback_data.as_deref()), (Some("liaison_invitation"), Some("m-1")));
    world.receiver.wait_status(&wamid, "delivered").await;
    let tapped = world.meta.tap(ANN, "consent:yes").unwrap();
    assert_eq!((tapped.direction.as_str(), tapped.text.as_str()), ("out", "Yes, I agree"));
    let message = world.receiver.wait("messages", |message| message["type"] == "button").await;
    assert_eq!(message["button"], json!({"payload": "consent:yes", "text": "Yes, I agree"}));
    assert_eq!(message["context"], json!({"from": "15550100001", "id": wamid}));
    assert_eq!(message["from"], "4915112345678");
    assert_eq!(world.text("Welcome").await.0, 200);
    assert!(world.meta.tap(ANN, "nothing").is_err());
}

#[tokio::test]
async fn an_interactive_button_answers_as_button_reply() {
    let world = World::new().await;
    world.meta.send_text(ANN, Some("+1 555-010-0001"), "Hi", None).unwrap();
    let button = |id: &str, title: &str| json!({"type": "reply", "reply": {"id": id, "title": title}});
    let interactive = |buttons: Value| json!({"type": "interactive", "interactive": {"type": "button", "body": {"text": "May we?"}, "action": {"buttons": buttons}}});
    let (status, _) = world.send(interactive(json!([button("consent:yes", "Yes"), button("consent:stop", "Stop")]))).await;
    assert_eq!(status, 200);
    let four: Vec<Value> = (0..4).map(|n| button(&n.to_string(), &n.to_string())).collect();
    assert_eq!(world.send(interactive(json!(four))).await.1["error"]["code"], 131009);
    world.meta.tap(ANN, "consent:stop").unwrap();
    let message = world.receiver.wait("messages", |message| message["type"] == "interactive").await;
    assert_eq!(message["interactive"], json!({"type": "button_reply", "button_reply": {"id": "consent:stop", "title": "Stop"}}));
}

#[tokio::test]
async fn statuses_carry_the_callback_data_and_read_comes_when_the_client_looks() {
    let world = World::new().await;
    let wamid = world.invite().await;
    for status in ["sent", "delivered"] {
        let told = world.receiver.wait_status(&wamid, status).await;
        assert_eq!(told["biz_opaque_callback_data"], "m-1");
        assert_eq!(told["recipient_id"], "4915112345678");
        assert!(told["recipient_user_id"].as_str().unwrap().starts_with("DE."));
        assert_eq!(told["pricing"], json!({"billable": true, "pricing_model": "PMP", "type": "regular", "category": "utility"}));
    }
    assert_eq!(world.meta.mark_read(ANN), Ok(1));
    assert_eq!(world.receiver.wait_status(&wamid, "read").await["biz_opaque_callback_data"], "m-1");
    assert_eq!(world.meta.messages(ANN)[0].status, "read");
    let contact = &world.receiver.all()[0]["contacts"][0];
    assert!(contact["user_id"].is_string() && contact["wa_id"] == "4915112345678");
}

#[tokio::test]
async fn a_webhook_is_sent_again_until_it_is_accepted() {
    let world = World::new().await;
    world.receiver.refuse.store(3, Ordering::SeqCst);
    let written = world.meta.send_text(ANN, None, "Grüße 👋", None).unwrap();
    assert_eq!(written.status, "pending");
    let message = world.receiver.wait("messages", |message| message["id"] == written.id.as_str()).await;
    assert_eq!(message["text"]["body"], "Grüße 👋");
    assert_eq!(world.receiver.refused.load(Ordering::SeqCst), 3);
    let mut changes = world.meta.changes();
    while world.meta.messages(ANN)[0].status != "sent" {
        tokio::time::timeout(Duration::from_secs(5), changes.changed()).await.unwrap().unwrap();
    }
    assert_eq!(world.meta.pending_webhooks(), 0);
}

#[tokio::test]
async fn a_restart_keeps_everything_and_delivers_what_was_pending() {
    let folder = tempfile::tempdir().unwrap();
    let dir = Some(folder.path().to_path_buf());
    let receiver = Receiver::default();
    receiver.refuse.store(u32::MAX, Ordering::SeqCst);
    let callback = receiver.listen().await;
    let before = World::open(dir.clone(), receiver.clone(), &callback).await;
    let wamid = before.invite().await;
    let written = before.meta.send_text(ANN, None, "Are you there?", Some(&wamid)).unwrap();
    before.stop.cancel();
    let seen = serde_json::to_value(before.meta.messages(ANN)).unwrap();
    drop(before);
    // A process killed in the middle of a write leaves a line without its end.
    let mut journal = std::fs::OpenOptions::new().append(true).open(folder.path().join("meta.jsonl")).unwrap();
    std::io::Write::write_all(&mut journal, b"{\"record\":\"mess").unwrap();
    receiver.refuse.store(0, Ordering::SeqCst);
    let after = World::open(dir, receiver, &callback).await;
    assert_eq!(serde_json::to_value(after.meta.messages(ANN)).unwrap(), seen);
    let message = after.receiver.wait("messages", |message| message["id"] == written.id.as_str()).await;
    assert_eq!(message["context"]["id"], wamid);
    after.receiver.wait_status(&wamid, "delivered").await;
    assert_eq!(after.text("Yes, I am.").await.0, 200);
}

#[tokio::test]
async fn a_number_without_whatsapp_fails_by_a_status_or_in_the_answer() {
    let world = World::new().await;
    world.meta.add_phone("+4915100000000", "Old phone", false).unwrap();
    let mut request = invite_request();
    request["to"] = json!("+49 151 0000-0000");
    let (status, answer) = world.send(request.clone()).await;
    assert_eq!((status, &answer["contacts"][0]["input"]), (200, &json!("+49 151 0000-0000")));
    let failed = world.receiver.wait_status(answer["messages"][0]["id"].as_str().unwrap(), "failed").await;
    assert_eq!((&failed["errors"][0]["code"], &failed["biz_opaque_callback_data"]), (&json!(131026), &json!("m-1")));
    assert!(world.meta.messages("+4915100000000").is_empty());
    world.meta.fail_unreachable(Fails::Sync);
    let (status, answer) = world.send(request.clone()).await;
    assert_eq!((status, &answer["error"]["code"]), (400, &json!(131026)));
    request["to"] = json!("+4915100000001");
    assert_eq!(world.send(request.clone()).await.0, 200, "a stranger becomes a phone");
    world.meta.strangers(Strangers::Unreachable);
    request["to"] = json!("+4915100000002");
    assert_eq!(world.send(request).await.1["error"]["code"], 131026);
}

#[tokio::test]
async fn troubles_last_as_long_as_ordered() {
    let world = World::new().await;
    let send = || world.client.post(world.path("100000000000001/messages")).bearer_auth("sandbox-token");
    let mut request = invite_request();
    request["to"] = json!(ANN);
    request["messaging_product"] = json!("whatsapp");
    world.meta.trouble("lost-answer", 1).unwrap();
    assert!(send().json(&request).send().await.is_err(), "the connection closes without an answer");
    assert_eq!(world.meta.messages(ANN).len(), 1, "and yet the message has arrived");
    world.receiver.wait("statuses", |status| status["status"] == "delivered").await;
    world.meta.trouble("429", 1).unwrap();
    let answer = send().json(&request).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (429, "1"));
    world.meta.trouble("131056", 2).unwrap();
    for _ in 0..2 {
        assert_eq!(world.send(invite_request()).await.1["error"]["code"], 131056);
    }
    world.meta.trouble("html", 1).unwrap();
    assert!(send().json(&request).send().await.unwrap().text().await.unwrap().starts_with("<html>"));
    world.meta.trouble("duplicate", 1).unwrap();
    let wamid = world.invite().await;
    world.receiver.wait_status(&wamid, "delivered").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(world.receiver.elements("statuses").iter().filter(|status| status["id"] == wamid.as_str()).count(), 6);
    world.meta.trouble("no-status", 1).unwrap();
    let wamid = world.invite().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(world.receiver.elements("statuses").iter().all(|status| status["id"] != wamid.as_str()));
    assert!(world.meta.trouble("earthquake", 1).is_err());
}

#[tokio::test]
async fn what_meta_refuses_is_refused() {
    let world = World::new().await;
    let code = |answer: (u16, Value)| (answer.0, answer.1["error"]["code"].as_i64().unwrap());
    let wrong = world.client.post(world.path("100000000000001/messages")).bearer_auth("other").json(&json!({}));
    assert_eq!(wrong.send().await.unwrap().status().as_u16(), 401);
    assert_eq!(code(world.get("nothing").await), (404, 100));
    assert_eq!(code(world.get("nothing/at/all").await), (404, 100));
    let mut request = invite_request();
    request["template"]["language"]["code"] = json!("de");
    assert_eq!(code(world.send(request).await), (404, 132001));
    let mut request = invite_request();
    request["template"]["components"][0]["parameters"] = json!([]);
    assert_eq!(code(world.send(request).await), (400, 132000));
    world.meta.send_text(ANN, None, "Hi", None).unwrap();
    assert_eq!(code(world.text(&"x".repeat(4097)).await), (400, 100));
    for _ in 0..45 {
        assert_eq!(world.text("x").await.0, 200);
    }
    assert_eq!(code(world.text("x").await), (400, 131056));
    world.clock.fetch_add(6_000, Ordering::SeqCst);
    assert_eq!(world.text("x").await.0, 200);
}

#[tokio::test]
async fn a_template_is_made_listed_sent_and_deleted() {
    let world = World::new().await;
    let account = "200000000000001/message_templates";
    let components =
        json!([{"type": "BODY", "text": "Dear {{1}}, your advisor has changed.", "example": {"body_text": [["Ann"]]}}]);
    let wanted = json!({"name": "notice", "language": "en_US", "category": "UTILITY", "components": components});
    let (status, made) = world.post(account, wanted.clone()).await;
    assert_eq!((status, &made["status"]), (200, &json!("PENDING")));
    assert_eq!(world.post(account, wanted).await.1["error"]["error_subcode"], 2388024);
    let (_, page) = world.get(&format!("{account}?limit=1")).await;
    let after = page["paging"]["cursors"]["after"].as_str().unwrap();
    let (_, page) = world.get(&format!("{account}?limit=1&after={after}&fields=name,status,parameter_format")).await;
    assert_eq!(
        page["data"],
        json!([{"name": "notice", "parameter_format": "POSITIONAL", "status": "APPROVED", "id": made["id"]}])
    );
    assert_eq!(page["summary"]["total_count"], 2);
    let parameters = json!([{"type": "body", "parameters": [{"type": "text", "text": "Ann"}]}]);
    let body =
        json!({"type": "template", "template": {"name": "notice", "language": {"code": "en_US"}, "components": parameters}});
    assert_eq!(world.send(body).await.0, 200);
    let gone =
        world.client.delete(world.path(&format!("{account}?name=notice"))).bearer_auth("sandbox-token").send().await.unwrap();
    assert_eq!(gone.json::<Value>().await.unwrap(), json!({"success": true}));
}

#[tokio::test]
async fn media_are_uploaded_sent_and_read_back_for_five_minutes() {
    let world = World::new().await;
    let part = reqwest::multipart::Part::bytes(b"%PDF-1".to_vec()).file_name("a.pdf").mime_str("application/pdf").unwrap();
    let form =
        reqwest::multipart::Form::new().text("messaging_product", "whatsapp").text("type", "application/pdf").part("file", part);
    let upload = world.client.post(world.path("100000000000001/media")).bearer_auth("sandbox-token").multipart(form);
    let id = upload.send().await.unwrap().json::<Value>().await.unwrap()["id"].as_str().unwrap().to_string();
    let (_, media) = world.get(&id).await;
    assert_eq!((&media["mime_type"], &media["file_size"]), (&json!("application/pdf"), &json!(6)));
    let read = || world.client.get(media["url"].as_str().unwrap());
    assert_eq!(read().send().await.unwrap().status().as_u16(), 401);
    assert_eq!(read().bearer_auth("sandbox-token").send().await.unwrap().bytes().await.unwrap(), "%PDF-1");
    let photo = reqwest::multipart::Part::bytes(vec![0; 3 << 20]).mime_str("image/png").unwrap();
    let form = reqwest::multipart::Form::new().text("messaging_product", "whatsapp").part("file", photo);
    let upload = world.client.post(world.path("100000000000001/media")).bearer_auth("sandbox-token").multipart(form);
    assert_eq!(upload.send().await.unwrap().status().as_u16(), 200);
    world.clock.fetch_add(301_000, Ordering::SeqCst);
    assert_eq!(read().bearer_auth("sandbox-token").send().await.unwrap().status().as_u16(), 404);
    world.meta.send_raw(ANN, "document", json!({"id": id})).unwrap();
    let message = world.receiver.wait("messages", |message| message["type"] == "document").await;
    assert_eq!(
        (&message["document"]["filename"], &message["document"]["mime_type"]),
        (&json!("a.pdf"), &json!("application/pdf"))
    );
    let (status, _) = world.send(json!({"type": "document", "document": {"id": id, "caption": "Q3"}})).await;
    assert_eq!(status, 200);
    assert_eq!(world.meta.messages(ANN)[1].text, "[document] Q3");
}

#[tokio::test]
async fn the_account_shows_its_line_and_takes_receipts() {
    let world = World::new().await;
    let (_, line) = world.get("100000000000001?fields=display_phone_number,verified_name").await;
    assert_eq!(line, json!({"verified_name": "Acme Wealth", "display_phone_number": "+1 555-010-0001", "id": "100000000000001"}));
    assert_eq!(world.get("200000000000001/phone_numbers").await.1["data"][0]["quality_rating"], "GREEN");
    assert_eq!(world.post("200000000000001/subscribed_apps", json!({})).await.1, json!({"success": true}));
    let written = world.meta.send_text(ANN, None, "Hi", None).unwrap();
    let receipt = json!({"messaging_product": "whatsapp", "status": "read", "message_id": written.id, "typing_indicator": {"type": "text"}});
    assert_eq!(world.post("100000000000001/messages", receipt).await, (200, json!({"success": true})));
    let callback = world.receiver.listen().await;
    world.meta.verify(&callback, "sandbox-verify").await.unwrap();
    assert!(world.meta.verify(&callback, "other").await.is_err());
}

#[tokio::test]
async fn webhooks_out_of_order_tell_last_what_came_first() {
    let world = World::new().await;
    world.meta.trouble("out-of-order", 3).unwrap();
    for text in ["one", "two", "three"] {
        world.meta.send_text(ANN, None, text, None).unwrap();
    }
    world.receiver.wait("messages", |message| message["text"]["body"] == "one").await;
    let told: Vec<Value> = world.receiver.elements("messages").iter().map(|message| message["text"]["body"].clone()).collect();
    assert_eq!(told, ["three", "two", "one"]);
    world.meta.trouble("out-of-order", 1).unwrap();
    let (_, answer) = world.send(json!({"type": "text", "text": {"body": "Hello"}})).await;
    let wamid = answer["messages"][0]["id"].as_str().unwrap();
    world.receiver.wait_status(wamid, "sent").await;
    let words: Vec<Value> = world.receiver.elements("statuses").iter().map(|status| status["status"].clone()).collect();
    assert_eq!(words, ["delivered", "sent"]);
}

#[tokio::test]
async fn a_message_can_be_accepted_and_fail_by_a_status() {
    let world = World::new().await;
    world.meta.send_text(ANN, None, "Hi", None).unwrap();
    world.meta.trouble("failed-131048", 1).unwrap();
    let (status, answer) = world.send(json!({"type": "text", "text": {"body": "Hello"}})).await;
    assert_eq!(status, 200, "{answer}");
    let told = world.receiver.wait("statuses", |told| told["status"] == "failed").await;
    assert_eq!((&told["id"], &told["errors"][0]["code"]), (&answer["messages"][0]["id"], &json!(131048)));
    assert!(!world.meta.messages(ANN).iter().any(|message| message.text == "Hello"), "no phone shows it");
    assert!(world.meta.trouble("failed-soon", 1).unwrap_err().contains("failed- and such a number"));
}

#[tokio::test]
async fn an_account_without_a_subscribed_app_tells_nobody_anything() {
    let world = World::new().await;
    let apps = "200000000000001/subscribed_apps";
    assert_eq!(world.get(apps).await.1["data"][0]["whatsapp_business_api_data"]["id"], "300000000000001");
    let gone = world.client.delete(world.path(apps)).bearer_auth("sandbox-token").send().await.unwrap();
    assert_eq!(gone.status().as_u16(), 200);
    assert_eq!(world.get(apps).await.1, json!({"data": []}));
    world.meta.send_text(ANN, None, "Is anybody there?", None).unwrap();
    world.post(apps, json!({})).await;
    world.meta.send_text(ANN, None, "Hello", None).unwrap();
    world.receiver.wait("messages", |message| message["text"]["body"] == "Hello").await;
    assert_eq!(world.receiver.elements("messages").len(), 1);
}
