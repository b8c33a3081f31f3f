//! Translations between our own words and those of the platforms: no rules, no retries, no decisions.
pub mod breaker;
pub mod clock;
pub mod disk;
pub mod store;
pub mod switchboard;
pub mod symphony;
pub mod twilio;
pub mod vault;
pub mod whatsapp;
pub mod wording;
