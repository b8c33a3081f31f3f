//! The way to a real platform: keys with and without a key manager, an own CA, a proxy, and what is said when they fail.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may as well stop here")]

#[path = "symphony_network/keys.rs"]
mod keys;
#[path = "symphony_network/lab.rs"]
mod lab;
#[path = "symphony_network/proxy.rs"]
mod proxy;
#[path = "symphony_network/tls.rs"]
mod tls;
#[path = "symphony_network/troubles.rs"]
mod troubles;
