//! Is it a time of day at which the firm writes to this client, by his own clock? Only where switched on.
use super::{Gate, Subject, Verdict, hold_unless};
use crate::domain::contact::Contact;
use crate::domain::policy::{Policy, QuietHours};
use crate::domain::region;
use crate::domain::time::{Span, Timestamp};
use jiff::tz::TimeZone;

pub const GATE: Gate = Gate { id: "quiet_hours", check };

const DAY_SECONDS: i64 = 86_400;
/// How far ahead an hour is looked for at which all zones of a client are open: as long as a message is held by default.
/// Zones that have none within that time have none at all, but for what daylight saving time may bring.
const LOOKED_AHEAD: Span = Span::days(14);

/// What the hours say of one client at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Quiet {
    No,
    Until(Opening),
    /// The zones in which he may be have no hour in common; somebody must write down in which he is.
    NeverOver,
}

/// When messages may go again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    pub at: Timestamp,
    /// The zone that opens last.
    pub zone: String,
    /// The time of day that it is there then: "08:00", or later where the clock jumps over the hour.
    pub clock: String,
}

fn check(subject: &Subject) -> Verdict {
    let sub_org = subject.room.map_or(&subject.rights.sub_org, |room| &room.sub_org);
    let Some(hours) = subject.policy.quiet_hours_of(sub_org) else { return Verdict::Pass };
    let zones = zones(subject.policy, subject.contact);
    hold_unless(zones.iter().all(|zone| is_open(hours, zone, subject.now)))
}

/// Whether the hours of a sub-organisation keep messages from this client now, and until when.
pub fn quiet(policy: &Policy, sub_org: &str, contact: &Contact, now: Timestamp) -> Quiet {
    policy.quiet_hours_of(sub_org).map_or(Quiet::No, |hours| in_zones(hours, &zones(policy, contact), now))
}

/// When messages may go to this client again; `None` while they may, and where no hour suits all his zones.
pub fn opens_at(policy: &Policy, sub_org: &str, contact: &Contact, now: Timestamp) -> Option<Timestamp> {
    match quiet(policy, sub_org, contact, now) {
        Quiet::Until(opening) => Some(opening.at),
        Quiet::No | Quiet::NeverOver => None,
    }
}

/// The clocks that count for this client: the zone that somebody wrote down, else all in which his number may be, else the
/// firm's own. An unknown name reads as UTC (the configuration was checked).
pub fn zones(policy: &Policy, contact: &Contact) -> Vec<TimeZone> {
    if let Some(zone) = contact.time_zone.as_deref().and_then(|name| TimeZone::get(name).ok()) {
        return vec![zone];
    }
    let names = contact.phone.as_ref().map(region::zones_of).unwrap_or_default();
    let known: Vec<TimeZone> = names.into_iter().filter_map(|name| TimeZone::get(name).ok()).collect();
    if known.is_empty() { vec![TimeZone::get(&policy.time_zone).unwrap_or(TimeZone::UTC)] } else { known }
}

/// As people write it.
pub fn zone_name(zone: &TimeZone) -> String {
    zone.iana_name().unwrap_or("UTC").to_owned()
}

/// The earliest moment at which all clocks show an hour of writing.
fn in_zones(hours: QuietHours, zones: &[TimeZone], now: Timestamp) -> Quiet {
    let mut at = now;
    let mut last = None;
    while at <= now + LOOKED_AHEAD {
        let Some(zone) = zones.iter().find(|zone| !is_open(hours, zone, at)) else {
            return last.map_or(Quiet::No, |zone| Quiet::Until(opening(at, zone)));
        };
        at = next_look(hours, zone, at);
        last = Some(zone);
    }
    Quiet::NeverOver
}

fn opening(at: Timestamp, zone: &TimeZone) -> Opening {
    let minute = second_of_day(zone, at) / 60;
    Opening { at, zone: zone_name(zone), clock: format!("{:02}:{:02}", minute / 60, minute % 60) }
}

/// When a clock that shows a quiet hour is to be read again: at the beginning of the hours, or where it is put forward or back
/// before that. Between two changes a clock runs evenly; at a change neither an hour that is left out nor one that comes twice
/// is taken for another.
fn next_look(hours: QuietHours, zone: &TimeZone, at: Timestamp) -> Timestamp {
    let left = (i64::from(hours.open_from) * 60 - second_of_day(zone, at)).rem_euclid(DAY_SECONDS);
    // To the full second: what is behind it is part of the wait.
    let opens = Timestamp(at.0 - at.0.rem_euclid(1_000)) + Span::seconds(left);
    next_change(zone, at).map_or(opens, |change| change.min(opens))
}

fn is_open(hours: QuietHours, zone: &TimeZone, at: Timestamp) -> bool {
    let minute = second_of_day(zone, at) / 60;
    let (from, until) = (i64::from(hours.open_from), i64::from(hours.open_until));
    // "08:00-01:00" reaches over midnight.
    if from < until { (from..until).contains(&minute) } else { minute >= from || minute < until }
}

fn second_of_day(zone: &TimeZone, at: Timestamp) -> i64 {
    let offset = i64::from(zone.to_offset(moment(at)).seconds());
    (at.0.div_euclid(1_000) + offset).rem_euclid(DAY_SECONDS)
}

/// When the clock is put forward or back next.
fn next_change(zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
    zone.following(moment(after)).next().map(|change| Timestamp(change.timestamp().as_millisecond()))
}

/// Moments of the program lie within the years that can be reckoned with.
fn moment(at: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(at.0).unwrap_or(jiff::Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BY_DAY: QuietHours = QuietHours { open_from: 8 * 60, open_until: 21 * 60 };

    fn zones(names: &[&str]) -> Vec<TimeZone> {
        names.iter().map(|name| TimeZone::get(name).expect(name)).collect()
    }

    fn at(text: &str) -> Timestamp {
        let at: jiff::Timestamp = text.parse().expect(text);
        Timestamp(at.as_millisecond())
    }

    fn hours(from: (u16, u16), until: (u16, u16)) -> QuietHours {
        QuietHours { open_from: from.0 * 60 + from.1, open_until: until.0 * 60 + until.1 }
    }

    /// "open", "never", or the moment in UTC with the deciding zone's own clock.
    fn told(hours: QuietHours, names: &[&str], now: &str) -> String {
        match in_zones(hours, &zones(names), at(now)) {
            Quiet::No => "open".to_owned(),
            Quiet::NeverOver => "never".to_owned(),
            Quiet::Until(opening) => {
                format!("{} {} {}", moment(opening.at), opening.clock, opening.zone.rsplit('/').next().unwrap_or_default())
            }
        }
    }

    #[test]
    fn one_clock_by_the_minute() {
        let berlin = ["Europe/Berlin"];
        let rows = [
            ("2026-01-15T06:59:59.999Z", "2026-01-15T07:00:00Z 08:00 Berlin"),
            ("2026-01-15T07:00:00Z", "open"),
            ("2026-01-15T19:59:59.999Z", "open"),
            ("2026-01-15T20:00:00Z", "2026-01-16T07:00:00Z 08:00 Berlin"),
            ("2026-01-15T23:30:00.001Z", "2026-01-16T07:00:00Z 08:00 Berlin"),
            // In summer an hour earlier by UTC.
            ("2026-07-15T05:59:59Z", "2026-07-15T06:00:00Z 08:00 Berlin"),
            ("2026-07-15T06:00:00Z", "open"),
            // The night in which the clock changes, both ways.
            ("2026-03-28T21:00:00Z", "2026-03-29T06:00:00Z 08:00 Berlin"),
            ("2026-10-24T20:00:00Z", "2026-10-25T07:00:00Z 08:00 Berlin"),
        ];
        for (now, expected) in rows {
            assert_eq!(told(BY_DAY, &berlin, now), expected, "{now}");
        }
    }

    #[test]
    fn an_hour_that_the_clock_leaves_out_opens_when_it_jumps() {
        // New York, 8 March 2026: 01:59 is followed by 03:00.
        let early = hours((2, 30), (21, 0));
        let new_york = ["America/New_York"];
        let rows = [
            ("2026-03-08T06:00:00Z", "2026-03-08T07:00:00Z 03:00 New_York"),
            ("2026-03-08T06:59:59Z", "2026-03-08T07:00:00Z 03:00 New_York"),
            ("2026-03-08T07:00:00Z", "open"),
            ("2026-03-09T06:00:00Z", "2026-03-09T06:30:00Z 02:30 New_York"),
        ];
        for (now, expected) in rows {
            assert_eq!(told(early, &new_york, now), expected, "{now}");
        }
        // One that ends within the gap ends at the jump.
        let late = hours((8, 0), (2, 30));
        assert_eq!(told(late, &new_york, "2026-03-08T06:59:59Z"), "open");
        assert_eq!(told(late, &new_york, "2026-03-08T07:00:00Z"), "2026-03-08T12:00:00Z 08:00 New_York");
    }

    #[test]
    fn an_hour_that_comes_twice_is_read_each_time() {
        // New York, 1 November 2026: 01:59 is followed by 01:00 once more.
        let early = hours((1, 30), (21, 0));
        let new_york = ["America/New_York"];
        let rows = [
            ("2026-11-01T05:29:59Z", "2026-11-01T05:30:00Z 01:30 New_York"),
            ("2026-11-01T05:30:00Z", "open"),
            ("2026-11-01T05:59:59Z", "open"),
            ("2026-11-01T06:00:00Z", "2026-11-01T06:30:00Z 01:30 New_York"),
            ("2026-11-01T06:30:00Z", "open"),
        ];
        for (now, expected) in rows {
            assert_eq!(told(early, &new_york, now), expected, "{now}");
        }
        // Closed at the first 01:30, and the second 01:00 is before it.
        let late = hours((8, 0), (1, 30));
        assert_eq!(told(late, &new_york, "2026-11-01T05:30:00Z"), "2026-11-01T06:00:00Z 01:00 New_York");
        assert_eq!(told(late, &new_york, "2026-11-01T06:29:59Z"), "open");
        assert_eq!(told(late, &new_york, "2026-11-01T06:30:00Z"), "2026-11-01T13:00:00Z 08:00 New_York");
    }

    #[test]
    fn a_clock_may_jump_over_midnight_or_a_whole_day() {
        // Santiago, 6 September 2026: midnight does not exist. Apia had no 30 December 2011.
        assert_eq!(
            told(hours((0, 0), (20, 0)), &["America/Santiago"], "2026-09-06T03:30:00Z"),
            "2026-09-06T04:00:00Z 01:00 Santiago"
        );
        assert_eq!(told(BY_DAY, &["Pacific/Apia"], "2011-12-30T09:00:00Z"), "2011-12-30T18:00:00Z 08:00 Apia");
    }

    #[test]
    fn several_zones_open_with_the_last_and_close_with_the_first() {
        let coasts = ["America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles"];
        let rows = [
            // 08:00 in New York is not enough.
            ("2026-01-15T13:00:00Z", "2026-01-15T16:00:00Z 08:00 Los_Angeles"),
            ("2026-01-15T15:59:59Z", "2026-01-15T16:00:00Z 08:00 Los_Angeles"),
            ("2026-01-15T16:00:00Z", "open"),
            ("2026-01-16T01:59:59Z", "open"),
            // 21:00 in New York closes for all.
            ("2026-01-16T02:00:00Z", "2026-01-16T16:00:00Z 08:00 Los_Angeles"),
            // In the night in which the clocks change each does so at its own hour.
            ("2026-03-08T05:00:00Z", "2026-03-08T15:00:00Z 08:00 Los_Angeles"),
            ("2026-11-01T05:00:00Z", "2026-11-01T16:00:00Z 08:00 Los_Angeles"),
        ];
        for (now, expected) in rows {
            assert_eq!(told(BY_DAY, &coasts, now), expected, "{now}");
        }
        // Arizona: Phoenix keeps its clock in summer, the Navajo Nation does not.
        let arizona = ["America/Denver", "America/Phoenix"];
        assert_eq!(told(BY_DAY, &arizona, "2026-07-15T14:00:00Z"), "2026-07-15T15:00:00Z 08:00 Phoenix");
        assert_eq!(told(BY_DAY, &arizona, "2026-01-15T14:00:00Z"), "2026-01-15T15:00:00Z 08:00 Denver");
    }

    #[test]
    fn zones_without_a_common_hour_are_never_open() {
        let russia = ["Europe/Kaliningrad", "Europe/Moscow", "Asia/Kamchatka"];
        assert_eq!(told(hours((9, 0), (17, 0)), &russia, "2026-01-15T13:00:00Z"), "never");
        assert_eq!(told(BY_DAY, &russia, "2026-01-15T13:00:00Z"), "2026-01-16T06:00:00Z 08:00 Kaliningrad");
    }

    #[test]
    fn hours_may_reach_over_midnight() {
        let late = hours((8, 0), (0, 30));
        let berlin = ["Europe/Berlin"];
        assert_eq!(told(late, &berlin, "2026-01-15T23:29:59Z"), "open");
        assert_eq!(told(late, &berlin, "2026-01-15T23:30:00Z"), "2026-01-16T07:00:00Z 08:00 Berlin");
        assert_eq!(told(hours((8, 0), (24, 0)), &berlin, "2026-01-15T22:59:59Z"), "open");
        assert_eq!(told(hours((8, 0), (24, 0)), &berlin, "2026-01-15T23:00:00Z"), "2026-01-16T07:00:00Z 08:00 Berlin");
    }

    /// The same by looking at each minute.
    fn first_open_minute(hours: QuietHours, zones: &[TimeZone], now: Timestamp) -> Option<Timestamp> {
        let open = |at: Timestamp| {
            zones.iter().all(|zone| {
                let local = moment(at).to_zoned(zone.clone());
                let minute = u16::try_from(local.hour()).unwrap_or(0) * 60 + u16::try_from(local.minute()).unwrap_or(0);
                let (from, until) = (hours.open_from, hours.open_until);
                if from < until { minute >= from && minute < until } else { minute >= from || minute < until }
            })
        };
        if open(now) {
            return Some(now);
        }
        let whole = now.0 - now.0.rem_euclid(60_000);
        (1..3 * 1_440).map(|minute| Timestamp(whole + minute * 60_000)).find(|at| open(*at))
    }

    proptest! {
        #[test]
        fn the_opening_is_the_first_open_minute_whatever_the_clocks_do(
            // Four days around a change in New York or London, or any day.
            start in prop::sample::select(vec!["2026-03-07T00:00:00Z", "2026-10-31T00:00:00Z", "2026-03-28T00:00:00Z", "2026-07-01T00:00:00Z"]),
            offset in 0_i64..3 * 86_400_000,
            from in 0_u16..1_440, until in 0_u16..=1_440,
            names in prop::sample::subsequence(vec!["America/New_York", "America/Los_Angeles", "Europe/London", "Asia/Kolkata", "Australia/Lord_Howe"], 1..3),
        ) {
            prop_assume!(from != until);
            let hours = QuietHours { open_from: from, open_until: until };
            let (zones, now) = (zones(&names), at(start) + Span(offset));
            let expected = first_open_minute(hours, &zones, now);
            match (in_zones(hours, &zones, now), expected) {
                (Quiet::No, expected) => prop_assert_eq!(expected, Some(now)),
                (Quiet::Until(opening), Some(expected)) => prop_assert_eq!(opening.at, expected),
                // Beyond what the slow way looks at.
                (Quiet::Until(opening), None) => prop_assert!(opening.at > now + Span::days(2)),
                (Quiet::NeverOver, expected) => prop_assert_eq!(expected, None),
            }
        }
    }
}
