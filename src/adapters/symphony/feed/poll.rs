//! The platform's own datafeed by HTTP long polling: found or made by its tag, then read again and again (INTERFACES §4).
//!
//! There is one read at a time, and none while the last batch is being kept: the next read is what acknowledges it. A batch
//! that is kept while the program ends is therefore not acknowledged. It comes again after the agent's visibility timeout and
//! is known by its ids then; a last read for the ack's sake could take further events with it and delay them as long.
use super::ended::{Ended, retry_after_of};
use super::{Batch, FeedSettings, Line, Memory, News, NotOpened, Opened, Opens, Pace, feed_client};
use crate::adapters::symphony::login::{PROXY_REFUSES, Session, Tokens, told};
use futures_util::future::BoxFuture;
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Active feeds that an account may have, of all its tags.
pub(super) const FEEDS_MAX: usize = 20;
/// For the calls that the agent answers at once.
const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// The largest answer that we read. A larger batch would come again for ever, until the watchdog gives up its feed and the
/// histories tell what was in it.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// Of a complaint, so much is told to the operator.
const COMPLAINT_CHARACTERS: usize = 200;

/// The agent, as far as its datafeeds are concerned.
#[derive(Clone)]
pub(super) struct Agent {
    http: reqwest::Client,
    session: Arc<Session>,
    /// `…/agent/v5/datafeeds`
    feeds: Url,
    tag: String,
    pace: Pace,
}

/// A feed in the agent's list.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Listed {
    id: String,
    created_at: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read<'a> {
    #[serde(borrow, default)]
    events: Option<&'a RawValue>,
    #[serde(default)]
    ack_id: Option<String>,
}

struct Answer {
    status: StatusCode,
    retry_after: Duration,
    body: Vec<u8>,
    /// Of the tokens that it was asked with.
    generation: u64,
}

impl Agent {
    pub(super) fn new(session: Arc<Session>, settings: FeedSettings) -> Result<Agent, String> {
        let address = format!("{}/agent/v5/datafeeds", session.settings().agent_url.trim_end_matches('/'));
        let feeds = Url::parse(&address).map_err(|error| format!("{address} is no address: {error}"))?;
        Ok(Agent { http: feed_client(&session)?, session, feeds, tag: settings.tag, pace: settings.pace })
    }

    /// How many feeds there are, for the doctor. Listing takes nothing from anybody's feed.
    pub(super) async fn count(&self) -> Result<String, String> {
        let told = |ended: Ended| format!("{} does not answer as it should: {}.", self.feeds, ended.told());
        let all = self.list(None).await.map_err(told)?.len();
        let ours = !self.list(Some(&self.tag)).await.map_err(told)?.is_empty();
        let of_all = format!("{all} of at most {FEEDS_MAX} datafeeds of this account are in use");
        match ours {
            true => Ok(format!("{of_all}; the one tagged {} is among them and was left alone.", self.tag)),
            false if all < FEEDS_MAX => Ok(format!("{of_all}; none is tagged {} yet, and none was made.", self.tag)),
            false => Err(format!("{of_all}, and none is tagged {}: the bot would get none.", self.tag)),
        }
    }

    /// The feeds of real-time events that the account has, with this tag or of all tags.
    async fn list(&self, tag: Option<&str>) -> Result<Vec<Listed>, Ended> {
        let mut url = self.feeds.clone();
        if let Some(tag) = tag {
            url.query_pairs_mut().append_pair("tag", tag);
        }
        let answer = self.ask(Method::GET, url, None, ANSWER_WAIT).await?;
        let listed: Vec<Listed> = match answer.status {
            StatusCode::NO_CONTENT => Vec::new(),
            _ => answer.good()?.read()?,
        };
        Ok(listed.into_iter().filter(|feed| brings_events(&feed.id)).collect())
    }

    async fn create(&self) -> Result<Opened, NotOpened> {
        let answer = self.ask(Method::POST, self.feeds.clone(), Some(json!({ "tag": self.tag })), ANSWER_WAIT).await;
        let made = answer.and_then(|answer| answer.good()?.read::<Listed>());
        let made = made.and_then(|made| match made.id.is_empty() {
            true => Err(Ended::Broken("the agent made a datafeed and does not tell its id".to_owned())),
            false => Ok(Opened { feed_id: made.id, created: true }),
        });
        made.map_err(|ended| NotOpened { maybe_made: !ended.is_refusal(), ended })
    }

    /// Whatever the answer, the agent knows now what we want; agents differ in it even where all is well.
    async fn delete(&self, id: &str) -> Result<(), Ended> {
        self.ask(Method::DELETE, self.of_feed(id, &[]), None, ANSWER_WAIT).await.map(drop)
    }

    /// One read. A 400 says that the feed is gone, or only that the ackId is none: an agent that has restarted may know the
    /// feed but not its old ackIds. An empty one tells which; what it leaves unacknowledged comes again and is known then.
    async fn read(self, id: String, ack_id: String) -> Result<Batch, Ended> {
        let answer = self.read_once(&id, &ack_id).await?;
        if answer.status != StatusCode::BAD_REQUEST {
            return answer.good()?.batch();
        }
        if ack_id.is_empty() {
            return Err(Ended::Gone);
        }
        tracing::warn!(why = answer.complaint(), "the agent does not take the last ackId; reading without one");
        let answer = self.read_once(&id, "").await?;
        match answer.status {
            StatusCode::BAD_REQUEST => Err(Ended::Gone),
            _ => answer.good()?.batch(),
        }
    }

    async fn read_once(&self, id: &str, ack_id: &str) -> Result<Answer, Ended> {
        let body = json!({ "ackId": ack_id });
        self.ask(Method::POST, self.of_feed(id, &["read"]), Some(body), self.pace.read_wait).await
    }

    fn of_feed(&self, id: &str, more: &[&str]) -> Url {
        let mut url = self.feeds.clone();
        url.path_segments_mut().expect("an http address has a path").push(id).extend(more);
        url
    }

    async fn ask(&self, method: Method, url: Url, body: Option<Value>, wait: Duration) -> Result<Answer, Ended> {
        let tokens = self.session.tokens().await.map_err(|e| Ended::Login(e.to_string()))?;
        let request = self.http.request(method, url);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let late = |_| Ended::Unreachable(format!("the agent did not answer within {} s", wait.as_secs()));
        timeout(wait, exchange(request, &tokens)).await.map_err(late)?
    }
}

async fn exchange(request: RequestBuilder, tokens: &Tokens) -> Result<Answer, Ended> {
    let request = request.header("sessionToken", &tokens.session).header("keyManagerToken", &tokens.key_manager);
    let unreachable = |error| Ended::Unreachable(format!("the agent cannot be reached: {}", told(&error)));
    let mut answer = request.send().await.map_err(unreachable)?;
    let (status, retry_after) = (answer.status(), retry_after_of(answer.headers()));
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(Ended::Broken("the agent's answer is too large".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, retry_after, body, generation: tokens.generation })
}

impl Answer {
    /// The answer, if it says yes.
    fn good(self) -> Result<Answer, Ended> {
        let status = self.status.as_u16();
        let said = |otherwise: &str| match self.complaint() {
            said if said.is_empty() => format!("the agent answered {status}{otherwise}"),
            said => format!("the agent answered {status}: {said}"),
        };
        match status {
            200..=299 => Ok(self),
            401 => Err(Ended::Unauthorised { generation: self.generation }),
            403 => Err(Ended::TooMany(said(&format!(": too many datafeeds; an account may have {FEEDS_MAX}")))),
            407 => Err(Ended::Unreachable(PROXY_REFUSES.to_owned())),
            429 => Err(Ended::TooFast(self.retry_after)),
            500..=599 => Err(Ended::Unreachable(said(""))),
            _ => Err(Ended::Broken(said(""))),
        }
    }

    /// The platform's own words; what a machine in between says is of no use.
    fn complaint(&self) -> String {
        let read = serde_json::from_slice::<Value>(&self.body).unwrap_or_default();
        read["message"].as_str().unwrap_or_default().chars().take(COMPLAINT_CHARACTERS).collect()
    }

    fn read<T: DeserializeOwned>(&self) -> Result<T, Ended> {
        serde_json::from_slice(&self.body).map_err(unreadable)
    }

    fn batch(&self) -> Result<Batch, Ended> {
        let read: Read = serde_json::from_slice(&self.body).map_err(unreadable)?;
        let events = read.events.map_or("[]", RawValue::get);
        match events.starts_with('[') {
            true => Ok(Batch { events: events.to_owned(), ack_id: read.ack_id.unwrap_or_default() }),
            false => Err(Ended::Broken("the agent's events are no list".to_owned())),
        }
    }
}

fn unreadable(error: serde_json::Error) -> Ended {
    Ended::Broken(format!("the agent's answer cannot be read: {error}"))
}

/// Feeds of real-time events have ids like `371f…_f` or `e766…_f_f8001`; others are those of datahoses.
fn brings_events(id: &str) -> bool {
    let mut parts = id.split('_');
    let (first, kind, more) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let is_word = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace);
    is_word(first) && kind == Some("f") && more.is_none_or(is_word) && parts.next().is_none()
}

impl Opens for Agent {
    const NAME: &'static str = "long-poll";
    type Line = Reading;

    /// The list is asked for even where the feed is known: it is answered at once and so tells that agent and tokens are
    /// good, while a read may be held. Only a read tells that a feed is gone, so a known one is read even if it is not listed.
    async fn open(&mut self, memory: &mut Memory) -> Result<(Reading, Opened), NotOpened> {
        if let Some(gone) = &memory.to_delete {
            self.delete(gone).await?;
            memory.to_delete = None;
        }
        let listed = self.list(Some(&self.tag)).await?;
        let listed = listed.into_iter().filter(|feed| !memory.given_up.contains(&feed.id));
        // Where an answer was lost there may be two; the older one has what came first.
        let found = listed.min_by_key(|feed| feed.created_at.unwrap_or(i64::MAX)).map(|feed| feed.id);
        let opened = match memory.feed_id.clone().or(found) {
            Some(feed_id) => Opened { feed_id, created: false },
            None => self.create().await?,
        };
        let is_known = memory.feed_id.as_ref() == Some(&opened.feed_id);
        // An ackId of an earlier life is none for the agent: the first read must come without.
        let ack_id = if is_known { memory.durable.clone() } else { String::new() };
        Ok((Reading::new(self.clone(), &opened, ack_id), opened))
    }

    fn longest_silence(&self) -> Option<Duration> {
        Some(self.pace.watchdog)
    }

    fn start_afresh(&mut self) {
        match feed_client(&self.session) {
            Ok(http) => self.http = http,
            Err(why) => tracing::error!(why, "no new client could be made; the old one goes on"),
        }
    }
}

/// One feed that is read.
pub(super) struct Reading {
    agent: Agent,
    feed_id: String,
    /// Goes out with the next read.
    ack_id: String,
    under_way: Option<BoxFuture<'static, Result<Batch, Ended>>>,
    /// The last batch is being kept.
    keeping: bool,
    asked: Instant,
    /// A listed feed may be dead all the same; one that was made just now is not.
    heard: Option<Instant>,
    /// The last batch, to know it by, and whether it brought anything that the one before had not.
    last: u64,
    brought_news: bool,
}

impl Reading {
    fn new(agent: Agent, opened: &Opened, ack_id: String) -> Reading {
        let (asked, last) = (Instant::now(), hash_of("[]"));
        let (feed_id, heard) = (opened.feed_id.clone(), opened.created.then_some(asked));
        Reading { agent, feed_id, ack_id, under_way: None, keeping: false, asked, heard, last, brought_news: true }
    }

    /// An agent that answers at once, but always with nothing or the same, is asked in peace.
    fn pause(&self) -> Duration {
        match self.brought_news {
            true => Duration::ZERO,
            false => self.agent.pace.first.saturating_sub(self.asked.elapsed()),
        }
    }

    fn ask(&mut self) -> BoxFuture<'static, Result<Batch, Ended>> {
        let pause = self.pause();
        self.asked = Instant::now() + pause;
        let read = self.agent.clone().read(self.feed_id.clone(), self.ack_id.clone());
        Box::pin(async move {
            sleep(pause).await;
            read.await
        })
    }
}

impl Line for Reading {
    async fn next(&mut self) -> Result<News, Ended> {
        if self.keeping {
            std::future::pending::<()>().await;
        }
        if self.under_way.is_none() {
            self.under_way = Some(self.ask());
        }
        let read = self.under_way.as_mut().expect("it was made just now").await;
        self.under_way = None;
        let batch = read?;
        self.heard = Some(Instant::now());
        let this = hash_of(&batch.events);
        self.brought_news = this != self.last && this != hash_of("[]");
        (self.keeping, self.last) = (true, this);
        Ok(News::Batch(batch))
    }

    fn heard(&self) -> Option<Instant> {
        self.heard
    }

    async fn settled(&mut self, ack_id: Option<&str>) -> Result<(), Ended> {
        self.keeping = false;
        if let Some(ack_id) = ack_id {
            self.ack_id = ack_id.to_owned();
        }
        Ok(())
    }

    /// Each read takes the tokens of its hour.
    async fn renewed(&mut self) -> Result<(), Ended> {
        Ok(())
    }

    /// Who waits for an answer that nobody wants any more is let go.
    async fn close(&mut self) {
        self.under_way = None;
    }
}

fn hash_of(events: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    events.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_feeds_of_events_are_taken_up() {
        for good in ["371f465fb97b5d1027d20a5e7085863a_f", "e766c498_f_f8001", "Ab+/=_f"] {
            assert!(brings_events(good), "{good}");
        }
        for other in ["", "_f", "371f", "371f_p", "371f_p_001", "37 1f_f", "371f_f_", "371f_f_1_2", "371f_ff"] {
            assert!(!brings_events(other), "{other}");
        }
    }
}
