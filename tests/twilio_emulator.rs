//! The sandbox's Twilio over real sockets: its REST API, its signed webhooks, and what the clients' phones do and show.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test does")]
#[path = "twilio_emulator/calls.rs"]
mod calls;
#[path = "twilio_emulator/receiver.rs"]
mod receiver;
#[path = "twilio_emulator/rest.rs"]
mod rest;
#[path = "twilio_emulator/texts.rs"]
mod texts;

use liaison::sandbox::NowMs;
use liaison::sandbox::twilio::{Texted, Twilio, TwilioLine, TwilioSettings};
use liaison::sandbox::views::PhoneMessageView;
use receiver::Receiver;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

pub const LINE: &str = "+12025550143";
pub const SECOND: &str = "+12025550199";
pub const MIA: &str = "+19175550148";
pub const JAN: &str = "+491713920012";
pub const ACCOUNT: &str = "AC00000000000000000000000000000001";
/// 2026-11-20, 14:00 in UTC.
const START: i64 = 1_795_183_200_000;

pub struct World {
    pub twilio: Twilio,
    pub firm: Receiver,
    pub base: String,
    pub http: reqwest::Client,
    pub clock: Arc<AtomicI64>,
    pub stop: CancellationToken,
}

impl World {
    pub async fn open() -> World {
        World::in_folder(None).await
    }

    pub async fn in_folder(folder: Option<PathBuf>) -> World {
        let firm = Receiver::open().await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let mut settings = TwilioSettings::sandbox(&base, &firm.base);
        settings.lines.push(TwilioLine { number: SECOND.into(), name: "Sam Lee".into() });
        let clock = Arc::new(AtomicI64::new(START));
        let now: NowMs = {
            let clock = clock.clone();
            Arc::new(move || clock.load(Ordering::Relaxed))
        };
        let twilio = Twilio::open(now, settings, folder).unwrap();
        let stop = CancellationToken::new();
        twilio.start(stop.clone());
        let app = twilio.router();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let redirects = reqwest::redirect::Policy::none();
        let http = reqwest::Client::builder().no_proxy().redirect(redirects).build().unwrap();
        World { twilio, firm, base, http, clock, stop }
    }

    pub fn path(&self, rest: &str) -> String {
        format!("/2010-04-01/Accounts/{ACCOUNT}{rest}")
    }

    /// A call with the account's own token; status and JSON, which is null where there is none.
    pub async fn ask(&self, method: Method, path: &str, form: &[(&str, &str)]) -> (StatusCode, Value) {
        let request = self.http.request(method, format!("{}{path}", self.base)).basic_auth(ACCOUNT, Some("sandbox-token"));
        let request = if form.is_empty() { request } else { request.form(form) };
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap_or_default())
    }

    pub async fn get(&self, rest: &str) -> Value {
        let (status, answer) = self.ask(Method::GET, &self.path(rest), &[]).await;
        assert_eq!(status, 200, "{rest}: {answer}");
        answer
    }

    /// A text from Jane's line; status and answer.
    pub async fn send(&self, to: &str, body: &str, more: &[(&str, &str)]) -> (StatusCode, Value) {
        let form: Vec<(&str, &str)> =
            [("To", to), ("From", LINE), ("Body", body)].into_iter().chain(more.iter().copied()).collect();
        self.ask(Method::POST, &self.path("/Messages.json"), &form).await
    }

    /// One that must be accepted; its SID.
    pub async fn sent(&self, to: &str, body: &str) -> String {
        let callback = format!("{}/status?m=m-1", self.firm.base);
        let (status, answer) = self.send(to, body, &[("StatusCallback", &callback)]).await;
        assert_eq!(status, 201, "{answer}");
        answer["sid"].as_str().unwrap().to_owned()
    }

    pub fn text(&self, number: &str, text: &str) -> PhoneMessageView {
        self.twilio.text(number, Texted { text: text.into(), ..Texted::default() }).unwrap()
    }

    /// Texts on a phone that came from the firm or from Twilio.
    pub fn received(&self, number: &str) -> Vec<String> {
        self.twilio.messages(number).into_iter().filter(|message| message.direction == "in").map(|message| message.text).collect()
    }

    pub async fn until<T>(&self, what: &str, look: impl Fn() -> Option<T>) -> T {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(Instant::now() < until, "{what} never came");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
