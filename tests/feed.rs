//! The datafeed client against small servers that say what they want, over both transports (INTERFACES §4).
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test does")]

#[path = "feed/both.rs"]
mod both;
#[path = "feed/compared.rs"]
mod compared;
#[path = "feed/polls.rs"]
mod polls;
#[path = "feed/sockets.rs"]
mod sockets;
#[path = "feed/stress.rs"]
mod stress;
#[path = "feed/world.rs"]
mod world;
