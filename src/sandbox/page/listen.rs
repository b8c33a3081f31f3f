//! `GET /api/events`: tells an open page that something has changed, so that it never has to ask in a loop.
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::control::Complaint;

/// Changes within this time are told as one; a busy world must not make the page flicker.
const COALESCE: Duration = Duration::from_millis(50);
/// Open pages at a time; each costs a connection and a task.
const MAX_LISTENERS: usize = 64;

pub(super) fn seats() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(MAX_LISTENERS))
}

/// A stream that ends when the world does. The first event comes at once, so that a page that was cut off catches up.
pub(super) fn events(changes: watch::Receiver<u64>, seats: Arc<Semaphore>) -> Result<impl IntoResponse, Complaint> {
    let seat = seats.try_acquire_owned().map_err(|_| {
        Complaint::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many open pages.",
            "/api/events",
            "Close one and load this one again.",
        )
    })?;
    let listener = Listener { changes, first: true, _seat: seat };
    Ok(Sse::new(stream::unfold(listener, next_change)).keep_alive(KeepAlive::default()))
}

struct Listener {
    changes: watch::Receiver<u64>,
    first: bool,
    _seat: OwnedSemaphorePermit,
}

async fn next_change(mut listener: Listener) -> Option<(Result<Event, Infallible>, Listener)> {
    if !std::mem::take(&mut listener.first) {
        listener.changes.changed().await.ok()?;
        tokio::time::sleep(COALESCE).await;
    }
    let version = *listener.changes.borrow_and_update();
    Some((Ok(Event::default().event("change").data(version.to_string())), listener))
}
