//! WhatsApp's webhook: size, then signature, then elements; 200 only when every one of them is durable.
use crate::adapters::whatsapp::{Element, parse};
use crate::domain::event::Event;
use crate::ports::{Clock, Inbox, Receipt};
use aws_lc_rs::{constant_time, hmac};
use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::future::join_all;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Meta's own limit for a batch (QUALITY).
const LONGEST_BODY: usize = 3 * 1024 * 1024;
/// What is read and thrown away of a body that is too long, so that its sender can read the answer.
const LONGEST_SWALLOWED: usize = 2 * LONGEST_BODY;
/// Bodies in memory at once: 1 024 small ones, or fewer of the big, 128 MiB in all.
const MAX_BODIES: usize = 1_024;
const BODY_SHARE: usize = 128 * 1024;
/// A body of 3 MB takes less than that on any line that Meta has.
const READ_WITHIN: Duration = Duration::from_secs(15);
/// Meta gives up at some 20 s; until then the sender is better told to come again.
const KEPT_WITHIN: Duration = Duration::from_secs(10);
const SIGNATURE: &str = "x-hub-signature-256";

/// The secrets of the webhook: it cannot show itself.
pub struct WhatsAppHooks {
    pub verify_token: String,
    /// One, or two during rotation.
    pub app_secrets: Vec<String>,
}

struct Hooks {
    verify_token: String,
    keys: Vec<hmac::Key>,
    inbox: Arc<dyn Inbox>,
    clock: Arc<dyn Clock>,
    bodies: Arc<Semaphore>,
}

pub(super) fn router(hooks: WhatsAppHooks, inbox: Arc<dyn Inbox>, clock: Arc<dyn Clock>) -> Router {
    // Anybody can sign with an empty key, so it is none.
    let secrets = hooks.app_secrets.iter().filter(|secret| !secret.is_empty());
    let keys = secrets.map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())).collect();
    let bodies = Arc::new(Semaphore::new(MAX_BODIES));
    let hooks = Hooks { verify_token: hooks.verify_token, keys, inbox, clock, bodies };
    Router::new().route("/webhooks/whatsapp", get(verify).post(receive)).with_state(Arc::new(hooks))
}

#[derive(Deserialize)]
struct Verification {
    #[serde(rename = "hub.verify_token")]
    token: String,
    #[serde(rename = "hub.challenge")]
    challenge: String,
}

/// Meta asks once whether this address is ours.
async fn verify(State(hooks): State<Arc<Hooks>>, asked: Result<Query<Verification>, QueryRejection>) -> Response {
    let Ok(Query(asked)) = asked else { return StatusCode::FORBIDDEN.into_response() };
    let token = hooks.verify_token.as_bytes();
    let same = constant_time::verify_slices_are_equal(asked.token.as_bytes(), token).is_ok();
    if token.is_empty() || !same {
        return StatusCode::FORBIDDEN.into_response();
    }
    let plain = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (plain, asked.challenge).into_response()
}

async fn receive(State(hooks): State<Arc<Hooks>>, request: Request) -> Response {
    match hooks.receive(request).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(StatusCode::SERVICE_UNAVAILABLE) => (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "2")]).into_response(),
        Err(status) => status.into_response(),
    }
}

impl Hooks {
    async fn receive(&self, request: Request) -> Result<(), StatusCode> {
        let (head, body) = request.into_parts();
        let announced = announced(&head.headers);
        if announced.is_some_and(|length| length > LONGEST_BODY) {
            if !head.headers.contains_key(header::EXPECT) {
                let _ = tokio::time::timeout(READ_WITHIN, swallow(body.into_data_stream(), LONGEST_SWALLOWED)).await;
            }
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        let _share = self.share(announced)?;
        let body = tokio::time::timeout(READ_WITHIN, read(body)).await.map_err(|_| StatusCode::REQUEST_TIMEOUT)??;
        self.signature_fits(&head.headers, &body)?;
        let elements = parse(&body, self.clock.now()).map_err(|error| {
            tracing::warn!(%error, "a signed body was refused");
            StatusCode::BAD_REQUEST
        })?;
        let kept = tokio::time::timeout(KEPT_WITHIN, self.deliver(elements)).await.unwrap_or(false);
        if kept { Ok(()) } else { Err(StatusCode::SERVICE_UNAVAILABLE) }
    }

    /// A part of the memory for bodies, taken before the first byte is read.
    fn share(&self, announced: Option<usize>) -> Result<OwnedSemaphorePermit, StatusCode> {
        let shares = announced.unwrap_or(LONGEST_BODY).div_ceil(BODY_SHARE).max(1);
        let shares = u32::try_from(shares).expect("a body within the limit has few shares");
        self.bodies.clone().try_acquire_many_owned(shares).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
    }

    fn signature_fits(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), StatusCode> {
        let fits = signature(headers).is_some_and(|tag| self.keys.iter().any(|key| hmac::verify(key, body, &tag).is_ok()));
        if fits {
            return Ok(());
        }
        metrics::counter!("liaison_signature_failures_total", "provider" => "whatsapp").increment(1);
        tracing::debug!(bytes = body.len(), "a webhook without a good signature was refused");
        Err(StatusCode::UNAUTHORIZED)
    }

    /// True when every element is durable. One person's elements go in order, different people's at the same time.
    async fn deliver(&self, mut elements: Vec<Element>) -> bool {
        match elements.len() {
            0 => true,
            1 => {
                let element = elements.pop().expect("there is exactly one element");
                self.inbox.deliver(element.event).await == Receipt::Kept
            }
            _ => join_all(by_sender(elements).into_iter().map(|events| self.deliver_in_order(events)))
                .await
                .into_iter()
                .all(|kept| kept),
        }
    }

    /// Stops at the first that was not kept: what comes after it must not overtake it.
    async fn deliver_in_order(&self, events: Vec<Event>) -> bool {
        for event in events {
            if self.inbox.deliver(event).await != Receipt::Kept {
                return false;
            }
        }
        true
    }
}

fn by_sender(elements: Vec<Element>) -> Vec<Vec<Event>> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut senders: Vec<Vec<Event>> = Vec::new();
    for Element { event, sender } in elements {
        let place = *places.entry(sender).or_insert(senders.len());
        match senders.get_mut(place) {
            Some(events) => events.push(event),
            None => senders.push(vec![event]),
        }
    }
    senders
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The one signature of the request. Two are as bad as none: which of them would count?
fn signature(headers: &HeaderMap) -> Option<[u8; 32]> {
    let mut all = headers.get_all(SIGNATURE).iter();
    let (Some(only), None) = (all.next(), all.next()) else { return None };
    let mut tag = [0; 32];
    hex::decode_to_slice(only.as_bytes().strip_prefix(b"sha256=")?, &mut tag).ok()?;
    Some(tag)
}

/// The whole body; most come as one piece, which is not copied.
async fn read(body: Body) -> Result<Bytes, StatusCode> {
    let mut pieces = body.into_data_stream();
    let Some(first) = piece(&mut pieces).await? else { return Ok(Bytes::new()) };
    let Some(second) = piece(&mut pieces).await? else { return within_limit(first) };
    let mut whole = BytesMut::from(first);
    let mut next = Some(second);
    while let Some(bytes) = next {
        whole.extend_from_slice(&bytes);
        if whole.len() > LONGEST_BODY {
            swallow(pieces, LONGEST_SWALLOWED - LONGEST_BODY).await;
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        next = piece(&mut pieces).await?;
    }
    Ok(whole.freeze())
}

fn within_limit(body: Bytes) -> Result<Bytes, StatusCode> {
    if body.len() > LONGEST_BODY { Err(StatusCode::PAYLOAD_TOO_LARGE) } else { Ok(body) }
}

async fn piece(pieces: &mut BodyDataStream) -> Result<Option<Bytes>, StatusCode> {
    pieces.next().await.transpose().map_err(|_| StatusCode::BAD_REQUEST)
}

async fn swallow(mut pieces: BodyDataStream, limit: usize) {
    let mut swallowed = 0;
    while swallowed <= limit {
        match pieces.next().await {
            Some(Ok(piece)) => swallowed += piece.len(),
            Some(Err(_)) | None => return,
        }
    }
}
