//! The disk fills up: first nothing new leaves for clients, then nothing but stops is taken in, so that a stop always finds room.
use crate::domain::event::{Content, Event, Fact};
use crate::domain::policy::Policy;
use crate::domain::time::Span;
use crate::domain::words::{Meaning, Words};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const GIB: u64 = 1 << 30;
/// Less than the smaller of these two and no send begins: what follows a send (its end, its statuses, the client's answer)
/// needs room, and an operator needs time to make some (QUALITY, bounds).
const NO_SENDS_BELOW: u64 = 5 * GIB;
const NO_SENDS_BELOW_SHARE: u64 = 10;
/// Less than this and only stops are taken in. It is never more than the bound above, so that a small disk works at all.
const STOPS_ONLY_BELOW: u64 = GIB;
/// How often the disk is looked at; a webhook flood of 3 MB bodies fills a few hundred megabytes in that time.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// When a message that waits for the disk is tried again.
pub const LOOK_AGAIN: Span = Span::seconds(5);
/// The form's button with which an advisor says that a client meant to stop.
const REVIEW_STOP: &str = "review-stop";

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
pub struct DiskLevel(AtomicU8);

impl DiskLevel {
    pub fn get(&self) -> Level {
        match self.0.load(Ordering::Acquire) {
            0 => Level::Enough,
            1 => Level::NoSends,
            _ => Level::StopsOnly,
        }
    }
    pub fn set(&self, level: Level) {
        self.0.store(level as u8, Ordering::Release);
    }
    pub fn starts_no_sends(&self) -> bool {
        self.get() >= Level::NoSends
    }

    /// Whether there is room for this event: a stop, and what the program itself has to note, at any level.
    pub fn has_room_for(&self, event: &Event, policy: &Policy) -> bool {
        self.get() < Level::StopsOnly || !is_new_input(&event.fact, &policy.words)
    }

    /// Looks now; an error changes nothing but is told.
    pub fn look(&self, probe: &dyn Probe) {
        let space = match probe.space() {
            Ok(space) => space,
            Err(error) => return tracing::error!(%error, "the free space of the data folder cannot be read"),
        };
        metrics::gauge!("liaison_disk_free_bytes").set(space.free as f64);
        let (before, level) = (self.get(), space.level());
        if before != level {
            tracing::warn!(?before, ?level, free = space.free, "the disk of the data folder");
        }
        self.set(level);
    }
}

/// Looks at the disk until `stop`.
pub async fn watch(level: Arc<DiskLevel>, probe: Arc<dyn Probe>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let (level, probe) = (Arc::clone(&level), Arc::clone(&probe));
        // A network disk may take its time to answer. A panic of the probe leaves the level as it was.
        let _looked = tokio::task::spawn_blocking(move || level.look(&*probe)).await;
        tokio::select! { () = stop.cancelled() => return, () = tokio::time::sleep(LOOK_EVERY) => {} }
    }
}

/// Something new from a client or an advisor that is no stop, not even a possible one.
fn is_new_input(fact: &Fact, words: &Words) -> bool {
    match fact {
        Fact::ClientMessage(said) => !may_be_a_stop(&said.content, words),
        Fact::FormSent(sent) => sent.values.get("action").and_then(Value::as_str) != Some(REVIEW_STOP),
        Fact::RoomMessage(_) => true,
        Fact::MessageSuppressed { .. }
        | Fact::MembersChanged { .. }
        | Fact::RoomRenamed { .. }
        | Fact::RoomActive { .. }
        | Fact::ConnectionRequested { .. }
        | Fact::OfNoConcern { .. }
        | Fact::DeliveryReported(_)
        | Fact::UserFound { .. }
        | Fact::EffectWanted { .. }
        | Fact::EffectEnded { .. }
        | Fact::EffectPutOff { .. }
        | Fact::DoubtIsOld { .. }
        | Fact::TimeCame { .. }
        | Fact::LineTroubled { .. }
        | Fact::LineWorks { .. }
        | Fact::Unreadable { .. } => false,
    }
}

fn may_be_a_stop(content: &Content, words: &Words) -> bool {
    let is_stop = |meaning| matches!(meaning, Meaning::Stop | Meaning::PossibleStop);
    match content {
        Content::Text(text) => is_stop(words.meaning(text)),
        Content::Button { payload, text } => {
            Words::of_payload(payload).map_or_else(|| is_stop(words.meaning(text)), |meaning| meaning == Meaning::Stop)
        }
        Content::Other { caption, .. } => caption.as_ref().is_some_and(|caption| is_stop(words.meaning(caption))),
        Content::Sign { .. } => false,
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
