//! The view: the records as of some commit in sled, a fast index that may lag or be lost, because the journal suffices.
//!
//! One tree. Under each stored name: version u64 | 0 plain or 1 sealed | bytes. `meta/applied` and `meta/format` are its own,
//! and `swept/…`: for each batch one list of the seen keys that came with it, so that they can go together 30 days later.
//! That costs one key a batch, not one an event, and no scan; replaying the journal makes and sweeps the same lists again.
use super::record::Kept;
use super::trouble;
use crate::domain::commit::Version;
use crate::domain::time::{Span, Timestamp};
use crate::ports::StoreError;
use std::collections::{BTreeMap, HashMap};
use std::io::ErrorKind;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

const APPLIED: &str = "meta/applied";
const FORMAT: &str = "meta/format";
const CURRENT_FORMAT: &[u8] = b"2";
/// `swept/<time of the batch>/<its last commit>`: sequence u64 | 16 bytes of each name behind `seen/`.
const SWEPT: &str = "swept/";
const SEEN: &str = "seen/";
/// What stands behind `seen/` is so many bytes, written in hexadecimal.
const SEEN_HASH_BYTES: usize = 16;
/// Seen keys are kept this long (INTERFACES §3).
pub const SEEN_KEPT: Span = Span::days(30);
/// Lists swept with one batch: more than one, so that sweeping never falls behind what comes.
const SWEPT_AT_ONCE: usize = 2;
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
    /// No list of seen keys is older than this, in milliseconds; so that most batches need not look.
    oldest_list: AtomicI64,
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
    /// Time of the latest commit.
    pub at: Timestamp,
    pub commits: usize,
}

pub fn is_its_own(name: &str) -> bool {
    name == APPLIED || name == FORMAT || name.starts_with(SWEPT)
}

impl View {
    /// `None`: it cannot be used as it is and must be rebuilt.
    pub fn open(folder: &Path) -> Option<View> {
        if mark_of(folder).exists() {
            return None;
        }
        let config = sled::Config::new().path(folder).cache_capacity(CACHE_BYTES).flush_every_ms(Some(FLUSH_EVERY_MS));
        let opened = calmly(|| {
            let (mark, spoilt, oldest_list) = (mark_of(folder), AtomicBool::new(false), AtomicI64::new(i64::MIN));
            let view = View { db: config.open()?, mark, spoilt, oldest_list };
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
        if let Some((name, list)) = list_of_seen(merged) {
            batch.insert(name.as_str(), list);
            self.oldest_list.fetch_min(merged.at.0, Ordering::AcqRel);
        }
        self.calmly(|| {
            self.sweep(merged, &mut batch)?;
            Ok(self.db.apply_batch(batch)?)
        })
    }

    /// Adds to the batch that seen keys of 30 days ago go. A key that was written again since stays, for its own list.
    fn sweep(&self, merged: &Merged, batch: &mut sled::Batch) -> Result<(), Fault> {
        let until = (merged.at - SEEN_KEPT).0;
        if self.oldest_list.load(Ordering::Acquire) >= until {
            return Ok(());
        }
        for pair in self.db.scan_prefix(SWEPT).take(SWEPT_AT_ONCE) {
            let (name, list) = pair?;
            let at = time_of_list(&name).ok_or_else(Fault::no_record)?;
            self.oldest_list.store(at, Ordering::Release);
            if at >= until {
                return Ok(());
            }
            let (sequence, hashes) = list.split_first_chunk::<8>().ok_or_else(Fault::no_record)?;
            for hash in hashes.chunks_exact(SEEN_HASH_BYTES) {
                let seen = format!("{SEEN}{}", hex::encode(hash));
                let is_fresh = merged.changes.contains_key(&seen);
                let version = self.db.get(&seen)?.map(|value| read_value(&value)).transpose()?.map(|viewed| viewed.version);
                if !is_fresh && version.is_some_and(|version| version <= u64::from_be_bytes(*sequence)) {
                    batch.remove(seen.as_str());
                }
            }
            batch.remove(name);
        }
        Ok(())
    }

    pub fn flush(&self) -> Result<(), StoreError> {
        self.calmly(|| Ok(self.db.flush().map(drop)?))
    }
}

/// The name and content of the list of a batch's seen keys, if it has any.
fn list_of_seen(merged: &Merged) -> Option<(String, Vec<u8>)> {
    let kept = merged.changes.iter().filter(|(_, (_, kept))| kept.is_some());
    let hashes = kept.filter_map(|(name, _)| hex::decode(name.strip_prefix(SEEN)?).ok());
    let hashes: Vec<u8> = hashes.filter(|hash| hash.len() == SEEN_HASH_BYTES).flatten().collect();
    let list = [&merged.applied.to_be_bytes()[..], &hashes].concat();
    (!hashes.is_empty()).then(|| (format!("{SWEPT}{:016}/{:016}", merged.at.0.max(0), merged.applied), list))
}

fn time_of_list(name: &[u8]) -> Option<i64> {
    std::str::from_utf8(name).ok()?.strip_prefix(SWEPT)?.split_once('/')?.0.parse().ok()
}

impl Merged {
    pub fn add(&mut self, sequence: u64, at: Timestamp, changes: impl IntoIterator<Item = super::record::Change>) {
        for change in changes {
            self.changes.insert(change.name, (sequence, change.kept));
        }
        self.at = self.at.max(at);
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
