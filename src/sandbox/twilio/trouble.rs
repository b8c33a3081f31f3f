//! Troubles that can be ordered: the next sends are refused, hang, lose their answer or fail later, or their webhooks go wrong.
use super::errors::{RestError, words};
use super::world::Keywords;
use std::collections::VecDeque;
use std::time::Duration;

/// Orders kept at once; more is a mistake of the caller.
const MAX_ORDERS: usize = 1_000;
/// How late webhooks are under "delay", and the answer under "slow".
const DELAY: Duration = Duration::from_secs(5);
/// How often each webhook is sent under "duplicate".
const COPIES: u32 = 3;
/// Codes of messages that are accepted and fail afterwards.
const LATER: std::ops::Range<i64> = 30_000..40_000;
const KNOWN: &str = "500, 503, 429, lost-answer, hang, slow, html, duplicate, delay, out-of-order, no-status, no-webhook, \
     bad-signature, media-404, keywords-off, keywords-twilio, keywords-advanced, a number of Twilio's error codes, \
     or <number>-later";

#[derive(Clone, Debug)]
pub(super) enum Trouble {
    Refusal(RestError),
    LostAnswer,
    Hang,
    Html,
    Slow(Duration),
    /// Accepted, and reported as failed with this code.
    FailsLater(i64),
    MediaGone,
    Twisted(Twist),
}

/// What happens to the webhooks of a message or a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Twist {
    pub copies: u32,
    pub late: Duration,
    pub statuses: bool,
    /// "delivered" overtakes "sent".
    pub backwards: bool,
    pub delivered: bool,
    /// Signed with a key that is not the account's.
    pub forged: bool,
}

impl Default for Twist {
    fn default() -> Self {
        Twist { copies: 1, late: Duration::ZERO, statuses: true, backwards: false, delivered: true, forged: false }
    }
}

impl Twist {
    /// Whether a message from a client has anything to do with it.
    fn concerns_clients(&self) -> bool {
        self.statuses && !self.backwards
    }
}

/// What an order asks for.
pub(super) enum Order {
    Spoil(Trouble),
    /// No trouble but a setting that stays.
    Keywords(Keywords),
}

#[derive(Default)]
pub(super) struct Troubles {
    orders: VecDeque<(Trouble, u32)>,
}

impl Troubles {
    /// Orders a trouble for the next `times` sends; zero times calls off everything ordered.
    pub fn order(&mut self, trouble: Trouble, times: u32) -> Result<(), String> {
        if times == 0 {
            self.orders.clear();
        } else if self.orders.len() >= MAX_ORDERS {
            return Err("Too many troubles are ordered already; call them off with times 0.".into());
        } else {
            self.orders.push_back((trouble, times));
        }
        Ok(())
    }

    /// The trouble of this send, if one is due.
    pub fn next(&mut self) -> Option<Trouble> {
        self.next_if(|trouble| !matches!(trouble, Trouble::MediaGone))
    }

    /// Whether this download of a file finds nothing.
    pub fn next_media_is_gone(&mut self) -> bool {
        self.next_if(|trouble| matches!(trouble, Trouble::MediaGone)).is_some()
    }

    /// A client's own message takes a trouble only if it is one that concerns its webhook.
    pub fn next_twist(&mut self) -> Twist {
        match self.next_if(|trouble| matches!(trouble, Trouble::Twisted(twist) if twist.concerns_clients())) {
            Some(Trouble::Twisted(twist)) => twist,
            Some(_) | None => Twist::default(),
        }
    }

    fn next_if(&mut self, fits: impl Fn(&Trouble) -> bool) -> Option<Trouble> {
        let (trouble, times) = self.orders.front_mut().filter(|(trouble, _)| fits(trouble))?;
        let trouble = trouble.clone();
        *times -= 1;
        if *times == 0 {
            self.orders.pop_front();
        }
        Some(trouble)
    }
}

pub(super) fn parse(code: &str) -> Result<Order, String> {
    let refusal = |code| Trouble::Refusal(RestError::new(code));
    let twisted = |change: fn(&mut Twist)| {
        let mut twist = Twist::default();
        change(&mut twist);
        Trouble::Twisted(twist)
    };
    Ok(Order::Spoil(match code {
        "keywords-off" => return Ok(Order::Keywords(Keywords::Off)),
        "keywords-twilio" => return Ok(Order::Keywords(Keywords::Twilio)),
        "keywords-advanced" => return Ok(Order::Keywords(Keywords::Advanced)),
        "500" => refusal(20500),
        "503" => refusal(20503),
        "429" => refusal(20429),
        "lost-answer" => Trouble::LostAnswer,
        "hang" => Trouble::Hang,
        "html" => Trouble::Html,
        "slow" => Trouble::Slow(DELAY),
        "media-404" => Trouble::MediaGone,
        "duplicate" => twisted(|twist| twist.copies = COPIES),
        "delay" => twisted(|twist| twist.late = DELAY),
        "out-of-order" => twisted(|twist| twist.backwards = true),
        "no-status" => twisted(|twist| twist.statuses = false),
        "no-webhook" => twisted(|twist| twist.delivered = false),
        "bad-signature" => twisted(|twist| twist.forged = true),
        number => numbered(number)?,
    }))
}

fn numbered(code: &str) -> Result<Trouble, String> {
    let (number, later) = code.strip_suffix("-later").map_or((code, false), |number| (number, true));
    let number: i64 = number.parse().map_err(|_| format!("There is no trouble {code:?}; known are {KNOWN}."))?;
    let fails_later = later || LATER.contains(&number);
    Ok(if fails_later { Trouble::FailsLater(number) } else { Trouble::Refusal(RestError::saying(number, words(number))) })
}
