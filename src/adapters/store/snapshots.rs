//! When snapshots are taken, and how: a thread of its own walks the view slice by slice while batches go on being applied.
//!
//! Replaying only puts and deletes whole values by name, so a snapshot need not be of one moment: it notes the last commit that
//! was in the view before the walk began, and loading it and replaying everything behind that commit ends in the same view.
use super::journal::{self, Checkpoint, Place, Tip};
use super::opening::Folders;
use super::sequencer::Shared;
use super::snapshot::{self, Draft};
use super::trouble;
use super::view::Cursor;
use crate::adapters::disk::Disk;
use crate::ports::StoreError;
use crate::ports::disk::{Level, Probe, Space};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// One segment of the journal is replayed in seconds; more often would write for nothing.
const AT_LEAST_BYTES: u64 = 64 << 20;
/// The journal grows by this many times the last snapshot before the next, so that snapshots add at most half of what the
/// journal writes, and a rebuild replays at most about twice what it loads.
const TIMES_THE_LAST: u64 = 2;
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// With the rest below at most 50 000 pairs a second, and milliseconds until a shutdown is noticed.
const SLICE_PAIRS: usize = 1_000;
const REST: Duration = Duration::from_millis(20);
/// What failed will mostly fail again, and each failure wakes someone by day.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(600);
const TAKEN: &str = "liaison_snapshots_total";

/// How snapshots are taken. The program has one way; tests are less patient.
#[derive(Clone)]
pub struct Snapshots {
    /// The journal grows by this many bytes, or by twice the last snapshot if that is more, before the next is taken.
    pub at_least_bytes: u64,
    pub look_every: Duration,
    /// Pairs that are read at once, and how long the walk rests after them.
    pub slice_pairs: usize,
    pub rest: Duration,
    /// Asked for the free space: none is taken while it is low or would become so.
    pub disk: Arc<dyn Probe>,
}

impl Snapshots {
    pub fn of(data: &Path) -> Snapshots {
        Snapshots {
            at_least_bytes: AT_LEAST_BYTES,
            look_every: LOOK_EVERY,
            slice_pairs: SLICE_PAIRS,
            rest: REST,
            disk: Arc::new(Disk(data.to_owned())),
        }
    }
}

/// The snapshots' thread.
pub struct Taker {
    shared: Arc<Shared>,
    settings: Snapshots,
    folders: Folders,
    last: Last,
}

/// Where the last snapshot begins, and its bytes.
struct Last {
    place: Place,
    bytes: u64,
}

/// What became of a look at the journal and the disk.
enum Looked {
    NotDue,
    /// The disk is low, or the store closes.
    PutOff,
    Taken,
}

impl Taker {
    pub fn new(shared: Arc<Shared>, settings: Snapshots, folders: Folders) -> Taker {
        let last = last_of(&folders.snapshots, shared.reached().tip.sequence);
        Taker { shared, settings, folders, last }
    }

    /// Ends when the store closes. Whatever fails here costs time at a rebuild and nothing else.
    pub fn run(mut self) {
        if let Err(error) = snapshot::remove_drafts(&self.folders.snapshots) {
            tell(&error);
        }
        let mut pause = self.settings.look_every;
        while !self.shared.ends_within(pause) {
            let panicked = |_| Err(trouble("The thread of the snapshots met a mistake of its own.", "Please report it."));
            let looked = catch_unwind(AssertUnwindSafe(|| self.look())).unwrap_or_else(panicked);
            pause = if looked.is_ok() { self.settings.look_every } else { PAUSE_AFTER_FAILURE };
            match looked {
                Ok(Looked::NotDue) => {}
                Ok(Looked::PutOff) => tracing::debug!("the snapshot of the view is put off"),
                Ok(Looked::Taken) => metrics::counter!(TAKEN, "result" => "taken").increment(1),
                Err(error) => tell(&error),
            }
        }
    }

    fn look(&mut self) -> Result<Looked, StoreError> {
        let from = self.shared.reached();
        let grown = journal::bytes_between(&self.folders.journal, self.last.place, from.tip.place)?;
        if grown == 0 || grown < self.settings.at_least_bytes.max(self.last.bytes.saturating_mul(TIMES_THE_LAST)) {
            return Ok(Looked::NotDue);
        }
        // The view is larger on the disk than its pairs.
        if !self.has_room_for(self.shared.view.bytes_on_disk()?)? {
            return Ok(Looked::PutOff);
        }
        self.take(from)
    }

    fn has_room_for(&self, bytes: u64) -> Result<bool, StoreError> {
        let unknown = |error| trouble(format!("The free space cannot be read: {error}."), "Look at the disk.");
        let Space { free, total } = self.settings.disk.space().map_err(unknown)?;
        Ok(Space { free: free.saturating_sub(bytes), total }.level() == Level::Enough)
    }

    /// `from` is what the view had reached before the walk begins.
    fn take(&mut self, from: Checkpoint) -> Result<Looked, StoreError> {
        let mut draft = Draft::begin(&self.folders.snapshots, from)?;
        let mut cursor = Cursor::START;
        let reaches = loop {
            let slice = self.shared.view.slice(&mut cursor, self.settings.slice_pairs)?;
            slice.pairs.iter().try_for_each(|pair| draft.add(pair))?;
            if let Some(reaches) = slice.ends_with {
                break reaches;
            }
            if self.shared.ends_within(self.settings.rest) || !self.has_room_for(0)? {
                return Ok(Looked::PutOff);
            }
        };
        let bytes = draft.finish(reaches)?;
        self.last = Last { place: from.tip.place, bytes };
        tracing::debug!(from = from.tip.sequence, reaches, bytes, "a snapshot of the view was taken");
        snapshot::tidy(&self.folders.snapshots, from.tip.sequence)?;
        Ok(Looked::Taken)
    }
}

fn tell(error: &StoreError) {
    metrics::counter!(TAKEN, "result" => "failed").increment(1);
    tracing::warn!(what = %error.what, remedy = %error.remedy, "no snapshot of the view was taken");
}

/// The newest snapshot that does not claim more than the view holds.
fn last_of(folder: &Path, reached: u64) -> Last {
    let known = snapshot::newest_first(folder).unwrap_or_default();
    let last = known.iter().filter_map(|path| snapshot::glance(path)).find(|(from, _)| from.tip.sequence <= reached);
    last.map_or(Last { place: Tip::START.place, bytes: 0 }, |(from, bytes)| Last { place: from.tip.place, bytes })
}
