//! The world around the bot under test: a pod in this process, the real bot in its own, and a data folder with contacts.
use crate::load::{LINE, SECRET, wa_id};
use crate::measure::Scratch;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use liaison::adapters::store::{OpenStore, SledStore};
use liaison::domain::case::{Case, Records};
use liaison::domain::commit::{Commit, Key, Stored};
use liaison::domain::consent::Consent;
use liaison::domain::contact::{Contact, Listing, OnChannel, Pointer};
use liaison::domain::ids::*;
use liaison::domain::room::{Room, RoomMember, RoomState, Seat};
use liaison::domain::time::Timestamp;
use liaison::ports::Store;
use liaison::sandbox::keys::new_key_pair;
use liaison::sandbox::pod::Pod;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

const READY_WITHIN: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(2);
/// Contacts seeded in one commit, and commits under way before the disk is waited for.
const SEEDED_AT_ONCE: u64 = 50;
const SEED_AHEAD: u64 = 2_000;

pub struct World {
    pub pod: Pod,
    pub address: SocketAddr,
    /// Messages that reached the pod from outside: the stream, and when.
    pub posts: mpsc::UnboundedReceiver<(String, Instant)>,
    /// Advisors with their 1:1 chats with the bot and with the echo.
    pub advisors: Vec<Advisor>,
    /// One chat a client.
    pub chats: Vec<String>,
    pub scratch: Scratch,
}

pub struct Advisor {
    pub id: u64,
    pub with_bot: String,
    pub with_echo: String,
}

pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is after 1970");
    Timestamp(since.as_millis() as i64)
}

impl World {
    pub async fn new(name: &str, advisors: usize, chats: usize) -> World {
        let scratch = Scratch::new(name);
        let pod = Pod::open(Arc::new(|| now().0), None).expect("a pod in memory opens");
        let bot = service_account(&pod, &scratch, "liaison");
        let echo = service_account(&pod, &scratch, "echo");
        let person = |username: String| pod.add_user("Ada", &username, &email_of(&username), &username, false, None);
        let advisors = (0..advisors).map(|nth| person(format!("advisor{nth}")));
        let advisors = advisors.map(|id| Advisor { id, with_bot: pod.im(id, bot), with_echo: pod.im(id, echo) }).collect();
        // A chat of two serves as a room: the bot posts to a stream and does not ask what kind it is.
        let chats = (0..chats).map(|nth| pod.im(person(format!("room{nth}")), bot)).collect();
        let (arrived, posts) = mpsc::unbounded_channel();
        let watched = pod.router().layer(from_fn(move |request: Request, next: Next| {
            let (arrived, at) = (arrived.clone(), Instant::now());
            async move {
                if let Some(rest) = request.uri().path().strip_prefix("/agent/v4/stream/")
                    && let Some((stream, "message/create")) = rest.split_once('/')
                {
                    let _ = arrived.send((stream.to_owned(), at));
                }
                next.run(request).await
            }
        }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port");
        let address = listener.local_addr().expect("a bound listener has an address");
        tokio::spawn(async move { axum::serve(listener, watched).await });
        World { pod, address, posts, advisors, chats, scratch }
    }

    /// Writes the contacts, each with a room of his own, through the store itself.
    pub fn seed(&self, contacts: u64) {
        let (store, _) = SledStore::open(OpenStore::new(self.folder().join("data"))).expect("a new folder opens");
        let owner = UserId(self.advisors[0].id);
        for first in (0..contacts).step_by(SEEDED_AT_ONCE as usize) {
            let some = first..contacts.min(first + SEEDED_AT_ONCE);
            let commit = seeding(some, owner, |nth| self.chats.get(nth as usize).cloned().unwrap_or_else(|| format!("s{nth}")));
            store.commit(commit).expect("the scratch disk works");
            let behind = |durable: u64| durable + SEED_AHEAD / SEEDED_AT_ONCE < first / SEEDED_AT_ONCE;
            while behind(*store.durable().borrow()) {
                std::thread::sleep(LOOK_AGAIN);
            }
        }
        store.close().expect("the scratch disk works");
    }

    pub fn folder(&self) -> &Path {
        &self.scratch.0
    }

    pub fn key(&self, username: &str) -> PathBuf {
        key_file(&self.scratch, username)
    }

    /// Starts the real program and waits until it says that it is ready.
    pub async fn bot(&self) -> Bot {
        let (listen, ops) = (free_port(), free_port());
        let config = self.folder().join("bot-config.toml");
        std::fs::write(&config, self.config(listen, ops)).expect("the scratch disk works");
        let begun = Instant::now();
        let log = std::fs::File::create(self.folder().join("bot.log")).expect("the scratch disk works");
        let child = Command::new(env!("CARGO_BIN_EXE_liaison"))
            .args(["run", "--config"])
            .arg(&config)
            .env("RUST_LOG", "warn")
            .stdout(log.try_clone().expect("a file has a twin"))
            .stderr(log)
            .spawn()
            .expect("the program was built with the bench");
        let mut bot = Bot { child, address: listen, ready_after: Duration::ZERO };
        while !is_ready(ops).await {
            let told = || std::fs::read_to_string(self.folder().join("bot.log")).unwrap_or_default();
            assert!(begun.elapsed() < READY_WITHIN, "the bot did not get ready: {}", told());
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        bot.ready_after = begun.elapsed();
        bot
    }

    fn config(&self, listen: SocketAddr, ops: SocketAddr) -> String {
        let (pod, key) = (self.address, self.key("liaison"));
        let templates = std::path::absolute("templates").expect("the bench runs in the project's folder");
        let mut text = format!(
            r#"[bot]
username = "liaison"
private_key = {key:?}
firm = "Bench"
default_region = "US"
data_dir = {data:?}
templates_dir = {templates:?}
time_zone = "UTC"
[symphony]
pod_url = "http://{pod}"
feed_url = "ws://{pod}/agent/v5/datafeeds/ws"
feed_tag = "liaison"
[server]
listen = "{listen}"
ops_listen = "{ops}"
public_url = "http://{listen}"
[whatsapp]
graph_url = "http://{pod}"
business_account_id = "200000000000001"
access_token = "bench-token"
app_secret = "{SECRET}"
verify_token = "bench-verify"
lines = [ {{ phone_number_id = "{LINE}", number = "+15550100001", name = "Bench" }} ]
[policy]
default_advisors = ["{first}"]
"#,
            data = self.folder().join("data"),
            first = email_of("advisor0"),
        );
        for nth in 0..self.advisors.len() {
            let email = email_of(&format!("advisor{nth}"));
            text += &format!(
                "[[advisors]]\nemail = \"{email}\"\nchannels = [\"whatsapp\"]\npermissions = [\"advisor\"]\nsub_org = \"Bench\"\n"
            );
        }
        text
    }
}

fn email_of(username: &str) -> String {
    format!("{username}@bench.example")
}

fn key_file(scratch: &Scratch, username: &str) -> PathBuf {
    scratch.0.join(format!("{username}.pem"))
}

fn service_account(pod: &Pod, scratch: &Scratch, username: &str) -> u64 {
    let (private, public) = new_key_pair();
    std::fs::write(key_file(scratch, username), private).expect("the scratch disk works");
    pod.add_user(username, "", &email_of(username), username, true, Some(public))
}

fn free_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a port");
    listener.local_addr().expect("a bound listener has an address")
}

async fn is_ready(ops: SocketAddr) -> bool {
    let Ok(mut tcp) = tokio::net::TcpStream::connect(ops).await else { return false };
    let asked = tcp.write_all(b"GET /readyz HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n").await;
    let mut answer = Vec::new();
    asked.is_ok() && tcp.read_to_end(&mut answer).await.is_ok() && answer.starts_with(b"HTTP/1.1 200")
}

/// The program under test; it ends with this value.
pub struct Bot {
    child: Child,
    pub address: SocketAddr,
    pub ready_after: Duration,
}

impl Bot {
    /// What the program has used of the processors so far. It is steadier than seconds on a machine with other work.
    pub fn cpu(&self) -> Duration {
        cpu_of(&self.child)
    }
}

/// Linux: user and system time in hundredths of a second, 14th and 15th field, counted behind the name in brackets.
fn cpu_of(child: &Child) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
    let behind_the_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let hundredths: u64 = behind_the_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(hundredths * 10)
}

impl Drop for Bot {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// This same program as another process, playing a limit. Its first line is what it has to say.
pub struct Peer {
    child: Child,
    pub said: String,
}

impl Peer {
    pub fn start(arguments: &[&str]) -> Peer {
        let this = std::env::current_exe().expect("the bench is a file");
        let mut child = Command::new(this).args(arguments).stdout(Stdio::piped()).spawn().expect("the bench can be run again");
        let mut said = String::new();
        let out = child.stdout.take().expect("its output is ours");
        BufReader::new(out).read_line(&mut said).expect("it says one line");
        Peer { child, said: said.trim().to_owned() }
    }
}

impl Peer {
    pub fn cpu(&self) -> Duration {
        cpu_of(&self.child)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

// ---- contacts

struct Nothing;

impl Records for Nothing {
    fn get(&self, _: &Key) -> Option<Stored> {
        None
    }
    fn scan(&self, _: &str, _: Option<&str>, _: usize) -> Vec<(Key, Stored)> {
        Vec::new()
    }
}

fn seeding(clients: std::ops::Range<u64>, owner: UserId, stream: impl Fn(u64) -> String) -> Commit {
    let cause = EventId(format!("seed:{}", clients.start));
    let mut case = Case::new(&Nothing);
    for nth in clients {
        let room = room(nth, owner, StreamId(stream(nth)));
        let contact = contact(nth, owner);
        let found_by = [
            (Key::new("wa", wa_id(nth)), contact.id.to_string()),
            (Key::new("phone", format_args!("+{}", wa_id(nth))), contact.id.to_string()),
            (Key::new("stream", room.stream.as_ref().expect("the room is open")), room.key.to_string()),
            (Key::new("member", format_args!("{owner}/{}", room.key)), room.key.to_string()),
        ];
        found_by.into_iter().for_each(|(from, to)| case.put(&Pointer::new(from, to)));
        case.put(&listing(&contact, owner));
        case.put(&contact);
        case.put(&room);
    }
    let (_, puts) = case.finish();
    Commit { cause, at: now(), read: Vec::new(), puts, entries: Vec::new(), raw: None }
}

fn ids(nth: u64) -> (ContactId, RoomKey) {
    (ContactId(format!("c-{nth:08}")), RoomKey(format!("r-{nth:08}")))
}

fn contact(nth: u64, owner: UserId) -> Contact {
    let on = OnChannel { consent: Consent::OptedIn { at: now() }, ever_reached: true, ever_agreed: true, ..OnChannel::default() };
    let (id, room) = ids(nth);
    Contact {
        id,
        phone: Phone::from_e164(&format!("+{}", wa_id(nth))),
        phone_raw: None,
        email: None,
        email_raw: None,
        wa_id: Some(wa_id(nth)),
        user_id: None,
        first: "Ann".to_owned(),
        last: format!("Lee {nth}"),
        company: "Lee".to_owned(),
        profile_name: Some(format!("Client {}", wa_id(nth))),
        language: "en".to_owned(),
        created_at: now(),
        created_by: email_of("advisor0"),
        requestor: None,
        channels: BTreeMap::from([(Channel::WhatsApp, OnChannel { line: Some(LineId(LINE.to_owned())), ..on })]),
        listed_by: BTreeSet::from([owner]),
        rooms: vec![room],
        blocked: None,
        recent: Default::default(),
        keys_since: None,
        time_zone: None,
    }
}

fn listing(contact: &Contact, owner: UserId) -> Listing {
    Listing {
        user: owner,
        contact: contact.id.clone(),
        first: contact.first.clone(),
        last: contact.last.clone(),
        company: contact.company.clone(),
        channels: BTreeSet::from([Channel::WhatsApp]),
        incomplete: false,
        added_at: contact.created_at,
        added_by: contact.created_by.clone(),
        on_behalf: false,
    }
}

fn room(nth: u64, owner: UserId, stream: StreamId) -> Room {
    let (contact, key) = ids(nth);
    Room {
        key,
        stream: Some(stream),
        name: format!("Ann Lee {nth}"),
        channel: Channel::WhatsApp,
        line: LineId(LINE.to_owned()),
        members: BTreeMap::from([(owner, RoomMember { name: "Ada".to_owned(), owner: true })]),
        contacts: vec![contact],
        lead: Some(owner),
        sub_org: "Bench".to_owned(),
        state: RoomState::Active,
        created_at: now(),
        created_by: email_of("advisor0"),
        last_exchange: BTreeMap::new(),
        files: 0,
        opening: None,
        bot: Seat::Owner,
        outsiders: BTreeSet::new(),
        native: None,
        came_in: BTreeSet::new(),
        announced: BTreeSet::new(),
    }
}
