//! Is it a time of day at which the firm writes to clients? Only where switched on.
use super::{Gate, Subject, Verdict, hold_unless};
use crate::domain::policy::QuietHours;
use crate::domain::time::{Span, Timestamp};

pub const GATE: Gate = Gate { id: "quiet_hours", check };

fn check(subject: &Subject) -> Verdict {
    let Some(hours) = subject.policy.quiet_hours else { return Verdict::Pass };
    hold_unless(opens_at(hours, &subject.policy.time_zone, subject.now).is_none())
}

/// When messages may go again; `None` while they may. An unknown zone reads as UTC (the configuration was checked).
pub fn opens_at(hours: QuietHours, zone: &str, now: Timestamp) -> Option<Timestamp> {
    let instant = jiff::Timestamp::from_millisecond(now.0).ok()?;
    let zone = jiff::tz::TimeZone::get(zone).unwrap_or(jiff::tz::TimeZone::UTC);
    let local = instant.to_zoned(zone);
    let minute = u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).ok()?;
    if (hours.open_from..hours.open_until).contains(&minute) {
        return None;
    }
    let day = if minute < hours.open_from { local.date() } else { local.date().tomorrow().ok()? };
    let (hour, minute) = (hours.open_from / 60, hours.open_from % 60);
    let opening = day.at(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, 0, 0);
    let opening = opening.to_zoned(local.time_zone().clone()).ok()?;
    Some(Timestamp(opening.timestamp().as_millisecond()).max(now + Span::seconds(1)))
}
