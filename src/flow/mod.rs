//! How events become commits and commits become acts: the desk and the outbox.
pub mod desk;
pub mod disk;
pub mod door;
mod durable;
pub mod held;
pub mod lanes;
pub mod lines;
pub mod outbox;
pub mod stopped;
pub mod turn;
pub mod wakes;
