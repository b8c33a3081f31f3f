//! The whole world on loopback: a Symphony pod, WhatsApp's Cloud API and a page, so that the real bot can be tried without an account.
pub mod group_views;
mod journal;
pub mod keys;
pub mod meta;
pub mod page;
pub mod pod;
pub mod twilio;
pub mod views;

/// The sandbox's clock, milliseconds since 1970; it can be moved forward by the page.
pub type NowMs = std::sync::Arc<dyn Fn() -> i64 + Send + Sync>;
