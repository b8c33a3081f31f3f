//! The firm's side of the wire: a server that checks signatures in its own words and answers what a test prepared.
use aws_lc_rs::hmac;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Longest wait for anything that must happen.
const PATIENCE: Duration = Duration::from_secs(10);

/// One webhook as it came.
#[derive(Clone, Debug)]
pub struct Heard {
    pub path: String,
    pub signed: bool,
    pub fields: HashMap<String, String>,
    pub token: String,
    pub at: Instant,
}

impl Heard {
    pub fn get(&self, name: &str) -> &str {
        self.fields.get(name).map(String::as_str).unwrap_or_else(|| panic!("{name} is missing: {self:?}"))
    }
}

#[derive(Default)]
struct Books {
    heard: Mutex<Vec<Heard>>,
    /// What a path answers: status and TwiML.
    answers: Mutex<HashMap<String, (u16, String)>>,
    base: Mutex<String>,
}

#[derive(Clone)]
pub struct Receiver {
    pub base: String,
    books: Arc<Books>,
}

impl Receiver {
    pub async fn open() -> Receiver {
        let books = Arc::new(Books::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        *books.base.lock().unwrap() = base.clone();
        let app = Router::new().fallback(hear).with_state(books.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Receiver { base, books }
    }

    pub fn answers(&self, path: &str, status: u16, twiml: &str) {
        self.books.answers.lock().unwrap().insert(path.to_owned(), (status, twiml.to_owned()));
    }

    pub fn heard(&self, path: &str) -> Vec<Heard> {
        self.books.heard.lock().unwrap().iter().filter(|one| one.path == path).cloned().collect()
    }

    /// Waits until so many came to that path.
    pub async fn hears(&self, path: &str, count: usize) -> Vec<Heard> {
        let until = Instant::now() + PATIENCE;
        loop {
            let heard = self.heard(path);
            if heard.len() >= count {
                return heard;
            }
            assert!(Instant::now() < until, "{path} heard {} of {count}: {heard:?}", heard.len());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn hear(State(books): State<Arc<Books>>, uri: Uri, headers: HeaderMap, body: String) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let url = format!("{}{}", books.base.lock().unwrap(), uri.path_and_query().unwrap());
    let signed = header("x-twilio-signature") == expected("sandbox-token", &url, &pairs);
    let path = uri.path_and_query().unwrap().to_string();
    let token = header("i-twilio-idempotency-token");
    let heard = Heard { path: path.clone(), signed, fields: pairs.into_iter().collect(), token, at: Instant::now() };
    books.heard.lock().unwrap().push(heard);
    let (status, twiml) = books.answers.lock().unwrap().get(&path).cloned().unwrap_or((200, "<Response/>".into()));
    (StatusCode::from_u16(status).unwrap(), [("content-type", "text/xml")], twiml).into_response()
}

fn expected(token: &str, url: &str, pairs: &[(String, String)]) -> String {
    let mut by_name: BTreeMap<&str, std::collections::BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in pairs {
        by_name.entry(name).or_default().insert(value);
    }
    let tail: String =
        by_name.iter().flat_map(|(name, values)| values.iter().map(move |value| format!("{name}{value}"))).collect();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(hmac::sign(&key, format!("{url}{tail}").as_bytes()))
}
