//! A store in memory that keeps the same promises, for simulated worlds: its durability can be held back, and it can crash.
use super::record::check_put;
use super::view::SEEN_KEPT;
use crate::domain::commit::{Commit, Committed, Key, Stored, Version};
use crate::domain::time::Timestamp;
use crate::ports::{Store, StoreError};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// A commit with its place in the order.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    pub sequence: u64,
    pub commit: Commit,
}

pub struct MemoryStore {
    world: Mutex<World>,
    durable: watch::Sender<u64>,
}

#[derive(Default)]
struct World {
    records: BTreeMap<Key, Stored>,
    /// Seen keys in the order in which they came, with the commit that wrote them: after 30 days they go.
    seen: VecDeque<(Timestamp, u64, Key)>,
    commits: Vec<Kept>,
    durability_is_held: bool,
    last_time: Timestamp,
}

impl Default for MemoryStore {
    fn default() -> MemoryStore {
        MemoryStore::new()
    }
}

impl MemoryStore {
    pub fn new() -> MemoryStore {
        MemoryStore { world: Mutex::default(), durable: watch::Sender::new(0) }
    }

    /// Every commit, durable or not, oldest first.
    pub fn journal(&self) -> Vec<Kept> {
        self.journal_after(0)
    }

    /// The commits behind a number, so that a checker need not read all of them again.
    pub fn journal_after(&self, sequence: u64) -> Vec<Kept> {
        let world = self.world();
        world.commits.get(sequence as usize..).unwrap_or_default().to_vec()
    }

    /// While held, commits are sequenced but not durable. Letting go makes all of them durable.
    pub fn hold_durability(&self, held: bool) {
        let mut world = self.world();
        world.durability_is_held = held;
        if !held {
            self.durable.send_replace(world.commits.len() as u64);
        }
    }

    /// Makes the commits up to this number durable, as one frame of a journal would.
    pub fn make_durable(&self, up_to: u64) {
        let last = self.world().commits.len() as u64;
        self.durable.send_modify(|durable| *durable = up_to.min(last).max(*durable));
    }

    /// What a power cut at this moment leaves: a new store that holds only what was durable.
    pub fn crash(&self) -> MemoryStore {
        let durable = *self.durable.borrow();
        let after = MemoryStore::new();
        let kept = self.world().commits.iter().take(durable as usize).cloned().collect::<Vec<_>>();
        let mut world = after.world();
        for kept in kept {
            world.keep(kept.commit);
        }
        drop(world);
        after.durable.send_replace(durable);
        after
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    fn version(&self, key: &Key) -> Version {
        self.records.get(key).map_or(0, |stored| stored.version)
    }

    fn sweep(&mut self) {
        let until = self.last_time - SEEN_KEPT;
        while self.seen.front().is_some_and(|(at, ..)| *at < until) {
            let Some((_, sequence, key)) = self.seen.pop_front() else { return };
            if self.version(&key) == sequence {
                self.records.remove(&key);
            }
        }
    }

    fn keep(&mut self, commit: Commit) -> u64 {
        let sequence = self.commits.len() as u64 + 1;
        for put in &commit.puts {
            match &put.value {
                Some(value) => drop(self.records.insert(put.key.clone(), Stored { version: sequence, value: value.clone() })),
                None => drop(self.records.remove(&put.key)),
            }
        }
        self.last_time = self.last_time.max(commit.at);
        let seen = commit.puts.iter().filter(|put| put.value.is_some() && put.key.as_str().starts_with("seen/"));
        self.seen.extend(seen.map(|put| (self.last_time, sequence, put.key.clone())));
        self.sweep();
        self.commits.push(Kept { sequence, commit });
        sequence
    }
}

impl Store for MemoryStore {
    fn get(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        Ok(self.world().records.get(key).cloned())
    }

    fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<(Key, Stored)>, StoreError> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(Key::from_text(after)),
            Some(_) | None => Bound::Included(Key::from_text(prefix)),
        };
        let world = self.world();
        let records = world.records.range((from, Bound::Unbounded));
        let inside = records.take_while(|(key, _)| key.as_str().starts_with(prefix)).filter(|(key, _)| !key.is_personal());
        Ok(inside.take(limit).map(|(key, stored)| (key.clone(), stored.clone())).collect())
    }

    fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        commit.puts.iter().try_for_each(check_put)?;
        let mut world = self.world();
        if commit.read.iter().any(|(key, version)| world.version(key) != *version) {
            return Ok(Committed::Outrun);
        }
        let sequence = world.keep(commit);
        if !world.durability_is_held {
            self.durable.send_replace(sequence);
        }
        Ok(Committed::Now(sequence))
    }

    fn durable(&self) -> watch::Receiver<u64> {
        self.durable.subscribe()
    }

    fn last_time(&self) -> Timestamp {
        self.world().last_time
    }
}
