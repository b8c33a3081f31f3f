//! Counts the messages that wait for a gate: once at start, and from then on by the commits as they pass.
use crate::domain::commit::{Commit, Committed, Key, Stored};
use crate::domain::gates::GATES;
use crate::domain::lane::Lane;
use crate::domain::message::{Message, MessageState};
use crate::domain::time::Timestamp;
use crate::ports::{Store, StoreError};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Lanes read at a time at start, and at most: twice as many as the largest firm has clients.
const LANES_AT_ONCE: usize = 1_000;
const LANES_AT_MOST: usize = 2_000_000;
const MESSAGES: &str = "message/";
const HELD: &str = "liaison_held_messages";

/// A store that keeps count. It holds one small entry for each message that is held, and nothing for any other.
pub struct Counted {
    inner: Arc<dyn Store>,
    held: Mutex<HashMap<Key, String>>,
}

/// A message, as far as it matters here.
#[derive(Deserialize)]
struct StateOnly {
    state: MessageState,
}

impl Counted {
    pub fn new(inner: Arc<dyn Store>) -> Counted {
        GATES.iter().for_each(|gate| metrics::gauge!(HELD, "gate" => gate.id).set(0.0));
        Counted { inner, held: Mutex::default() }
    }

    /// Counts what was held before this start. Commits may go on meanwhile; it blocks, and nobody needs to wait for it.
    pub fn count_what_is_there(&self) -> Result<(), StoreError> {
        let (mut after, mut read) = (None::<String>, 0);
        while read < LANES_AT_MOST {
            let page = self.inner.scan("lane/", after.as_deref(), LANES_AT_ONCE)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.as_str().to_owned());
            read += page.len();
            let lanes = page.iter().filter_map(|(_, stored)| serde_json::from_slice::<Lane>(&stored.value).ok());
            for id in lanes.flat_map(|lane| lane.held) {
                self.look_at(&mut self.held(), Message::key_of(&id));
            }
        }
        Ok(())
    }

    /// How many wait for this gate.
    pub fn waiting_for(&self, gate: &str) -> usize {
        self.held().values().filter(|held| *held == gate).count()
    }

    /// How many wait for any gate.
    pub fn waiting(&self) -> usize {
        self.held().len()
    }

    /// Counts a message anew, as it stands in the store now: however commits overtake each other, the last look is right.
    fn look_at(&self, held: &mut HashMap<Key, String>, key: Key) {
        let stored = self.inner.get(&key).ok().flatten();
        let gate = stored.and_then(|stored| gate_of(&stored.value));
        let before = match &gate {
            Some(gate) => held.insert(key, gate.clone()),
            None => held.remove(&key),
        };
        if before == gate {
            return;
        }
        if let Some(gate) = before {
            metrics::gauge!(HELD, "gate" => gate).decrement(1.0);
        }
        if let Some(gate) = gate {
            metrics::gauge!(HELD, "gate" => gate).increment(1.0);
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Key, String>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The gate for which a message record waits.
fn gate_of(record: &[u8]) -> Option<String> {
    match serde_json::from_slice::<StateOnly>(record).ok()?.state {
        MessageState::Held { gate } => Some(gate),
        MessageState::Ready
        | MessageState::Taken
        | MessageState::Doubtful { .. }
        | MessageState::Sent
        | MessageState::Delivered
        | MessageState::Read
        | MessageState::Failed { .. }
        | MessageState::Unconfirmed
        | MessageState::Expired
        | MessageState::Withdrawn { .. }
        | MessageState::Cancelled => None,
    }
}

impl Store for Counted {
    fn get(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        self.inner.get(key)
    }

    fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<(Key, Stored)>, StoreError> {
        self.inner.scan(prefix, after, limit)
    }

    fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        let messages = commit.puts.iter().filter(|put| put.key.as_str().starts_with(MESSAGES));
        let is_held = |value: &Option<Vec<u8>>| value.as_deref().and_then(gate_of).is_some();
        let messages: Vec<(Key, bool)> = messages.map(|put| (put.key.clone(), is_held(&put.value))).collect();
        let committed = self.inner.commit(commit)?;
        if !messages.is_empty() && matches!(committed, Committed::Now(_)) {
            let mut held = self.held();
            for (key, is_held) in messages {
                if is_held || held.contains_key(&key) {
                    self.look_at(&mut held, key);
                }
            }
        }
        Ok(committed)
    }

    fn durable(&self) -> watch::Receiver<u64> {
        self.inner.durable()
    }

    fn last_time(&self) -> Timestamp {
        self.inner.last_time()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::store::MemoryStore;
    use crate::domain::commit::Put;
    use crate::domain::ids::{ContactId, EventId, MessageId, RoomKey};
    use serde_json::{Value, json};

    fn put(key: Key, value: Value) -> Commit {
        let put = Put { key, value: Some(value.to_string().into_bytes()), sealed_for: None };
        Commit { cause: EventId::new("e"), at: Timestamp(1), read: vec![], puts: vec![put], entries: vec![], raw: None }
    }

    fn message(id: &str, state: &MessageState) -> Commit {
        put(Message::key_of(&MessageId::new(id)), json!({ "id": id, "state": state }))
    }

    #[test]
    fn what_is_held_is_counted_at_start_and_as_commits_pass() {
        let inner: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let held = |gate: &str| MessageState::Held { gate: gate.to_owned() };
        let lane = Lane { held: vec![MessageId::new("m-1")], ..Lane::empty(&RoomKey::new("r-1"), &ContactId::new("c-1")) };
        inner.commit(message("m-1", &held("window"))).unwrap();
        inner.commit(put(Lane::key_of(&lane.room, &lane.contact), json!(lane))).unwrap();

        let counted = Counted::new(inner);
        counted.count_what_is_there().unwrap();
        assert_eq!(counted.waiting_for("window"), 1);
        counted.commit(message("m-2", &held("consent"))).unwrap();
        counted.commit(message("m-3", &MessageState::Ready)).unwrap();
        assert_eq!((counted.waiting_for("window"), counted.waiting_for("consent")), (1, 1));
        counted.commit(message("m-2", &held("window"))).unwrap();
        assert_eq!((counted.waiting_for("window"), counted.waiting_for("consent")), (2, 0));
        counted.commit(message("m-1", &MessageState::Expired)).unwrap();
        counted.commit(message("m-2", &MessageState::Taken)).unwrap();
        assert_eq!(counted.waiting_for("window"), 0);
        assert!(counted.held().is_empty());
    }
}
