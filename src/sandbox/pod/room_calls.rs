//! The pod's HTTP calls about conversations.
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::login::Caller;
use super::rooms::RoomRequest;
use super::state::{Refused, State, Stream, StreamKind};
use super::{Parameters, Pod, flag, number, parse};

/// Rooms of one search, from the contract.
const MAX_FOUND: usize = 100;
const DEFAULT_PAGE: usize = 50;

type Answer = Result<Json<Value>, Refused>;

pub async fn create_im(Shared(pod): Shared<Pod>, Caller(user): Caller, body: Bytes) -> Answer {
    let mut users: Vec<u64> = parse(&body)?;
    users.retain(|id| *id != user);
    users.dedup();
    let [other] = users[..] else {
        return Err(Refused::bad("An IM is between the caller and exactly one other user"));
    };
    pod.act(|state| state.im(user, other)).map(|id| Json(json!({"id": id})))
}

pub async fn create(Shared(pod): Shared<Pod>, Caller(user): Caller, body: Bytes) -> Answer {
    let request: RoomRequest = parse(&body)?;
    pod.act(|state| {
        let id = state.create_room(user, request)?;
        Ok(Json(state.room(&id)?.v3()))
    })
}

pub async fn update(Shared(pod): Shared<Pod>, Caller(user): Caller, Path(id): Path<String>, body: Bytes) -> Answer {
    let request: RoomRequest = parse(&body)?;
    pod.act(|state| {
        state.update_room(user, &id, request)?;
        Ok(Json(state.room(&id)?.v3()))
    })
}

pub async fn info(Shared(pod): Shared<Pod>, Caller(user): Caller, Path(id): Path<String>) -> Answer {
    pod.look(|state| Ok(Json(state.visible_room(&id, user)?.v3())))
}

pub async fn set_active(
    Shared(pod): Shared<Pod>,
    Caller(user): Caller,
    Path(id): Path<String>,
    Query(query): Query<Parameters>,
) -> Answer {
    let active = flag(&query, "active")?.ok_or_else(|| Refused::bad("active is required"))?;
    pod.act(|state| {
        state.set_active(user, &id, active)?;
        Ok(Json(state.room(&id)?.v1()))
    })
}

pub async fn members(Shared(pod): Shared<Pod>, Caller(user): Caller, Path(id): Path<String>) -> Answer {
    pod.look(|state| {
        let members = state.visible_room(&id, user)?.members.iter();
        Ok(Json(members.map(|member| json!({"id": member.id, "owner": member.owner, "joinDate": member.joined})).collect()))
    })
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct UserId {
    id: u64,
}

pub async fn change_member(
    Shared(pod): Shared<Pod>,
    Caller(user): Caller,
    Path((id, change)): Path<(String, String)>,
    body: Bytes,
) -> Result<Response, Refused> {
    let UserId { id: target } = parse(&body)?;
    let done = pod.act(|state| match change.as_str() {
        "add" => state.add_member(user, &id, target).map(Some),
        "remove" => state.remove_member(user, &id, target).map(Some),
        "promoteOwner" => state.set_owner(user, &id, target, true).map(Some),
        "demoteOwner" => state.set_owner(user, &id, target, false).map(Some),
        _ => Ok(None),
    })?;
    Ok(match done {
        Some(message) => Json(json!({"format": "TEXT", "message": message})).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    })
}

/// V2RoomSearchCriteria.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Criteria {
    query: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    search_fields: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    active: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    private: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    creator: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sort_order: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_type: Option<String>,
}

impl Criteria {
    fn fit(&self, stream: &Stream) -> bool {
        let id = |person: &Option<UserId>| person.as_ref().map(|person| person.id);
        self.active.is_none_or(|active| active == stream.active)
            && self.private.is_none_or(|private| private != stream.room.public)
            && id(&self.owner).is_none_or(|owner| stream.owned_by(owner))
            && id(&self.creator).is_none_or(|creator| creator == stream.created_by)
            && id(&self.member).is_none_or(|member| stream.member(member).is_some())
            && self.labels.as_ref().is_none_or(|labels| {
                let keys: Vec<_> = stream.room.keywords.iter().map(|keyword| &keyword.key).collect();
                labels.is_empty() || labels.iter().any(|label| keys.contains(&label))
            })
            && self.text_fits(stream)
    }

    fn text_fits(&self, stream: &Stream) -> bool {
        let wanted = self.query.trim().to_lowercase();
        let chosen = |field: &str| match &self.search_fields {
            Some(fields) if !fields.is_empty() => fields.iter().any(|name| name == field),
            Some(_) | None => true,
        };
        let room = &stream.room;
        let mut texts = vec![("name", &room.name), ("description", &room.description)];
        texts.extend(room.keywords.iter().map(|keyword| ("keywords_key", &keyword.key)));
        texts.extend(room.keywords.iter().map(|keyword| ("keywords_value", &keyword.value)));
        texts.iter().any(|(field, text)| chosen(field) && text.to_lowercase().contains(&wanted))
    }
}

pub async fn search(Shared(pod): Shared<Pod>, Caller(user): Caller, Query(query): Query<Parameters>, body: Bytes) -> Answer {
    let criteria: Criteria = parse(&body)?;
    let (skip, limit) = (number(&query, "skip", 0)?, number(&query, "limit", DEFAULT_PAGE)?);
    if limit > MAX_FOUND {
        return Err(Refused::bad(format!("limit is at most {MAX_FOUND}")));
    }
    pod.look(|state| {
        // Private rooms are found by their members only; public ones and discoverable ones by everybody.
        let seen = |stream: &&Stream| stream.member(user).is_some() || stream.room.public || stream.room.discoverable;
        let rooms = state.streams.values().filter(|stream| stream.kind == StreamKind::Room).filter(seen);
        let mut found: Vec<&Stream> = rooms.filter(|stream| criteria.fit(stream)).collect();
        found.sort_by_key(|stream| stream.created);
        let page: Vec<Value> = found.iter().skip(skip).take(limit).map(|stream| stream.v3()).collect();
        Ok(Json(json!({"count": found.len(), "skip": skip, "limit": limit, "query": criteria, "rooms": page,
            "facetedMatchCount": []})))
    })
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct StreamFilter {
    stream_types: Option<Vec<StreamType>>,
    include_inactive_streams: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StreamType {
    #[serde(rename = "type")]
    kind: String,
}

impl StreamFilter {
    fn fits(&self, stream: &Stream) -> bool {
        let types = self.stream_types.as_ref().filter(|types| !types.is_empty());
        let kind = types.is_none_or(|types| types.iter().any(|wanted| wanted.kind == stream.kind.name()));
        kind && (stream.active || self.include_inactive_streams == Some(true))
    }
}

pub async fn streams(
    Shared(pod): Shared<Pod>,
    Caller(user): Caller,
    Query(query): Query<Parameters>,
    body: Bytes,
) -> Result<Response, Refused> {
    let filter: StreamFilter = if body.is_empty() { StreamFilter::default() } else { parse(&body)? };
    let (skip, limit) = (number(&query, "skip", 0)?, number(&query, "limit", DEFAULT_PAGE)?);
    let page: Vec<Value> = pod.look(|state| {
        let mine = state.streams.values().filter(|stream| stream.member(user).is_some() && filter.fits(stream));
        let mut mine: Vec<&Stream> = mine.collect();
        mine.sort_by_key(|stream| stream.created);
        mine.iter().skip(skip).take(limit).map(|stream| stream.listed()).collect()
    });
    if page.is_empty() { Ok(StatusCode::NO_CONTENT.into_response()) } else { Ok(Json(page).into_response()) }
}

pub async fn stream_info(Shared(pod): Shared<Pod>, Caller(user): Caller, Path(id): Path<String>) -> Answer {
    pod.look(|state: &mut State| {
        let stream = state.stream(&id)?;
        if stream.member(user).is_none() && !stream.room.public {
            return Err(Refused::forbidden("The user is not a member of this conversation"));
        }
        let mut shown = stream.listed();
        shown["origin"] = json!("INTERNAL");
        shown["lastMessageDate"] = json!(stream.last_message.max(stream.created));
        Ok(Json(shown))
    })
}

impl Stream {
    /// StreamAttributes.
    fn listed(&self) -> Value {
        let mut shown =
            json!({"id": self.id, "crossPod": false, "active": self.active, "streamType": {"type": self.kind.name()}});
        match self.kind {
            StreamKind::Room => shown["roomAttributes"] = json!({"name": self.room.name}),
            StreamKind::Im => {
                let members: Vec<u64> = self.members.iter().map(|member| member.id).collect();
                shown["streamAttributes"] = json!({"members": members});
            }
        }
        shown
    }
}
