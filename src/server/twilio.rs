//! Twilio's webhooks: size, then signature, then what they tell; answered in TwiML once it is durable. And the files that
//! Twilio comes for.
use crate::adapters::twilio::twiml::{self, Spoken};
use crate::adapters::twilio::webhook::{self, Arrived, NotAWebhook, Step};
use crate::adapters::twilio::wire::{Form, is_withheld};
use crate::adapters::twilio::{Keys, Signed, Twilio};
use crate::adapters::vault::Vault;
use crate::domain::event::Event;
use crate::domain::ids::{MediaId, Phone};
use crate::domain::media::Media;
use crate::ports::{Clock, Inbox, Receipt, Store};
use axum::Router;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path as Segment, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// 1 600 characters, each of four bytes written as "%F0%9F%98%80", are 19 kB; ten addresses of files and forty further
/// parameters make less than ten more. This is twice of all that.
const LONGEST_BODY: usize = 64 * 1024;
/// Bodies in memory at once, 32 MiB in all.
const MAX_BODIES: usize = 512;
/// Twilio sends such a body in one packet or two, and gives up after 15 s itself.
const READ_WITHIN: Duration = Duration::from_secs(10);
/// Below the 15 s after which Twilio gives up; until then it is better told.
const KEPT_WITHIN: Duration = Duration::from_secs(8);
/// A caller has hung up already when we have to ask whose call it was.
const ASKED_WITHIN: Duration = Duration::from_secs(5);
const SIGNATURE: &str = "x-twilio-signature";
const SETTINGS: &str = "x-twilio-webhooks-signature-settings";
const FORM: &str = "application/x-www-form-urlencoded";
const VOICE: &str = "/webhooks/twilio/voice";

/// What the webhooks need. It holds secrets, so it cannot show itself.
pub struct TwilioHooks {
    pub account_sid: String,
    /// One, or two during rotation.
    pub auth_tokens: Vec<String>,
    /// When set, what the tokens sign counts no more.
    pub shared_key: Option<String>,
    /// As Twilio calls us: what it signs begins with this.
    pub public_url: String,
    /// Our numbers, each with the phone to which its calls go.
    pub lines: Vec<(Phone, Option<Phone>)>,
    pub spoken: Spoken,
    pub twilio: Arc<Twilio>,
    pub store: Arc<dyn Store>,
    pub vault: Arc<Vault>,
}

struct Hooks {
    given: TwilioHooks,
    keys: Keys,
    inbox: Arc<dyn Inbox>,
    clock: Arc<dyn Clock>,
    bodies: Arc<Semaphore>,
}

pub(super) fn router(mut given: TwilioHooks, inbox: Arc<dyn Inbox>, clock: Arc<dyn Clock>) -> Router {
    let keys = Keys::new(&given.auth_tokens, given.shared_key.as_deref());
    given.public_url.truncate(given.public_url.trim_end_matches('/').len());
    let hooks = Hooks { given, keys, inbox, clock, bodies: Arc::new(Semaphore::new(MAX_BODIES)) };
    Router::new()
        .route("/webhooks/twilio/sms", post(sms))
        .route("/webhooks/twilio/status", post(status))
        .route(VOICE, post(voice))
        .route("/media/{file}", get(file))
        .with_state(Arc::new(hooks))
}

async fn sms(State(hooks): State<Arc<Hooks>>, request: Request) -> Response {
    answered(hooks.sms(request).await)
}

async fn status(State(hooks): State<Arc<Hooks>>, request: Request) -> Response {
    answered(hooks.status(request).await)
}

async fn voice(State(hooks): State<Arc<Hooks>>, request: Request) -> Response {
    answered(hooks.voice(request).await)
}

fn answered(answer: Result<String, StatusCode>) -> Response {
    match answer {
        Ok(twiml) => ([(header::CONTENT_TYPE, "text/xml; charset=utf-8")], twiml).into_response(),
        Err(StatusCode::SERVICE_UNAVAILABLE) => (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "2")]).into_response(),
        Err(status) => status.into_response(),
    }
}

#[derive(Deserialize)]
struct Key {
    key: String,
}

/// A file that goes out with a message, for as long as its address lasts. Whatever is wrong, nothing is said of it.
async fn file(
    State(hooks): State<Arc<Hooks>>,
    Segment(file): Segment<String>,
    key: Result<Query<Key>, QueryRejection>,
) -> Response {
    match key {
        Ok(Query(Key { key })) if hooks.given.twilio.opens(&file, &key) => hooks.file(&file).await,
        Ok(_) | Err(_) => None,
    }
    .unwrap_or_else(|| StatusCode::NOT_FOUND.into_response())
}

/// A webhook whose signature is good.
struct Told {
    form: Form,
    uri: Uri,
    arrived: Arrived,
    _share: OwnedSemaphorePermit,
}

impl Told {
    /// The one parameter of the address, where it is this one.
    fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = url::form_urlencoded::parse(self.uri.query().unwrap_or_default().as_bytes());
        pairs.find(|(given, _)| given == name).map(|(_, value)| value.into_owned())
    }
}

impl Hooks {
    async fn sms(&self, request: Request) -> Result<String, StatusCode> {
        let told = self.taken(request).await?;
        let events = webhook::message(&told.form, &told.arrived).map_err(bad)?;
        self.keep(events).await?;
        Ok(twiml::nothing())
    }

    /// Of a message of ours, or of a call to one of our numbers.
    async fn status(&self, request: Request) -> Result<String, StatusCode> {
        let told = self.taken(request).await?;
        let event = match (told.form.get("MessageSid").or_else(|| told.form.get("SmsSid")), told.form.get("CallSid")) {
            (None, Some(_)) => webhook::call(&told.form, Step::Ended, false, &told.arrived),
            (Some(_), _) | (None, None) => webhook::delivery(&told.form, told.parameter("m").as_deref(), &told.arrived),
        };
        self.keep(vec![event.map_err(bad)?]).await?;
        Ok(twiml::nothing())
    }

    async fn voice(&self, request: Request) -> Result<String, StatusCode> {
        let told = self.taken(request).await?;
        let step = webhook::step(&told.form, told.parameter("step").as_deref());
        let step = step.ok_or(NotAWebhook("its address has a step that is none")).map_err(bad)?;
        let line = self.line(&told.form);
        let forwards = line.and_then(|(_, forward_to)| forward_to.as_ref());
        let call = webhook::call(&told.form, step, forwards.is_some(), &told.arrived).map_err(bad)?;
        let mut events = vec![call];
        if matches!(step, Step::Recorded | Step::Recording) {
            events.extend(self.voicemail(&told, step).await?);
        }
        self.keep(events).await?;
        Ok(self.next_verbs(step, line, told.form.get("From").unwrap_or_default()))
    }

    fn next_verbs(&self, step: Step, line: Option<&(Phone, Option<Phone>)>, from: &str) -> String {
        let Spoken { greeting, voicemail } = &self.given.spoken;
        let voice = format!("{}{VOICE}", self.given.public_url);
        match (step, line) {
            (Step::First, None) => twiml::reject(),
            (Step::First, Some((number, Some(forward_to)))) => {
                let caller_id = is_withheld(from).then_some(number);
                twiml::to_phone(&[greeting], forward_to, caller_id, &voice)
            }
            (Step::First, Some((_, None))) => twiml::to_voicemail(&[greeting, voicemail], &voice),
            (Step::Dialled { answered: false }, _) => twiml::to_voicemail(&[voicemail], &voice),
            (Step::Dialled { answered: true } | Step::Recorded, _) => twiml::hang_up(),
            (Step::Ended | Step::Recording, _) => twiml::nothing(),
        }
    }

    fn line(&self, form: &Form) -> Option<&(Phone, Option<Phone>)> {
        let to = form.get("To").or_else(|| form.get("Called"))?;
        self.given.lines.iter().find(|(number, _)| number.e164() == to)
    }

    /// Both steps after a recording tell of it, the second by its SID alone; whichever comes first counts.
    async fn voicemail(&self, told: &Told, step: Step) -> Result<Option<Event>, StatusCode> {
        if told.form.get("RecordingSid").is_none() {
            return Ok(None);
        }
        if let (Some(from), Some(to)) = (told.form.get("From"), told.form.get("To")) {
            return Ok(webhook::voicemail(&told.form, from, to, &told.arrived));
        }
        if step == Step::Recorded {
            return Ok(None);
        }
        let sid = told.form.sid(&["CallSid"]).ok_or(StatusCode::BAD_REQUEST)?;
        let asked = tokio::time::timeout(ASKED_WITHIN, self.given.twilio.call(sid)).await;
        match asked {
            Ok(Ok(call)) => {
                let (from, to) = (call.from.unwrap_or_default(), call.to.unwrap_or_default());
                Ok(webhook::voicemail(&told.form, &from, &to, &told.arrived))
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "nobody says whose call a recording is of");
                Err(StatusCode::SERVICE_UNAVAILABLE)
            }
            Err(_) => Err(StatusCode::SERVICE_UNAVAILABLE),
        }
    }

    async fn file(&self, file: &str) -> Option<Response> {
        let (store, key) = (Arc::clone(&self.given.store), Media::key_of(&MediaId::new(file)));
        let stored = tokio::task::spawn_blocking(move || store.get(&key)).await.ok()?.ok()??;
        let media: Media = serde_json::from_slice(&stored.value).ok().filter(Media::is_kept)?;
        let kept = self.given.vault.read(&media).await.ok()?;
        let headers = [
            (header::CONTENT_TYPE, kept.mime.clone()),
            (header::CONTENT_LENGTH, kept.size.to_string()),
            (header::CACHE_CONTROL, "private, no-store".to_owned()),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        ];
        Some((headers, Body::from_stream(kept.pieces())).into_response())
    }

    // ---- in

    async fn taken(&self, request: Request) -> Result<Told, StatusCode> {
        let (head, body) = request.into_parts();
        if announced(&head.headers).is_some_and(|length| length > LONGEST_BODY) {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        let share = Arc::clone(&self.bodies).try_acquire_owned().map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        let body = tokio::time::timeout(READ_WITHIN, read(body)).await.map_err(|_| StatusCode::REQUEST_TIMEOUT)??;
        let form = Form::parse(if is_form(&head.headers) { &body } else { b"" });
        self.signature_fits(&head.headers, &head.uri, &form, &body)?;
        // A foreign account may have been given our address, and a sub-account signs with a token of its own.
        if form.get("AccountSid").is_some_and(|account| account != self.given.account_sid) {
            tracing::warn!("a signed webhook of another account was refused");
            return Err(StatusCode::FORBIDDEN);
        }
        let arrived = Arrived { at: self.clock.now(), raw: Arc::from(&body[..]) };
        Ok(Told { form, uri: head.uri, arrived, _share: share })
    }

    /// The address is the configured one, whatever the request itself says of host and scheme.
    fn signature_fits(&self, headers: &HeaderMap, uri: &Uri, form: &Form, body: &[u8]) -> Result<(), StatusCode> {
        let path = uri.path_and_query().map_or(uri.path(), |path| path.as_str());
        let url = format!("{}{path}", self.given.public_url);
        let form_of = is_form(headers).then(|| form.pairs());
        let signed = |signature, settings| Signed { url: &url, form: form_of, body, signature, settings };
        let fits = match (only(headers, SIGNATURE), only(headers, SETTINGS)) {
            (Ok(Some(signature)), Ok(settings)) => self.keys.sign(&signed(signature, settings)),
            (Ok(None) | Err(_), _) | (_, Err(_)) => false,
        };
        if fits {
            return Ok(());
        }
        metrics::counter!("liaison_signature_failures_total", "provider" => "twilio").increment(1);
        tracing::info!(path = uri.path(), parameters = form.names(), "a webhook without a good signature was refused");
        Err(StatusCode::FORBIDDEN)
    }

    /// In order; what comes after one that was not kept must not overtake it.
    async fn keep(&self, events: Vec<Event>) -> Result<(), StatusCode> {
        let kept = tokio::time::timeout(KEPT_WITHIN, async {
            for event in events {
                if self.inbox.deliver(event).await != Receipt::Kept {
                    return false;
                }
            }
            true
        });
        if kept.await.unwrap_or(false) { Ok(()) } else { Err(StatusCode::SERVICE_UNAVAILABLE) }
    }
}

fn bad(error: NotAWebhook) -> StatusCode {
    tracing::warn!(%error, "a signed body was refused");
    StatusCode::BAD_REQUEST
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn is_form(headers: &HeaderMap) -> bool {
    let declared = headers.get(header::CONTENT_TYPE).and_then(|declared| declared.to_str().ok()).unwrap_or_default();
    declared.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(FORM)
}

/// The one header of this name. Two are an error: which of them would count?
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, ()> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (None, _) => Ok(None),
        (Some(only), None) => only.to_str().map(Some).map_err(|_| ()),
        (Some(_), Some(_)) => Err(()),
    }
}

async fn read(body: Body) -> Result<Bytes, StatusCode> {
    let (mut pieces, mut whole) = (body.into_data_stream(), BytesMut::new());
    while let Some(piece) = pieces.next().await {
        whole.extend_from_slice(&piece.map_err(|_| StatusCode::BAD_REQUEST)?);
        if whole.len() > LONGEST_BODY {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
    }
    Ok(whole.freeze())
}
