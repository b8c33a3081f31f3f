//! What the tests of the core share.
pub mod story;
pub mod world;
