//! Who waits until a commit is durable. Each is woken once, when his own commit is, and nobody is woken for another's.
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::watch;

type Call = Box<dyn FnOnce() + Send>;

/// Calls to make when a commit is durable; those of a store that broke are never made.
#[derive(Clone)]
pub struct Durable {
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    reached: u64,
    /// The store ended: nothing becomes durable any more.
    ended: bool,
    calls: BinaryHeap<Reverse<Waiter>>,
}

struct Waiter {
    sequence: u64,
    call: Call,
}

impl PartialEq for Waiter {
    fn eq(&self, other: &Waiter) -> bool {
        self.sequence == other.sequence
    }
}
impl Eq for Waiter {}
impl PartialOrd for Waiter {
    fn partial_cmp(&self, other: &Waiter) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Waiter {
    fn cmp(&self, other: &Waiter) -> std::cmp::Ordering {
        self.sequence.cmp(&other.sequence)
    }
}

impl Durable {
    /// Must be called inside a runtime: one task listens to the store.
    pub fn follow(mut durable: watch::Receiver<u64>) -> Durable {
        let waiting: Arc<Mutex<Waiting>> = Arc::default();
        let follower = Durable { waiting };
        let told = follower.clone();
        tokio::spawn(async move {
            loop {
                let reached = *durable.borrow_and_update();
                told.reach(reached);
                if durable.changed().await.is_err() {
                    return told.end();
                }
            }
        });
        follower
    }

    /// Calls at once if the commit is durable already. Dropped uncalled if the store ended.
    pub fn when(&self, sequence: u64, call: impl FnOnce() + Send + 'static) {
        let mut waiting = self.waiting();
        if waiting.reached >= sequence {
            drop(waiting);
            call();
        } else if !waiting.ended {
            waiting.calls.push(Reverse(Waiter { sequence, call: Box::new(call) }));
        }
    }

    fn reach(&self, reached: u64) {
        let mut waiting = self.waiting();
        waiting.reached = waiting.reached.max(reached);
        let mut calls = Vec::new();
        while waiting.calls.peek().is_some_and(|Reverse(first)| first.sequence <= reached) {
            calls.extend(waiting.calls.pop().map(|Reverse(waiter)| waiter.call));
        }
        drop(waiting);
        calls.into_iter().for_each(|call| call());
    }

    fn end(&self) {
        let mut waiting = self.waiting();
        waiting.ended = true;
        let dropped = std::mem::take(&mut waiting.calls);
        drop(waiting);
        drop(dropped);
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("nobody panics while he looks who waits")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    fn asked(durable: &Durable, sequence: u64) -> oneshot::Receiver<u64> {
        let (say, said) = oneshot::channel();
        durable.when(sequence, move || {
            let _nobody_listens_any_more = say.send(sequence);
        });
        said
    }

    #[tokio::test]
    async fn each_is_told_when_his_own_commit_is_durable() {
        let (reach, reached) = watch::channel(2);
        let durable = Durable::follow(reached);
        let (third, second, fourth) = (asked(&durable, 3), asked(&durable, 2), asked(&durable, 4));
        assert_eq!(second.await, Ok(2));
        reach.send_replace(3);
        assert_eq!(third.await, Ok(3));
        let mut fourth = fourth;
        assert!(fourth.try_recv().is_err());
        drop(reach);
        assert!(fourth.await.is_err(), "a store that ended keeps nothing more");
        assert!(asked(&durable, 5).await.is_err());
        assert_eq!(asked(&durable, 1).await, Ok(1));
    }
}
