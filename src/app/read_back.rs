//! A feed that is gone was replaced: what came between is read back from the history of each chat, and members are
//! compared (INTERFACES §4).
use super::members::Members;
use crate::adapters::symphony::answers::CallError;
use crate::adapters::symphony::events::Translator;
use crate::adapters::symphony::feed::FeedState;
use crate::adapters::symphony::{Symphony, url_safe};
use crate::domain::ids::StreamId;
use crate::domain::time::{Span, Timestamp};
use crate::ports::{Clock, Inbox, Receipt};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// How far behind the last good moment a lost feed is read back: clocks differ, and it may have been dead before it was noticed.
const READ_BACK: Span = Span::minutes(10);
/// And no further than this: older events are set aside anyway.
const READ_BACK_MOST: Span = Span::days(14);
/// What the platform refuses for now is tried again after this.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// Rounds over the chats that could not be read back; the pauses between them grow by `TRY_AGAIN` each.
const ROUNDS: u32 = 15;

pub struct ReadBack {
    pub symphony: Arc<Symphony>,
    pub members: Members,
    pub translator: Translator,
    pub inbox: Arc<dyn Inbox>,
    pub clock: Arc<dyn Clock>,
    pub feed: watch::Receiver<FeedState>,
    pub stop: CancellationToken,
    /// While it is not certain that everything was brought, it is written here from when on, for the next start.
    pub note: PathBuf,
}

impl ReadBack {
    /// `last_known` is the time of the last commit, `None` in a new installation, before whose first feed there was nothing.
    pub async fn run(mut self, last_known: Option<Timestamp>) {
        let noted = self.noted().await;
        // The time up to which everything is known.
        let mut covered = noted.map_or(last_known, |noted| Some(last_known.map_or(noted, |last| last.min(noted))));
        let (mut owed, mut in_gap) = (noted.is_some(), true);
        let (mut made, mut alive_at, stop) = (0, None, self.stop.clone());
        self.owe(covered).await;
        while let Some(Ok(())) = stop.run_until_cancelled(self.feed.changed()).await {
            let feed = self.feed.borrow_and_update().clone();
            let now = self.clock.now();
            if feed.feeds_created > made || (owed && feed.connected) {
                let all_known = match covered {
                    Some(covered) => self.read_back((covered - READ_BACK).max(now - READ_BACK_MOST)).await,
                    None => true,
                };
                if !all_known {
                    return;
                }
                (made, owed, covered) = (feed.feeds_created, false, Some(now));
            } else if let Some(at) = feed.alive_at.filter(|at| alive_at != Some(*at)) {
                // Up to then the feed that is ours now lived, and brings what it has not brought yet. That moment is put
                // into our time once, because the clock may be moved while nobody can be reached.
                covered = covered.max(Some(now - elapsed(at)));
                alive_at = Some(at);
            }
            match (feed.connected, in_gap) {
                (true, true) => self.owe(None).await,
                (false, false) => self.owe(covered).await,
                (true, false) | (false, true) => {}
            }
            in_gap = !feed.connected;
        }
    }

    /// What an earlier run still owed.
    async fn noted(&self) -> Option<Timestamp> {
        let text = tokio::fs::read_to_string(&self.note).await.ok()?;
        text.trim().parse().ok().map(Timestamp)
    }

    async fn owe(&self, from: Option<Timestamp>) {
        let done = match from {
            Some(from) => write_through(&self.note, from).await,
            None => match tokio::fs::remove_file(&self.note).await {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                done => done,
            },
        };
        if let Err(error) = done {
            tracing::warn!(%error, file = %self.note.display(), "the note of a gap in the datafeed could not be kept");
        }
    }

    /// False where the end came first.
    async fn read_back(&self, from: Timestamp) -> bool {
        tracing::warn!("the datafeed was replaced; reading back what it may have lost");
        let went = self.members.compare().await;
        self.read_histories(from).await;
        self.members.tell(went).await;
        !self.stop.is_cancelled()
    }

    async fn read_histories(&self, from: Timestamp) {
        let mut left = self.chats().await;
        for round in 1..=ROUNDS {
            left = self.round(left, from).await;
            if left.is_empty() || self.pause(TRY_AGAIN * round).await.is_none() {
                return;
            }
        }
        tracing::error!(chats = left.len(), "these chats could not be read back; what was lost in them stays lost");
    }

    /// Those that must be tried again.
    async fn round(&self, chats: Vec<StreamId>, from: Timestamp) -> Vec<StreamId> {
        let mut again = Vec::new();
        for chat in chats {
            if self.stop.is_cancelled() {
                return Vec::new();
            }
            match self.symphony.whole_history(&chat, from).await {
                Ok(history) => {
                    for message in &history {
                        self.deliver(message).await;
                    }
                }
                Err(error @ CallError::Refused { .. }) => {
                    tracing::error!(stream = %chat, %error, "this chat may not be read back");
                }
                Err(error) => {
                    tracing::warn!(stream = %chat, %error, "this chat could not be read back; trying again");
                    again.push(chat);
                }
            }
        }
        again
    }

    async fn deliver(&self, message: &serde_json::value::RawValue) {
        let told = self.translator.history(message);
        while self.inbox.deliver(told.event.clone()).await == Receipt::NotNow && self.pause(TRY_AGAIN).await.is_some() {}
    }

    async fn chats(&self) -> Vec<StreamId> {
        loop {
            match self.symphony.streams(&["ROOM", "IM"]).await {
                Ok(streams) => {
                    let ids = streams.iter().filter_map(|stream| stream.id.as_deref());
                    return ids.map(|id| StreamId(url_safe(id))).collect();
                }
                Err(error) => tracing::warn!(%error, "could not list the chats; trying again"),
            }
            if self.pause(TRY_AGAIN).await.is_none() {
                return Vec::new();
            }
        }
    }

    /// `None` where the end came first.
    async fn pause(&self, span: Duration) -> Option<()> {
        self.stop.run_until_cancelled(sleep(span)).await
    }
}

/// A half-written number would be another one.
async fn write_through(note: &Path, from: Timestamp) -> io::Result<()> {
    let beside = note.with_extension("new");
    tokio::fs::write(&beside, from.0.to_string()).await?;
    tokio::fs::File::open(&beside).await?.sync_all().await?;
    tokio::fs::rename(&beside, note).await
}

fn elapsed(since: Instant) -> Span {
    Span(i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX))
}
