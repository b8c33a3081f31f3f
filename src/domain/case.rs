//! The records that one event touches: read on demand, each with the version it had, and written back together.
use super::commit::{Key, Put, Stored, Version};
use super::health::Health;
use super::ids::ContactId;
use super::time::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// All records as they stand at one moment. Reading changes nothing, so a decision over them stays pure.
pub trait Records {
    fn get(&self, key: &Key) -> Option<Stored>;
    /// Keys that begin with `prefix` and lie behind `after`, ascending, at most `limit`.
    fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Vec<(Key, Stored)>;
    /// How the installation does at that moment, where anybody knows. It is for showing: no commit rests on it.
    fn health(&self) -> Option<Health> {
        None
    }
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

/// Any record as a value: a decision asks for the same few again and again, and writes one of them several times, so it is
/// turned into bytes once, at the end.
trait Decoded: Any {
    fn encoded(&self) -> Vec<u8>;
    fn as_any(&self) -> &dyn Any;
}

impl<R: Record> Decoded for R {
    fn encoded(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("records are plain data")
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// What becomes of a record.
#[derive(Clone)]
enum Change {
    Put(Rc<dyn Decoded>),
    /// An entry of the wake-up index: its name says everything.
    Wake,
    Delete,
}

/// What a decision has written so far.
#[derive(Clone, Default)]
pub struct Written(BTreeMap<Key, (Change, Option<ContactId>)>);

pub struct Case<'a> {
    records: &'a dyn Records,
    read: RefCell<BTreeMap<Key, Option<Stored>>>,
    written: Written,
    /// Records that were read, as values.
    decoded: RefCell<BTreeMap<Key, Rc<dyn Decoded>>>,
}

fn decode<R: Record>(bytes: &[u8]) -> R {
    serde_json::from_slice(bytes).expect("a stored record is JSON of its kind")
}

fn own<R: Record>(record: &dyn Decoded) -> R {
    record.as_any().downcast_ref::<R>().cloned().expect("a key is of one kind of record")
}

impl<'a> Case<'a> {
    pub fn new(records: &'a dyn Records) -> Case<'a> {
        Case { records, read: RefCell::default(), written: Written::default(), decoded: RefCell::default() }
    }

    pub fn get<R: Record>(&self, key: &Key) -> Option<R> {
        match self.written.0.get(key) {
            Some((Change::Put(record), _)) => return Some(own(&**record)),
            Some((Change::Delete | Change::Wake, _)) => return None,
            None => {}
        }
        if let Some(record) = self.decoded.borrow().get(key) {
            return Some(own(&**record));
        }
        let record: R = self.load(key, |stored| stored.map(|stored| decode(&stored.value)))?;
        self.decoded.borrow_mut().insert(key.clone(), Rc::new(record.clone()));
        Some(record)
    }

    pub fn holds(&self, key: &Key) -> bool {
        match self.written.0.get(key) {
            Some((change, _)) => !matches!(change, Change::Delete),
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

    fn write(&mut self, key: Key, change: Change, sealed_for: Option<ContactId>) {
        self.written.0.insert(key, (change, sealed_for));
    }

    /// Lists are for showing: they are not among what the commit is checked against.
    pub fn scan<R: Record>(&self, prefix: &str, after: Option<&str>, limit: usize) -> Vec<R> {
        let found = self.records.scan(prefix, after, limit);
        let as_it_stands = found.iter().filter_map(|(key, stored)| match self.written.0.get(key) {
            Some((Change::Put(record), _)) => Some(own(&**record)),
            Some((Change::Delete | Change::Wake, _)) => None,
            None => Some(decode(&stored.value)),
        });
        as_it_stands.collect()
    }

    pub fn health(&self) -> Option<Health> {
        self.records.health()
    }

    /// Writes the record and keeps its wake-up time in the index.
    pub fn put<R: Record>(&mut self, record: &R) {
        let key = record.key();
        let before = self.get::<R>(&key).and_then(|r| r.wake_at());
        self.reindex(&key, before, record.wake_at());
        self.write(key, Change::Put(Rc::new(record.clone())), record.sealed_for());
    }

    pub fn remove<R: Record>(&mut self, key: &Key) {
        let before = self.get::<R>(key).and_then(|r| r.wake_at());
        self.reindex(key, before, None);
        self.write(key.clone(), Change::Delete, None);
    }

    fn reindex(&mut self, record: &Key, before: Option<Timestamp>, after: Option<Timestamp>) {
        if before == after {
            return;
        }
        if let Some(at) = before {
            self.write(wake_key(at, record), Change::Delete, None);
        }
        if let Some(at) = after {
            self.write(wake_key(at, record), Change::Wake, None);
        }
    }

    /// A wake-up that is over is taken out of the index, whatever became of its record.
    pub fn wake_is_over(&mut self, wake: &Key) {
        self.write(wake.clone(), Change::Delete, None);
    }

    pub fn checkpoint(&self) -> Written {
        self.written.clone()
    }
    pub fn roll_back(&mut self, to: Written) {
        self.written = to;
    }

    pub fn is_unwritten(&self) -> bool {
        self.written.0.is_empty()
    }

    pub fn finish(self) -> (Vec<(Key, Version)>, Vec<Put>) {
        let read = self.read.into_inner();
        let versions = read.into_iter().map(|(key, stored)| (key, stored.map_or(0, |s| s.version))).collect();
        let puts = self.written.0.into_iter().map(|(key, (change, sealed_for))| {
            let value = match change {
                Change::Put(record) => Some(record.encoded()),
                Change::Wake => Some(b"true".to_vec()),
                Change::Delete => None,
            };
            Put { key, value, sealed_for }
        });
        (versions, puts.collect())
    }
}
