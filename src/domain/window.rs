//! The 24 hours after a contact's own message in which WhatsApp lets the firm write freely; computed, never stored as a flag.
use super::time::{Span, Timestamp};
use crate::fault;
use serde::{Deserialize, Serialize};

/// How long a client's message keeps the window open (WhatsApp).
const WINDOW: Span = Span::hours(24);
/// We close a minute early: clocks differ, and a refused message costs more than a held one.
const MARGIN: Span = Span::seconds(60);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Provider time of the contact's latest message on this line.
    pub last_message: Option<Timestamp>,
    /// When the provider last said (131047) that the window is closed.
    pub refused: Option<Timestamp>,
}

impl Window {
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.closes_at().is_some_and(|end| now < end)
    }

    /// The moment from which free text must wait; `None` when it waits already for want of a message.
    pub fn closes_at(&self) -> Option<Timestamp> {
        let opened = self.last_message?;
        if self.refused.is_some_and(|refused| refused >= opened) {
            return None;
        }
        let length = if fault::planted("window-25h") { Span::hours(25) } else { WINDOW };
        Some(opened + length - MARGIN)
    }

    /// A message of the contact, `at` by the provider's clock. Late ones never move the window back.
    pub fn opened(&mut self, at: Timestamp) {
        self.last_message = Some(self.last_message.map_or(at, |before| before.max(at)));
    }
}
