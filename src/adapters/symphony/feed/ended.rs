//! Why a connection ended, and how long to wait before the next.
use super::Pace;
use std::time::Duration;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// `retryAfter` of a close reason: without one, and at most.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(5);
pub(super) const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);

/// Why a connection ended, or never came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// We were asked to stop.
    Cancelled,
    /// 4400: the feed is gone.
    Gone,
    /// 4401, or 401 at the upgrade: tokens of this generation are no longer good.
    Unauthorised {
        generation: u64,
    },
    /// 4403: too many feeds.
    TooMany,
    /// 4409: another client took over.
    Superseded,
    /// 4429.
    TooFast(Duration),
    /// 1012, 1013.
    Restarting,
    /// Nothing was heard for 2.5 heartbeats.
    Silent,
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
            Ended::TooMany => "too-many-feeds",
            Ended::Superseded => "superseded",
            Ended::TooFast(_) => "too-fast",
            Ended::Restarting => "restart",
            Ended::Silent => "silence",
            Ended::Closed(_) => "closed",
            Ended::Login(_) => "login",
            Ended::Unreachable(_) => "unreachable",
            Ended::Broken(_) => "broken",
        }
    }

    pub(super) fn told(&self) -> String {
        match self {
            Ended::Closed(Some(code)) => format!("the server closed the connection with {code}"),
            Ended::Closed(None) => "the connection ended without a word".to_owned(),
            Ended::Login(why) | Ended::Unreachable(why) | Ended::Broken(why) => why.clone(),
            Ended::TooMany => "the account has too many datafeeds; delete some".to_owned(),
            Ended::Superseded => "another client took over this feed; see that only one instance runs".to_owned(),
            other => other.reason().to_owned(),
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
            4403 => Ended::TooMany,
            4409 => Ended::Superseded,
            4429 => Ended::TooFast(retry_after(reason)),
            1012 | 1013 => Ended::Restarting,
            other => Ended::Closed(Some(other)),
        }
    }
}

pub(super) fn retry_after(reason: &str) -> Duration {
    let digits =
        reason.split("retryAfter=").nth(1).map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default());
    digits.and_then(|d| d.parse().ok()).map_or(RETRY_AFTER, |seconds| Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

pub(super) fn wait_after(ended: &Ended, failures: u32, pace: &Pace) -> Duration {
    match ended {
        Ended::TooMany | Ended::Superseded => pace.slow,
        // A little chance on top, so that many clients do not come back in one instant.
        Ended::TooFast(wait) => *wait + jitter(pace.first),
        Ended::Cancelled | Ended::Gone | Ended::Unauthorised { .. } | Ended::Restarting | Ended::Silent => {
            backoff(failures, pace)
        }
        Ended::Closed(_) | Ended::Login(_) | Ended::Unreachable(_) | Ended::Broken(_) => backoff(failures, pace),
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
            (4403, "", Ended::TooMany),
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
