//! Troubles that can be ordered: the next sends fail, hang or lose their answer, or their webhooks come late, often, in the wrong order or never.
use super::errors::GraphError;
use super::groups::Twisted;
use axum::http::StatusCode;
use std::collections::VecDeque;
use std::time::Duration;

/// Orders kept at once; more is a mistake of the caller.
const MAX_ORDERS: usize = 1_000;
/// What stands before the number of an error that is not told in the answer but by a status.
const FAILED: &str = "failed-";
/// How late webhooks are under "delay".
const DELAY: Duration = Duration::from_secs(5);
/// By how much each webhook is earlier than the one before it under "out-of-order": longer than people and bots take from one
/// message to the next.
const EARLIER: Duration = Duration::from_millis(400);
/// How often each webhook is sent under "duplicate".
const COPIES: u32 = 3;

#[derive(Clone, Debug)]
pub(super) enum Trouble {
    Refusal(GraphError),
    LostAnswer,
    Hang,
    Html,
    Twisted(Twist),
}

/// What goes wrong with a call about groups.
#[derive(Clone, Debug)]
pub(super) enum GroupTrouble {
    Refusal(GraphError),
    LostAnswer,
    /// The webhook that follows.
    Hook(Twisted),
}

/// What happens to the webhooks of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Twist {
    pub copies: u32,
    pub late: Duration,
    pub statuses: bool,
    /// What happened first is told last.
    pub backwards: bool,
    /// The message is accepted, and a status tells that it failed with this code.
    pub fails: Option<i64>,
}

impl Default for Twist {
    fn default() -> Self {
        Twist { copies: 1, late: Duration::ZERO, statuses: true, backwards: false, fails: None }
    }
}

#[derive(Default)]
pub(super) struct Troubles {
    orders: VecDeque<(Trouble, u32)>,
    group_orders: VecDeque<(GroupTrouble, u32)>,
}

impl Troubles {
    /// Orders a trouble for the next `times` sends; zero times calls off everything ordered.
    pub fn order(&mut self, code: &str, times: u32) -> Result<(), String> {
        let of_groups = group_trouble(code)?;
        let of_sends = if of_groups.is_some() { None } else { Some(parse(code)?) };
        if times == 0 {
            self.orders.clear();
            self.group_orders.clear();
            return Ok(());
        }
        of_groups.map_or(Ok(()), |trouble| order(&mut self.group_orders, trouble, times))?;
        of_sends.map_or(Ok(()), |trouble| order(&mut self.orders, trouble, times))
    }

    /// The trouble of this send, if one is due.
    pub fn next(&mut self) -> Option<Trouble> {
        let left = self.orders.front().map(|(_, times)| *times)?;
        let mut trouble = spend(&mut self.orders)?;
        if let Trouble::Twisted(twist) = &mut trouble
            && twist.backwards
        {
            twist.late = EARLIER * left;
        }
        Some(trouble)
    }

    /// The trouble of this call about groups; one of its webhook waits for a call that is `told` by one.
    pub fn next_group(&mut self, told: bool) -> Option<GroupTrouble> {
        match self.group_orders.front() {
            Some((GroupTrouble::Hook(_), _)) if !told => None,
            Some(_) | None => spend(&mut self.group_orders),
        }
    }

    /// A client's own message takes a trouble only if it is one that concerns webhooks.
    pub fn next_twist(&mut self) -> Twist {
        match self.orders.front() {
            Some((Trouble::Twisted(twist), _)) if twist.statuses && twist.fails.is_none() => match self.next() {
                Some(Trouble::Twisted(twist)) => twist,
                Some(_) | None => Twist::default(),
            },
            _ => Twist::default(),
        }
    }
}

fn order<T>(orders: &mut VecDeque<(T, u32)>, trouble: T, times: u32) -> Result<(), String> {
    if orders.len() >= MAX_ORDERS {
        return Err("Too many troubles are ordered already; call them off with times 0.".into());
    }
    orders.push_back((trouble, times));
    Ok(())
}

fn spend<T: Clone>(orders: &mut VecDeque<(T, u32)>) -> Option<T> {
    let (trouble, times) = orders.front_mut()?;
    let trouble = trouble.clone();
    *times -= 1;
    if *times == 0 {
        orders.pop_front();
    }
    Some(trouble)
}

/// `None` where it is a trouble of sends. The codes of the Groups API are refusals of its calls.
fn group_trouble(code: &str) -> Result<Option<GroupTrouble>, String> {
    let own = code.parse::<i64>().is_ok_and(|code| (131201..=131215).contains(&code));
    let Some(rest) = code.strip_prefix("group-").or(own.then_some(code)) else { return Ok(None) };
    Ok(Some(match rest {
        "lost" => GroupTrouble::Hook(Twisted::Lost),
        "late" => GroupTrouble::Hook(Twisted::Late),
        "twice" => GroupTrouble::Hook(Twisted::Twice),
        "fails" => GroupTrouble::Hook(Twisted::Fails),
        "lost-answer" => GroupTrouble::LostAnswer,
        rest => match parse(rest)? {
            Trouble::Refusal(error) => GroupTrouble::Refusal(error),
            _ => return Err(format!("There is no trouble {rest:?} of calls about groups.")),
        },
    }))
}

fn parse(code: &str) -> Result<Trouble, String> {
    let refusal = |code, details: &str| GraphError::new(code, details);
    Ok(match code {
        "500" => Trouble::Refusal(refusal(1, "An unknown error occurred").status(StatusCode::INTERNAL_SERVER_ERROR)),
        "503" => Trouble::Refusal(refusal(2, "Service temporarily unavailable")),
        "429" => Trouble::Refusal(refusal(130429, "Rate limit hit").status(StatusCode::TOO_MANY_REQUESTS).retry_after(1)),
        "lost-answer" => Trouble::LostAnswer,
        "hang" => Trouble::Hang,
        "html" => Trouble::Html,
        "duplicate" => Trouble::Twisted(Twist { copies: COPIES, ..Twist::default() }),
        "delay" => Trouble::Twisted(Twist { late: DELAY, ..Twist::default() }),
        "out-of-order" => Trouble::Twisted(Twist { backwards: true, ..Twist::default() }),
        "no-status" => Trouble::Twisted(Twist { statuses: false, ..Twist::default() }),
        number => match number.strip_prefix(FAILED) {
            Some(number) => Trouble::Twisted(Twist { fails: Some(numbered(number)?.code), ..Twist::default() }),
            None => Trouble::Refusal(numbered(number)?),
        },
    })
}

fn numbered(code: &str) -> Result<GraphError, String> {
    let known = "500, 503, 429, lost-answer, hang, html, duplicate, delay, out-of-order, no-status, a number of Meta's error \
                 codes, or failed- and such a number";
    let number: i64 = code.parse().map_err(|_| format!("There is no trouble {code:?}; known are {known}."))?;
    Ok(GraphError::new(number, super::errors::title(number)))
}
