//! The door of a desk: what comes from outside goes first, since somebody waits for its answer; our own facts never starve.
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// So many from outside in a row, then one of our own if any waits: an answer stays quick while everything keeps moving.
const OUTSIDE_IN_A_ROW: u32 = 4;

/// A crowd seen so recently is still there: several times as long as a desk has with one event.
const CROWD_LASTS: Duration = Duration::from_millis(20);

/// Whether the world brings more than the desks take up at once. Then the outbox steps back, so that whoever waits for an
/// answer gets it; what is due goes out a little later.
#[derive(Clone)]
pub struct Crowd {
    began: Instant,
    /// Milliseconds since then at which somebody last stood behind another; 0 for never.
    seen: Arc<AtomicU64>,
}

impl Default for Crowd {
    fn default() -> Crowd {
        Crowd { began: Instant::now(), seen: Arc::default() }
    }
}

impl Crowd {
    pub fn is_there(&self) -> bool {
        let seen = self.seen.load(Ordering::Relaxed);
        seen > 0 && self.now().saturating_sub(seen) <= CROWD_LASTS.as_millis() as u64
    }
    fn note(&self) {
        self.seen.store(self.now().max(1), Ordering::Relaxed);
    }
    fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }
}

pub struct Door<J> {
    most: usize,
    crowd: Crowd,
    waiting: Mutex<Waiting<J>>,
    came: Condvar,
}

struct Waiting<J> {
    outside: VecDeque<J>,
    own: VecDeque<J>,
    in_a_row: u32,
    closed: bool,
}

impl<J> Door<J> {
    /// At most `most` jobs of each kind wait.
    pub fn new(most: usize, crowd: Crowd) -> Door<J> {
        let waiting = Waiting { outside: VecDeque::new(), own: VecDeque::new(), in_a_row: 0, closed: false };
        Door { most, crowd, waiting: Mutex::new(waiting), came: Condvar::new() }
    }

    /// False: the door is closed, or too many wait.
    pub fn bring(&self, job: J, from_outside: bool) -> bool {
        let mut waiting = self.waiting();
        let closed = waiting.closed;
        let queue = if from_outside { &mut waiting.outside } else { &mut waiting.own };
        if closed || queue.len() >= self.most {
            return false;
        }
        queue.push_back(job);
        drop(waiting);
        self.came.notify_one();
        true
    }

    /// The next job; `None` when the door is closed and nothing waits any more.
    pub fn next(&self) -> Option<J> {
        let nothing = |waiting: &mut Waiting<J>| waiting.outside.is_empty() && waiting.own.is_empty() && !waiting.closed;
        let mut waiting = self.came.wait_while(self.waiting(), nothing).expect("nobody panics at the door");
        let job = waiting.take();
        if !waiting.outside.is_empty() {
            self.crowd.note();
        }
        job
    }

    /// Nothing more comes in; what waits is still handed out.
    pub fn close(&self) {
        self.waiting().closed = true;
        self.came.notify_all();
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting<J>> {
        self.waiting.lock().expect("nobody panics at the door")
    }
}

impl<J> Waiting<J> {
    fn take(&mut self) -> Option<J> {
        let turn_of_own = self.in_a_row >= OUTSIDE_IN_A_ROW && !self.own.is_empty();
        let outside = if turn_of_own { None } else { self.outside.pop_front() };
        self.in_a_row = if outside.is_some() { self.in_a_row + 1 } else { 0 };
        outside.or_else(|| self.own.pop_front())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_goes_first_and_own_facts_are_never_kept_waiting_for_ever() {
        let crowd = Crowd::default();
        let door = Door::new(10, crowd.clone());
        assert!(!crowd.is_there());
        for n in 0..10 {
            assert!(door.bring(n, true) && door.bring(100 + n, false));
        }
        door.close();
        let order: Vec<i32> = std::iter::from_fn(|| door.next()).collect();
        assert!(crowd.is_there());
        assert_eq!(order[..10], [0, 1, 2, 3, 100, 4, 5, 6, 7, 101]);
        assert_eq!(order[10..], [8, 9, 102, 103, 104, 105, 106, 107, 108, 109]);
    }

    #[test]
    fn a_full_or_closed_door_says_so() {
        let door = Door::new(1, Crowd::default());
        assert!(door.bring(1, true) && !door.bring(2, true));
        assert!(door.bring(3, false), "each kind has its own bound");
        door.close();
        assert!(!door.bring(4, false));
        assert_eq!([door.next(), door.next(), door.next()], [Some(1), Some(3), None]);
    }
}
