//! Delivers webhooks: each callback has its own queue, each webhook its own retries, until the callback answers 200.
use super::Inner;
use super::world::Hook;
use aws_lc_rs::hmac;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Webhooks waiting for one callback; beyond that new ones are lost to it, as Meta's are after days.
const MAX_WAITING: usize = 100_000;
/// Webhooks under way to one callback at once.
const MAX_UNDER_WAY: usize = 16;
/// How long a callback may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Waits between attempts; the last one repeats.
const BACKOFF_MS: [u64; 5] = [100, 500, 1_000, 2_000, 5_000];

/// One listener of webhooks and what it has yet to hear.
pub(super) struct Callback {
    pub url: String,
    jobs: Mutex<Jobs>,
    wake: Notify,
}

#[derive(Default)]
struct Jobs {
    /// By the time they are due, then by the order in which they came.
    waiting: BTreeMap<(Instant, u64), Job>,
    next: u64,
    /// Clients of whom a message is under way.
    busy: BTreeSet<Arc<str>>,
}

#[derive(Clone)]
struct Job {
    hook: u64,
    body: Arc<str>,
    /// Whose own message it is. Meta promises no order, but two lines of one person that change places at random would look like a
    /// mistake of the bot: they go one after the other unless a trouble or a refusal mixes them.
    client: Option<Arc<str>>,
    attempts: usize,
}

enum Next {
    Deliver(Job),
    WaitUntil(Instant),
    Idle,
}

impl Callback {
    pub fn new(url: &str) -> Self {
        Callback { url: url.to_string(), jobs: Mutex::default(), wake: Notify::new() }
    }

    pub fn has_room(&self) -> bool {
        let room = self.jobs().waiting.len() < MAX_WAITING;
        if !room {
            tracing::warn!(callback = %self.url, "the queue of this callback is full; it loses a webhook");
        }
        room
    }

    pub fn enqueue(&self, hook: &Hook, after: Duration, copies: u32) {
        let client = hook.message.is_some().then(|| writer_of(&hook.body)).flatten();
        for _ in 0..copies {
            self.put(Job { hook: hook.id, body: hook.body.clone(), client: client.clone(), attempts: 0 }, after);
        }
    }

    fn put(&self, job: Job, after: Duration) {
        let mut jobs = self.jobs();
        let order = jobs.next;
        jobs.next += 1;
        jobs.waiting.insert((Instant::now() + after, order), job);
        drop(jobs);
        self.wake.notify_one();
    }

    fn next(&self) -> Next {
        let mut guard = self.jobs();
        let jobs = &mut *guard;
        let is_free = |job: &Job| job.client.as_ref().is_none_or(|client| !jobs.busy.contains(client));
        let Some(key) = jobs.waiting.iter().find(|(_, job)| is_free(job)).map(|(key, _)| *key) else { return Next::Idle };
        if key.0 > Instant::now() {
            return Next::WaitUntil(key.0);
        }
        let job = jobs.waiting.remove(&key).expect("it was found in the same moment");
        jobs.busy.extend(job.client.clone());
        Next::Deliver(job)
    }

    /// The client's next message may go.
    fn over(&self, client: Option<&Arc<str>>) {
        if let Some(client) = client {
            self.jobs().busy.remove(client);
            self.wake.notify_one();
        }
    }

    fn jobs(&self) -> std::sync::MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Works through the queue of one callback until it is stopped; what is under way then stays in the journal.
pub(super) async fn run(inner: Arc<Inner>, callback: Arc<Callback>, stop: CancellationToken) {
    let mut under_way = JoinSet::new();
    loop {
        while under_way.try_join_next().is_some() {}
        let full = under_way.len() >= MAX_UNDER_WAY;
        let next = if full { Next::Idle } else { callback.next() };
        let until = match next {
            Next::Deliver(job) => {
                under_way.spawn(deliver(inner.clone(), callback.clone(), job));
                continue;
            }
            Next::WaitUntil(due) => Some(due),
            Next::Idle => None,
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = callback.wake.notified(), if !full => {}
            Some(_) = under_way.join_next(), if full => {}
            () = due(until) => {}
        }
    }
}

async fn due(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

async fn deliver(inner: Arc<Inner>, callback: Arc<Callback>, job: Job) {
    let taken = post(&inner, &callback.url, &job.body).await;
    callback.over(job.client.as_ref());
    if taken {
        if let Err(error) = inner.settle(job.hook, &callback.url) {
            tracing::error!(%error, "the sandbox cannot write its journal");
        }
    } else {
        let wait = BACKOFF_MS[job.attempts.min(BACKOFF_MS.len() - 1)];
        callback.put(Job { attempts: job.attempts + 1, ..job }, Duration::from_millis(wait));
    }
}

fn writer_of(body: &str) -> Option<Arc<str>> {
    let hook: serde_json::Value = serde_json::from_str(body).ok()?;
    hook.pointer("/entry/0/changes/0/value/messages/0/from")?.as_str().map(Arc::from)
}

/// Only a 200 counts; a redirect or another 2xx is a failure, as with Meta.
async fn post(inner: &Inner, url: &str, body: &Arc<str>) -> bool {
    let request = inner.client.post(url).timeout(ANSWER_WITHIN).header("content-type", "application/json");
    let signed = request.header("x-hub-signature-256", signature(&inner.settings.app_secret, body.as_bytes()));
    let answer = signed.header("user-agent", "facebookexternalua").body(body.to_string()).send().await;
    answer.is_ok_and(|answer| answer.status() == http::StatusCode::OK)
}

/// The value of `X-Hub-Signature-256` for these bytes.
pub(super) fn signature(secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    format!("sha256={}", hex::encode(hmac::sign(&key, body)))
}

/// Meta's check of a callback: it must echo the challenge.
pub(super) async fn verify(client: &reqwest::Client, url: &str, token: &str) -> Result<(), String> {
    let challenge = fastrand::u32(1_000_000_000..).to_string();
    let query = [("hub.mode", "subscribe"), ("hub.challenge", challenge.as_str()), ("hub.verify_token", token)];
    let answer = client.get(url).query(&query).timeout(ANSWER_WITHIN).send().await;
    let answer = answer.map_err(|error| format!("The callback {url} cannot be reached: {error}."))?;
    let status = answer.status();
    let body = answer.text().await.unwrap_or_default();
    if status == http::StatusCode::OK && body == challenge {
        return Ok(());
    }
    Err(format!("The callback {url} answered {status} and did not echo the challenge; check its verify token."))
}
