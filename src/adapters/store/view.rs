//! The view: the records as of some commit in sled, a fast index that may lag or be lost, because the journal suffices.
//!
//! One tree. Under each stored name: version u64 | 0 plain or 1 sealed | bytes. `meta/applied`, `meta/format` and `meta/reaches`
//! are its own, and `swept/…`: for each batch one list of the seen keys that came with it, so that they can go together 30 days later.
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
/// The last commit of which something came with the snapshot that the view was restored from. Without `meta/applied` beside it
/// the restoring never came to its end.
const REACHES: &str = "meta/reaches";
pub const CURRENT_FORMAT: &[u8] = b"2";
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
/// A slice of a walk ends beyond this, however few its pairs are.
const SLICE_BYTES: usize = 1 << 20;
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

/// A stored name and what stands under it, as bytes.
pub type Pair = (Vec<u8>, Vec<u8>);

/// Where a walk over all pairs stands. The lists of seen keys come first: a batch that sweeps a list takes its keys along, so
/// whichever keys the walk still meets behind it, their list is in the snapshot and will be swept by whoever loads that.
#[derive(Debug, PartialEq)]
pub enum Cursor {
    Lists { after: Option<Vec<u8>> },
    Records { after: Option<Vec<u8>> },
}

impl Cursor {
    pub const START: Cursor = Cursor::Lists { after: None };
}

/// A stretch of a walk.
pub struct Slice {
    pub pairs: Vec<Pair>,
    /// At the walk's end: the last commit of which something may be in it.
    pub ends_with: Option<u64>,
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
    name == APPLIED || name == FORMAT || name == REACHES || name.starts_with(SWEPT)
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
            let is_half_restored = view.db.get(APPLIED)?.is_none() && view.db.contains_key(REACHES)?;
            Ok((view.has_our_format() && !is_half_restored).then_some(view))
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
        self.aside(act).inspect_err(|_| self.spoilt.store(true, Ordering::Release))
    }

    /// The same for what nobody waits for: it may fail without the process ending for it.
    fn aside<T>(&self, act: impl FnOnce() -> Result<T, Fault>) -> Result<T, StoreError> {
        calmly(act).map_err(|fault| {
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
        self.calmly(|| Ok(number_in(self.db.get(APPLIED)?)))
    }

    /// Number of the last commit of which anything came to the view: more than `applied` only after a restoring.
    pub fn reaches(&self) -> Result<u64, StoreError> {
        self.calmly(|| Ok(number_in(self.db.get(APPLIED)?).max(number_in(self.db.get(REACHES)?))))
    }

    pub fn bytes_on_disk(&self) -> Result<u64, StoreError> {
        self.aside(|| Ok(self.db.size_on_disk()?))
    }

    /// The next of all pairs but those that stand for the moment, `most` at the most, while batches go on being applied.
    pub fn slice(&self, cursor: &mut Cursor, most: usize) -> Result<Slice, StoreError> {
        self.aside(|| {
            let (prefix, after) = match cursor {
                Cursor::Lists { after } => (SWEPT, after),
                Cursor::Records { after } => ("", after),
            };
            let from = after.as_deref().map_or(Bound::Included(prefix.as_bytes()), Bound::Excluded);
            let stretch = self.stretch(prefix, from, most)?;
            if stretch.last.is_some() {
                *after = stretch.last;
                return Ok(Slice { pairs: stretch.pairs, ends_with: None });
            }
            let was_last = matches!(cursor, Cursor::Records { .. });
            *cursor = Cursor::Records { after: None };
            // Asked after the last pair was read: whatever the walk saw is of this commit or one before it.
            let ends_with = if was_last { Some(number_in(self.db.get(APPLIED)?)) } else { None };
            Ok(Slice { pairs: stretch.pairs, ends_with })
        })
    }

    fn stretch(&self, prefix: &str, from: Bound<&[u8]>, most: usize) -> Result<Stretch, Fault> {
        let mut stretch = Stretch::default();
        let (mut last, mut looked_at, mut bytes) = (None, 0, 0);
        for pair in self.db.range::<&[u8], _>((from, Bound::Unbounded)) {
            let (name, value) = pair?;
            if !name.starts_with(prefix.as_bytes()) {
                break;
            }
            if looked_at == most || bytes >= SLICE_BYTES {
                stretch.last = last;
                break;
            }
            looked_at += 1;
            let is_wanted = prefix == SWEPT || !std::str::from_utf8(&name).is_ok_and(is_its_own);
            if is_wanted {
                bytes += name.len() + value.len();
                stretch.pairs.push((name.to_vec(), value.to_vec()));
            }
            last = Some(name.to_vec());
        }
        Ok(stretch)
    }

    /// Begins to fill an empty view from a snapshot that reaches so far. Until `end_restoring` no start takes it for whole.
    pub fn begin_restoring(&self, reaches: u64) -> Result<(), StoreError> {
        self.calmly(|| Ok(self.db.insert(REACHES, &reaches.to_be_bytes()).map(drop)?))
    }

    pub fn load(&self, pairs: Vec<Pair>) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        for (name, value) in pairs {
            batch.insert(name, value);
        }
        self.calmly(|| Ok(self.db.apply_batch(batch)?))
    }

    /// From now on the view is one that lags behind the journal from `applied` on.
    pub fn end_restoring(&self, applied: u64) -> Result<(), StoreError> {
        self.calmly(|| Ok(self.db.insert(APPLIED, &applied.to_be_bytes()).map(drop)?))?;
        self.flush()
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

/// Pairs in a row, and the name of the last one looked at unless there are no more.
#[derive(Default)]
struct Stretch {
    pairs: Vec<Pair>,
    last: Option<Vec<u8>>,
}

fn number_in(value: Option<sled::IVec>) -> u64 {
    value.and_then(|value| value.as_ref().try_into().ok()).map_or(0, u64::from_be_bytes)
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
