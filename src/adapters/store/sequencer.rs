//! The one place that puts commits in order, and the two threads behind it: one writes the journal, one applies to the view.
use super::journal::{Checkpoint, Journal, Tip};
use super::record::{self, Ready};
use super::seal::KeyRing;
use super::trouble;
use super::view::{Merged, View};
use crate::domain::commit::{Committed, Stored, Version};
use crate::domain::time::Timestamp;
use crate::ports::StoreError;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Research 1.2: merged batches of a thousand events cost a gigabyte of memory in sled.
pub const GROUP_COMMITS: usize = 256;
/// A frame takes no further commit beyond this, so that one flood does not become one endless write.
const GROUP_BYTES: usize = 8 << 20;
/// Sequenced and not yet in the view; beyond either, `commit` waits.
const MAX_WAITING_COMMITS: usize = 10_000;
const MAX_WAITING_BYTES: usize = 64 << 20;
/// What opening has to prove and catch up at most, roughly.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(10);
const CHECKPOINT_EVERY_BYTES: u64 = 16 << 20;

pub type Fatal = Box<dyn Fn(String) + Send + Sync>;

pub struct Shared {
    pub keys: Arc<KeyRing>,
    pub view: View,
    pub last_time: AtomicI64,
    line: Mutex<Line>,
    work: Condvar,
    room: Condvar,
    end: Condvar,
    /// What the view holds for certain, told after each batch.
    reached: Mutex<Checkpoint>,
    fatal: Fatal,
}

/// Everything that one lock guards.
#[derive(Default)]
pub struct Line {
    last: u64,
    /// What was sequenced and is not in the view yet.
    pub overlay: BTreeMap<String, Latest>,
    /// The last commit that is in the view. While it stands nothing leaves the overlay, so what the view said holds.
    applied: u64,
    pending: VecDeque<Sequenced>,
    waiting_commits: usize,
    waiting_bytes: usize,
    closing: bool,
    broken: Option<(String, String)>,
}

#[derive(Clone)]
pub struct Latest {
    pub version: Version,
    /// Plain, shared with nobody's disk.
    pub value: Option<Arc<Vec<u8>>>,
}

impl Latest {
    pub fn stored(&self) -> Option<Stored> {
        self.value.as_ref().map(|value| Stored { version: self.version, value: value.to_vec() })
    }
    fn current_version(&self) -> Version {
        if self.value.is_some() { self.version } else { 0 }
    }
}

struct Sequenced {
    sequence: u64,
    ready: Ready,
}

/// Commits of one durable frame on their way to the view.
struct Durable {
    commits: Vec<Sequenced>,
    tip: Tip,
}

/// A version that a decision rests on, and what the view said of it outside the lock.
struct Rest {
    name: String,
    wanted: Version,
    viewed: Option<Version>,
}

/// The versions that a decision rests on, and how far the view was when it was asked.
struct Seen {
    rests: Vec<Rest>,
    applied: u64,
}

impl Shared {
    pub fn new(keys: KeyRing, view: View, tip: Tip, last_time: Timestamp, fatal: Fatal) -> Shared {
        let keys = Arc::new(keys);
        let line = Mutex::new(Line { last: tip.sequence, applied: tip.sequence, ..Line::default() });
        let reached = Mutex::new(Checkpoint { tip, at: last_time });
        let last_time = AtomicI64::new(last_time.0);
        let (work, room, end) = (Condvar::new(), Condvar::new(), Condvar::new());
        Shared { keys, view, last_time, line, work, room, end, reached, fatal }
    }

    /// The lock, unless the store is broken: then nothing is read either, since what was sequenced may never be kept.
    pub fn line(&self) -> Result<MutexGuard<'_, Line>, StoreError> {
        let line = self.locked();
        line.check()?;
        Ok(line)
    }

    fn locked(&self) -> MutexGuard<'_, Line> {
        // A panic under the lock breaks the store through `guard`; until then the line is still the best that is known.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `plain` are the values of the puts in the order of `ready.changes`.
    pub fn sequence(
        &self,
        read: Vec<(String, Version)>,
        ready: Ready,
        plain: Vec<Option<Vec<u8>>>,
    ) -> Result<Committed, StoreError> {
        let seen = self.look_at(read)?;
        self.take_place(&seen, ready, plain)
    }

    fn take_place(&self, seen: &Seen, ready: Ready, plain: Vec<Option<Vec<u8>>>) -> Result<Committed, StoreError> {
        let mut line = self.line_with_room()?;
        let the_view_still_holds = line.applied == seen.applied;
        for rest in &seen.rests {
            let viewed = rest.viewed.filter(|_| the_view_still_holds);
            if self.current_version(&line, &rest.name, viewed)? != rest.wanted {
                return Ok(Committed::Outrun);
            }
        }
        self.last_time.fetch_max(ready.at.0, Ordering::AcqRel);
        let sequence = line.take_in(ready, plain);
        drop(line);
        self.work.notify_one();
        Ok(Committed::Now(sequence))
    }

    /// Asks the view outside the lock: a batch that is just being applied makes sled's readers wait.
    fn look_at(&self, read: Vec<(String, Version)>) -> Result<Seen, StoreError> {
        let line = self.line()?;
        let applied = line.applied;
        let is_above: Vec<bool> = read.iter().map(|(name, _)| line.overlay.contains_key(name)).collect();
        drop(line);
        let mut rests = Vec::with_capacity(read.len());
        for ((name, wanted), is_above) in read.into_iter().zip(is_above) {
            let viewed = if is_above { None } else { Some(self.viewed_version(&name)?) };
            rests.push(Rest { name, wanted, viewed });
        }
        Ok(Seen { rests, applied })
    }

    fn current_version(&self, line: &Line, name: &str, viewed: Option<Version>) -> Result<Version, StoreError> {
        match (line.overlay.get(name), viewed) {
            (Some(latest), _) => Ok(latest.current_version()),
            (None, Some(version)) => Ok(version),
            (None, None) => self.viewed_version(name),
        }
    }

    fn viewed_version(&self, name: &str) -> Result<Version, StoreError> {
        let Some(viewed) = self.view.get(name)? else { return Ok(0) };
        let is_erased = matches!(&viewed.kept, record::Kept::Sealed(sealed) if self.keys.is_erased(sealed));
        Ok(if is_erased { 0 } else { viewed.version })
    }

    fn line_with_room(&self) -> Result<MutexGuard<'_, Line>, StoreError> {
        let is_full = |line: &mut Line| line.is_full() && !line.closing && line.broken.is_none();
        let line = self.room.wait_while(self.locked(), is_full).unwrap_or_else(PoisonError::into_inner);
        line.check()?;
        if line.closing {
            return Err(trouble("The store is closing.", "Wait until Liaison runs again."));
        }
        Ok(line)
    }

    /// Waits until everything sequenced so far is in the view.
    pub fn settle(&self) -> Result<(), StoreError> {
        let line = self.locked();
        let so_far = line.last;
        let is_behind = |line: &mut Line| line.applied < so_far && line.broken.is_none();
        self.room.wait_while(line, is_behind).unwrap_or_else(PoisonError::into_inner).check()
    }

    /// The end of some frame that the view holds with all before it.
    pub fn reached(&self) -> Checkpoint {
        *self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits that long, or until the store closes or breaks; then it is true.
    pub fn ends_within(&self, wait: Duration) -> bool {
        let goes_on = |line: &mut Line| !line.closing && line.broken.is_none();
        let waited = self.end.wait_timeout_while(self.locked(), wait, goes_on);
        !goes_on(&mut waited.unwrap_or_else(PoisonError::into_inner).0)
    }

    /// No more commits; the threads end when all is written.
    pub fn close(&self) {
        self.locked().closing = true;
        self.wake_all();
    }

    fn wake_all(&self) {
        [&self.work, &self.room, &self.end].into_iter().for_each(Condvar::notify_all);
    }

    /// An error of the view or the keys ends the process too. It must be told without the lock.
    pub fn unless_a_disk_failed<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        answer.inspect_err(|error| {
            if self.view.is_spoilt() || self.keys.have_failed() {
                self.fail(error);
            }
        })
    }

    /// After a failed write nobody knows what the disk holds: the process ends, and opening finds out what is true.
    pub fn fail(&self, error: &StoreError) {
        let is_first = {
            let mut line = self.locked();
            let is_first = line.broken.is_none();
            line.broken.get_or_insert_with(|| (error.what.clone(), error.remedy.clone()));
            is_first
        };
        self.wake_all();
        if is_first {
            tracing::error!(what = %error.what, remedy = %error.remedy, "the store failed");
            (self.fatal)(error.to_string());
        }
    }
}

impl Line {
    fn check(&self) -> Result<(), StoreError> {
        match &self.broken {
            Some((what, remedy)) => Err(trouble(what, remedy)),
            None => Ok(()),
        }
    }

    fn is_full(&self) -> bool {
        self.waiting_commits >= MAX_WAITING_COMMITS || self.waiting_bytes >= MAX_WAITING_BYTES
    }

    fn take_in(&mut self, ready: Ready, plain: Vec<Option<Vec<u8>>>) -> u64 {
        self.last += 1;
        let sequence = self.last;
        for (change, value) in ready.changes.iter().zip(plain) {
            self.overlay.insert(change.name.clone(), Latest { version: sequence, value: value.map(Arc::new) });
        }
        self.waiting_commits += 1;
        self.waiting_bytes += ready.bytes();
        self.pending.push_back(Sequenced { sequence, ready });
        sequence
    }

    fn take_group(&mut self) -> Vec<Sequenced> {
        let mut bytes = 0;
        let mut fits = |commit: &Sequenced| {
            let has_room = bytes < GROUP_BYTES;
            bytes += commit.ready.tail.len();
            has_room
        };
        let count = self.pending.iter().take(GROUP_COMMITS).take_while(|commit| fits(commit)).count();
        self.pending.drain(..count).collect()
    }

    /// Forgets what the view holds now; a record that was changed again since stays.
    fn depart(&mut self, merged: &Merged, bytes: usize) {
        for (name, (version, _)) in &merged.changes {
            if self.overlay.get(name).is_some_and(|latest| latest.version == *version) {
                self.overlay.remove(name);
            }
        }
        self.applied = merged.applied;
        self.waiting_commits -= merged.commits;
        self.waiting_bytes -= bytes;
    }
}

/// The journal's thread: takes groups, writes each as one frame, tells when it is durable.
pub struct Writer {
    pub shared: Arc<Shared>,
    pub journal: Journal,
    pub durable: watch::Sender<u64>,
    to_view: mpsc::Sender<Durable>,
}

/// The view's thread.
pub struct Applier {
    shared: Arc<Shared>,
    from_journal: mpsc::Receiver<Durable>,
    checkpoints: Checkpoints,
}

struct Checkpoints {
    folder: PathBuf,
    last: Checkpoint,
    written: Instant,
    written_bytes: u64,
}

/// The two threads' work. The channel needs no bound of its own: waiting commits are bounded where they are taken in.
pub fn threads(
    shared: &Arc<Shared>,
    journal: Journal,
    journal_folder: PathBuf,
    durable: watch::Sender<u64>,
) -> (Writer, Applier) {
    let (to_view, from_journal) = mpsc::channel();
    let last = Checkpoint { tip: journal.tip(), at: Timestamp(shared.last_time.load(Ordering::Acquire)) };
    let checkpoints = Checkpoints { folder: journal_folder, last, written: Instant::now(), written_bytes: 0 };
    let applier = Applier { shared: shared.clone(), from_journal, checkpoints };
    (Writer { shared: shared.clone(), journal, durable, to_view }, applier)
}

impl Writer {
    pub fn run(self) {
        let shared = self.shared.clone();
        guard(&shared, "The journal's thread", move || self.write_until_closed());
    }

    fn write_until_closed(mut self) -> Result<(), StoreError> {
        while let Some(commits) = self.next_group() {
            self.shared.keys.sync()?;
            let payload = record::payload(commits.iter().map(|commit| (commit.sequence, commit.ready.tail.as_str())));
            let tip = self.journal.append(commits.len() as u32, &payload)?;
            self.durable.send_replace(tip.sequence);
            if self.to_view.send(Durable { commits, tip }).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// `None` when the store closes and all is written, or when it is broken.
    fn next_group(&self) -> Option<Vec<Sequenced>> {
        let is_idle = |line: &mut Line| line.pending.is_empty() && !line.closing && line.broken.is_none();
        let mut line = self.shared.work.wait_while(self.shared.locked(), is_idle).unwrap_or_else(PoisonError::into_inner);
        let group = if line.broken.is_some() { Vec::new() } else { line.take_group() };
        (!group.is_empty()).then_some(group)
    }
}

impl Applier {
    pub fn run(self) {
        let shared = self.shared.clone();
        guard(&shared, "The view's thread", move || self.apply_until_closed());
    }

    fn apply_until_closed(mut self) -> Result<(), StoreError> {
        let mut held_over = None;
        while let Some(first) = held_over.take().or_else(|| self.from_journal.recv().ok()) {
            held_over = self.apply(first)?;
            if self.checkpoints.are_due() {
                self.checkpoints.write(&self.shared.view)?;
            }
        }
        self.checkpoints.write(&self.shared.view)
    }

    /// Applies one frame and those behind it that fit in the same batch; gives back one that did not.
    fn apply(&mut self, first: Durable) -> Result<Option<Durable>, StoreError> {
        let mut merged = Merged::default();
        let mut bytes = 0;
        let mut held_over = None;
        let mut next = Some(first);
        while let Some(durable) = next.take() {
            if merged.commits > 0 && merged.commits + durable.commits.len() > GROUP_COMMITS {
                held_over = Some(durable);
                break;
            }
            self.checkpoints.reach(&durable);
            for Sequenced { sequence, ready } in durable.commits {
                bytes += ready.bytes();
                merged.add(sequence, ready.at, ready.changes);
            }
            next = self.from_journal.try_recv().ok();
        }
        self.shared.view.apply(&merged)?;
        self.shared.locked().depart(&merged, bytes);
        self.shared.room.notify_all();
        *self.shared.reached.lock().unwrap_or_else(PoisonError::into_inner) = self.checkpoints.last;
        Ok(held_over)
    }
}

impl Checkpoints {
    fn reach(&mut self, durable: &Durable) {
        self.written_bytes += durable.commits.iter().map(|commit| commit.ready.tail.len() as u64).sum::<u64>();
        let at = durable.commits.iter().map(|commit| commit.ready.at).max().unwrap_or_default();
        self.last = Checkpoint { tip: durable.tip, at: at.max(self.last.at) };
    }

    fn are_due(&self) -> bool {
        self.written_bytes >= CHECKPOINT_EVERY_BYTES || (self.written_bytes > 0 && self.written.elapsed() >= CHECKPOINT_EVERY)
    }

    fn write(&mut self, view: &View) -> Result<(), StoreError> {
        view.flush()?;
        self.last.write(&self.folder)?;
        self.written = Instant::now();
        self.written_bytes = 0;
        Ok(())
    }
}

/// An error or a panic of a thread breaks the store: silence would look like a slow disk.
fn guard(shared: &Shared, who: &str, run: impl FnOnce() -> Result<(), StoreError>) {
    let error = match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error,
        Err(_) => trouble(format!("{who} of the store stopped by a mistake of its own."), "Start again and report it."),
    };
    shared.fail(&error);
}

#[cfg(test)]
mod tests {
    use super::super::sled::{OpenStore, SledStore};
    use super::*;
    use crate::domain::commit::{Commit, Key, Put};
    use crate::domain::ids::{ContactId, EventId};
    use crate::ports::Store;

    fn commit(value: &str) -> Commit {
        let value = Some(value.as_bytes().to_vec());
        let put = Put { key: Key::from_text("room/a"), value, sealed_for: Some(ContactId::new("c-1")) };
        Commit { cause: EventId::new("e"), at: Timestamp(1), read: vec![], puts: vec![put], entries: vec![], raw: None }
    }

    #[test]
    fn a_change_that_has_passed_into_the_view_since_it_was_asked_outruns() {
        let folder = tempfile::TempDir::new().unwrap();
        let (store, _) = SledStore::open(OpenStore::new(folder.path())).unwrap();
        store.commit(commit("1")).unwrap();
        store.shared.settle().unwrap();
        let seen = store.shared.look_at(vec![("room/a".into(), 1)]).unwrap();
        store.commit(commit("2")).unwrap();
        store.shared.settle().unwrap();
        assert!(store.shared.line().unwrap().overlay.is_empty());
        let ready = record::prepare(&store.shared.keys, &commit("3")).unwrap();
        assert_eq!(store.shared.take_place(&seen, ready, vec![None]).unwrap(), Committed::Outrun);
    }

    #[test]
    fn a_new_key_is_durable_before_what_it_seals() {
        let folder = tempfile::TempDir::new().unwrap();
        let (store, _) = SledStore::open(OpenStore::new(folder.path())).unwrap();
        record::prepare(&store.shared.keys, &commit("1")).unwrap();
        assert!(store.shared.keys.has_unsynced_slots());
        store.commit(commit("1")).unwrap();
        store.shared.settle().unwrap();
        assert!(!store.shared.keys.has_unsynced_slots());
    }
}
