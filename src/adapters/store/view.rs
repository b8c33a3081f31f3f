//! The view: the records as of some commit in sled, a fast index that may lag or be lost, because the journal suffices.
//!
//! One tree. Under each stored name: version u64 | 0 plain or 1 sealed | bytes. `meta/applied` and `meta/format` are its own.
use super::record::Kept;
use super::trouble;
use crate::domain::commit::Version;
use crate::ports::StoreError;
use std::collections::{BTreeMap, HashMap};
use std::io::ErrorKind;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

const APPLIED: &str = "meta/applied";
const FORMAT: &str = "meta/format";
const CURRENT_FORMAT: &[u8] = b"1";
/// Research 1.5: the default of 1 GiB is too much, less than 64 MiB thrashes.
const CACHE_BYTES: u64 = 64 << 20;
const FLUSH_EVERY_MS: u64 = 500;
const PLAIN: u8 = 0;
const SEALED: u8 = 1;

pub struct View {
    db: sled::Db,
    /// Stands beside the view once it failed, so that the next start rebuilds it: sled may well open what it cannot read.
    mark: PathBuf,
    spoilt: AtomicBool,
}

/// A record as the view holds it.
pub struct Viewed {
    pub version: Version,
    pub kept: Kept,
}

/// Commits merged to one batch: the last change of each record.
#[derive(Default)]
pub struct Merged {
    pub changes: HashMap<String, (Version, Option<Kept>)>,
    pub applied: u64,
    pub commits: usize,
}

pub fn is_its_own(name: &str) -> bool {
    name == APPLIED || name == FORMAT
}

impl View {
    /// `None`: it cannot be used as it is and must be rebuilt.
    pub fn open(folder: &Path) -> Option<View> {
        if mark_of(folder).exists() {
            return None;
        }
        let config = sled::Config::new().path(folder).cache_capacity(CACHE_BYTES).flush_every_ms(Some(FLUSH_EVERY_MS));
        let opened = calmly(|| {
            let view = View { db: config.open()?, mark: mark_of(folder), spoilt: AtomicBool::new(false) };
            view.db.get(APPLIED)?;
            Ok(view.has_our_format().then_some(view))
        });
        opened.ok().flatten()
    }

    /// Removes a view that cannot be used, and then its mark.
    pub fn remove(folder: &Path) -> std::io::Result<()> {
        if folder.exists() {
            std::fs::remove_dir_all(folder)?;
        }
        if mark_of(folder).exists() { std::fs::remove_file(mark_of(folder)) } else { Ok(()) }
    }

    /// Whether any call failed; then the process must end.
    pub fn is_spoilt(&self) -> bool {
        self.spoilt.load(Ordering::Acquire)
    }

    fn calmly<T>(&self, act: impl FnOnce() -> Result<T, Fault>) -> Result<T, StoreError> {
        calmly(act).map_err(|fault| {
            self.spoilt.store(true, Ordering::Release);
            if fault.is_damage {
                // Without the mark the next start opens the view as it is, and fails or works as it did.
                let _ = std::fs::write(&self.mark, b"");
            }
            fault.error
        })
    }

    fn has_our_format(&self) -> bool {
        match self.db.get(FORMAT) {
            Ok(Some(format)) => format == CURRENT_FORMAT,
            Ok(None) => self.db.is_empty() && self.db.insert(FORMAT, CURRENT_FORMAT).is_ok(),
            Err(_) => false,
        }
    }

    /// Number of the last commit that the view holds.
    pub fn applied(&self) -> Result<u64, StoreError> {
        let value = self.calmly(|| Ok(self.db.get(APPLIED)?))?;
        Ok(value.and_then(|value| value.as_ref().try_into().ok()).map_or(0, u64::from_be_bytes))
    }

    pub fn get(&self, name: &str) -> Result<Option<Viewed>, StoreError> {
        if is_its_own(name) {
            return Ok(None);
        }
        self.calmly(|| self.db.get(name)?.map(|value| read_value(&value)).transpose())
    }

    /// Up to `limit` records from a bound on whose names begin with `prefix`, ascending.
    pub fn page(&self, prefix: &str, from: Bound<&str>, limit: usize) -> Result<BTreeMap<String, Viewed>, StoreError> {
        self.calmly(|| {
            let mut page = BTreeMap::new();
            for pair in self.db.range::<&str, _>((from, Bound::Unbounded)) {
                let (name, value) = pair?;
                let name = std::str::from_utf8(&name).map_err(|_| Fault::no_record())?;
                if page.len() == limit || !name.starts_with(prefix) {
                    break;
                }
                if !is_its_own(name) {
                    page.insert(name.to_owned(), read_value(&value)?);
                }
            }
            Ok(page)
        })
    }

    pub fn apply(&self, merged: &Merged) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        for (name, (version, kept)) in &merged.changes {
            match kept {
                Some(kept) => batch.insert(name.as_str(), value_of(*version, kept)),
                None => batch.remove(name.as_str()),
            }
        }
        batch.insert(APPLIED, &merged.applied.to_be_bytes());
        self.calmly(|| Ok(self.db.apply_batch(batch)?))
    }

    pub fn flush(&self) -> Result<(), StoreError> {
        self.calmly(|| Ok(self.db.flush().map(drop)?))
    }
}

impl Merged {
    pub fn add(&mut self, sequence: u64, changes: impl IntoIterator<Item = super::record::Change>) {
        for change in changes {
            self.changes.insert(change.name, (sequence, change.kept));
        }
        self.applied = sequence;
        self.commits += 1;
    }
}

fn value_of(version: Version, kept: &Kept) -> Vec<u8> {
    let (tag, bytes) = match kept {
        Kept::Plain(bytes) => (PLAIN, bytes),
        Kept::Sealed(bytes) => (SEALED, bytes),
    };
    let mut value = Vec::with_capacity(9 + bytes.len());
    value.extend_from_slice(&version.to_be_bytes());
    value.push(tag);
    value.extend_from_slice(bytes);
    value
}

fn read_value(value: &[u8]) -> Result<Viewed, Fault> {
    let (version, rest) = value.split_first_chunk::<8>().ok_or_else(Fault::no_record)?;
    let kept = match rest.split_first() {
        Some((&PLAIN, bytes)) => Kept::Plain(bytes.to_vec()),
        Some((&SEALED, bytes)) => Kept::Sealed(bytes.to_vec()),
        Some(_) | None => return Err(Fault::no_record()),
    };
    Ok(Viewed { version: u64::from_be_bytes(*version), kept })
}

fn mark_of(folder: &Path) -> PathBuf {
    folder.with_extension("spoilt")
}

/// What went wrong with the view, and whether it must be rebuilt for that.
struct Fault {
    error: StoreError,
    is_damage: bool,
}

impl Fault {
    fn damage(what: &str) -> Fault {
        let remedy = "Start again: the view is rebuilt from the journal.";
        Fault { error: trouble(what, remedy), is_damage: true }
    }
    fn no_record() -> Fault {
        Fault::damage("The view of the store holds what is no record.")
    }
}

impl From<sled::Error> for Fault {
    fn from(error: sled::Error) -> Fault {
        let is_full = matches!(&error, sled::Error::Io(error) if error.kind() == ErrorKind::StorageFull);
        let remedy = "Look at the disk and its free space and start again; if need be the view is rebuilt from the journal.";
        Fault { error: trouble(format!("The view of the store failed: {error}."), remedy), is_damage: !is_full }
    }
}

/// sled panics on some damage; that is an error like any other.
fn calmly<T>(act: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    let panicked = |_| Err(Fault::damage("The view of the store panicked over its own files."));
    catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(panicked)
}
