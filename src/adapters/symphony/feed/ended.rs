//! Why a connection ended, and how long to wait before the next.
use super::Pace;
use crate::domain::time::Timestamp;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER as RETRY_AFTER_HEADER};
use std::time::Duration;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// The wait that a server asks for: where it names none, and the least and the most that we believe.
const RETRY_AFTER: Duration = Duration::from_secs(5);
const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);

/// Why a connection ended, or never came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// We were asked to stop.
    Cancelled,
    /// 4400, or 400 to a read: the feed is gone.
    Gone,
    /// 4401 or 401: tokens of this generation are no longer good.
    Unauthorised {
        generation: u64,
    },
    /// 4403 or 403: too many feeds; in the server's words, if it has any.
    TooMany(String),
    /// 4409: another client took over.
    Superseded,
    /// 4429 or 429.
    TooFast(Duration),
    /// 1012, 1013.
    Restarting,
    /// Nothing was heard for 2.5 heartbeats, or no read has succeeded for too long.
    Silent(String),
    /// The server ended the connection, with this code if it gave one.
    Closed(Option<u16>),
    Login(String),
    Unreachable(String),
    Broken(String),
}

impl Ended {
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Ended::Cancelled => "cancelled",
            Ended::Gone => "feed-gone",
            Ended::Unauthorised { .. } => "unauthorised",
            Ended::TooMany(_) => "too-many-feeds",
            Ended::Superseded => "superseded",
            Ended::TooFast(_) => "too-fast",
            Ended::Restarting => "restart",
            Ended::Silent(_) => "silent",
            Ended::Closed(_) => "closed",
            Ended::Login(_) => "login",
            Ended::Unreachable(_) => "unreachable",
            Ended::Broken(_) => "broken",
        }
    }

    /// The server has said no in so many words.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Ended::Gone | Ended::Unauthorised { .. } | Ended::TooMany(_) | Ended::TooFast(_))
    }

    pub(super) fn told(&self) -> String {
        match self {
            Ended::Closed(Some(code)) => format!("the server closed the connection with {code}"),
            Ended::Closed(None) => "the connection ended without a word".to_owned(),
            Ended::Login(why) | Ended::Unreachable(why) | Ended::Broken(why) | Ended::Silent(why) => why.clone(),
            Ended::TooMany(why) if !why.is_empty() => why.clone(),
            Ended::TooMany(_) => "the account has too many datafeeds; delete some".to_owned(),
            Ended::Superseded => "another client took over this feed; see that only one instance runs".to_owned(),
            Ended::Gone => "the datafeed is gone; a new one is made".to_owned(),
            Ended::Unauthorised { .. } => "the tokens are no longer accepted; new ones are fetched".to_owned(),
            Ended::TooFast(wait) => format!("the server asks to wait for {} s", wait.as_secs()),
            Ended::Restarting => "the server restarts".to_owned(),
            Ended::Cancelled => "it was asked to end".to_owned(),
        }
    }

    pub(super) fn of_close(frame: Option<CloseFrame>, generation: u64) -> Ended {
        let Some(frame) = frame else { return Ended::Closed(None) };
        Ended::of_code(frame.code.into(), &frame.reason, generation)
    }

    pub(super) fn of_code(code: u16, reason: &str, generation: u64) -> Ended {
        match code {
            4400 => Ended::Gone,
            4401 => Ended::Unauthorised { generation },
            4403 => Ended::TooMany(String::new()),
            4409 => Ended::Superseded,
            4429 => Ended::TooFast(retry_after(reason)),
            1012 | 1013 => Ended::Restarting,
            other => Ended::Closed(Some(other)),
        }
    }
}

/// `retryAfter=N` of a close reason.
pub(super) fn retry_after(reason: &str) -> Duration {
    let digits = reason.split("retryAfter=").nth(1).map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
    digits.flatten().and_then(believed).unwrap_or(RETRY_AFTER)
}

/// `Retry-After` of an answer: seconds, or a date, which is read by the server's own clock where it tells it.
pub(super) fn retry_after_of(headers: &HeaderMap) -> Duration {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let date = |text: &str| jiff::fmt::rfc2822::parse(text).ok().map(|date| Timestamp(date.timestamp().as_millisecond()));
    let Some(asked) = text(RETRY_AFTER_HEADER) else { return RETRY_AFTER };
    let now = || text(DATE).and_then(date).unwrap_or_else(|| Timestamp(jiff::Timestamp::now().as_millisecond()));
    let until = || date(asked).map(|until| Duration::from_millis(u64::try_from((until - now()).0).unwrap_or_default()));
    believed(asked).or_else(until).map_or(RETRY_AFTER, |wait| wait.clamp(RETRY_AFTER_MIN, RETRY_AFTER_MAX))
}

/// A number of seconds, however absurd.
fn believed(seconds: &str) -> Option<Duration> {
    let is_number = !seconds.is_empty() && seconds.bytes().all(|b| b.is_ascii_digit());
    let seconds = is_number.then(|| seconds.parse().unwrap_or(u64::MAX))?;
    Some(Duration::from_secs(seconds).clamp(RETRY_AFTER_MIN, RETRY_AFTER_MAX))
}

pub(super) fn wait_after(ended: &Ended, failures: u32, pace: &Pace) -> Duration {
    match ended {
        Ended::TooMany(_) | Ended::Superseded => pace.slow,
        // A little chance on top, so that many clients do not come back in one instant.
        Ended::TooFast(wait) => *wait + jitter(pace.first),
        Ended::Cancelled | Ended::Gone | Ended::Unauthorised { .. } | Ended::Restarting => backoff(failures, pace),
        Ended::Silent(_) | Ended::Closed(_) | Ended::Login(_) | Ended::Unreachable(_) | Ended::Broken(_) => {
            backoff(failures, pace)
        }
    }
}

/// Full jitter: anything from nothing to a span that doubles with each failure.
pub(super) fn backoff(failures: u32, pace: &Pace) -> Duration {
    let doubled = pace.first.saturating_mul(1 << failures.saturating_sub(1).min(16));
    jitter(doubled.min(pace.longest))
}

pub(super) fn jitter(span: Duration) -> Duration {
    span.mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_codes_mean_what_the_interface_says() {
        let table = [
            (4400, "", Ended::Gone),
            (4401, "", Ended::Unauthorised { generation: 3 }),
            (4403, "", Ended::TooMany(String::new())),
            (4409, "", Ended::Superseded),
            (4429, "retryAfter=7", Ended::TooFast(Duration::from_secs(7))),
            (4429, "slow down; retryAfter=12 please", Ended::TooFast(Duration::from_secs(12))),
            (4429, "", Ended::TooFast(RETRY_AFTER)),
            (4429, "retryAfter=99999999", Ended::TooFast(RETRY_AFTER_MAX)),
            (1012, "", Ended::Restarting),
            (1013, "", Ended::Restarting),
            (1000, "", Ended::Closed(Some(1000))),
            (1009, "", Ended::Closed(Some(1009))),
        ];
        for (code, reason, expected) in table {
            assert_eq!(Ended::of_code(code, reason, 3), expected, "{code} {reason}");
        }
    }

    #[test]
    fn a_wait_that_is_asked_for_is_read_in_either_form_and_bounded() {
        let (now, soon) = ("Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:28:09 GMT");
        let table = [
            (None, RETRY_AFTER),
            (Some("7"), Duration::from_secs(7)),
            (Some("0"), RETRY_AFTER_MIN),
            (Some("99999999999999999999999"), RETRY_AFTER_MAX),
            (Some("-5"), RETRY_AFTER),
            (Some("later"), RETRY_AFTER),
            (Some(soon), Duration::from_secs(9)),
            (Some("Wed, 21 Oct 2015 07:28:00 GMT"), RETRY_AFTER_MIN),
            (Some("Wed, 21 Oct 2065 07:28:00 GMT"), RETRY_AFTER_MAX),
        ];
        for (asked, expected) in table {
            let mut headers = HeaderMap::from_iter([(DATE, now.parse().expect("a header"))]);
            if let Some(asked) = asked {
                headers.insert(RETRY_AFTER_HEADER, asked.parse().expect("a header"));
            }
            assert_eq!(retry_after_of(&headers), expected, "{asked:?}");
        }
    }

    #[test]
    fn waits_grow_to_their_limit_and_are_never_longer() {
        let pace = Pace::default();
        for failures in [0, 1, 2, 8, 40, u32::MAX] {
            let longest = pace.first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(pace.longest);
            for _ in 0..200 {
                assert!(backoff(failures, &pace) <= longest);
            }
        }
        assert_eq!(wait_after(&Ended::Superseded, 1, &pace), Duration::from_secs(60));
    }
}
