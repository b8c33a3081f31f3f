//! The agent's HTTP calls about messages.
use axum::Json;
use axum::extract::multipart::Field;
use axum::extract::{Multipart, Path, Query, State as Shared};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::login::{AgentCaller, Caller};
use super::messages::Draft;
use super::state::Refused;
use super::{Parameters, Pod, number};

/// Messages of one answer, from the contract.
const DEFAULT_PAGE: usize = 50;
const MAX_PAGE: usize = 500;

pub async fn create(
    Shared(pod): Shared<Pod>,
    AgentCaller(user): AgentCaller,
    Path(stream): Path<String>,
    parts: Multipart,
) -> Result<Json<Value>, Refused> {
    let draft = draft(parts).await?;
    pod.act(|state| {
        let message = state.post(user, &stream, draft)?;
        Ok(Json(state.v4_message(&message)))
    })
}

pub async fn update(
    Shared(pod): Shared<Pod>,
    AgentCaller(user): AgentCaller,
    Path((stream, id)): Path<(String, String)>,
    parts: Multipart,
) -> Result<Json<Value>, Refused> {
    let draft = draft(parts).await?;
    pod.act(|state| {
        let message = state.edit(user, &stream, &id, draft)?;
        Ok(Json(state.v4_message(&message)))
    })
}

async fn draft(mut parts: Multipart) -> Result<Draft, Refused> {
    let broken = |fault: axum::extract::multipart::MultipartError| Refused { status: fault.status(), message: fault.body_text() };
    let mut draft = Draft::default();
    while let Some(part) = parts.next_field().await.map_err(broken)? {
        match part.name().unwrap_or_default() {
            "message" => draft.message = part.text().await.map_err(broken)?,
            "data" => draft.data = part.text().await.map_err(broken)?,
            "silent" => draft.silent = part.text().await.map_err(broken)?.eq_ignore_ascii_case("true"),
            "attachment" => draft.attachments.push(attachment(part).await.map_err(broken)?),
            "version" | "preview" => drop(part.bytes().await.map_err(broken)?),
            other => return Err(Refused::bad(format!("Unknown part: {other}"))),
        }
    }
    match draft.message.trim().is_empty() {
        true => Err(Refused::bad("The part \"message\" is required")),
        false => Ok(draft),
    }
}

async fn attachment(part: Field<'_>) -> Result<(String, String, usize), axum::extract::multipart::MultipartError> {
    let name = part.file_name().unwrap_or("attachment").to_string();
    let bytes = part.bytes().await?;
    Ok((name, STANDARD.encode(&bytes), bytes.len()))
}

/// The history, newest first, each message in its current version.
pub async fn list(
    Shared(pod): Shared<Pod>,
    AgentCaller(user): AgentCaller,
    Path(stream): Path<String>,
    Query(query): Query<Parameters>,
) -> Result<Response, Refused> {
    let since = query.get("since").and_then(|since| since.parse::<i64>().ok());
    let since = since.ok_or_else(|| Refused::bad("since is required, in milliseconds"))?;
    let until = match query.get("until") {
        Some(until) => until.parse().map_err(|_| Refused::bad("until is a number of milliseconds"))?,
        None => i64::MAX,
    };
    let (skip, limit) = (number(&query, "skip", 0)?, number(&query, "limit", DEFAULT_PAGE)?.min(MAX_PAGE));
    let page: Vec<Value> = pod.look(|state| {
        let history = state.history(user, &stream)?.into_iter().rev();
        let wanted = history.filter(|message| (since..=until).contains(&message.at));
        Ok::<_, Refused>(wanted.skip(skip).take(limit).map(|message| state.v4_message(message)).collect())
    })?;
    if page.is_empty() { Ok(StatusCode::NO_CONTENT.into_response()) } else { Ok(Json(page).into_response()) }
}

pub async fn one(Shared(pod): Shared<Pod>, AgentCaller(user): AgentCaller, Path(id): Path<String>) -> Result<Response, Refused> {
    pod.look(|state| {
        let shown = state.visible_message(user, &id)?.map(|message| Json(state.v4_message(message)).into_response());
        Ok(shown.unwrap_or_else(|| StatusCode::NO_CONTENT.into_response()))
    })
}

/// The bytes of an attachment as Base64 text, as the real agent gives them.
pub async fn attachment_content(
    Shared(pod): Shared<Pod>,
    AgentCaller(user): AgentCaller,
    Path(stream): Path<String>,
    Query(query): Query<Parameters>,
) -> Result<Response, Refused> {
    let (Some(file), Some(id)) = (query.get("fileId"), query.get("messageId")) else {
        return Err(Refused::bad("fileId and messageId are required"));
    };
    pod.look(|state| {
        let message = state.visible_message(user, id)?.filter(|message| message.stream == stream);
        let found = message.and_then(|message| message.attachments.iter().find(|attachment| attachment.id == *file));
        let found = found.ok_or_else(|| Refused::bad("There is no such attachment"))?;
        Ok(([(CONTENT_TYPE, "application/octet-stream")], found.base64.clone()).into_response())
    })
}

pub async fn suppress(Shared(pod): Shared<Pod>, Caller(user): Caller, Path(id): Path<String>) -> Result<Json<Value>, Refused> {
    let at = pod.act(|state| state.suppress(user, &id))?;
    Ok(Json(json!({"messageId": id, "suppressed": true, "suppressionDate": at})))
}
