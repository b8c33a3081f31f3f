//! Users and the connections between them.
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::login::Caller;
use super::state::{Connection, ConnectionStatus, Refused, State, User};
use super::{Parameters, Pod, flag, parse};

/// Users in one look-up, from the contract.
const MAX_LOOKUP: usize = 100;

impl User {
    /// UserV2; fields without a value are left out.
    pub fn v2(&self) -> Value {
        let kind = if self.service { "SYSTEM" } else { "NORMAL" };
        let mut user = json!({"id": self.id, "emailAddress": self.email, "firstName": self.first, "lastName": self.last,
            "displayName": self.display_name(), "company": "Sandbox", "username": self.username, "accountType": kind,
            "avatars": [], "roles": ["INDIVIDUAL"]});
        if let Some(fields) = user.as_object_mut() {
            fields.retain(|_, value| value != "");
        }
        user
    }
}

pub async fn session_info(Shared(pod): Shared<Pod>, Caller(user): Caller) -> Result<Json<Value>, Refused> {
    pod.look(|state| state.user(user).map(|user| Json(user.v2())))
}

pub async fn look_up(Shared(pod): Shared<Pod>, Caller(_): Caller, Query(query): Query<Parameters>) -> Result<Response, Refused> {
    let given: Vec<_> = ["uid", "email", "username"].into_iter().filter(|key| query.contains_key(*key)).collect();
    let [key] = given[..] else {
        return Err(Refused::bad("Exactly one of uid, email and username must be given"));
    };
    if key == "username" && flag(&query, "local")? != Some(true) {
        return Err(Refused::bad("username can only be searched with local=true"));
    }
    let wanted: Vec<&str> = query[key].split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
    if wanted.is_empty() || wanted.len() > MAX_LOOKUP {
        return Err(Refused::bad(format!("Between 1 and {MAX_LOOKUP} users can be looked up")));
    }
    let (users, errors) = pod.look(|state| state.find_users(key, &wanted));
    if users.is_empty() && errors.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok(Json(json!({"users": users, "errors": errors})).into_response())
}

impl State {
    fn find_users(&self, key: &str, wanted: &[&str]) -> (Vec<Value>, Vec<Value>) {
        let (mut users, mut errors) = (Vec::new(), Vec::new());
        for item in wanted {
            let found = match key {
                "uid" => match item.parse() {
                    Ok(id) => self.users.get(&id),
                    Err(_) => {
                        errors.push(json!({"error": "invalid.format", "id": item}));
                        None
                    }
                },
                "email" if !item.contains('@') => {
                    errors.push(json!({"error": "invalid.format", "email": item}));
                    None
                }
                "email" => self.user_by_email(item),
                _ => self.user_by_username(item),
            };
            users.extend(found.map(User::v2));
        }
        (users, errors)
    }

    fn connection_between(&self, one: u64, other: u64) -> Option<&Connection> {
        self.connections.get(&(one, other)).or_else(|| self.connections.get(&(other, one)))
    }

    pub fn request_connection(&mut self, user: u64, other: u64) -> Result<Value, Refused> {
        self.user(other)?;
        if user == other {
            return Err(Refused::bad("A user cannot connect to himself"));
        }
        let old = self.connection_between(user, other).cloned();
        if let Some(old) = old.as_ref().filter(|old| old.status != ConnectionStatus::Rejected) {
            return Ok(shown(old, user));
        }
        let at = self.tick();
        let (first, requests) = old.map_or((at, 0), |old| (old.first, old.requests));
        let new =
            Connection { from: user, to: other, status: ConnectionStatus::Pending, first, updated: at, requests: requests + 1 };
        self.connections.remove(&(other, user));
        self.put_connection(new.clone());
        self.emit_connection(user, other, false);
        Ok(shown(&new, user))
    }

    fn answer_connection(&mut self, user: u64, other: u64, status: ConnectionStatus) -> Result<Value, Refused> {
        self.user(other)?;
        let found = self.connections.get(&(other, user)).cloned();
        let missing = || Refused { status: StatusCode::NOT_FOUND, message: "There is no such connection request".to_string() };
        let mut connection = found.ok_or_else(missing)?;
        if connection.status == status {
            return Ok(shown(&connection, user));
        }
        connection.status = status;
        connection.updated = self.tick();
        self.put_connection(connection.clone());
        if status == ConnectionStatus::Accepted {
            self.emit_connection(user, other, true);
        }
        Ok(shown(&connection, user))
    }
}

/// UserConnection as this user sees it.
fn shown(connection: &Connection, user: u64) -> Value {
    let mine = connection.from == user;
    let other = if mine { connection.to } else { connection.from };
    json!({"userId": other, "status": status_for(connection, mine), "firstRequestedAt": connection.first,
        "updatedAt": connection.updated, "requestCounter": connection.requests})
}

fn status_for(connection: &Connection, mine: bool) -> &'static str {
    match (connection.status, mine) {
        (ConnectionStatus::Pending, true) => "PENDING_OUTGOING",
        (ConnectionStatus::Pending, false) => "PENDING_INCOMING",
        (ConnectionStatus::Accepted, _) => "ACCEPTED",
        (ConnectionStatus::Rejected, _) => "REJECTED",
    }
}

pub async fn connections(
    Shared(pod): Shared<Pod>,
    Caller(user): Caller,
    Query(query): Query<Parameters>,
) -> Result<Json<Value>, Refused> {
    let status = query.get("status").map_or("ALL", String::as_str);
    if !["ALL", "PENDING_INCOMING", "PENDING_OUTGOING", "ACCEPTED", "REJECTED"].contains(&status) {
        return Err(Refused::bad(format!("Invalid status: {status}")));
    }
    let only: Option<Vec<&str>> = query.get("userIds").map(|ids| ids.split(',').map(str::trim).collect());
    pod.look(|state| {
        let mine = state.connections.values().filter(|connection| connection.from == user || connection.to == user);
        let all = mine.map(|connection| shown(connection, user));
        let wanted = all.filter(|connection| {
            let listed = only.as_ref().is_none_or(|only| only.contains(&connection["userId"].to_string().as_str()));
            listed && (status == "ALL" || connection["status"] == status)
        });
        Ok(Json(wanted.collect()))
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ConnectionRequest {
    user_id: u64,
}

pub async fn connect(Shared(pod): Shared<Pod>, Caller(user): Caller, body: Bytes) -> Result<Json<Value>, Refused> {
    let request: ConnectionRequest = parse(&body)?;
    pod.act(|state| state.request_connection(user, request.user_id)).map(Json)
}

pub async fn accept(Shared(pod): Shared<Pod>, Caller(user): Caller, body: Bytes) -> Result<Json<Value>, Refused> {
    let request: ConnectionRequest = parse(&body)?;
    pod.act(|state| state.answer_connection(user, request.user_id, ConnectionStatus::Accepted)).map(Json)
}

pub async fn reject(Shared(pod): Shared<Pod>, Caller(user): Caller, body: Bytes) -> Result<Json<Value>, Refused> {
    let request: ConnectionRequest = parse(&body)?;
    pod.act(|state| state.answer_connection(user, request.user_id, ConnectionStatus::Rejected)).map(Json)
}
