//! The bot's HTTP servers: webhooks for the providers, and health, readiness and metrics for the operator.
mod listen;
mod ops;
mod whatsapp;

pub use listen::{BindError, Listener, bind};
pub use ops::{Health, Reason, ops_router};
pub use whatsapp::WhatsAppHooks;

use crate::ports::{Clock, Inbox};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::any;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What providers call. A channel that is not configured has no path here.
pub fn public_router(whatsapp: Option<WhatsAppHooks>, inbox: Arc<dyn Inbox>, clock: Arc<dyn Clock>) -> Router {
    let router = whatsapp.map_or_else(Router::new, |hooks| whatsapp::router(hooks, inbox, clock));
    router.route("/webhooks/twilio/{*path}", any(twilio))
}

/// SMS is not served yet; its three paths will have their own module beside `whatsapp`.
async fn twilio() -> StatusCode {
    StatusCode::NOT_FOUND
}

/// Serves until `stop`; then takes no new connection and ends when the requests in hand are answered.
pub async fn serve(listener: Listener, router: Router, stop: CancellationToken) -> std::io::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}
