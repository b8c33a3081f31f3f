//! `kill -9` at any moment, twenty times over: nothing that was accepted is lost in silence, and nothing is said twice.
#![allow(clippy::unwrap_used)] // Clippy sees only the functions marked as tests, not what they share.
mod real;
#[path = "kill9/sms.rs"]
mod sms;

use liaison::adapters::store::verify;
use real::{JANE, PATIENCE, Running, SAM, World, code, free_ports, journal_of, liaison, part, until};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Until a message in doubt is told as unconfirmed 60 s pass; the rest is for two busy cores.
const DRAINED_WITHIN: Duration = Duration::from_secs(180);
/// WhatsApp lets 45 messages to one person go at once; with the program's own a client gets fewer than that.
const TEXTS_EACH: usize = 25;
const STOPS_EACH: usize = 2;
const CLIENTS_PER_ROUND: usize = 2;

fn number_from(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn seed() -> u64 {
    let seed = number_from("KILL_SEED", fastrand::u64(..1_000_000));
    eprintln!("KILL_SEED={seed}");
    seed
}

/// One client, with everything that was said to him and by him.
struct Client {
    last: String,
    number: String,
    advisor: &'static str,
    tapped: bool,
    stops: usize,
    /// The advisor's texts in the order in which they were posted.
    told: Vec<String>,
    /// His own numbered texts.
    said: Vec<String>,
}

impl Client {
    fn new(nth: usize) -> Client {
        let advisor = if nth.is_multiple_of(2) { JANE } else { SAM };
        let (last, number) = (format!("K{nth:03}"), format!("+491511234{nth:04}"));
        Client { last, number, advisor, tapped: false, stops: 0, told: Vec::new(), said: Vec::new() }
    }
    fn name(&self) -> String {
        format!("Ann {}", self.last)
    }
}

/// Acts like busy people, whether the bot is there or not.
struct Traffic {
    world: Arc<World>,
    random: fastrand::Rng,
    rounds: Arc<AtomicUsize>,
    clients: Vec<Client>,
}

impl Traffic {
    async fn run(mut self, over: Arc<AtomicBool>) -> Vec<Client> {
        while !over.load(Ordering::Acquire) {
            self.act();
            tokio::time::sleep(Duration::from_millis(self.random.u64(5..60))).await;
        }
        self.clients
    }

    /// Besides being killed the bot meets what providers do on any day.
    fn trouble(&mut self) {
        let on_whatsapp = ["lost-answer", "500", "429", "duplicate", "delay"];
        let in_chat = ["lost-answer", "500", "429", "duplicate", "disconnect"];
        match self.random.bool() {
            true => self.world.meta.trouble(self.random.choice(on_whatsapp).unwrap(), 1).unwrap(),
            false => self.world.pod.trouble(self.random.choice(in_chat).unwrap(), 1),
        }
    }

    fn act(&mut self) {
        let due = CLIENTS_PER_ROUND * (1 + self.rounds.load(Ordering::Acquire));
        if self.clients.is_empty() || (self.clients.len() < due && self.random.u8(..10) == 0) {
            return self.add();
        }
        if self.random.u8(..50) == 0 {
            return self.trouble();
        }
        let nth = self.random.usize(..self.clients.len());
        let client = &mut self.clients[nth];
        let world = &self.world;
        match self.random.u8(..100) {
            0..45 => tell(world, client),
            45..75 if client.tapped => say(world, client),
            75..78 if client.tapped && client.stops < STOPS_EACH => {
                client.stops += 1;
                world.meta.send_text(&client.number, None, "STOP", None).unwrap();
            }
            78..88 if client.stops > 0 => drop(world.meta.send_text(&client.number, None, "YES", None).unwrap()),
            88..100 if !client.tapped && world.is_invited(&client.number) => {
                client.tapped = true;
                world.meta.tap(&client.number, "consent:yes").unwrap();
            }
            _ => {}
        }
    }

    fn add(&mut self) {
        let client = Client::new(self.clients.len());
        self.world.meta.add_phone(&client.number, &client.name(), true).unwrap();
        let email = format!("{}@example.com", client.last);
        let add = format!("/contact add Ann {} phone={} email={email} channel=whatsapp --room", client.last, client.number);
        self.world.tell_bot(client.advisor, &add);
        self.clients.push(client);
    }
}

/// The advisor writes in the room, once it is there.
fn tell(world: &World, client: &mut Client) {
    let Some(room) = world.room_named(&client.name()) else { return };
    if client.told.len() >= TEXTS_EACH {
        return;
    }
    let text = format!("A-{}-{:03}", client.last, client.told.len());
    // Refused while he is not a member yet: then it was never written.
    if world.pod.post_as(world.user(client.advisor), &room, &text).is_ok() {
        client.told.push(text);
    }
}

fn say(world: &World, client: &mut Client) {
    if client.said.len() >= TEXTS_EACH {
        return;
    }
    let text = format!("C-{}-{:03}", client.last, client.said.len());
    world.meta.send_text(&client.number, None, &text, None).unwrap();
    client.said.push(text);
}

/// The first numbered text in a piece of the journal.
fn token_in(detail: &Value) -> Option<String> {
    let text = detail.to_string();
    let at = text.find("A-K")?;
    text.get(at..at + "A-K000-000".len()).map(str::to_owned)
}

/// What the journal says of each of the advisors' texts, and of the messages that they became.
#[derive(Default)]
struct Told {
    accepted: HashMap<String, Vec<String>>,
    refused: HashMap<String, usize>,
    /// By message: everything that was noted of it.
    kinds: HashMap<String, BTreeSet<String>>,
    /// By telephone number: contacts created.
    contacts: HashMap<String, usize>,
}

impl Told {
    fn read(journal: &[Value]) -> Told {
        let mut told = Told::default();
        for line in journal {
            let kind = line["kind"].as_str().unwrap_or_default();
            let message = line["message"].as_str().unwrap_or_default().to_owned();
            match (kind, token_in(&line["detail"])) {
                ("message.accepted", Some(token)) => told.accepted.entry(token).or_default().push(message.clone()),
                ("message.refused", Some(token)) => *told.refused.entry(token).or_default() += 1,
                ("contact.created", _) => {
                    let text = line["detail"].to_string();
                    let at = text.find("+491511234").map(|at| text[at..at + 14].to_owned());
                    *told.contacts.entry(at.unwrap_or_default()).or_default() += 1;
                }
                _ => {}
            }
            told.kinds.entry(message).or_default().insert(kind.to_owned());
        }
        told
    }

    fn noted(&self, message: &str, kind: &str) -> bool {
        self.kinds.get(message).is_some_and(|kinds| kinds.contains(kind))
    }
}

/// Everything that is not as it must be in the end.
fn reconcile(world: &World, clients: &[Client]) -> Vec<String> {
    let told = Told::read(&world.journal());
    let mut wrong: Vec<String> = clients.iter().flat_map(|client| wrong_with(world, client, &told)).collect();
    if world.meta.pending_webhooks() > 0 {
        wrong.push(format!("{} webhooks wait", world.meta.pending_webhooks()));
    }
    let mut keys = BTreeMap::<String, usize>::new();
    for (_, line) in world.all_lines().iter().filter(|(_, line)| line.from.id == world.bot_id) {
        *keys.entry(part(line, "key").to_owned()).or_default() += 1;
    }
    wrong.extend(
        keys.iter()
            .filter(|(_, count)| **count > 1)
            .map(|(key, count)| format!("doubled: the line {key} was posted {count} times")),
    );
    wrong
}

fn wrong_with(world: &World, client: &Client, told: &Told) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut expect = |holds: bool, what: String| {
        if !holds {
            wrong.push(format!("{}: {what}", client.last));
        }
    };
    let rooms: Vec<_> =
        world.pod.all_rooms().into_iter().filter(|room| room.kind == "ROOM" && room.name.starts_with(&client.name())).collect();
    expect(rooms.len() == 1, format!("{} rooms", rooms.len()));
    let contacts = told.contacts.get(&client.number).copied().unwrap_or(0);
    expect(contacts == 1, format!("{contacts} contacts"));
    let [room] = rooms.as_slice() else { return wrong };
    let lines = world.bot_lines(&room.id);
    let with = |wanted: &str| lines.iter().filter(|line| code(line) == wanted).collect::<Vec<_>>();

    let phone = world.meta.messages(&client.number);
    let invitations = phone.iter().filter(|m| m.template.as_deref() == Some("liaison_invitation")).count();
    let doubted = !with("unconfirmed").is_empty() || !with("failed").is_empty();
    expect(invitations == 1 || (invitations == 0 && doubted), format!("{invitations} invitations"));
    let own = world.pod.im(world.user(client.advisor), world.bot_id);
    let added = format!("Added {} ", client.name());
    let answers = world.bot_lines(&own).iter().filter(|line| line.text.starts_with(&added)).count();
    expect(answers == 1, format!("{answers} answers to its /contact add"));

    for text in &client.said {
        let relayed = with("client_message").iter().filter(|line| line.text.contains(text.as_str())).count();
        expect(relayed == 1, format!("the client's {text} stands {relayed} times in the room"));
    }

    let mut refused = 0;
    for text in &client.told {
        let times = world.on_phone(&client.number, text);
        let accepted = told.accepted.get(text).map_or(&[][..], Vec::as_slice);
        let refusals = told.refused.get(text).copied().unwrap_or(0);
        refused += refusals;
        expect(accepted.len() + refusals == 1, format!("{text} accepted {} times, refused {refusals} times", accepted.len()));
        expect(times <= 1, format!("{text} is doubled: {times} times on the phone"));
        let [message] = accepted else { continue };
        let is_shown = |code: &str| with(code).iter().any(|line| part(line, "message") == message);
        if told.noted(message, "message.withdrawn") {
            expect(is_shown("withdrawn"), format!("{text} ({message}) was withdrawn and nobody was told"));
            expect(times == 0, format!("{text} was withdrawn and is on the phone"));
        } else if times == 0 {
            let ended = ["unconfirmed", "failed", "expired"].into_iter().any(is_shown);
            let waits = is_shown("held") && !told.noted(message, "message.released");
            expect(ended || waits, format!("{text} ({message}) is nowhere: {:?}", told.kinds.get(message)));
        }
    }
    let shown = with("refusal").len();
    expect(shown == refused, format!("{refused} texts refused, {shown} shown as refused"));

    let order: Vec<usize> = phone.iter().filter_map(|m| client.told.iter().position(|text| *text == m.text)).collect();
    let marked = lines.iter().any(|line| code(line) == "info" && line.text.contains("Later messages go on"));
    expect(order.is_sorted() || marked, format!("the order on the phone is {order:?}"));
    wrong
}

/// What the journal and the chats hold of the clients with whom something is wrong.
fn evidence(world: &World, clients: &[Client], wrong: &[String]) -> String {
    let mut shown = Vec::new();
    let journal = world.journal();
    for client in clients.iter().filter(|client| wrong.iter().any(|what| what.starts_with(&client.last))) {
        let created = journal.iter().find(|line| line["kind"] == "contact.created" && line.to_string().contains(&client.number));
        let id = created.map(|line| line["contact"].clone()).unwrap_or_default();
        let about = journal.iter().filter(|line| line["contact"] == id && !id.is_null());
        shown.extend(about.map(ToString::to_string));
        let lines = world.all_lines().into_iter().map(|(_, line)| line);
        let name = client.name();
        let said = lines.filter(|line| line.text.contains(&name) || (part(line, "contact") == id && !id.is_null()));
        shown.extend(said.map(|line| format!("{} {} {} {:?}", line.at, part(&line, "key"), code(&line), line.text)));
    }
    shown.join("\n")
}

/// `so_far` must be the beginning of what is there now: nothing that was read is ever taken back.
fn read_on(config: &Path, so_far: &mut Vec<Value>) {
    let now = journal_of(config);
    let sequences = now.iter().map(|line| line["sequence"].as_u64().unwrap());
    assert!(sequences.is_sorted(), "the journal's lines are out of order");
    assert!(now.starts_with(so_far), "the journal has changed what it had told");
    *so_far = now;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_or_doubled_when_the_bot_is_killed_at_any_moment() {
    let (rounds, seed) = (number_from("KILL_ROUNDS", 20), seed());
    let mut random = fastrand::Rng::with_seed(seed);
    let world = Arc::new(World::new().await);
    let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let traffic = Traffic { world: world.clone(), random: random.fork(), rounds: done.clone(), clients: Vec::new() };
    // A new installation hears nothing that was said before its first feed.
    let mut running = world.run();
    world.ready(&mut running).await;
    let traffic = tokio::spawn(traffic.run(over.clone()));
    let mut journal = Vec::new();
    for round in 0..rounds {
        // Every fourth dies while it starts, the others at work.
        let while_starting = round > 0 && random.u8(..4) == 0;
        if !while_starting {
            world.ready(&mut running).await;
        }
        let after = random.u64(if while_starting { 10..800 } else { 50..2_000 });
        tokio::time::sleep(Duration::from_millis(after)).await;
        if round % 5 == 4 {
            read_on(&world.config(), &mut journal);
        }
        eprintln!("round {round}: killed {after} ms after {}", if while_starting { "its start" } else { "it was ready" });
        running.kill_9();
        running = world.run();
        done.fetch_add(1, Ordering::AcqRel);
    }
    over.store(true, Ordering::Release);
    let clients = traffic.await.unwrap();

    let mut last = running;
    world.ready(&mut last).await;
    let end = Instant::now() + DRAINED_WITHIN;
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let wrong = reconcile(&world, &clients);
        if wrong.is_empty() {
            break;
        }
        assert!(
            Instant::now() < end && !wrong.iter().any(|what| what.contains("doubled")),
            "KILL_SEED={seed}\n{}\n{}\n{}",
            wrong.join("\n"),
            evidence(&world, &clients, &wrong),
            last.told()
        );
    }
    // It stays so: nothing comes twice a little later.
    tokio::time::sleep(Duration::from_secs(3)).await;
    last.stop().await;
    assert_eq!(reconcile(&world, &clients), Vec::<String>::new());
    read_on(&world.config(), &mut journal);
    let verified = verify(&world.data()).unwrap();
    assert_eq!(verified.commits, verified.last_sequence, "the sequence has a gap");
    let said: usize = clients.iter().map(|client| client.said.len()).sum();
    let told: usize = clients.iter().map(|client| client.told.len()).sum();
    let noted = |kind: &str| journal.iter().filter(|line| line["kind"] == kind).count();
    let (doubts, unconfirmed) = (noted("message.in_doubt"), noted("message.unconfirmed"));
    eprintln!("{} clients, {told} texts to them, {said} from them, {} commits", clients.len(), verified.commits);
    eprintln!("{doubts} messages were in doubt, {unconfirmed} stayed so; {} withdrawn", noted("message.withdrawn"));
    assert!(said > 0 && told > 0, "hardly anything was tried");
}

// ---- the whole sandbox

/// `liaison sandbox --data DIR` and its control calls.
struct Sandbox {
    folder: tempfile::TempDir,
    first_port: u16,
    http: reqwest::Client,
    lives: usize,
}

impl Sandbox {
    fn new() -> Sandbox {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
        Sandbox { folder: tempfile::TempDir::new().unwrap(), first_port: free_ports(6), http, lives: 0 }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("sandbox")
    }

    /// Starts it and waits until it says that it is ready.
    async fn live(&mut self) -> Running {
        let log = self.folder.path().join(format!("run-{}.log", self.lives));
        self.lives += 1;
        let file = File::create(&log).unwrap();
        let mut command = liaison();
        command.args(["sandbox", "--json", "--listen", &format!("127.0.0.1:{}", self.first_port), "--data"]).arg(self.data());
        let child = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        let mut running = Running { child, log };
        let end = Instant::now() + PATIENCE;
        while !running.told().contains("\"ready\":true") {
            let ended = running.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < end, "{ended:?}: {}", running.told());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        running
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.first_port)
    }

    /// `None`: no answer, so nobody knows whether it was done.
    async fn post(&self, path: &str, body: Value) -> Option<bool> {
        let answer = self.http.post(self.url(path)).body(body.to_string()).send().await.ok()?;
        Some(answer.status() == 200)
    }

    async fn get(&self, path: &str) -> Vec<Value> {
        let text = self.http.get(self.url(path)).send().await.unwrap().text().await.unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
    }

    async fn on_phone(&self) -> Vec<Value> {
        self.get(&format!("/api/phones/{}/messages", &ANN[1..])).await
    }

    async fn in_room(&self) -> Vec<Value> {
        let rooms = self.get("/api/rooms").await;
        let Some(room) = rooms.iter().find(|room| room["name"] == "Ann Lee") else { return Vec::new() };
        self.get(&format!("/api/rooms/{}/messages", room["id"].as_str().unwrap())).await
    }
}

const ANN: &str = "+4915112345678";

/// Texts that the sandbox took, and those of which nobody knows.
#[derive(Default)]
struct Asked {
    taken: Vec<String>,
    unknown: Vec<String>,
}

impl Asked {
    fn note(&mut self, text: String, answer: Option<bool>) {
        match answer {
            Some(true) => self.taken.push(text),
            Some(false) => {}
            None => self.unknown.push(text),
        }
    }
}

/// Writes on both sides until the sandbox is gone.
async fn chatter(sandbox: &Sandbox, round: usize, to_client: &mut Asked, from_client: &mut Asked) {
    for n in 0..40 {
        let text = format!("S-to-{round}-{n}.");
        let answer = sandbox.post(&format!("/api/users/{JANE}/messages"), json!({ "room": "Ann Lee", "text": text })).await;
        to_client.note(text, answer);
        let text = format!("S-from-{round}-{n}.");
        let answer = sandbox.post(&format!("/api/phones/{}/messages", &ANN[1..]), json!({ "text": text })).await;
        from_client.note(text, answer);
        if answer.is_none() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What is not as it must be: taken texts exist once, unknown ones at most once.
async fn sandbox_wrong(sandbox: &Sandbox, to_client: &Asked, from_client: &Asked) -> Vec<String> {
    let (phone, room) = (sandbox.on_phone().await, sandbox.in_room().await);
    let lines = |wanted: &str| room.iter().filter(|m| m["data"]["liaison"]["code"] == wanted).cloned().collect::<Vec<Value>>();
    let holds = |list: &[Value], text: &str| list.iter().filter(|m| m["text"].as_str().is_some_and(|t| t.contains(text))).count();
    let arrived: Vec<Value> = phone.iter().filter(|m| m["direction"] == "in").cloned().collect();
    // With the words of a doubtful message its line tells which one it is.
    let unconfirmed = lines("unconfirmed");
    let mut wrong = Vec::new();
    for (texts, is_certain) in [(&to_client.taken, true), (&to_client.unknown, false)] {
        for text in texts {
            let times = holds(&arrived, text);
            let told = holds(&unconfirmed, text) > 0;
            if times > 1 || (is_certain && times == 0 && !told) {
                wrong.push(format!("{text} is {times} times on the phone"));
            }
        }
    }
    let relayed = lines("client_message");
    for (texts, is_certain) in [(&from_client.taken, true), (&from_client.unknown, false)] {
        for text in texts {
            let times = holds(&relayed, text);
            if times > 1 || (is_certain && times == 0) {
                wrong.push(format!("{text} is {times} times in the room"));
            }
        }
    }
    wrong
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_killed_sandbox_goes_on_where_it_was() {
    let (rounds, seed) = (number_from("KILL_SANDBOX_ROUNDS", 5), seed());
    let mut random = fastrand::Rng::with_seed(seed);
    let mut sandbox = Sandbox::new();
    let mut running = sandbox.live().await;
    let add = format!("/contact add Ann Lee phone={ANN} email=ann@lee.de channel=whatsapp --room");
    assert_eq!(sandbox.post(&format!("/api/users/{JANE}/messages"), json!({ "text": add })).await, Some(true));
    let tap = format!("/api/phones/{}/messages", &ANN[1..]);
    let agreed = async || sandbox.post(&tap, json!({ "payload": "consent:yes" })).await == Some(true);
    until("the invitation arrives and is answered", PATIENCE, agreed).await;
    let (mut to_client, mut from_client) = (Asked::default(), Asked::default());
    for round in 0..rounds as usize {
        let after = random.u64(100..1_500);
        let killed = async {
            tokio::time::sleep(Duration::from_millis(after)).await;
            running.kill_9();
        };
        tokio::join!(chatter(&sandbox, round, &mut to_client, &mut from_client), killed);
        eprintln!("round {round}: killed after {after} ms");
        running = sandbox.live().await;
        // Here time can be moved, and with it the pace of one message in 6 s and the minute of a doubt.
        assert_eq!(sandbox.post("/api/clock", json!({ "advance": "10m" })).await, Some(true));
    }
    let end = Instant::now() + DRAINED_WITHIN;
    loop {
        let wrong = sandbox_wrong(&sandbox, &to_client, &from_client).await;
        if wrong.is_empty() {
            break;
        }
        assert!(Instant::now() < end, "KILL_SEED={seed}\n{}\n{}", wrong.join("\n"), running.told());
        assert_eq!(sandbox.post("/api/clock", json!({ "advance": "30s" })).await, Some(true));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    running.stop().await;
    let journal = journal_of(&sandbox.data().join("bot-config.toml"));
    assert!(journal.iter().map(|line| line["sequence"].as_u64().unwrap()).is_sorted());
    let verified = verify(&sandbox.data().join("data")).unwrap();
    assert_eq!(verified.commits, verified.last_sequence, "the sequence has a gap");
    assert!(!to_client.taken.is_empty() && !from_client.taken.is_empty(), "hardly anything was tried");
}
