//! A bounded memory of answers that do not change.
use std::borrow::Borrow;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// Answers kept of each kind, so that a 1:1 is not asked for at each line.
const REMEMBERED: usize = 10_000;

/// The last so many answers to a question.
pub(super) struct Remembered<K, V> {
    known: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Remembered { known: HashMap::new(), order: VecDeque::new() }
    }
}

/// A memory behind a lock that is held for a moment only.
pub(super) trait Memory<K, V> {
    fn recall<Q: ?Sized + Hash + Eq>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>;
    fn remember(&self, key: K, value: V);
}

impl<K: Hash + Eq + Clone, V: Clone> Memory<K, V> for Mutex<Remembered<K, V>> {
    fn recall<Q: ?Sized + Hash + Eq>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.lock().unwrap_or_else(PoisonError::into_inner).known.get(key).cloned()
    }

    fn remember(&self, key: K, value: V) {
        let mut memory = self.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.known.insert(key.clone(), value).is_none() {
            memory.order.push_back(key);
        }
        while memory.order.len() > REMEMBERED {
            let oldest = memory.order.pop_front().expect("the order is longer than its limit, so it is not empty");
            memory.known.remove(&oldest);
        }
    }
}
