//! What one key alone cannot show: files that must be readable, names that must exist, settings that must fit each other.
use super::reader::{Section, Sheet};
use super::{Config, Sms, SubOrg, UnknownSender};
use crate::domain::{phone, sub_orgs};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use std::collections::BTreeSet;
use std::path::Path;

/// Single permissions of COMMANDS §2.
const PERMISSIONS: [&str; 18] = [
    "chat",
    "contact.create",
    "contact.edit",
    "contact.edit-email",
    "contact.list-all",
    "onboard.on-behalf",
    "room.create",
    "room.manage-any",
    "group.native",
    "template.send",
    "transfer",
    "block",
    "bulk",
    "consent.record",
    "supervise",
    "audit.read",
    "export",
    "admin",
];
/// Characters of a datafeed's tag, from the agent's contract.
const FEED_TAG_MAX: usize = 100;
/// Bundles of COMMANDS §2; "admin" is both a bundle and a permission.
const BUNDLES: [&str; 5] = ["advisor", "advisor-central", "onboarder", "compliance", "admin"];

pub(super) fn permissions(section: &Section, name: &str, given: &[String]) {
    for permission in given {
        if !PERMISSIONS.contains(&permission.as_str()) && !BUNDLES.contains(&permission.as_str()) {
            let remedy = format!("Write a bundle ({}) or a single permission ({}).", BUNDLES.join(", "), PERMISSIONS.join(", "));
            section.wrong(name, format!("There is no permission \"{permission}\"."), remedy);
        }
    }
}

pub(super) fn region(section: &Section, name: &str, region: &str) {
    let written_so = region.len() == 2 && region.bytes().all(|byte| byte.is_ascii_uppercase());
    if !written_so || !phone::is_region(region) {
        let remedy = "Write two capital letters of ISO 3166, such as \"US\", \"DE\" or \"GB\".";
        section.wrong(name, format!("\"{region}\" is no country."), remedy);
    }
}

pub(super) fn api_version(section: &Section, name: &str, version: &str) {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let fits = version.strip_prefix('v').and_then(|rest| rest.split_once('.')).is_some_and(|(a, b)| digits(a) && digits(b));
    if !fits {
        section.wrong(name, format!("\"{version}\" is no version."), "Write it as Meta does, such as \"v23.0\".");
    }
}

/// It becomes a part of addresses. Twilio's are "AC" and 32 digits, those of APIs shaped like it may be others.
pub(super) fn account_sid(section: &Section, name: &str, sid: &str) {
    if !sid.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
        section.wrong(name, "This is no SID.", "Write the account's SID as its console shows it, such as \"AC…\".");
    }
}

/// A key goes with its own secret, never with the account's token.
pub(super) fn api_key(section: &Section, sms: &Sms) {
    match (sms.api_key.is_empty(), &sms.api_secret) {
        (false, None) => {
            section.wrong("api_secret", "The API key has no secret.", "Write the key's own secret, or remove api_key.");
        }
        (true, Some(_)) => section.wrong("api_key", "The secret has no API key.", "Write the key's SID, or remove api_secret."),
        (false, Some(_)) | (true, None) => {}
    }
}

pub(super) fn feed_tag(section: &Section, name: &str, tag: &str) {
    if tag.chars().count() > FEED_TAG_MAX {
        let remedy = format!("Write a name of at most {FEED_TAG_MAX} characters.");
        section.wrong(name, "The agent takes no such tag.", remedy);
    }
}

/// Signs a word, because a file may be PEM and yet hold no usable RSA key.
pub(super) fn private_key(section: &Section, name: &str, path: &Path) {
    if path.as_os_str().is_empty() {
        return;
    }
    let remedy = "Put the service account's RSA key there (PEM, PKCS#1 or PKCS#8, at least 2048 bits, without a passphrase).";
    let pem = match std::fs::read(path) {
        Ok(pem) => pem,
        Err(error) => return section.wrong(name, format!("The key {} cannot be read: {error}.", path.display()), remedy),
    };
    let claims = serde_json::json!({ "sub": "check" });
    let signed =
        EncodingKey::from_rsa_pem(&pem).and_then(|key| jsonwebtoken::encode(&Header::new(Algorithm::RS512), &claims, &key));
    if signed.is_err() {
        section.wrong(name, format!("The file {} holds no usable RSA key.", path.display()), remedy);
    }
}

/// Checks that span sections; returns what the operator should merely know.
pub(super) fn across(config: &Config, sheet: &Sheet) -> Vec<String> {
    some_channel_is_in_use(config, sheet);
    sms_can_be_used(config, sheet);
    lines_are_there_once(config, sheet);
    advisors_are_there_once(config, sheet);
    somebody_answers_strangers(config, sheet);
    sub_orgs_stand_in_trees(config, sheet);
    notes(config)
}

fn some_channel_is_in_use(config: &Config, sheet: &Sheet) {
    if !config.whatsapp.enabled && !config.sms.enabled {
        let remedy = "Write a section [whatsapp] or [sms] with enabled = true.";
        sheet.wrong("whatsapp.enabled", "No channel is in use.", remedy);
    } else if config.whatsapp.enabled && config.whatsapp.lines.is_empty() {
        sheet.wrong(
            "whatsapp.lines",
            "No usable line is listed.",
            "Write lines = [ { phone_number_id = \"…\", number = \"+…\", name = \"…\" } ].",
        );
    }
}

fn sms_can_be_used(config: &Config, sheet: &Sheet) {
    if !config.sms.enabled {
        return;
    }
    if config.sms.lines.is_empty() {
        let remedy = "Write lines = [ { number = \"+…\", advisor = \"…\" } ].";
        sheet.wrong("sms.lines", "No usable line is listed.", remedy);
    }
    if config.server.public_url.is_none() {
        let remedy = "Write the address at which Twilio reaches the webhooks, such as \"https://liaison.example.com\".";
        sheet.wrong("server.public_url", "SMS needs it: Twilio signs the address that it calls.", remedy);
    }
}

fn lines_are_there_once(config: &Config, sheet: &Sheet) {
    let (mut ids, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    for (place, line) in config.whatsapp.lines.iter().enumerate() {
        let id = &line.phone_number_id;
        if !ids.insert(id) {
            let key = format!("whatsapp.lines[{place}].phone_number_id");
            sheet.wrong(&key, format!("The line \"{id}\" is listed twice."), "Remove one of the two.");
        }
        if !numbers.insert(&line.number) {
            let key = format!("whatsapp.lines[{place}].number");
            sheet.wrong(&key, "This number is listed twice.", "Remove one of the two.");
        }
    }
    let mut numbers = BTreeSet::new();
    for (place, line) in config.sms.lines.iter().enumerate() {
        if !numbers.insert(&line.number) {
            let key = format!("sms.lines[{place}].number");
            sheet.wrong(&key, "This number is listed twice.", "Remove one of the two.");
        }
    }
}

fn advisors_are_there_once(config: &Config, sheet: &Sheet) {
    let mut emails = BTreeSet::new();
    for (place, advisor) in config.advisors.iter().enumerate() {
        if !advisor.email.is_empty() && !emails.insert(&advisor.email) {
            let key = format!("advisors[{place}].email");
            let what = format!("\"{}\" is listed twice; case and blanks around do not count.", advisor.email);
            sheet.wrong(&key, what, "Put channels and permissions into one entry.");
        }
    }
}

fn sub_orgs_stand_in_trees(config: &Config, sheet: &Sheet) {
    let mut names = BTreeSet::new();
    for (place, sub_org) in config.sub_orgs.iter().enumerate() {
        if !sub_org.name.is_empty() && !names.insert(&sub_org.name) {
            let what = format!("The sub-organisation \"{}\" is listed twice.", sub_org.name);
            sheet.wrong(&format!("sub_orgs[{place}].name"), what, "Put its settings into one entry.");
        }
        if let Some((what, remedy)) = wrong_parent(config, sub_org) {
            sheet.wrong(&format!("sub_orgs[{place}].parent"), what, remedy);
        }
    }
}

/// Why the way up from here does not end at the firm.
fn wrong_parent(config: &Config, sub_org: &SubOrg) -> Option<(String, &'static str)> {
    let named = |name: &String| config.sub_orgs.iter().find(|other| other.name == *name);
    let mut at = sub_org;
    for _ in 0..sub_orgs::DEEPEST {
        let parent = at.parent.as_ref()?;
        let Some(above) = named(parent) else {
            // Told where it is written.
            let own = std::ptr::eq(at, sub_org);
            let what = format!("There is no sub-organisation \"{parent}\".");
            return own.then_some((what, "Name one of [[sub_orgs]], in the same letters."));
        };
        at = above;
    }
    let what =
        format!("From \"{}\" upward the parents run in a circle, or are more than {}.", sub_org.name, sub_orgs::DEEPEST - 1);
    Some((what, "Let each way up end at one that has no parent."))
}

fn somebody_answers_strangers(config: &Config, sheet: &Sheet) {
    if config.policy.unknown_sender == UnknownSender::Refuse || !config.policy.default_advisors.is_empty() {
        return;
    }
    let whatsapp = config.whatsapp.lines.iter().enumerate().filter(|(_, line)| config.whatsapp.enabled && line.advisor.is_none());
    let sms = config.sms.lines.iter().enumerate().filter(|(_, line)| config.sms.enabled && line.advisor.is_empty());
    let whatsapp = whatsapp.map(|(place, _)| format!("whatsapp.lines[{place}].advisor"));
    for key in whatsapp.chain(sms.map(|(place, _)| format!("sms.lines[{place}].advisor"))) {
        sheet.wrong(
            &key,
            "Nothing says who answers strangers on this line.",
            "Give the line an advisor, or name policy.default_advisors, or write policy.unknown_sender = \"refuse\".",
        );
    }
}

fn notes(config: &Config) -> Vec<String> {
    let mut notes = Vec::new();
    if !config.advisors.iter().any(|advisor| advisor.permissions.iter().any(|permission| permission == "admin")) {
        notes
            .push("Nobody in [[advisors]] has the permission admin, so nobody is told when something needs an admin.".to_owned());
    }
    if !config.server.ops_listen.ip().is_loopback() {
        notes.push("server.ops_listen is open to other machines; health and metrics are not for the public.".to_owned());
    }
    let listed: BTreeSet<&str> = config.advisors.iter().map(|advisor| advisor.email.as_str()).collect();
    let lines = config.whatsapp.lines.iter().filter_map(|line| line.advisor.as_ref());
    let sms = config.sms.lines.iter().map(|line| &line.advisor).filter(|email| !email.is_empty());
    let named: BTreeSet<&String> = config.policy.default_advisors.iter().chain(lines).chain(sms).collect();
    for email in named.into_iter().filter(|email| !listed.contains(email.as_str())) {
        notes.push(format!("{email} answers strangers but is not listed in [[advisors]]; /admin entitle must have been used."));
    }
    notes.extend(notes_on_sub_orgs(config));
    notes
}

fn notes_on_sub_orgs(config: &Config) -> Vec<String> {
    let listed: BTreeSet<&str> = config.sub_orgs.iter().map(|sub_org| sub_org.name.as_str()).collect();
    let strays = config.advisors.iter().filter(|advisor| !advisor.sub_org.is_empty() && !listed.contains(&*advisor.sub_org));
    let strays = strays.filter(|_| !listed.is_empty()).map(|advisor| {
        format!(
            "{} belongs to \"{}\", which is not in [[sub_orgs]]: the settings of [policy] hold.",
            advisor.email, advisor.sub_org
        )
    });
    let of = |email: &String| config.advisors.iter().find(|advisor| advisor.email == *email);
    let outside = |sub_org: &SubOrg, email: &String| of(email).is_some_and(|advisor| advisor.sub_org != sub_org.name);
    let walled = |sub_org: &SubOrg| {
        sub_org.cover.as_ref().is_some_and(|cover| !cover.is_empty() && cover.iter().all(|email| outside(sub_org, email)))
    };
    let walled = config.sub_orgs.iter().filter(|sub_org| walled(sub_org)).map(|sub_org| {
        format!("Nobody of the cover of \"{0}\" belongs to \"{0}\": clients whom everybody has left get a room of another sub-organisation.", sub_org.name)
    });
    strays.chain(walled).collect()
}
