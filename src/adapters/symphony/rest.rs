//! The platform's calls, each telling what is certain about its outcome.
use super::answers::*;
use super::effects::Standing;
use super::login::{LoginError, PROXY_REFUSES, Session, SharedSession, Tokens, told, trimmed};
use super::remembered::{Memory, Remembered};
use super::{SymphonySettings, url_safe};
use crate::adapters::vault::Kept;
use crate::domain::ids::{StreamId, UserId};
use crate::domain::time::{Span, Timestamp};
use crate::ports::Clock;
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::OnceCell;

/// The shortest and the longest wait that we believe of a throttled answer.
const THROTTLED_MIN: Span = Span::seconds(1);
const THROTTLED_MAX: Span = Span::hours(1);
/// No answer of the platform that we read is larger; a page of 500 messages stays well below.
const MAX_ANSWER_BYTES: usize = 32 * 1024 * 1024;
/// A call that carries files may take this long: 30 MB over a line of 2 Mbit/s.
const FILES_WITHIN: Duration = Duration::from_secs(180);
/// The platform's largest page of a history, and the most pages that a search reads.
const HISTORY_PAGE: usize = 500;
const HISTORY_PAGES: usize = 20;
/// The platform's largest page of a room search, and the most pages that we read.
const SEARCH_PAGE: usize = 100;
const SEARCH_PAGES: usize = 10;
/// Pages of the list of streams.
const STREAMS_PAGE: usize = 100;
const STREAMS_PAGES: usize = 1_000;
/// The platform's limit for one question about users.
pub const USERS_AT_ONCE: usize = 100;

/// The bot's hands in the chat.
pub struct Symphony {
    session: SharedSession,
    pub(super) clock: Arc<dyn Clock>,
    me: OnceCell<User>,
    direct: Mutex<Remembered<UserId, StreamId>>,
    pub(super) by_email: Mutex<Remembered<String, UserId>>,
    /// Rooms that this process has opened: the platform's search may not know them yet.
    pub(super) opened: Mutex<Remembered<String, Standing>>,
}

/// One call, as data, so that it can be made again after the tokens were renewed.
struct Call<'a> {
    method: Method,
    host: Host,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Body<'a>,
    /// Bytes of files go one way or the other.
    bears_files: bool,
}

#[derive(Clone, Copy)]
enum Host {
    Pod,
    Agent,
}

enum Body<'a> {
    Nothing,
    Json(Value),
    Message { markup: &'a str, data: String, files: &'a [Kept] },
}

impl<'a> Call<'a> {
    fn get(host: Host, path: impl Into<String>) -> Call<'a> {
        Call { method: Method::GET, host, path: path.into(), query: Vec::new(), body: Body::Nothing, bears_files: false }
    }
    fn post(host: Host, path: impl Into<String>, body: Body<'a>) -> Call<'a> {
        Call { method: Method::POST, host, path: path.into(), query: Vec::new(), body, bears_files: false }
    }
    fn with_files(self, bears_files: bool) -> Call<'a> {
        Call { bears_files, ..self }
    }
    fn with(mut self, name: &'static str, value: impl ToString) -> Call<'a> {
        self.query.push((name, value.to_string()));
        self
    }
}

impl Symphony {
    /// Reads key and certificates; touches no network. The clock is for `not_before` and for how far back to search.
    pub fn new(settings: SymphonySettings, clock: Arc<dyn Clock>) -> Result<Symphony, LoginError> {
        let session = Arc::new(Session::new(settings)?);
        let (me, direct, by_email, opened) = (OnceCell::new(), Mutex::default(), Mutex::default(), Mutex::default());
        Ok(Symphony { session, clock, me, direct, by_email, opened })
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// For the datafeed, which shares the tokens.
    pub fn session(&self) -> SharedSession {
        self.session.clone()
    }

    async fn ask<T: DeserializeOwned + Default>(&self, call: Call<'_>) -> Result<T, CallError> {
        let body = self.call(&call).await?;
        if body.is_empty() {
            return Ok(T::default());
        }
        serde_json::from_slice(&body).map_err(|e| CallError::Unclear(format!("the answer cannot be read: {e}")))
    }

    /// Makes the call; a 401 renews the tokens and repeats it once.
    async fn call(&self, call: &Call<'_>) -> Result<Vec<u8>, CallError> {
        outcome(self.answer(call).await?, self.clock.now()).await
    }

    async fn answer(&self, call: &Call<'_>) -> Result<reqwest::Response, CallError> {
        let no_login = |e: LoginError| CallError::NotSent(e.to_string());
        let tokens = self.session.tokens().await.map_err(no_login)?;
        let answer = self.once(call, &tokens).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let tokens = self.session.renew(tokens.generation).await.map_err(no_login)?;
        let answer = self.once(call, &tokens).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            return Err(CallError::NotSent("the platform does not accept fresh tokens".to_owned()));
        }
        Ok(answer)
    }

    async fn once(&self, call: &Call<'_>, tokens: &Tokens) -> Result<reqwest::Response, CallError> {
        let base = match call.host {
            Host::Pod => &self.session.settings().pod_url,
            Host::Agent => &self.session.settings().agent_url,
        };
        let request = self.session.http().request(call.method.clone(), format!("{}{}", trimmed(base), call.path));
        let request = request.query(&call.query).header("sessionToken", &tokens.session).header("X-Trace-Id", trace_id());
        let request = match call.host {
            Host::Pod => request,
            Host::Agent => request.header("keyManagerToken", &tokens.key_manager),
        };
        let request = match &call.body {
            Body::Nothing => request,
            Body::Json(value) => request.json(value),
            Body::Message { markup, data, files } => request.multipart(message_form(markup, data, files)),
        };
        let request = if call.bears_files { request.timeout(FILES_WITHIN) } else { request };
        let answer = request.send().await.map_err(|e| failed_exchange(&e))?;
        self.session.compare_clocks(&answer);
        Ok(answer)
    }

    /// The bot's own account; asked for once. Its id is there.
    pub async fn me(&self) -> Result<&User, CallError> {
        self.me.get_or_try_init(|| self.who_am_i()).await
    }

    async fn who_am_i(&self) -> Result<User, CallError> {
        let me: User = self.ask(Call::get(Host::Pod, "/pod/v2/sessioninfo")).await?;
        match me.id {
            Some(_) => Ok(me),
            None => Err(CallError::Unclear("the platform does not say who we are".to_owned())),
        }
    }

    /// What the agent says of itself; shows that it answers and takes both tokens.
    pub async fn agent_info(&self) -> Result<Value, CallError> {
        self.ask(Call::get(Host::Agent, "/agent/v1/info")).await
    }

    pub(super) async fn my_id(&self) -> Result<UserId, CallError> {
        Ok(UserId(self.me().await?.id.expect("an account without an id is not kept")))
    }

    /// Users of our own pod; unknown ones are left out. At most `USERS_AT_ONCE`.
    pub async fn users_by_email(&self, emails: &[String]) -> Result<Vec<User>, CallError> {
        self.users("email", emails.join(",")).await
    }

    /// The same by id.
    pub async fn users_by_id(&self, ids: &[UserId]) -> Result<Vec<User>, CallError> {
        let ids: Vec<String> = ids.iter().map(UserId::to_string).collect();
        self.users("uid", ids.join(",")).await
    }

    async fn users(&self, by: &'static str, which: String) -> Result<Vec<User>, CallError> {
        let call = Call::get(Host::Pod, "/pod/v3/users").with(by, which).with("local", true).with("active", true);
        Ok(self.ask::<Users>(call).await?.users)
    }

    /// The 1:1 stream with this user, which exists from then on.
    pub async fn im_create(&self, user: UserId) -> Result<StreamId, CallError> {
        if let Some(known) = self.direct.recall(&user) {
            return Ok(known);
        }
        let created: Created = self.ask(Call::post(Host::Pod, "/pod/v1/im/create", Body::Json(json!([user.0])))).await?;
        let stream = stream_in(created)?;
        self.direct.remember(user, stream.clone());
        Ok(stream)
    }

    pub async fn room_create(&self, attributes: &RoomAttributes) -> Result<Room, CallError> {
        self.ask(Call::post(Host::Pod, "/pod/v3/room/create", Body::Json(json!(attributes)))).await
    }

    /// All rooms of ours with this key, the oldest first. Rooms that somebody else gave the same keyword are none of ours.
    pub async fn rooms_by_key(&self, key: &str) -> Result<Vec<Room>, CallError> {
        let me = self.my_id().await?;
        let mut found: Vec<Room> = Vec::new();
        for page in 0..SEARCH_PAGES {
            let rooms = self.rooms_page(key, me, page).await?;
            let last = rooms.len() < SEARCH_PAGE;
            found.extend(rooms.into_iter().filter(|room| is_ours(room, key, me)));
            if last {
                break;
            }
        }
        found.sort_by_key(|room| room.room_system_info.creation_date);
        Ok(found)
    }

    async fn rooms_page(&self, key: &str, me: UserId, page: usize) -> Result<Vec<Room>, CallError> {
        let criteria = json!({"query": key, "searchFields": ["keywords_value"], "member": {"id": me}});
        let call = Call::post(Host::Pod, "/pod/v3/room/search", Body::Json(criteria));
        let call = call.with("skip", page * SEARCH_PAGE).with("limit", SEARCH_PAGE).with("includeNonDiscoverable", true);
        Ok(self.ask::<Rooms>(call).await?.rooms)
    }

    pub async fn room_info(&self, stream: &StreamId) -> Result<Room, CallError> {
        self.ask(Call::get(Host::Pod, format!("/pod/v3/room/{stream}/info"))).await
    }

    pub async fn members(&self, stream: &StreamId) -> Result<Vec<Member>, CallError> {
        self.ask(Call::get(Host::Pod, format!("/pod/v2/room/{stream}/membership/list"))).await
    }

    /// `act` is add, remove, promoteOwner or demoteOwner.
    async fn membership(&self, stream: &StreamId, act: &str, user: UserId) -> Result<(), CallError> {
        let call = Call::post(Host::Pod, format!("/pod/v1/room/{stream}/membership/{act}"), Body::Json(json!({ "id": user })));
        self.call(&call).await.map(drop)
    }

    pub async fn member_add(&self, stream: &StreamId, user: UserId) -> Result<(), CallError> {
        self.membership(stream, "add", user).await
    }

    pub async fn member_remove(&self, stream: &StreamId, user: UserId) -> Result<(), CallError> {
        self.membership(stream, "remove", user).await
    }

    pub async fn member_promote(&self, stream: &StreamId, user: UserId) -> Result<(), CallError> {
        self.membership(stream, "promoteOwner", user).await
    }

    pub async fn member_demote(&self, stream: &StreamId, user: UserId) -> Result<(), CallError> {
        self.membership(stream, "demoteOwner", user).await
    }

    /// What `attributes` does not name stays as it is.
    pub async fn room_update(&self, stream: &StreamId, attributes: &RoomAttributes) -> Result<Room, CallError> {
        self.ask(Call::post(Host::Pod, format!("/pod/v3/room/{stream}/update"), Body::Json(json!(attributes)))).await
    }

    pub async fn set_active(&self, stream: &StreamId, active: bool) -> Result<(), CallError> {
        let call = Call::post(Host::Pod, format!("/pod/v1/room/{stream}/setActive"), Body::Nothing).with("active", active);
        self.call(&call).await.map(drop)
    }

    /// Posts MessageML (its root element is put around it where it is missing) with these files; returns the message id.
    pub async fn message_create(
        &self,
        stream: &StreamId,
        markup: &str,
        data: &Value,
        files: &[Kept],
    ) -> Result<String, CallError> {
        let markup = with_root(markup);
        let body = Body::Message { markup: &markup, data: data.to_string(), files };
        let call = Call::post(Host::Agent, format!("/agent/v4/stream/{stream}/message/create"), body);
        let posted: PostedMessage = self.ask(call.with_files(!files.is_empty())).await?;
        let id = posted.message_id.ok_or_else(|| CallError::Unclear("the answer names no message".to_owned()))?;
        Ok(url_safe(&id))
    }

    /// The answer that holds an attachment as Base64 text, its body still unread.
    pub(super) async fn attachment(&self, stream: &StreamId, message: &str, file: &str) -> Result<reqwest::Response, CallError> {
        let call = Call::get(Host::Agent, format!("/agent/v1/stream/{stream}/attachment")).with_files(true);
        let answer = self.answer(&call.with("fileId", file).with("messageId", message)).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status().as_u16();
        let none = |_| CallError::Unclear(format!("status {status} for an attachment"));
        Err(outcome(answer, self.clock.now()).await.map_or_else(|error| error, none))
    }

    /// A page of a stream's messages since a time, each as its own bytes (`Translator::history` reads them).
    pub async fn history(&self, stream: &StreamId, since: Timestamp, skip: usize) -> Result<Vec<Box<RawValue>>, CallError> {
        let call = Call::get(Host::Agent, format!("/agent/v4/stream/{stream}/message"));
        self.ask(call.with("since", since.0.max(0)).with("skip", skip).with("limit", HISTORY_PAGE)).await
    }

    /// Every message of a stream since a time; an error where there are more than a search may read.
    pub async fn whole_history(&self, stream: &StreamId, since: Timestamp) -> Result<Vec<Box<RawValue>>, CallError> {
        let mut all = Vec::new();
        for _ in 0..HISTORY_PAGES {
            let page = self.history(stream, since, all.len()).await?;
            let last = page.len() < HISTORY_PAGE;
            all.extend(page);
            if last {
                return Ok(all);
            }
        }
        Err(CallError::Unclear(format!("the stream has more than {} messages since then", all.len())))
    }

    /// `status` is PENDING_INCOMING, PENDING_OUTGOING, ACCEPTED, REJECTED or ALL.
    pub async fn connections(&self, status: &str) -> Result<Vec<Connection>, CallError> {
        self.ask(Call::get(Host::Pod, "/pod/v1/connection/list").with("status", status)).await
    }

    pub async fn connection_accept(&self, user: UserId) -> Result<(), CallError> {
        let call = Call::post(Host::Pod, "/pod/v1/connection/accept", Body::Json(json!({ "userId": user })));
        self.call(&call).await.map(drop)
    }

    /// Every stream of these types (IM, ROOM) that the bot is in, inactive ones too.
    pub async fn streams(&self, kinds: &[&str]) -> Result<Vec<Stream>, CallError> {
        let kinds: Vec<Value> = kinds.iter().map(|kind| json!({ "type": kind })).collect();
        let filter = json!({"streamTypes": kinds, "includeInactiveStreams": true});
        let mut all: Vec<Stream> = Vec::new();
        for _ in 0..STREAMS_PAGES {
            let call = Call::post(Host::Pod, "/pod/v1/streams/list", Body::Json(filter.clone()));
            let page: Vec<Stream> = self.ask(call.with("skip", all.len()).with("limit", STREAMS_PAGE)).await?;
            let last = page.len() < STREAMS_PAGE;
            all.extend(page);
            if last {
                break;
            }
        }
        Ok(all)
    }
}

fn stream_in(created: Created) -> Result<StreamId, CallError> {
    let id = created.id.ok_or_else(|| CallError::Unclear("the answer names no stream".to_owned()))?;
    Ok(StreamId(url_safe(&id)))
}

/// Anybody may give his room any keyword, so only rooms that the bot itself created count.
fn is_ours(room: &Room, key: &str, me: UserId) -> bool {
    room.key() == Some(key) && room.room_system_info.created_by_user_id.is_none_or(|by| by == me.0)
}

fn with_root(markup: &str) -> String {
    let trimmed = markup.trim();
    if trimmed.starts_with("<messageML") || trimmed.starts_with("<div data-format=\"PresentationML\"") {
        return trimmed.to_owned();
    }
    format!("<messageML>{markup}</messageML>")
}

fn message_form(markup: &str, data: &str, files: &[Kept]) -> reqwest::multipart::Form {
    let form = reqwest::multipart::Form::new().text("message", markup.to_owned()).text("data", data.to_owned());
    files.iter().fold(form, |form, file| form.part("attachment", file.part()))
}

/// Six characters by which the platform's support can follow a call.
fn trace_id() -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(6).collect()
}

fn failed_exchange(error: &reqwest::Error) -> CallError {
    let why = told(error);
    // Before there is a connection, TLS included, no byte of the request has left.
    if error.is_connect() || error.is_builder() { CallError::NotSent(why) } else { CallError::Unclear(why) }
}

async fn outcome(mut answer: reqwest::Response, now: Timestamp) -> Result<Vec<u8>, CallError> {
    let status = answer.status();
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Err(CallError::Throttled { retry_after: retry_after(&answer, now) });
    }
    if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        return Err(CallError::NotSent(PROXY_REFUSES.to_owned()));
    }
    let body = whole_body(&mut answer).await?;
    match status {
        s if s.is_success() => Ok(body),
        s if s.is_client_error() => Err(complaint(s, &body)),
        s => Err(CallError::Unclear(format!("status {}", s.as_u16()))),
    }
}

async fn whole_body(answer: &mut reqwest::Response) -> Result<Vec<u8>, CallError> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|e| CallError::Unclear(told(&e)))? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(CallError::Unclear("the answer is too large".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Only a complaint that can be read comes surely from the platform; what a machine in between says proves nothing, but
/// that something is too large for it stays true.
fn complaint(status: StatusCode, body: &[u8]) -> CallError {
    let too_large = matches!(status.as_u16(), 413 | 414 | 431);
    let timed_out = matches!(status.as_u16(), 408 | 499);
    let status = status.as_u16();
    match serde_json::from_slice::<Complaint>(body) {
        Ok(read) if !timed_out && (read.code.is_some() || read.message.is_some()) => {
            CallError::Refused { status, code: read.code.and_then(|c| c.as_i64()), message: read.message.unwrap_or_default() }
        }
        _ if too_large => CallError::Refused { status, code: None, message: "too large".to_owned() },
        _ => CallError::Unclear(format!("status {status} without a readable complaint")),
    }
}

/// Seconds, or a date.
fn retry_after(answer: &reqwest::Response, now: Timestamp) -> Option<Span> {
    let text = answer.headers().get("retry-after")?.to_str().ok()?.trim();
    let wait = match text.parse::<i64>() {
        Ok(seconds) => Span::seconds(seconds.min(THROTTLED_MAX.0 / 1_000)),
        Err(_) => Timestamp(jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_millisecond()) - now,
    };
    Some(wait.clamp(THROTTLED_MIN, THROTTLED_MAX))
}
