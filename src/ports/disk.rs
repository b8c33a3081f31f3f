//! How much room the data folder has: the bounds, and the level that those who send and take in heed.
use crate::domain::time::Span;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

const GIB: u64 = 1 << 30;
/// Less than the smaller of these two and no send begins: what follows a send (its end, its statuses, the client's answer)
/// needs room, and an operator needs time to make some (QUALITY, bounds).
const NO_SENDS_BELOW: u64 = 5 * GIB;
const NO_SENDS_BELOW_SHARE: u64 = 10;
/// Less than this and only stops are taken in. It is never more than the bound above, so that a small disk works at all.
const STOPS_ONLY_BELOW: u64 = GIB;
/// When a message that waits for the disk is tried again.
pub const LOOK_AGAIN: Span = Span::seconds(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    pub free: u64,
    pub total: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    Enough = 0,
    NoSends = 1,
    StopsOnly = 2,
}

/// Looks at the disk of the data folder.
pub trait Probe: Send + Sync {
    fn space(&self) -> std::io::Result<Space>;
}

impl Space {
    pub fn level(self) -> Level {
        let no_sends_below = NO_SENDS_BELOW.min(self.total / NO_SENDS_BELOW_SHARE);
        if self.free < STOPS_ONLY_BELOW.min(no_sends_below) {
            Level::StopsOnly
        } else if self.free < no_sends_below {
            Level::NoSends
        } else {
            Level::Enough
        }
    }
}

/// The level as it was last seen; shared by all who heed it.
#[derive(Default)]
pub struct DiskLevel {
    level: AtomicU8,
    /// Bytes; 0 until somebody has looked.
    free: AtomicU64,
}

impl DiskLevel {
    pub fn get(&self) -> Level {
        match self.level.load(Ordering::Acquire) {
            0 => Level::Enough,
            1 => Level::NoSends,
            _ => Level::StopsOnly,
        }
    }
    pub fn set(&self, level: Level) {
        self.level.store(level as u8, Ordering::Release);
    }
    /// As it was last seen.
    pub fn free(&self) -> Option<u64> {
        Some(self.free.load(Ordering::Acquire)).filter(|free| *free > 0)
    }
    pub fn starts_no_sends(&self) -> bool {
        self.get() >= Level::NoSends
    }

    /// Looks now; an error changes nothing but is told.
    pub fn look(&self, probe: &dyn Probe) {
        let space = match probe.space() {
            Ok(space) => space,
            Err(error) => return tracing::error!(%error, "the free space of the data folder cannot be read"),
        };
        metrics::gauge!("liaison_disk_free_bytes").set(space.free as f64);
        self.free.store(space.free, Ordering::Release);
        let (before, level) = (self.get(), space.level());
        if before != level {
            tracing::warn!(?before, ?level, free = space.free, "the disk of the data folder");
        }
        self.set(level);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_bound_counts_and_small_disks_work() {
        let level = |free: u64, total: u64| Space { free, total }.level();
        assert_eq!(level(5 * GIB, 500 * GIB), Level::Enough);
        assert_eq!(level(5 * GIB - 1, 500 * GIB), Level::NoSends);
        assert_eq!(level(GIB, 500 * GIB), Level::NoSends);
        assert_eq!(level(GIB - 1, 500 * GIB), Level::StopsOnly);
        assert_eq!(level(2 * GIB, 20 * GIB), Level::Enough, "a tenth");
        assert_eq!(level(2 * GIB - 1, 20 * GIB), Level::NoSends);
        assert_eq!(level(52 << 20, 512 << 20), Level::Enough, "a small disk that is empty enough");
        assert_eq!(level(51 << 20, 512 << 20), Level::StopsOnly);
    }

    struct Told(std::sync::Mutex<Option<u64>>);

    impl Probe for Told {
        fn space(&self) -> std::io::Result<Space> {
            let free = *self.0.lock().unwrap();
            free.map(|free| Space { free, total: 500 * GIB }).ok_or_else(|| std::io::Error::other("no answer"))
        }
    }

    #[test]
    fn the_level_follows_the_disk_and_stays_where_nobody_knows() {
        let (level, probe) = (DiskLevel::default(), Told(std::sync::Mutex::new(Some(2 * GIB))));
        level.look(&probe);
        assert!(level.starts_no_sends());
        *probe.0.lock().unwrap() = None;
        level.look(&probe);
        assert_eq!(level.get(), Level::NoSends);
        *probe.0.lock().unwrap() = Some(90 * GIB);
        level.look(&probe);
        assert_eq!(level.get(), Level::Enough);
    }
}
