//! For the operator, on a listener of its own: is it alive, is it ready, what does it count, which build is it.
use crate::ports::Later;
use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// INTERFACES §3: healthy is what answers within a second.
const ALIVE_WITHIN: Duration = Duration::from_secs(1);

/// What the running program says of itself.
pub trait Health: Send + Sync {
    /// Whether the event loop and the store answer. It may take its time: a second counts as no.
    fn alive(&self) -> Later<'_, bool>;
    /// Why it is not ready; nothing when it is.
    fn reasons(&self) -> Vec<Reason>;
    /// The operator says that the clock is right. An error is a sentence.
    fn confirm_clock(&self) -> Later<'_, Result<(), String>>;
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// One of INTERFACES §3: `starting`, `feed`, `login`, `store`, `disk`, `clock`, `superseded`, `draining`, `line:<number>`.
    pub code: String,
    pub text: String,
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    reasons: Vec<Reason>,
}

#[derive(Serialize)]
struct Version {
    name: &'static str,
    version: &'static str,
    commit: &'static str,
}

pub fn ops_router(health: Arc<dyn Health>, metrics: PrometheusHandle) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/clock/confirm", post(confirm_clock))
        .with_state(health)
        .route("/metrics", get(render).with_state(metrics))
        .route("/version", get(version))
}

async fn healthz(State(health): State<Arc<dyn Health>>) -> (StatusCode, &'static str) {
    match tokio::time::timeout(ALIVE_WITHIN, health.alive()).await {
        Ok(true) => (StatusCode::OK, "alive\n"),
        Ok(false) | Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "not alive\n"),
    }
}

async fn readyz(State(health): State<Arc<dyn Health>>) -> Response {
    let reasons = health.reasons();
    let ready = reasons.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, reasons })).into_response()
}

async fn confirm_clock(State(health): State<Arc<dyn Health>>) -> Response {
    match health.confirm_clock().await {
        Ok(()) => (StatusCode::OK, "The clock is confirmed.\n").into_response(),
        Err(why) => (StatusCode::CONFLICT, format!("{why}\n")).into_response(),
    }
}

async fn render(State(metrics): State<PrometheusHandle>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render()).into_response()
}

async fn version() -> Json<Version> {
    let commit = option_env!("LIAISON_COMMIT").unwrap_or("unknown");
    Json(Version { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION"), commit })
}
