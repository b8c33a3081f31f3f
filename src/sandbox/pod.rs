//! A Symphony pod, agent and key manager on loopback: real calls, real refusals, real feeds.
mod events;
mod feed;
mod journal;
mod login;
mod markup;
mod message_calls;
mod messages;
mod people;
mod room_calls;
mod rooms;
mod socket;
mod state;
mod view;
pub(in crate::sandbox) mod xml;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Json;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::sandbox::NowMs;
use state::{Refused, State};
pub use view::type_of;

/// A message with 30 MB of attachments and its wrapping.
const MAX_MESSAGE_BODY: usize = 31 * 1024 * 1024;
/// Any other request.
const MAX_BODY: usize = 1024 * 1024;

/// Query parameters as they came.
type Parameters = HashMap<String, String>;

/// The pod; clones share one state.
#[derive(Clone)]
pub struct Pod {
    inner: Arc<Inner>,
}

struct Inner {
    now: NowMs,
    state: Mutex<State>,
    changes: watch::Sender<u64>,
}

impl Pod {
    /// A pod on the sandbox's clock; with a folder it finds its state again and keeps it.
    pub fn open(now: NowMs, dir: Option<PathBuf>) -> io::Result<Pod> {
        let mut state = State::default();
        if let Some(dir) = dir {
            journal::open(&mut state, &dir)?;
        }
        Ok(Pod { inner: Arc::new(Inner { now, state: Mutex::new(state), changes: watch::Sender::new(0) }) })
    }

    /// All HTTP calls and the websocket.
    pub fn router(&self) -> Router {
        let messages = Router::new()
            .route("/agent/v4/stream/{sid}/message/create", post(message_calls::create))
            .route("/agent/v4/stream/{sid}/message/{mid}/update", post(message_calls::update))
            .layer(DefaultBodyLimit::max(MAX_MESSAGE_BODY));
        let others = pod_calls().merge(agent_calls()).layer(DefaultBodyLimit::max(MAX_BODY));
        messages.merge(others).layer(from_fn_with_state(self.clone(), login::troubles)).with_state(self.clone())
    }

    /// Bumped on every change.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// One act: what it changed is written down before its result is known to anybody.
    fn act<T>(&self, act: impl FnOnce(&mut State) -> Result<T, Refused>) -> Result<T, Refused> {
        let mut state = self.lock();
        let result = act(&mut state);
        let written = state.write_out();
        let changed = std::mem::take(&mut state.changed);
        drop(state);
        if changed {
            self.inner.changes.send_modify(|count| *count += 1);
        }
        let failed = |fault: io::Error| Refused { status: StatusCode::INTERNAL_SERVER_ERROR, message: fault.to_string() };
        written.map_err(failed).and(result)
    }

    /// A look at the state, or a change to what is not kept (tokens, troubles).
    fn look<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in one call must not take the whole sandbox down with it.
        let mut state = self.inner.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.now = (self.inner.now)();
        state
    }
}

fn pod_calls() -> Router<Pod> {
    Router::new()
        .route("/login/pubkey/authenticate", post(login::session_token))
        .route("/relay/pubkey/authenticate", post(login::key_manager_token))
        .route("/pod/v2/sessioninfo", get(people::session_info))
        .route("/pod/v3/users", get(people::look_up))
        .route("/pod/v1/connection/list", get(people::connections))
        .route("/pod/v1/connection/create", post(people::connect))
        .route("/pod/v1/connection/accept", post(people::accept))
        .route("/pod/v1/connection/reject", post(people::reject))
        .route("/pod/v1/im/create", post(room_calls::create_im))
        .route("/pod/v3/room/create", post(room_calls::create))
        .route("/pod/v3/room/search", post(room_calls::search))
        .route("/pod/v3/room/{id}/update", post(room_calls::update))
        .route("/pod/v3/room/{id}/info", get(room_calls::info))
        .route("/pod/v1/room/{id}/setActive", post(room_calls::set_active))
        .route("/pod/v2/room/{id}/membership/list", get(room_calls::members))
        .route("/pod/v1/room/{id}/membership/{change}", post(room_calls::change_member))
        .route("/pod/v1/streams/list", post(room_calls::streams))
        .route("/pod/v2/streams/{sid}/info", get(room_calls::stream_info))
        .route("/pod/v1/admin/messagesuppression/{id}/suppress", post(message_calls::suppress))
}

fn agent_calls() -> Router<Pod> {
    Router::new()
        .route("/agent/v1/info", get(agent_info))
        .route("/agent/v3/health", get(health))
        .route("/agent/v3/health/extended", get(extended_health))
        .route("/agent/v4/stream/{sid}/message", get(message_calls::list))
        .route("/agent/v1/message/{id}", get(message_calls::one))
        .route("/agent/v1/stream/{sid}/attachment", get(message_calls::attachment_content))
        .route("/agent/v5/datafeeds", get(feed::list).post(feed::create))
        .route("/agent/v5/datafeeds/ws", get(socket::upgrade))
        .route("/agent/v5/datafeeds/{id}/read", post(feed::read))
        .route("/agent/v5/datafeeds/{id}", delete(feed::delete))
}

async fn agent_info() -> Json<Value> {
    Json(json!({"ipAddress": "127.0.0.1", "hostname": "localhost", "serverFqdn": "http://localhost",
        "version": "Agent-25.10.1-Linux-sandbox", "url": "http://localhost/agent", "onPrem": true, "mt": false,
        "commitId": "sandbox"}))
}

async fn health() -> Json<Value> {
    Json(json!({"status": "UP"}))
}

async fn extended_health() -> Json<Value> {
    let up = json!({"status": "UP", "version": "25.10.1"});
    let user = json!({"authType": "RSA", "status": "UP"});
    Json(json!({"services": {"pod": up, "key_manager": up, "datafeed": up}, "status": "UP",
        "users": {"agentservice": user, "ceservice": user}, "version": "25.10.1"}))
}

/// A JSON body with known fields only, as the real pod insists.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|fault| Refused::bad(format!("Invalid request body: {fault}")))
}

fn number(query: &Parameters, name: &str, default: usize) -> Result<usize, Refused> {
    let given = query.get(name).filter(|text| !text.is_empty());
    given.map_or(Ok(default), |text| text.parse().map_err(|_| Refused::bad(format!("{name} is not a number: {text}"))))
}

fn flag(query: &Parameters, name: &str) -> Result<Option<bool>, Refused> {
    let parsed = query.get(name).map(|text| text.to_lowercase().parse());
    parsed.transpose().map_err(|_| Refused::bad(format!("{name} is neither true nor false")))
}
