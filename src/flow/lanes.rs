//! The lanes of the outbox as they stand in memory: which effect is at the head of each, and when it may be tried.
use crate::domain::commit::Key;
use crate::domain::lane::{Due, DueState};
use crate::domain::message::DOUBT_HOLDS_LANE;
use crate::domain::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Lanes by name, each with its effects in order. Cost follows what is due: an empty lane is no lane.
#[derive(Default)]
pub struct Lanes {
    lanes: HashMap<String, BTreeMap<Key, Slot>>,
    /// Heads by the time at which they may be tried.
    queue: BTreeSet<(Timestamp, String)>,
    queued: HashMap<String, Timestamp>,
    busy: BTreeSet<String>,
    counts: Counts,
}

/// How many effects there are, by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub waiting: usize,
    pub taken: usize,
    pub doubtful: usize,
}

impl Counts {
    fn of(&mut self, state: &DueState) -> &mut usize {
        match state {
            DueState::Waiting { .. } => &mut self.waiting,
            DueState::Taken { .. } => &mut self.taken,
            DueState::Doubtful { .. } => &mut self.doubtful,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Slot {
    state: DueState,
    attempt: u32,
    /// A message to a client: its doubt ends by itself after 30 s.
    to_client: bool,
    /// A pause of our own making (pace, back-off of a look-up) that needs no commit.
    not_before: Timestamp,
}

/// The head of a lane whose time has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub key: Key,
    pub lane: String,
    pub attempt: u32,
    pub doubtful_since: Option<Timestamp>,
}

impl Lanes {
    /// A commit has put this effect into the outbox, changed it, or taken it away.
    pub fn learn(&mut self, key: &Key, due: Option<&Due>) {
        let Some(lane) = Due::lane_of(key).map(str::to_owned) else { return };
        match due {
            Some(due) => {
                let to_client = matches!(due.effect, crate::domain::effect::Effect::Send(_));
                let slot = Slot { state: due.state.clone(), attempt: due.attempt, to_client, not_before: Timestamp(i64::MIN) };
                *self.counts.of(&slot.state) += 1;
                let before = self.lanes.entry(lane.clone()).or_default().insert(key.clone(), slot);
                before.iter().for_each(|before| *self.counts.of(&before.state) -= 1);
            }
            None => {
                if let Some(slots) = self.lanes.get_mut(&lane) {
                    let before = slots.remove(key);
                    before.iter().for_each(|before| *self.counts.of(&before.state) -= 1);
                    if slots.is_empty() {
                        self.lanes.remove(&lane);
                    }
                }
            }
        }
        self.requeue(&lane);
    }

    fn requeue(&mut self, lane: &str) {
        if let Some(at) = self.queued.remove(lane) {
            self.queue.remove(&(at, lane.to_owned()));
        }
        if self.busy.contains(lane) {
            return;
        }
        let Some((_, head)) = self.lanes.get(lane).and_then(BTreeMap::first_key_value) else { return };
        let Some(at) = head.tried_at() else { return };
        self.queue.insert((at, lane.to_owned()));
        self.queued.insert(lane.to_owned(), at);
    }

    /// The next head whose time has come; its lane is busy until `finished`.
    pub fn take(&mut self, now: Timestamp) -> Option<Head> {
        let (at, lane) = self.queue.first().cloned()?;
        if at > now {
            return None;
        }
        self.queue.pop_first();
        self.queued.remove(&lane);
        let (key, slot) = self.lanes.get(&lane)?.first_key_value()?;
        let doubtful_since = match slot.state {
            DueState::Doubtful { since } => Some(since),
            DueState::Waiting { .. } | DueState::Taken { .. } => None,
        };
        let head = Head { key: key.clone(), lane: lane.clone(), attempt: slot.attempt, doubtful_since };
        self.busy.insert(lane);
        Some(head)
    }

    pub fn finished(&mut self, head: &Head, not_before: Option<Timestamp>) {
        self.busy.remove(&head.lane);
        if let (Some(until), Some(slot)) = (not_before, self.lanes.get_mut(&head.lane).and_then(|slots| slots.get_mut(&head.key)))
        {
            slot.not_before = until;
        }
        self.requeue(&head.lane);
    }

    pub fn next_at(&self) -> Option<Timestamp> {
        self.queue.first().map(|(at, _)| *at)
    }
    pub fn busy(&self) -> usize {
        self.busy.len()
    }
    pub fn waiting(&self) -> usize {
        self.counts.waiting + self.counts.taken + self.counts.doubtful
    }
    pub fn counts(&self) -> Counts {
        self.counts
    }
}

impl Slot {
    /// `None`: it is being performed, its end will come as a commit.
    fn tried_at(&self) -> Option<Timestamp> {
        match self.state {
            DueState::Waiting { not_before } => Some(not_before.max(self.not_before)),
            DueState::Taken { .. } => None,
            DueState::Doubtful { since } if self.to_client => Some((since + DOUBT_HOLDS_LANE).max(self.not_before)),
            DueState::Doubtful { since } => Some(since.max(self.not_before)),
        }
    }
}
