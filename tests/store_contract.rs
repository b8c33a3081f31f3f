//! What every store must do, run against each of them; and what the store on disk must survive.
#![allow(clippy::unwrap_used)]
use liaison::adapters::store::{Filter, JournalLine, MemoryStore, OpenStore, Opening, SledStore, read_journal, verify};
use liaison::domain::commit::{Commit, Committed, Entry, Key, Put, Raw, Stored};
use liaison::domain::ids::{ContactId, EventId, MessageId, RoomKey};
use liaison::domain::time::Timestamp;
use liaison::ports::{Store, StoreError};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const CANARY: &str = "canary-7Q2X";
const NUMBER: &str = "+4915112345678";

fn key(text: &str) -> Key {
    Key::from_text(text)
}

fn ann() -> ContactId {
    ContactId::new("c-ANN00001")
}

fn commit(cause: &str) -> Commit {
    Commit { cause: EventId::new(cause), at: Timestamp(1_000), read: vec![], puts: vec![], entries: vec![], raw: None }
}

fn put(name: &str, value: &str) -> Put {
    Put { key: key(name), value: Some(value.as_bytes().to_vec()), sealed_for: None }
}

fn take_away(name: &str) -> Put {
    Put { key: key(name), value: None, sealed_for: None }
}

fn puts(puts: Vec<Put>) -> Commit {
    Commit { puts, ..commit("e") }
}

fn sequence(committed: Result<Committed, StoreError>) -> u64 {
    match committed.unwrap() {
        Committed::Now(sequence) => sequence,
        Committed::Outrun => panic!("outrun"),
    }
}

fn text(stored: Option<Stored>) -> Option<String> {
    stored.map(|stored| String::from_utf8(stored.value).unwrap())
}

fn wait_durable(store: &dyn Store, sequence: u64) {
    let durable = store.durable();
    let patience = Instant::now() + Duration::from_secs(20);
    while *durable.borrow() < sequence {
        assert!(Instant::now() < patience, "commit {sequence} does not become durable");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn names(store: &dyn Store, prefix: &str, after: Option<&str>, limit: usize) -> Vec<String> {
    store.scan(prefix, after, limit).unwrap().into_iter().map(|(key, _)| key.as_str().to_owned()).collect()
}

// ---- The contract ----

fn keeps_the_contract(fresh: impl Fn() -> Box<dyn Store>) {
    a_commit_is_read_at_once(&*fresh());
    a_changed_record_outruns(&*fresh());
    an_absent_record_is_version_zero(&*fresh());
    an_outrun_commit_leaves_nothing(&*fresh());
    scans_are_ordered_and_bounded(&*fresh());
    scans_page_over_many(&*fresh());
    personal_names_are_found_but_never_listed(&*fresh());
    durable_reaches_every_number(&*fresh());
    last_time_never_goes_back(&*fresh());
    values_come_back_byte_by_byte(&*fresh());
    a_record_beyond_the_limit_is_refused_and_harms_nothing(&*fresh());
    a_seen_key_goes_after_thirty_days(&*fresh());
    no_update_is_lost(&*fresh());
}

fn a_commit_is_read_at_once(store: &dyn Store) {
    assert_eq!(sequence(store.commit(puts(vec![put("room/a", "1"), put("room/b", "2")]))), 1);
    assert_eq!(store.get(&key("room/a")).unwrap(), Some(Stored { version: 1, value: b"1".to_vec() }));
    assert_eq!(sequence(store.commit(puts(vec![put("room/a", "3"), take_away("room/b")]))), 2);
    assert_eq!(store.get(&key("room/a")).unwrap(), Some(Stored { version: 2, value: b"3".to_vec() }));
    assert_eq!(store.get(&key("room/b")).unwrap(), None);
    assert_eq!(store.get(&key("room/c")).unwrap(), None);
}

fn a_changed_record_outruns(store: &dyn Store) {
    sequence(store.commit(puts(vec![put("room/a", "1")])));
    let resting_on = |version| Commit { read: vec![(key("room/a"), version)], ..puts(vec![put("room/a", "2")]) };
    assert_eq!(store.commit(resting_on(0)).unwrap(), Committed::Outrun);
    assert_eq!(sequence(store.commit(resting_on(1))), 2);
    wait_durable(store, 2);
    std::thread::sleep(Duration::from_millis(30));
    assert_eq!(store.commit(resting_on(1)).unwrap(), Committed::Outrun);
    assert_eq!(sequence(store.commit(resting_on(2))), 3);
}

fn an_absent_record_is_version_zero(store: &dyn Store) {
    let first = |name: &str| Commit { read: vec![(key(name), 0)], ..puts(vec![put(name, "1")]) };
    sequence(store.commit(first("seen/event-1")));
    assert_eq!(store.commit(first("seen/event-1")).unwrap(), Committed::Outrun);
    sequence(store.commit(puts(vec![take_away("seen/event-1")])));
    sequence(store.commit(first("seen/event-1")));
}

fn an_outrun_commit_leaves_nothing(store: &dyn Store) {
    sequence(store.commit(puts(vec![put("room/a", "1")])));
    let outrun =
        Commit { read: vec![(key("room/a"), 9)], at: Timestamp(9_999), ..puts(vec![put("room/x", "1"), take_away("room/a")]) };
    assert_eq!(store.commit(outrun).unwrap(), Committed::Outrun);
    assert_eq!(text(store.get(&key("room/a")).unwrap()).as_deref(), Some("1"));
    assert_eq!(store.get(&key("room/x")).unwrap(), None);
    assert_eq!(store.last_time(), Timestamp(1_000));
    assert_eq!(sequence(store.commit(commit("next"))), 2);
}

fn scans_are_ordered_and_bounded(store: &dyn Store) {
    let last = sequence(store.commit(puts(vec![put("wake/3", "3"), put("wake/1", "1"), put("wakf/0", "x"), put("wake/2", "2")])));
    wait_durable(store, last);
    std::thread::sleep(Duration::from_millis(30));
    // Now some lie in the view and some above it.
    sequence(store.commit(puts(vec![put("wake/15", "15"), take_away("wake/2"), put("wake/4", "4"), put("wake/1", "one")])));
    assert_eq!(names(store, "wake/", None, 99), ["wake/1", "wake/15", "wake/3", "wake/4"]);
    assert_eq!(names(store, "wake/", None, 2), ["wake/1", "wake/15"]);
    assert_eq!(names(store, "wake/", Some("wake/15"), 99), ["wake/3", "wake/4"]);
    assert_eq!(names(store, "wake/", Some("a"), 1), ["wake/1"]);
    assert_eq!(names(store, "wake/", Some("wake/4"), 99), [""; 0]);
    assert_eq!(names(store, "", None, 99), ["wake/1", "wake/15", "wake/3", "wake/4", "wakf/0"]);
    assert_eq!(names(store, "none/", None, 99), [""; 0]);
    assert_eq!(names(store, "wake/", None, 0), [""; 0]);
    assert_eq!(text(store.scan("wake/", None, 1).unwrap().pop().map(|(_, stored)| stored)).as_deref(), Some("one"));
}

fn scans_page_over_many(store: &dyn Store) {
    let all: Vec<String> = (0..3_000).map(|number| format!("lane/{number:05}")).collect();
    for some in all.chunks(500) {
        sequence(store.commit(puts(some.iter().map(|name| put(name, "1")).collect())));
    }
    let odd = all.iter().skip(1).step_by(2);
    sequence(store.commit(puts(odd.map(|name| take_away(name)).collect())));
    let even: Vec<String> = all.iter().step_by(2).cloned().collect();
    assert_eq!(names(store, "lane/", None, 10_000), even);
    assert_eq!(names(store, "lane/", None, 1_200), even[..1_200]);
}

fn personal_names_are_found_but_never_listed(store: &dyn Store) {
    let phone = Key::new("phone", NUMBER);
    let own = Put { key: phone.clone(), value: Some(b"\"c-ANN00001\"".to_vec()), sealed_for: None };
    let last = sequence(store.commit(puts(vec![own, put("room/a", "1")])));
    for _ in 0..2 {
        assert_eq!(text(store.get(&phone).unwrap()).as_deref(), Some("\"c-ANN00001\""));
        assert_eq!(names(store, "", None, 99), ["room/a"]);
        assert_eq!(names(store, "phone/", None, 99), [""; 0]);
        wait_durable(store, last);
        std::thread::sleep(Duration::from_millis(30));
    }
}

fn durable_reaches_every_number(store: &dyn Store) {
    let mut seen = store.durable();
    assert_eq!(*seen.borrow_and_update(), 0);
    let last = (0..50).map(|_| sequence(store.commit(commit("e")))).max().unwrap();
    wait_durable(store, last);
    assert_eq!((last, *store.durable().borrow()), (50, 50));
    assert!(seen.has_changed().unwrap());
}

fn last_time_never_goes_back(store: &dyn Store) {
    assert_eq!(store.last_time(), Timestamp(0));
    for (at, expected) in [(5, 5), (9, 9), (7, 9)] {
        sequence(store.commit(Commit { at: Timestamp(at), ..commit("e") }));
        assert_eq!(store.last_time(), Timestamp(expected));
    }
}

fn values_come_back_byte_by_byte(store: &dyn Store) {
    let values = ["null", " {\"a\": 1} ", "no json", "", "\"\u{e4}\"", "{\"b\":1,\"a\":1.0}"];
    for (number, value) in values.iter().enumerate() {
        let name = format!("odd/{number}");
        let last = sequence(store.commit(puts(vec![put(&name, value)])));
        wait_durable(store, last);
    }
    std::thread::sleep(Duration::from_millis(30));
    for (number, value) in values.iter().enumerate() {
        assert_eq!(text(store.get(&key(&format!("odd/{number}"))).unwrap()).as_deref(), Some(*value));
    }
}

fn a_record_beyond_the_limit_is_refused_and_harms_nothing(store: &dyn Store) {
    let told = store.commit(puts(vec![put("big/1", &"1".repeat(1_100_000))])).unwrap_err().to_string();
    assert!(told.contains("kind big"), "{told}");
    assert!(store.commit(puts(vec![put("meta/applied", "1")])).is_err());
    assert_eq!(sequence(store.commit(commit("e"))), 1);
    assert_eq!(store.get(&key("meta/applied")).unwrap(), None);
}

fn a_seen_key_goes_after_thirty_days(store: &dyn Store) {
    const DAY: i64 = 86_400_000;
    let start = store.last_time().0.max(1_700_000_000_000);
    let seen = |day: i64, name: &str| Commit { at: Timestamp(start + day * DAY), ..puts(vec![put(name, "1")]) };
    let is_there = |name: &str| store.get(&key(name)).unwrap().is_some();
    for (day, name) in [(0, "seen/old"), (1, "seen/younger")] {
        wait_durable(store, sequence(store.commit(seen(day, name))));
        // Keys that reach the view together go together, with the youngest of them.
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    wait_durable(store, sequence(store.commit(seen(30, "seen/other"))));
    assert!(is_there("seen/old") && is_there("seen/younger"), "kept for 30 days");
    wait_durable(store, sequence(store.commit(Commit { at: Timestamp(start + 30 * DAY + 1), ..puts(vec![put("a/31", "1")]) })));
    // The view follows a moment after the journal.
    let gone = (0..500).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(2));
        !is_there("seen/old")
    });
    assert!(gone, "and not for ever");
    assert!(is_there("seen/younger") && is_there("seen/other"));
    // Absent means version 0, so the same event may come again, and then stays its own 30 days.
    let again = Commit { read: vec![(key("seen/old"), 0)], ..seen(31, "seen/old") };
    wait_durable(store, sequence(store.commit(again)));
    wait_durable(store, sequence(store.commit(seen(32, "seen/last"))));
    assert!(is_there("seen/old"));
    assert_eq!(names(store, "swept/", None, 9), [""; 0], "the store's own lists are nobody's records");
}

fn no_update_is_lost(store: &dyn Store) {
    const THREADS: usize = 8;
    const ROUNDS: usize = 100;
    let counters = ["count/0", "count/1", "count/2"];
    let add_one = |name: &str| loop {
        let stored = store.get(&key(name)).unwrap();
        let version = stored.as_ref().map_or(0, |stored| stored.version);
        let count: u64 = text(stored).map_or(0, |text| text.parse().unwrap());
        let next = Commit { read: vec![(key(name), version)], ..puts(vec![put(name, &(count + 1).to_string())]) };
        if let Committed::Now(_) = store.commit(next).unwrap() {
            return;
        }
    };
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || (0..ROUNDS).for_each(|round| add_one(counters[(thread + round) % counters.len()])));
        }
    });
    let total: usize = counters.iter().map(|name| text(store.get(&key(name)).unwrap()).unwrap().parse::<usize>().unwrap()).sum();
    assert_eq!(total, THREADS * ROUNDS);
}

/// A store on a folder of its own that goes with it.
struct OnDisk(SledStore, #[allow(dead_code)] TempDir);

impl Store for OnDisk {
    fn get(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        self.0.get(key)
    }
    fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<(Key, Stored)>, StoreError> {
        self.0.scan(prefix, after, limit)
    }
    fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        self.0.commit(commit)
    }
    fn durable(&self) -> tokio::sync::watch::Receiver<u64> {
        self.0.durable()
    }
    fn last_time(&self) -> Timestamp {
        self.0.last_time()
    }
}

#[test]
fn the_store_in_memory_keeps_the_contract() {
    keeps_the_contract(|| Box::new(MemoryStore::new()));
}

#[test]
fn the_store_on_disk_keeps_the_contract() {
    keeps_the_contract(|| {
        let folder = TempDir::new().unwrap();
        Box::new(OnDisk(open(folder.path()).0, folder))
    });
}

// ---- The store in memory ----

#[test]
fn a_crash_in_memory_keeps_what_was_durable() {
    let store = MemoryStore::new();
    store.hold_durability(true);
    for number in 1..=3 {
        sequence(store.commit(puts(vec![put("room/a", &number.to_string())])));
    }
    assert_eq!(*store.durable().borrow(), 0);
    store.make_durable(2);
    let after = store.crash();
    assert_eq!(after.get(&key("room/a")).unwrap(), Some(Stored { version: 2, value: b"2".to_vec() }));
    assert_eq!((after.journal().len(), *after.durable().borrow()), (2, 2));
    assert_eq!(sequence(after.commit(commit("e"))), 3);
    store.hold_durability(false);
    assert_eq!((store.journal().len(), *store.durable().borrow()), (3, 3));
}

// ---- The store on disk ----

fn open(folder: &Path) -> (SledStore, Opening) {
    try_open(folder).unwrap_or_else(|error| panic!("{error}"))
}

fn try_open(folder: &Path) -> Result<(SledStore, Opening), StoreError> {
    SledStore::open(OpenStore { fatal: Box::new(|what| eprintln!("fatal: {what}")), ..OpenStore::new(folder) })
}

fn refusal(folder: &Path) -> String {
    match try_open(folder) {
        Ok(_) => panic!("it opened"),
        Err(error) => error.to_string(),
    }
}

fn segment(folder: &Path) -> PathBuf {
    folder.join("journal/000000000001.seg")
}

/// The data folder as a killed process or a cut of power leaves it, as far as a copy can show.
fn copy_of(folder: &Path) -> TempDir {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
            let target = to.join(entry.file_name());
            match entry.file_type().unwrap().is_dir() {
                true => copy(&entry.path(), &target),
                false => drop(std::fs::copy(entry.path(), target)),
            }
        }
    }
    let fresh = TempDir::new().unwrap();
    copy(folder, fresh.path());
    fresh
}

fn entry(kind: &str, contact: Option<ContactId>, detail: serde_json::Value) -> Entry {
    Entry { contact, ..Entry::new(kind, "client").detail(detail) }
}

/// A client's message with all the places where content can stand.
fn message(number: u64) -> Commit {
    let body = format!("{CANARY} number {number} from {NUMBER}");
    Commit {
        cause: EventId::new(format!("wa:{CANARY}:{number}")),
        at: Timestamp(1_700_000_000_000 + number as i64),
        read: vec![],
        puts: vec![
            Put {
                key: Key::new("contact", ann()),
                value: Some(json!({ "text": body }).to_string().into_bytes()),
                sealed_for: Some(ann()),
            },
            Put { key: Key::new("phone", NUMBER), value: Some(b"\"c-ANN00001\"".to_vec()), sealed_for: None },
            put(&format!("lane/{number}"), "1"),
        ],
        entries: vec![
            entry("message.received", Some(ann()), json!({ "text": body })),
            entry("feed.moved", None, json!({ "to": number })),
        ],
        raw: Some(Raw { bytes: body.into_bytes().into(), sealed_for: number.is_multiple_of(2).then(ann) }),
    }
}

fn lines(folder: &Path, filter: &Filter) -> Vec<JournalLine> {
    let mut lines = Vec::new();
    read_journal(folder, filter, |line| lines.push(line)).unwrap();
    lines
}

/// Commits one by one, each its own frame.
fn fill(store: &SledStore, messages: std::ops::RangeInclusive<u64>) {
    for number in messages {
        let last = sequence(store.commit(message(number)));
        wait_durable(store, last);
    }
}

fn everything(store: &SledStore) -> Vec<(Key, Stored)> {
    let phone = Key::new("phone", NUMBER);
    let personal = store.get(&phone).unwrap().map(|stored| (phone, stored));
    store.scan("", None, 10_000).unwrap().into_iter().chain(personal).collect()
}

#[test]
fn a_reopened_store_is_as_it_was() {
    let folder = TempDir::new().unwrap();
    let (store, opening) = open(folder.path());
    assert_eq!(opening, Opening::default());
    fill(&store, 1..=5);
    let before = everything(&store);
    store.close().unwrap();
    let (store, opening) = open(folder.path());
    assert_eq!(opening, Opening::default());
    assert_eq!(everything(&store), before);
    assert_eq!(store.last_time(), Timestamp(1_700_000_000_005));
    assert_eq!(sequence(store.commit(message(6))), 6);
}

#[test]
fn a_killed_process_loses_nothing_that_was_durable() {
    let folder = TempDir::new().unwrap();
    let (store, _) = open(folder.path());
    fill(&store, 1..=40);
    let before = everything(&store);
    let killed = copy_of(folder.path());
    drop(store);
    let (store, opening) = open(killed.path());
    assert_eq!(opening.cut_bytes, 0);
    assert_eq!(everything(&store), before);
    assert_eq!(store.last_time(), Timestamp(1_700_000_000_040));
}

#[test]
fn a_view_that_is_gone_or_spoilt_is_rebuilt() {
    let folder = TempDir::new().unwrap();
    let (store, _) = open(folder.path());
    fill(&store, 1..=20);
    sequence(store.commit(puts(vec![take_away("lane/3")])));
    let before = everything(&store);
    store.close().unwrap();

    std::fs::remove_dir_all(folder.path().join("view")).unwrap();
    let (store, opening) = open(folder.path());
    assert_eq!(opening, Opening { cut_bytes: 0, replayed: 21, rebuilt: true, restored: 0 });
    assert_eq!(everything(&store), before);
    store.close().unwrap();

    for file in std::fs::read_dir(folder.path().join("view")).unwrap().map(Result::unwrap) {
        if file.file_type().unwrap().is_file() {
            std::fs::write(file.path(), b"nonsense").unwrap();
        }
    }
    let (store, opening) = open(folder.path());
    assert!(opening.rebuilt);
    assert_eq!(everything(&store), before);
}

#[test]
fn a_torn_last_frame_is_cut_at_every_byte() {
    let folder = TempDir::new().unwrap();
    let (store, _) = open(folder.path());
    fill(&store, 1..=2);
    let whole_before = std::fs::metadata(segment(folder.path())).unwrap().len();
    let last = sequence(store.commit(commit("torn")));
    wait_durable(&store, last);
    store.close().unwrap();
    let frames = std::fs::read(segment(folder.path())).unwrap();
    std::fs::remove_dir_all(folder.path().join("view")).unwrap();
    std::fs::remove_file(folder.path().join("journal/checkpoint.json")).unwrap();

    for length in whole_before..frames.len() as u64 {
        let torn = copy_of(folder.path());
        std::fs::write(segment(torn.path()), &frames[..length as usize]).unwrap();
        let torn_bytes = length - whole_before;
        assert_eq!(verify(torn.path()).unwrap().last_sequence, 2, "length {length}");
        let (store, opening) = open(torn.path());
        assert_eq!(opening, Opening { cut_bytes: torn_bytes, replayed: 2, rebuilt: true, restored: 0 }, "length {length}");
        assert_eq!(sequence(store.commit(commit("again"))), 3);
        store.close().unwrap();
        assert_eq!(verify(torn.path()).unwrap().last_sequence, 3, "length {length}");
    }
}

#[test]
fn a_flipped_byte_in_the_middle_is_told_with_its_place() {
    let folder = TempDir::new().unwrap();
    let (store, _) = open(folder.path());
    fill(&store, 1..=1);
    let second = std::fs::metadata(segment(folder.path())).unwrap().len();
    fill(&store, 2..=2);
    let third = std::fs::metadata(segment(folder.path())).unwrap().len();
    fill(&store, 3..=3);
    store.close().unwrap();
    std::fs::remove_file(folder.path().join("journal/checkpoint.json")).unwrap();
    let frames = std::fs::read(segment(folder.path())).unwrap();
    for at in [second, second + 5, second + 30, second + 100, third - 1] {
        let mut flipped = frames.clone();
        flipped[at as usize] ^= 0x40;
        std::fs::write(segment(folder.path()), &flipped).unwrap();
        std::fs::remove_dir_all(folder.path().join("view")).unwrap_or_default();
        let told = refusal(folder.path());
        assert!(told.contains("000000000001.seg") && told.contains(&format!("offset {second}")), "byte {at}: {told}");
        assert_eq!(verify(folder.path()).unwrap_err().to_string(), told);
        assert_eq!(std::fs::read(segment(folder.path())).unwrap(), flipped, "nothing was changed");
    }
}

#[test]
fn whatever_stands_behind_the_last_frame_is_cut() {
    let mut dice = fastrand::Rng::with_seed(4);
    let folder = TempDir::new().unwrap();
    open(folder.path()).0.close().unwrap();
    for length in [1, 4, 51, 52, 53, 300, 5_000] {
        let (store, _) = open(folder.path());
        fill(&store, 1..=1);
        store.close().unwrap();
        let mut bytes = std::fs::read(segment(folder.path())).unwrap();
        // What looks like the begin of a frame of any length counts as much as noise.
        let mut noise: Vec<u8> = (0..length).map(|_| dice.u8(..)).collect();
        let magic = b"LJF\x01\x00\x00";
        noise.iter_mut().zip(magic).for_each(|(byte, magic)| *byte = *magic);
        bytes.extend(noise);
        std::fs::write(segment(folder.path()), bytes).unwrap();
        let (store, opening) = open(folder.path());
        assert_eq!(opening.cut_bytes, length);
        store.close().unwrap();
    }
    assert_eq!(verify(folder.path()).unwrap().commits, 7);
}

#[test]
fn a_frame_taken_out_breaks_the_chain() {
    let folder = TempDir::new().unwrap();
    let (store, _) = open(folder.path());
    fill(&store, 1..=1);
    let second = std::fs::metadata(segment(folder.path())).unwrap().len() as usize;
    fill(&store, 2..=2);
    let third = std::fs::metadata(segment(folder.path())).unwrap().len() as usize;
    fill(&store, 3..=3);
    store.close().unwrap();
    let frames = std::fs::read(segment(folder.path())).unwrap();
    std::fs::write(segment(folder.path()), [&frames[..second], &frames[third..]].concat()).unwrap();
    assert!(verify(folder.path()).unwrap_err().to_string().contains("chain is broken"));
}

#[test]
fn a_view_ahead_of_the_journal_stops_the_start() {
    let folder = TempDir::new().unwrap();
    let (store, _) = open(folder.path());
    fill(&store, 1..=1);
    let second = std::fs::metadata(segment(folder.path())).unwrap().len();
    fill(&store, 2..=2);
    store.close().unwrap();
    let frames = std::fs::read(segment(folder.path())).unwrap();
    std::fs::write(segment(folder.path()), &frames[..second as usize]).unwrap();
    let told = refusal(folder.path());
    assert!(told.contains("gone"), "{told}");
    // Also without the checkpoint, and also when the cut goes through the frame.
    std::fs::remove_file(folder.path().join("journal/checkpoint.json")).unwrap();
    std::fs::write(segment(folder.path()), &frames[..second as usize + 10]).unwrap();
    let told = refusal(folder.path());
    assert!(told.contains("The view holds commit 2, the journal ends with 1."), "{told}");
    assert_eq!(std::fs::metadata(segment(folder.path())).unwrap().len(), second + 10, "nothing was cut");
    // And without any journal.
    std::fs::remove_file(segment(folder.path())).unwrap();
    assert!(refusal(folder.path()).contains("gone"));
}

#[test]
fn a_folder_has_one_liaison() {
    let folder = TempDir::new().unwrap();
    let (store, _) = open(folder.path());
    assert!(refusal(folder.path()).contains("Another Liaison runs on the folder"));
    store.close().unwrap();
    open(folder.path());
}

#[test]
fn lost_keys_stop_the_start() {
    let folder = TempDir::new().unwrap();
    let (store, _) = open(folder.path());
    fill(&store, 1..=1);
    store.close().unwrap();
    std::fs::remove_file(folder.path().join("keys/pepper")).unwrap();
    assert!(refusal(folder.path()).contains("pepper"));
}

#[test]
fn an_erased_contact_is_unreadable_everywhere() {
    let folder = TempDir::new().unwrap();
    let (store, _) = open(folder.path());
    fill(&store, 1..=4);
    let contact = Key::new("contact", ann());
    assert!(store.get(&contact).unwrap().is_some());
    let verified = verify(folder.path()).unwrap();
    assert!(store.erase(&ann()).unwrap());
    assert!(!store.erase(&ann()).unwrap());

    assert_eq!(store.get(&contact).unwrap(), None);
    assert_eq!(names(&store, "contact/", None, 9), [""; 0]);
    assert_eq!(verify(folder.path()).unwrap(), verified);
    let line = &lines(folder.path(), &Filter::default())[0];
    assert_eq!((&line.detail, &line.event), (&json!({ "erased": true }), &None));
    // Absent means version 0: the id may be written again.
    let again = Commit { read: vec![(contact.clone(), 0)], ..message(5) };
    assert_eq!(sequence(store.commit(again)), 5);
    store.close().unwrap();

    std::fs::remove_dir_all(folder.path().join("view")).unwrap();
    let (store, _) = open(folder.path());
    assert!(text(store.get(&contact).unwrap()).unwrap().contains("number 5"));
    assert!(store.erase(&ann()).unwrap());
    assert_eq!(store.get(&contact).unwrap(), None);
    assert_eq!(text(store.get(&key("lane/1")).unwrap()).as_deref(), Some("1"));
}

#[test] // S3-2
fn what_went_to_a_group_is_found_with_each_member_and_outlives_every_one_of_them() {
    let folder = TempDir::new().unwrap();
    let (store, _) = open(folder.path());
    let (group, eva) = (ContactId::of_group(&RoomKey::new("r-1")), ContactId::new("c-2"));
    let taken = json!({ "text": CANARY, "recipients": [ann(), eva] });
    let to_group = Entry::new("message.taken", "liaison").about(&group).message(&MessageId::new("m-1")).detail(taken.clone());
    let named = Entry::new("message.taken", "liaison").about(&ann()).message(&MessageId::new("m-2")).detail(json!("hers"));
    let record = Put { sealed_for: Some(group), ..put("message/m-1", &taken.to_string()) };
    wait_durable(&store, sequence(store.commit(Commit { entries: vec![to_group, named], ..puts(vec![record]) })));
    assert!(store.erase(&ann()).unwrap());
    let of = |contact: &ContactId| lines(folder.path(), &Filter { contact: Some(contact.clone()), since: None });
    let [line] = of(&eva).try_into().unwrap();
    assert_eq!((line.contact, line.detail), (None, taken.clone()));
    let messages: Vec<_> = of(&ann()).into_iter().map(|line| line.message.unwrap().0).collect();
    assert_eq!(messages, ["m-1", "m-2"], "what went to her and others is theirs, too");
    assert_eq!(text(store.get(&key("message/m-1")).unwrap()), Some(taken.to_string()));
}

#[test]
fn an_erased_contact_is_unreadable_at_once() {
    let folder = TempDir::new().unwrap();
    let (store, _) = open(folder.path());
    for number in 0..20 {
        let contact = ContactId::new(format!("c-{number}"));
        let name = Key::new("contact", &contact);
        sequence(store.commit(puts(vec![Put { sealed_for: Some(contact.clone()), ..put(name.as_str(), "1") }])));
        assert!(store.get(&name).unwrap().is_some());
        assert!(store.erase(&contact).unwrap());
        assert_eq!(store.get(&name).unwrap(), None);
    }
}

#[test]
fn no_content_and_no_number_stands_in_clear_on_the_disk() {
    let folder = TempDir::new().unwrap();
    let (store, _) = open(folder.path());
    fill(&store, 1..=6);
    let parked = json!({ "from": { "phone": NUMBER }, "content": CANARY });
    let unknown = ["out/direct/7/000000000000", "ask/q-1", "quarantine/1/2", "count/strangers"]
        .map(|name| Put { value: Some(parked.to_string().into_bytes()), ..put(name, "") });
    let entries = vec![entry("client.parked", None, parked.clone())];
    wait_durable(&store, sequence(store.commit(Commit { entries, ..puts(unknown.into()) })));
    assert_eq!(text(store.get(&key("ask/q-1")).unwrap()), Some(parked.to_string()));
    store.close().unwrap();
    assert_eq!(lines(folder.path(), &Filter::default()).last().unwrap().detail, parked, "whoever has the keys can read it");
    let (store, _) = open(folder.path());
    assert_eq!(text(store.get(&key("count/strangers")).unwrap()), Some(parked.to_string()));
    store.close().unwrap();
    let mut seen = 0;
    let mut folders = vec![folder.path().to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
                continue;
            }
            let bytes = std::fs::read(entry.path()).unwrap();
            for secret in [CANARY, NUMBER, &NUMBER[1..]] {
                let is_there = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!is_there, "{secret} in {}", entry.path().display());
            }
            seen += 1;
        }
    }
    assert!(seen >= 5, "journal, keys, pepper, view: {seen} files");
}

#[test]
fn the_journal_is_read_while_the_store_runs() {
    let folder = TempDir::new().unwrap();
    assert_eq!(lines(folder.path(), &Filter::default()), []);
    let (store, _) = open(folder.path());
    fill(&store, 1..=3);
    let all = lines(folder.path(), &Filter::default());
    assert_eq!(all.iter().map(|line| line.sequence).collect::<Vec<_>>(), [1, 1, 2, 2, 3, 3]);
    let anns = lines(folder.path(), &Filter { contact: Some(ann()), since: Some(Timestamp(1_700_000_000_003)) });
    assert_eq!(anns.len(), 1);
    let shown = json!({
        "sequence": 3, "at": "2023-11-14T22:13:20.003Z", "actor": "client", "kind": "message.received", "contact": "c-ANN00001",
        "event": format!("wa:{CANARY}:3"), "detail": { "text": format!("{CANARY} number 3 from {NUMBER}") },
    });
    assert_eq!(serde_json::to_value(&anns[0]).unwrap(), shown);
    assert_eq!(verify(folder.path()).unwrap().commits, 3);
}

#[test]
fn a_failed_write_breaks_the_store_and_ends_the_process() {
    let folder = TempDir::new().unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let hook = told.clone();
    let fatal = Box::new(move |what| hook.lock().unwrap().push(what));
    let (store, _) = SledStore::open(OpenStore { fatal, ..OpenStore::new(folder.path()) }).unwrap();
    fill(&store, 1..=1);
    // A folder that refuses a new segment: the next frame that needs one cannot be written.
    std::fs::create_dir(folder.path().join("journal/000000000002.seg")).unwrap();
    let big = json!("x".repeat(1_000_000)).to_string();
    let patience = Instant::now() + Duration::from_secs(60);
    while store.commit(puts((0..8).map(|number| put(&format!("big/{number}"), &big)).collect())).is_ok() {
        assert!(Instant::now() < patience);
    }
    let durable = *store.durable().borrow();
    assert!(store.get(&key("big/1")).is_err() && store.commit(commit("e")).is_err());
    assert!(store.close().is_err());
    let told = told.lock().unwrap().clone();
    assert!(told.len() == 1 && told[0].contains("000000000002.seg"), "{told:?}");

    std::fs::remove_dir(folder.path().join("journal/000000000002.seg")).unwrap();
    let (store, _) = open(folder.path());
    assert_eq!(*store.durable().borrow(), durable);
    let last = sequence(store.commit(puts(vec![put("big/1", &big), put("big/2", &big)])));
    wait_durable(&store, last);
    store.close().unwrap();
    assert_eq!(verify(folder.path()).unwrap().last_sequence, last);
}

#[test]
fn a_view_damaged_anywhere_ends_in_the_right_records_or_in_a_rebuild() {
    let folder = TempDir::new().unwrap();
    let (store, _) = open(folder.path());
    for number in 1..=60 {
        sequence(store.commit(message(number)));
        sequence(store.commit(puts(vec![put(&format!("filler/{number}"), &"7".repeat(9_000))])));
    }
    store.close().unwrap();
    let (store, _) = open(folder.path());
    let before = everything(&store);
    store.close().unwrap();
    let size = std::fs::metadata(folder.path().join("view/db")).unwrap().len();
    for part in 0..12 {
        let spoilt = copy_of(folder.path());
        let db = spoilt.path().join("view/db");
        let mut bytes = std::fs::read(&db).unwrap();
        let at = (size * part / 12 + 700) as usize;
        bytes[at..at + 300].fill(0x5A);
        std::fs::write(&db, bytes).unwrap();
        let mut attempts = 0;
        let read = loop {
            attempts += 1;
            assert!(attempts <= 2, "part {part}: the second start works");
            let Ok((store, _)) = try_open(spoilt.path()) else { continue };
            if let Ok(records) = store.scan("", None, 10_000) {
                break (records, store.get(&Key::new("phone", NUMBER)).unwrap());
            }
        };
        let phone = read.1.map(|stored| (Key::new("phone", NUMBER), stored));
        assert_eq!(read.0.into_iter().chain(phone).collect::<Vec<_>>(), before, "part {part}");
    }
}

/// The store in memory says in other words what the store on disk must do, over restarts, cuts and rebuilds.
#[test]
fn both_stores_tell_the_same_story() {
    (1..=6).for_each(tell_a_story);
}

fn tell_a_story(seed: u64) {
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut folder = TempDir::new().unwrap();
    let model = MemoryStore::new();
    let mut store = Some(open(folder.path()).0);
    for step in 0..400 {
        let place = format!("seed {seed}, step {step}");
        let next = any_commit(&mut dice, &model);
        let expected = model.commit(next.clone()).unwrap();
        let disk = store.as_ref().unwrap();
        assert_eq!(disk.commit(next).unwrap(), expected, "{place}");
        if dice.u32(..10) == 0 {
            let (prefix, after, limit) = (any_of(&mut dice, &["", "a/", "b/", "phone/"]), any_name(&mut dice), dice.usize(..12));
            let after = dice.bool().then_some(after.as_str());
            assert_eq!(disk.scan(prefix, after, limit).unwrap(), model.scan(prefix, after, limit).unwrap(), "{place}");
        }
        let name = Key::from_text(any_name(&mut dice));
        assert_eq!(disk.get(&name).unwrap(), model.get(&name).unwrap(), "{place} {name:?}");
        if dice.u32(..60) == 0 {
            wait_durable(disk, *model.durable().borrow());
            folder = restart(store.take().unwrap(), folder, dice.u32(..3));
            let reopened = open(folder.path()).0;
            assert_eq!(reopened.scan("", None, 999).unwrap(), model.scan("", None, 999).unwrap(), "{place}");
            assert_eq!(reopened.last_time(), model.last_time(), "{place}");
            store = Some(reopened);
        }
    }
    store.unwrap().close().unwrap();
    assert_eq!(verify(folder.path()).unwrap().last_sequence, *model.durable().borrow());
}

/// Stops the store in one of three ways and says where to go on.
fn restart(store: SledStore, folder: TempDir, how: u32) -> TempDir {
    match how {
        0 => store.close().unwrap(),
        1 => return copy_of(folder.path()),
        _ => {
            store.close().unwrap();
            std::fs::remove_dir_all(folder.path().join("view")).unwrap();
        }
    }
    folder
}

fn any_of<'t>(dice: &mut fastrand::Rng, texts: &[&'t str]) -> &'t str {
    texts[dice.usize(..texts.len())]
}

fn any_name(dice: &mut fastrand::Rng) -> String {
    format!("{}{}", any_of(dice, &["a/", "b/", "phone/"]), dice.u32(..8))
}

/// A commit that rests on what is there now, or, one time in four, on what is not.
fn any_commit(dice: &mut fastrand::Rng, model: &MemoryStore) -> Commit {
    let names: Vec<Key> = (0..dice.usize(..4)).map(|_| Key::from_text(any_name(dice))).collect();
    let version = |name: &Key| model.get(name).unwrap().map_or(0, |stored| stored.version);
    let is_stale = dice.u32(..4) == 0;
    let read = names.iter().map(|name| (name.clone(), if is_stale { dice.u64(..20) } else { version(name) })).collect();
    let puts = names.into_iter().map(|key| Put {
        key,
        value: (dice.u32(..3) > 0).then(|| dice.u32(..).to_string().into_bytes()),
        sealed_for: dice.bool().then(|| ContactId::new(format!("c-{}", dice.u32(..5)))),
    });
    let puts = puts.collect();
    Commit { cause: EventId::new("e"), at: Timestamp(dice.i64(..1_000_000)), read, puts, entries: vec![], raw: None }
}

// ---- kill -9 ----

const CHILD_FOLDER: &str = "LIAISON_TEST_CHILD_FOLDER";

/// Started by the test below as a process of its own: commits without end and says what is durable.
#[test]
#[ignore = "the other half of kill_nine_loses_nothing_that_was_acknowledged"]
fn child_that_commits_until_it_is_killed() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER) else { return };
    let (store, _) = open(Path::new(&folder));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let number = sequence(store.commit(message(1)));
                    let last = sequence(store.commit(puts(vec![put(&format!("told/{number:08}"), "1")])));
                    wait_durable(&store, last);
                    println!("\ntold {number}");
                }
            });
        }
    });
}

#[test]
fn kill_nine_loses_nothing_that_was_acknowledged() {
    let folder = TempDir::new().unwrap();
    let mut told: Vec<u64> = Vec::new();
    for round in 0..8 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "child_that_commits_until_it_is_killed"])
            .env(CHILD_FOLDER, folder.path())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(150 + 37 * round));
        child.kill().unwrap();
        let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        let whole_lines = output.rsplit_once('\n').map_or("", |(lines, _)| lines);
        told.extend(whole_lines.lines().filter_map(|line| line.strip_prefix("told ")?.parse::<u64>().ok()));

        let (store, _) = open(folder.path());
        let last = *store.durable().borrow();
        assert!(told.iter().all(|number| *number <= last));
        let kept = names(&store, "told/", None, usize::MAX);
        let lost = told.iter().find(|number| kept.binary_search(&format!("told/{number:08}")).is_err());
        assert_eq!(lost, None, "round {round}");
        store.close().unwrap();
        assert_eq!(verify(folder.path()).unwrap().last_sequence, last);
    }
    assert!(told.len() > 100, "{} were told", told.len());
}
