//! No timers: one index of wake-up times in the store, looked at as time passes; cost follows what is due.
use crate::domain::case::woken;
use crate::domain::commit::Key;
use crate::domain::event::{Event, Fact};
use crate::domain::ids::EventId;
use crate::domain::time::{Span, Timestamp};
use crate::fault;
use crate::ports::{Clock, Inbox, Receipt, Store, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Wake-ups brought in one look.
const AT_ONCE: usize = 256;
/// How often the index is looked at: late by this much at most.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Brings every wake-up whose time has come to the desk, until `stop`.
pub async fn run(store: Arc<dyn Store>, inbox: Arc<dyn Inbox>, clock: Arc<dyn Clock>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let busy = match due(&*store, &*clock) {
            Ok(wakes) => bring(&*inbox, wakes, clock.now()).await,
            Err(error) => {
                tracing::error!(%error, "the wake-ups could not be read");
                false
            }
        };
        if !busy {
            tokio::select! { () = stop.cancelled() => return, () = tokio::time::sleep(LOOK_EVERY) => {} }
        }
    }
}

/// The wake-ups that are due, earliest first. A clock that ran away wakes nobody.
pub fn due(store: &dyn Store, clock: &dyn Clock) -> Result<Vec<Key>, StoreError> {
    if !clock.is_sane() {
        return Ok(Vec::new());
    }
    let now = if fault::planted("wake-early") { clock.now() + Span::hours(1) } else { clock.now() };
    let page = store.scan("wake/", None, AT_ONCE)?;
    let due = page.into_iter().map(|(key, _)| key).take_while(|key| woken(key).is_some_and(|(at, _)| at <= now));
    Ok(due.collect())
}

pub fn time_came(wake: Key, now: Timestamp) -> Event {
    Event { id: EventId(format!("wake:{}", wake.as_str())), at: now, fact: Fact::TimeCame { wake }, raw: None }
}

/// True when something was served, so that more may be waiting.
async fn bring(inbox: &dyn Inbox, wakes: Vec<Key>, now: Timestamp) -> bool {
    let brought = wakes.into_iter().map(|wake| inbox.deliver(time_came(wake, now)));
    let receipts = futures_util::future::join_all(brought).await;
    receipts.contains(&Receipt::Kept)
}
