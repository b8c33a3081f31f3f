//! Everything the pod knows, as plain values, and the journal lines that make it durable.
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::feed::{Feed, LIFE, MAX_BATCH};
use super::journal::Line;
use crate::sandbox::views::UserView;

/// User ids begin here; they look like those of a real pod and fit into a JavaScript number.
const FIRST_USER_ID: u64 = 13_056_700_580_000;
/// How long an unacknowledged batch stays invisible; the real feed's value.
const DEFAULT_VISIBILITY: Duration = Duration::from_secs(30);
/// How long a read without events is held.
const DEFAULT_HOLD: Duration = Duration::from_secs(30);
const DEFAULT_HEARTBEAT: Duration = Duration::from_secs(20);

/// An answer of refusal: an HTTP status and Symphony's `{code, message}`.
#[derive(Clone, Debug)]
pub struct Refused {
    pub status: StatusCode,
    pub message: String,
}

impl Refused {
    pub fn bad(message: impl Into<String>) -> Refused {
        Refused { status: StatusCode::BAD_REQUEST, message: message.into() }
    }

    pub fn forbidden(message: impl Into<String>) -> Refused {
        Refused { status: StatusCode::FORBIDDEN, message: message.into() }
    }

    pub fn unauthorized() -> Refused {
        Refused { status: StatusCode::UNAUTHORIZED, message: "Invalid session".to_string() }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = json!({"code": self.status.as_u16(), "message": self.message});
        (self.status, axum::Json(body)).into_response()
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct User {
    pub id: u64,
    pub first: String,
    pub last: String,
    pub email: String,
    pub username: String,
    pub service: bool,
    pub public_key: Option<String>,
}

impl User {
    pub fn display_name(&self) -> String {
        format!("{} {}", self.first, self.last).trim().to_string()
    }

    pub fn view(&self) -> UserView {
        let User { id, email, username, service, .. } = self.clone();
        UserView { id, name: self.display_name(), email, username, service }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StreamKind {
    #[serde(rename = "IM")]
    Im,
    #[serde(rename = "ROOM")]
    Room,
}

impl StreamKind {
    pub fn name(self) -> &'static str {
        match self {
            StreamKind::Im => "IM",
            StreamKind::Room => "ROOM",
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Member {
    pub id: u64,
    pub owner: bool,
    pub joined: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stream {
    pub id: String,
    pub kind: StreamKind,
    pub created: i64,
    pub created_by: u64,
    pub active: bool,
    pub members: Vec<Member>,
    pub last_message: i64,
    pub room: Room,
}

impl Stream {
    pub fn member(&self, user: u64) -> Option<&Member> {
        self.members.iter().find(|member| member.id == user)
    }

    pub fn owned_by(&self, user: u64) -> bool {
        self.member(user).is_some_and(|member| member.owner)
    }
}

/// What a room's owners can say about it; all defaults for an IM.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Room {
    pub name: String,
    pub description: String,
    pub keywords: Vec<Keyword>,
    pub members_can_invite: bool,
    pub discoverable: bool,
    pub public: bool,
    pub read_only: bool,
    pub copy_protected: bool,
    pub cross_pod: bool,
    pub view_history: bool,
    pub multi_lateral: bool,
    pub scheduled_meeting: bool,
    pub pinned: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keyword {
    pub key: String,
    pub value: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attachment {
    pub id: String,
    pub name: String,
    pub size: usize,
    pub base64: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Message {
    pub id: String,
    pub stream: String,
    pub at: i64,
    pub from: u64,
    pub presentation: String,
    pub data: Map<String, Value>,
    pub attachments: Vec<Attachment>,
    /// The version that this one replaces, and the first of them all.
    pub replacing: Option<String>,
    pub initial: Option<(String, i64)>,
    pub replaced_by: Option<String>,
    pub suppressed: Option<i64>,
    pub silent: bool,
    /// Who has pressed which form.
    pub submitted: Vec<(u64, String)>,
    pub user_agent: String,
}

impl Message {
    /// The place of the message in its stream, which an edit does not change.
    pub fn first_at(&self) -> i64 {
        self.initial.as_ref().map_or(self.at, |(_, at)| *at)
    }

    pub fn is_current(&self) -> bool {
        self.replaced_by.is_none() && self.suppressed.is_none()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConnectionStatus {
    Pending,
    Accepted,
    Rejected,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Connection {
    pub from: u64,
    pub to: u64,
    pub status: ConnectionStatus,
    pub first: i64,
    pub updated: i64,
    pub requests: u32,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Counters {
    pub last_at: i64,
    pub ids: u64,
}

pub struct State {
    pub users: BTreeMap<u64, User>,
    pub streams: BTreeMap<String, Stream>,
    /// By time, which is unique in a pod.
    pub messages: BTreeMap<i64, Message>,
    pub message_times: HashMap<String, i64>,
    pub connections: BTreeMap<(u64, u64), Connection>,
    pub feeds: BTreeMap<String, Feed>,
    pub counters: Counters,
    pub sessions: HashMap<String, u64>,
    pub key_tokens: HashMap<String, u64>,
    /// Simplified key delivery: session tokens say so, and the agent asks for no key manager token.
    pub delivers_keys: bool,
    pub troubles: BTreeMap<String, u32>,
    pub visibility: Duration,
    pub hold: Duration,
    pub batch_max: usize,
    /// How long a feed lives that nobody reads, and how often websockets are pinged.
    pub feed_life: Duration,
    pub heartbeat: Duration,
    /// Part of each ackId, so that ids of an earlier process never match a new batch.
    pub boot: String,
    /// The reading of the sandbox's clock for the act at hand.
    pub now: i64,
    pub changed: bool,
    pub journal: Option<File>,
    pub unwritten: String,
}

impl Default for State {
    fn default() -> State {
        State {
            users: BTreeMap::new(),
            streams: BTreeMap::new(),
            messages: BTreeMap::new(),
            message_times: HashMap::new(),
            connections: BTreeMap::new(),
            feeds: BTreeMap::new(),
            counters: Counters::default(),
            sessions: HashMap::new(),
            key_tokens: HashMap::new(),
            delivers_keys: false,
            troubles: BTreeMap::new(),
            visibility: DEFAULT_VISIBILITY,
            hold: DEFAULT_HOLD,
            batch_max: MAX_BATCH,
            feed_life: LIFE,
            heartbeat: DEFAULT_HEARTBEAT,
            boot: random_hex(4),
            now: 0,
            changed: false,
            journal: None,
            unwritten: String::new(),
        }
    }
}

impl State {
    /// The next timestamp: the clock's, but later than every one before.
    pub fn tick(&mut self) -> i64 {
        self.counters.last_at = self.now.max(self.counters.last_at + 1);
        self.note(&Line::Counters(self.counters));
        self.counters.last_at
    }

    /// A new id in the shape of the platform's: hash, reversed time and a type byte in URL-safe base64.
    pub fn new_id(&mut self, at: i64) -> String {
        self.counters.ids += 1;
        self.note(&Line::Counters(self.counters));
        let hash = digest(&SHA256, format!("{}:{at}", self.counters.ids).as_bytes());
        let mut bytes = hash.as_ref()[..16].to_vec();
        bytes.extend((i64::MAX - at).to_be_bytes());
        bytes.push(0x74);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// A short event id as the real feed has it.
    pub fn new_event_id(&mut self) -> String {
        let at = self.counters.last_at;
        self.new_id(at)[..10].replace(['-', '_'], "x")
    }

    pub fn next_user_id(&self) -> u64 {
        FIRST_USER_ID + 1 + self.users.len() as u64
    }

    pub fn user(&self, id: u64) -> Result<&User, Refused> {
        self.users.get(&id).ok_or_else(|| Refused::bad(format!("User {id} does not exist")))
    }

    pub fn user_by_email(&self, email: &str) -> Option<&User> {
        self.users.values().find(|user| user.email.eq_ignore_ascii_case(email.trim()))
    }

    pub fn user_by_username(&self, username: &str) -> Option<&User> {
        self.users.values().find(|user| user.username == username)
    }

    pub fn is_service(&self, user: u64) -> bool {
        self.users.get(&user).is_some_and(|user| user.service)
    }

    pub fn stream(&self, id: &str) -> Result<&Stream, Refused> {
        self.streams.get(id).ok_or_else(|| Refused::bad(format!("Stream {id} does not exist")))
    }

    /// The stream, if the user is in it.
    pub fn stream_of(&self, id: &str, user: u64) -> Result<&Stream, Refused> {
        let stream = self.stream(id)?;
        match stream.member(user) {
            Some(_) => Ok(stream),
            None => Err(Refused::forbidden("The user is not a member of this conversation")),
        }
    }

    pub fn message(&self, id: &str) -> Option<&Message> {
        self.messages.get(self.message_times.get(id)?)
    }

    pub fn put_user(&mut self, user: User) {
        self.note(&Line::User(user.clone()));
        self.users.insert(user.id, user);
    }

    pub fn put_stream(&mut self, stream: Stream) {
        self.note(&Line::Stream(stream.clone()));
        self.streams.insert(stream.id.clone(), stream);
    }

    pub fn put_message(&mut self, message: Message) {
        self.note(&Line::Message(message.clone()));
        self.message_times.insert(message.id.clone(), message.at);
        self.messages.insert(message.at, message);
    }

    pub fn put_connection(&mut self, connection: Connection) {
        self.note(&Line::Connection(connection.clone()));
        self.connections.insert((connection.from, connection.to), connection);
    }

    /// Remembers that something changed; the line is on disk before the act is answered.
    pub fn note(&mut self, line: &Line) {
        self.changed = true;
        if self.journal.is_some() {
            self.unwritten.push_str(&line.text());
        }
    }

    pub fn forget_tokens(&mut self) {
        self.sessions.clear();
        self.key_tokens.clear();
    }

    /// Whether this trouble is ordered, and one time less from now on.
    pub fn take_trouble(&mut self, code: &str) -> bool {
        let Some(times) = self.troubles.get_mut(code) else { return false };
        *times -= 1;
        if *times == 0 {
            self.troubles.remove(code);
        }
        true
    }
}

/// Random bytes as hex, for tokens and feed ids.
pub fn random_hex(bytes: usize) -> String {
    let mut buffer = vec![0; bytes];
    aws_lc_rs::rand::fill(&mut buffer).expect("the system has randomness");
    hex::encode(buffer)
}
