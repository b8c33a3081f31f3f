//! What the program is about: pure values and decisions. No async, no clock, no randomness, no files, no wire formats.
pub mod case;
pub mod commit;
pub mod effect;
pub mod email;
pub mod event;
pub mod grammar;
pub mod ids;
pub mod phone;
pub mod suggest;
pub mod time;
pub mod words;
