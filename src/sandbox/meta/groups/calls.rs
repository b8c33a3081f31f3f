//! The paths of the Groups API, and what is ordered to go wrong with them.
use super::super::errors::GraphError;
use super::super::graph::{Queried, address, chosen, is_version, lose, parsed, sent_file};
use super::super::trouble::GroupTrouble;
use super::super::{Inner, Meta};
use super::acts::Twisted;
use axum::body::Bytes;
use axum::extract::{FromRequest, Multipart, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use axum::{Json, Router};
use serde_json::Value;

type Named = Path<(String, String)>;

pub(in super::super) fn routes() -> Router<Meta> {
    Router::new()
        .route("/{version}/{id}/groups", get(list).post(create))
        .route("/{version}/{id}/invite_link", get(link).post(new_link))
        .route("/{version}/{id}/join_requests", get(requests).post(approve).delete(reject))
        .route("/{version}/{id}/participants", delete(remove))
}

/// What a call answers: with 206 where only a part of it went well.
pub(super) struct Answered(pub StatusCode, pub Value);

impl Answered {
    pub fn well(value: Value) -> Result<Answered, GraphError> {
        Ok(Answered(StatusCode::OK, value))
    }
}

type Outcome = Result<Answered, GraphError>;

/// Does it, unless something else is ordered; `told` calls are followed by a webhook, which may be twisted.
fn with_trouble(meta: &Meta, version: &str, told: bool, act: impl FnOnce(&Inner, Twisted) -> Outcome) -> Response {
    if !is_version(version) {
        return GraphError::unknown_object(version).into_response();
    }
    if !meta.inner.habits().groups {
        return not_eligible().into_response();
    }
    let trouble = meta.inner.world().troubles.next_group(told);
    let answer = |twisted| match act(&meta.inner, twisted) {
        Ok(Answered(status, value)) => (status, Json(value)).into_response(),
        Err(error) => error.into_response(),
    };
    match trouble {
        None => answer(Twisted::No),
        Some(GroupTrouble::Refusal(error)) => error.into_response(),
        Some(GroupTrouble::LostAnswer) => lose(answer(Twisted::No)),
        Some(GroupTrouble::Hook(twisted)) => answer(twisted),
    }
}

pub(super) fn not_eligible() -> GraphError {
    GraphError::new(131215, "The business is not eligible for the Groups API")
}

fn body(body: &[u8]) -> Result<Value, GraphError> {
    let request = parsed(body)?;
    match request["messaging_product"].as_str() {
        Some("whatsapp") => Ok(request),
        _ => Err(GraphError::new(100, "The parameter messaging_product is required.")),
    }
}

async fn list(State(meta): State<Meta>, Path(path): Named, Query(query): Queried, headers: HeaderMap) -> Response {
    with_trouble(&meta, &path.0, false, |inner, _| {
        inner.is_line(&path)?;
        Answered::well(inner.list_groups(&format!("{}/{}/{}/groups", address(&headers), path.0, path.1), &query)?)
    })
}

async fn create(State(meta): State<Meta>, Path(path): Named, sent: Bytes) -> Response {
    with_trouble(&meta, &path.0, true, |inner, twisted| {
        inner.is_line(&path)?;
        Answered::well(inner.create_group(&body(&sent)?, twisted)?)
    })
}

/// `GET /{group}`; without fields there is the id only.
pub(in super::super) fn group(meta: &Meta, path: &(String, String), fields: Option<&String>) -> Response {
    let none = "id".to_owned();
    with_trouble(meta, &path.0, false, |inner, _| {
        Answered::well(chosen(inner.group_object(&path.1)?, Some(fields.unwrap_or(&none))))
    })
}

/// `POST /{group}`: its words as JSON, its picture in a form.
pub(in super::super) async fn change(State(meta): State<Meta>, Path((version, id)): Named, request: Request) -> Response {
    if is_form(&request) {
        let sent = sent_file(Multipart::from_request(request, &()).await).await;
        return with_trouble(&meta, &version, true, |inner, twisted| Answered::well(inner.picture_group(&id, sent?, twisted)?));
    }
    match Bytes::from_request(request, &()).await {
        Err(refused) => refused.into_response(),
        Ok(sent) => with_trouble(&meta, &version, true, |inner, twisted| {
            Answered::well(inner.change_group(&id, &body(&sent)?, twisted)?)
        }),
    }
}

fn is_form(request: &Request) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("multipart/form-data"))
}

/// `DELETE /{group}`.
pub(in super::super) fn delete_group(meta: &Meta, (version, id): &(String, String)) -> Response {
    with_trouble(meta, version, true, |inner, twisted| Answered::well(inner.delete_group(id, twisted)?))
}

async fn link(State(meta): State<Meta>, Path((version, id)): Named) -> Response {
    with_trouble(&meta, &version, false, |inner, _| Answered::well(inner.group_link(&id, false)?))
}

async fn new_link(State(meta): State<Meta>, Path((version, id)): Named, sent: Bytes) -> Response {
    with_trouble(&meta, &version, false, |inner, _| {
        body(&sent)?;
        Answered::well(inner.group_link(&id, true)?)
    })
}

async fn requests(State(meta): State<Meta>, Path((version, id)): Named) -> Response {
    with_trouble(&meta, &version, false, |inner, _| Answered::well(inner.join_requests(&id)?))
}

async fn approve(State(meta): State<Meta>, Path((version, id)): Named, sent: Bytes) -> Response {
    with_trouble(&meta, &version, true, |inner, twisted| inner.approve(&id, &body(&sent)?, twisted))
}

/// A rejection is told by no webhook.
async fn reject(State(meta): State<Meta>, Path((version, id)): Named, sent: Bytes) -> Response {
    with_trouble(&meta, &version, false, |inner, _| inner.reject(&id, &body(&sent)?))
}

async fn remove(State(meta): State<Meta>, Path((version, id)): Named, sent: Bytes) -> Response {
    with_trouble(&meta, &version, true, |inner, twisted| inner.remove_participants(&id, &body(&sent)?, twisted))
}
