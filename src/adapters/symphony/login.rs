//! Signing in with the bot's RSA key, and the one pair of tokens that all calls and the datafeed share.
use super::SymphonySettings;
use crate::domain::time::{Span, Timestamp};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, watch};

/// The platform refuses more than five minutes; a minute is left for clocks that differ.
const TOKEN_LIFE_SECONDS: u64 = 240;
/// A machine whose clock is further from the platform's makes logins that the platform may take for old, or for too long.
pub const CLOCKS_APART: Span = Span::seconds(60);
/// Time for a connection to come about, TLS included.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for a whole call, answer included.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// Time for the agent to name its version; who does not in this time has not said it.
const VERSION_TIMEOUT: Duration = Duration::from_secs(5);
/// Agents from this release on take calls without a token of the key manager, if the session's token allows it.
const SIMPLIFIED_SINCE: (u32, u32) = (24, 12);
/// Less than the minute after which proxies commonly cut idle connections.
const IDLE_CONNECTION: Duration = Duration::from_secs(45);

/// Why nobody is signed in.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LoginError {
    /// The configuration cannot work: what is wrong, and the remedy.
    #[error("{what} {remedy}")]
    Settings { what: String, remedy: String },
    /// The platform answered, and said no.
    #[error(
        "The login at {url} was refused with status {status}: {message}. See that the public half of the key is stored for the service account `{username}` and that the account is active."
    )]
    Refused { url: String, status: u16, message: String, username: String },
    /// Nobody answered, or not in a way that could be read.
    #[error("The login at {url} did not come about: {why}")]
    Unreachable { url: String, why: String },
}

/// What calls carry in their headers.
#[derive(Clone)]
pub struct Tokens {
    /// Counts renewals, so that a caller can say which tokens were refused.
    pub generation: u64,
    pub session: String,
    /// Empty where the platform delivers the keys by itself; it is sent all the same.
    pub key_manager: String,
}

impl Tokens {
    /// No key manager was asked, since the platform delivers the keys by itself.
    pub fn keys_are_delivered(&self) -> bool {
        self.key_manager.is_empty()
    }
}

/// What readiness and the datafeed want to know of the session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionState {
    /// The generation of the tokens in use; 0 before the first login.
    pub generation: u64,
    /// Logins after the first.
    pub renewals: u64,
    /// Attempts that ended, well or not.
    attempts: u64,
    /// Why the last login failed, if it did.
    pub last_error: Option<String>,
    /// How far this machine's clock is from the platform's, where that is too far; as it was when that was noticed.
    pub clock_apart: Option<Span>,
}

/// The bot's presence on the platform: one pair of tokens, renewed once for all who wait.
pub struct Session {
    settings: SymphonySettings,
    key: EncodingKey,
    http: reqwest::Client,
    tokens: Mutex<Holding>,
    state: watch::Sender<SessionState>,
}

#[derive(Default)]
struct Holding {
    tokens: Option<Tokens>,
    last_error: Option<LoginError>,
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    exp: u64,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
}

/// What a session token that can be read says of itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SessionClaims {
    can_use_simplified_key_delivery: bool,
}

#[derive(Deserialize)]
struct AgentInfo {
    version: String,
}

#[derive(Deserialize, Default)]
struct Complaint {
    #[serde(default)]
    message: Option<String>,
}

impl Session {
    /// Reads the key and builds the client; touches no network.
    pub fn new(settings: SymphonySettings) -> Result<Session, LoginError> {
        let key = read_key(&settings)?;
        let http = client(&settings)?.timeout(CALL_TIMEOUT).build().map_err(|e| unusable_client(&e))?;
        let state = watch::Sender::new(SessionState::default());
        Ok(Session { settings, key, http, tokens: Mutex::default(), state })
    }

    pub fn settings(&self) -> &SymphonySettings {
        &self.settings
    }

    pub(super) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Changes with each login, good or bad.
    pub fn watch(&self) -> watch::Receiver<SessionState> {
        self.state.subscribe()
    }

    /// The tokens in use; signs in when there are none yet.
    pub async fn tokens(&self) -> Result<Tokens, LoginError> {
        self.renew(0).await
    }

    /// Tokens newer than `refused` (the generation that was answered with 401). However many ask, one login is made, and
    /// its end, good or bad, is everybody's.
    pub async fn renew(&self, refused: u64) -> Result<Tokens, LoginError> {
        let attempts_before = self.state.borrow().attempts;
        let mut holding = self.tokens.lock().await;
        if let Some(tokens) = holding.tokens.as_ref().filter(|t| t.generation > refused) {
            return Ok(tokens.clone());
        }
        let somebody_tried_while_we_waited = self.state.borrow().attempts > attempts_before;
        match &holding.last_error {
            Some(error) if somebody_tried_while_we_waited => Err(error.clone()),
            _ => self.sign_in(&mut holding).await,
        }
    }

    /// What time the platform has, from the `Date` of an answer; whether the call is allowed does not matter.
    pub async fn server_time(&self) -> Result<Option<Timestamp>, LoginError> {
        let url = format!("{}/pod/v2/sessioninfo", trimmed(&self.settings.pod_url));
        // The call must bear a token; that this is none is no matter, for a refusal has a date as well.
        let sent = self.http.get(&url).header("sessionToken", "none").send().await;
        let answer = sent.map_err(|error| LoginError::Unreachable { url, why: told(&error) })?;
        Ok(date_of(&answer))
    }

    /// Compares the clocks by an answer of the platform. What is said of them changes only as the limit is passed.
    pub(super) fn compare_clocks(&self, answer: &reqwest::Response) {
        let status = answer.status();
        // Such an answer may be that of a machine in between, whose clock is of no concern.
        let is_theirs = !status.is_server_error() && status != StatusCode::PROXY_AUTHENTICATION_REQUIRED;
        let Some(theirs) = date_of(answer).filter(|_| is_theirs) else { return };
        let apart = Span((machine_time() - theirs).0.abs());
        let too_far = Some(apart).filter(|apart| *apart > CLOCKS_APART);
        let changed = self.state.send_if_modified(|state| {
            let changes = state.clock_apart.is_some() != too_far.is_some();
            if changes {
                state.clock_apart = too_far;
            }
            changes
        });
        let seconds = apart.0 / 1_000;
        match too_far {
            Some(_) if changed => tracing::warn!(seconds, "this machine's clock is not the platform's; set it by NTP"),
            None if changed => tracing::info!(seconds, "this machine's clock agrees with the platform's again"),
            Some(_) | None => {}
        }
    }

    /// Said with a refused login, which it may explain.
    fn about_clocks(&self) -> String {
        let apart = self.state.borrow().clock_apart;
        apart.map(|apart| format!("; this machine's clock is {} s from the platform's", apart.0 / 1_000)).unwrap_or_default()
    }

    async fn sign_in(&self, holding: &mut Holding) -> Result<Tokens, LoginError> {
        let before = holding.tokens.as_ref().map_or(0, |t| t.generation);
        let outcome = self.both_tokens(before + 1).await;
        holding.last_error = outcome.as_ref().err().cloned();
        if let Ok(tokens) = &outcome {
            holding.tokens = Some(tokens.clone());
        }
        self.state.send_modify(|state| {
            state.attempts += 1;
            state.last_error = outcome.as_ref().err().map(|e| e.to_string());
            if let Ok(tokens) = &outcome {
                state.generation = tokens.generation;
                state.renewals = tokens.generation - 1;
            }
        });
        let result = if outcome.is_ok() { "ok" } else { "failed" };
        metrics::counter!("liaison_logins_total", "provider" => "symphony", "result" => result).increment(1);
        outcome
    }

    async fn both_tokens(&self, generation: u64) -> Result<Tokens, LoginError> {
        let jwt = signed(&self.key, &self.settings.username)?;
        let session = self.token_from(&format!("{}/login/pubkey/authenticate", trimmed(&self.settings.pod_url)), &jwt).await?;
        let key_manager = match self.delivers_keys(&session).await {
            true => String::new(),
            false => {
                let url = format!("{}/relay/pubkey/authenticate", trimmed(&self.settings.key_manager_url));
                self.token_from(&url, &jwt).await?
            }
        };
        let tokens = Tokens { generation, session, key_manager };
        tracing::debug!(generation, keys_are_delivered = tokens.keys_are_delivered(), "signed in");
        Ok(tokens)
    }

    /// Whether the key manager need not be asked. Token and agent must both say so; whatever is unclear is a no.
    async fn delivers_keys(&self, session: &str) -> bool {
        let claims = jsonwebtoken::dangerous::insecure_decode_claims::<SessionClaims>(session);
        let allowed = claims.is_ok_and(|claims| claims.can_use_simplified_key_delivery);
        allowed && self.agent_release().await.is_some_and(|release| release >= SIMPLIFIED_SINCE)
    }

    async fn agent_release(&self) -> Option<(u32, u32)> {
        let url = format!("{}/agent/v1/info", trimmed(&self.settings.agent_url));
        let answer = self.http.get(url).timeout(VERSION_TIMEOUT).send().await.ok()?.error_for_status().ok()?;
        release_in(&answer.json::<AgentInfo>().await.ok()?.version)
    }

    async fn token_from(&self, url: &str, jwt: &str) -> Result<String, LoginError> {
        let unreachable = |why: String| LoginError::Unreachable { url: url.to_owned(), why };
        let sent = self.http.post(url).json(&serde_json::json!({ "token": jwt })).send().await;
        let answer = sent.map_err(|e| unreachable(told(&e)))?;
        self.compare_clocks(&answer);
        let status = answer.status();
        if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            return Err(unreachable(PROXY_REFUSES.to_owned()));
        }
        if status.is_client_error() && status.as_u16() != 429 {
            let message = answer.json::<Complaint>().await.unwrap_or_default().message.unwrap_or_default();
            let message = format!("{message}{}", self.about_clocks());
            let username = self.settings.username.clone();
            return Err(LoginError::Refused { url: url.to_owned(), status: status.as_u16(), message, username });
        }
        if !status.is_success() {
            return Err(unreachable(format!("status {}", status.as_u16())));
        }
        let read = answer.json::<TokenAnswer>().await.map_err(|e| unreachable(told(&e)))?;
        read.token.filter(|t| !t.is_empty()).ok_or_else(|| unreachable("the answer holds no token".to_owned()))
    }
}

fn machine_time() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}

fn date_of(answer: &reqwest::Response) -> Option<Timestamp> {
    let date = answer.headers().get(reqwest::header::DATE)?.to_str().ok()?;
    Some(Timestamp(jiff::fmt::rfc2822::parse(date).ok()?.timestamp().as_millisecond()))
}

/// Year and month of `Agent-24.12.1-Linux…`.
fn release_in(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.strip_prefix("Agent-")?.split(['.', '-']).map(|part| part.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// The parts of a client that calls and the websocket share.
pub(super) fn client(settings: &SymphonySettings) -> Result<reqwest::ClientBuilder, LoginError> {
    // Tokens stand in headers, so no redirect may carry them to another host.
    let builder = reqwest::Client::builder()
        .user_agent(concat!("liaison/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_CONNECTION)
        .redirect(reqwest::redirect::Policy::none());
    let builder = match &settings.ca_file {
        None => builder,
        Some(pem) => builder.tls_certs_merge(certificates(pem)?),
    };
    match settings.proxy.as_deref().filter(|p| !p.is_empty()) {
        None => Ok(builder.no_proxy()),
        Some(url) => Ok(builder.proxy(proxy(url)?)),
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<reqwest::Certificate>, LoginError> {
    let certificates = reqwest::Certificate::from_pem_bundle(pem).unwrap_or_default();
    match certificates.is_empty() {
        false => Ok(certificates),
        true => Err(LoginError::Settings {
            what: "The file named in `[server] ca_file` holds no certificate that can be read.".to_owned(),
            remedy: "Give a PEM file with one or more CERTIFICATE blocks.".to_owned(),
        }),
    }
}

fn proxy(url: &str) -> Result<reqwest::Proxy, LoginError> {
    reqwest::Proxy::all(url).map_err(|e| LoginError::Settings {
        what: format!("The address in `[server] proxy` cannot be used: {e}."),
        remedy: "Write it as http://host:port or socks5://host:port.".to_owned(),
    })
}

pub(super) fn unusable_client(error: &reqwest::Error) -> LoginError {
    LoginError::Settings {
        what: format!("No HTTPS client can be made: {}.", told(error)),
        remedy: "See that the system's CA certificates are installed, or name a file in `[server] ca_file`.".to_owned(),
    }
}

fn read_key(settings: &SymphonySettings) -> Result<EncodingKey, LoginError> {
    let unreadable = |why: String| {
        LoginError::Settings {
        what: format!("The key named in `[bot] private_key` cannot be used: {why}."),
        remedy: "Give the RSA private key of the service account as unencrypted PEM, PKCS#1 (BEGIN RSA PRIVATE KEY) or PKCS#8 (BEGIN PRIVATE KEY), 2048 bits or more.".to_owned(),
    }
    };
    let pem = settings.private_key_pem.trim();
    if pem.contains("ENCRYPTED") {
        return Err(unreadable("it is locked with a passphrase".to_owned()));
    }
    if pem.contains("PUBLIC KEY") || pem.contains("CERTIFICATE") {
        return Err(unreadable("it is the public half".to_owned()));
    }
    let key = EncodingKey::from_rsa_pem(pem.as_bytes()).map_err(|e| unreadable(format!("it is no RSA key in PEM ({e})")))?;
    // Only signing shows whether the bytes inside are a key.
    signed(&key, &settings.username).map_err(|e| unreadable(e.to_string())).map(|_| key)
}

/// The platform checks `exp` against the world's time, so this is the machine's clock and not that of a simulated world.
fn signed(key: &EncodingKey, username: &str) -> Result<String, LoginError> {
    let claims = Claims { sub: username, exp: jsonwebtoken::get_current_timestamp() + TOKEN_LIFE_SECONDS };
    jsonwebtoken::encode(&Header::new(Algorithm::RS512), &claims, key)
        .map_err(|e| LoginError::Settings { what: format!("it does not sign ({e})"), remedy: String::new() })
}

pub(super) fn trimmed(url: &str) -> &str {
    url.trim_end_matches('/')
}

/// What is to be done about the commonest troubles on the way, by what the libraries call them.
const MEANINGS: &[(&str, &str)] = &[
    ("UnknownIssuer", "the certificate is signed by a CA that is not known here; name its PEM file in [server] ca_file"),
    ("proxy auth", PROXY_REFUSES),
];
/// A 407, before or instead of the answer.
pub(super) const PROXY_REFUSES: &str = "the proxy wants a login; write [server] proxy as http://user:password@host:port";

/// An error with its causes, without the address: that may hold ids.
pub(super) fn told(error: &reqwest::Error) -> String {
    let text = causes(error);
    let known = MEANINGS.iter().find(|(sign, _)| text.contains(sign));
    known.map_or(text.clone(), |(_, meaning)| format!("{meaning} ({text})"))
}

fn causes(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() { "timed out".to_owned() } else { String::new() };
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    if text.is_empty() { "the exchange failed".to_owned() } else { text }
}

/// Shared by all parts of the adapter.
pub type SharedSession = Arc<Session>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agents_release_is_read() {
        let table = [
            ("Agent-24.12", Some((24, 12))),
            ("Agent-24.12.0", Some((24, 12))),
            ("Agent-25.10.1-Linux-4.18.0", Some((25, 10))),
            ("Agent-24.9-SNAPSHOT", Some((24, 9))),
            ("Agent-26.1-1234", Some((26, 1))),
            ("24.12", None),
            ("Agent-", None),
            ("Agent-25", None),
            ("Agent-next.12", None),
            ("", None),
        ];
        for (version, release) in table {
            assert_eq!(release_in(version), release, "{version}");
        }
        assert!((24, 9) < SIMPLIFIED_SINCE && (25, 1) > SIMPLIFIED_SINCE);
    }
}
