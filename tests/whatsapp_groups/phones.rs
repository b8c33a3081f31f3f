//! Groups on the phones: what each member sees, and nobody else.
use super::emulator::{ANN, BOB, EVE, Stage};
use super::*;
use serde_json::{Value, json};

#[tokio::test]
async fn members_see_each_other_and_the_firm_and_only_since_they_joined() {
    let stage = Stage::new().await;
    let (group, link) = stage.group("Lee family").await;
    stage.joins(ANN, &group, &link).await;
    stage.meta.write_in_group(ANN, group.as_str(), "Before Bob", None).unwrap();
    stage.joins(BOB, &group, &link).await;
    assert!(done(stage.send(&group, "m-1A2B3C4D", "Good morning").await).is_some());
    let quoted = stage.meta.groups_of(BOB)[0].messages[0].id.clone();
    stage.meta.write_in_group(BOB, group.as_str(), "Thanks", Some(&quoted)).unwrap();
    let seen = |number: &str| -> Vec<(String, String, String)> {
        let messages = stage.meta.groups_of(number).remove(0).messages;
        messages.into_iter().map(|message| (message.from, message.direction, message.text)).collect()
    };
    let line = |from: &str, direction: &str, text: &str| (from.to_owned(), direction.to_owned(), text.to_owned());
    let of_ann =
        [line("Ann Lee", "out", "Before Bob"), line("Acme Wealth", "in", "Good morning"), line("Bob Ray", "in", "Thanks")];
    assert_eq!(seen(ANN), of_ann);
    assert_eq!(seen(BOB), [line("Acme Wealth", "in", "Good morning"), line("Bob Ray", "out", "Thanks")]);
    assert!(stage.meta.groups_of(EVE).is_empty());
    assert!(stage.meta.messages(ANN).is_empty(), "the chat with the firm is another conversation");
    stage
        .until("the quotation", |fact| match fact {
            liaison::domain::event::Fact::ClientMessage(message) => {
                message.quoted.as_ref().filter(|id| id.as_str() == quoted).map(drop)
            }
            _ => None,
        })
        .await;
    assert_eq!(stage.whatsapp_code_of_text_to(ANN).await, 131047, "what is said in a group opens no window of one's own");
}

#[tokio::test]
async fn a_template_bears_the_link_and_the_phone_follows_it() {
    let stage = Stage::new().await;
    let (group, link) = stage.group("Lee family").await;
    let body = json!([{"type": "BODY", "text": "Please join {{group}} soon.", "example": {}}]);
    stage.meta.register_template("liaison_group_invite", "en_US", "UTILITY", body).unwrap();
    let invite = |group: &str| {
        let parameter = json!({"type": "group_id", "group_id": group, "parameter_name": "group"});
        let components = json!([{"type": "BODY", "parameters": [parameter]}]);
        json!({"messaging_product": "whatsapp", "to": ANN, "type": "template",
            "template": {"name": "liaison_group_invite", "language": {"code": "en_US"}, "components": components}})
    };
    assert_eq!(stage.post(&invite("no-such-group")).await["error"]["code"], 131041);
    assert!(stage.post(&invite(group.as_str())).await["messages"][0]["id"].is_string());
    let text = stage.meta.messages(ANN)[0].text.clone();
    assert_eq!(text, format!("Please join {link} soon."));
    assert_eq!(stage.meta.follow_link(ANN, &link).unwrap().standing, "asked");
    assert_eq!(stage.meta.follow_link(ANN, &link).unwrap().standing, "asked", "once is enough");
    assert!(stage.meta.follow_link(ANN, "https://chat.whatsapp.com/nothing").is_err());
}

#[tokio::test]
async fn a_group_takes_no_buttons_and_no_cards() {
    let stage = Stage::new().await;
    let (group, link) = stage.group("Lee family").await;
    stage.joins(ANN, &group, &link).await;
    stage.meta.write_in_group(ANN, group.as_str(), "Hello", None).unwrap();
    for kind in ["interactive", "reaction", "location", "contacts"] {
        let body =
            json!({"messaging_product": "whatsapp", "recipient_type": "group", "to": group.as_str(), "type": kind, kind: {}});
        assert_eq!(stage.post(&body).await["error"]["code"], 131051, "{kind}");
    }
    let individual = json!({"messaging_product": "whatsapp", "to": group.as_str(), "type": "text", "text": {"body": "x"}});
    assert_eq!(stage.post(&individual).await["error"]["code"], 131009);
}

#[tokio::test]
async fn without_approval_whoever_has_the_link_is_in() {
    let stage = Stage::new().await;
    let url = format!("{}/v25.0/{LINE}/groups", stage.url);
    let body = json!({"messaging_product": "whatsapp", "subject": "Open house"});
    let made = reqwest::Client::new().post(url).bearer_auth("sandbox-token").json(&body).send().await.unwrap();
    assert_eq!(made.status().as_u16(), 200);
    let group = GroupId::new(done(stage.call(find("Open house", NOON)).await).unwrap());
    let link = done(stage.call(link(&group, false)).await).unwrap();
    assert_eq!(stage.meta.follow_link(EVE, &link).unwrap().standing, "in");
    assert!(stage.meta.follow_link(EVE, &link).is_err(), "he is in already");
}

impl Stage {
    async fn post(&self, body: &Value) -> Value {
        let url = format!("{}/v25.0/{LINE}/messages", self.url);
        let answer = reqwest::Client::new().post(url).bearer_auth("sandbox-token").json(body).send().await.unwrap();
        answer.json().await.unwrap()
    }

    async fn whatsapp_code_of_text_to(&self, number: &str) -> i64 {
        let body = json!({"messaging_product": "whatsapp", "to": number, "type": "text", "text": {"body": "x"}});
        self.post(&body).await["error"]["code"].as_i64().unwrap_or_default()
    }
}
