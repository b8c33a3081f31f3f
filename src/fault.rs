//! Deliberate defects, switched on one at a time by a test to prove that the tests can see; compiled out of the product.

#[cfg(feature = "planted-faults")]
mod switch {
    use std::sync::RwLock;
    static PLANTED: RwLock<Option<&'static str>> = RwLock::new(None);
    pub fn plant(name: Option<&'static str>) {
        *PLANTED.write().expect("nobody panics while holding it") = name;
    }
    pub fn planted(name: &str) -> bool {
        PLANTED.read().expect("nobody panics while holding it").is_some_and(|planted| planted == name)
    }
}
#[cfg(feature = "planted-faults")]
pub use switch::{plant, planted};

#[cfg(not(feature = "planted-faults"))]
#[inline(always)]
pub fn planted(_name: &str) -> bool {
    false
}
