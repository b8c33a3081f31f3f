//! Opening: what the journal holds is true; the view is caught up, rebuilt, or found to know more than the journal.
use super::journal::{self, Checkpoint, GONE, Journal, Step, Tip, Walked};
use super::seal::KeyRing;
use super::sequencer::{self, GROUP_COMMITS, Shared};
use super::sled::{OpenStore, Opening, SledStore};
use super::view::{Merged, View};
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

/// Where things lie in the data folder.
pub struct Folders {
    pub data: PathBuf,
    pub journal: PathBuf,
    pub keys: PathBuf,
    pub view: PathBuf,
}

impl Folders {
    pub fn of(data: &Path) -> Folders {
        Folders { data: data.to_owned(), journal: data.join("journal"), keys: data.join("keys"), view: data.join("view") }
    }
}

pub fn open(options: OpenStore) -> Result<(SledStore, Opening), StoreError> {
    let folders = Folders::of(&options.data_dir);
    make_folders(&folders)?;
    let lock = lock(&folders.data)?;
    let keys = KeyRing::open(&folders.keys, the_journal_is_empty(&folders.journal)?)?;
    let checkpoint = Checkpoint::read(&folders.journal);
    let view = open_view(&folders.view)?;

    let mut catching_up = CatchingUp::new(&view, checkpoint)?;
    let walked = journal::walk(&folders.journal, catching_up.from(checkpoint), &mut |step| catching_up.take(step))?;
    catching_up.finish(&walked, checkpoint)?;
    let rebuilt = catching_up.applied == 0 && walked.tip.sequence > 0;
    let opening = Opening { cut_bytes: walked.torn_bytes, replayed: catching_up.replayed, rebuilt };
    let last_time = catching_up.last_time;

    let journal = Journal::open(&folders.journal, walked.tip)?;
    let shared = Arc::new(Shared::new(keys, view, walked.tip, last_time, options.fatal));
    let store = start(shared, journal, &folders.journal, lock)?;
    Ok((store, opening))
}

fn start(shared: Arc<Shared>, journal: Journal, folder: &Path, lock: File) -> Result<SledStore, StoreError> {
    let (tell, durable) = watch::channel(journal.tip().sequence);
    let (writer, applier) = sequencer::threads(&shared, journal, folder.to_owned(), tell);
    let store = SledStore { shared, durable, threads: Mutex::default(), _lock: lock };
    let begun = |thread| store.threads.lock().expect("nobody panics with the threads in hand").push(thread);
    begun(thread("store-journal", move || writer.run())?);
    begun(thread("store-view", move || applier.run())?);
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

/// A process that is just being started by ours holds our files until it is itself, so the lock may come free late.
fn lock(data: &Path) -> Result<File, StoreError> {
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
    Err(trouble(what, "Stop it first, or give this one a data_dir of its own."))
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

/// The view on its way to the journal's end.
struct CatchingUp<'v> {
    view: &'v View,
    applied: u64,
    merged: Merged,
    replayed: u64,
    last_time: Timestamp,
}

impl<'v> CatchingUp<'v> {
    fn new(view: &'v View, checkpoint: Option<Checkpoint>) -> Result<CatchingUp<'v>, StoreError> {
        let last_time = checkpoint.map(|checkpoint| checkpoint.at).unwrap_or_default();
        Ok(CatchingUp { view, applied: view.applied()?, merged: Merged::default(), replayed: 0, last_time })
    }

    /// From the checkpoint on, unless the view lags even behind that: then everything is read, and proved, anew.
    fn from(&self, checkpoint: Option<Checkpoint>) -> Tip {
        checkpoint.filter(|checkpoint| checkpoint.tip.sequence <= self.applied).map_or(Tip::START, |checkpoint| checkpoint.tip)
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
        if self.applied > last {
            return Err(trouble(format!("The view holds commit {}, the journal ends with {last}.", self.applied), GONE));
        }
        if known > last {
            return Err(trouble(format!("The journal once held commit {known} and now ends with {last}."), GONE));
        }
        self.apply()
    }
}
