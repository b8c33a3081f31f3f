//! How fast a line may send: pure arithmetic on a clock that is handed in.
use crate::domain::ids::LineId;
use crate::domain::time::{Span, Timestamp};
use std::collections::HashMap;

/// One message in a second from a long code (Twilio); what goes faster lies in its queue and goes out later, in doubt.
const INTERVAL: Span = Span::seconds(1);
/// Lines come from the configuration; this only keeps a mistake from growing without end.
const MAX_LINES: usize = 1_024;

#[derive(Default)]
pub struct Pace {
    /// When the next message may go.
    next: HashMap<LineId, Timestamp>,
}

impl Pace {
    /// Books a place for one message on this line, or says when to ask again. Nothing is booked then.
    pub fn may_go(&mut self, line: &LineId, now: Timestamp) -> Result<(), Timestamp> {
        match self.next.get(line) {
            Some(next) if now < *next => Err(*next),
            Some(_) | None => {
                self.rests(line, now + INTERVAL);
                Ok(())
            }
        }
    }

    /// The provider has refused a message for the speed of the line: nothing on it before this time.
    pub fn refused(&mut self, line: &LineId, not_before: Timestamp) {
        let next = self.next.get(line).copied().unwrap_or(not_before);
        self.rests(line, next.max(not_before));
    }

    fn rests(&mut self, line: &LineId, until: Timestamp) {
        if self.next.len() < MAX_LINES || self.next.contains_key(line) {
            self.next.insert(line.clone(), until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp(1_800_000_000_000);

    #[test]
    fn a_line_sends_one_message_in_a_second_and_lines_do_not_wait_for_each_other() {
        let (mut pace, line, other) = (Pace::default(), LineId::new("+12025550143"), LineId::new("+12025550144"));
        assert_eq!(pace.may_go(&line, NOON), Ok(()));
        assert_eq!(pace.may_go(&line, NOON + Span(999)), Err(NOON + INTERVAL));
        assert_eq!(pace.may_go(&other, NOON), Ok(()));
        assert_eq!(pace.may_go(&line, NOON + INTERVAL), Ok(()));
    }

    #[test]
    fn a_line_that_was_refused_rests_and_a_shorter_wait_does_not_end_a_longer_one() {
        let (mut pace, line) = (Pace::default(), LineId::new("+12025550143"));
        pace.refused(&line, NOON + Span::minutes(1));
        pace.refused(&line, NOON + Span::seconds(5));
        assert_eq!(pace.may_go(&line, NOON + Span::seconds(30)), Err(NOON + Span::minutes(1)));
        assert_eq!(pace.may_go(&line, NOON + Span::minutes(1)), Ok(()));
    }
}
