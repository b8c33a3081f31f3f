//! Sub-organisations: what one has not set is as in its parent, and at last as in the firm; who covers for whom.
use crate::common::world::*;
use liaison::domain::entitlement::Rights;
use liaison::domain::event::MemberChange;
use liaison::domain::ids::*;
use liaison::domain::policy::{GroupRelay, Policy, QuietHours};
use liaison::domain::sub_orgs::{Setting, SubOrg};
use liaison::domain::time::Span;
use serde_json::json;
use std::collections::BTreeSet;

const HERE: &str = "Private Clients";
/// The world's own clock shows 10:00 where Ann lives, so these are over.
const NIGHT: QuietHours = QuietHours { open_from: 20 * 60, open_until: 21 * 60 };

/// Private Clients below Wealth below the firm.
fn tree(policy: &mut Policy, wealth: SubOrg, own: SubOrg) {
    policy.sub_orgs.insert("Wealth".to_owned(), wealth);
    policy.sub_orgs.insert(HERE.to_owned(), SubOrg { parent: Some("Wealth".to_owned()), ..own });
}

fn covered_by(emails: &[&str]) -> SubOrg {
    SubOrg { cover: Some(emails.iter().map(|email| (*email).to_owned()).collect()), ..SubOrg::default() }
}

/// Who is in the room in which this text stands.
fn readers(world: &World, text: &str) -> Vec<u64> {
    let read: Vec<&Posted> = world.posts.iter().filter(|post| said_as(post).ends_with(text)).collect();
    assert_eq!(read.len(), 1, "{text} stands in one place");
    let room = world.rooms().into_iter().find(|room| room.stream.as_ref() == Some(&read[0].stream)).unwrap();
    room.members.keys().map(|user| user.0).collect()
}

fn confirmed(world: &mut World, who: &str, command: &str) {
    world.in_room("Ann Lee").says(who, command);
    world.presses(who, "confirm");
}

// ---- settings

#[test]
fn s4_30_each_setting_is_the_nearest_one_on_the_way_up() {
    let mut firm = policy();
    let whatsapp = BTreeSet::from([Channel::WhatsApp]);
    let wealth = SubOrg {
        channels: Some(whatsapp),
        group_relay: Some(GroupRelay::Advisors),
        quiet_hours: Some(Some(NIGHT)),
        waiting_notice: Some(false),
        held_expiry: Some(Span::hours(36)),
        held_max: Some(3),
        native_groups: Some(false),
        ..covered_by(&["bob.ray@acme.com"])
    };
    let own = SubOrg { quiet_hours: Some(None), held_max: Some(5), ..SubOrg::default() };
    tree(&mut firm, wealth, own);
    let shown = |sub_org: &str| -> Vec<(String, Option<String>)> {
        let row = |of: Setting| (format!("{}={}", of.name, of.value), of.from);
        firm.settings_of(sub_org).into_iter().map(row).collect()
    };
    let from = |text: &str, sub_org: &str| (text.to_owned(), Some(sub_org.to_owned()));
    let expected = [
        from("channels=WhatsApp", "Wealth"),
        from("cover=bob.ray@acme.com", "Wealth"),
        from("native_groups=false", "Wealth"),
        from("group_relay=advisors", "Wealth"),
        from("quiet_hours=off", HERE),
        from("waiting_notice=false", "Wealth"),
        from("held_expiry=36h", "Wealth"),
        from("held_max=5", HERE),
    ];
    assert_eq!(shown(HERE), expected);
    assert_eq!(shown("Wealth")[4], from("quiet_hours=20:00-21:00", "Wealth"));
    let firms = |text: &str| (text.to_owned(), None);
    let expected =
        ["channels=WhatsApp", "cover=", "native_groups=true", "group_relay=all", "quiet_hours=off", "waiting_notice=true"];
    assert_eq!(shown("Retail")[..6], expected.map(firms), "one that is not listed has what the firm has");
    assert_eq!(shown("Retail")[6..], ["held_expiry=14d", "held_max=20"].map(firms));
}

#[test]
fn s4_30_quiet_hours_of_the_rooms_own_sub_organisation_hold_its_messages() {
    let mut world = World::agreed(|policy| {
        let wealth = SubOrg { quiet_hours: Some(Some(NIGHT)), ..SubOrg::default() };
        tree(policy, wealth, SubOrg::default());
    });
    world.in_room("Ann Lee").says("jane", "At night");
    assert_eq!(world.state_of("At night"), "held(quiet_hours)");
    world.in_room("Ann Lee").says("jane", "/why Ann Lee");
    assert!(world.last_reply("Ann Lee").vars["quiet"].is_object());
    world.passes(Span::hours(12));
    assert_eq!(world.state_of("At night"), "sent", "the morning wakes it");
    // The same hour in a sub-organisation that has cut them off.
    let mut world = World::agreed(|policy| {
        policy.quiet_hours = Some(NIGHT);
        tree(policy, SubOrg::default(), SubOrg { quiet_hours: Some(None), ..SubOrg::default() });
    });
    world.in_room("Ann Lee").says("jane", "By day");
    assert_eq!(world.state_of("By day"), "sent");
}

#[test]
fn s0_1_what_a_sub_organisation_does_not_use_nobody_in_it_may_use() {
    let closed = |policy: &mut Policy| {
        direct_line(policy);
        tree(policy, SubOrg { channels: Some(BTreeSet::from([Channel::WhatsApp])), ..SubOrg::default() }, SubOrg::default());
    };
    let mut world = World::agreed(closed);
    assert_eq!(world.says("jane", "/contact add Sam Hill phone=+19175550123 channel=sms"), ["refusal(not-entitled)"]);
    world.in_room("Ann Lee").says("jane", "Hello");
    assert_eq!(world.state_of("Hello"), "sent", "the other channel is as it was");
    world.says("adam", "/admin show @jane.doe@acme.com");
    let shown = world.last_reply("adam").vars;
    assert_eq!(shown["closed"], json!(["SMS"]));
    assert_eq!(shown["settings"][0], json!({ "name": "channels", "value": "WhatsApp", "from": "Wealth" }));
    // What she was given stays hers: where the channel is used again, or elsewhere, she has it.
    world.says("adam", "/admin entitle @jane.doe@acme.com channel=whatsapp permissions=transfer");
    let given: Rights = world.all("grant/").pop().unwrap();
    assert_eq!(given.channels.keys().copied().collect::<Vec<_>>(), Channel::ALL);
    world.says("adam", "/admin suborg @jane.doe@acme.com Retail");
    assert!(
        world.says("jane", "/contact add Sam Hill phone=+19175550123 channel=sms").contains(&"answer contact-added".to_owned())
    );
}

#[test]
fn s1_1_native_groups_and_who_reads_whom_are_a_sub_organisations_choice() {
    let mut world = World::agreed(|policy| {
        let wealth = SubOrg { native_groups: Some(false), group_relay: Some(GroupRelay::Advisors), ..SubOrg::default() };
        tree(policy, wealth, SubOrg::default());
    });
    world.says("jane", "/contact add Ben Orr phone=+4915112345699 email=ben@orr.de channel=whatsapp");
    world.client(BEN).taps("consent:yes");
    world.says("jane", &format!("/group create \"Two\" contacts={ANN},{BEN}"));
    assert_eq!(world.last_reply("jane").reason.as_deref(), Some("feature-off"));
    let before = world.sent_to(BEN).len();
    world.client(ANN).writes("Hello Ben");
    assert_eq!(world.sent_to(BEN).len(), before, "only the firm sees it");
}

#[test]
fn s4_30_suborg_says_what_holds_there_and_takes_no_name_that_is_not_listed() {
    let mut world = World::agreed(|policy| {
        tree(policy, SubOrg { held_max: Some(3), ..SubOrg::default() }, SubOrg::default());
    });
    assert_eq!(world.says("adam", "/admin suborg @jane.doe@acme.com \"Privat Clients\""), ["refusal(bad-argument)"]);
    assert!(world.last_reply("adam").vars["why"].as_str().unwrap().contains("Private Clients, Wealth"));
    // Retail is not in the list, but advisors of the configuration belong to it.
    world.says("adam", "/admin suborg @jane.doe@acme.com Retail");
    assert_eq!(world.last_reply("adam").template, "handover-report");
    world.says("adam", &format!("/admin suborg @jane.doe@acme.com \"{HERE}\""));
    let settings = world.last_reply("adam").vars["settings"].clone();
    assert!(settings.as_array().unwrap().contains(&json!({ "name": "held_max", "value": "3", "from": "Wealth" })), "{settings}");
}

// ---- cover

#[test]
fn s4_33_when_the_last_one_has_left_the_next_message_reaches_the_inherited_cover() {
    let mut world = World::agreed(|policy| {
        policy.default_advisors = vec!["olga@acme.com".to_owned()];
        tree(policy, covered_by(&["bob.ray@acme.com"]), SubOrg::default());
    });
    confirmed(&mut world, "jane", "/room leave");
    assert_eq!(world.last_reply("jane").vars["cover"], json!(["Bob Ray"]), "she reads who stands in for her");
    world.client(ANN).writes("Anybody?");
    assert_eq!(readers(&world, "Anybody?"), [2]);
}

#[test]
fn s4_33_cover_comes_before_those_who_list_the_client_and_an_empty_one_cuts_it_off() {
    let left = |own: SubOrg| {
        let mut world = World::agreed(|policy| tree(policy, covered_by(&["bob.ray@acme.com"]), own));
        world.says("jane", "/contact share Ann Lee @olga@acme.com");
        world.presses("jane", "confirm");
        confirmed(&mut world, "jane", "/room leave");
        world.client(ANN).writes("Anybody?");
        readers(&world, "Anybody?")
    };
    assert_eq!(left(SubOrg::default()), [2], "Bob covers, although Olga lists her");
    assert_eq!(left(covered_by(&[])), [4], "Olga lists her, and here nobody covers");
    assert_eq!(left(covered_by(&["carl@acme.com", "bob.ray@acme.com"])), [2, 5], "its own");
}

#[test]
fn s4_30_cover_of_another_sub_organisation_reads_nothing_while_one_of_ours_is_there() {
    let mut world =
        World::agreed(|policy| tree(policy, covered_by(&["eve.fox@acme.com", "bob.ray@acme.com"]), SubOrg::default()));
    confirmed(&mut world, "jane", "/room leave");
    world.client(ANN).writes("Anybody?");
    assert_eq!(readers(&world, "Anybody?"), [2]);
}

#[test]
fn s4_33_whoever_has_left_or_may_not_use_the_channel_covers_nobody() {
    let mut world = World::agreed(|policy| {
        policy.default_advisors = vec!["olga@acme.com".to_owned()];
        tree(policy, covered_by(&["jane.doe@acme.com", "adam@acme.com", "bob.ray@acme.com"]), SubOrg::default());
    });
    world.member("Ann Lee", "bob", MemberChange::Joined);
    confirmed(&mut world, "bob", "/room leave");
    confirmed(&mut world, "jane", "/room leave");
    world.client(ANN).writes("Anybody?");
    assert_eq!(readers(&world, "Anybody?"), [4], "Jane and Bob have left, Adam has no channel: the default list");
}

#[test]
fn offboard_says_where_the_leaver_still_covers() {
    let mut world = World::agreed(|policy| tree(policy, covered_by(&["jane.doe@acme.com"]), SubOrg::default()));
    world.says("adam", "/admin offboard @jane.doe@acme.com to=@bob.ray@acme.com");
    world.presses("adam", "confirm");
    assert_eq!(world.last_reply("adam").vars["covers"], json!(["Wealth"]));
}
