//! What must be there before the bot runs: every named file in every language, and nothing in it that cannot be filled.
use super::files::{CHANNELS, CHAT, Kind, Name};
use super::whatsapp::{LONGEST_REPLY_BUTTON, MOST_REPLY_BUTTONS, WhatsAppTemplate};
use super::{CHAT_TEMPLATES, DEFAULT_LANGUAGE, STANDARD, Wording, longest, markup, trial};
use crate::config::Mistake;
use crate::domain::ids::Channel;
use minijinja::Environment;
use std::collections::{BTreeMap, BTreeSet};

const INVITATION: &str = "liaison_invitation";
/// Templates that the program sends by itself (INTERFACES §8), with their variables beyond the standard ones.
const TEMPLATES: [(&str, &[&str]); 6] = [
    (INVITATION, &[]),
    ("liaison_message_waiting", &[]),
    ("liaison_group_invite", &["group", "link"]),
    ("liaison_group_joined", &["group"]),
    ("liaison_group_changed", &["change"]),
    ("liaison_notice", &["notice"]),
];
pub(super) const WHATSAPP_TEMPLATES: [&str; 6] = [
    INVITATION,
    "liaison_message_waiting",
    "liaison_group_invite",
    "liaison_group_joined",
    "liaison_group_changed",
    "liaison_notice",
];
/// Texts on both channels.
const TEXTS: [&str; 11] = [
    "welcome",
    "help",
    "opted_in",
    "opted_out",
    "advisor_left",
    "advisor_joined",
    "out_of_office",
    "group_members",
    "group_joined",
    "group_message",
    "group_thing",
];
/// The TCPA question and the words of a call, on SMS only.
const SMS_TEXTS: [&str; 3] = ["opt_in", GREETING, VOICEMAIL];
/// A caller hears these before anybody knows who he is.
const GREETING: &str = "call_greeting";
const VOICEMAIL: &str = "call_voicemail";
const SPOKEN_VARIABLES: [&str; 1] = ["firm"];
/// What texts may use beyond the standard variables. `welcome` answers a yes, and also a client who wrote first and has not said
/// it; the others speak of the people in a group, by name, by number of those without, or by place.
const OWN_VARIABLES: [(&str, &[&str]); 5] = [
    ("welcome", &["agreed"]),
    ("group_members", &["advisors", "members", "unnamed"]),
    ("group_joined", &["members", "unnamed"]),
    ("group_message", &["participant", "text"]),
    ("group_thing", &["members", "participant", "text"]),
];

impl Wording {
    /// Everything that is missing or could not be filled, in the order of the files.
    pub fn check(&self) -> Vec<Mistake> {
        let mut mistakes = self.missing_files();
        let chat = self.chat_on_trial();
        for (name, file) in &self.files {
            let complaints = match (&file.kind, Channel::parse(&name.channel)) {
                (Kind::Template(template), _) => template_complaints(name, template),
                (Kind::Text(body), Some(channel)) => self.text_complaints(name, channel, body),
                (Kind::Text(body), None) => chat_complaints(&chat, name, body),
            };
            let path = name.path(&self.folder);
            mistakes.extend(complaints.into_iter().map(|(key, what, remedy)| Mistake::new(&path, key, what, remedy)));
        }
        mistakes.sort();
        mistakes
    }

    /// Named files must be there in English and in every language that any file for clients is written in; a further file of
    /// an advisor in every language of its channel.
    fn missing_files(&self) -> Vec<Mistake> {
        let named = TEMPLATES.iter().map(|(name, _)| (Channel::WhatsApp.key(), *name));
        let texts = TEXTS.iter().flat_map(|name| Channel::ALL.map(|channel| (channel.key(), *name)));
        let on_sms = SMS_TEXTS.iter().map(|name| (Channel::Sms.key(), *name));
        let in_chat = CHAT_TEMPLATES.iter().map(|name| (CHAT, *name));
        let mut needed: BTreeSet<(&str, &str)> = named.chain(texts).chain(on_sms).chain(in_chat).collect();
        needed.extend(self.files.keys().map(|file| (file.channel.as_str(), file.name.as_str())));
        let empty: BTreeSet<&str> = CHANNELS.into_iter().filter(|channel| self.holds_nothing(channel)).collect();
        let mut mistakes: Vec<Mistake> = empty.iter().filter_map(|channel| self.empty_folder(channel)).collect();
        for (channel, name) in needed.into_iter().filter(|(channel, _)| !empty.contains(channel)) {
            let languages = self.languages_of(channel);
            let missing = languages.into_iter().map(|language| Name::new(channel, name, language));
            mistakes.extend(missing.filter(|name| !self.files.contains_key(name)).map(|name| self.missing(&name)));
        }
        mistakes
    }

    fn holds_nothing(&self, channel: &str) -> bool {
        !self.files.keys().any(|file| file.channel == channel)
    }

    /// One line for all that is not there: a wrong folder would bury every other mistake. One that cannot be read was told.
    fn empty_folder(&self, channel: &str) -> Option<Mistake> {
        let folder = self.folder.join(channel);
        let remedy = "Set bot.templates_dir to the folder that holds chat, whatsapp and sms, with all their files.";
        folder.is_dir().then(|| Mistake::new(folder.display().to_string(), "", "There is no usable file in this folder.", remedy))
    }

    /// A contact has one language for both channels; the chat's own languages are apart from that.
    fn languages_of(&self, channel: &str) -> BTreeSet<&str> {
        let files = self.files.keys().filter(|file| (file.channel == CHAT) == (channel == CHAT));
        files.map(|file| file.language.as_str()).chain([DEFAULT_LANGUAGE]).collect()
    }

    fn missing(&self, name: &Name) -> Mistake {
        let others = self.files.keys().filter(|file| file.channel == name.channel && file.name == name.name);
        let others = others.map(|file| file.language.as_str()).collect::<Vec<_>>().join(", ");
        let remedy = match others.as_str() {
            "" => format!("Write it; {} shows its form.", Name::new(&name.channel, "…", DEFAULT_LANGUAGE).file()),
            others => format!("Write it, or remove the language from this channel; it is there in: {others}."),
        };
        Mistake::new(name.path(&self.folder), "", "The file is missing.", remedy)
    }

    fn text_complaints(&self, name: &Name, channel: Channel, body: &str) -> Vec<(String, String, String)> {
        let mut complaints = emptiness(body);
        if WHATSAPP_TEMPLATES.contains(&name.name.as_str()) {
            complaints.push(complaint("body", "This must be a template, not a text.", "Write [[components]] instead of body."));
        }
        let known = known_variables(&name.name);
        let Ok(template) = self.environment.get_template(&name.key()) else { return complaints };
        let unknown: BTreeSet<String> =
            template.undeclared_variables(true).into_iter().filter(|variable| !known.contains(&variable.as_str())).collect();
        for variable in &unknown {
            let remedy = format!("Known here are: {}.", known.join(", "));
            complaints.push(complaint("body", &format!("There is no variable {variable}."), &remedy));
        }
        if unknown.is_empty() && complaints.is_empty() {
            complaints.extend(self.trial(name, channel));
        }
        complaints
    }

    /// All texts of the chat, because some include others. What cannot be parsed was told when it was read.
    fn chat_on_trial(&self) -> Environment<'static> {
        let mut environment = trial::environment();
        for (name, file) in self.files.iter().filter(|(name, _)| name.channel == CHAT) {
            if let Kind::Text(body) = &file.kind {
                let _told_when_it_was_read = environment.add_template_owned(name.key(), body.clone());
            }
        }
        environment
    }

    /// Fills it with everything known, once for each value of its flags: unknown filters and lengths show only then.
    fn trial(&self, name: &Name, channel: Channel) -> Option<(String, String, String)> {
        let fails = |agreed: &str| self.client_text(name, channel, &sample(agreed)).err();
        let why = ["true", "false"].into_iter().find_map(fails)?;
        Some(complaint("body", &why, &format!("Correct it; at most {} characters.", longest(channel))))
    }
}

fn known_variables(name: &str) -> Vec<&'static str> {
    if [GREETING, VOICEMAIL].contains(&name) {
        return SPOKEN_VARIABLES.to_vec();
    }
    let own = OWN_VARIABLES.iter().find(|(text, _)| *text == name).map_or(&[][..], |(_, own)| own);
    STANDARD.iter().chain(own).copied().collect()
}

fn sample(agreed: &str) -> BTreeMap<String, String> {
    let own = OWN_VARIABLES.iter().flat_map(|(_, own)| own.iter());
    let named = STANDARD.iter().chain(own).map(|variable| ((*variable).to_owned(), "Name".to_owned()));
    named.chain([("agreed".to_owned(), agreed.to_owned())]).collect()
}

/// The markup that results, whatever the line is about, as far as that can be known without it.
fn chat_complaints(on_trial: &Environment, name: &Name, body: &str) -> Vec<(String, String, String)> {
    if on_trial.get_template(&name.key()).is_err() {
        return emptiness(body);
    }
    let wrong = match trial::renderings(on_trial, &name.key(), body) {
        Ok(texts) => texts.iter().find_map(|text| markup::check(text).err()),
        Err(why) => Some(why),
    };
    let wrong = wrong.map(|why| {
        let remedy = "Put it right; the line is MessageML, in which every element is closed and \"&\" is \"&amp;\".";
        complaint("body", &format!("The line cannot be posted: {why}."), remedy)
    });
    emptiness(body).into_iter().chain(wrong).collect()
}

fn emptiness(body: &str) -> Vec<(String, String, String)> {
    let empty = complaint("body", "The text is empty.", "Write what is to be read.");
    body.trim().is_empty().then_some(empty).into_iter().collect()
}

fn template_complaints(name: &Name, template: &WhatsAppTemplate) -> Vec<(String, String, String)> {
    let mut complaints = template.complaints();
    if TEXTS.contains(&name.name.as_str()) {
        complaints.push(complaint("components", "This must be a text, not a template.", "Write body = \"…\" instead."));
    }
    if let Some((_, own)) = TEMPLATES.iter().find(|(template, _)| *template == name.name) {
        let known: Vec<&str> = STANDARD.iter().chain(*own).copied().collect();
        for parameter in template.parameters().iter().filter(|parameter| !known.contains(&parameter.as_str())) {
            let remedy = format!("Known here are: {}; Meta's names have \"_\" for \".\".", known.join(", "));
            complaints.push(complaint("components", &format!("There is no variable {parameter}."), &remedy));
        }
    }
    if name.name == INVITATION {
        complaints.extend(invitation_complaints(template));
    }
    complaints
}

/// The invitation also goes out as an ordinary message with reply buttons, whose limits are narrower (S3, the question).
fn invitation_complaints(template: &WhatsAppTemplate) -> Vec<(String, String, String)> {
    let replies = template.quick_replies();
    let mut complaints = Vec::new();
    for payload in ["consent:yes", "consent:stop"] {
        if replies.iter().filter(|(reply, _)| reply == payload).count() != 1 {
            let what = format!("Not exactly one quick-reply button has the payload {payload}.");
            complaints.push(complaint("payloads", &what, "Write under [payloads] the button's text = the payload."));
        }
    }
    for (_, title) in replies.iter().filter(|(_, title)| title.chars().count() > LONGEST_REPLY_BUTTON) {
        let what = format!("The button \"{title}\" has more than {LONGEST_REPLY_BUTTON} characters.");
        complaints.push(complaint("components", &what, "Shorten it."));
    }
    if replies.len() > MOST_REPLY_BUTTONS {
        let what = format!("There are more than {MOST_REPLY_BUTTONS} quick-reply buttons.");
        complaints.push(complaint("components", &what, "Keep those for yes and no."));
    }
    complaints
}

fn complaint(key: &str, what: &str, remedy: &str) -> (String, String, String) {
    (key.to_owned(), what.to_owned(), remedy.to_owned())
}
