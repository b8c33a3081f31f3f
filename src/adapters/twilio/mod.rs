//! Twilio, and whoever speaks like it: what its webhooks tell us, and what we ask of its REST API.
pub mod client;
pub mod errors;
pub mod links;
pub mod list;
pub mod media;
pub mod pacing;
pub mod poll;
pub mod send;
pub mod signature;
pub mod twiml;
pub mod webhook;
pub mod wire;

pub use client::{Settings, Twilio};
pub use poll::Poll;
pub use signature::{Keys, Signed};
