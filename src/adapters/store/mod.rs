//! The store: a journal that is the truth, a view that can be rebuilt from it, and a memory that behaves the same.
//!
//! ```text
//! commit ─ seal ─▶ sequencer (versions, overlay) ─▶ journal frame, fdatasync ─▶ durable ─▶ applier ─▶ sled ─▶ snapshots
//! ```
mod frame;
mod journal;
mod memory;
mod opening;
mod read;
mod record;
mod seal;
mod sequencer;
mod sled;
mod snapshot;
mod snapshots;
mod view;

pub use self::sled::{OpenStore, Opening, SledStore};
pub use journal::{Journal, Tip};
pub use memory::{Kept, MemoryStore};
pub use opening::{has_its_keys, hold, is_in_use};
pub use read::{Filter, JournalLine, Verified, read_journal, verify};
pub use seal::KeyRing;
pub use snapshots::Snapshots;

use crate::ports::StoreError;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Records live in the view, whose big values are never made durable; files belong beside the store.
pub const MAX_VALUE_BYTES: usize = 1 << 20;

fn trouble(what: impl Into<String>, remedy: impl Into<String>) -> StoreError {
    StoreError { what: what.into(), remedy: remedy.into(), for_good: false }
}

fn disk_failed(doing: &str, path: &Path, error: std::io::Error) -> StoreError {
    let what = format!("Liaison {doing} {}: {error}.", path.display());
    trouble(what, "Look at the disk, its free space and the rights on the folder, then start again.")
}

/// Makes the names in a folder durable: a new file is safe only after this.
fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| disk_failed("cannot sync", folder, error))
}

/// Replaces a small file so that a power cut leaves the old or the new one.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let fresh = path.with_extension("new");
    let written = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&fresh)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&fresh, path));
    written.map_err(|error| disk_failed("cannot write", path, error))?;
    sync_folder(path.parent().expect("every file of the store lies in a folder"))
}
