//! Sends one message and says what is certain about its end.
use super::errors::{Class, class_of};
use super::health::{LOOK_AGAIN, LineHealth};
use super::media::PublicOnly;
use super::pacing::{Pace, pair_of};
use super::wire::Complaint;
use crate::domain::effect::{Attempt, Body, Outcome, Prepared, Send};
use crate::domain::ids::MessageId;
use crate::domain::media::Kind;
use crate::domain::time::{Span, Timestamp};
use crate::ports::Clock;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, ClientBuilder, Proxy, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use url::Origin;

/// Shorter than any time to answer, so that a connection that never came to be is always told apart from a lost answer.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Meta answers in well under a second; after this the end is unknown.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Shorter than servers keep an idle connection: one that dies under a request leaves its end unknown.
const IDLE_CONNECTION: Duration = Duration::from_secs(20);
/// Answers are a few hundred bytes, a page of templates some hundred thousand.
const LONGEST_ANSWER: usize = 4 * 1024 * 1024;
/// Nothing was sent because there was no connection: soon again, the outbox makes it slower.
pub(super) const NO_CONNECTION: Span = Span::seconds(1);
pub(super) const TOO_MANY: Span = Span::seconds(5);
/// A `Retry-After` beyond this is taken as this.
const LONGEST_WAIT: Span = Span::hours(1);

/// Where the Cloud API is and who we are there. It holds a secret, so it cannot show itself.
pub struct Settings {
    pub graph_url: String,
    pub api_version: String,
    pub business_account_id: String,
    pub access_token: String,
    /// PEM certificates of an own CA, trusted beside the system's.
    pub ca: Option<Vec<u8>>,
    pub proxy: Option<String>,
    pub answer_within: Duration,
}

#[derive(Debug, thiserror::Error)]
#[error("{what} {remedy}")]
pub struct SettingsError {
    pub what: String,
    pub remedy: String,
}

pub struct WhatsApp {
    http: Client,
    /// The same for addresses that Meta names.
    pub(super) files: Client,
    /// Ends without a slash.
    base: String,
    pub(super) origin: Origin,
    pub(super) authorization: HeaderValue,
    pub(super) business_account_id: String,
    clock: Arc<dyn Clock>,
    pace: Arc<Mutex<Pace>>,
    health: Arc<LineHealth>,
    /// The account was asked for its templates once, so that none leaves of which nobody knows how it stands.
    templates_known: AtomicBool,
}

impl WhatsApp {
    /// `pace` is shared with whoever decides what leaves next: refusals for speed are noted in it.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>, pace: Arc<Mutex<Pace>>) -> Result<WhatsApp, SettingsError> {
        let graph = Url::parse(&settings.graph_url).map_err(|error| wrong("graph_url", &error))?;
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", settings.access_token))
            .map_err(|_| wrong("access_token", &"it holds characters that no token has"))?;
        authorization.set_sensitive(true);
        Ok(WhatsApp {
            http: built(client(&settings)?)?,
            files: built(client(&settings)?.dns_resolver(PublicOnly::but(&settings)))?,
            origin: graph.origin(),
            base: format!("{}/{}", settings.graph_url.trim_end_matches('/'), settings.api_version.trim_matches('/')),
            authorization,
            business_account_id: settings.business_account_id,
            clock,
            pace,
            health: Arc::default(),
            templates_known: AtomicBool::new(false),
        })
    }

    /// Which lines work, as the answers to what was sent have shown.
    pub fn health(&self) -> &Arc<LineHealth> {
        &self.health
    }

    /// Whether templates may be sent already: their files were compared with the account since the start.
    pub fn templates_are_known(&self) -> bool {
        self.templates_known.load(Ordering::Acquire)
    }
    pub fn now_templates_are_known(&self) {
        self.templates_known.store(true, Ordering::Release);
    }

    /// Posts the message once. `Done` carries the wamid, and below it WhatsApp's own id of the client where that is not the
    /// number as it was dialled.
    pub async fn send(&self, send: &Send, prepared: &Prepared) -> Attempt {
        let Some(body) = body(send, prepared) else {
            let detail = "There is no address or no text for a WhatsApp message.".to_owned();
            return Attempt::Ended(Outcome::Failed { code: "unsendable".to_owned(), detail });
        };
        let request = self.post(&format!("{}/messages", send.line)).json(&body);
        let exchange = self.exchange(request).await;
        self.health.ended(&send.line, exchange.is_an_answer(), self.now());
        match exchange {
            Exchange::NotSent(why) => self.not_yet(why, NO_CONNECTION),
            Exchange::Lost(why) => unknown(why),
            Exchange::Answered(answer) => self.read(send, &answer),
        }
    }

    fn read(&self, send: &Send, answer: &Answer) -> Attempt {
        if let Some(complaint) = answer.complaint() {
            return self.complained(send, &complaint, answer);
        }
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            return self
                .not_yet("WhatsApp takes no more requests now".to_owned(), answer.retry_after(self.now()).unwrap_or(TOO_MANY));
        }
        if !answer.status.is_success() {
            return unknown(format!("an answer {} that does not come from WhatsApp", answer.status.as_u16()));
        }
        let Some(wamid) = accepted(&answer.bytes) else {
            return unknown("an answer without the id of the message".to_owned());
        };
        self.pace().accepted(send.line.as_str(), pair_of(send));
        self.health.accepted(&send.line);
        Attempt::Ended(Outcome::Done { external_id: Some(wamid) })
    }

    fn complained(&self, send: &Send, complaint: &Complaint, answer: &Answer) -> Attempt {
        let code = complaint.code.unwrap_or_default();
        let why = format!("WhatsApp {code}: {}", complaint.detail());
        match class_of(complaint) {
            Class::Throttled { wait } => {
                let attempt = self.not_yet(why, answer.retry_after(self.now()).unwrap_or(wait));
                self.rest(send, &attempt);
                attempt
            }
            Class::PairThrottled => {
                let not_before = self.pace().pair_refused(send.line.as_str(), pair_of(send), self.now());
                Attempt::NotYet { why, not_before }
            }
            Class::Trouble { wait } => self.not_yet(why, answer.retry_after(self.now()).unwrap_or(wait)),
            Class::Line => self.stop_line(send, why, complaint, LOOK_AGAIN),
            Class::Restricted { wait } => self.stop_line(send, why, complaint, answer.retry_after(self.now()).unwrap_or(wait)),
            Class::Account | Class::Recipient | Class::Window | Class::Message => {
                Attempt::Ended(Outcome::Failed { code: code.to_string(), detail: complaint.detail() })
            }
        }
    }

    /// Nothing leaves on this line but one message now and then that tries it.
    fn stop_line(&self, send: &Send, why: String, complaint: &Complaint, every: Span) -> Attempt {
        let code = complaint.code.unwrap_or_default().to_string();
        let not_before = self.health.troubled(&send.line, (&code, &complaint.detail()), every, self.now());
        Attempt::NotYet { why, not_before }
    }

    /// The whole line rests as long as the message that was refused.
    fn rest(&self, send: &Send, attempt: &Attempt) {
        if let Attempt::NotYet { not_before, .. } = attempt {
            self.pace().line_refused(send.line.as_str(), *not_before, self.now());
        }
    }

    pub(super) fn not_yet(&self, why: String, wait: Span) -> Attempt {
        Attempt::NotYet { why, not_before: self.now() + wait }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn pace(&self) -> std::sync::MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn post(&self, path: &str) -> RequestBuilder {
        self.http.post(format!("{}/{path}", self.base))
    }

    pub(super) fn delete(&self, path: &str) -> RequestBuilder {
        self.http.delete(format!("{}/{path}", self.base))
    }

    pub(super) fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}/{path}", self.base))
    }

    /// Sends the request once and reads the whole answer; tells apart what never left and what was lost on the way.
    pub(super) async fn exchange(&self, request: RequestBuilder) -> Exchange {
        match request.header(AUTHORIZATION, self.authorization.clone()).send().await {
            Ok(response) => Answer::read(response).await,
            // No name, no route, no handshake: not a byte of the request has left.
            Err(error) if error.is_connect() || error.is_builder() => Exchange::NotSent(told(&error)),
            Err(error) => Exchange::Lost(told(&error)),
        }
    }
}

pub(super) enum Exchange {
    NotSent(String),
    Lost(String),
    Answered(Answer),
}

impl Exchange {
    /// Whether somebody who works has answered. A refusal that makes sense is an answer; Meta's own trouble is none.
    fn is_an_answer(&self) -> bool {
        let Exchange::Answered(answer) = self else { return false };
        match answer.complaint() {
            Some(complaint) => !matches!(class_of(&complaint), Class::Trouble { .. }),
            None => !answer.status.is_server_error(),
        }
    }
}

pub(super) struct Answer {
    pub status: StatusCode,
    headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Answer {
    async fn read(mut response: Response) -> Exchange {
        let mut bytes = Vec::new();
        loop {
            match response.chunk().await {
                Ok(None) => break,
                Ok(Some(chunk)) if bytes.len() + chunk.len() <= LONGEST_ANSWER => bytes.extend_from_slice(&chunk),
                Ok(Some(_)) => return Exchange::Lost("an answer without end".to_owned()),
                Err(error) => return Exchange::Lost(told(&error)),
            }
        }
        Exchange::Answered(Answer { status: response.status(), headers: response.headers().clone(), bytes })
    }

    /// The Graph's own error, whatever the HTTP status: only its code counts (Meta, error codes).
    pub(super) fn complaint(&self) -> Option<Complaint> {
        #[derive(Deserialize)]
        struct Refused {
            error: Complaint,
        }
        let refused: Refused = serde_json::from_slice(&self.bytes).ok()?;
        refused.error.code.is_some().then_some(refused.error)
    }

    /// `Retry-After` in seconds or as a date.
    pub(super) fn retry_after(&self, now: Timestamp) -> Option<Span> {
        let text = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        let span = match text.parse::<u32>() {
            Ok(seconds) => Span::seconds(seconds.into()),
            Err(_) => Timestamp(jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_millisecond()) - now,
        };
        Some(span.clamp(Span(0), LONGEST_WAIT))
    }
}

fn unknown(why: String) -> Attempt {
    Attempt::Ended(Outcome::Unknown { why })
}

/// The error and its causes, without the address (it may be long, and is in the configuration).
pub(super) fn told(error: &reqwest::Error) -> String {
    let mut told = match error.is_timeout() {
        true => "no answer in time".to_owned(),
        false => "the connection failed".to_owned(),
    };
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        told = format!("{told}: {error}");
        cause = error.source();
    }
    told
}

fn accepted(bytes: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Accepted {
        messages: Vec<Message>,
        #[serde(default)]
        contacts: Vec<Person>,
    }
    #[derive(Deserialize)]
    struct Person {
        #[serde(default)]
        input: String,
        #[serde(default)]
        wa_id: Option<String>,
    }
    #[derive(Deserialize)]
    struct Message {
        id: String,
    }
    let accepted: Accepted = serde_json::from_slice(bytes).ok()?;
    let wamid = accepted.messages.into_iter().next().map(|message| message.id)?;
    // In Brazil, Argentina and Mexico it may differ, and the client's answers come under it.
    let person = accepted.contacts.into_iter().next();
    let own = person.and_then(|person| person.wa_id.filter(|wa_id| !is_the_number(wa_id, &person.input)));
    Some(own.map_or(wamid.clone(), |wa_id| format!("{wamid}\n{wa_id}")))
}

fn is_the_number(wa_id: &str, input: &str) -> bool {
    // A group is told by its id in both places.
    wa_id.is_empty() || wa_id == input || input.chars().filter(char::is_ascii_digit).eq(wa_id.chars())
}

/// The request body, or `None` where there is nobody to send to or nothing to say.
fn body(send: &Send, prepared: &Prepared) -> Option<Value> {
    let (kind, content) = content(send, prepared)?;
    let mut body = envelope(&send.message, kind);
    match (&send.to.group, &send.to.phone, &send.to.user_id) {
        (Some(group), _, _) => {
            body["recipient_type"] = "group".into();
            body["to"] = group.as_str().into();
        }
        // Without the "+" Meta would put the country code of the firm's own number in front.
        (None, Some(phone), _) => body["to"] = phone.e164().into(),
        (None, None, Some(user_id)) => body["recipient"] = user_id.as_str().into(),
        (None, None, None) => return None,
    }
    body[kind] = content;
    Some(body)
}

fn envelope(message: &MessageId, kind: &str) -> Value {
    json!({
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "type": kind,
        "biz_opaque_callback_data": message.as_str(),
    })
}

fn content(send: &Send, prepared: &Prepared) -> Option<(&'static str, Value)> {
    match prepared {
        Prepared::Text { text } => Some(("text", json!({ "body": text, "preview_url": false }))),
        Prepared::Template { name, language, components, .. } => Some(("template", template(name, language, components))),
        Prepared::Buttons { text, buttons } => Some(("interactive", question(text, buttons))),
        Prepared::Media { caption } => file(send, caption.as_deref()),
        Prepared::Plain | Prepared::Chat { .. } => None,
    }
}

/// By the id of Meta's copy. A document keeps its name; under a sound nothing can be written.
fn file(send: &Send, caption: Option<&str>) -> Option<(&'static str, Value)> {
    let Body::Media { file, .. } = &send.body else { return None };
    let mut content = json!({ "id": file.uploaded.as_ref()?.id });
    if let Some(caption) = caption.filter(|_| file.kind.bears_a_caption()) {
        content["caption"] = caption.into();
    }
    let kind = match file.kind {
        Kind::Picture => "image",
        Kind::Video => "video",
        Kind::Audio | Kind::Voice => "audio",
        Kind::Sticker => "sticker",
        Kind::Document => {
            content["filename"] = file.name.as_str().into();
            "document"
        }
    };
    Some((kind, content))
}

fn template(name: &str, language: &str, components: &Value) -> Value {
    let mut template = json!({ "name": name, "language": { "code": language } });
    if components.as_array().is_some_and(|components| !components.is_empty()) {
        template["components"] = components.clone();
    }
    template
}

fn question(text: &str, buttons: &[(String, String)]) -> Value {
    let button = |(id, title): &(String, String)| json!({ "type": "reply", "reply": { "id": id, "title": title } });
    let buttons: Vec<Value> = buttons.iter().map(button).collect();
    json!({ "type": "button", "body": { "text": text }, "action": { "buttons": buttons } })
}

fn built(client: ClientBuilder) -> Result<Client, SettingsError> {
    client.build().map_err(|error| wrong("ca_file", &error))
}

fn client(settings: &Settings) -> Result<ClientBuilder, SettingsError> {
    // Whoever sets a proxy sets it in the configuration. A redirect would carry the token away, a retry would be a second message.
    let mut client = Client::builder()
        .user_agent(concat!("liaison/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT_WITHIN.min(settings.answer_within / 2))
        .timeout(settings.answer_within)
        .pool_idle_timeout(IDLE_CONNECTION)
        .no_proxy();
    if let Some(proxy) = &settings.proxy {
        client = client.proxy(Proxy::all(proxy).map_err(|error| wrong("proxy", &error))?);
    }
    if let Some(pem) = &settings.ca {
        let certificates = Certificate::from_pem_bundle(pem).map_err(|error| wrong("ca_file", &error))?;
        client = client.tls_certs_merge(certificates);
    }
    Ok(client)
}

fn wrong(key: &str, why: &dyn std::fmt::Display) -> SettingsError {
    SettingsError {
        what: format!("The WhatsApp client cannot use the setting `{key}`: {why}."),
        remedy: format!("Correct `{key}` in bot-config.toml."),
    }
}
