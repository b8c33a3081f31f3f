//! Where a number belongs: whether the law of the United States holds for it, and which clock its holder reads.
use super::ids::Phone;
use jiff::tz::TimeZone;
use std::collections::HashMap;
use std::sync::LazyLock;

/// Area codes of +1, which is 25 countries and territories (derived from libphonenumber, Apache-2.0; the file tells more).
const NANP: &str = include_str!("region/nanp.tsv");
/// Countries outside +1.
const COUNTRIES: &str = include_str!("region/countries.tsv");
/// The calling code under which the United States stand.
const NANP_CALLING_CODE: &str = "1";
const AREA_CODE_DIGITS: usize = 3;
/// Toll-free numbers, and codes that are newer than our table: their holders may live anywhere between the coasts.
const COAST_TO_COAST: [&str; 4] = ["America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles"];
/// Of a calling code with what may follow it, in the file of the countries.
const LONGEST_BEGINNING: usize = 3;

/// An area code of +1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Area {
    /// Two letters of ISO 3166.
    pub region: &'static str,
    pub us_based: bool,
    /// Names of the IANA database; none where the code is not geographic.
    pub zones: Vec<&'static str>,
}

static AREAS: LazyLock<HashMap<&'static str, Area>> = LazyLock::new(|| rows(NANP).map(entry).collect());
static BEGINNINGS: LazyLock<HashMap<&'static str, Vec<&'static str>>> =
    LazyLock::new(|| rows(COUNTRIES).map(beginning).collect());

/// Whether the number is one of the United States with their territories (RULES, S2-6, S2-8). A code of +1 that nobody
/// knows counts as one: asking for consent where none is needed is the smaller mistake.
pub fn is_us_based(phone: &Phone) -> bool {
    area_code(phone).is_some_and(|code| AREAS.get(code).is_none_or(|area| area.us_based))
}

/// All zones in which the holder of the number may live, going by the number alone; empty where it does not tell.
pub fn zones_of(phone: &Phone) -> Vec<&'static str> {
    match area_code(phone) {
        Some(code) => zones_of_area(code),
        None => zones_of_country(phone.digits()),
    }
}

/// The zone's name as the IANA database writes it. Names without a place are refused: "EST" is no clock that anybody reads
/// in summer.
pub fn zone_named(typed: &str) -> Option<String> {
    let names_a_place = |name: &&str| name.contains('/') || name.eq_ignore_ascii_case("UTC");
    let zone = TimeZone::get(Some(typed.trim()).filter(names_a_place)?).ok()?;
    zone.iana_name().filter(|_| !zone.is_unknown()).map(str::to_owned)
}

/// The table's entry for an area code of +1, if there is one.
pub fn area(code: &str) -> Option<&'static Area> {
    AREAS.get(code)
}

/// The three digits behind +1; `None` for the rest of the world.
fn area_code(phone: &Phone) -> Option<&str> {
    phone.digits().strip_prefix(NANP_CALLING_CODE)?.get(..AREA_CODE_DIGITS)
}

fn zones_of_area(code: &str) -> Vec<&'static str> {
    let known = AREAS.get(code).map(|area| &area.zones).filter(|zones| !zones.is_empty());
    known.cloned().unwrap_or_else(|| COAST_TO_COAST.to_vec())
}

fn zones_of_country(digits: &str) -> Vec<&'static str> {
    let found = (1..=LONGEST_BEGINNING).rev().find_map(|length| BEGINNINGS.get(digits.get(..length)?));
    found.cloned().unwrap_or_default()
}

// ---- the files

/// The fields of each line that is no comment.
fn rows(file: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    file.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| line.split('\t').collect())
}

fn zones(field: &'static str) -> Vec<&'static str> {
    if field == "-" { Vec::new() } else { field.split(',').collect() }
}

fn entry(row: Vec<&'static str>) -> (&'static str, Area) {
    let [code, region, us, names] = row[..] else { panic!("a line of the area codes has four fields: {row:?}") };
    (code, Area { region, us_based: us == "us", zones: zones(names) })
}

fn beginning(row: Vec<&'static str>) -> (&'static str, Vec<&'static str>) {
    let [digits, names] = row[..] else { panic!("a line of the countries has two fields: {row:?}") };
    (digits, zones(names))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn phone(e164: &str) -> Phone {
        Phone::from_e164(e164).expect("E.164")
    }

    #[test]
    fn s2_6_s2_8_the_united_states_are_not_all_of_plus_one() {
        let rows = [
            ("+12125550100", true, "New York"),
            ("+19075550100", true, "Alaska"),
            ("+17875550100", true, "Puerto Rico"),
            ("+13405550100", true, "Virgin Islands"),
            ("+16715550100", true, "Guam"),
            ("+16705550100", true, "Northern Marianas"),
            ("+16845550100", true, "American Samoa"),
            ("+18005550100", true, "toll-free"),
            ("+18335550100", true, "toll-free"),
            ("+15005550006", true, "a personal number"),
            ("+15550100001", true, "no code that the table knows"),
            ("+19005550100", true, "premium"),
            ("+19995550100", true, "unknown"),
            ("+14165550100", false, "Toronto"),
            ("+16005550100", false, "Canada, not geographic"),
            ("+18765550100", false, "Jamaica"),
            ("+12425550100", false, "Bahamas"),
            ("+18095550100", false, "Dominican Republic"),
            ("+17215550100", false, "Sint Maarten"),
            ("+4915112345678", false, "Germany"),
            ("+442079460958", false, "United Kingdom"),
            ("+5215512345678", false, "Mexico"),
        ];
        for (number, expected, place) in rows {
            assert_eq!(is_us_based(&phone(number)), expected, "{number}, {place}");
        }
    }

    /// The codes of several zones, as the notes on the law list them.
    const SPLIT: [&str; 31] = [
        "208", "219", "250", "270", "308", "364", "418", "423", "448", "458", "541", "574", "605", "606", "620", "701", "709",
        "775", "785", "807", "812", "850", "867", "879", "906", "907", "915", "928", "930", "931", "986",
    ];

    #[test]
    fn a_split_code_has_all_its_zones_and_no_other_code_has_two() {
        let split: BTreeSet<&str> = AREAS.iter().filter(|(_, area)| area.zones.len() > 1).map(|(code, _)| *code).collect();
        assert_eq!(split, BTreeSet::from(SPLIT));
        let rows: [(&str, &[&str]); 8] = [
            ("208", &["America/Boise", "America/Denver", "America/Los_Angeles"]),
            ("850", &["America/Chicago", "America/New_York"]),
            ("448", &["America/Chicago", "America/New_York"]),
            ("928", &["America/Denver", "America/Phoenix"]),
            ("915", &["America/Chicago", "America/Denver"]),
            ("541", &["America/Denver", "America/Los_Angeles"]),
            ("907", &["America/Adak", "America/Anchorage", "America/Juneau", "Pacific/Honolulu"]),
            ("689", &["America/New_York"]),
        ];
        for (code, zones) in rows {
            assert_eq!(zones_of(&phone(&format!("+1{code}5550100"))), zones, "{code}");
        }
    }

    #[test]
    fn a_code_that_tells_no_place_has_the_zones_from_coast_to_coast() {
        for number in ["+18005550100", "+15005550006", "+19995550100", "+16005550100", "+19005550100", "+15550100001"] {
            assert_eq!(zones_of(&phone(number)), COAST_TO_COAST, "{number}");
        }
    }

    #[test]
    fn a_country_has_its_zones_and_an_unknown_one_none() {
        let rows: [(&str, &[&str]); 11] = [
            ("+4915112345678", &["Europe/Berlin"]),
            ("+447911123456", &["Europe/London"]),
            ("+34612345678", &["Europe/Madrid", "Atlantic/Canary"]),
            ("+351912345678", &["Europe/Lisbon", "Atlantic/Azores"]),
            ("+77012345678", &["Asia/Almaty"]),
            ("+97150123456", &["Asia/Dubai"]),
            ("+972501234567", &["Asia/Jerusalem"]),
            ("+85251234567", &["Asia/Hong_Kong"]),
            ("+6561234567", &["Asia/Singapore"]),
            ("+8811234567", &[]),
            ("+21112345678", &[]),
        ];
        for (number, zones) in rows {
            assert_eq!(zones_of(&phone(number)), zones, "{number}");
        }
        assert_eq!(zones_of(&phone("+79161234567")).len(), 11, "Russia");
        assert!(zones_of(&phone("+61412345678")).len() > 3, "Australia");
    }

    #[test]
    fn a_zone_has_a_name_with_a_place() {
        let rows = [
            ("Europe/Berlin", Some("Europe/Berlin")),
            (" europe/berlin ", Some("Europe/Berlin")),
            ("America/Argentina/Buenos_Aires", Some("America/Argentina/Buenos_Aires")),
            ("utc", Some("UTC")),
            ("EST", None),
            ("CET", None),
            ("Berlin", None),
            ("Europe/Gotham", None),
            ("Etc/Unknown", None),
            ("../etc/passwd", None),
            ("/etc/localtime", None),
            ("", None),
        ];
        for (typed, expected) in rows {
            assert_eq!(zone_named(typed).as_deref(), expected, "{typed:?}");
        }
    }

    #[test]
    fn every_zone_of_the_files_is_known_and_no_row_stands_twice() {
        let zones = AREAS.values().flat_map(|area| &area.zones).chain(BEGINNINGS.values().flatten());
        for zone in zones {
            assert!(jiff::tz::TimeZone::get(zone).is_ok(), "{zone}");
        }
        assert_eq!((rows(NANP).count(), rows(COUNTRIES).count()), (AREAS.len(), BEGINNINGS.len()));
        assert!(BEGINNINGS.keys().all(|digits| digits.len() <= LONGEST_BEGINNING && !digits.starts_with('1')));
        assert!(BEGINNINGS.values().all(|zones| !zones.is_empty()));
    }
}
