//! The firm's choices, as decisions read them; they come from the configuration and do not change while the program runs.
use super::entitlement::Rights;
use super::ids::*;
use super::sub_orgs::SubOrg;
use super::time::Span;
use super::words::Words;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug)]
pub struct Policy {
    /// The name that clients read.
    pub firm: String,
    /// For numbers typed without a country code.
    pub default_region: String,
    /// The firm's own zone: for dates shown to advisors, and for quiet hours of clients whose zone nothing tells.
    pub time_zone: String,
    /// The bot's own user, never obeyed and never counted as a member.
    pub bot: UserId,
    pub lines: Vec<Line>,
    pub whatsapp_consent: ConsentRule,
    pub sms_consent: SmsConsent,
    pub sms_welcome: SmsWelcome,
    /// Who answers a client's STOP, START and HELP by SMS.
    pub keyword_replies: KeywordReplies,
    pub stop_scope: StopScope,
    pub unknown_sender: UnknownSender,
    /// E-mail addresses of those who answer clients that nobody lists.
    pub default_advisors: Vec<String>,
    pub onboarding_per_hour: u32,
    pub onboarding_per_prefix: u32,
    pub resend_after: Span,
    pub waiting_notice: bool,
    pub held_expiry: Span,
    pub held_max: usize,
    pub quiet_hours: Option<QuietHours>,
    pub rooms_per_line: RoomsPerLine,
    pub group_relay: GroupRelay,
    /// WhatsApp's own groups may be made.
    pub native_groups: bool,
    /// By name; a sub-organisation that is not here has no settings of its own.
    pub sub_orgs: BTreeMap<String, SubOrg>,
    /// By canonical e-mail address.
    pub advisors: BTreeMap<String, Rights>,
    pub words: Words,
    /// WhatsApp templates that advisors may send, with the parameters that they give, by name and language.
    pub templates: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    /// What the files of all WhatsApp templates say of themselves, by name and language; those of the program too.
    pub filed: BTreeMap<String, BTreeMap<String, Filed>>,
    /// Languages in which the program's own texts are there.
    pub languages: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub id: LineId,
    pub channel: Channel,
    pub number: Phone,
    pub name: String,
    /// E-mail address of the advisor whose own line it is.
    pub advisor: Option<String>,
    /// The phone of that advisor, to which calls to the line go.
    pub forward_to: Option<Phone>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsentRule {
    Explicit,
    AnyReply,
}
/// Who must say yes before an advisor's SMS reaches him (S2-6, S2-8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmsConsent {
    /// Numbers of the United States.
    Us,
    All,
    Nobody,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmsWelcome {
    Always,
    AfterConsent,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeywordReplies {
    /// The provider confirms his own keywords; whatever else means the same is ours to confirm.
    Provider,
    Liaison,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopScope {
    Channel,
    All,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownSender {
    Onboard,
    Park,
    Refuse,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomsPerLine {
    Many,
    One,
}

/// Who reads what one client of a standard group writes, beside the advisors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupRelay {
    /// The other clients.
    All,
    /// Nobody.
    Advisors,
}

/// A template's file, as far as decisions look at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filed {
    /// As the account names the language ("en_US").
    pub meta_language: String,
    pub category: String,
    /// Characters of the body that stand there whatever the values are.
    pub fixed: usize,
    /// The variable of each place in the body, as often as it stands there.
    pub places: Vec<String>,
}

/// Minutes after midnight between which messages may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietHours {
    pub open_from: u16,
    pub open_until: u16,
}

/// The template that asks for consent.
pub const INVITATION: &str = "liaison_invitation";
/// The text that asks for consent by SMS.
pub const OPT_IN: &str = "opt_in";
/// The template that says that a message waits.
pub const MESSAGE_WAITING: &str = "liaison_message_waiting";
/// The template that brings a short text of the program into a closed window.
pub const NOTICE: &str = "liaison_notice";
/// The language of a contact for whom nobody chose one.
pub const DEFAULT_LANGUAGE: &str = "en";

impl Policy {
    pub fn any_reply(&self) -> bool {
        self.whatsapp_consent == ConsentRule::AnyReply
    }
    pub fn line(&self, id: &LineId) -> Option<&Line> {
        self.lines.iter().find(|line| line.id == *id)
    }
    pub fn lines_of(&self, channel: Channel) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(move |line| line.channel == channel)
    }
    /// The file that is sent to one who reads this language: without one of his own it is the English one.
    pub fn filed(&self, name: &str, language: &str) -> Option<&Filed> {
        let languages = self.filed.get(name)?;
        languages.get(language).or_else(|| languages.get(DEFAULT_LANGUAGE))
    }
    /// The contact's language if the program's texts are there in it, else English.
    pub fn language<'a>(&self, wanted: &'a str) -> &'a str {
        if self.languages.contains(wanted) { wanted } else { DEFAULT_LANGUAGE }
    }
}
