//! A day of an advisor on WhatsApp, from the first invitation to a line that rests: everything at once, in one program.
use super::files::{file, png};
use super::outside::*;
use super::protocols::hook_of;
use serde_json::{Value, json};
use std::process::Command;

impl Outside {
    fn account(&self, path: &str) -> String {
        format!("{}/v23.0/{ACCOUNT}/{path}", self.address("whatsapp"))
    }

    /// What `liaison templates …` prints about this template, and whether it was content.
    fn templates(&self, arguments: &[&str], name: &str) -> (bool, Vec<String>) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_liaison"));
        command.arg("templates").args(arguments).args(["--json", "--config"]).arg(self.program.data.join("bot-config.toml"));
        let said = command.output().unwrap();
        let lines = String::from_utf8(said.stdout).unwrap();
        let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).filter(|line| line["name"] == name);
        (said.status.success(), lines.map(|line| line["state"].as_str().unwrap().to_owned()).collect())
    }

    async fn confirms_template(&self, room: &str, name: &str) {
        let preview = self.remark(JANE, room, &format!("/template send {name}")).await;
        assert!(preview.is("confirm"), "S4-25: {preview:?}");
        self.press(JANE, room, &preview, "confirm", "confirm", json!({})).await;
    }

    fn kinds(&self) -> Vec<String> {
        self.journal(&[]).iter().map(|entry| entry["kind"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn a_day_with_pictures_a_template_a_changed_person_and_a_line_that_is_throttled_and_then_restricted() {
    let folder = tempfile::tempdir().unwrap();
    let world = in_folder(folder.path());
    let client = world.agreed("Day").await;
    pictures_both_ways(&world, &client).await;
    a_template_is_missed_submitted_and_approved(&world, &client).await;
    // Its words are compared with its file when the bot looks at the account, as each start does.
    world.program.end();
    let world = in_folder(folder.path());
    world.confirms_template(&client.name, "follow_up").await;
    world.receives(&client.number, "follow_up").await;
    the_line_is_throttled(&world, &client).await;
    somebody_else_may_read_it(&world, &client).await;
    the_line_is_restricted(&world, &client).await;

    let lines = world.lines(JANE, &client.name).await;
    assert!(!lines.iter().any(|line| line.is("unconfirmed")), "nothing was in doubt: {lines:?}");
    let failed: Vec<&Line> = lines.iter().filter(|line| line.is("failed")).collect();
    assert!(failed.len() == 1 && failed[0].reason == "132001", "only the template that was not there: {failed:?}");
    let kinds = world.kinds();
    for kind in ["media.kept", "media.uploaded", "template.told", "consent.suspended", "line.stopped", "line.works_again"] {
        assert!(kinds.iter().any(|known| known == kind), "{kind} stands in the evidence: {kinds:?}");
    }
    assert!(!kinds.iter().any(|kind| kind == "quarantined"), "nothing was set aside");
}

async fn pictures_both_ways(world: &Outside, client: &Client) {
    let (theirs, ours) = (png(90_000), png(70_000));
    world.sends_picture(&client.number, &theirs, "Größe & Preis: https://acme.com/a").await;
    let line = world.line(JANE, &client.name, "the picture", |line| line.text.ends_with("https://acme.com/a")).await;
    assert!(line.text.contains("Größe & Preis"), "{line:?}");
    let shown = world.files_of(JANE, &client.name, &line).await;
    let path = format!("/api/rooms/files/{}/{}", line.id, shown[0]["id"].as_str().unwrap());
    assert!(world.bytes(&path).await == theirs, "the same bytes");
    world.says_with_files(JANE, &client.name, "your depot", json!([file("chart.png", "image/png", &ours)])).await;
    world.receives(&client.number, "[image] your depot").await;
    let phone = world.phone(&client.number).await;
    let there = phone.iter().find_map(|message| message["file"]["id"].as_str().filter(|_| message["direction"] == "in"));
    assert!(world.bytes(&format!("/api/phones/files/{}", there.unwrap())).await == ours);
}

async fn a_template_is_missed_submitted_and_approved(world: &Outside, client: &Client) {
    let listed = world.account("message_templates?name=follow_up");
    let gone = world.http.delete(listed).bearer_auth("sandbox-token").send().await.unwrap();
    assert!(gone.status().is_success());
    world.confirms_template(&client.name, "follow_up").await;
    world.line(JANE, &client.name, "that it is not there", |line| line.is("failed")).await;
    let refusal = world.remark(JANE, &client.name, "/template send follow_up").await;
    assert!(refusal.refuses("not-approved"), "not a second time: {refusal:?}");
    let (_, states) = world.templates(&["submit"], "follow_up");
    assert_eq!(states.iter().filter(|state| *state == "submitted").count(), 2, "in both languages: {states:?}");
    let approved = async || (world.kinds().iter().filter(|kind| *kind == "template.told").count() >= 2).then_some(());
    world.until("both are approved", approved).await;
    assert_eq!(world.templates(&["diff"], "follow_up"), (true, vec!["same".to_owned(); 2]));
}

async fn the_line_is_throttled(world: &Outside, client: &Client) {
    world.trouble("whatsapp", "429", 2).await;
    for text in ["first", "second", "third"] {
        world.say(JANE, &client.name, text).await;
    }
    world.receives(&client.number, "third").await;
    let received = world.received(&client.number).await;
    assert_eq!(received[received.len() - 3..], ["first", "second", "third"], "late, and in their order");
}

async fn somebody_else_may_read_it(world: &Outside, client: &Client) {
    let sign = hook_of(client, "wamid.DAYIDENTITY", None, |message| {
        message["type"] = json!("system");
        message["system"] = json!({ "body": "User identity changed", "type": "customer_identity_changed" });
    });
    assert_eq!(world.hook_signed(&sign).await, 200);
    world.line(JANE, &client.name, "the notice", |line| line.is("notice") && line.text.contains("somebody else")).await;
    world.say(JANE, &client.name, "For your eyes only").await;
    let question = world.line(JANE, &client.name, "the question of S3-6", |line| line.is("confirm") && !line.submitted).await;
    world.press(JANE, &client.name, &question, "confirm", "confirm", json!({})).await;
    let asked_again = async || (world.counts(&client.number, "liaison_invitation").await == 2).then_some(());
    world.until("the second invitation", asked_again).await;
    assert_eq!(world.counts(&client.number, "For your eyes only").await, 0, "held until the yes");
    world.tap(&client.number, "consent:yes").await;
    world.receives(&client.number, "For your eyes only").await;
}

async fn the_line_is_restricted(world: &Outside, client: &Client) {
    world.trouble("whatsapp", "failed-131048", 1).await;
    world.say(JANE, &client.name, "too much for today").await;
    let stopped = async || world.kinds().contains(&"line.stopped".to_owned()).then_some(());
    world.until("the line rests", stopped).await;
    world.say(JANE, &client.name, "after it").await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let texts = ["too much for today", "after it"];
    for text in texts {
        assert_eq!(world.counts(&client.number, text).await, 0, "nothing is tried before an hour is over");
    }
    world.advance("61m").await;
    world.receives(&client.number, "after it").await;
    let received = world.received(&client.number).await;
    assert_eq!(received[received.len() - 2..], texts, "each once, in their order");
    let works = async || world.kinds().contains(&"line.works_again".to_owned()).then_some(());
    world.until("the line works again", works).await;
}
