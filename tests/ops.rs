//! What an operator sees and is told: doctor, readiness, a line that stops, a disk that fills up. Against the whole sandbox.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test does")]
use base64::Engine;
use liaison::adapters::clock::SystemClock;
use liaison::adapters::store::KeyRing;
use liaison::adapters::store::MemoryStore;
use liaison::adapters::switchboard::Switchboard;
use liaison::adapters::symphony::{Symphony, SymphonySettings};
use liaison::adapters::vault::Vault;
use liaison::adapters::whatsapp::Pace;
use liaison::adapters::wording::{Wording, load_all};
use liaison::app::doctor::{Finding, examine};
use liaison::app::policy::{KEYWORDS, policy};
use liaison::app::sandbox::{self, Sandbox, SandboxOptions};
use liaison::config::Config;
use liaison::domain::effect::{Address, Body, Code, Effect, Place, Reply, Send};
use liaison::domain::event::{ClientKeys, ClientMessage, Content, Event, Fact, Person, RoomMessage, StreamKind};
use liaison::domain::ids::*;
use liaison::domain::time::Timestamp;
use liaison::domain::words::Words;
use liaison::flow::desk::Desks;
use liaison::ports::Pacing;
use liaison::ports::disk::{DiskLevel, Level};
use liaison::ports::{Inbox, Receipt, Store};
use liaison::sandbox::keys::new_key_pair;
use liaison::sandbox::pod::Pod;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);
const ANN: &str = "+4915112345678";
const LINE: &str = "line:+15550100001";

struct World {
    sandbox: Sandbox,
    http: reqwest::Client,
    folder: tempfile::TempDir,
}

impl World {
    async fn open() -> World {
        // The one provider of cryptography of the process; a second call would only say that it is there.
        let _there = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::TempDir::new().unwrap();
        let options = SandboxOptions {
            listen: ([127, 0, 0, 1], 0).into(),
            data: Some(folder.path().to_owned()),
            json: true,
            whatsapp_callback: None,
            twilio_callback: None,
            expose: false,
        };
        let sandbox = sandbox::start(options).await.unwrap();
        World { sandbox, http: reqwest::Client::builder().no_proxy().build().unwrap(), folder }
    }

    fn config_file(&self) -> PathBuf {
        self.folder.path().join("bot-config.toml")
    }

    async fn post(&self, path: &str, body: Value) {
        let url = format!("http://{}{path}", self.sandbox.addresses.page);
        let answer = self.http.post(url).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
    }

    async fn get(&self, path: &str) -> Value {
        let url = format!("http://{}{path}", self.sandbox.addresses.page);
        self.http.get(url).send().await.unwrap().json().await.unwrap()
    }

    async fn operator(&self, path: &str) -> String {
        let url = format!("http://{}{path}", self.sandbox.addresses.ops);
        self.http.get(url).send().await.unwrap().text().await.unwrap()
    }

    async fn until(&self, what: &str, holds: impl AsyncFn(&World) -> bool) {
        let begun = std::time::Instant::now();
        while !holds(self).await {
            assert!(begun.elapsed() < PATIENCE, "{what}; {}", self.operator("/readyz").await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// How often something stands in the 1:1 chat of Olga, the admin, with the bot.
    async fn told_to_olga(&self, text: &str) -> usize {
        let rooms = self.get("/api/rooms").await;
        let rooms = rooms.as_array().or_else(|| rooms["rooms"].as_array()).unwrap();
        let is_hers = |room: &&Value| {
            room["kind"] == "IM" && room["members"].as_array().unwrap().iter().any(|m| m["email"] == "olga.berg@acme.com")
        };
        let id = rooms.iter().find(is_hers).unwrap()["id"].as_str().unwrap();
        self.get(&format!("/api/rooms/{id}/messages")).await.to_string().matches(text).count()
    }

    async fn doctor(&self, environment: &[(&str, &str)]) -> (bool, Vec<Finding>) {
        let environment: BTreeMap<String, String> =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut findings = Vec::new();
        let well = examine(&self.config_file(), &environment, &mut |finding| findings.push(finding.clone())).await;
        (well, findings)
    }
}

fn bad(findings: &[Finding]) -> Vec<&str> {
    findings.iter().filter(|finding| !finding.ok).map(|finding| finding.check.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_doctor_finds_a_running_bot_well_and_each_ill_by_its_name() {
    let world = World::open().await;
    let (well, findings) = world.doctor(&[]).await;
    assert!(well, "{findings:#?}");
    let checks: Vec<&str> = findings.iter().map(|finding| finding.check.as_str()).collect();
    for check in [
        "configuration",
        "data folder",
        "disk",
        "server.listen",
        "server.public_url",
        "private key",
        "clock",
        "Symphony login",
        "key manager",
        "session",
        "account",
        "right to look up users",
        "right to rooms",
        "agent",
        "datafeed",
        "advisor jane.doe@acme.com",
        "line +15550100001",
        "WhatsApp token",
        "webhook subscription",
        "template liaison_invitation (en_US)",
    ] {
        assert!(checks.contains(&check), "{check} in {checks:?}");
    }
    let of = |name: &str| findings.iter().find(|finding| finding.check == name).unwrap().to_string();
    assert!(of("data folder").contains("a Liaison runs on it now") && of("data folder").starts_with("✔ "));
    assert_eq!(of("line +15550100001"), "✔ line +15550100001: Connected as “Acme Wealth”, quality green.");
    assert!(of("webhook subscription").contains("Liaison sandbox (300000000000001)"));
    assert!(world.operator("/readyz").await.contains("\"ready\":true"), "the running bot keeps its feed");

    let account = format!("http://{}/v23.0/200000000000001/subscribed_apps", world.sandbox.addresses.whatsapp);
    assert!(world.http.delete(&account).bearer_auth("sandbox-token").send().await.unwrap().status().is_success());
    let (well, findings) = world.doctor(&[]).await;
    assert!(!well);
    assert_eq!(bad(&findings), ["webhook subscription"]);
    let missing = findings.iter().find(|finding| !finding.ok).unwrap().to_string();
    assert!(missing.contains("nothing comes in") && missing.contains("POST {business_account_id}/subscribed_apps"), "{missing}");
    assert!(world.http.post(&account).bearer_auth("sandbox-token").send().await.unwrap().status().is_success());
    let (_, findings) = world.doctor(&[("LIAISON__WHATSAPP__LINES__0__NUMBER", "+15550100002")]).await;
    assert!(findings.iter().any(|finding| !finding.ok && finding.what.contains("belongs to +1 555-010-0001")), "{findings:#?}");

    let (well, findings) = world.doctor(&[("LIAISON__WHATSAPP__ACCESS_TOKEN", "wrong")]).await;
    assert!(!well);
    assert_eq!(bad(&findings), ["line +15550100001", "WhatsApp token"]);
    assert!(findings.iter().filter(|finding| !finding.ok).all(|finding| finding.remedy.contains("token")));

    let (_, findings) = world.doctor(&[("LIAISON__SYMPHONY__FEED_URL", "ws://127.0.0.1:9/none")]).await;
    assert_eq!(bad(&findings), ["datafeed"]);
    let (_, findings) = world.doctor(&[("LIAISON__BOT__USERNAME", "nobody")]).await;
    assert_eq!(bad(&findings), ["Symphony login"]);
    let (_, findings) = world.doctor(&[("LIAISON__SERVER__PUBLIC_URL", "http://liaison.example.com")]).await;
    // And what Twilio calls is another address then.
    assert_eq!(bad(&findings), ["server.public_url", "line +12025550143"]);
    let (_, findings) = world.doctor(&[("LIAISON__POLICY__DEFAULT_ADVISORS", "x@acme.com")]).await;
    assert!(bad(&findings).iter().all(|check| *check == "advisor x@acme.com" || *check == "configuration"), "{findings:#?}");
    world.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_line_that_is_refused_stops_is_told_once_and_works_again_by_itself() {
    let world = World::open().await;
    world.post("/api/trouble", json!({ "provider": "whatsapp", "code": "190", "times": 2 })).await;
    world.post(&format!("/api/phones/{ANN}/messages"), json!({ "channel": "whatsapp", "text": "Hello" })).await;
    world.until("the line is not ready", async |world| world.operator("/readyz").await.contains(LINE)).await;
    world.until("the admin is told", async |world| world.told_to_olga("Nothing leaves on the line").await > 0).await;
    assert!(world.operator("/metrics").await.contains("liaison_outbox_messages{state=\"waiting\"}"));
    let before = world.told_to_olga("Nothing leaves on the line").await;
    assert!(before > 0);

    // A minute later it is tried again, and still refused: nobody is told twice.
    world.post("/api/clock", json!({ "advance": "61s" })).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(world.operator("/readyz").await.contains(LINE));
    assert_eq!(world.told_to_olga("Nothing leaves on the line").await, before);

    world
        .until("the line works again", async |world| {
            world.post("/api/clock", json!({ "advance": "61s" })).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            world.operator("/readyz").await.contains("\"ready\":true")
        })
        .await;
    world.until("the admin is told of that", async |world| world.told_to_olga("works again").await > 0).await;
    let received = world.get(&format!("/api/phones/{ANN}/messages")).await.to_string();
    assert!(received.contains("\"direction\":\"in\""), "what waited went out: {received}");
    world.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_line_that_a_status_refuses_rests_keeps_its_message_and_works_again_by_itself() {
    let world = World::open().await;
    world.post("/api/trouble", json!({ "provider": "whatsapp", "code": "failed-131048", "times": 1 })).await;
    world.post(&format!("/api/phones/{ANN}/messages"), json!({ "channel": "whatsapp", "text": "Hello" })).await;
    world.until("the line is not ready", async |world| world.operator("/readyz").await.contains(LINE)).await;
    world.until("the admin is told", async |world| world.told_to_olga("Nothing leaves on the line").await > 0).await;
    world.post("/api/clock", json!({ "advance": "58m" })).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(world.operator("/readyz").await.contains(LINE), "it is tried once an hour");
    let received = async |world: &World| {
        let there = world.get(&format!("/api/phones/{ANN}/messages")).await;
        there.as_array().unwrap().iter().filter(|message| message["direction"] == "in").count()
    };
    assert_eq!(received(&world).await, 0, "nothing is tried again blindly");
    world.post("/api/clock", json!({ "advance": "3m" })).await;
    world.until("the line works again", async |world| world.operator("/readyz").await.contains("\"ready\":true")).await;
    world.until("the admin is told of that", async |world| world.told_to_olga("works again").await > 0).await;
    assert_eq!(received(&world).await, 1, "what had failed went out, once");

    // Of many that wait one tries; once it has shown that the line works the others need not wait for an hour to pass again.
    world.post("/api/trouble", json!({ "provider": "whatsapp", "code": "131048", "times": 1 })).await;
    for number in 0..5 {
        let number = format!("+491511999{number:04}");
        world.post("/api/phones", json!({ "number": number, "name": "Somebody" })).await;
        world.post(&format!("/api/phones/{number}/messages"), json!({ "channel": "whatsapp", "text": "Hello" })).await;
        world.until("the line is not ready", async |world| world.operator("/readyz").await.contains(LINE)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.post("/api/clock", json!({ "advance": "61m" })).await;
    world
        .until("all are welcomed within the hour", async |world| {
            let mut welcomed = 0;
            for number in 0..5 {
                let there = world.get(&format!("/api/phones/+491511999{number:04}/messages")).await;
                welcomed += usize::from(there.to_string().contains("\"direction\":\"in\""));
            }
            welcomed == 5
        })
        .await;
    world.sandbox.stop().await;
}

// ---- the disk

struct Scenery {
    config: Config,
    wording: Wording,
    words: Words,
}

async fn scenery() -> (Scenery, String) {
    let world = World::open().await;
    let (config, wording) = load_all(&world.config_file(), &BTreeMap::new()).unwrap();
    let words = Words::parse(&std::fs::read_to_string(config.bot.templates_dir.join(KEYWORDS)).unwrap()).unwrap();
    let key = std::fs::read_to_string(&config.bot.private_key).unwrap();
    world.sandbox.stop().await;
    (Scenery { config, wording, words }, key)
}

fn client_says(text: &str) -> Event {
    let said = ClientMessage {
        channel: Channel::WhatsApp,
        line: LineId::new("100000000000001"),
        id: Wamid::new(format!("wamid.{text}")),
        from: ClientKeys { phone: Phone::from_e164(ANN), wa_id: Some(ANN[1..].to_owned()), ..ClientKeys::default() },
        content: Content::Text(text.to_owned()),
        quoted: None,
        group: None,
    };
    Event { id: EventId::new(format!("wa:1:{text}")), at: Timestamp(1), fact: Fact::ClientMessage(said), raw: None }
}

fn to_client(body: Body) -> Effect {
    Effect::Send(Send {
        message: MessageId::new("m-1"),
        contact: ContactId::new("c-1"),
        channel: Channel::WhatsApp,
        line: LineId::new("100000000000001"),
        to: Address::default(),
        room: None,
        body,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_a_full_disk_stops_are_taken_in_and_confirmed_and_nothing_else_begins() {
    let (Scenery { config, wording, words }, private_key_pem) = scenery().await;
    let clock = Arc::new(SystemClock::new());
    let (desks, _news) = Desks::start(Arc::new(MemoryStore::new()), policy(&config, &wording, words), clock.clone());
    desks.open_to_clients();
    desks.disk().set(Level::NoSends);
    assert_eq!(desks.deliver(client_says("Hello")).await, Receipt::Kept);
    desks.disk().set(Level::StopsOnly);
    assert_eq!(desks.deliver(client_says("Good morning")).await, Receipt::NotNow);
    assert_eq!(desks.deliver(client_says("STOP")).await, Receipt::Kept);
    assert_eq!(desks.deliver(client_says("please stop writing to me")).await, Receipt::Kept, "a possible stop");
    desks.disk().set(Level::Enough);
    assert_eq!(desks.deliver(client_says("Good morning")).await, Receipt::Kept);

    let settings = SymphonySettings {
        pod_url: "http://127.0.0.1:9".into(),
        agent_url: "http://127.0.0.1:9".into(),
        key_manager_url: "http://127.0.0.1:9".into(),
        username: "liaison".into(),
        private_key_pem,
        ca_file: None,
        proxy: None,
    };
    let folder = tempfile::TempDir::new().unwrap();
    let keys = Arc::new(KeyRing::open(&folder.path().join("keys"), true).unwrap());
    let disk = Arc::new(DiskLevel::default());
    let board = Switchboard {
        wording: Arc::new(wording),
        symphony: Arc::new(Symphony::new(settings, clock).unwrap()),
        whatsapp: None,
        twilio: None,
        pace: Arc::new(Mutex::new(Pace::new())),
        disk: disk.clone(),
        vault: Arc::new(Vault::open(folder.path(), keys).unwrap()),
    };
    let wording = |name: &str| Body::Wording { name: name.into(), language: "en".into(), vars: BTreeMap::new() };
    let post = Effect::Post { place: Place::Direct(UserId(1)), reply: Reply::new(Code::Info, "info") };
    let may_go = |effect: &Effect| board.may_go(effect, Timestamp(1_800_000_000_000)).is_ok();
    assert!(may_go(&to_client(Body::Text("Hello".into()))));
    disk.set(Level::NoSends);
    assert!(!may_go(&to_client(Body::Text("Hello".into()))) && !may_go(&to_client(wording("welcome"))));
    assert!(may_go(&to_client(wording("opted_out"))) && may_go(&post));
}

#[tokio::test]
async fn the_doctor_tells_a_missing_configuration() {
    let mut findings = Vec::new();
    let mut keep = |finding: &Finding| findings.push(finding.clone());
    assert!(!examine(Path::new("/no/such/bot-config.toml"), &BTreeMap::new(), &mut keep).await);
    assert_eq!(bad(&findings), ["configuration"]);
    assert!(!findings[0].remedy.is_empty());
}

/// A pod of the test's own in place of the sandbox's, as a program is told of it.
async fn another_pod(world: &World, prepare: impl FnOnce(&Pod), seconds_ahead: i64) -> Vec<(&'static str, String)> {
    let (private, public) = new_key_pair();
    let pod = Pod::open(Arc::new(|| jiff::Timestamp::now().as_millisecond()), None).unwrap();
    pod.add_user("Liaison", "", "liaison@acme.com", "liaison", true, Some(public));
    prepare(&pod);
    serve_dated(world, pod.router(), &private, seconds_ahead).await
}

/// Any pod whose calls bear this date and whose bot has this key, as a program is told of it.
async fn serve_dated(world: &World, pod: axum::Router, private: &str, seconds_ahead: i64) -> Vec<(&'static str, String)> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let dated = axum::middleware::map_response(move |mut answer: axum::response::Response| {
        let theirs = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds_ahead);
        let date = theirs.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        answer.headers_mut().insert("date", date.parse().unwrap());
        std::future::ready(answer)
    });
    tokio::spawn(async move { axum::serve(listener, pod.layer(dated)).await.unwrap() });
    let key = world.folder.path().join("another.pem");
    std::fs::write(&key, private).unwrap();
    let urls = ["LIAISON__SYMPHONY__POD_URL", "LIAISON__SYMPHONY__AGENT_URL", "LIAISON__SYMPHONY__KEY_MANAGER_URL"];
    let mut settings: Vec<_> = urls.into_iter().map(|name| (name, format!("http://{at}"))).collect();
    settings.push(("LIAISON__SYMPHONY__FEED_URL", format!("ws://{at}/agent/v5/datafeeds/ws")));
    settings.push(("LIAISON__BOT__PRIVATE_KEY", key.display().to_string()));
    settings
}

fn borrowed<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_doctor_tells_which_way_the_keys_come() {
    let world = World::open().await;
    for (delivered, told) in [(true, "simplified key delivery"), (false, "The key manager accepts the key.")] {
        let choose = |pod: &Pod| {
            if delivered {
                pod.deliver_keys()
            }
        };
        let settings = another_pod(&world, choose, 0).await;
        let (_, findings) = world.doctor(&borrowed(&settings)).await;
        let of = |name: &str| findings.iter().find(|finding| finding.check == name).unwrap();
        assert!(of("key manager").ok && of("key manager").what.contains(told), "{findings:#?}");
        assert!(of("agent").ok, "{findings:#?}");
    }
    world.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_clock_that_is_not_the_pods_is_told_by_doctor_readiness_and_once_by_the_log() {
    let world = World::open().await;
    for seconds in [600, -600] {
        let mut settings = another_pod(&world, |_| {}, seconds).await;
        let (well, findings) = world.doctor(&borrowed(&settings)).await;
        let clock = findings.iter().find(|finding| finding.check == "clock").unwrap();
        assert!(!well && !clock.ok && clock.what.contains(" s from the pod's") && clock.remedy.contains("NTP"), "{clock}");

        let ops = free_address().await;
        let data = world.folder.path().join(format!("data{seconds}"));
        settings.push(("LIAISON__BOT__DATA_DIR", data.display().to_string()));
        settings.push(("LIAISON__SERVER__LISTEN", free_address().await));
        settings.push(("LIAISON__SERVER__OPS_LISTEN", ops.clone()));
        let log = world.folder.path().join(format!("log{seconds}"));
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_liaison"));
        command.args(["run", "--config"]).arg(world.config_file()).envs(borrowed(&settings)).kill_on_drop(true);
        let mut bot = command.stderr(std::fs::File::create(&log).unwrap()).stdout(std::process::Stdio::null()).spawn().unwrap();
        let ready = async || match world.http.get(format!("http://{ops}/readyz")).send().await {
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        };
        let begun = std::time::Instant::now();
        let told = loop {
            let told = ready().await;
            if told.contains("\"clock\"") && !told.contains("\"starting\"") {
                break told;
            }
            assert!(begun.elapsed() < PATIENCE, "{told}: {}", std::fs::read_to_string(&log).unwrap());
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert!(told.contains(" s from Symphony's") && told.contains("NTP"), "{told}");
        bot.kill().await.unwrap();
        let log = std::fs::read_to_string(&log).unwrap();
        assert_eq!(log.matches("clock is not the platform's").count(), 1, "{log}");
    }
    world.sandbox.stop().await;
}

async fn free_address() -> String {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string()
}

/// The event would come again for ever, and stop all that came with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_event_too_large_to_be_kept_is_set_aside_with_its_bytes() {
    let (Scenery { config, wording, words }, _) = scenery().await;
    let store = Arc::new(MemoryStore::new());
    let (desks, _news) = Desks::start(Arc::clone(&store) as _, policy(&config, &wording, words), Arc::new(SystemClock::new()));
    desks.open_to_clients();
    let jane = Person { id: UserId(7), name: "Jane".into(), email: Some("jane.doe@acme.com".into()), service: false };
    let said = |id: &str, text: String| {
        let stream = StreamId::new("s");
        let message = RoomMessage {
            stream,
            kind: StreamKind::Direct,
            message: ChatMessageId(id.into()),
            author: jane.clone(),
            text,
            mentions: Vec::new(),
            edits: None,
            forwarded: false,
            attachments: Vec::new(),
        };
        let raw = Some(Arc::from(id.as_bytes()));
        Event { id: EventId::new(format!("sym:msg:{id}")), at: Timestamp(1), fact: Fact::RoomMessage(message), raw }
    };
    assert_eq!(desks.deliver(said("large", format!("/{}", "x".repeat(2_000_000)))).await, Receipt::Kept);
    assert_eq!(desks.deliver(said("small", "/help".into())).await, Receipt::Kept);
    let aside = store.scan("quarantine/", None, 10).unwrap();
    assert_eq!(aside.len(), 1, "{aside:?}");
    assert_eq!(desks.deliver(said("large", "again".into())).await, Receipt::Kept, "it is known");
    assert_eq!(store.scan("quarantine/", None, 10).unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_doctor_tells_an_account_of_the_wrong_kind_and_rights_that_are_missing() {
    let world = World::open().await;
    let table = [
        (false, "", vec!["account"]),
        (true, "/pod/v3/room/search", vec!["right to rooms"]),
        (true, "/pod/v3/users", vec!["right to look up users", "advisors"]),
    ];
    for (service, refused, expected) in table {
        let (private, public) = new_key_pair();
        let pod = Pod::open(Arc::new(|| jiff::Timestamp::now().as_millisecond()), None).unwrap();
        pod.add_user("Liaison", "", "liaison@acme.com", "liaison", service, Some(public));
        for email in ["jane.doe", "sam.lee", "olga.berg", "carl.ito"] {
            pod.add_user(email, "", &format!("{email}@acme.com"), email, false, None);
        }
        let lacking = move |request: axum::extract::Request, next: axum::middleware::Next| async move {
            if request.uri().path() == refused {
                let no = json!({"code": 403, "message": "Forbidden: Caller lacks necessary entitlement."});
                return axum::response::IntoResponse::into_response((axum::http::StatusCode::FORBIDDEN, axum::Json(no)));
            }
            next.run(request).await
        };
        let router = pod.router().layer(axum::middleware::from_fn(lacking));
        let settings = serve_dated(&world, router, &private, 0).await;
        let (_, findings) = world.doctor(&borrowed(&settings)).await;
        let mut ill = bad(&findings);
        ill.retain(|check| !check.starts_with("advisor "));
        assert_eq!(ill, expected, "{findings:#?}");
        let found = findings.iter().find(|finding| finding.check == expected[0]).unwrap();
        assert!(found.remedy.contains("service account"), "{found}");
        assert!(pod.all_rooms().is_empty(), "nothing was made");
    }
    world.sandbox.stop().await;
}

/// A Twilio account with one number whose calls lead elsewhere; it opens to the token and to the key's own secret.
async fn twilio() -> String {
    let answer = async |uri: axum::http::Uri, headers: axum::http::HeaderMap| {
        let given = headers["authorization"].to_str().unwrap().strip_prefix("Basic ").unwrap().to_owned();
        let good = ["AC1:the-token", "SK1:key-secret"].map(|pair| base64::engine::general_purpose::STANDARD.encode(pair));
        if !good.contains(&given) {
            let refused = json!({ "code": 20003, "message": "Authenticate", "status": 401 });
            return (axum::http::StatusCode::UNAUTHORIZED, axum::Json(refused));
        }
        let number = json!({ "phone_number": "+12025550143", "sms_url": "https://bot.acme.com/webhooks/twilio/sms",
            "sms_method": "POST", "voice_url": "https://demo.example.com/", "voice_method": "POST" });
        let body = match (uri.path(), uri.query()) {
            ("/2010-04-01/Accounts/AC1.json", _) => json!({ "status": "active", "friendly_name": "Acme" }),
            (_, Some("PhoneNumber=%2B12025550143")) => json!({ "incoming_phone_numbers": [number] }),
            _ => json!({ "incoming_phone_numbers": [] }),
        };
        (axum::http::StatusCode::OK, axum::Json(body))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await.unwrap() });
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_doctor_looks_at_the_account_the_key_and_each_number_of_sms() {
    let world = World::open().await;
    let url = twilio().await;
    let good = [
        ("LIAISON__SMS__ENABLED", "true"),
        ("LIAISON__SMS__API_URL", url.as_str()),
        ("LIAISON__SMS__ACCOUNT_SID", "AC1"),
        ("LIAISON__SMS__AUTH_TOKEN", "the-token"),
        ("LIAISON__SMS__API_KEY", "SK1"),
        ("LIAISON__SMS__API_SECRET", "key-secret"),
        ("LIAISON__SMS__LINES__0__NUMBER", "+12025550143"),
        ("LIAISON__SMS__LINES__0__ADVISOR", "jane.doe@acme.com"),
        ("LIAISON__SMS__LINES__1__NUMBER", "+12025550144"),
        ("LIAISON__SMS__LINES__1__ADVISOR", "jane.doe@acme.com"),
        ("LIAISON__SERVER__PUBLIC_URL", "https://bot.acme.com"),
    ];
    let (well, findings) = world.doctor(&good).await;
    let of = |findings: &[Finding], check: &str| findings.iter().find(|finding| finding.check == check).cloned().unwrap();
    assert!(!well && of(&findings, "Twilio account").ok && of(&findings, "Twilio API key").ok, "{findings:#?}");
    let calls = of(&findings, "line +12025550143");
    assert!(!calls.ok && calls.what.contains("demo.example.com"), "{calls}");
    assert!(calls.remedy.contains("https://bot.acme.com/webhooks/twilio/voice"), "{calls}");
    assert!(of(&findings, "line +12025550144").what.contains("no such number"));

    let with = |name: &'static str, value: &'static str| {
        let kept = good.iter().copied().filter(move |(given, _)| *given != name);
        kept.chain([(name, value)]).collect::<Vec<_>>()
    };
    let (_, findings) = world.doctor(&with("LIAISON__SMS__API_SECRET", "the-token")).await;
    assert!(!of(&findings, "Twilio API key").ok && bad(&findings) == ["Twilio API key"], "{findings:#?}");
    let (_, findings) = world.doctor(&with("LIAISON__SMS__AUTH_TOKEN", "another")).await;
    assert_eq!(bad(&findings), ["Twilio account"], "{findings:#?}");
    assert!(of(&findings, "Twilio account").remedy.contains("auth_token"));
    world.sandbox.stop().await;
}
