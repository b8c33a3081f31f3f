//! The chat platform as a client sees it: login, calls, the datafeed, and the two ways of its markup.
pub mod answers;
mod effects;
pub mod events;
pub mod feed;
pub mod login;
pub mod markup;
mod remembered;
pub mod rest;

pub use answers::{CallError, User};
pub use events::Translator;
pub use feed::{FeedSettings, FeedState, Pace, Transport};
pub use login::{LoginError, Session, SessionState, Tokens};
pub use rest::Symphony;

/// How to reach the platform and who we are there (`[symphony]`, `[bot]` and `[server]` of the configuration).
#[derive(Clone)]
pub struct SymphonySettings {
    /// `/pod` and `/login` are mounted below it.
    pub pod_url: String,
    /// `/agent` is mounted below it.
    pub agent_url: String,
    /// `/relay` is mounted below it.
    pub key_manager_url: String,
    /// The service account's user name: `sub` of the login token.
    pub username: String,
    /// RSA, PKCS#1 or PKCS#8.
    pub private_key_pem: String,
    /// PEM certificates trusted besides those of the system.
    pub ca_file: Option<Vec<u8>>,
    /// For calls and for the datafeed's websocket.
    pub proxy: Option<String>,
}

/// The platform writes ids in URL-safe base64 without padding, but for a few old fields; this makes them all alike.
pub fn url_safe(id: &str) -> String {
    id.trim().trim_end_matches('=').replace('+', "-").replace('/', "_")
}
