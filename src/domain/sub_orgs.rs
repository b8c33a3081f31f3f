//! Sub-organisations and their settings: what one has not set is as in its parent, and at last as in the firm's own policy.
use super::effect::Reply;
use super::entitlement::Rights;
use super::ids::Channel;
use super::policy::{GroupRelay, Policy, QuietHours};
use super::time::Span;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Levels of parents that are walked up; the configuration allows no more, and no circle.
pub const DEEPEST: usize = 8;

/// What a sub-organisation has set for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubOrg {
    pub parent: Option<String>,
    /// Channels that its advisors may use, whatever each of them is entitled for.
    pub channels: Option<BTreeSet<Channel>>,
    /// E-mail addresses of those who answer a client whom everybody has left.
    pub cover: Option<Vec<String>>,
    pub native_groups: Option<bool>,
    pub group_relay: Option<GroupRelay>,
    /// `Some(None)` switches off what a parent has switched on.
    pub quiet_hours: Option<Option<QuietHours>>,
    pub waiting_notice: Option<bool>,
    pub held_expiry: Option<Span>,
    pub held_max: Option<usize>,
}

/// A setting as people read it, and who has set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its key in the configuration.
    pub name: &'static str,
    /// As the configuration writes it.
    pub value: String,
    /// The sub-organisation from which it comes; `None` where the firm's own policy holds.
    pub from: Option<String>,
}

impl Policy {
    /// The nearest value, from this sub-organisation upward, and who has set it; `None` where nobody has.
    fn nearest<'p, T>(&'p self, sub_org: &'p str, own: impl Fn(&'p SubOrg) -> Option<T>) -> Option<(T, &'p str)> {
        let mut name = sub_org;
        for _ in 0..DEEPEST {
            let at = self.sub_orgs.get(name)?;
            if let Some(value) = own(at) {
                return Some((value, name));
            }
            name = at.parent.as_deref()?;
        }
        None
    }

    /// Whether a sub-organisation uses a channel at all.
    pub fn channel_is_open(&self, sub_org: &str, channel: Channel) -> bool {
        self.nearest(sub_org, |at| at.channels.as_ref()).is_none_or(|(channels, _)| channels.contains(&channel))
    }

    /// Who answers a client of this sub-organisation whom everybody has left, before the default advisors do.
    pub fn cover_of<'p>(&'p self, sub_org: &'p str) -> &'p [String] {
        self.nearest(sub_org, |at| at.cover.as_deref()).map_or(&[], |(cover, _)| cover)
    }

    /// The sub-organisations in whose own cover somebody is named.
    pub fn covered_by(&self, email: &str) -> Vec<&str> {
        let names_him = |at: &SubOrg| at.cover.iter().flatten().any(|named| named == email);
        self.sub_orgs.iter().filter(|(_, at)| names_him(at)).map(|(name, _)| name.as_str()).collect()
    }

    pub fn native_groups_of(&self, sub_org: &str) -> bool {
        self.nearest(sub_org, |at| at.native_groups).map_or(self.native_groups, |(value, _)| value && self.native_groups)
    }

    pub fn group_relay_of(&self, sub_org: &str) -> GroupRelay {
        self.nearest(sub_org, |at| at.group_relay).map_or(self.group_relay, |(value, _)| value)
    }

    pub fn quiet_hours_of(&self, sub_org: &str) -> Option<QuietHours> {
        self.nearest(sub_org, |at| at.quiet_hours).map_or(self.quiet_hours, |(value, _)| value)
    }

    pub fn waiting_notice_of(&self, sub_org: &str) -> bool {
        self.nearest(sub_org, |at| at.waiting_notice).map_or(self.waiting_notice, |(value, _)| value)
    }

    pub fn held_expiry_of(&self, sub_org: &str) -> Span {
        self.nearest(sub_org, |at| at.held_expiry).map_or(self.held_expiry, |(value, _)| value)
    }

    pub fn held_max_of(&self, sub_org: &str) -> usize {
        self.nearest(sub_org, |at| at.held_max).map_or(self.held_max, |(value, _)| value)
    }

    /// The channels that these rights name and this sub-organisation does not use.
    pub fn closed_channels(&self, rights: &Rights) -> Vec<Channel> {
        rights.channels.keys().copied().filter(|channel| !self.channel_is_open(&rights.sub_org, *channel)).collect()
    }

    /// All settings that hold for a sub-organisation, for an administrator; nothing where the firm has set none apart.
    pub fn settings_of(&self, sub_org: &str) -> Vec<Setting> {
        if self.sub_orgs.is_empty() {
            return Vec::new();
        }
        vec![
            self.setting(sub_org, "channels", |at| at.channels.is_some(), self.open_channels(sub_org).join(", ")),
            self.setting(sub_org, "cover", |at| at.cover.is_some(), self.cover_of(sub_org).join(", ")),
            self.setting(
                sub_org,
                "native_groups",
                |at| self.native_groups && at.native_groups.is_some(),
                self.native_groups_of(sub_org).to_string(),
            ),
            self.setting(
                sub_org,
                "group_relay",
                |at| at.group_relay.is_some(),
                relay_word(self.group_relay_of(sub_org)).to_owned(),
            ),
            self.setting(sub_org, "quiet_hours", |at| at.quiet_hours.is_some(), hours_word(self.quiet_hours_of(sub_org))),
            self.setting(
                sub_org,
                "waiting_notice",
                |at| at.waiting_notice.is_some(),
                self.waiting_notice_of(sub_org).to_string(),
            ),
            self.setting(sub_org, "held_expiry", |at| at.held_expiry.is_some(), span_word(self.held_expiry_of(sub_org))),
            self.setting(sub_org, "held_max", |at| at.held_max.is_some(), self.held_max_of(sub_org).to_string()),
        ]
    }

    fn setting(&self, sub_org: &str, name: &'static str, is_set: impl Fn(&SubOrg) -> bool, value: String) -> Setting {
        let from = self.nearest(sub_org, |at| is_set(at).then_some(())).map(|((), from)| from.to_owned());
        Setting { name, value, from }
    }

    fn open_channels(&self, sub_org: &str) -> Vec<&'static str> {
        let used = Channel::ALL.into_iter().filter(|channel| self.lines_of(*channel).next().is_some());
        used.filter(|channel| self.channel_is_open(sub_org, *channel)).map(Channel::name).collect()
    }
}

impl Rights {
    /// What is left of them in a sub-organisation that does not use every channel.
    pub fn within(mut self, policy: &Policy) -> Rights {
        self.channels.retain(|channel, _| policy.channel_is_open(&self.sub_org, *channel));
        self
    }
}

/// What holds where these rights are held, for an administrator: the settings, and channels for which they rest.
pub fn told(reply: Reply, policy: &Policy, rights: &Rights) -> Reply {
    let row = |of: Setting| json!({ "name": of.name, "value": of.value, "from": of.from });
    let settings: Vec<Value> = policy.settings_of(&rights.sub_org).into_iter().map(row).collect();
    let closed: Vec<&str> = policy.closed_channels(rights).into_iter().map(Channel::name).collect();
    reply.with("settings", settings).with("closed", closed)
}

fn relay_word(relay: GroupRelay) -> &'static str {
    match relay {
        GroupRelay::All => "all",
        GroupRelay::Advisors => "advisors",
    }
}

fn hours_word(hours: Option<QuietHours>) -> String {
    let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    hours.map_or_else(|| "off".to_owned(), |hours| format!("{}-{}", clock(hours.open_from), clock(hours.open_until)))
}

/// In the largest unit that leaves nothing over.
fn span_word(span: Span) -> String {
    let units = [(Span::days(1), "d"), (Span::hours(1), "h"), (Span::minutes(1), "m")];
    let fits = units.into_iter().find(|(unit, _)| span.0 % unit.0 == 0);
    fits.map_or_else(|| format!("{}s", span.0 / Span::seconds(1).0), |(unit, letter)| format!("{}{letter}", span.0 / unit.0))
}
