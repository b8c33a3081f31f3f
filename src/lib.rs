//! Liaison: advisors talk with clients on WhatsApp and SMS from their own chat platform. See ARCHITECTURE.md.
pub mod adapters;
pub mod app;
pub mod config;
pub mod domain;
pub mod fault;
pub mod flow;
pub mod ports;
pub mod sandbox;
pub mod server;
pub mod telemetry;
