//! Our table of area codes beside the one that it was made of, entry by entry.
use liaison::domain::ids::Phone;
use liaison::domain::region::{area, is_us_based, zones_of};
use serde_json::Value;
use std::path::PathBuf;

fn shared() -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/contracts/twilio/nanp-area-codes.json");
    let text = std::fs::read(path).expect("the table of area codes lies in ../shared/contracts/twilio");
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn s2_6_every_area_code_stands_in_our_table_as_in_the_shared_one() {
    let shared = shared();
    let codes = shared["area_codes"].as_object().unwrap();
    assert_eq!(codes.len(), 469);
    for (code, expected) in codes {
        let ours = area(code).unwrap_or_else(|| panic!("{code} is missing"));
        let zones: Vec<&str> = expected["zones"].as_array().unwrap().iter().map(|zone| zone.as_str().unwrap()).collect();
        assert_eq!(ours.region, expected["region"], "{code}");
        assert_eq!(ours.us_based, expected["us_based"], "{code}");
        assert_eq!(ours.zones, zones, "{code}");
        let phone = Phone::from_e164(&format!("+1{code}5550100")).unwrap();
        assert_eq!(is_us_based(&phone), expected["us_based"], "{code}");
        let told = zones_of(&phone);
        assert!(if zones.is_empty() { told.len() == 4 } else { told == zones }, "{code}: {told:?}");
    }
}

#[test]
fn s2_6_our_table_has_no_area_code_more_than_the_shared_one() {
    let shared = shared();
    for code in 0..1_000 {
        let code = format!("{code:03}");
        assert_eq!(area(&code).is_some(), shared["area_codes"].get(&code).is_some(), "{code}");
    }
}
