//! Who calls: RSA log-in, the two tokens, and the troubles that a caller may be given.
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Request, State as Shared};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::Deserialize;
use serde_json::{Value, json};

use super::state::{Refused, State, random_hex};
use super::{Pod, parse};

/// The longest life of a log-in JWT and the tolerated difference of clocks, in seconds.
const MAX_JWT_SECONDS: u64 = 5 * 60;
const LEEWAY_SECONDS: u64 = 60;
/// How long a hanging call is kept without an answer, and a slow one.
pub const HANG: Duration = Duration::from_secs(10 * 60);
const SLOW: Duration = Duration::from_secs(5);
/// Random bytes of a token.
const TOKEN_BYTES: usize = 32;

/// The user behind a `sessionToken`.
pub struct Caller(pub u64);

impl FromRequestParts<Pod> for Caller {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, pod: &Pod) -> Result<Caller, Refused> {
        pod.look(|state| state.session(header(&parts.headers, "sessionToken"))).map(Caller)
    }
}

/// The user behind both tokens, as the agent asks for them.
pub struct AgentCaller(pub u64);

impl FromRequestParts<Pod> for AgentCaller {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, pod: &Pod) -> Result<AgentCaller, Refused> {
        let (session, key) = (header(&parts.headers, "sessionToken"), header(&parts.headers, "keyManagerToken"));
        pod.look(|state| state.both_tokens(session, key)).map(AgentCaller)
    }
}

pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

impl State {
    fn session(&self, token: &str) -> Result<u64, Refused> {
        self.sessions.get(token).copied().ok_or_else(Refused::unauthorized)
    }

    /// The user of the tokens, if both are alive and of the same user.
    pub fn both_tokens(&self, session: &str, key: &str) -> Result<u64, Refused> {
        let user = self.session(session)?;
        let delivered = self.delivers_keys && key.is_empty();
        if delivered || self.key_tokens.get(key) == Some(&user) { Ok(user) } else { Err(Refused::unauthorized()) }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthenticateRequest {
    token: String,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: u64,
}

pub async fn session_token(Shared(pod): Shared<Pod>, body: Bytes) -> Result<Json<Value>, Refused> {
    let (user, token) = pod.authenticate(&body)?;
    let token = if pod.look(|state| state.delivers_keys) { speaking_token(&token)? } else { token };
    pod.look(|state| state.sessions.insert(token.clone(), user));
    Ok(Json(json!({"name": "sessionToken", "token": token})))
}

pub async fn key_manager_token(Shared(pod): Shared<Pod>, body: Bytes) -> Result<Json<Value>, Refused> {
    let (user, token) = pod.authenticate(&body)?;
    pod.look(|state| state.key_tokens.insert(token.clone(), user));
    Ok(Json(json!({"name": "keyManagerToken", "token": token})))
}

impl Pod {
    /// The user who signed the request, and a new token for him.
    fn authenticate(&self, body: &Bytes) -> Result<(u64, String), Refused> {
        let request: AuthenticateRequest = parse(body)?;
        let claims: Claims =
            jsonwebtoken::dangerous::insecure_decode_claims(&request.token).map_err(|_| Refused::unauthorized())?;
        let known = self.look(|state| state.user_by_username(&claims.sub).cloned());
        let (id, key) = known.and_then(|user| Some((user.id, user.public_key?))).ok_or_else(Refused::unauthorized)?;
        signature_holds(&request.token, &key)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if claims.exp > now + MAX_JWT_SECONDS + LEEWAY_SECONDS {
            return Err(Refused::unauthorized());
        }
        Ok((id, random_hex(TOKEN_BYTES)))
    }
}

/// A session token that says of itself that no key manager is needed. Nobody checks its signature.
fn speaking_token(id: &str) -> Result<String, Refused> {
    let claims = json!({"jti": id, "canUseSimplifiedKeyDelivery": true});
    let signed = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(id.as_bytes()));
    signed.map_err(|fault| Refused { status: StatusCode::INTERNAL_SERVER_ERROR, message: fault.to_string() })
}

fn signature_holds(token: &str, public_pem: &str) -> Result<(), Refused> {
    let key = DecodingKey::from_rsa_pem(public_pem.as_bytes()).map_err(|_| Refused::unauthorized())?;
    let mut validation = Validation::new(Algorithm::RS512);
    validation.leeway = LEEWAY_SECONDS;
    validation.validate_aud = false;
    jsonwebtoken::decode::<Claims>(token, &key, &validation).map(drop).map_err(|_| Refused::unauthorized())
}

/// Ordered troubles hit the API calls of service accounts, never the page's own acts.
pub async fn troubles(Shared(pod): Shared<Pod>, request: Request, next: Next) -> Response {
    let session = header(request.headers(), "sessionToken");
    let service = pod.look(|state| state.session(session).is_ok_and(|user| state.is_service(user)));
    if !service {
        return next.run(request).await;
    }
    if let Some(answer) = pod.look(trouble_before) {
        return answer;
    }
    if pod.look(|state| state.take_trouble("hang")) {
        tokio::time::sleep(HANG).await;
        return broken_answer();
    }
    if pod.look(|state| state.take_trouble("expire-tokens")) {
        pod.expire_tokens();
    }
    let lose = is_an_act(&request) && pod.look(|state| state.take_trouble("lost-answer"));
    let slow = pod.look(|state| state.take_trouble("slow"));
    let answer = next.run(request).await;
    if slow {
        tokio::time::sleep(SLOW).await;
    }
    if lose { broken_answer() } else { answer }
}

/// The answer to an ordered trouble that comes instead of the act: any HTTP status, or a page of a broken proxy.
fn trouble_before(state: &mut State) -> Option<Response> {
    if state.take_trouble("502-html") {
        let page = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>";
        return Some((StatusCode::BAD_GATEWAY, [(CONTENT_TYPE, "text/html")], page).into_response());
    }
    let mut statuses = state.troubles.keys().filter_map(|code| code.parse::<StatusCode>().ok());
    let status = statuses.find(|status| status.is_client_error() || status.is_server_error())?;
    state.take_trouble(status.as_str());
    let message = status.canonical_reason().unwrap_or("Trouble").to_string();
    let answer = Refused { status, message }.into_response();
    match status {
        StatusCode::TOO_MANY_REQUESTS => Some(([(RETRY_AFTER, "1")], answer).into_response()),
        _ => Some(answer),
    }
}

/// Calls with an effect; only those have an answer worth losing.
fn is_an_act(request: &Request) -> bool {
    let path = request.uri().path();
    let reads = path.starts_with("/agent/v5/datafeeds") || path.ends_with("/search") || path.ends_with("/list");
    request.method() == Method::POST && !reads
}

/// Begins to answer and then drops the connection.
fn broken_answer() -> Response {
    let broken = futures_util::stream::once(async { Err::<Bytes, _>(io::Error::other("the answer is lost")) });
    Body::from_stream(broken).into_response()
}
