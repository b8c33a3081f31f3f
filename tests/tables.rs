//! The core's rules as full tables: every cell, so that a change of any of them is seen here.
#![allow(clippy::unwrap_used)] // A test that cannot go on panics.
mod common;
#[path = "tables/consent.rs"]
mod consent;
#[path = "tables/entitlement.rs"]
mod entitlement;
#[path = "tables/gates.rs"]
mod gates;
#[path = "tables/matching.rs"]
mod matching;
#[path = "tables/message.rs"]
mod message;
#[path = "tables/region.rs"]
mod region;
#[path = "tables/window.rs"]
mod window;
