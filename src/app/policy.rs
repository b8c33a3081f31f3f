//! The firm's choices as decisions read them, made from configuration and templates.
use crate::adapters::wording::Wording;
use crate::config::{self, Config};
use crate::domain::entitlement::{Permission, Rights};
use crate::domain::ids::*;
use crate::domain::policy::*;
use crate::domain::sub_orgs::SubOrg;
use crate::domain::words::Words;
use std::collections::{BTreeMap, BTreeSet};

/// The file in the templates' folder that says what a client's words mean.
pub const KEYWORDS: &str = "keywords.toml";

/// The bot's own user id is not known before the first login.
pub fn policy(config: &Config, wording: &Wording, words: Words) -> Policy {
    let chosen = &config.policy;
    Policy {
        firm: config.bot.firm.clone(),
        default_region: config.bot.default_region.clone(),
        time_zone: config.bot.time_zone.iana_name().unwrap_or("UTC").to_owned(),
        bot: UserId(0),
        lines: lines(config),
        whatsapp_consent: match chosen.whatsapp_consent {
            config::WhatsAppConsent::Explicit => ConsentRule::Explicit,
            config::WhatsAppConsent::AnyReply => ConsentRule::AnyReply,
        },
        sms_consent: match chosen.sms_consent {
            config::SmsConsent::Us => SmsConsent::Us,
            config::SmsConsent::All => SmsConsent::All,
            config::SmsConsent::None => SmsConsent::Nobody,
        },
        sms_welcome: match chosen.sms_welcome {
            config::SmsWelcome::Always => SmsWelcome::Always,
            config::SmsWelcome::AfterConsent => SmsWelcome::AfterConsent,
        },
        keyword_replies: match config.sms.keyword_replies {
            config::KeywordReplies::Provider => KeywordReplies::Provider,
            config::KeywordReplies::Liaison => KeywordReplies::Liaison,
        },
        stop_scope: match chosen.stop_scope {
            config::StopScope::Channel => StopScope::Channel,
            config::StopScope::All => StopScope::All,
        },
        unknown_sender: match chosen.unknown_sender {
            config::UnknownSender::Onboard => UnknownSender::Onboard,
            config::UnknownSender::Park => UnknownSender::Park,
            config::UnknownSender::Refuse => UnknownSender::Refuse,
        },
        default_advisors: chosen.default_advisors.clone(),
        onboarding_per_hour: chosen.onboarding_per_hour,
        onboarding_per_prefix: chosen.onboarding_per_prefix,
        resend_after: chosen.resend_after,
        waiting_notice: chosen.waiting_notice,
        held_expiry: chosen.held_expiry,
        held_max: chosen.held_max as usize,
        quiet_hours: chosen.quiet_hours.map(hours),
        rooms_per_line: match config.whatsapp.rooms_per_line {
            config::RoomsPerLine::Many => RoomsPerLine::Many,
            config::RoomsPerLine::One => RoomsPerLine::One,
        },
        group_relay: relay(chosen.group_relay),
        native_groups: config.whatsapp.native_groups,
        sub_orgs: config.sub_orgs.iter().map(|sub_org| (sub_org.name.clone(), settings(sub_org))).collect(),
        advisors: config.advisors.iter().map(rights).map(|rights| (rights.email.clone(), rights)).collect(),
        words,
        templates: templates(wording),
        filed: filed(wording),
        languages: languages(wording),
    }
}

fn settings(sub_org: &config::SubOrg) -> SubOrg {
    SubOrg {
        parent: sub_org.parent.clone(),
        channels: sub_org.channels.as_ref().map(|channels| channels.iter().copied().collect()),
        cover: sub_org.cover.clone(),
        native_groups: sub_org.native_groups,
        group_relay: sub_org.group_relay.map(relay),
        quiet_hours: sub_org.quiet_hours.map(|chosen| chosen.map(hours)),
        waiting_notice: sub_org.waiting_notice,
        held_expiry: sub_org.held_expiry,
        held_max: sub_org.held_max.map(|most| most as usize),
    }
}

fn hours(chosen: config::WritingHours) -> QuietHours {
    QuietHours { open_from: chosen.from, open_until: chosen.to }
}

fn relay(chosen: config::GroupRelay) -> GroupRelay {
    match chosen {
        config::GroupRelay::All => GroupRelay::All,
        config::GroupRelay::Advisors => GroupRelay::Advisors,
    }
}

fn lines(config: &Config) -> Vec<Line> {
    let whatsapp = config.whatsapp.lines.iter().filter(|_| config.whatsapp.enabled).map(|line| Line {
        id: line.phone_number_id.clone(),
        channel: Channel::WhatsApp,
        number: line.number.clone(),
        name: line.name.clone(),
        advisor: line.advisor.as_ref().map(|email| email.to_lowercase()).filter(|email| !email.is_empty()),
        forward_to: None,
    });
    let sms = config.sms.lines.iter().filter(|_| config.sms.enabled).map(|line| Line {
        id: LineId::new(line.number.e164()),
        channel: Channel::Sms,
        number: line.number.clone(),
        name: config.bot.firm.clone(),
        advisor: Some(line.advisor.to_lowercase()).filter(|email| !email.is_empty()),
        forward_to: line.forward_to.clone(),
    });
    whatsapp.chain(sms).collect()
}

fn rights(advisor: &config::Advisor) -> Rights {
    let permissions: Vec<Permission> =
        advisor.permissions.iter().filter_map(|name| Permission::parse_many(name)).flatten().collect();
    Rights::new(&advisor.email.to_lowercase(), &advisor.channels, &permissions, &advisor.sub_org)
}

/// Parameters with a dot are filled by the program, the others by the advisor.
fn templates(wording: &Wording) -> BTreeMap<String, BTreeMap<String, Vec<String>>> {
    let names = wording.template_names();
    let of = |name: &str| {
        let languages = wording.languages(Channel::WhatsApp, name).into_iter();
        languages.map(|language| (language.to_string(), wording.parameters(name, language.as_ref()))).collect()
    };
    names.into_iter().map(|name| (name.to_owned(), of(name))).collect()
}

fn filed(wording: &Wording) -> BTreeMap<String, BTreeMap<String, Filed>> {
    let mut filed: BTreeMap<String, BTreeMap<String, Filed>> = BTreeMap::new();
    for template in wording.templates() {
        let (fixed, places) = template.room();
        let (meta_language, category) = (template.meta_language.clone(), template.category.clone());
        let file = Filed { meta_language, category, fixed, places };
        filed.entry(template.name.clone()).or_default().insert(template.language.clone(), file);
    }
    filed
}

/// Languages in which a client can be asked and welcomed.
fn languages(wording: &Wording) -> BTreeSet<String> {
    let asked: BTreeSet<String> = wording.languages(Channel::WhatsApp, INVITATION).into_iter().map(|l| l.to_string()).collect();
    let welcomed: BTreeSet<String> = wording.languages(Channel::WhatsApp, "welcome").into_iter().map(|l| l.to_string()).collect();
    asked.intersection(&welcomed).cloned().collect()
}
