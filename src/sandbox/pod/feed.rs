//! Datafeeds: one store for both transports, and the long-poll calls.
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State as Shared};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::journal::Line;
use super::login::AgentCaller;
use super::state::{Refused, State, random_hex};
use super::{Parameters, Pod, parse};

/// Feeds of one user, from the real agent.
const MAX_FEEDS: usize = 20;
/// A feed that nobody reads dies after this time, from the real agent.
pub const LIFE: Duration = Duration::from_secs(30 * 60);
/// A feed with more unread events is given up, as if nobody had read it for too long.
const MAX_QUEUED: usize = 50_000;
/// Events in one batch, unless a test wants more.
pub const MAX_BATCH: usize = 100;
/// Characters of a tag, from the contract.
const MAX_TAG: usize = 100;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Feed {
    pub id: String,
    pub owner: u64,
    pub tag: String,
    pub created: i64,
    /// Events that nobody has got yet.
    pub queue: VecDeque<Value>,
    /// Batches that were given out and not acknowledged.
    pub batches: VecDeque<Batch>,
    /// Counts ackIds and connections of this process.
    #[serde(skip)]
    pub acks: u64,
    #[serde(skip)]
    pub taker: u64,
    #[serde(skip, default = "Instant::now")]
    pub last_read: Instant,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Batch {
    /// All ackIds that this batch has had, the newest last.
    pub acks: Vec<String>,
    pub events: Vec<Value>,
    /// Comes once more after its ack: an ordered trouble.
    #[serde(skip)]
    pub twice: bool,
    /// A batch read back from disk is due at once.
    #[serde(skip, default = "Instant::now")]
    pub due: Instant,
}

/// One delivery.
pub struct Delivery {
    pub ack: String,
    pub events: Vec<Value>,
    pub redelivered: bool,
}

impl Feed {
    pub fn give(&mut self, ack: String, count: usize) {
        let count = count.min(self.queue.len());
        let events = self.queue.drain(..count).collect();
        self.batches.push_back(Batch { acks: vec![ack], events, twice: false, due: Instant::now() });
    }

    pub fn give_again(&mut self, was: &str, ack: String) {
        if let Some(batch) = self.batches.iter_mut().find(|batch| batch.acks.iter().any(|id| id == was)) {
            batch.acks.push(ack);
        }
    }

    pub fn forget(&mut self, ack: &str) {
        self.batches.retain(|batch| !batch.acks.iter().any(|id| id == ack));
    }

    /// When the next unacknowledged batch comes back.
    pub fn next_due(&self) -> Option<Instant> {
        let now = Instant::now();
        let dues = || self.batches.iter().map(|batch| batch.due);
        // One that fell due just now is taken at the next look, unless another is still out.
        dues().filter(|due| *due > now).min().or_else(|| dues().min())
    }

    fn shown(&self) -> Value {
        json!({"id": self.id, "createdAt": self.created, "type": "fanout"})
    }
}

impl State {
    pub fn drop_expired_feeds(&mut self) {
        let life = self.feed_life;
        let dead = self.feeds.values().filter(|feed| feed.last_read.elapsed() > life || feed.queue.len() > MAX_QUEUED);
        let dead: Vec<String> = dead.map(|feed| feed.id.clone()).collect();
        dead.iter().for_each(|id| self.drop_feed(id));
    }

    pub fn drop_feed(&mut self, id: &str) {
        if self.feeds.remove(id).is_some() {
            self.note(&Line::FeedGone { feed: id.to_string() });
        }
    }

    pub fn create_feed(&mut self, owner: u64, tag: &str) -> Result<String, Refused> {
        self.drop_expired_feeds();
        short_enough(tag)?;
        if self.feeds.values().filter(|feed| feed.owner == owner).count() >= MAX_FEEDS {
            return Err(Refused::forbidden(format!("Too many feeds created: the limit is {MAX_FEEDS}")));
        }
        let feed = Feed {
            id: format!("{}_f", random_hex(16)),
            owner,
            tag: tag.to_string(),
            created: self.tick(),
            queue: VecDeque::new(),
            batches: VecDeque::new(),
            acks: 0,
            taker: 0,
            last_read: Instant::now(),
        };
        self.note(&Line::Feed(feed.clone()));
        let id = feed.id.clone();
        self.feeds.insert(id.clone(), feed);
        Ok(id)
    }

    /// The caller's feed, alive and from now on read again.
    pub fn feed_of(&mut self, id: &str, owner: u64) -> Result<&mut Feed, Refused> {
        self.drop_expired_feeds();
        let feed = self.feeds.get_mut(id).filter(|feed| feed.owner == owner);
        let feed = feed.ok_or_else(|| Refused::bad(format!("Could not find a datafeed with the id {id}")))?;
        feed.last_read = Instant::now();
        Ok(feed)
    }

    pub fn feed_with_tag(&mut self, owner: u64, tag: &str) -> Option<String> {
        self.drop_expired_feeds();
        let found = self.feeds.values().find(|feed| feed.owner == owner && feed.tag == tag);
        found.map(|feed| feed.id.clone())
    }

    /// Settles a batch. An earlier ackId of a batch counts only if `earlier` says so; unknown ones are ignored.
    pub fn ack(&mut self, feed: &str, ack: &str, earlier: bool) {
        let Some(found) = self.feeds.get_mut(feed) else { return };
        let matches = |batch: &Batch| match earlier {
            true => batch.acks.iter().any(|id| id == ack),
            false => batch.acks.last().is_some_and(|id| id == ack),
        };
        let Some(batch) = found.batches.iter_mut().find(|batch| matches(batch)) else { return };
        if batch.twice {
            batch.twice = false;
            batch.due = Instant::now();
            self.changed = true;
            return;
        }
        found.forget(ack);
        self.note(&Line::Acked { feed: feed.to_string(), ack: ack.to_string() });
    }

    /// Everything unacknowledged becomes visible at once: the reader has come back.
    pub fn requeue(&mut self, feed: &str) {
        if let Some(feed) = self.feeds.get_mut(feed) {
            feed.batches.iter_mut().for_each(|batch| batch.due = Instant::now());
        }
    }

    /// The next delivery: a batch that is due again, else new events. `one` allows a single outstanding batch.
    pub fn take_events(&mut self, id: &str, one: bool) -> Option<Delivery> {
        let (visibility, batch_max, now) = (self.visibility, self.batch_max, Instant::now());
        let duplicate = self.troubles.contains_key("duplicate");
        let ack = self.new_ack(id)?;
        let feed = self.feeds.get_mut(id)?;
        if one && feed.batches.iter().any(|batch| batch.due > now) {
            return None;
        }
        if let Some(batch) = feed.batches.iter_mut().find(|batch| batch.due <= now) {
            let was = batch.acks.last().cloned().unwrap_or_default();
            batch.acks.push(ack.clone());
            batch.due = now + visibility;
            let events = batch.events.clone();
            self.note(&Line::Again { feed: id.to_string(), was, ack: ack.clone() });
            return Some(Delivery { ack, events, redelivered: true });
        }
        if feed.queue.is_empty() {
            return None;
        }
        let count = feed.queue.len().min(batch_max);
        feed.give(ack.clone(), count);
        let batch = feed.batches.back_mut().expect("it was just given");
        (batch.due, batch.twice) = (now + visibility, duplicate);
        let events = batch.events.clone();
        if duplicate {
            self.take_trouble("duplicate");
        }
        self.note(&Line::Given { feed: id.to_string(), ack: ack.clone(), count });
        Some(Delivery { ack, events, redelivered: false })
    }

    fn new_ack(&mut self, feed: &str) -> Option<String> {
        let feed = self.feeds.get_mut(feed)?;
        feed.acks += 1;
        Some(format!("a{}.{}", feed.acks, self.boot))
    }
}

fn short_enough(tag: &str) -> Result<(), Refused> {
    match tag.chars().count() > MAX_TAG {
        true => Err(Refused::bad(format!("tag is longer than {MAX_TAG} characters"))),
        false => Ok(()),
    }
}

// --- the long-poll calls ---

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct CreateBody {
    tag: Option<String>,
    #[serde(rename = "includeInvisible")]
    _include_invisible: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ReadBody {
    ack_id: Option<String>,
    #[serde(rename = "updatePresence")]
    _update_presence: Option<bool>,
}

pub async fn list(
    Shared(pod): Shared<Pod>,
    AgentCaller(user): AgentCaller,
    Query(query): Query<Parameters>,
) -> Result<Json<Value>, Refused> {
    let tag = query.get("tag").filter(|tag| !tag.is_empty());
    tag.map_or(Ok(()), |tag| short_enough(tag))?;
    pod.act(|state| {
        state.drop_expired_feeds();
        let mine = state.feeds.values().filter(|feed| feed.owner == user && tag.is_none_or(|tag| *tag == feed.tag));
        Ok(Json(mine.map(Feed::shown).collect()))
    })
}

pub async fn create(
    Shared(pod): Shared<Pod>,
    AgentCaller(user): AgentCaller,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Refused> {
    let body: CreateBody = if body.is_empty() { CreateBody::default() } else { parse(&body)? };
    pod.act(|state| {
        let id = state.create_feed(user, &body.tag.unwrap_or_default())?;
        Ok((StatusCode::CREATED, Json(state.feeds[&id].shown())))
    })
}

/// Deleting a feed that is gone already is no fault: a client does so before it makes a new one.
pub async fn delete(
    Shared(pod): Shared<Pod>,
    AgentCaller(user): AgentCaller,
    Path(id): Path<String>,
) -> Result<StatusCode, Refused> {
    pod.act(|state| {
        if state.feed_of(&id, user).is_ok() {
            state.drop_feed(&id);
        }
        Ok(StatusCode::NO_CONTENT)
    })
}

pub async fn read(
    Shared(pod): Shared<Pod>,
    AgentCaller(user): AgentCaller,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Refused> {
    let body: ReadBody = if body.is_empty() { ReadBody::default() } else { parse(&body)? };
    let ack = body.ack_id.unwrap_or_default();
    let mut changes = pod.changes();
    let hold = pod.act(|state| state.begin_read(&id, user, &ack))?;
    let end = Instant::now() + hold;
    loop {
        changes.mark_unchanged();
        let (delivery, due) = pod.act(|state| {
            state.feed_of(&id, user)?;
            let delivery = state.take_events(&id, false);
            Ok((delivery, state.feeds[&id].next_due()))
        })?;
        if let Some(Delivery { ack, events, .. }) = delivery {
            return Ok(Json(json!({"events": events, "ackId": ack})));
        }
        if Instant::now() >= end {
            let ack = pod.act(|state| Ok(state.new_ack(&id)))?;
            return Ok(Json(json!({"events": [], "ackId": ack.unwrap_or_default()})));
        }
        let until = due.map_or(end, |due| due.min(end));
        // Woken by a change, by a batch that is due again or by the end of the hold: all lead to another look.
        let _ = tokio::time::timeout_at(until.into(), changes.changed()).await;
    }
}

impl State {
    fn begin_read(&mut self, id: &str, user: u64, ack: &str) -> Result<Duration, Refused> {
        let trouble = self.is_service(user) && self.take_trouble("feed-gone");
        if trouble {
            self.drop_feed(id);
        }
        self.feed_of(id, user)?;
        if !ack.is_empty() && !is_an_ack_id(ack) {
            return Err(Refused::bad(format!("Invalid ackId: {ack}")));
        }
        self.ack(id, ack, true);
        Ok(self.hold)
    }
}

/// Whether it looks like one of ours; a settled one may come again after a lost answer.
fn is_an_ack_id(ack: &str) -> bool {
    ack.strip_prefix('a').and_then(|rest| rest.split_once('.')).is_some_and(|(number, _)| number.parse::<u64>().is_ok())
}
