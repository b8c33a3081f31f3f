//! The WhatsApp Cloud API: what its webhooks tell us, and what we ask of it.
pub mod content;
pub mod errors;
pub mod groups;
pub mod health;
pub mod media;
pub mod pacing;
pub mod picture;
pub mod send;
pub mod templates;
pub mod webhook;
pub mod wire;

pub use health::LineHealth;
pub use pacing::{Pace, pair_of};
pub use send::{Settings, WhatsApp};
pub use webhook::{Element, NotAWebhook, parse};
