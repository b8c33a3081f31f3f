//! INTERFACES §8: only templates that the account has approved, in the words of our file, are sent; and marketing that a client refused.
use crate::common::world::*;
use liaison::domain::event::*;
use liaison::domain::ids::*;
use liaison::domain::policy::{Filed, Policy};
use liaison::domain::time::{Span, Timestamp};
use serde_json::json;
use std::collections::BTreeMap;

const FOLLOW_UP: &str = "/template send follow_up to=\"Ann Lee\"";

/// The files as a running bot has them: all of them in English.
fn with_files(policy: &mut Policy) {
    let file = |category: &str| Filed {
        meta_language: "en_US".to_owned(),
        category: category.to_owned(),
        fixed: 40,
        places: vec!["contact.first".to_owned(), "document".to_owned()],
    };
    let names = ["follow_up", "document_ready", "liaison_invitation", "liaison_message_waiting"];
    policy.filed = names.map(|name| (name.to_owned(), BTreeMap::from([("en".to_owned(), file("UTILITY"))]))).into();
    policy.filed.insert("newsletter".to_owned(), BTreeMap::from([("en".to_owned(), file("MARKETING"))]));
    let parameters = policy.templates["follow_up"].clone();
    policy.templates.insert("newsletter".to_owned(), parameters);
}

fn seen(name: &str, status: &str) -> TemplateSeen {
    TemplateSeen {
        name: name.to_owned(),
        language: "en_US".to_owned(),
        status: status.to_owned(),
        reason: None,
        category: if name == "newsletter" { "MARKETING".to_owned() } else { "UTILITY".to_owned() },
        quality: None,
        differs: None,
    }
}

fn looks(world: &mut World, templates: &[TemplateSeen]) -> Fed {
    let fed = world.feed(Fact::TemplatesListed(templates.to_vec()));
    world.work_off();
    fed
}

fn tells(world: &mut World, name: &str, news: TemplateNews) {
    let (name, language) = (name.to_owned(), "en_US".to_owned());
    world.feed(Fact::TemplateTold(TemplateTold { name, language, news }));
    world.work_off();
}

fn status(status: &str) -> TemplateNews {
    TemplateNews::Status { status: status.to_owned(), reason: Some("Too many blocked it.".to_owned()) }
}

fn all(state: &str) -> Vec<TemplateSeen> {
    ["follow_up", "document_ready", "liaison_invitation", "liaison_message_waiting", "newsletter"]
        .map(|name| seen(name, state))
        .into()
}

/// Ann agreed, every template is approved.
fn approved() -> World {
    let mut world = World::with(with_files);
    looks(&mut world, &all("APPROVED"));
    world.says("jane", &format!("{ADD_ANN} --room"));
    world.passes(Span::minutes(1));
    world.client(ANN).taps("consent:yes");
    world.passes(Span::minutes(1));
    world
}

#[test]
fn templates_that_are_not_approved_are_refused_with_why_and_what_to_do() {
    for state in ["PENDING", "REJECTED", "PAUSED", "DISABLED", "MISSING", "IN_APPEAL", "ARCHIVED"] {
        let mut world = approved();
        looks(&mut world, &[seen("follow_up", state)]);
        assert_eq!(world.says("jane", FOLLOW_UP), ["refusal(not-approved)"], "{state}");
        assert_eq!(world.last_reply("jane").vars["standing"]["status"], state);
        assert!(!world.sent_to(ANN).contains(&"<follow_up>".to_owned()), "{state}");
        looks(&mut world, &[seen("follow_up", "APPROVED")]);
        world.says("jane", FOLLOW_UP);
        world.presses("jane", "confirm");
        assert_eq!(world.state_of("<follow_up>"), "sent", "{state}");
    }
}

#[test]
fn a_file_that_differs_from_the_account_is_refused_before_its_first_send() {
    let mut world = approved();
    let differs = TemplateSeen { differs: Some("its body reads otherwise".to_owned()), ..seen("follow_up", "APPROVED") };
    looks(&mut world, &[differs]);
    assert_eq!(world.says("jane", FOLLOW_UP), ["refusal(not-approved)"]);
    assert_eq!(world.last_reply("jane").vars["standing"]["differs"], "its body reads otherwise");
    let told = world.last_reply("adam");
    assert_eq!(
        (told.template.as_str(), &told.vars["templates"][0]["differs"]),
        ("templates-changed", &json!("its body reads otherwise"))
    );
}

#[test]
fn an_edit_in_the_account_stops_the_template_until_it_was_compared() {
    let mut world = approved();
    tells(&mut world, "follow_up", TemplateNews::Rewritten);
    assert_eq!(world.says("jane", FOLLOW_UP), ["refusal(not-approved)"]);
    looks(&mut world, &[seen("follow_up", "APPROVED")]);
    assert_eq!(world.says("jane", FOLLOW_UP), ["confirm confirm-template"]);
}

#[test]
fn a_template_that_was_missing_is_sent_once_it_is_approved_and_compared() {
    let mut world = approved();
    looks(&mut world, &[seen("follow_up", "MISSING")]);
    tells(&mut world, "follow_up", status("APPROVED"));
    assert_eq!(world.says("jane", FOLLOW_UP), ["refusal(not-approved)"], "nobody has seen its words");
    looks(&mut world, &[seen("follow_up", "APPROVED")]);
    assert_eq!(world.says("jane", FOLLOW_UP), ["confirm confirm-template"]);
}

#[test]
fn a_pause_between_confirming_and_taking_holds_the_template_and_the_approval_sends_it() {
    let mut world = approved();
    world.says("jane", FOLLOW_UP);
    world.outbox_stands = true;
    world.presses("jane", "confirm");
    tells(&mut world, "follow_up", status("PAUSED"));
    world.outbox_stands = false;
    world.work_off();
    assert_eq!(world.state_of("<follow_up>"), "held(template)");
    let id = world.message("<follow_up>").id;
    world.says("jane", &format!("/why {id}"));
    assert_eq!(world.last_reply("jane").vars["blocker"], "template");
    world.in_room("Ann Lee").says("jane", "words of my own go on");
    assert_eq!(world.sent_to(ANN).last().map(String::as_str), Some("words of my own go on"));
    world.passes(Span::hours(3));
    tells(&mut world, "follow_up", status("APPROVED"));
    assert_eq!(world.state_of("<follow_up>"), "sent");
    tells(&mut world, "follow_up", status("PAUSED"));
    tells(&mut world, "follow_up", status("REINSTATED"));
    assert_eq!(world.sent_to(ANN).iter().filter(|text| *text == "<follow_up>").count(), 1, "once");
}

#[test]
fn s3_8_an_invitation_that_is_not_approved_waits_is_told_and_goes_by_itself() {
    let mut world = World::with(with_files);
    looks(&mut world, &all("APPROVED"));
    tells(&mut world, "liaison_invitation", status("PAUSED"));
    assert_eq!(world.last_told("adam"), "notice templates-changed");
    world.says("jane", &format!("{ADD_ANN} --room"));
    world.passes(Span::minutes(1));
    assert_eq!(world.sent_to(ANN), [""; 0]);
    assert!(world.told("Ann Lee").contains(&"held(template)".to_owned()), "{:?}", world.told("Ann Lee"));
    let answer = world.last_reply("jane");
    assert_eq!((answer.template.as_str(), &answer.vars["waits"]), ("contact-added", &json!(true)), "answered all the same");
    assert_eq!(world.in_room("Ann Lee").says("jane", "Good morning"), ["held(consent)"]);
    tells(&mut world, "liaison_invitation", status("APPROVED"));
    assert!(world.sent_to(ANN).contains(&"<liaison_invitation>".to_owned()));
    world.client(ANN).taps("consent:yes");
    assert_eq!(world.sent_to(ANN).last().map(String::as_str), Some("Good morning"));
}

#[test]
fn a_client_who_answers_while_the_invitation_waits_is_answered() {
    let mut world = World::with(with_files);
    looks(&mut world, &all("PENDING"));
    world.says("jane", &format!("{ADD_ANN} --room"));
    world.passes(Span::minutes(1));
    assert_eq!(world.client(ANN).writes("Hello?"), ["[liaison_invitation]"], "as a question with buttons");
    assert_eq!(world.client(ANN).writes("stop"), ["opted_out"]);
    looks(&mut world, &all("APPROVED"));
    assert!(!world.sent_to(ANN).contains(&"<liaison_invitation>".to_owned()), "after a stop it never goes");
}

#[test]
fn s0_24_a_notice_that_waited_goes_only_while_something_waits() {
    for answers in [false, true] {
        let mut world = approved();
        looks(&mut world, &[seen("liaison_message_waiting", "PAUSED")]);
        world.passes(Span::days(2));
        world.in_room("Ann Lee").says("jane", "Are you there?");
        assert!(!world.sent_to(ANN).contains(&"<liaison_message_waiting>".to_owned()));
        if answers {
            world.client(ANN).writes("I am");
        }
        looks(&mut world, &[seen("liaison_message_waiting", "APPROVED")]);
        let notices = world.sent_to(ANN).iter().filter(|text| *text == "<liaison_message_waiting>").count();
        assert_eq!(notices, usize::from(!answers));
    }
}

#[test]
fn many_that_wait_for_one_approval_all_go() {
    let mut world = World::with(|policy| {
        with_files(policy);
        policy.waiting_notice = false;
    });
    looks(&mut world, &all("PENDING"));
    for n in 0..230 {
        let phone = format!("+49151123{n:05}");
        world.says("jane", &format!("/contact add C{n} Lee phone={phone} email=c{n}@lee.de channel=whatsapp"));
        world.says("jane", &format!("/optin send c{n}@lee.de"));
        world.presses("jane", "confirm");
    }
    assert_eq!(world.sends.len(), 0);
    looks(&mut world, &all("APPROVED"));
    world.passes(Span::seconds(1));
    assert_eq!(world.sends.len(), 230);
}

#[test]
fn a_look_that_shows_nothing_new_leaves_nothing_behind() {
    let mut world = approved();
    let told = world.told("adam").len();
    assert_eq!(looks(&mut world, &all("APPROVED")), Fed::Nothing);
    assert_eq!(world.told("adam").len(), told);
}

#[test]
fn admins_read_of_each_change_once() {
    let mut world = approved();
    assert_eq!(world.told("adam").iter().filter(|told| told.contains("templates-changed")).count(), 0, "all was well");
    let quality = |score: &str| TemplateNews::Quality { score: score.to_owned() };
    let rows = [
        (quality("YELLOW"), Some("quality")),
        (quality("GREEN"), None),
        (TemplateNews::Category { category: "MARKETING".to_owned() }, Some("category")),
        (TemplateNews::Category { category: "UTILITY".to_owned() }, None),
        (status("FLAGGED"), Some("reason")),
        (status("PAUSED"), Some("not-approved")),
        (status("PAUSED"), None),
        (status("DISABLED"), Some("not-approved")),
        (status("APPROVED"), Some("approved")),
    ];
    for (news, expected) in rows {
        let before = world.told("adam").len();
        tells(&mut world, "follow_up", news.clone());
        let told = world.told("adam").len() - before;
        assert_eq!(told, usize::from(expected.is_some()), "{news:?}");
        if let Some(expected) = expected {
            assert_eq!(world.last_reply("adam").vars["templates"][0]["news"], expected, "{news:?}");
        }
    }
}

#[test]
fn what_is_told_in_whole_seconds_right_after_a_look_counts() {
    let mut world = approved();
    looks(&mut world, &[seen("follow_up", "PENDING")]);
    looks(&mut world, &[seen("follow_up", "APPROVED")]);
    let told = TemplateTold { name: "follow_up".to_owned(), language: "en_US".to_owned(), news: status("PAUSED") };
    let (id, at) = (world.fresh("told"), world.now - Span(999));
    world.feed_as(&id, at, Fact::TemplateTold(told));
    world.work_off();
    assert_eq!(world.says("jane", FOLLOW_UP), ["refusal(not-approved)"]);
}

#[test]
fn what_is_told_late_of_a_template_changes_nothing() {
    let mut world = approved();
    let (now, news) = (world.now, status("PAUSED"));
    let told = TemplateTold { name: "follow_up".to_owned(), language: "en_US".to_owned(), news };
    world.feed_as("late", now - Span::hours(1), Fact::TemplateTold(told));
    assert_eq!(world.says("jane", FOLLOW_UP), ["confirm confirm-template"]);
    assert!(world.kinds().contains(&"template.told"), "but it stands in the journal");
}

#[test]
fn a_send_refused_for_the_templates_sake_stops_the_next_ones() {
    let mut world = approved();
    world.says("jane", FOLLOW_UP);
    world.troubles.push_back(Trouble::Fails("132015"));
    world.presses("jane", "confirm");
    assert_eq!(world.state_of("<follow_up>"), "failed(132015)");
    assert_eq!(world.says("jane", FOLLOW_UP), ["refusal(not-approved)"]);
    assert_eq!(world.last_told("adam"), "notice templates-changed");
}

#[test]
fn a_send_refused_because_the_template_is_gone_waits_for_a_look_at_whatever_comes_in_its_place() {
    let mut world = approved();
    world.says("jane", FOLLOW_UP);
    world.troubles.push_back(Trouble::Fails("132001"));
    world.presses("jane", "confirm");
    tells(&mut world, "follow_up", status("APPROVED"));
    assert_eq!(world.says("jane", FOLLOW_UP), ["refusal(not-approved)"], "nobody has seen its words");
    looks(&mut world, &[seen("follow_up", "APPROVED")]);
    assert_eq!(world.says("jane", FOLLOW_UP), ["confirm confirm-template"]);
}

#[test]
fn an_approval_in_the_very_second_of_a_refusal_counts() {
    let mut world = approved();
    world.passes(Span(999 - world.now.0 % 1_000));
    world.says("jane", FOLLOW_UP);
    world.troubles.push_back(Trouble::Fails("132015"));
    world.presses("jane", "confirm");
    let told = TemplateTold { name: "follow_up".to_owned(), language: "en_US".to_owned(), news: status("UNPAUSED") };
    let whole = Timestamp(world.now.0 - world.now.0 % 1_000);
    world.feed_as("unpaused", whole, Fact::TemplateTold(told));
    world.work_off();
    assert_eq!(world.says("jane", FOLLOW_UP), ["confirm confirm-template"]);
}

#[test]
fn values_are_checked_before_anything_is_sent() {
    let mut world = approved();
    let send = |value: &str| format!("/template send document_ready document=\"{value}\" to=\"Ann Lee\"");
    assert_eq!(world.says("jane", &send("  ")), ["refusal(missing-parameter)"]);
    assert_eq!(world.says("jane", "/template send document_ready to=\"Ann Lee\""), ["refusal(missing-parameter)"]);
    assert_eq!(
        world.says("jane", "/template send document_ready document=x color=red to=\"Ann Lee\""),
        ["refusal(bad-argument)"]
    );
    assert_eq!(world.says("jane", &send(&"x".repeat(1_024))), ["refusal(too-long)"]);
    assert_eq!(world.says("jane", &send("your\n tax\t report     2026")), ["confirm confirm-template"]);
    let body = world.last_reply("jane").vars["body"].to_string();
    assert!(body.contains("your tax report 2026"), "on one line, as it is previewed and quoted: {body}");
}

// ---- marketing

fn chooses(world: &mut World, wants_none: bool, ago: Span) {
    let chosen = MarketingChosen {
        channel: Channel::WhatsApp,
        line: LineId::new(LINE),
        from: keys_of(ANN),
        wants_none,
        detail: "User requested it".to_owned(),
    };
    let (id, at) = (world.fresh("choice"), world.now - ago);
    world.feed_as(&id, at, Fact::MarketingChosen(chosen));
    world.work_off();
}

const NEWSLETTER: &str = "/template send newsletter to=\"Ann Lee\"";

#[test]
fn a_client_who_wants_no_marketing_gets_no_marketing_and_everything_else() {
    let mut world = approved();
    chooses(&mut world, true, Span(0));
    assert_eq!(world.last_told("Ann Lee"), "info marketing-choice");
    assert_eq!(world.says("jane", NEWSLETTER), ["refusal(opted-out)"]);
    assert_eq!(world.last_reply("jane").vars["marketing"], true);
    assert_eq!(world.consent(ANN).name(), "OPTED_IN", "it is no opt-out");
    world.in_room("Ann Lee").says("jane", "Good morning");
    assert_eq!(world.state_of("Good morning"), "sent");
    world.says("jane", FOLLOW_UP);
    world.presses("jane", "confirm");
    assert_eq!(world.state_of("<follow_up>"), "sent", "a utility template");
    world.says("jane", "/consent show \"Ann Lee\"");
    assert!(!world.last_reply("jane").vars["channels"][0]["no_marketing_since"].is_null());
    chooses(&mut world, false, Span(0));
    assert_eq!(world.says("jane", NEWSLETTER), ["confirm confirm-template"]);
}

#[test]
fn the_latest_choice_about_marketing_wins_by_the_providers_time() {
    let mut world = approved();
    chooses(&mut world, false, Span::minutes(1));
    chooses(&mut world, true, Span::minutes(2));
    assert_eq!(world.says("jane", NEWSLETTER), ["confirm confirm-template"]);
}

#[test]
fn a_marketing_template_on_its_way_is_withdrawn_at_the_taking() {
    let mut world = approved();
    world.says("jane", NEWSLETTER);
    world.outbox_stands = true;
    world.presses("jane", "confirm");
    chooses(&mut world, true, Span(0));
    world.outbox_stands = false;
    world.work_off();
    assert_eq!(world.state_of("<newsletter>"), "withdrawn(marketing)");
    assert!(!world.sent_to(ANN).contains(&"<newsletter>".to_owned()));
}

#[test]
fn a_template_that_whatsapp_makes_marketing_falls_under_the_choice() {
    let mut world = approved();
    chooses(&mut world, true, Span(0));
    tells(&mut world, "follow_up", TemplateNews::Category { category: "MARKETING".to_owned() });
    assert_eq!(world.says("jane", FOLLOW_UP), ["refusal(opted-out)"]);
}

#[test]
fn a_refusal_with_131050_is_the_same_choice() {
    let mut world = approved();
    world.says("jane", NEWSLETTER);
    world.troubles.push_back(Trouble::Fails("131050"));
    world.presses("jane", "confirm");
    assert_eq!(world.says("jane", NEWSLETTER), ["refusal(opted-out)"]);
    assert_eq!(world.consent(ANN).name(), "OPTED_IN");
}

#[test]
fn a_choice_of_somebody_unknown_is_kept_in_the_journal() {
    let mut world = World::new();
    chooses(&mut world, true, Span(0));
    assert!(world.kinds().contains(&"client.marketing_of_unknown"));
}
