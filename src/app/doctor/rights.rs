//! What the service account is and may do on the pod. Nothing is made or changed to find out.
use super::Report;
use crate::adapters::symphony::{CallError, Symphony, User};
use crate::domain::ids::UserId;

/// No room has this key, so that the search brings nothing and shows only whether it is allowed.
const NO_ROOM: &str = "r-doctor";
const ADMINISTRATOR: &str = "Ask the pod's administrator to give the service account this right.";

pub(super) async fn rights(report: &mut Report<'_>, symphony: &Symphony, me: &User) {
    account(report, me);
    users(report, symphony, me).await;
    rooms(report, symphony).await;
}

fn account(report: &mut Report<'_>, me: &User) {
    const CHECK: &str = "account";
    match me.account_type.as_deref() {
        Some("SYSTEM") => report.good(CHECK, "It is a service account."),
        None | Some("") => report.good(CHECK, "The pod does not tell whether it is a service account."),
        Some(other) => {
            let what = format!("Its type is {other}, not SYSTEM: it is the account of a person or of something else.");
            report.bad(CHECK, what, "Make a service account for the bot, and put its user name into bot.username.");
        }
    }
}

async fn users(report: &mut Report<'_>, symphony: &Symphony, me: &User) {
    const CHECK: &str = "right to look up users";
    match symphony.users_by_id(&[UserId(me.id.unwrap_or_default())]).await {
        Ok(found) if found.is_empty() => {
            report.bad(
                CHECK,
                "The pod does not find even the bot itself.",
                "See that the account is active, and visible to itself.",
            );
        }
        Ok(_) => report.good(CHECK, "The pod looks up users for it."),
        Err(error) => refused(report, CHECK, "look up users", &error),
    }
}

async fn rooms(report: &mut Report<'_>, symphony: &Symphony) {
    const CHECK: &str = "right to rooms";
    match symphony.rooms_by_key(NO_ROOM).await {
        Ok(_) => report.good(
            CHECK,
            "It may search its rooms. Whether it may create one shows with the first: the pod does not tell beforehand.",
        ),
        Err(error) => refused(report, CHECK, "search rooms", &error),
    }
}

fn refused(report: &mut Report<'_>, check: &str, act: &str, error: &CallError) {
    let remedy = match error {
        CallError::Refused { .. } => ADMINISTRATOR,
        CallError::NotSent(_) | CallError::Throttled { .. } | CallError::Unclear(_) => "Try again when the pod answers.",
    };
    report.bad(check, format!("The pod does not let it {act}: {error}."), remedy);
}
