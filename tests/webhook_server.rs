//! The webhook as Meta sees it, over real sockets: INTERFACES §3, and the operator's side of the bot.
#![allow(clippy::unwrap_used)] // Test helpers fail loudly.
use aws_lc_rs::hmac;
use liaison::domain::event::{Content, Event, Fact};
use liaison::domain::time::Timestamp;
use liaison::ports::{Clock, Inbox, Later, Receipt};
use liaison::server::{Health, Reason, WhatsAppHooks, bind, ops_router, public_router, serve};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

const NEW: &str = "new-secret";
const OLD: &str = "old-secret";
const NOW: Timestamp = Timestamp(1_800_000_000_000);
const MB3: usize = 3 * 1024 * 1024;

struct Noon;
impl Clock for Noon {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// Keeps everything but what says "not now", and takes longer for what says "slow".
#[derive(Default)]
struct Book {
    taken: Arc<Mutex<Vec<String>>>,
}

impl Inbox for Book {
    fn deliver(&self, event: Event) -> Later<'static, Receipt> {
        let taken = self.taken.clone();
        Box::pin(async move {
            let text = text(&event);
            if text.contains("slow") {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            if text.contains("not now") {
                return Receipt::NotNow;
            }
            taken.lock().unwrap().push(text);
            Receipt::Kept
        })
    }
}

fn text(event: &Event) -> String {
    match &event.fact {
        Fact::ClientMessage(message) => match &message.content {
            Content::Text(text) => text.clone(),
            other => format!("{other:?}"),
        },
        other => format!("{other:?}"),
    }
}

struct World {
    address: SocketAddr,
    book: Arc<Book>,
    http: reqwest::Client,
    stop: CancellationToken,
}

impl World {
    async fn new() -> World {
        let book = Arc::new(Book::default());
        let hooks = WhatsAppHooks { verify_token: "tell-me".to_owned(), app_secrets: vec![NEW.to_owned(), OLD.to_owned()] };
        let stop = CancellationToken::new();
        let listener = bind("127.0.0.1:0", "server.listen").await.unwrap();
        let address = listener.address().unwrap();
        tokio::spawn(serve(listener, public_router(Some(hooks), None, book.clone(), Arc::new(Noon)), stop.clone()));
        World { address, book, http: reqwest::Client::builder().no_proxy().build().unwrap(), stop }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn post(&self, body: Vec<u8>, signatures: &[String]) -> u16 {
        let mut request = self.http.post(self.url("/webhooks/whatsapp")).body(body);
        for signature in signatures {
            request = request.header("X-Hub-Signature-256", signature);
        }
        request.send().await.unwrap().status().as_u16()
    }

    async fn post_signed(&self, body: &str) -> u16 {
        self.post(body.as_bytes().to_vec(), &[sign(NEW, body.as_bytes())]).await
    }

    fn taken(&self) -> Vec<String> {
        self.book.taken.lock().unwrap().clone()
    }
}

fn sign(secret: &str, body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body);
    format!("sha256={}", hex::encode(tag))
}

fn message(from: &str, id: &str, text: &str) -> Value {
    json!({ "from": from, "id": id, "timestamp": "1800000000", "type": "text", "text": { "body": text } })
}

fn webhook(messages: &[Value]) -> String {
    let value = json!({ "messaging_product": "whatsapp", "metadata": { "phone_number_id": "777" }, "messages": messages });
    json!({ "object": "whatsapp_business_account", "entry": [{ "changes": [{ "field": "messages", "value": value }] }] })
        .to_string()
}

fn hello() -> String {
    webhook(&[message("4915112345678", "w1", "hello")])
}

#[tokio::test]
async fn either_of_two_secrets_signs() {
    let world = World::new().await;
    for secret in [NEW, OLD] {
        let body = hello().into_bytes();
        assert_eq!(world.post(body.clone(), &[sign(secret, &body)]).await, 200);
    }
    assert_eq!(world.taken(), ["hello", "hello"]);
}

/// Meta escapes what is not ASCII, and slashes, and signs the bytes as they leave: who reads the JSON and writes it anew, or
/// takes the escapes out, has other bytes.
#[tokio::test]
async fn the_signature_is_of_the_bytes_as_they_came() {
    let world = World::new().await;
    let plain = webhook(&[message("4915112345678", "w1", "Grüße 😀 and\u{2028} https://acme.com/a/b")]);
    let escaped = plain
        .replace('/', "\\/")
        .replace('ü', "\\u00fc")
        .replace('ß', "\\u00df")
        .replace('😀', "\\ud83d\\ude00")
        .replace('\u{2028}', "\\u2028");
    assert!(escaped.is_ascii() && escaped.contains("https:\\/\\/acme.com"));
    let post = async |body: &str, signed: &str| world.post(body.as_bytes().to_vec(), &[sign(NEW, signed.as_bytes())]).await;
    assert_eq!(post(&escaped, &plain).await, 401, "the same JSON, but not the same bytes");
    assert_eq!(post(&plain, &escaped).await, 401);
    let value: Value = serde_json::from_str(&escaped).unwrap();
    assert_eq!(post(&escaped, &value.to_string()).await, 401);
    assert_eq!(post(&escaped, &escaped).await, 200);
    assert_eq!(post(&plain, &plain).await, 200);
    let words = "Grüße 😀 and\u{2028} https://acme.com/a/b";
    assert_eq!(world.taken(), [words, words]);
}

#[tokio::test]
async fn a_bad_signature_is_401_and_nothing_is_stored() {
    let world = World::new().await;
    let before = failures();
    let body = hello().into_bytes();
    let good = sign(NEW, &body);
    let bad: [&[String]; 9] = [
        &[],
        &[sign("another", &body)],
        &[sign(NEW, b"another body")],
        &[good.clone(), good.clone()],
        &[good.clone(), sign("another", &body)],
        &[format!("{good}, {good}")],
        &[good.replace("sha256=", "sha1=")],
        &[good[..good.len() - 2].to_owned()],
        &[format!("{good}00")],
    ];
    for signatures in bad {
        assert_eq!(world.post(body.clone(), signatures).await, 401, "{signatures:?}");
    }
    assert_eq!(world.post(b"no json at all".to_vec(), &[]).await, 401, "the signature is looked at before the content");
    assert_eq!(world.taken(), Vec::<String>::new());
    assert!(failures() >= before + 10, "each is counted");
}

#[tokio::test]
async fn the_signature_covers_the_bytes_as_they_came() {
    let world = World::new().await;
    let raw = webhook(&[message("1", "w", "Grüße 😮")]);
    let escaped = raw.replace("Grüße 😮", "Gr\\u00fc\\u00dfe \\ud83d\\ude2e").replace('/', "\\/");
    assert_ne!(raw, escaped);
    assert_eq!((world.post_signed(&raw).await, world.post_signed(&escaped).await), (200, 200));
    assert_eq!(world.taken(), ["Grüße 😮", "Grüße 😮"]);
    assert_eq!(world.post(escaped.into_bytes(), &[sign(NEW, raw.as_bytes())]).await, 401);
}

#[tokio::test]
async fn a_body_above_3_mb_is_413_before_its_signature_is_looked_at() {
    let world = World::new().await;
    assert_eq!(world.post(vec![b' '; MB3 + 1], &[]).await, 413);
    let pieces = (0..=MB3 / 65_536).map(|_| Ok::<_, std::io::Error>(vec![b' '; 65_536]));
    let unannounced = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    let answer = world.http.post(world.url("/webhooks/whatsapp")).body(unannounced).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 413);
    let mut largest = hello().into_bytes();
    largest.resize(MB3, b' ');
    let signature = sign(NEW, &largest);
    assert_eq!(world.post(largest, &[signature]).await, 200);
    assert_eq!(world.taken(), ["hello"]);
}

#[tokio::test]
async fn a_caller_that_waits_for_leave_is_told_413_at_once() {
    let world = World::new().await;
    let mut tcp = TcpStream::connect(world.address).await.unwrap();
    let head =
        format!("POST /webhooks/whatsapp HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n", MB3 + 1);
    tcp.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    tcp.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn a_signed_body_that_is_no_webhook_is_400() {
    let world = World::new().await;
    for body in ["", "hello", "[]", "{}", r#"{"object":"page","entry":[]}"#] {
        assert_eq!(world.post_signed(body).await, 400, "{body}");
    }
}

#[tokio::test]
async fn an_empty_entry_and_unknown_fields_are_200() {
    let world = World::new().await;
    assert_eq!(world.post_signed(r#"{"object":"whatsapp_business_account","entry":[]}"#).await, 200);
    assert_eq!(world.post_signed(r#"{"object":"whatsapp_business_account","entry":[{"x":1}],"new":{}}"#).await, 200);
    assert_eq!(world.taken(), Vec::<String>::new());
}

#[tokio::test]
async fn one_element_that_cannot_be_kept_makes_the_whole_body_503() {
    let world = World::new().await;
    let batch =
        [message("1", "a", "one"), message("2", "b", "not now"), message("2", "c", "after it"), message("3", "d", "three")];
    let body = webhook(&batch);
    let request = world.http.post(world.url("/webhooks/whatsapp")).header("X-Hub-Signature-256", sign(NEW, body.as_bytes()));
    let answer = request.body(body).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (503, &"2".parse().unwrap()));
    let mut taken = world.taken();
    taken.sort();
    assert_eq!(taken, ["one", "three"], "what follows in the same conversation does not overtake");
}

#[tokio::test]
async fn one_senders_messages_are_kept_in_order_and_others_do_not_wait() {
    let world = World::new().await;
    let batch = [message("1", "a", "slow 1"), message("1", "b", "then 1"), message("2", "c", "quick 2")];
    assert_eq!(world.post_signed(&webhook(&batch)).await, 200);
    assert_eq!(world.taken(), ["quick 2", "slow 1", "then 1"]);
}

#[tokio::test]
async fn a_thousand_updates_in_one_body_are_all_kept() {
    let world = World::new().await;
    let batch: Vec<Value> = (0..1_000).map(|n| message(&format!("{}", n % 7), &format!("w{n}"), &n.to_string())).collect();
    assert_eq!(world.post_signed(&webhook(&batch)).await, 200);
    assert_eq!(world.taken().len(), 1_000);
}

#[tokio::test]
async fn verification_echoes_the_challenge_to_who_knows_the_token() {
    let world = World::new().await;
    let ask = |query: &str| world.http.get(world.url(&format!("/webhooks/whatsapp{query}"))).send();
    let good = ask("?hub.mode=subscribe&hub.challenge=115820%3Cb%3E&hub.verify_token=tell-me").await.unwrap();
    assert_eq!(good.status().as_u16(), 200);
    assert!(good.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
    assert_eq!(good.text().await.unwrap(), "115820<b>");
    for bad in ["", "?hub.challenge=1", "?hub.challenge=1&hub.verify_token=", "?hub.challenge=1&hub.verify_token=tell-me-not"] {
        assert_eq!(ask(bad).await.unwrap().status().as_u16(), 403, "{bad}");
    }
}

#[tokio::test]
async fn without_a_secret_or_a_token_nothing_is_believed() {
    let hooks = WhatsAppHooks { verify_token: String::new(), app_secrets: vec![String::new()] };
    let listener = bind("127.0.0.1:0", "server.listen").await.unwrap();
    let url = format!("http://{}/webhooks/whatsapp", listener.address().unwrap());
    let router = public_router(Some(hooks), None, Arc::new(Book::default()), Arc::new(Noon));
    tokio::spawn(serve(listener, router, CancellationToken::new()));
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let asked = http.get(format!("{url}?hub.verify_token=&hub.challenge=1")).send().await.unwrap();
    let post = http.post(&url).header("X-Hub-Signature-256", sign("", b"{}")).body("{}").send().await.unwrap();
    assert_eq!((asked.status().as_u16(), post.status().as_u16()), (403, 401));
}

#[tokio::test]
async fn other_paths_are_404() {
    let world = World::new().await;
    for path in ["/", "/webhooks/twilio/sms", "/webhooks/twilio/voice", "/webhooks/twilio/status?m=1", "/metrics", "/healthz"] {
        assert_eq!(world.http.post(world.url(path)).send().await.unwrap().status().as_u16(), 404, "{path}");
    }
}

#[tokio::test]
async fn on_stop_the_request_in_hand_is_still_answered() {
    let world = World::new().await;
    let body = webhook(&[message("1", "a", "slow")]);
    let (status, ()) = tokio::join!(world.post_signed(&body), async {
        tokio::time::sleep(Duration::from_millis(25)).await;
        world.stop.cancel();
    });
    assert_eq!(status, 200);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(TcpStream::connect(world.address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn an_address_in_use_is_told_with_its_key_and_a_remedy() {
    let first = bind("127.0.0.1:0", "server.listen").await.unwrap();
    let address = first.address().unwrap().to_string();
    let error = bind(&address, "server.listen").await.err().unwrap().to_string();
    assert!(error.contains(&address) && error.contains("`server.listen`") && error.contains("another port"), "{error}");
    let error = bind("nonsense", "server.ops_listen").await.err().unwrap().to_string();
    assert!(error.contains("host:port"), "{error}");
}

fn handle() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| PrometheusBuilder::new().install_recorder().unwrap()).clone()
}

fn failures() -> u64 {
    let rendered = handle().render();
    let line = rendered.lines().find_map(|line| line.strip_prefix("liaison_signature_failures_total{provider=\"whatsapp\"} "));
    line.map_or(0, |count| count.parse().unwrap())
}

struct Patient {
    reasons: Vec<Reason>,
    answers_after: Duration,
}

impl Health for Patient {
    fn alive(&self) -> Later<'_, bool> {
        Box::pin(async {
            tokio::time::sleep(self.answers_after).await;
            true
        })
    }
    fn reasons(&self) -> Vec<Reason> {
        self.reasons.clone()
    }
    fn confirm_clock(&self) -> Later<'_, Result<(), String>> {
        Box::pin(async { Err("The clock is right already.".to_owned()) })
    }
}

async fn ops(health: Patient) -> String {
    let listener = bind("127.0.0.1:0", "server.ops_listen").await.unwrap();
    let url = format!("http://{}", listener.address().unwrap());
    tokio::spawn(serve(listener, ops_router(Arc::new(health), handle()), CancellationToken::new()));
    url
}

async fn get(url: String) -> (u16, String) {
    let answer = reqwest::Client::builder().no_proxy().build().unwrap().get(url).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn a_ready_bot_says_so() {
    let url = ops(Patient { reasons: Vec::new(), answers_after: Duration::ZERO }).await;
    assert_eq!(get(format!("{url}/healthz")).await.0, 200);
    assert_eq!(get(format!("{url}/readyz")).await, (200, r#"{"ready":true,"reasons":[]}"#.to_owned()));
    let (status, version) = get(format!("{url}/version")).await;
    let version: Value = serde_json::from_str(&version).unwrap();
    assert_eq!((status, &version["name"]), (200, &json!("liaison")));
    assert!(version["version"].is_string() && version["commit"].is_string());
    assert_eq!(get(format!("{url}/metrics")).await.0, 200);
}

#[tokio::test]
async fn a_bot_that_is_not_ready_says_why() {
    let reason = Reason { code: "feed".to_owned(), text: "The datafeed is not open.".to_owned() };
    let url = ops(Patient { reasons: vec![reason], answers_after: Duration::from_secs(30) }).await;
    assert_eq!(get(format!("{url}/healthz")).await.0, 503, "an answer after more than a second is none");
    let expected = r#"{"ready":false,"reasons":[{"code":"feed","text":"The datafeed is not open."}]}"#;
    assert_eq!(get(format!("{url}/readyz")).await, (503, expected.to_owned()));
    let confirm =
        reqwest::Client::builder().no_proxy().build().unwrap().post(format!("{url}/clock/confirm")).send().await.unwrap();
    assert_eq!(confirm.status().as_u16(), 409);
}
