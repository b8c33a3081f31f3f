//! Brings news of the firm's lines to the desk, which tells the admins.
use crate::domain::event::{Event, Fact, LineTrouble};
use crate::domain::ids::{EventId, LineId};
use crate::ports::{Clock, Inbox, Lines, Receipt};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// News that cannot be kept now is brought again after this time.
const AGAIN: Duration = Duration::from_secs(1);

/// Runs until `stop`. What the desk knows already it passes by, so a restart tells nobody anything twice.
pub async fn tell(mut lines: watch::Receiver<Lines>, inbox: Arc<dyn Inbox>, clock: Arc<dyn Clock>, stop: CancellationToken) {
    let mut told = Lines::new();
    loop {
        let known = lines.borrow_and_update().clone();
        for (line, state) in known {
            if told.get(&line) != Some(&state) {
                let brought = bring(&*inbox, &*clock, &line, state.as_ref());
                if stop.run_until_cancelled(brought).await.is_none() {
                    return;
                }
                told.insert(line, state);
            }
        }
        let changed = tokio::select! { () = stop.cancelled() => return, changed = lines.changed() => changed };
        if changed.is_err() {
            return;
        }
    }
}

async fn bring(inbox: &dyn Inbox, clock: &dyn Clock, line: &LineId, state: Option<&LineTrouble>) {
    let (id, fact) = match state {
        Some(trouble) => {
            let id = format!("line:{line}:{}:{}", trouble.code, trouble.since.0);
            (id, Fact::LineTroubled { line: line.clone(), trouble: trouble.clone() })
        }
        None => (format!("line:{line}:works:{}", clock.now().0), Fact::LineWorks { line: line.clone() }),
    };
    loop {
        let event = Event { id: EventId(id.clone()), at: clock.now(), fact: fact.clone(), raw: None };
        if inbox.deliver(event).await == Receipt::Kept {
            return;
        }
        tokio::time::sleep(AGAIN).await;
    }
}
