//! One batch at a time on its way to the inbox; it goes on while connections come and go.
use super::Batch;
use crate::adapters::symphony::events::{Translated, Translator};
use crate::domain::event::Fact;
use crate::ports::{Inbox, Receipt};
use futures_util::StreamExt;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// How long a batch may go on after the end was asked for.
const LAST_BATCH_WAIT: Duration = Duration::from_secs(5);
/// Streams of one batch that are delivered at the same time.
const STREAMS_AT_ONCE: usize = 64;
/// A pause before a batch is tried again that could not be kept.
const NOT_KEPT_PAUSE: Duration = Duration::from_millis(500);

pub(super) struct Keeping {
    inbox: Arc<dyn Inbox>,
    translator: Arc<Translator>,
    busy: Option<Busy>,
    /// A batch that came while another was being delivered.
    waiting: Option<Batch>,
    not_kept: bool,
}

struct Busy {
    events: String,
    /// The newest one under which this batch came; "" where none of them counts any more.
    ack_id: String,
    delivered: JoinHandle<Receipt>,
}

impl Keeping {
    pub(super) fn new(inbox: Arc<dyn Inbox>, translator: Translator) -> Keeping {
        Keeping { inbox, translator: Arc::new(translator), busy: None, waiting: None, not_kept: false }
    }

    /// Starts a batch, or notes that the one under way came again.
    pub(super) fn take(&mut self, batch: Batch) {
        match &mut self.busy {
            Some(busy) if busy.events == batch.events => busy.ack_id = batch.ack_id,
            Some(_) => self.waiting = Some(batch),
            None => self.start(batch),
        }
    }

    fn start(&mut self, batch: Batch) {
        let pause = if std::mem::take(&mut self.not_kept) { NOT_KEPT_PAUSE } else { Duration::ZERO };
        let work = deliver(batch.events.clone(), self.translator.clone(), self.inbox.clone());
        let delivered = tokio::spawn(async move {
            sleep(pause).await;
            work.await
        });
        self.busy = Some(Busy { events: batch.events, ack_id: batch.ack_id, delivered });
    }

    pub(super) fn start_waiting(&mut self) {
        if let Some(next) = self.waiting.take() {
            self.start(next);
        }
    }

    /// What waits was not acknowledged and comes again on the next connection.
    pub(super) fn forget_waiting(&mut self) {
        self.waiting = None;
    }

    /// The feed is another one: nothing that came on the last one is acknowledged any more.
    pub(super) fn forget_acks(&mut self) {
        self.waiting = None;
        if let Some(busy) = &mut self.busy {
            busy.ack_id.clear();
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        self.busy.as_ref().is_some_and(|busy| busy.delivered.is_finished())
    }

    /// The end of the batch under way; never, where there is none.
    pub(super) async fn finished(&mut self) -> Receipt {
        match &mut self.busy {
            // A delivery that broke down has kept nothing for certain.
            Some(busy) => (&mut busy.delivered).await.unwrap_or(Receipt::NotNow),
            None => std::future::pending().await,
        }
    }

    /// Notes how the batch went; says which ackId may go out now.
    pub(super) fn settle(&mut self, receipt: Receipt) -> Option<String> {
        let busy = self.busy.take()?;
        match receipt {
            Receipt::Kept => Some(busy.ack_id).filter(|ack_id| !ack_id.is_empty()),
            Receipt::NotNow => {
                self.not_kept = true;
                metrics::counter!("liaison_feed_batches_not_kept_total").increment(1);
                None
            }
        }
    }

    /// Waits for the batch under way, but not for ever.
    pub(super) async fn finish(&mut self) -> Option<String> {
        self.busy.as_ref()?;
        let receipt = timeout(LAST_BATCH_WAIT, self.finished()).await.ok()?;
        self.settle(receipt)
    }
}

/// Brings all elements to the inbox: streams side by side, each stream in the order of its clock. One that cannot be kept
/// stops its own stream only, so that nothing overtakes it.
async fn deliver(events: String, translator: Arc<Translator>, inbox: Arc<dyn Inbox>) -> Receipt {
    let elements: Vec<&RawValue> = match serde_json::from_str(&events) {
        Ok(elements) => elements,
        Err(_) => return Receipt::NotNow,
    };
    let groups = by_stream(elements.into_iter().map(|raw| translator.event(raw)).inspect(tell_if_unreadable));
    let receipts =
        futures_util::stream::iter(groups).map(|group| deliver_in_order(group, inbox.clone())).buffer_unordered(STREAMS_AT_ONCE);
    let all_kept = receipts.fold(true, async |kept, receipt| kept && receipt == Receipt::Kept).await;
    if all_kept { Receipt::Kept } else { Receipt::NotNow }
}

/// It is kept with its bytes all the same, and the rest of its batch goes on.
fn tell_if_unreadable(translated: &Translated) {
    if let Fact::Unreadable { why, .. } = &translated.event.fact {
        tracing::error!(event = %translated.event.id, why, "an element of the datafeed cannot be read and was put into quarantine");
    }
}

fn by_stream(events: impl Iterator<Item = Translated>) -> Vec<Vec<Translated>> {
    let mut groups: BTreeMap<_, Vec<Translated>> = BTreeMap::new();
    for event in events {
        groups.entry(event.stream.clone()).or_default().push(event);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.iter_mut().for_each(|group| group.sort_by_key(|t| t.event.at));
    groups
}

async fn deliver_in_order(group: Vec<Translated>, inbox: Arc<dyn Inbox>) -> Receipt {
    for translated in group {
        if inbox.deliver(translated.event).await == Receipt::NotNow {
            return Receipt::NotNow;
        }
    }
    Receipt::Kept
}
