//! The real `liaison sandbox`, seen only from outside: its control calls, its printed lines and the public protocols.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may as well stop here")]

#[path = "sandbox/advisors.rs"]
mod advisors;
#[path = "sandbox/consent.rs"]
mod consent;
#[path = "sandbox/day.rs"]
mod day;
#[path = "sandbox/feeds.rs"]
mod feeds;
#[path = "sandbox/files.rs"]
mod files;
#[path = "sandbox/groups.rs"]
mod groups;
#[path = "sandbox/onboarding.rs"]
mod onboarding;
#[path = "sandbox/outside.rs"]
mod outside;
#[path = "sandbox/protocols.rs"]
mod protocols;
#[path = "sandbox/restart.rs"]
mod restart;
#[path = "sandbox/rooms.rs"]
mod rooms;
#[path = "sandbox/sms.rs"]
mod sms;
#[path = "sandbox/sms_api.rs"]
mod sms_api;
#[path = "sandbox/sms_trouble.rs"]
mod sms_trouble;
#[path = "sandbox/strangers.rs"]
mod strangers;
#[path = "sandbox/time.rs"]
mod time;
#[path = "sandbox/trouble.rs"]
mod trouble;
