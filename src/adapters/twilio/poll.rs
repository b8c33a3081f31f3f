//! Looks at the message list now and then: a webhook comes once, and one that was lost must not cost a client's words.
use super::client::Twilio;
use super::list::{Found, NoAnswer};
use super::webhook::{Arrived, listed_delivery, listed_message};
use super::wire::{Listed, is_sid};
use crate::domain::event::Event;
use crate::domain::ids::LineId;
use crate::domain::time::{Span, Timestamp};
use crate::ports::{Clock, Inbox, Receipt};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A lost webhook should not wait longer than an advisor's patience; two lists for each line cost next to nothing.
const LOOK_EVERY: Duration = Duration::from_secs(300);
/// A look that did not come to its end is taken again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// What lies this far back is looked at once more each time: messages show up late, and clocks differ.
const OVERLAP: Span = Span::hours(1);
/// What is older was told long ago, or by nobody; dedupe keys are kept 30 days only (QUALITY).
const LONGEST_GAP: Span = Span::days(14);

/// The lines whose messages are looked at, and whoever wants to know of them.
pub struct Poll {
    pub twilio: Arc<Twilio>,
    pub lines: Vec<LineId>,
    pub inbox: Arc<dyn Inbox>,
    pub clock: Arc<dyn Clock>,
}

/// How a look ended that did not end well.
#[derive(Debug, thiserror::Error)]
pub enum Cut {
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    #[error("the store does not take it just now")]
    NotNow,
}

impl Poll {
    /// Runs until `stop`. `last_known` is when the bot last knew anything; at the very first start nothing was missed before.
    pub async fn run(self, last_known: Option<Timestamp>, stop: CancellationToken) {
        let began = self.clock.now();
        let mut since: Vec<Timestamp> = self.lines.iter().map(|_| last_known.map_or(began, |known| known - OVERLAP)).collect();
        loop {
            let mut pause = LOOK_EVERY;
            for (line, since) in self.lines.iter().zip(&mut since) {
                let looked_at = self.clock.now();
                let Some(looked) = stop.run_until_cancelled(self.look(line, (*since).max(looked_at - LONGEST_GAP))).await else {
                    return;
                };
                match looked {
                    Ok(()) => *since = (looked_at - OVERLAP).max(*since),
                    Err(error) => {
                        tracing::warn!(%error, "the list of messages could not be looked at");
                        pause = LOOK_AGAIN;
                    }
                }
            }
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    /// Delivers what came to the line since then, and how messages from it ended.
    pub async fn look(&self, line: &LineId, since: Timestamp) -> Result<(), Cut> {
        let inbound = self.listed("To", line, since).await?;
        for message in inbound.iter().rev().filter(|message| message.is_inbound()) {
            self.deliver(self.events_of(message).await?).await?;
        }
        let outbound = self.listed("From", line, since).await?;
        let told = outbound.iter().rev().filter(|message| !message.is_inbound());
        let events = told.filter_map(|message| listed_delivery(message, &self.arrived(message))).collect();
        self.deliver(events).await
    }

    async fn listed(&self, side: &str, line: &LineId, since: Timestamp) -> Result<Vec<Listed>, Cut> {
        let from = jiff::Timestamp::from_millisecond(since.0).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let Found { messages, whole } = self.twilio.messages(&[(side, line.as_str()), ("DateSent>", &from)], since).await?;
        if !whole {
            tracing::warn!("the list of messages is longer than one look; what is older in it is not looked at");
        }
        Ok(messages.into_iter().filter(|message| message.created().is_none_or(|created| created >= since)).collect())
    }

    async fn events_of(&self, message: &Listed) -> Result<Vec<Event>, Cut> {
        let files = match message.sid.as_deref().filter(|sid| is_sid(sid)) {
            Some(sid) if message.media() > 0 => self.twilio.media_of(sid).await?,
            Some(_) | None => Vec::new(),
        };
        Ok(listed_message(message, &files, &self.arrived(message)))
    }

    fn arrived(&self, message: &Listed) -> Arrived {
        let raw = serde_json::to_vec(message).unwrap_or_default();
        Arrived { at: message.created().unwrap_or_else(|| self.clock.now()), raw: Arc::from(raw) }
    }

    async fn deliver(&self, events: Vec<Event>) -> Result<(), Cut> {
        for event in events {
            if self.inbox.deliver(event).await != Receipt::Kept {
                return Err(Cut::NotNow);
            }
        }
        Ok(())
    }
}
