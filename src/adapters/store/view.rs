//! The view: the records as of some commit in sled, a fast index that may lag or be lost, because the journal suffices.
//!
//! One tree. Under each stored name: version u64 | 0 plain or 1 sealed | bytes. `meta/applied` and `meta/format` are its own.
use super::record::Kept;
use super::trouble;
use crate::domain::commit::Version;
use crate::ports::StoreError;
use std::collections::HashMap;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

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
    /// `None`: it cannot be used as it is and must be rebuilt. sled panics on some damage, so a panic counts as an error.
    pub fn open(folder: &Path) -> Option<View> {
        let config = sled::Config::new().path(folder).cache_capacity(CACHE_BYTES).flush_every_ms(Some(FLUSH_EVERY_MS));
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let view = View { db: config.open().ok()? };
            view.has_our_format().then_some(view)
        }));
        opened.ok().flatten()
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
        let value = self.db.get(APPLIED).map_err(failed)?;
        Ok(value.and_then(|value| value.as_ref().try_into().ok()).map_or(0, u64::from_be_bytes))
    }

    pub fn get(&self, name: &str) -> Result<Option<Viewed>, StoreError> {
        if is_its_own(name) {
            return Ok(None);
        }
        self.db.get(name).map_err(failed)?.map(|value| read_value(&value)).transpose()
    }

    /// All records from a bound on whose names begin with `prefix`, ascending.
    pub fn range<'v>(
        &'v self,
        prefix: &'v str,
        from: Bound<&'v str>,
    ) -> impl Iterator<Item = Result<(String, Viewed), StoreError>> + 'v {
        let pairs = self.db.range::<&str, _>((from, Bound::Unbounded));
        let records = pairs.map(|pair| {
            let (name, value) = pair.map_err(failed)?;
            let name = String::from_utf8(name.to_vec()).map_err(|_| damaged())?;
            // The view's own two entries stand among the records but are none.
            let viewed = if is_its_own(&name) { None } else { Some(read_value(&value)?) };
            Ok((name, viewed))
        });
        let inside = records.take_while(move |record| record.as_ref().map_or(true, |(name, _)| name.starts_with(prefix)));
        inside.filter_map(|record| record.map(|(name, viewed)| Some((name, viewed?))).transpose())
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
        self.db.apply_batch(batch).map_err(failed)
    }

    pub fn flush(&self) -> Result<(), StoreError> {
        self.db.flush().map(drop).map_err(failed)
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

fn read_value(value: &[u8]) -> Result<Viewed, StoreError> {
    let (version, rest) = value.split_first_chunk::<8>().ok_or_else(damaged)?;
    let kept = match rest.split_first() {
        Some((&PLAIN, bytes)) => Kept::Plain(bytes.to_vec()),
        Some((&SEALED, bytes)) => Kept::Sealed(bytes.to_vec()),
        Some(_) | None => return Err(damaged()),
    };
    Ok(Viewed { version: u64::from_be_bytes(*version), kept })
}

fn failed(error: sled::Error) -> StoreError {
    trouble(
        format!("The view of the store failed: {error}."),
        "Start again; if it comes back, remove the folder `view`: it is rebuilt.",
    )
}

fn damaged() -> StoreError {
    trouble("The view of the store holds what is no record.", "Stop, remove the folder `view` and start again: it is rebuilt.")
}
