//! A lost view comes back from a snapshot as it would from the first frame, and a snapshot that cannot be trusted costs only time.
#![allow(clippy::unwrap_used)]
use liaison::adapters::store::{OpenStore, Opening, SledStore, Snapshots, verify};
use liaison::domain::commit::{Commit, Committed, Key, Put};
use liaison::domain::ids::{ContactId, EventId};
use liaison::domain::time::Timestamp;
use liaison::ports::disk::{Probe, Space};
use liaison::ports::{Store, StoreError};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const START: i64 = 1_700_000_000_000;
const PATIENCE: Duration = Duration::from_secs(30);

// ---- stores and folders

/// A disk with as much free space as the test says.
struct Room(AtomicU64);

impl Probe for Room {
    fn space(&self) -> std::io::Result<Space> {
        Ok(Space { free: self.0.load(Ordering::Acquire), total: 1 << 40 })
    }
}

fn roomy() -> Arc<Room> {
    Arc::new(Room(AtomicU64::new(1 << 39)))
}

/// Takes a snapshot as soon as there is anything new, in slices so small that batches come between them.
fn eager() -> Snapshots {
    let (look_every, rest) = (Duration::from_millis(1), Duration::from_micros(200));
    Snapshots { at_least_bytes: 1, look_every, slice_pairs: 3, rest, disk: roomy() }
}

/// Takes none.
fn never() -> Snapshots {
    Snapshots { at_least_bytes: u64::MAX, ..eager() }
}

fn try_open(folder: &Path, snapshots: Snapshots) -> Result<(SledStore, Opening), StoreError> {
    SledStore::open(OpenStore { fatal: Box::new(|what| panic!("the process ends: {what}")), snapshots, ..OpenStore::new(folder) })
}

fn open(folder: &Path, snapshots: Snapshots) -> (SledStore, Opening) {
    try_open(folder, snapshots).unwrap_or_else(|error| panic!("{error}"))
}

fn refusal(folder: &Path) -> String {
    try_open(folder, never()).map(drop).unwrap_err().to_string()
}

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

/// A copy without the view, and without the snapshots if so wished.
fn copy_without_view(folder: &Path, keeps_snapshots: bool) -> TempDir {
    let copy = copy_of(folder);
    remove(&copy.path().join("view"));
    if !keeps_snapshots {
        remove(&copy.path().join("snapshots"));
    }
    copy
}

fn remove(folder: &Path) {
    std::fs::remove_dir_all(folder).unwrap();
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder.join("snapshots")) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|kind| kind == ending));
    paths.sort();
    paths
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "{what} does not come");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn put(name: &str, value: &str) -> Put {
    Put { key: Key::from_text(name), value: Some(value.as_bytes().to_vec()), sealed_for: None }
}

fn puts(at: i64, puts: Vec<Put>) -> Commit {
    Commit { cause: EventId::new("e"), at: Timestamp(at), read: vec![], puts, entries: vec![], raw: None }
}

/// Commits one by one, each its own frame: `n/<number>` and, again and again, `last`.
fn fill(store: &SledStore, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        let value = number.to_string();
        commit(store, puts(START + number as i64, vec![put(&format!("n/{number:05}"), &value), put("last", &value)]));
        wait_durable(store, number);
    }
}

fn commit(store: &SledStore, commit: Commit) -> u64 {
    match store.commit(commit).unwrap() {
        Committed::Now(sequence) => sequence,
        Committed::Outrun => panic!("outrun"),
    }
}

fn wait_durable(store: &SledStore, sequence: u64) {
    until("durability", || *store.durable().borrow() >= sequence);
}

// ---- what stands in a view and in a snapshot

type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;

/// The view of a closed store, whose lock may come free late.
fn view_of(folder: &Path) -> sled::Db {
    let opened = (0..100).find_map(|_| {
        std::thread::sleep(Duration::from_millis(5));
        sled::open(folder.join("view")).ok()
    });
    opened.unwrap()
}

/// All that it holds, as bytes.
fn dump(folder: &Path) -> Pairs {
    view_of(folder).iter().map(Result::unwrap).map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

fn edit_view(folder: &Path, edit: impl Fn(&sled::Db)) {
    let db = view_of(folder);
    edit(&db);
    db.flush().unwrap();
}

fn is(name: &[u8], kind: &str) -> bool {
    name.starts_with(kind.as_bytes())
}

/// The records. Which seen keys share a list, and so when exactly they go, depends on what reached the view together.
fn records(view: &Pairs) -> Pairs {
    let mut records = view.clone();
    records.retain(|name, _| !is(name, "meta/reaches") && !is(name, "swept/") && !is(name, "seen/"));
    records
}

fn seen(view: &Pairs) -> Pairs {
    view.iter().filter(|(name, _)| is(name, "seen/")).map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes[..8].try_into().unwrap())
}

fn begins_at(snapshot: &Path) -> u64 {
    snapshot.file_stem().unwrap().to_str().unwrap().parse().unwrap()
}

fn reaches(snapshot: &Path) -> u64 {
    let bytes = std::fs::read(snapshot).unwrap();
    number(&bytes[bytes.len() - 48..])
}

/// Lets a snapshot claim that it was ended later than it was.
fn claim_to_reach(snapshot: &Path, sequence: u64) {
    let mut bytes = std::fs::read(snapshot).unwrap();
    let proof = bytes.len() - 32;
    bytes[proof - 16..proof - 8].copy_from_slice(&sequence.to_be_bytes());
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes[..proof]);
    bytes[proof..].copy_from_slice(hash.as_ref());
    std::fs::write(snapshot, bytes).unwrap();
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 0x20;
    std::fs::write(path, bytes).unwrap();
}

fn segment(folder: &Path) -> PathBuf {
    folder.join("journal/000000000001.seg")
}

/// Cuts the journal behind so many frames, also for whoever asks the checkpoint.
fn cut_journal(folder: &Path, frames: usize) {
    let bytes = std::fs::read(segment(folder)).unwrap();
    let mut end = 0;
    for _ in 0..frames {
        end += 52 + u32::from_be_bytes(bytes[end + 4..end + 8].try_into().unwrap()) as usize + 4;
    }
    std::fs::write(segment(folder), &bytes[..end]).unwrap();
    std::fs::remove_file(folder.join("journal/checkpoint.json")).unwrap();
}

/// A closed store of 60 commits with two snapshots, the younger one at least 10 commits before the end.
fn with_two_snapshots() -> TempDir {
    let folder = TempDir::new().unwrap();
    for numbers in [1..=20, 21..=50] {
        let (store, _) = open(folder.path(), eager());
        fill(&store, numbers.clone());
        until("a snapshot", || files(folder.path(), "snap").last().is_some_and(|last| begins_at(last) >= *numbers.start()));
        store.close().unwrap();
    }
    let (store, _) = open(folder.path(), never());
    fill(&store, 51..=60);
    store.close().unwrap();
    assert_eq!(files(folder.path(), "snap").len(), 2);
    folder
}

// ---- the same view

#[test]
fn a_view_from_a_snapshot_is_the_one_from_the_first_frame() {
    let overlaps: usize = (1..=6).map(compare_both_ways).sum();
    assert!(overlaps >= 2, "only {overlaps} snapshots were taken while commits went on");
}

/// Returns how many of the snapshots at the end had seen batches come between their slices.
fn compare_both_ways(seed: u64) -> usize {
    let mut dice = fastrand::Rng::with_seed(seed);
    let folder = TempDir::new().unwrap();
    let (store, _) = open(folder.path(), eager());
    let mut now = START;
    let mut last = 0;
    let mut killed = Vec::new();
    for step in 0..3_000 {
        now += dice.i64(0..2 * HOUR);
        last = commit(&store, any_commit(&mut dice, now));
        if dice.u32(..8) == 0 {
            wait_durable(&store, last);
        }
        if step % 1_100 == 1_000 {
            // A copy is not of one moment, so the journal must not grow under it.
            wait_durable(&store, last);
            until("a snapshot", || !files(folder.path(), "snap").is_empty());
            killed.push(copy_without_view(folder.path(), true));
        }
    }
    wait_durable(&store, last);
    store.close().unwrap();
    let overlaps = files(folder.path(), "snap").iter().filter(|path| reaches(path) > begins_at(path)).count();
    let begun = files(folder.path(), "snap").last().map(|path| begins_at(path)).unwrap();

    let place = format!("seed {seed}");
    let (from_frames, from_snapshot) = (copy_without_view(folder.path(), false), copy_without_view(folder.path(), true));
    let opening = close_again(from_frames.path());
    assert_eq!((opening.restored, opening.replayed), (0, last), "{place}");
    let opening = close_again(from_snapshot.path());
    assert_eq!((opening.restored, opening.replayed, opening.rebuilt), (begun, last - begun, true), "{place}");
    let (frames, restored, lived) = (dump(from_frames.path()), dump(from_snapshot.path()), dump(folder.path()));
    assert_eq!(records(&restored), records(&frames), "{place}");
    assert_eq!(records(&restored), records(&lived), "{place}");
    assert_eq!(young(&restored, &frames), young(&frames, &restored), "{place}");
    every_seen_key_has_its_list(&restored, &place);
    no_seen_key_stays_for_ever(from_snapshot.path(), now, &place);
    killed.iter().for_each(|copy| a_killed_store_is_the_same(copy.path(), &place));
    overlaps
}

/// Opens and closes, so that what was brought up to the journal is on the disk.
fn close_again(folder: &Path) -> Opening {
    let (store, opening) = open(folder, never());
    store.close().unwrap();
    opening
}

fn a_killed_store_is_the_same(folder: &Path, place: &str) {
    let from_frames = copy_of(folder);
    remove(&from_frames.path().join("snapshots"));
    close_again(from_frames.path());
    assert!(close_again(folder).restored > 0, "{place}");
    assert_eq!(records(&dump(folder)), records(&dump(from_frames.path())), "{place}");
}

/// Keys of one view that may not be swept yet in either: those whose commit is among the last 30 days' worth.
fn young(view: &Pairs, other: &Pairs) -> Pairs {
    let applied = number(&view[&b"meta/applied"[..]]).min(number(&other[&b"meta/applied"[..]]));
    // A commit is on average one hour after the one before it, so this is well within 30 days.
    let mut young = seen(view);
    young.retain(|_, value| number(value) + 400 > applied);
    young
}

fn every_seen_key_has_its_list(view: &Pairs, place: &str) {
    let mut listed: BTreeMap<String, u64> = BTreeMap::new();
    for (_, list) in view.iter().filter(|(name, _)| is(name, "swept/")) {
        for hash in list[8..].chunks_exact(16) {
            let until = listed.entry(format!("seen/{}", hex::encode(hash))).or_default();
            *until = number(list).max(*until);
        }
    }
    for (name, value) in seen(view) {
        let name = String::from_utf8(name).unwrap();
        assert!(listed.get(&name).is_some_and(|until| *until >= number(&value)), "{place}: {name} is in no list");
    }
}

fn no_seen_key_stays_for_ever(folder: &Path, now: i64, place: &str) {
    let (store, _) = open(folder, never());
    for number in 0..600 {
        let last = commit(&store, puts(now + 60 * DAY, vec![put("a/0", &number.to_string())]));
        wait_durable(&store, last);
    }
    store.close().unwrap();
    assert_eq!(seen(&dump(folder)), Pairs::new(), "{place}");
}

fn any_commit(dice: &mut fastrand::Rng, at: i64) -> Commit {
    // An event is seldom seen again; all else changes all the time.
    let kinds = [("a/", 60), ("b/", 60), ("phone/", 60), ("seen/", 100_000), ("zeta/", 200)];
    let changes = (0..dice.usize(1..4)).map(|_| {
        let (kind, names) = kinds[dice.usize(..kinds.len())];
        let name = format!("{kind}{}", dice.u32(..names));
        let value = (dice.u32(..4) > 0).then(|| dice.u32(..).to_string().into_bytes());
        let sealed_for = dice.bool().then(|| ContactId::new(format!("c-{}", dice.u32(..5))));
        Put { key: Key::from_text(name), value, sealed_for }
    });
    let named: BTreeMap<String, Put> = changes.map(|change| (change.key.as_str().to_owned(), change)).collect();
    puts(at, named.into_values().collect())
}

#[test]
fn a_snapshot_brings_the_latest_time_along() {
    let folder = TempDir::new().unwrap();
    let (store, _) = open(folder.path(), eager());
    commit(&store, puts(START + 5 * DAY, vec![put("a", "1")]));
    commit(&store, puts(START, vec![put("b", "1")]));
    until("a snapshot of both", || files(folder.path(), "snap").last().is_some_and(|last| begins_at(last) == 2));
    store.close().unwrap();
    remove(&folder.path().join("view"));
    std::fs::remove_file(folder.path().join("journal/checkpoint.json")).unwrap();
    let (store, opening) = open(folder.path(), never());
    assert_eq!((opening.restored, opening.replayed), (2, 0));
    assert_eq!(store.last_time(), Timestamp(START + 5 * DAY));
    assert_eq!(commit(&store, puts(START, vec![put("c", "1")])), 3);
}

#[test]
fn what_is_erased_stays_erased_in_a_snapshot() {
    let folder = TempDir::new().unwrap();
    let ann = ContactId::new("c-ANN00001");
    let (store, _) = open(folder.path(), eager());
    commit(&store, puts(START, vec![Put { sealed_for: Some(ann.clone()), ..put("contact/ann", "\"canary-7Q2X\"") }]));
    until("a snapshot", || !files(folder.path(), "snap").is_empty());
    let bytes = std::fs::read(&files(folder.path(), "snap")[0]).unwrap();
    assert!(!bytes.windows(11).any(|window| window == b"canary-7Q2X"));
    assert!(store.erase(&ann).unwrap());
    store.close().unwrap();
    remove(&folder.path().join("view"));
    let (store, opening) = open(folder.path(), never());
    assert_eq!(opening.restored, 1);
    assert_eq!(store.get(&Key::from_text("contact/ann")).unwrap(), None);
}

// ---- snapshots that cannot be trusted

#[test]
fn a_torn_or_flipped_snapshot_gives_way_to_the_older_one_and_then_to_the_journal() {
    let folder = with_two_snapshots();
    let before = records(&dump(folder.path()));
    let lost = copy_without_view(folder.path(), true);
    let [older, newer] = files(lost.path(), "snap").try_into().unwrap();
    let rebuilt_from = |restored: u64, place: &str| {
        let copy = copy_of(lost.path());
        let opening = close_again(copy.path());
        assert_eq!((opening.restored, opening.replayed, opening.rebuilt), (restored, 60 - restored, true), "{place}");
        assert_eq!(records(&dump(copy.path())), before, "{place}");
    };
    rebuilt_from(begins_at(&newer), "both are whole");
    let whole = std::fs::read(&newer).unwrap();
    for at in [0, 30, 200, whole.len() / 2, whole.len() - 45, whole.len() - 1] {
        flip(&newer, at);
        rebuilt_from(begins_at(&older), &format!("byte {at} is flipped"));
        std::fs::write(&newer, &whole[..at]).unwrap();
        rebuilt_from(begins_at(&older), &format!("torn at {at}"));
        std::fs::write(&newer, &whole).unwrap();
    }
    flip(&newer, 100);
    flip(&older, 100);
    rebuilt_from(0, "both are damaged");
}

#[test]
fn a_snapshot_of_another_journal_is_not_used() {
    let (folder, other) = (with_two_snapshots(), with_two_snapshots());
    let before = records(&dump(folder.path()));
    remove(&folder.path().join("view"));
    let [older, newer] = files(folder.path(), "snap").try_into().unwrap();
    let foreign = files(other.path(), "snap").pop().unwrap();
    std::fs::copy(&foreign, &newer).unwrap();
    let copy = copy_of(folder.path());
    assert_eq!(close_again(copy.path()).restored, begins_at(&older));
    assert_eq!(records(&dump(copy.path())), before);
    // The next one that is taken removes it, also where it claims to be the newest of all.
    std::fs::copy(&foreign, folder.path().join("snapshots/0000000000009999.snap")).unwrap();
    let (store, opening) = open(folder.path(), eager());
    assert_eq!(opening.restored, begins_at(&older));
    fill(&store, 61..=80);
    until("tidiness", || !files(folder.path(), "snap").iter().any(|path| begins_at(path) == 9_999));
    store.close().unwrap();
}

#[test]
fn a_snapshot_ahead_of_the_journal_stops_the_start() {
    let folder = with_two_snapshots();
    remove(&folder.path().join("view"));
    let newer = files(folder.path(), "snap").pop().unwrap();
    let begun = begins_at(&newer);
    // It begins in the journal and ends beyond it.
    claim_to_reach(&newer, 61);
    for _ in 0..2 {
        let told = refusal(folder.path());
        assert!(told.contains("holds commit 61, the journal ends with 60") && told.contains("gone"), "{told}");
    }
    claim_to_reach(&newer, 60);
    let copy = copy_of(folder.path());
    assert_eq!(close_again(copy.path()).restored, begun);
    // It begins beyond the journal.
    let journal = std::fs::read(segment(folder.path())).unwrap();
    cut_journal(folder.path(), begun as usize - 1);
    let told = refusal(folder.path());
    assert!(told.contains("holds commit 60") && told.contains("gone"), "{told}");
    assert!(std::fs::metadata(segment(folder.path())).unwrap().len() < journal.len() as u64, "nothing was added");
    // And with no journal at all.
    std::fs::remove_file(segment(folder.path())).unwrap();
    assert!(refusal(folder.path()).contains("gone"));
}

#[test]
fn a_view_that_was_restored_still_knows_how_far_its_snapshot_reached() {
    let folder = with_two_snapshots();
    // As after a crash right behind the restoring, and a loss of the journal's end since.
    edit_view(folder.path(), |view| {
        view.insert("meta/applied", &50_u64.to_be_bytes()).unwrap();
        view.insert("meta/reaches", &58_u64.to_be_bytes()).unwrap();
    });
    let lagging = copy_of(folder.path());
    assert_eq!(close_again(lagging.path()), Opening { replayed: 10, ..Opening::default() });
    cut_journal(folder.path(), 57);
    let told = refusal(folder.path());
    assert!(told.contains("The view holds commit 58, the journal ends with 57."), "{told}");
}

#[test]
fn a_restoring_that_was_cut_off_begins_anew() {
    let folder = with_two_snapshots();
    let before = records(&dump(folder.path()));
    edit_view(folder.path(), |view| {
        view.insert("meta/reaches", &58_u64.to_be_bytes()).unwrap();
        view.insert("n/never-was", "x").unwrap();
        view.remove("meta/applied").unwrap();
    });
    let begun = files(folder.path(), "snap").pop().map(|path| begins_at(&path)).unwrap();
    assert_eq!(close_again(folder.path()).restored, begun);
    assert_eq!(records(&dump(folder.path())), before);
}

#[test]
fn a_broken_frame_before_the_snapshot_still_stops_a_rebuild() {
    let folder = with_two_snapshots();
    remove(&folder.path().join("view"));
    flip(&segment(folder.path()), 100);
    let told = refusal(folder.path());
    assert!(told.contains("damaged in its middle") && told.contains("offset 0"), "{told}");
    assert!(!folder.path().join("view/db").exists() || !dump(folder.path()).contains_key(&b"last"[..]), "nothing was loaded");
}

// ---- when and where

#[test]
fn a_whole_view_needs_no_snapshot() {
    let folder = with_two_snapshots();
    for path in files(folder.path(), "snap") {
        std::fs::write(path, "nonsense").unwrap();
    }
    let (store, opening) = open(folder.path(), never());
    assert_eq!(opening, Opening::default());
    assert_eq!(store.get(&Key::from_text("last")).unwrap().unwrap().value, b"60");
}

#[test]
fn what_a_crash_left_half_written_does_no_harm_and_goes() {
    let folder = with_two_snapshots();
    remove(&folder.path().join("view"));
    let newer = files(folder.path(), "snap").pop().unwrap();
    let half = std::fs::read(&newer).unwrap();
    std::fs::write(folder.path().join("snapshots/0000000000000055.new"), &half[..half.len() / 2]).unwrap();
    let (store, opening) = open(folder.path(), never());
    assert_eq!(opening.restored, begins_at(&newer));
    until("tidiness", || files(folder.path(), "new").is_empty());
    store.close().unwrap();
    assert_eq!(files(folder.path(), "snap").len(), 2);
}

#[test]
fn what_is_replayed_is_bounded_by_the_growth_that_brings_the_next_snapshot() {
    let folder = TempDir::new().unwrap();
    let at_least_bytes = 20_000;
    let (store, _) = open(folder.path(), Snapshots { at_least_bytes, ..eager() });
    let mut most = 0;
    for round in 0..40 {
        fill(&store, round * 25 + 1..=round * 25 + 25);
        most = most.max(files(folder.path(), "snap").len());
        assert!(files(folder.path(), "new").len() <= 1);
    }
    // Between the renaming and the tidying there is one more.
    assert!((2..=3).contains(&most), "{most} were kept");
    let bytes = std::fs::metadata(segment(folder.path())).unwrap().len();
    let bytes_a_commit = bytes / 1_000;
    let newest = || files(folder.path(), "snap").pop().unwrap();
    let bound = || at_least_bytes.max(2 * std::fs::metadata(newest()).map_or(0, |file| file.len()));
    until("a snapshot", || (1_000 - begins_at(&newest())) * bytes_a_commit <= bound() + bytes_a_commit);
    store.close().unwrap();
    assert_eq!(files(folder.path(), "snap").len(), 2);
    remove(&folder.path().join("view"));
    let opening = close_again(folder.path());
    assert_eq!(opening.restored + opening.replayed, 1_000);
    assert!(opening.replayed * bytes_a_commit <= bound() + bytes_a_commit, "{} were replayed", opening.replayed);
    assert!(opening.replayed < 700, "{} were replayed", opening.replayed);
}

#[test]
fn nothing_new_means_no_new_snapshot() {
    let folder = TempDir::new().unwrap();
    let (store, _) = open(folder.path(), eager());
    fill(&store, 1..=1);
    until("a snapshot", || files(folder.path(), "snap").len() == 1);
    let made = std::fs::metadata(&files(folder.path(), "snap")[0]).unwrap().modified().unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(std::fs::metadata(&files(folder.path(), "snap")[0]).unwrap().modified().unwrap(), made);
    store.close().unwrap();
    let (store, _) = open(folder.path(), eager());
    std::thread::sleep(Duration::from_millis(100));
    store.close().unwrap();
    assert_eq!(std::fs::metadata(&files(folder.path(), "snap")[0]).unwrap().modified().unwrap(), made);
}

#[test]
fn none_is_taken_while_the_disk_is_low() {
    let folder = TempDir::new().unwrap();
    let disk = Arc::new(Room(AtomicU64::new(1 << 20)));
    let (store, _) = open(folder.path(), Snapshots { disk: disk.clone(), ..eager() });
    fill(&store, 1..=20);
    std::thread::sleep(Duration::from_millis(50));
    assert!(!folder.path().join("snapshots").exists());
    disk.0.store(1 << 39, Ordering::Release);
    until("a snapshot", || !files(folder.path(), "snap").is_empty());
    store.close().unwrap();
}

#[test]
fn a_disk_that_becomes_low_meanwhile_ends_the_snapshot() {
    let folder = TempDir::new().unwrap();
    let disk = roomy();
    let slow = Snapshots { disk: disk.clone(), slice_pairs: 1, rest: Duration::from_millis(5), ..eager() };
    let (store, _) = open(folder.path(), Snapshots { at_least_bytes: 10_000, ..slow });
    fill(&store, 1..=60);
    until("a draft", || !files(folder.path(), "new").is_empty());
    disk.0.store(1 << 20, Ordering::Release);
    until("its end", || files(folder.path(), "new").is_empty());
    assert_eq!(files(folder.path(), "snap").len(), 0);
    store.close().unwrap();
}

#[test]
fn a_snapshot_that_cannot_be_written_ends_nothing() {
    let folder = TempDir::new().unwrap();
    std::fs::create_dir_all(folder.path()).unwrap();
    std::fs::write(folder.path().join("snapshots"), "a file where the folder goes").unwrap();
    let (store, _) = open(folder.path(), eager());
    fill(&store, 1..=30);
    std::thread::sleep(Duration::from_millis(50));
    fill(&store, 31..=60);
    store.close().unwrap();
    remove(&folder.path().join("view"));
    assert_eq!(close_again(folder.path()).replayed, 60);
}

#[test]
fn closing_does_not_wait_for_a_snapshot() {
    let folder = TempDir::new().unwrap();
    let endless = Snapshots { slice_pairs: 1, rest: Duration::from_secs(3_600), ..eager() };
    let (store, _) = open(folder.path(), endless);
    fill(&store, 1..=10);
    until("a draft", || !files(folder.path(), "new").is_empty());
    let asked = Instant::now();
    store.close().unwrap();
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert_eq!((files(folder.path(), "new").len(), files(folder.path(), "snap").len()), (0, 0));
}

// ---- measured by hand: cargo test --test snapshots -- --ignored --nocapture

#[test]
#[ignore = "a measurement: minutes, and nothing to compare it with"]
fn how_long_a_rebuild_takes() {
    measure("each commit makes two records that stay", 1);
    measure("each record is written ten times", 10);
}

fn measure(what: &str, writes_a_record: u64) {
    const COMMITS: u64 = 200_000;
    let folder = TempDir::new().unwrap();
    let (store, _) = open(folder.path(), Snapshots { disk: roomy(), ..Snapshots::of(folder.path()) });
    let text = "x".repeat(300);
    for number in 0..COMMITS {
        let (one, contact) = (number / writes_a_record, ContactId::new(format!("c-{}", number % 2_000)));
        let message = Put { sealed_for: Some(contact), ..put(&format!("message/{one}"), &text) };
        let changes = vec![message, put(&format!("seen/{one}"), "1"), put(&format!("lane/{}", number % 5_000), &text)];
        commit(&store, puts(START + number as i64, changes));
    }
    wait_durable(&store, COMMITS);
    store.close().unwrap();
    println!("{what}: {COMMITS} commits, journal {} MiB", mebibytes(&folder.path().join("journal")));
    for path in files(folder.path(), "snap") {
        println!("  snapshot of commits {} to {}, {} MiB", begins_at(&path), reaches(&path), mebibytes(&path));
    }
    for keeps_snapshots in [true, false] {
        let copy = copy_of(folder.path());
        let gone: &[&str] = if keeps_snapshots { &["view"] } else { &["view", "snapshots"] };
        gone.iter().for_each(|name| std::fs::remove_dir_all(copy.path().join(name)).unwrap_or_default());
        let begun = Instant::now();
        let opening = close_again(copy.path());
        let (restored, replayed) = (opening.restored, opening.replayed);
        println!("  restored up to {restored}, {replayed} replayed: {:?}", begun.elapsed());
    }
    let begun = Instant::now();
    verify(folder.path()).unwrap();
    println!("  reading and proving all of the journal: {:?}", begun.elapsed());
}

fn mebibytes(path: &Path) -> u64 {
    let bytes = |path: PathBuf| std::fs::metadata(path).unwrap().len();
    let all: u64 = match std::fs::read_dir(path) {
        Ok(entries) => entries.map(|entry| bytes(entry.unwrap().path())).sum(),
        Err(_) => bytes(path.to_owned()),
    };
    all >> 20
}
