//! Meta's two sending limits: messages per second of the number, and messages to one person.
use super::errors::GraphError;
use std::collections::{HashMap, VecDeque};

/// Throughput of a number (Meta, throughput page).
const MESSAGES_PER_SECOND: usize = 80;
/// One message per 6 s to one person, of which 45 may be borrowed at once (Meta, pair rate limits).
const PAIR_INTERVAL_MS: i64 = 6_000;
const PAIR_BURST: i64 = 45;
/// Above this many people those who owe nothing are forgotten.
const MAX_PAIRS: usize = 10_000;

#[derive(Default)]
pub(super) struct Pace {
    /// Per number, the time at which nothing is borrowed any more.
    paid_at: HashMap<String, i64>,
    last_second: VecDeque<i64>,
}

impl Pace {
    /// Lets one message pass or says which limit it hits; a refused message costs nothing.
    pub fn admit(&mut self, number: &str, now: i64) -> Result<(), GraphError> {
        self.last_second.retain(|at| (now - 999..=now).contains(at));
        if self.last_second.len() >= MESSAGES_PER_SECOND {
            return Err(GraphError::new(130429, "Cloud API message throughput has been reached."));
        }
        let paid_at = self.paid_at.get(number).copied().unwrap_or(now).clamp(now, now + PAIR_BURST * PAIR_INTERVAL_MS);
        if paid_at - now > (PAIR_BURST - 1) * PAIR_INTERVAL_MS {
            return Err(GraphError::new(
                131056,
                "Message failed to send because there were too many messages sent from this phone number to the same phone number in a short period of time.",
            ));
        }
        self.last_second.push_back(now);
        self.note(number, paid_at + PAIR_INTERVAL_MS, now);
        Ok(())
    }

    fn note(&mut self, number: &str, paid_at: i64, now: i64) {
        if self.paid_at.len() >= MAX_PAIRS {
            self.paid_at.retain(|_, at| *at > now);
        }
        self.paid_at.insert(number.to_string(), paid_at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_may_borrow_45_and_then_pays_one_per_6_seconds() {
        let mut pace = Pace::default();
        for _ in 0..PAIR_BURST {
            pace.admit("+1", 1_000_000).unwrap();
        }
        assert_eq!(pace.admit("+1", 1_000_000).unwrap_err().code, 131056);
        assert_eq!(pace.admit("+1", 1_005_999).unwrap_err().code, 131056);
        pace.admit("+1", 1_006_000).unwrap();
        pace.admit("+2", 1_006_000).unwrap();
    }

    #[test]
    fn a_number_sends_at_most_80_a_second() {
        let mut pace = Pace::default();
        for person in 0..80 {
            pace.admit(&person.to_string(), 5_000).unwrap();
        }
        assert_eq!(pace.admit("80", 5_999).unwrap_err().code, 130429);
        pace.admit("80", 6_000).unwrap();
    }
}
