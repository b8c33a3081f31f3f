//! The one place that knows everything: puts store, desks, outbox, adapters and servers together, and takes them apart again.
pub mod doctor;
pub mod health;
pub mod journal;
pub mod media;
pub mod members;
pub mod policy;
pub mod read_back;
pub mod sandbox;
pub mod start;
pub mod templates;

pub use start::{Bot, Running, StartError};
