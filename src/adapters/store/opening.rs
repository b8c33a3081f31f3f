//! Opening: what the journal holds is true; the view is caught up, rebuilt, or found to know more than the journal.
use super::journal::{self, Checkpoint, GONE, Journal, Step, Tip, Walked};
use super::seal::KeyRing;
use super::sequencer::{self, GROUP_COMMITS, Shared};
use super::sled::{OpenStore, Opening, SledStore};
use super::snapshot::{self, Snapshot};
use super::snapshots::{Snapshots, Taker};
use super::view::{Merged, Pair, View};
use super::{disk_failed, record, sync_folder, trouble};
use crate::domain::time::Timestamp;
use crate::ports::StoreError;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(25);
const REMOVE_VIEW: &str = "Look at the disk and its free space, remove the folder `view` and start again: it is rebuilt.";

/// Pairs of a snapshot that go to the view at once: about as many as a group of commits changes.
const LOAD_PAIRS: usize = 1_000;
const LOAD_BYTES: usize = 4 << 20;

/// Where things lie in the data folder.
#[derive(Clone)]
pub struct Folders {
    pub data: PathBuf,
    pub journal: PathBuf,
    pub keys: PathBuf,
    pub view: PathBuf,
    pub snapshots: PathBuf,
}

impl Folders {
    pub fn of(data: &Path) -> Folders {
        let [journal, keys, view, snapshots] = ["journal", "keys", "view", "snapshots"].map(|name| data.join(name));
        Folders { data: data.to_owned(), journal, keys, view, snapshots }
    }
}

pub fn open(options: OpenStore) -> Result<(SledStore, Opening), StoreError> {
    let folders = Folders::of(&options.data_dir);
    make_folders(&folders)?;
    let lock = hold(&folders.data, "Stop it first, or give this one a data_dir of its own.")?;
    let keys = KeyRing::open(&folders.keys, the_journal_is_empty(&folders.journal)?)?;
    let checkpoint = Checkpoint::read(&folders.journal);
    let view = open_view(&folders.view)?;

    let was_empty = view.applied()? == 0;
    let restored = if was_empty { restore(&folders, &view)? } else { None };

    let mut catching_up = CatchingUp::new(&view, checkpoint, restored)?;
    let from = catching_up.from(&folders.journal, checkpoint, restored)?;
    let walked = journal::walk(&folders.journal, from, &mut |step| catching_up.take(step))?;
    catching_up.finish(&walked, checkpoint)?;
    let rebuilt = was_empty && walked.tip.sequence > 0;
    let (cut_bytes, replayed) = (walked.torn_bytes, catching_up.replayed);
    let opening = Opening { cut_bytes, replayed, rebuilt, restored: restored.map_or(0, |from| from.tip.sequence) };
    let last_time = catching_up.last_time;

    let journal = Journal::open(&folders.journal, walked.tip)?;
    let shared = Arc::new(Shared::new(keys, view, walked.tip, last_time, options.fatal));
    let store = start(shared, journal, folders, options.snapshots, lock)?;
    Ok((store, opening))
}

fn start(
    shared: Arc<Shared>,
    journal: Journal,
    folders: Folders,
    snapshots: Snapshots,
    lock: File,
) -> Result<SledStore, StoreError> {
    let (tell, durable) = watch::channel(journal.tip().sequence);
    let (writer, applier) = sequencer::threads(&shared, journal, folders.journal.clone(), tell);
    let taker = Taker::new(Arc::clone(&shared), snapshots, folders);
    let store = SledStore { shared, durable, threads: Mutex::default(), _lock: lock };
    let begun = |thread| store.threads.lock().expect("nobody panics with the threads in hand").push(thread);
    begun(thread("store-journal", move || writer.run())?);
    begun(thread("store-view", move || applier.run())?);
    begun(thread("store-snapshots", move || taker.run())?);
    Ok(store)
}

fn thread(name: &str, run: impl FnOnce() + Send + 'static) -> Result<std::thread::JoinHandle<()>, StoreError> {
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    started.map_err(|error| trouble(format!("Liaison cannot start a thread: {error}."), "Raise the limit of processes."))
}

fn make_folders(folders: &Folders) -> Result<(), StoreError> {
    for folder in [&folders.data, &folders.journal] {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| disk_failed("cannot create", folder, error))?;
    }
    // The data folder's own name: its parent may be closed to us, and then was made durable by whoever made it.
    let _ = folders.data.canonicalize().map(|data| data.parent().map(sync_folder));
    sync_folder(&folders.data)
}

/// Takes the folder for this process alone, as long as the file lives; `remedy` is for whoever finds it taken. A process that is
/// just being started by ours holds our files until it is itself, so the lock may come free late.
pub fn hold(data: &Path, remedy: &str) -> Result<File, StoreError> {
    let path = data.join("lock");
    let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = opened.map_err(|error| disk_failed("cannot open", &path, error))?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(disk_failed("cannot lock", &path, error)),
        }
    }
    let what = format!("Another Liaison runs on the folder {}.", data.display());
    Err(trouble(what, remedy))
}

/// Whether a Liaison runs on this folder just now. Nothing is created for asking.
pub fn is_in_use(data: &Path) -> Result<bool, StoreError> {
    let path = data.join("lock");
    match File::open(&path).map(|file| file.try_lock()) {
        Ok(Ok(())) => Ok(false),
        Ok(Err(TryLockError::WouldBlock)) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) | Ok(Err(TryLockError::Error(error))) => Err(disk_failed("cannot lock", &path, error)),
    }
}

/// Whether the keys are where a journal with something in it needs them.
pub fn has_its_keys(data: &Path) -> Result<bool, StoreError> {
    let folders = Folders::of(data);
    Ok(the_journal_is_empty(&folders.journal)? || KeyRing::open_to_read(&folders.keys).is_ok())
}

fn the_journal_is_empty(folder: &Path) -> Result<bool, StoreError> {
    let has_bytes = |number| std::fs::metadata(journal::segment_path(folder, number)).is_ok_and(|file| file.len() > 0);
    Ok(!journal::segments(folder)?.into_iter().any(has_bytes))
}

fn open_view(folder: &Path) -> Result<View, StoreError> {
    // sled has a lock of its own, for which the same holds.
    for pause in [LOCK_PAUSE, Duration::ZERO] {
        if let Some(view) = View::open(folder) {
            return Ok(view);
        }
        std::thread::sleep(pause);
    }
    tracing::warn!(folder = %folder.display(), "the view cannot be used and is rebuilt from the journal");
    View::remove(folder).map_err(|error| disk_failed("cannot remove", folder, error))?;
    View::open(folder).ok_or_else(|| trouble("The view of the store cannot be created.", REMOVE_VIEW))
}

/// Loads the newest snapshot that is whole and of this journal into an empty view; `None` if there is none, and the journal has
/// to be replayed from its first frame. A rebuild proves the whole journal in either case: a view seldom gets lost on a disk
/// that is above suspicion. Hashing is the small part of a rebuild; reading and applying commits is what a snapshot saves.
fn restore(folders: &Folders, view: &View) -> Result<Option<Checkpoint>, StoreError> {
    let whole = whole_snapshots(&folders.snapshots);
    if whole.is_empty() {
        return Ok(None);
    }
    let mut fitting = Vec::new();
    let walked = journal::walk(&folders.journal, Tip::START, &mut |step| {
        fitting.extend(whole.iter().map(|snapshot| snapshot.from.tip).filter(|tip| *tip == step.after));
        Ok(())
    })?;
    for snapshot in whole {
        let last = walked.tip.sequence;
        let is_beyond = snapshot.from.tip.sequence > last;
        if !is_beyond && !fitting.contains(&snapshot.from.tip) {
            tracing::warn!(snapshot = %snapshot.path.display(), "the snapshot is not of this journal and is not used");
        } else if snapshot.reaches > last {
            let name = snapshot.path.display();
            return Err(trouble(format!("{name} holds commit {}, the journal ends with {last}.", snapshot.reaches), GONE));
        } else {
            load(view, &snapshot)?;
            return Ok(Some(snapshot.from));
        }
    }
    Ok(None)
}

/// Those that prove themselves, newest first.
fn whole_snapshots(folder: &Path) -> Vec<Snapshot> {
    let proved = |path: &PathBuf| Snapshot::prove(path);
    let told = |error: &StoreError| tracing::warn!(what = %error.what, "a snapshot of the view is not used");
    let paths = snapshot::newest_first(folder).inspect_err(told).unwrap_or_default();
    paths.iter().filter_map(|path| proved(path).inspect_err(told).ok()).collect()
}

fn load(view: &View, snapshot: &Snapshot) -> Result<(), StoreError> {
    let mut pairs: Vec<Pair> = Vec::new();
    let mut bytes = 0;
    view.begin_restoring(snapshot.reaches)?;
    snapshot.each_pair(&mut |pair| {
        bytes += pair.0.len() + pair.1.len();
        pairs.push(pair);
        if pairs.len() < LOAD_PAIRS && bytes < LOAD_BYTES {
            return Ok(());
        }
        bytes = 0;
        view.load(std::mem::take(&mut pairs))
    })?;
    view.load(pairs)?;
    view.end_restoring(snapshot.from.tip.sequence)
}

/// The view on its way to the journal's end.
struct CatchingUp<'v> {
    view: &'v View,
    applied: u64,
    /// As far as anything came to it: what it was restored from may reach further than what is applied.
    reaches: u64,
    merged: Merged,
    replayed: u64,
    last_time: Timestamp,
}

impl<'v> CatchingUp<'v> {
    fn new(view: &'v View, checkpoint: Option<Checkpoint>, restored: Option<Checkpoint>) -> Result<CatchingUp<'v>, StoreError> {
        let last_time = checkpoint.iter().chain(&restored).map(|known| known.at).max().unwrap_or_default();
        let (applied, reaches) = (view.applied()?, view.reaches()?);
        Ok(CatchingUp { view, applied, reaches, merged: Merged::default(), replayed: 0, last_time })
    }

    /// From the snapshot or the checkpoint on; where the view lags behind that, from the segment that it lacks first. A view that
    /// holds nothing, or a journal without a checkpoint, is reason to read, and to prove, everything.
    fn from(&self, journal: &Path, checkpoint: Option<Checkpoint>, restored: Option<Checkpoint>) -> Result<Tip, StoreError> {
        match (restored, checkpoint) {
            (Some(restored), _) => Ok(restored.tip),
            (None, Some(checkpoint)) if checkpoint.tip.sequence <= self.applied => Ok(checkpoint.tip),
            (None, Some(_)) if self.applied > 0 => journal::begin_of_segment_with(journal, self.applied + 1),
            (None, _) => Ok(Tip::START),
        }
    }

    fn take(&mut self, step: Step<'_>) -> Result<(), StoreError> {
        let unreadable = |why: String| trouble(format!("The frame at {} cannot be read: {why}.", step.begins), journal::DAMAGED);
        let payload = record::read_payload(step.frame.payload).map_err(unreadable)?;
        for (sequence, commit) in (step.frame.first..).zip(&payload.commits) {
            if commit.sequence != sequence {
                return Err(unreadable(format!("commit {} stands where {sequence} is due", commit.sequence)));
            }
            self.last_time = self.last_time.max(commit.at);
            if sequence > self.applied {
                self.merged.add(sequence, commit.at, commit.changes().map_err(unreadable)?);
                self.replayed += 1;
            }
        }
        if self.merged.commits >= GROUP_COMMITS { self.apply() } else { Ok(()) }
    }

    fn apply(&mut self) -> Result<(), StoreError> {
        let merged = std::mem::take(&mut self.merged);
        if merged.commits > 0 { self.view.apply(&merged) } else { Ok(()) }
    }

    fn finish(&mut self, walked: &Walked, checkpoint: Option<Checkpoint>) -> Result<(), StoreError> {
        let known = checkpoint.map_or(0, |checkpoint| checkpoint.tip.sequence);
        let last = walked.tip.sequence;
        if self.reaches > last {
            return Err(trouble(format!("The view holds commit {}, the journal ends with {last}.", self.reaches), GONE));
        }
        if known > last {
            return Err(trouble(format!("The journal once held commit {known} and now ends with {last}."), GONE));
        }
        self.apply()
    }
}
