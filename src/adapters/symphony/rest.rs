//! The platform's calls, each telling what is certain about its outcome, and the effects made of them.
use super::login::{LoginError, Session, SharedSession, Tokens, told, trimmed};
use super::{SymphonySettings, url_safe};
use crate::domain::effect::{Attempt, LookUp, OpenRoom, Outcome, Place};
use crate::domain::event::Person;
use crate::domain::ids::{EffectId, StreamId, UserId};
use crate::domain::time::{Span, Timestamp};
use crate::ports::Clock;
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;

/// No answer of the platform that we read is larger; a page of 500 messages stays well below.
const MAX_ANSWER_BYTES: usize = 32 * 1024 * 1024;
/// Before what was certainly not sent is tried again; the outbox makes the waits grow.
const SOON: Span = Span::seconds(1);
/// When a throttled answer names no time, and the longest that we believe.
const THROTTLED: Span = Span::seconds(5);
const THROTTLED_MAX: Span = Span::hours(1);
/// How far back a stream is searched for a message of ours: as long as seen keys are kept.
const LOOK_BACK: Span = Span::days(30);
/// Between the two looks that must both miss a thing before it counts as absent: what was under way may still land.
const SECOND_LOOK: Duration = Duration::from_secs(2);
/// The platform's largest page of a history, and the most pages that a search reads.
const HISTORY_PAGE: usize = 500;
const HISTORY_PAGES: usize = 20;
/// The platform's largest page of a room search, and the most pages that we read.
const SEARCH_PAGE: usize = 100;
const SEARCH_PAGES: usize = 10;
/// Pages of the list of streams.
const STREAMS_PAGE: usize = 100;
const STREAMS_PAGES: usize = 1_000;
/// Streams whose ids are remembered, so that a 1:1 is not asked for at each line.
const REMEMBERED: usize = 10_000;
/// The platform's limit for one question about users.
pub const USERS_AT_ONCE: usize = 100;
/// The keyword by which a room of ours is found again.
const KEYWORD: &str = "liaison";

/// Why a call brought nothing.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CallError {
    /// Certainly nothing happened: no connection, or no login.
    #[error("not sent: {0}")]
    NotSent(String),
    /// The platform's own complaint.
    #[error("refused with {status}: {message}")]
    Refused { status: u16, code: Option<i64>, message: String },
    /// Refused for now; nothing happened.
    #[error("throttled")]
    Throttled { retry_after: Option<Span> },
    /// It may or may not have happened.
    #[error("unclear: {0}")]
    Unclear(String),
}

impl CallError {
    fn is_refused(&self) -> bool {
        matches!(self, CallError::Refused { .. })
    }
}

/// A user as the platform describes him.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct User {
    pub id: Option<u64>,
    pub email_address: Option<String>,
    pub display_name: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub username: Option<String>,
    /// NORMAL, SYSTEM or SDL.
    pub account_type: Option<String>,
}

impl User {
    /// The user in our own words; `None` without an id.
    pub fn person(&self) -> Option<Person> {
        let full = [self.first_name.as_deref(), self.last_name.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(" ");
        Some(Person {
            id: UserId(self.id?),
            name: self.display_name.clone().filter(|name| !name.is_empty()).unwrap_or(full),
            email: self.email_address.clone().filter(|email| !email.is_empty()),
            service: self.account_type.as_deref() == Some("SYSTEM"),
        })
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Keyword {
    pub key: String,
    pub value: String,
}

/// Attributes of a room; what is `None` is left out of requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RoomAttributes {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keywords: Option<Vec<Keyword>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members_can_invite: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discoverable: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cross_pod: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view_history: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RoomSystemInfo {
    pub id: Option<String>,
    pub creation_date: Option<i64>,
    pub created_by_user_id: Option<u64>,
    pub active: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Room {
    pub room_attributes: RoomAttributes,
    pub room_system_info: RoomSystemInfo,
}

impl Room {
    pub fn stream(&self) -> Option<StreamId> {
        self.room_system_info.id.as_deref().map(|id| StreamId(url_safe(id)))
    }
    /// The value of our keyword, if the room bears it.
    pub fn key(&self) -> Option<&str> {
        let keywords = self.room_attributes.keywords.as_ref()?;
        keywords.iter().find(|k| k.key == KEYWORD).map(|k| k.value.as_str())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Member {
    pub id: Option<u64>,
    pub owner: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Connection {
    pub user_id: Option<u64>,
    /// PENDING_INCOMING, PENDING_OUTGOING, ACCEPTED or REJECTED.
    pub status: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Stream {
    pub id: Option<String>,
    pub active: Option<bool>,
    pub stream_type: StreamType,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct StreamType {
    /// IM, MIM, ROOM or POST.
    #[serde(rename = "type")]
    pub kind: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PostedMessage {
    message_id: Option<String>,
    data: Option<Value>,
    user: Option<Author>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Author {
    user_id: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Users {
    users: Vec<User>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Rooms {
    rooms: Vec<Room>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Created {
    id: Option<String>,
}

#[derive(Deserialize)]
struct Complaint {
    code: Option<Value>,
    message: Option<String>,
}

/// The bot's hands in the chat.
pub struct Symphony {
    session: SharedSession,
    clock: Arc<dyn Clock>,
    me: OnceCell<User>,
    direct: Mutex<Remembered<UserId, StreamId>>,
    by_email: Mutex<Remembered<String, UserId>>,
    /// Rooms that this process has opened: the platform's search may not know them yet.
    opened: Mutex<Remembered<String, StreamId>>,
}

/// One call, as data, so that it can be made again after the tokens were renewed.
struct Call<'a> {
    method: Method,
    host: Host,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Body<'a>,
}

#[derive(Clone, Copy)]
enum Host {
    Pod,
    Agent,
}

enum Body<'a> {
    Nothing,
    Json(Value),
    Message { markup: &'a str, data: String },
}

impl<'a> Call<'a> {
    fn get(host: Host, path: impl Into<String>) -> Call<'a> {
        Call { method: Method::GET, host, path: path.into(), query: Vec::new(), body: Body::Nothing }
    }
    fn post(host: Host, path: impl Into<String>, body: Body<'a>) -> Call<'a> {
        Call { method: Method::POST, host, path: path.into(), query: Vec::new(), body }
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

    /// For the datafeed, which shares the tokens.
    pub fn session(&self) -> SharedSession {
        self.session.clone()
    }

    // ---- One call ----

    async fn ask<T: DeserializeOwned + Default>(&self, call: Call<'_>) -> Result<T, CallError> {
        let body = self.call(&call).await?;
        if body.is_empty() {
            return Ok(T::default());
        }
        serde_json::from_slice(&body).map_err(|e| CallError::Unclear(format!("the answer cannot be read: {e}")))
    }

    /// Makes the call; a 401 renews the tokens and repeats it once.
    async fn call(&self, call: &Call<'_>) -> Result<Vec<u8>, CallError> {
        let no_login = |e: LoginError| CallError::NotSent(e.to_string());
        let tokens = self.session.tokens().await.map_err(no_login)?;
        let answer = self.once(call, &tokens).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return outcome(answer, self.clock.now()).await;
        }
        let tokens = self.session.renew(tokens.generation).await.map_err(no_login)?;
        let answer = self.once(call, &tokens).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            return Err(CallError::NotSent("the platform does not accept fresh tokens".to_owned()));
        }
        outcome(answer, self.clock.now()).await
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
            Body::Message { markup, data } => request.multipart(message_form(markup, data)),
        };
        request.send().await.map_err(|e| failed_exchange(&e))
    }

    // ---- Calls ----

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

    async fn my_id(&self) -> Result<UserId, CallError> {
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

    pub async fn set_active(&self, stream: &StreamId, active: bool) -> Result<(), CallError> {
        let call = Call::post(Host::Pod, format!("/pod/v1/room/{stream}/setActive"), Body::Nothing).with("active", active);
        self.call(&call).await.map(drop)
    }

    /// Posts MessageML (its root element is put around it where it is missing); returns the message id.
    pub async fn message_create(&self, stream: &StreamId, markup: &str, data: &Value) -> Result<String, CallError> {
        let markup = with_root(markup);
        let body = Body::Message { markup: &markup, data: data.to_string() };
        let posted: PostedMessage =
            self.ask(Call::post(Host::Agent, format!("/agent/v4/stream/{stream}/message/create"), body)).await?;
        let id = posted.message_id.ok_or_else(|| CallError::Unclear("the answer names no message".to_owned()))?;
        Ok(url_safe(&id))
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

    // ---- Effects ----

    /// Posts a line that bears the effect's id as its key, so that it can be found again.
    pub async fn post(&self, id: &EffectId, place: &Place, markup: &str, data: &Value) -> Attempt {
        let stream = match self.stream_of(place).await {
            Ok(Some(stream)) => stream,
            Ok(None) => return failed("symphony-no-such-user", "nobody on the platform has this e-mail address"),
            Err(error) => return self.not_begun(error),
        };
        match self.message_create(&stream, markup, &keyed(data, id)).await {
            Ok(message) => done(Some(message)),
            Err(error) => self.ended(error),
        }
    }

    /// `None`: there is no such person.
    async fn stream_of(&self, place: &Place) -> Result<Option<StreamId>, CallError> {
        match place {
            Place::Stream(stream) => Ok(Some(stream.clone())),
            Place::Direct(user) => self.im_create(*user).await.map(Some),
            Place::DirectByEmail(email) => match self.user_of(email).await? {
                Some(user) => self.im_create(user).await.map(Some),
                None => Ok(None),
            },
        }
    }

    async fn user_of(&self, email: &str) -> Result<Option<UserId>, CallError> {
        let email = email.to_lowercase();
        if let Some(known) = self.by_email.recall(&email) {
            return Ok(Some(known));
        }
        let users = self.users_by_email(std::slice::from_ref(&email)).await?;
        let same = |user: &&User| user.email_address.as_ref().is_some_and(|e| e.to_lowercase() == email);
        let found = users.iter().find(same).and_then(|user| user.id).map(UserId);
        if let Some(user) = found {
            self.by_email.remember(email, user);
        }
        Ok(found)
    }

    /// Finds the room with this key or creates it, then sees to its members. Doing it twice is as good as once.
    pub async fn open_room(&self, open: &OpenRoom) -> Attempt {
        let found = match self.room_of(open.key.as_str()).await {
            Ok(found) => found,
            Err(error) => return self.not_begun(error),
        };
        let stream = match found {
            Some(stream) => stream,
            None => match self.create_under_a_free_name(open).await {
                Ok(stream) => stream,
                Err(error) if name_is_taken(&error) => return failed("name-taken", &error.to_string()),
                Err(error) => return self.ended(error),
            },
        };
        self.opened.remember(open.key.0.clone(), stream.clone());
        match self.see_to_members(&stream, open).await {
            Ok(()) => done(Some(stream.0)),
            Err(error) => self.not_begun(error),
        }
    }

    async fn room_of(&self, key: &str) -> Result<Option<StreamId>, CallError> {
        if let Some(known) = self.opened.recall(key) {
            return Ok(Some(known));
        }
        Ok(self.rooms_by_key(key).await?.first().and_then(Room::stream))
    }

    async fn create_under_a_free_name(&self, open: &OpenRoom) -> Result<StreamId, CallError> {
        match (self.create_room(open, &open.name).await, &open.otherwise) {
            (Err(error), Some(otherwise)) if name_is_taken(&error) => self.create_room(open, otherwise).await,
            (outcome, _) => outcome,
        }
    }

    async fn create_room(&self, open: &OpenRoom, name: &str) -> Result<StreamId, CallError> {
        let keyword = Keyword { key: KEYWORD.to_owned(), value: open.key.0.clone() };
        let attributes = RoomAttributes {
            name: Some(name.to_owned()),
            description: Some(open.description.clone()),
            keywords: Some(vec![keyword]),
            members_can_invite: Some(false),
            discoverable: Some(false),
            public: Some(false),
            cross_pod: Some(false),
            view_history: Some(true),
        };
        let room = self.room_create(&attributes).await?;
        room.stream().ok_or_else(|| CallError::Unclear("the answer names no room".to_owned()))
    }

    async fn see_to_members(&self, stream: &StreamId, open: &OpenRoom) -> Result<(), CallError> {
        let me = self.my_id().await?;
        let present = self.members(stream).await?;
        let is_there = |user: UserId, owner: bool| present.iter().any(|m| m.id == Some(user.0) && (m.owner || !owner));
        for user in open.owners.iter().copied().filter(|user| *user != me && !is_there(*user, true)) {
            if !is_there(user, false) {
                self.join(stream, user).await?;
            }
            self.member_promote(stream, user).await?;
        }
        for user in
            open.members.iter().copied().filter(|user| *user != me && !is_there(*user, false) && !open.owners.contains(user))
        {
            match self.join(stream, user).await {
                // The room is good without a colleague who cannot be added; the membership events tell who is there.
                Err(CallError::Refused { status, message, .. }) => {
                    tracing::warn!(%stream, %user, status, message, "a member could not be added")
                }
                other => other?,
            }
        }
        Ok(())
    }

    /// Adds a member; one who is there already is fine.
    async fn join(&self, stream: &StreamId, user: UserId) -> Result<(), CallError> {
        match self.member_add(stream, user).await {
            Err(error) if error.is_refused() && self.is_member(stream, user).await? => Ok(()),
            other => other,
        }
    }

    async fn is_member(&self, stream: &StreamId, user: UserId) -> Result<bool, CallError> {
        Ok(self.members(stream).await?.iter().any(|m| m.id == Some(user.0)))
    }

    pub async fn add_member(&self, stream: &StreamId, user: UserId, owner: bool) -> Attempt {
        let joined = self.join(stream, user).await;
        let outcome = match joined {
            Ok(()) if owner => self.member_promote(stream, user).await,
            other => other,
        };
        self.settled(outcome)
    }

    pub async fn remove_member(&self, stream: &StreamId, user: UserId) -> Attempt {
        let outcome = match self.member_remove(stream, user).await {
            Err(error) if error.is_refused() && matches!(self.is_member(stream, user).await, Ok(false)) => Ok(()),
            other => other,
        };
        self.settled(outcome)
    }

    pub async fn deactivate(&self, stream: &StreamId) -> Attempt {
        let outcome = match self.set_active(stream, false).await {
            Err(error) if error.is_refused() && self.is_inactive(stream).await => Ok(()),
            other => other,
        };
        self.settled(outcome)
    }

    async fn is_inactive(&self, stream: &StreamId) -> bool {
        matches!(self.room_info(stream).await, Ok(room) if room.room_system_info.active == Some(false))
    }

    pub async fn accept_connection(&self, user: UserId) -> Attempt {
        let outcome = match self.connection_accept(user).await {
            Err(error) if error.is_refused() && self.is_connected_with(user).await => Ok(()),
            other => other,
        };
        self.settled(outcome)
    }

    async fn is_connected_with(&self, user: UserId) -> bool {
        matches!(self.connections("ACCEPTED").await, Ok(all) if all.iter().any(|c| c.user_id == Some(user.0)))
    }

    // ---- Look-ups ----

    /// Was the line of this effect posted? `Absent` only after two looks that both missed it.
    pub async fn find_posted(&self, place: &Place, id: &EffectId) -> LookUp {
        for look in 0..2 {
            if look > 0 {
                tokio::time::sleep(SECOND_LOOK).await;
            }
            match self.posted(place, id).await {
                Ok(Some(message)) => return LookUp::Found { external_id: Some(message) },
                Ok(None) => {}
                Err(error) => return cannot_tell(&error),
            }
        }
        LookUp::Absent
    }

    async fn posted(&self, place: &Place, id: &EffectId) -> Result<Option<String>, CallError> {
        let (me, since) = (self.my_id().await?, self.clock.now() - LOOK_BACK);
        // Nobody to write to: nothing can have been posted.
        let Some(stream) = self.stream_of(place).await? else { return Ok(None) };
        let history = self.whole_history(&stream, since).await?;
        let messages = history.iter().filter_map(|raw| serde_json::from_str::<PostedMessage>(raw.get()).ok());
        let ours =
            |message: &PostedMessage| message.user.as_ref().and_then(|u| u.user_id) == Some(me.0) && bears_key(message, id);
        Ok(messages.filter(ours).find_map(|message| message.message_id).map(|id| url_safe(&id)))
    }

    /// `Found` only if the room stands with all its people; what is there in part is `Absent`, for opening it again completes it.
    pub async fn find_room(&self, open: &OpenRoom) -> LookUp {
        for look in 0..2 {
            if look > 0 {
                tokio::time::sleep(SECOND_LOOK).await;
            }
            match self.room_and_whether_complete(open).await {
                Ok(Some((stream, true))) => return LookUp::Found { external_id: Some(stream.0) },
                Ok(Some((_, false))) => return LookUp::Absent,
                Ok(None) => {}
                Err(error) => return cannot_tell(&error),
            }
        }
        LookUp::Absent
    }

    async fn room_and_whether_complete(&self, open: &OpenRoom) -> Result<Option<(StreamId, bool)>, CallError> {
        let Some(stream) = self.room_of(open.key.as_str()).await? else { return Ok(None) };
        let present = self.members(&stream).await?;
        let owns = |user: &UserId| present.iter().any(|m| m.id == Some(user.0) && m.owner);
        let is_there = |user: &UserId| present.iter().any(|m| m.id == Some(user.0));
        Ok(Some((stream, open.owners.iter().all(owns) && open.members.iter().all(is_there))))
    }

    // ---- What an error means for an effect ----

    fn settled(&self, outcome: Result<(), CallError>) -> Attempt {
        outcome.map_or_else(|error| self.ended(error), |()| done(None))
    }

    /// After a call that changes something.
    fn ended(&self, error: CallError) -> Attempt {
        match error {
            CallError::NotSent(why) => self.not_yet(why, SOON),
            CallError::Throttled { retry_after } => self.not_yet("throttled".to_owned(), retry_after.unwrap_or(THROTTLED)),
            CallError::Refused { status, message, .. } => failed(&format!("symphony-{status}"), &message),
            CallError::Unclear(why) => Attempt::Ended(Outcome::Unknown { why }),
        }
    }

    /// After a call that changes nothing, or nothing that matters twice: an unclear end may simply be tried again.
    fn not_begun(&self, error: CallError) -> Attempt {
        match error {
            CallError::Unclear(why) => self.not_yet(why, SOON),
            certain => self.ended(certain),
        }
    }

    fn not_yet(&self, why: String, wait: Span) -> Attempt {
        Attempt::NotYet { why, not_before: self.clock.now() + wait }
    }
}

fn done(external_id: Option<String>) -> Attempt {
    Attempt::Ended(Outcome::Done { external_id })
}

fn failed(code: &str, detail: &str) -> Attempt {
    Attempt::Ended(Outcome::Failed { code: code.to_owned(), detail: detail.to_owned() })
}

fn cannot_tell(error: &CallError) -> LookUp {
    tracing::info!(%error, "a look-up brought no answer");
    LookUp::Unclear
}

fn stream_in(created: Created) -> Result<StreamId, CallError> {
    let id = created.id.ok_or_else(|| CallError::Unclear("the answer names no stream".to_owned()))?;
    Ok(StreamId(url_safe(&id)))
}

/// Anybody may give his room any keyword, so only rooms that the bot itself created count.
fn is_ours(room: &Room, key: &str, me: UserId) -> bool {
    room.key() == Some(key) && room.room_system_info.created_by_user_id.is_none_or(|by| by == me.0)
}

/// The wording of this complaint is nowhere documented; these words cover what has been seen.
fn name_is_taken(error: &CallError) -> bool {
    let CallError::Refused { status: 400 | 409, message, .. } = error else { return false };
    let message = message.to_lowercase();
    message.contains("name")
        && ["taken", "exist", "in use", "already", "unique", "duplicate"].iter().any(|word| message.contains(word))
}

fn bears_key(message: &PostedMessage, id: &EffectId) -> bool {
    let data = match &message.data {
        Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
        Some(other) => other.clone(),
        None => Value::Null,
    };
    data["liaison"]["key"].as_str() == Some(id.as_str())
}

/// The message's data with the key by which it is found again.
fn keyed(data: &Value, id: &EffectId) -> Value {
    let mut keyed = if data.is_object() { data.clone() } else { json!({}) };
    if !keyed["liaison"].is_object() {
        keyed["liaison"] = json!({"type": "liaison.message", "version": "1"});
    }
    keyed["liaison"]["key"] = json!(id);
    keyed
}

fn with_root(markup: &str) -> String {
    let trimmed = markup.trim();
    if trimmed.starts_with("<messageML") || trimmed.starts_with("<div data-format=\"PresentationML\"") {
        return trimmed.to_owned();
    }
    format!("<messageML>{markup}</messageML>")
}

fn message_form(markup: &str, data: &str) -> reqwest::multipart::Form {
    reqwest::multipart::Form::new().text("message", markup.to_owned()).text("data", data.to_owned())
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
        return Err(CallError::NotSent("the proxy wants a login".to_owned()));
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
    Some(wait.clamp(SOON, THROTTLED_MAX))
}

/// The last so many answers to a question.
struct Remembered<K, V> {
    known: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Remembered { known: HashMap::new(), order: VecDeque::new() }
    }
}

/// A memory behind a lock that is held for a moment only.
trait Memory<K, V> {
    fn recall<Q: ?Sized + Hash + Eq>(&self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>;
    fn remember(&self, key: K, value: V);
}

impl<K: Hash + Eq + Clone, V: Clone> Memory<K, V> for Mutex<Remembered<K, V>> {
    fn recall<Q: ?Sized + Hash + Eq>(&self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.lock().unwrap_or_else(PoisonError::into_inner).known.get(key).cloned()
    }

    fn remember(&self, key: K, value: V) {
        let mut memory = self.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.known.insert(key.clone(), value).is_none() {
            memory.order.push_back(key);
        }
        while memory.order.len() > REMEMBERED {
            let oldest = memory.order.pop_front().expect("the order is longer than its limit, so it is not empty");
            memory.known.remove(&oldest);
        }
    }
}
