//! Configuration and templates as an operator meets them: what loads, and what is said about each mistake.
#![allow(clippy::unwrap_used)] // Clippy sees only the functions marked as tests, not what they share.
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use jiff::tz::TimeZone;
use liaison::adapters::wording::{Wording, load_all};
use liaison::config::{self, Config, Mistake};
use liaison::domain::effect::{Body, Code, Prepared, Reply};
use liaison::domain::ids::{Channel, ContactId, MessageId};
use liaison::domain::notices::{NOTICE, NOTICE_TEXT};
use liaison::domain::time::Span;
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

const GOOD: &str = r#"
[bot]
username = "liaison"
private_key = "keys/bot.pem"
firm = "Acme Wealth"
time_zone = "America/New_York"
[symphony]
pod_url = "https://acme.symphony.com"
feed_url = "wss://feed.acme.com/agent/v5/datafeeds/ws"
[whatsapp]
business_account_id = "1022"
access_token = { env = "WHATSAPP_TOKEN" }
app_secret = [{ file = "keys/app-secret" }, "the-new-one"]
verify_token = "verify-me"
lines = [ { phone_number_id = "106540352242922", number = "+15550783881", name = "Acme Wealth", advisor = " Jane.Doe@ACME.com " } ]
[[advisors]]
email = "Jane.Doe@acme.com"
channels = ["whatsapp", "sms"]
permissions = ["advisor", "bulk"]
[[advisors]]
email = "olivia@acme.com"
permissions = ["admin"]
"#;

/// A folder like an operator's, with keys in place.
struct Folder(tempfile::TempDir);

impl Folder {
    fn with(config: &str) -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        folder.write("bot-config.toml", config);
        folder.write("keys/bot.pem", key());
        folder.write("keys/app-secret", "the-old-one\n");
        folder
    }
    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }
    fn write(&self, file: &str, content: &str) {
        std::fs::create_dir_all(self.path(file).parent().unwrap()).unwrap();
        std::fs::write(self.path(file), content).unwrap();
    }
    fn load(&self, environment: &[(&str, &str)]) -> Result<Config, Vec<Mistake>> {
        config::load_with(&self.path("bot-config.toml"), &variables(environment))
    }
}

fn variables(more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let token = [("WHATSAPP_TOKEN", "the-token")];
    token.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn key() -> &'static str {
    static KEY: OnceLock<String> = OnceLock::new();
    KEY.get_or_init(|| {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der = AsDer::<Pkcs8V1Der>::as_der(&pair).unwrap();
        let text = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
        let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
    })
}

/// The mistakes of the good file after some words were replaced, as `file: key: what remedy` without the folder.
fn mistakes(changes: &[(&str, &str)]) -> Vec<String> {
    mistakes_with(changes, &[])
}

fn mistakes_with(changes: &[(&str, &str)], environment: &[(&str, &str)]) -> Vec<String> {
    let changed = changes.iter().fold(GOOD.to_owned(), |text, (old, new)| {
        assert!(text.contains(old), "{old}");
        text.replacen(old, new, 1)
    });
    let folder = Folder::with(&changed);
    let root = format!("{}/", folder.0.path().display());
    let told = folder.load(environment).err().unwrap_or_default();
    told.iter().map(|mistake| mistake.to_string().replace(&root, "")).collect()
}

fn each_is_told(told: &[String], expected: &[&str]) {
    for part in expected {
        assert!(told.iter().any(|line| line.starts_with(part)), "{part}\n{told:#?}");
    }
}

#[test]
fn a_good_file_loads_with_the_defaults_of_the_page() {
    let folder = Folder::with(GOOD);
    let config = folder.load(&[]).unwrap();
    assert_eq!(config.bot.data_dir, folder.path("data"));
    assert_eq!(config.bot.default_region, "US");
    assert_eq!(config.symphony.agent_url, config.symphony.pod_url);
    assert_eq!(config.symphony.feed, config::Feed::WebSocket);
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.whatsapp.access_token.expose(), "the-token");
    let secrets: Vec<&str> = config.whatsapp.app_secret.iter().map(config::Secret::expose).collect();
    assert_eq!(secrets, ["the-old-one", "the-new-one"]);
    assert_eq!(config.whatsapp.lines[0].advisor.as_deref(), Some("jane.doe@acme.com"));
    assert_eq!(config.whatsapp.lines[0].number.e164(), "+15550783881");
    assert_eq!(config.whatsapp.rooms_per_line, config::RoomsPerLine::Many);
    assert!(config.whatsapp.enabled && !config.sms.enabled);
    assert_eq!((config.policy.resend_after, config.policy.held_expiry), (Span::hours(24), Span::days(14)));
    assert_eq!((config.policy.held_max, config.policy.onboarding_per_hour, config.policy.onboarding_per_prefix), (20, 20, 5));
    assert_eq!(config.policy.quiet_hours, None);
    assert_eq!(config.advisors[0].email, "jane.doe@acme.com");
    assert_eq!(config.advisors[0].channels, [Channel::WhatsApp, Channel::Sms]);
    assert_eq!((config.advisors[0].sub_org.as_str(), config.advisors[1].channels.len()), ("", 0));
    assert_eq!(config.notes, Vec::<String>::new());
}

#[test]
fn a_long_polled_feed_needs_no_address_of_its_own() {
    let folder = Folder::with(&GOOD.replace("feed_url = ", "feed = \"long-poll\" # "));
    let config = folder.load(&[]).unwrap();
    assert_eq!((config.symphony.feed, config.symphony.feed_url), (config::Feed::LongPoll, None));
}

#[test]
fn the_example_at_the_top_loads_once_its_keys_are_there() {
    let example = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("bot-config.toml")).unwrap();
    let folder = Folder::with(&example);
    folder.write("keys/whatsapp-app-secret", "secret");
    let config = folder.load(&[("WHATSAPP_VERIFY_TOKEN", "word")]).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    assert_eq!(config.notes, Vec::<String>::new());
}

#[test]
fn the_example_loads_with_its_section_for_sms_taken_in_as_it_stands() {
    let example = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("bot-config.toml")).unwrap();
    let (before, rest) = example.split_once("# [sms]\n").unwrap();
    let (section, after) = rest.split_once("\n\n").unwrap();
    let section: String = section.lines().map(|line| format!("{}\n", line.strip_prefix("# ").unwrap())).collect();
    let folder = Folder::with(&format!("{before}[sms]\n{section}\n{after}"));
    folder.write("keys/whatsapp-app-secret", "secret");
    folder.write("keys/twilio-shared-key", "shared");
    let secrets = [("WHATSAPP_VERIFY_TOKEN", "word"), ("TWILIO_TOKEN", "token"), ("TWILIO_SECRET", "secret")];
    let config = folder.load(&secrets).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    assert_eq!(config.notes, Vec::<String>::new());
    assert!(config.sms.enabled && config.sms.api_secret.is_some() && config.sms.shared_key.is_some());
    let line = &config.sms.lines[0];
    assert_eq!((line.number.e164(), line.advisor.as_str()), ("+12025550143", "jane.doe@acme.com"));
    assert!(line.forward_to.is_some());
}

#[test]
fn the_environment_overrides_single_settings_entries_of_lists_and_secrets() {
    let config = Folder::with(GOOD).load(&[
        ("LIAISON__POLICY__HELD_MAX", "7"),
        ("LIAISON__POLICY__WAITING_NOTICE", "false"),
        ("LIAISON__POLICY__DEFAULT_ADVISORS", "a@acme.com, b@acme.com"),
        ("LIAISON__WHATSAPP__ACCESS_TOKEN", "from-the-environment"),
        ("LIAISON__WHATSAPP__LINES__0__NAME", "Acme Direct"),
        ("LIAISON__BOT__USERNAME", "0012"),
    ]);
    let config = config.unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    assert_eq!((config.policy.held_max, config.policy.waiting_notice), (7, false));
    assert_eq!(config.policy.default_advisors, ["a@acme.com", "b@acme.com"]);
    assert_eq!(config.whatsapp.access_token.expose(), "from-the-environment");
    assert_eq!((config.whatsapp.lines[0].name.as_str(), config.whatsapp.lines[0].number.e164()), ("Acme Direct", "+15550783881"));
    assert_eq!(config.bot.username, "0012");
}

#[test]
fn an_unknown_key_is_an_error_wherever_it_stands() {
    let told = mistakes_with(
        &[
            ("firm =", "frim ="),
            ("[whatsapp]", "[whatsapp]\ncolour = 1"),
            ("name = \"Acme Wealth\", adv", "nmae = \"Acme\", adv"),
            ("[symphony]", "[extra]\na = 1\n[symphony]"),
        ],
        &[("LIAISON__POLICY__HELD_MIN", "1")],
    );
    let expected = [
        "bot-config.toml: bot.firm: The setting is missing or empty. Write firm = \"…\".",
        "bot-config.toml: bot.frim: There is no such setting. Did you mean \"firm\"? Otherwise remove it.",
        "bot-config.toml: whatsapp.lines[0].nmae: There is no such setting. Did you mean \"name\"? Otherwise remove it.",
        "bot-config.toml: whatsapp.colour: There is no such setting. Remove it; known here are: enabled,",
        "LIAISON__POLICY__HELD_MIN: policy.held_min: There is no such setting. Did you mean \"held_max\"? Otherwise remove it.",
        "bot-config.toml: extra: There is no such setting. Remove it; known here are: bot,",
    ];
    each_is_told(&told, &expected);
    assert_eq!(told.len(), expected.len(), "{told:#?}");
}

#[test]
fn each_mistake_says_file_key_and_remedy() {
    let advisors = "[[advisors]]\nemail = \"olivia";
    let table: &[(&str, &str, &str)] = &[
        ("username = \"liaison\"", "", "bot.username: The setting is missing or empty. Write username"),
        ("username = \"liaison\"", "username = 5", "bot.username: This must be a text. Put it in quotes."),
        ("keys/bot.pem", "keys/none.pem", "bot.private_key: The key keys/none.pem cannot be read"),
        (
            "keys/bot.pem",
            "keys/app-secret",
            "bot.private_key: The file keys/app-secret holds no usable RSA key. Put the service account's",
        ),
        ("America/New_York", "America/Gotham", "bot.time_zone: \"America/Gotham\" is not understood. Write a name of the IANA"),
        ("firm =", "default_region = \"usa\"\nfirm =", "bot.default_region: \"usa\" is no country. Write two capital"),
        ("firm =", "default_region = \"XX\"\nfirm =", "bot.default_region: \"XX\" is no country. Write two capital"),
        ("firm =", "default_region = \"UK\"\nfirm =", "bot.default_region: \"UK\" is no country. Write two capital"),
        (
            "https://acme",
            "acme",
            "symphony.pod_url: \"acme.symphony.com\" is not understood. Write a whole address that begins with https:// or http://",
        ),
        ("https://acme", "https://user:pw@acme", "symphony.pod_url: This address is not understood."),
        (
            "wss://feed",
            "https://feed",
            "symphony.feed_url: \"https://feed.acme.com/agent/v5/datafeeds/ws\" is not understood. Write a whole address that begins with wss://",
        ),
        (
            "[symphony]",
            "[symphony]\nfeed = \"pigeon\"",
            "symphony.feed: \"pigeon\" is not understood. Write \"websocket\" or \"long-poll\".",
        ),
        (
            "[symphony]",
            "[symphony]\nfeed_tag = \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"",
            "symphony.feed_tag: The agent takes no such tag. Write a name of at most 100 characters.",
        ),
        ("[symphony]", "[store]\nengine = \"postgres\"\n[symphony]", "store.engine: PostgreSQL comes with a later release."),
        (
            "[symphony]",
            "[server]\nlisten = \"8080\"\n[symphony]",
            "server.listen: \"8080\" is not understood. Write host and port",
        ),
        (
            "[symphony]",
            "[server]\nlisten = \"127.0.0.1:9090\"\n[symphony]",
            "server.ops_listen: It is the same address as server.listen.",
        ),
        ("[symphony]", "[server]\nca_file = \"no.pem\"\n[symphony]", "server.ca_file: There is no file no.pem."),
        ("WHATSAPP_TOKEN", "NO_TOKEN", "whatsapp.access_token: The environment variable NO_TOKEN is not set."),
        ("keys/app-secret", "keys/none", "whatsapp.app_secret: The file keys/none cannot be read"),
        ("{ env = ", "{ var = ", "whatsapp.access_token: A secret is a text, { env = … } or { file = … }."),
        ("\"the-new-one\"]", "\"b\", \"c\"]", "whatsapp.app_secret: 3 secrets stand here, more than 2."),
        ("verify_token = \"verify-me\"", "", "whatsapp.verify_token: The setting is missing or empty."),
        ("[whatsapp]", "[whatsapp]\napi_version = \"23\"", "whatsapp.api_version: \"23\" is no version."),
        (
            "+15550783881",
            "0555 078",
            "whatsapp.lines[0].number: \"0555 078\" is not understood. Write the whole number with country code",
        ),
        (
            " Jane.Doe@ACME.com ",
            "",
            "whatsapp.lines[0].advisor: Nothing says who answers strangers on this line. Give the line an advisor",
        ),
        ("[whatsapp]", "[whatsapp]\nenabled = \"maybe\"", "whatsapp.enabled: This is neither true nor false."),
        ("[whatsapp]", "[whatsapp]\nenabled = false", "whatsapp.enabled: No channel is in use."),
        (
            "[whatsapp]",
            "[policy]\nheld_expiry = \"0d\"\n[whatsapp]",
            "policy.held_expiry: \"0d\" is not understood. Write a number above zero",
        ),
        (
            "[whatsapp]",
            "[policy]\nheld_max = 0\n[whatsapp]",
            "policy.held_max: This is not a whole number above zero. Write held_max = 20.",
        ),
        (
            "[whatsapp]",
            "[policy]\nstop_scope = \"most\"\n[whatsapp]",
            "policy.stop_scope: \"most\" is not understood. Write \"channel\" or \"all\".",
        ),
        (
            "[whatsapp]",
            "[policy]\nquiet_hours = \"8 to 9\"\n[whatsapp]",
            "policy.quiet_hours: \"8 to 9\" is not understood. Write \"off\"",
        ),
        (
            "[whatsapp]",
            "[policy]\ndefault_advisors = [\"jane\"]\n[whatsapp]",
            "policy.default_advisors: \"jane\" is not understood. Write an e-mail",
        ),
        ("\"bulk\"", "\"fly\"", "advisors[0].permissions: There is no permission \"fly\". Write a bundle (advisor,"),
        ("\"sms\"]", "\"fax\"]", "advisors[0].channels: \"fax\" is not understood. Write \"whatsapp\" or \"sms\"."),
        (advisors, "[[advisors]]\nemail = \" JANE.doe", "advisors[1].email: \"jane.doe@acme.com\" is listed twice;"),
        ("email = \"olivia@acme.com\"", "", "advisors[1].email: The setting is missing or empty."),
        ("lines = [", "lines = 5 #", "whatsapp.lines: This must be a list of tables."),
    ];
    for (old, new, expected) in table {
        let told = mistakes(&[(old, new)]);
        assert!(
            told.iter().any(|line| line.starts_with(&format!("bot-config.toml: {expected}"))),
            "{new:?}: {expected}\n{told:#?}"
        );
    }
}

#[test]
fn a_mistake_in_the_environment_bears_the_name_of_its_variable() {
    let table = [
        ("LIAISON__FOO__BAR", "1", "foo.bar: There is no such setting. Remove it; known here are: bot,"),
        ("LIAISON__POLICI__HELD_MAX", "1", "polici.held_max: There is no such setting. Did you mean \"policy\"?"),
        ("LIAISON__BOT__NAMES__0__FIRST", "x", "bot.names[0].first: There is no such setting."),
        ("liaison__bot__frim", "x", "bot.frim: There is no such setting. Did you mean \"firm\"?"),
        ("LIAISON__BOT__DEFAULT_REGION", "XX", "bot.default_region: \"XX\" is no country."),
        ("LIAISON__BOT__PRIVATE_KEY", "keys/none.pem", "bot.private_key: The key keys/none.pem cannot be read"),
        ("LIAISON__BOT__FIRM", "", "bot.firm: The setting is missing or empty."),
        ("LIAISON__POLICY", "none", "policy: This must be a section."),
        (
            "LIAISON__POLICY__DEFAULT_ADVISORS",
            "[\"a@acme.com\"]",
            "policy.default_advisors: This is a text and not a list. Write",
        ),
        ("LIAISON__POLICY__DEFAULT_ADVISORS", "a@acme.com, b", "policy.default_advisors: \"b\" is not understood."),
        ("LIAISON__SERVER__OPS_LISTEN", "127.0.0.1:8080", "server.ops_listen: It is the same address as server.listen."),
        ("LIAISON__ADVISORS__1__PERMISSIONS", "fly", "advisors[1].permissions: There is no permission \"fly\"."),
    ];
    for (variable, value, expected) in table {
        let told = mistakes_with(&[], &[(variable, value)]);
        assert!(told.len() == 1 && told[0].starts_with(&format!("{variable}: {expected}")), "{variable}: {expected}\n{told:#?}");
    }
    let both = mistakes_with(&[("[symphony]", "[foo]\nbar = 1\n[symphony]")], &[("LIAISON__FOO__BAZ", "1")]);
    assert_eq!(both.len(), 2, "{both:#?}");
    assert!(both[0].starts_with("bot-config.toml: foo: ") && both[1].starts_with("LIAISON__FOO__BAZ: foo.baz: "), "{both:#?}");
}

#[test]
fn countries_with_numbers_of_their_own_are_taken() {
    for region in ["US", "DE", "GB", "BR", "PR"] {
        let told = mistakes(&[("firm =", &format!("default_region = \"{region}\"\nfirm ="))]);
        assert!(told.is_empty(), "{told:#?}");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let told = mistakes(&[
        ("firm = \"Acme Wealth\"", ""),
        ("\"bulk\"", "\"fly\""),
        ("WHATSAPP_TOKEN", "NO_TOKEN"),
        ("America/New_York", "X"),
    ]);
    assert_eq!(told.len(), 4, "{told:#?}");
}

#[test]
fn a_file_that_is_missing_or_no_toml_is_one_mistake() {
    let folder = Folder::with("[bot\n");
    let told = folder.load(&[]).unwrap_err();
    assert!(told.len() == 1 && told[0].what.starts_with("The file is not TOML: "), "{told:#?}");
    let told = config::load_with(&folder.path("none.toml"), &variables(&[])).unwrap_err();
    assert!(told.len() == 1 && told[0].what.starts_with("The file cannot be read: "), "{told:#?}");
}

#[test]
fn sms_needs_an_account_a_token_a_line_and_the_public_address() {
    let with = |sms: &str| GOOD.replace("[[advisors]]\nemail = \"Jane", &format!("{sms}\n[[advisors]]\nemail = \"Jane"));
    let told = |sms: &str| {
        let told = Folder::with(&with(sms)).load(&[]).err().unwrap_or_default();
        told.into_iter().map(|mistake| format!("{}: {}", mistake.key, mistake.what)).collect::<Vec<_>>()
    };
    const SERVER: &str = "[server]\npublic_url = \"https://liaison.acme.com\"\n[sms]\n";
    const LINE: &str = "lines = [{ number = \"+12025550143\", advisor = \"jane.doe@acme.com\" }]\n";
    const ACCOUNT: &str = "account_sid = \"AC1\"\nauth_token = \"sms-token\"\n";
    assert_eq!(
        told("[sms]"),
        [
            "sms.account_sid: The setting is missing or empty.",
            "sms.auth_token: The setting is missing or empty.",
            "sms.lines: No usable line is listed.",
            "server.public_url: SMS needs it: Twilio signs the address that it calls.",
        ]
    );
    assert_eq!(told("[sms]\nenabled = false"), Vec::<String>::new());
    let good = format!("{SERVER}{ACCOUNT}{LINE}");
    let config = Folder::with(&with(&good)).load(&[]).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    assert!(config.sms.enabled && config.notes.is_empty(), "{:?}", config.notes);
    assert!(!format!("{config:?}").contains("sms-token"));
    assert_eq!(told(&format!("{good}api_key = \"SK1\"")), ["sms.api_secret: The API key has no secret."]);
    assert_eq!(told(&format!("{good}api_secret = \"x\"")), ["sms.api_key: The secret has no API key."]);
    assert_eq!(told(&good.replace("AC1", "AC/1")), ["sms.account_sid: This is no SID."]);
    assert_eq!(
        told(&good.replace(", advisor = \"jane.doe@acme.com\"", "")),
        ["sms.lines[0].advisor: Nothing says who answers strangers on this line."]
    );
    assert_eq!(
        told(&good.replace("}]", "}, { number = \"+12025550143\", advisor = \"jane.doe@acme.com\" }]")),
        ["sms.lines[1].number: This number is listed twice."]
    );
}

#[test]
fn strangers_need_nobody_where_they_are_refused() {
    let nobody = (" Jane.Doe@ACME.com ", "");
    assert_eq!(mistakes(&[nobody, ("[whatsapp]", "[policy]\nunknown_sender = \"refuse\"\n[whatsapp]")]), Vec::<String>::new());
    assert_eq!(
        mistakes(&[nobody, ("[whatsapp]", "[policy]\ndefault_advisors = [\"jane.doe@acme.com\"]\n[whatsapp]")]),
        Vec::<String>::new()
    );
    assert_eq!(mistakes(&[nobody, ("[whatsapp]", "[policy]\nunknown_sender = \"park\"\n[whatsapp]")]).len(), 1);
}

const SUB_ORGS: &str = r#"
[[sub_orgs]]
name = "Wealth"
channels = ["whatsapp"]
cover = ["Olivia@acme.com"]
quiet_hours = "08:00-21:00"
held_expiry = "7d"
[[sub_orgs]]
name = "Private Clients"
parent = "Wealth"
quiet_hours = "off"
cover = []
group_relay = "advisors"
native_groups = false
waiting_notice = false
held_max = 5
"#;

#[test]
fn sub_organisations_set_what_they_name_and_nothing_else() {
    let config = Folder::with(&format!("{GOOD}{SUB_ORGS}")).load(&[]).unwrap();
    let [wealth, clients] = &config.sub_orgs[..] else { panic!("two of them") };
    assert_eq!((wealth.name.as_str(), wealth.parent.as_deref()), ("Wealth", None));
    assert_eq!(wealth.channels.as_deref(), Some(&[Channel::WhatsApp][..]));
    assert_eq!(wealth.cover.as_deref(), Some(&["olivia@acme.com".to_owned()][..]));
    assert_eq!(wealth.quiet_hours, Some(Some(config::WritingHours { from: 480, to: 1260 })));
    assert_eq!((wealth.held_expiry, wealth.held_max, wealth.native_groups), (Some(Span::days(7)), None, None));
    assert_eq!((clients.parent.as_deref(), &clients.channels), (Some("Wealth"), &None));
    assert_eq!((&clients.cover, clients.quiet_hours), (&Some(Vec::new()), Some(None)), "switched off, not left out");
    assert_eq!((clients.group_relay, clients.native_groups), (Some(config::GroupRelay::Advisors), Some(false)));
    assert_eq!((clients.waiting_notice, clients.held_max, clients.held_expiry), (Some(false), Some(5), None));
    let walled = "Nobody of the cover of \"Wealth\" belongs to \"Wealth\": clients whom everybody has left get a room of another";
    assert!(config.notes.iter().any(|note| note.starts_with(walled)), "{:?}", config.notes);
    let stray = SUB_ORGS.replace("[[sub_orgs]]\nname = \"Wealth\"", "sub_org = \"Retail\"\n[[sub_orgs]]\nname = \"Wealth\"");
    let notes = Folder::with(&format!("{GOOD}{stray}")).load(&[]).unwrap().notes;
    assert!(notes.iter().any(|note| note.starts_with("olivia@acme.com belongs to \"Retail\", which is not in")), "{notes:?}");
}

#[test]
fn sub_organisations_that_stand_nowhere_are_told() {
    let told = |old: &str, new: &str| {
        assert!(SUB_ORGS.contains(old), "{old}");
        mistakes(&[("[[advisors]]", &format!("{}[[advisors]]", SUB_ORGS.replacen(old, new, 1)))])
    };
    let one = |old: &str, new: &str, expected: &str| {
        let mistakes = told(old, new);
        assert!(mistakes.len() == 1 && mistakes[0].starts_with(&format!("bot-config.toml: {expected}")), "{new}: {mistakes:?}");
    };
    one("parent = \"Wealth\"", "parent = \"Welth\"", "sub_orgs[1].parent: There is no sub-organisation \"Welth\".");
    one("parent = \"Wealth\"", "name_of_parent = \"Wealth\"", "sub_orgs[1].name_of_parent: There is no such setting.");
    one("name = \"Private Clients\"", "name = \"\"", "sub_orgs[1].name: The setting is missing or empty.");
    one("held_max = 5", "held_max = 0", "sub_orgs[1].held_max: This is not a whole number above zero.");
    one("\"08:00-21:00\"", "\"8-21\"", "sub_orgs[0].quiet_hours: \"8-21\" is not understood.");
    let circle = told("name = \"Wealth\"", "name = \"Wealth\"\nparent = \"Private Clients\"");
    assert_eq!(circle.len(), 2, "{circle:?}");
    assert!(circle[0].contains("sub_orgs[0].parent: From \"Wealth\" upward the parents run in a circle"), "{circle:?}");
    let twice = told("name = \"Wealth\"", "name = \"Private Clients\"");
    assert!(twice.iter().any(|told| told.contains("The sub-organisation \"Private Clients\" is listed twice.")), "{twice:?}");
}

#[test]
fn no_secret_shows_in_the_configuration() {
    let shown = format!("{:?}", Folder::with(GOOD).load(&[]).unwrap());
    for secret in ["the-token", "the-old-one", "the-new-one", "verify-me", "+15550783881"] {
        assert!(!shown.contains(secret), "{secret}");
    }
}

fn templates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("templates")
}

fn wording() -> Wording {
    Wording::load(&templates(), TimeZone::get("America/New_York").unwrap()).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

fn everything(agreed: &str) -> BTreeMap<String, String> {
    let vars = [
        ("contact.first", "Ann"),
        ("contact.last", "Lee"),
        ("advisor.name", "Jane Doe"),
        ("firm", "Acme Wealth"),
        ("line.name", "Acme Direct"),
        ("agreed", agreed),
        ("change", "added"),
        ("notice", "Jane Doe has left."),
        ("group", "Lee family"),
        ("link", "https://chat.whatsapp.com/AbCdEf"),
        ("topic", "Quarterly report"),
    ];
    vars.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn the_templates_are_complete() {
    assert_eq!(wording().check(), []);
}

#[test]
fn every_template_renders_in_each_language() {
    let wording = wording();
    let templates = [
        "liaison_invitation",
        "liaison_message_waiting",
        "liaison_group_invite",
        "liaison_group_joined",
        "liaison_group_changed",
        "liaison_notice",
        "follow_up",
        "document_ready",
    ];
    assert_eq!(wording.template_names().len(), templates.len());
    for language in ["en", "de"] {
        for name in templates {
            let body = Body::Template { name: name.into(), language: language.into(), vars: everything("true") };
            let Prepared::Template { language: meta, components, text, .. } = wording.client(Channel::WhatsApp, &body).unwrap()
            else {
                panic!()
            };
            assert_eq!(meta, if language == "en" { "en_US" } else { "de" });
            assert!(!text.contains("{{") && text.len() > 40, "{text}");
            assert!(components.as_array().is_some_and(|components| !components.is_empty()), "{components}");
        }
        let texts = ["welcome", "help", "opted_in", "opted_out", "advisor_left", "advisor_joined", "out_of_office"];
        let texts = texts.iter().flat_map(|name| Channel::ALL.map(|channel| (channel, *name))).chain([
            (Channel::Sms, "opt_in"),
            (Channel::Sms, "call_greeting"),
            (Channel::Sms, "call_voicemail"),
        ]);
        for ((channel, name), agreed) in texts.flat_map(|text| ["true", "false"].map(|agreed| (text, agreed))) {
            assert_eq!(wording.languages(channel, name), ["de", "en"]);
            let body = Body::Wording { name: name.into(), language: language.into(), vars: everything(agreed) };
            let Prepared::Text { text } = wording.client(channel, &body).unwrap() else { panic!() };
            assert!(!text.contains("{{") && text.contains("Acme Wealth"), "{text}");
        }
    }
}

#[test]
fn s4_38_a_notice_says_in_a_closed_window_what_its_text_says_in_an_open_one() {
    for (language, words) in [("en", "Jane Doe is no longer available"), ("de", "Jane Doe ist in diesem Gespräch nicht mehr")] {
        let vars =
            [("advisor.name", "Jane Doe"), ("firm", "Acme Wealth"), ("contact.first", "Ann"), (NOTICE_TEXT, "advisor_left")];
        let vars = vars.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let body = Body::Template { name: NOTICE.to_owned(), language: language.to_owned(), vars };
        let Prepared::Template { text, components, .. } = wording().client(Channel::WhatsApp, &body).unwrap() else { panic!() };
        assert!(text.contains(words) && components.to_string().contains(words), "{text}");
    }
}

#[test]
fn the_invitation_goes_out_as_template_and_as_question() {
    let wording = wording();
    let (name, language) = ("liaison_invitation".to_owned(), "en".to_owned());
    let vars: BTreeMap<_, _> = everything("true").into_iter().filter(|(name, _)| !name.starts_with("contact.")).collect();
    let sent =
        wording.client(Channel::WhatsApp, &Body::Template { name: name.clone(), language: language.clone(), vars: vars.clone() });
    let Prepared::Template { components, text, .. } = sent.unwrap() else { panic!() };
    let payload = |index: &str, payload: &str| json!({"type":"button","sub_type":"quick_reply","index":index,"parameters":[{"type":"payload","payload":payload}]});
    assert_eq!(components[0]["parameters"][0], json!({"type":"text","parameter_name":"firm","text":"Acme Wealth"}));
    assert_eq!((&components[1], &components[2]), (&payload("0", "consent:yes"), &payload("1", "consent:stop")));
    assert!(
        text.contains("Acme Wealth") && text.contains("Jane Doe") && text.contains("recorded") && text.contains("STOP"),
        "{text}"
    );
    let asked = wording.client(Channel::WhatsApp, &Body::Question { name, language, vars }).unwrap();
    let buttons =
        vec![("consent:yes".to_owned(), "Yes, I agree".to_owned()), ("consent:stop".to_owned(), "No, thanks".to_owned())];
    assert_eq!(asked, Prepared::Buttons { text, buttons });
}

#[test]
fn what_has_no_button_goes_into_an_open_window_as_a_text() {
    for name in ["liaison_group_invite", "liaison_group_joined"] {
        let body = Body::Question { name: name.to_owned(), language: "en".to_owned(), vars: everything("true") };
        let sent = wording().client(Channel::WhatsApp, &body).unwrap();
        assert!(matches!(sent, Prepared::Text { .. }), "WhatsApp refuses an interactive message without buttons: {sent:?}");
    }
}

#[test]
fn welcome_says_he_agreed_only_to_one_who_did_and_copes_without_a_name() {
    let wording = wording();
    let said = |agreed: &str, first: &str| {
        let mut vars = everything(agreed);
        vars.insert("contact.first".into(), first.into());
        vars.insert("contact.last".into(), String::new());
        let body = Body::Wording { name: "welcome".into(), language: "en".into(), vars };
        wording.client(Channel::WhatsApp, &body).unwrap().client_text().unwrap().to_owned()
    };
    assert!(said("true", "Ann").starts_with("Hello Ann, ") && said("true", "Ann").contains("agreeing"));
    assert!(said("false", "").starts_with("Hello, ") && !said("false", "").contains("agree"));
}

#[test]
fn another_language_reads_english_and_a_missing_variable_is_told() {
    let wording = wording();
    let body = |name: &str, language: &str, vars| Body::Wording { name: name.into(), language: language.into(), vars };
    let text = wording.client(Channel::Sms, &body("opted_in", "fr", everything("true"))).unwrap();
    assert!(text.client_text().unwrap().starts_with("Thank you."));
    let told = wording.client(Channel::Sms, &body("opted_in", "en", BTreeMap::new())).unwrap_err();
    assert!(told.starts_with("templates/sms/opted_in.en.toml: "), "{told}");
    let told = wording.client(Channel::Sms, &body("nothing", "de", BTreeMap::new())).unwrap_err();
    assert_eq!(told, "There is no file templates/sms/nothing.de.toml.");
    assert_eq!(
        wording.client(Channel::Sms, &Body::Text(" as it is\n".into())),
        Ok(Prepared::Text { text: " as it is\n".into() })
    );
    assert_eq!(wording.own_parameters("document_ready", "de"), ["topic"]);
    assert_eq!(wording.advisors_template_names(), ["document_ready", "follow_up"]);
}

#[test]
fn a_chat_line_carries_its_code_and_its_key() {
    let reply = Reply::new(Code::Held, "held").about(&ContactId::new("c-7F3KABCD")).of(&MessageId::new("m-1")).because("window");
    let reply = reply.with("gate", "window").with("name", "Ann <Lee>").with("notice", true);
    let (markup, data) = wording().chat(&reply, "e-1/0").unwrap();
    assert!(markup.starts_with("<messageML>Held for Ann &lt;Lee&gt;: ") && markup.ends_with("</messageML>"), "{markup}");
    let entity = json!({"type":"liaison.message","version":"1","code":"held","contact":"c-7F3KABCD","message":"m-1","reason":"window","key":"e-1/0"});
    assert_eq!(data, json!({ "liaison": entity }));
    let (_, data) = wording().chat(&Reply::answer("info").with("text", "x"), "k").unwrap();
    assert_eq!(data, json!({"liaison":{"type":"liaison.message","version":"1","code":"answer","key":"k"}}));
    assert!(wording().chat(&Reply::answer("info"), "k").unwrap_err().starts_with("templates/chat/info.en.toml: "));
}

proptest! {
    #[test]
    fn whatever_a_client_writes_stays_text(text in "(?s)(.|[<>&$#{}\"'/\r\n\t\0-\u{1f}]){0,60}") {
        static WORDING: OnceLock<Wording> = OnceLock::new();
        let (markup, _) = WORDING.get_or_init(wording).chat(&Reply::answer("info").with("text", text.as_str()), "k").unwrap();
        let inner = markup.strip_prefix("<messageML>").and_then(|rest| rest.strip_suffix("</messageML>")).unwrap();
        let plain = inner.replace("<br/>", "");
        prop_assert!(!plain.contains(['<', '>', '"', '\'']), "{}", markup);
        prop_assert!(!markup.contains("${") && !markup.contains("#{"), "{}", markup);
        prop_assert!(plain.chars().all(|c| c >= ' ' || c == '\t'), "{}", markup);
    }
}

/// The mistakes of a copy of the templates after one change.
fn template_mistakes(change: impl Fn(&Folder)) -> Vec<String> {
    let folder = Folder::with(GOOD);
    for channel in ["chat", "whatsapp", "sms", "errors"] {
        for file in std::fs::read_dir(templates().join(channel)).unwrap() {
            let file = file.unwrap().path();
            let name = file.file_name().unwrap().to_str().unwrap();
            folder.write(&format!("templates/{channel}/{name}"), &std::fs::read_to_string(&file).unwrap());
        }
    }
    change(&folder);
    let root = format!("{}/", folder.0.path().display());
    let told = load_all(&folder.path("bot-config.toml"), &variables(&[])).err().unwrap_or_default();
    told.iter().map(|mistake| mistake.to_string().replace(&root, "")).collect()
}

fn edit(folder: &Folder, file: &str, old: &str, new: &str) {
    let text = std::fs::read_to_string(folder.path(file)).unwrap();
    assert!(text.contains(old), "{file}: {old}");
    folder.write(file, &text.replace(old, new));
}

#[test]
fn a_whole_installation_loads() {
    assert_eq!(template_mistakes(|_| {}), Vec::<String>::new());
}

#[test]
fn mistakes_of_templates_are_told_with_those_of_the_file() {
    let invitation = "templates/whatsapp/liaison_invitation.en.toml";
    let told = template_mistakes(|folder| {
        edit(folder, "bot-config.toml", "\"bulk\"", "\"fly\"");
        std::fs::remove_file(folder.path("templates/sms/opt_in.de.toml")).unwrap();
        std::fs::remove_file(folder.path("templates/whatsapp/opted_out.en.toml")).unwrap();
        edit(folder, invitation, "consent:stop", "consent:no");
        edit(folder, "templates/whatsapp/opted_in.en.toml", "{{ firm }}", "{{ company }}");
        edit(folder, "templates/whatsapp/liaison_notice.de.toml", "{{notice}}", "{{news}}");
        edit(folder, "templates/sms/opted_in.en.toml", "}}", "}");
        edit(folder, "templates/sms/opted_in.de.toml", "body =", "text =");
        edit(folder, "templates/sms/advisor_left.en.toml", "is no longer", &"x".repeat(1700));
        folder.write("templates/sms/welcome.toml", "");
        folder.write("templates/whatsapp/extra.en.toml", "body = 'x'");
    });
    let expected = [
        "bot-config.toml: advisors[0].permissions: There is no permission \"fly\".",
        "templates/sms/opt_in.de.toml: The file is missing. Write it, or remove the language from this channel; it is there in: en.",
        "templates/whatsapp/opted_out.en.toml: The file is missing.",
        "templates/whatsapp/extra.de.toml: The file is missing.",
        "templates/whatsapp/liaison_invitation.en.toml: payloads: Not exactly one quick-reply button has the payload consent:stop.",
        "templates/whatsapp/opted_in.en.toml: body: There is no variable company. Known here are: contact.first,",
        "templates/whatsapp/liaison_notice.de.toml: components: There is no variable news.",
        "templates/sms/opted_in.en.toml: body: ",
        "templates/sms/opted_in.de.toml: unknown field `text`, expected `body`",
        "templates/sms/advisor_left.en.toml: body: templates/sms/advisor_left.en.toml has ",
        "templates/sms/welcome.toml: The file's name does not say what it is.",
    ];
    each_is_told(&told, &expected);
}

#[test]
fn chat_templates_that_are_missing_or_never_markup_are_told() {
    let body = |text: &str| format!("body = '''{text}'''");
    let told = template_mistakes(|folder| {
        for gone in ["held", "refusal-phone-invalid", "gate-words"] {
            std::fs::remove_file(folder.path(&format!("templates/chat/{gone}.en.toml"))).unwrap();
        }
        folder.write("templates/chat/withdrawn.en.toml", &body("<b>unclosed {{ contact.first }}"));
        folder.write("templates/chat/expired.en.toml", &body("{% if gate == \"window\" %}<i>{{ name }}</b>{% endif %}"));
        folder.write("templates/chat/failed.en.toml", &body("A & B of {{ name }}"));
        folder.write("templates/chat/released.en.toml", &body("{{ name | shout }}"));
        folder.write("templates/chat/info.en.toml", &body(" "));
    });
    let expected = [
        "templates/chat/held.en.toml: The file is missing. Write it; templates/chat/….en.toml shows its form.",
        "templates/chat/refusal-phone-invalid.en.toml: The file is missing.",
        "templates/chat/gate-words.en.toml: The file is missing.",
        "templates/chat/withdrawn.en.toml: body: The line cannot be posted: <b> is not closed.",
        "templates/chat/expired.en.toml: body: The line cannot be posted: </b> closes <i>.",
        "templates/chat/failed.en.toml: body: The line cannot be posted: \"& B of \" is no entity.",
        "templates/chat/released.en.toml: body: The line cannot be posted: unknown filter",
        "templates/chat/info.en.toml: body: The text is empty.",
    ];
    each_is_told(&told, &expected);
}

/// RULES, principles: nothing vanishes in silence.
#[test]
fn a_line_without_its_words_is_told_in_plain_ones() {
    let folder = Folder::with(GOOD);
    for channel in ["chat", "whatsapp", "sms", "errors"] {
        std::fs::create_dir_all(folder.path(&format!("templates/{channel}"))).unwrap();
    }
    for file in ["whatsapp.toml", "sms.toml"] {
        std::fs::copy(templates().join("errors").join(file), folder.path("templates/errors").join(file)).unwrap();
    }
    folder.write("templates/chat/held.en.toml", "body = '<b>{{ nothing }}'");
    let wording = Wording::load(&folder.path("templates"), TimeZone::UTC).unwrap();
    let held = Reply::new(Code::Held, "held").of(&MessageId::new("m-1")).because("window");
    let (line, data) = wording.chat_in_any_case(&held, "e-1/0");
    assert!(line.starts_with("<messageML>Something is to be told here") && line.ends_with("</messageML>"), "{line}");
    assert!(line.contains("(held, window)") && line.contains("templates/chat/held.en.toml"), "{line}");
    let entity = json!({"type":"liaison.message","version":"1","code":"held","message":"m-1","reason":"window","key":"e-1/0"});
    assert_eq!(data, json!({ "liaison": entity }), "programs read the same as ever");

    let client = Reply::new(Code::ClientMessage, "client-message").with("name", "Ann <Lee>").with("channel", "SMS");
    let (line, _) = wording.chat_in_any_case(&client.with("text", "Sell & buy\n${x}"), "e-2/0");
    assert_eq!(line, "<messageML><b>Ann &lt;Lee&gt;</b> · SMS<br/>Sell &amp; buy<br/>&#36;{x}</messageML>");
}

#[test]
fn a_folder_without_templates_is_told_for_each_channel() {
    let told = template_mistakes(|folder| std::fs::remove_dir_all(folder.path("templates")).unwrap());
    for channel in ["chat", "whatsapp", "sms"] {
        assert!(
            told.iter().any(|line| line.starts_with(&format!("templates/{channel}: The folder cannot be read"))),
            "{told:#?}"
        );
    }
    assert!(!told.iter().any(|line| line.contains("The file is missing")), "one line a folder is enough: {told:#?}");
    let told = template_mistakes(|folder| {
        std::fs::remove_dir_all(folder.path("templates/chat")).unwrap();
        std::fs::create_dir(folder.path("templates/chat")).unwrap();
    });
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].starts_with("templates/chat: There is no usable file in this folder."), "{told:#?}");
}
