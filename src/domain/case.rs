//! The records that one event touches: read on demand, each with the version it had, and written back together.
use super::commit::{Key, Put, Stored, Version};
use super::ids::ContactId;
use super::time::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// All records as they stand at one moment. Reading changes nothing, so a decision over them stays pure.
pub trait Records {
    fn get(&self, key: &Key) -> Option<Stored>;
    /// Keys that begin with `prefix` and lie behind `after`, ascending, at most `limit`.
    fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Vec<(Key, Stored)>;
}

/// Something that is kept under a key of its own.
pub trait Record: Serialize + DeserializeOwned + Clone + 'static {
    fn key(&self) -> Key;
    /// The contact whose content it holds, if it holds any.
    fn sealed_for(&self) -> Option<ContactId>;
    /// When it wants to be looked at again; kept in one index of wake-up times.
    fn wake_at(&self) -> Option<Timestamp> {
        None
    }
}

/// The name of a wake-up in the index: sortable by time, then the record's key.
pub fn wake_key(at: Timestamp, record: &Key) -> Key {
    Key::new("wake", format_args!("{:016}/{}", at.0.max(0), record.as_str()))
}

/// The record that a wake-up names, and its time; `None` for another kind of key.
pub fn woken(key: &Key) -> Option<(Timestamp, Key)> {
    let rest = key.as_str().strip_prefix("wake/")?;
    let (at, record) = rest.split_once('/')?;
    Some((Timestamp(at.parse().ok()?), Key::from_text(record)))
}

pub struct Case<'a> {
    records: &'a dyn Records,
    read: RefCell<BTreeMap<Key, Option<Stored>>>,
    written: BTreeMap<Key, Put>,
    /// Records as values, because a decision asks for the same few of them again and again.
    decoded: RefCell<BTreeMap<Key, Box<dyn Any>>>,
}

impl<'a> Case<'a> {
    pub fn new(records: &'a dyn Records) -> Case<'a> {
        Case { records, read: RefCell::default(), written: BTreeMap::new(), decoded: RefCell::default() }
    }

    pub fn get<R: Record>(&self, key: &Key) -> Option<R> {
        if let Some(record) = self.decoded.borrow().get(key).and_then(|record| record.downcast_ref::<R>()) {
            return Some(record.clone());
        }
        let decode = |bytes: &[u8]| serde_json::from_slice(bytes).expect("a stored record is JSON of its kind");
        let record: R = match self.written.get(key) {
            Some(put) => put.value.as_deref().map(decode),
            None => self.load(key, |stored| stored.map(|stored| decode(&stored.value))),
        }?;
        self.decoded.borrow_mut().insert(key.clone(), Box::new(record.clone()));
        Some(record)
    }

    pub fn holds(&self, key: &Key) -> bool {
        match self.written.get(key) {
            Some(put) => put.value.is_some(),
            None => self.load(key, |stored| stored.is_some()),
        }
    }

    fn load<T>(&self, key: &Key, look: impl FnOnce(Option<&Stored>) -> T) -> T {
        let mut read = self.read.borrow_mut();
        if let Some(stored) = read.get(key) {
            return look(stored.as_ref());
        }
        look(read.entry(key.clone()).or_insert_with(|| self.records.get(key)).as_ref())
    }

    fn write(&mut self, put: Put) {
        self.decoded.get_mut().remove(&put.key);
        self.written.insert(put.key.clone(), put);
    }

    /// Lists are for showing: they are not among what the commit is checked against.
    pub fn scan<R: Record>(&self, prefix: &str, after: Option<&str>, limit: usize) -> Vec<R> {
        let decode = |bytes: &[u8]| serde_json::from_slice(bytes).expect("a stored record is JSON of its kind");
        let found = self.records.scan(prefix, after, limit);
        let as_it_stands = found.iter().filter_map(|(key, stored)| match self.written.get(key) {
            Some(put) => put.value.as_deref().map(decode),
            None => Some(decode(&stored.value)),
        });
        as_it_stands.collect()
    }

    /// Writes the record and keeps its wake-up time in the index.
    pub fn put<R: Record>(&mut self, record: &R) {
        let key = record.key();
        let before = self.get::<R>(&key).and_then(|r| r.wake_at());
        let value = serde_json::to_vec(record).expect("records are plain data");
        self.reindex(&key, before, record.wake_at());
        self.write(Put { key, value: Some(value), sealed_for: record.sealed_for() });
    }

    pub fn remove<R: Record>(&mut self, key: &Key) {
        let before = self.get::<R>(key).and_then(|r| r.wake_at());
        self.reindex(key, before, None);
        self.write(Put { key: key.clone(), value: None, sealed_for: None });
    }

    fn reindex(&mut self, record: &Key, before: Option<Timestamp>, after: Option<Timestamp>) {
        if before == after {
            return;
        }
        if let Some(at) = before {
            let key = wake_key(at, record);
            self.write(Put { key, value: None, sealed_for: None });
        }
        if let Some(at) = after {
            let key = wake_key(at, record);
            self.write(Put { key, value: Some(b"true".to_vec()), sealed_for: None });
        }
    }

    /// A wake-up that is over is taken out of the index, whatever became of its record.
    pub fn wake_is_over(&mut self, wake: &Key) {
        self.write(Put { key: wake.clone(), value: None, sealed_for: None });
    }

    pub fn checkpoint(&self) -> BTreeMap<Key, Put> {
        self.written.clone()
    }
    pub fn roll_back(&mut self, to: BTreeMap<Key, Put>) {
        self.written = to;
        self.decoded.get_mut().clear();
    }

    pub fn is_unwritten(&self) -> bool {
        self.written.is_empty()
    }

    pub fn finish(self) -> (Vec<(Key, Version)>, Vec<Put>) {
        let read = self.read.into_inner();
        let versions = read.into_iter().map(|(key, stored)| (key, stored.map_or(0, |s| s.version))).collect();
        (versions, self.written.into_values().collect())
    }
}
