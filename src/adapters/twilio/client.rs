//! The REST API as we call it: who we are there, one request at a time, and what is certain about its end.
use super::links::Links;
use super::pacing::Pace;
use super::wire::{Complaint, is_sid};
use crate::adapters::whatsapp::LineHealth;
use crate::adapters::whatsapp::media::PublicOnly;
use crate::domain::effect::{Attempt, Outcome};
use crate::domain::ids::LineId;
use crate::domain::time::{Span, Timestamp};
use crate::ports::Clock;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, ClientBuilder, Proxy, RequestBuilder, Response, StatusCode, Url};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Shorter than any time to answer, so that a connection that never came to be is always told apart from a lost answer.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Twilio answers within a second; after this the end is unknown.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Shorter than servers keep an idle connection: one that dies under a request leaves its end unknown.
const IDLE_CONNECTION: Duration = Duration::from_secs(20);
/// An answer about one message has about a kilobyte, a page of a list a hundred of them.
const LONGEST_ANSWER: usize = 4 * 1024 * 1024;
/// Nothing was sent because there was no connection: soon again, the outbox makes it slower.
pub(super) const NO_CONNECTION: Span = Span::seconds(1);
pub(super) const TOO_MANY: Span = Span::seconds(5);
/// A `Retry-After` beyond this is taken as this.
const LONGEST_WAIT: Span = Span::hours(1);

/// Where the API is and who we are there. It holds secrets, so it cannot show itself.
pub struct Settings {
    pub api_url: String,
    pub account_sid: String,
    /// For requests: the account's SID with its auth token, or an API key's SID with the key's own secret.
    pub user: String,
    pub password: String,
    /// Where Twilio reaches us.
    pub public_url: String,
    /// One auth token, or two during rotation: addresses of files that we show are signed with them.
    pub auth_tokens: Vec<String>,
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

pub struct Twilio {
    http: Client,
    /// The same for addresses that Twilio names.
    pub(super) files: Client,
    pub(super) api: Url,
    /// Of the account; ends without a slash.
    base: String,
    authorization: HeaderValue,
    /// Where status callbacks go; our id of the message follows.
    pub(super) callback: String,
    pub(super) links: Links,
    clock: Arc<dyn Clock>,
    pace: Mutex<Pace>,
    health: Arc<LineHealth>,
}

impl Twilio {
    /// `health` is shared with every other channel: the names of lines differ.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>, health: Arc<LineHealth>) -> Result<Twilio, SettingsError> {
        let api = Url::parse(&settings.api_url).map_err(|error| wrong("api_url", &error))?;
        if !is_sid(&settings.account_sid) {
            return Err(wrong("account_sid", &"it is no SID"));
        }
        let pair = STANDARD.encode(format!("{}:{}", settings.user, settings.password));
        let mut authorization =
            HeaderValue::try_from(format!("Basic {pair}")).expect("base64 holds nothing that a header cannot");
        authorization.set_sensitive(true);
        let public = settings.public_url.trim_end_matches('/');
        Ok(Twilio {
            http: built(client(&settings)?)?,
            files: built(client(&settings)?.dns_resolver(PublicOnly::but_of(&settings.api_url, settings.proxy.as_deref())))?,
            base: format!("{}/2010-04-01/Accounts/{}", settings.api_url.trim_end_matches('/'), settings.account_sid),
            api,
            authorization,
            callback: format!("{public}/webhooks/twilio/status?m="),
            links: Links::new(public, &settings.auth_tokens),
            clock,
            pace: Mutex::default(),
            health,
        })
    }

    /// Whether this key, out of an address of ours, opens this file now.
    pub fn opens(&self, file: &str, key: &str) -> bool {
        self.links.opens(file, key, self.now())
    }

    /// Which lines work, as the answers to what was sent have shown.
    pub fn health(&self) -> &Arc<LineHealth> {
        &self.health
    }

    /// Whether a message may leave on this line now; what may is booked.
    pub fn may_go(&self, line: &LineId, now: Timestamp) -> Result<(), Timestamp> {
        // Under this lock only one message becomes the one that tries a line which stopped.
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        self.health.may_go(line, now)?;
        pace.may_go(line, now)?;
        self.health.begins(line, now);
        Ok(())
    }

    /// The whole line rests as long as the message that was refused.
    pub(super) fn rest(&self, line: &LineId, not_before: Timestamp) {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).refused(line, not_before);
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn not_yet(&self, why: String, wait: Span) -> Attempt {
        Attempt::NotYet { why, not_before: self.now() + wait }
    }

    /// Below the account's address, such as `Messages.json`.
    pub(super) fn post(&self, path: &str) -> RequestBuilder {
        self.http.post(format!("{}/{path}", self.base))
    }

    pub(super) fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(self.address(path))
    }

    /// An address that the API itself has named: only on its own host.
    pub(super) fn get_page(&self, uri: &str) -> Option<RequestBuilder> {
        let url = self.api.join(uri).ok().filter(|url| url.origin() == self.api.origin())?;
        Some(self.http.get(url))
    }

    pub(super) fn address(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }

    /// The account itself.
    pub(super) fn get_account(&self) -> RequestBuilder {
        self.http.get(format!("{}.json", self.base))
    }

    pub(super) fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        request.header(AUTHORIZATION, self.authorization.clone())
    }

    /// Sends the request once and reads the whole answer; tells apart what never left and what was lost on the way.
    pub(super) async fn exchange(&self, request: RequestBuilder) -> Exchange {
        match self.authorized(request).send().await {
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
    /// Whether somebody who works has answered: a refusal that makes sense is an answer, the server's own trouble is none.
    pub(super) fn is_an_answer(&self) -> bool {
        match self {
            Exchange::Answered(answer) => !answer.status.is_server_error(),
            Exchange::NotSent(_) | Exchange::Lost(_) => false,
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

    pub(super) fn complaint(&self) -> Option<Complaint> {
        if self.status.is_success() { None } else { Complaint::read(&self.bytes) }
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

pub(super) fn unknown(why: String) -> Attempt {
    Attempt::Ended(Outcome::Unknown { why })
}

pub(super) fn failed(code: &str, detail: &str) -> Attempt {
    Attempt::Ended(Outcome::Failed { code: code.to_owned(), detail: detail.to_owned() })
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
        what: format!("The Twilio client cannot use the setting `{key}`: {why}."),
        remedy: format!("Correct `{key}` in bot-config.toml."),
    }
}
