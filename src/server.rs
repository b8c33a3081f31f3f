//! The bot's HTTP servers: webhooks for the providers, and health, readiness and metrics for the operator.
mod listen;
mod ops;
mod twilio;
mod whatsapp;

pub use listen::{BindError, Listener, bind};
pub use ops::{Health, Reason, ops_router};
pub use twilio::TwilioHooks;
pub use whatsapp::WhatsAppHooks;

use crate::ports::{Clock, Inbox};
use axum::Router;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What providers call. A channel that is not configured has no path here.
pub fn public_router(
    whatsapp: Option<WhatsAppHooks>,
    twilio: Option<TwilioHooks>,
    inbox: Arc<dyn Inbox>,
    clock: Arc<dyn Clock>,
) -> Router {
    let (for_whatsapp, at) = (Arc::clone(&inbox), Arc::clone(&clock));
    let router = whatsapp.map_or_else(Router::new, |hooks| whatsapp::router(hooks, for_whatsapp, at));
    match twilio {
        Some(hooks) => router.merge(twilio::router(hooks, inbox, clock)),
        None => router,
    }
}

/// Serves until `stop`; then takes no new connection and ends when the requests in hand are answered.
pub async fn serve(listener: Listener, router: Router, stop: CancellationToken) -> std::io::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}
