//! The store of one instance: journal first, sled behind it.
use super::opening;
use super::record::{self, Kept};
use super::seal::KeyRing;
use super::sequencer::{Fatal, Latest, Shared};
use super::snapshots::Snapshots;
use super::view::Viewed;
use crate::domain::commit::{Commit, Committed, Key, Stored, Version};
use crate::domain::ids::ContactId;
use crate::domain::time::Timestamp;
use crate::ports::{Store, StoreError};
use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::watch;

/// A scan holds the line for at most this many records at a time; a longer one is of several moments.
const SCAN_PAGE: usize = 1_000;
/// Deleted and personal records take up places in a page; so small ones are not worth the lock.
const SMALLEST_PAGE: usize = 16;

pub struct OpenStore {
    pub data_dir: PathBuf,
    /// What to do when the disk failed under the running store. It must end the process; tests look on instead.
    pub fatal: Fatal,
    pub snapshots: Snapshots,
}

impl OpenStore {
    pub fn new(data_dir: impl Into<PathBuf>) -> OpenStore {
        let fatal = |what: String| {
            eprintln!("liaison: {what}");
            std::process::exit(1);
        };
        let data_dir = data_dir.into();
        let snapshots = Snapshots::of(&data_dir);
        OpenStore { data_dir, fatal: Box::new(fatal), snapshots }
    }
}

/// What opening had to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// Bytes of an unfinished last frame that were cut off. None of it had been acknowledged.
    pub cut_bytes: u64,
    /// Commits that the view took from the journal.
    pub replayed: u64,
    /// The view held nothing, because it was missing or unusable, and was made anew.
    pub rebuilt: bool,
    /// The last of the commits that came with a snapshot and so were not replayed; 0 without one.
    pub restored: u64,
}

pub struct SledStore {
    pub(super) shared: Arc<Shared>,
    pub(super) durable: watch::Receiver<u64>,
    pub(super) threads: Mutex<Vec<JoinHandle<()>>>,
    /// Held as long as the store: one process a folder.
    pub(super) _lock: File,
}

impl SledStore {
    pub fn open(options: OpenStore) -> Result<(SledStore, Opening), StoreError> {
        opening::open(options)
    }

    /// Destroys the contact's key: whatever was sealed for him reads as absent from now on, here and in every copy of the
    /// journal that is read with these keys; all hashes stay valid. False: nothing was ever sealed for him.
    pub fn erase(&self, contact: &ContactId) -> Result<bool, StoreError> {
        // The overlay holds plain values: first let them leave it.
        self.shared.settle()?;
        self.shared.keys.erase(contact).inspect_err(|error| self.shared.fail(error))
    }

    /// For what is kept beside the store and erased with a contact's key: files.
    pub fn keys(&self) -> Arc<KeyRing> {
        Arc::clone(&self.shared.keys)
    }

    /// Writes what is sequenced, applies it and ends the threads.
    pub fn close(self) -> Result<(), StoreError> {
        self.end()
    }

    /// The same for a store that others still hold: what they bring from now on is refused. The folder stays locked until
    /// the last of them lets go.
    pub fn end(&self) -> Result<(), StoreError> {
        self.stop();
        self.shared.line().map(drop)
    }

    /// How many durable commits the view has yet to take; what it lacks is answered from memory.
    pub fn behind(&self) -> Result<u64, StoreError> {
        Ok(self.durable.borrow().saturating_sub(self.shared.view.applied()?))
    }

    fn stop(&self) {
        self.shared.close();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A panic of the thread was told already, as a failure of the store.
            let _ = thread.join();
        }
    }

    fn look_up(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        let name = self.shared.keys.stored_name(key);
        let latest = self.shared.line()?.overlay.get(&name).cloned();
        if let Some(latest) = latest {
            return Ok(latest.stored());
        }
        let Some(viewed) = self.shared.view.get(&name)? else { return Ok(None) };
        self.opened(&name, viewed)
    }

    fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<(Key, Stored)>, StoreError> {
        let mut records = Vec::new();
        let mut after = after.map(str::to_owned);
        while records.len() < limit {
            let wanted = (limit - records.len()).clamp(SMALLEST_PAGE, SCAN_PAGE);
            let from = match &after {
                Some(after) if after.as_str() >= prefix => Bound::Excluded(after.as_str()),
                Some(_) | None => Bound::Included(prefix),
            };
            let page = self.page(prefix, from, wanted)?;
            let is_last = page.len() < wanted;
            after = page.last_key_value().map(|(name, _)| name.clone());
            for (name, found) in page {
                let key = Key::from_text(name);
                if !key.is_personal() {
                    records.extend(self.found(key.as_str(), found)?.map(|stored| (key, stored)));
                }
            }
            if is_last {
                break;
            }
        }
        records.truncate(limit);
        Ok(records)
    }

    fn put_in_order(&self, commit: Commit) -> Result<Committed, StoreError> {
        let read: Vec<(String, Version)> =
            commit.read.iter().map(|(key, version)| (self.shared.keys.stored_name(key), *version)).collect();
        let ready = record::prepare(&self.shared.keys, &commit)?;
        self.shared.sequence(read, ready, commit.puts.into_iter().map(|put| put.value).collect())
    }

    fn opened(&self, name: &str, viewed: Viewed) -> Result<Option<Stored>, StoreError> {
        let value = match viewed.kept {
            Kept::Plain(value) => Some(value),
            Kept::Sealed(sealed) => self.shared.keys.open_sealed(&record::record_context(name), &sealed)?,
        };
        Ok(value.map(|value| Stored { version: viewed.version, value }))
    }

    /// About `limit` records from `from` on, as of one moment, deleted ones among them.
    fn page(&self, prefix: &str, from: Bound<&str>, limit: usize) -> Result<BTreeMap<String, Found>, StoreError> {
        let line = self.shared.line()?;
        let below = self.shared.view.page(prefix, from, limit)?;
        let mut page: BTreeMap<_, _> = below.into_iter().map(|(name, viewed)| (name, Found::Below(viewed))).collect();
        // Behind a full page the view has more records, so what lies above those must wait for the next page.
        let end = page.last_key_value().filter(|_| page.len() == limit).map(|(name, _)| name.clone());
        let to = end.as_deref().map_or(Bound::Unbounded, Bound::Included);
        let above = line.overlay.range::<str, _>((from, to)).take_while(|(name, _)| name.starts_with(prefix));
        page.extend(above.map(|(name, latest)| (name.clone(), Found::Above(latest.clone()))));
        Ok(page)
    }

    fn found(&self, name: &str, found: Found) -> Result<Option<Stored>, StoreError> {
        match found {
            Found::Above(latest) => Ok(latest.stored()),
            Found::Below(viewed) => self.opened(name, viewed),
        }
    }
}

enum Found {
    Above(Latest),
    Below(Viewed),
}

impl Store for SledStore {
    fn get(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        self.shared.unless_a_disk_failed(self.look_up(key))
    }

    fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<(Key, Stored)>, StoreError> {
        self.shared.unless_a_disk_failed(self.list(prefix, after, limit))
    }

    fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        self.shared.unless_a_disk_failed(self.put_in_order(commit))
    }

    fn durable(&self) -> watch::Receiver<u64> {
        self.durable.clone()
    }

    fn last_time(&self) -> Timestamp {
        Timestamp(self.shared.last_time.load(Ordering::Acquire))
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        self.stop();
    }
}
