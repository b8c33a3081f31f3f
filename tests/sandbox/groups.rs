//! WhatsApp groups by the phones' control calls, made by somebody's own client of the WhatsApp API.
use super::files::{file, png};
use super::outside::*;
use serde_json::{Value, json};
use std::time::Duration;

impl Outside {
    async fn graph(&self, method: reqwest::Method, path: &str, body: Value) -> Value {
        let url = format!("{}/v25.0/{path}", self.address("whatsapp"));
        let asked = self.http.request(method, url).bearer_auth("sandbox-token");
        let asked = if body.is_null() { asked } else { asked.json(&body) };
        asked.send().await.unwrap().json().await.unwrap()
    }

    async fn groups(&self, number: &str) -> Vec<Value> {
        let url = format!("{}/api/phones/{number}/groups", self.address("page"));
        self.http.get(url).send().await.unwrap().json().await.unwrap()
    }

    async fn refused(&self, path: &str, body: Value) -> Value {
        let answer = self.http.post(format!("{}{path}", self.address("page"))).json(&body).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 400, "{path}");
        answer.json().await.unwrap()
    }
}

#[tokio::test]
async fn a_phone_asks_to_join_writes_and_leaves_by_control_calls() {
    let world = own();
    let (ann, bob) = (client("Ann"), client("Bob"));
    world.has_phone(&ann).await;
    world.has_phone(&bob).await;
    let whatsapp = |more: Value| {
        let mut body = json!({ "messaging_product": "whatsapp" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let create =
        whatsapp(json!({ "subject": "Lee family", "description": "With Jane", "join_approval_mode": "approval_required" }));
    assert!(world.graph(reqwest::Method::POST, &format!("{LINE_ID}/groups"), create).await["request_id"].is_string());
    let listed = world.graph(reqwest::Method::GET, &format!("{LINE_ID}/groups"), Value::Null).await;
    let group = listed["data"]["groups"][0]["id"].as_str().unwrap().to_owned();
    let link = world.graph(reqwest::Method::GET, &format!("{group}/invite_link"), Value::Null).await["invite_link"].clone();

    let phone = |number: &str, what: &str| format!("/api/phones/{number}/{what}");
    let asked = world.post(&phone(&ann.number, "groups/join"), json!({ "link": link })).await;
    assert_eq!((&asked["standing"], &asked["name"], &asked["members"]), (&json!("asked"), &json!("Lee family"), &json!([])));
    let into = |text: &str| json!({ "group": group, "text": text });
    world.refused(&phone(&ann.number, "messages"), into("Too early")).await;

    let requests = world.graph(reqwest::Method::GET, &format!("{group}/join_requests"), Value::Null).await;
    let request = whatsapp(json!({ "join_requests": [requests["data"][0]["join_request_id"]] }));
    let approved = world.graph(reqwest::Method::POST, &format!("{group}/join_requests"), request).await;
    assert_eq!(approved["approved_join_requests"].as_array().map(Vec::len), Some(1), "{approved}");
    let written = world.post(&phone(&ann.number, "messages"), into("Hello all")).await;
    assert_eq!(
        (&written["channel"], &written["direction"], &written["text"]),
        (&json!("whatsapp"), &json!("out"), &json!("Hello all"))
    );
    let picture = json!({ "base64": "cG5n", "mime_type": "image/png", "filename": "a.png", "caption": "look" });
    let sent = world.post(&phone(&ann.number, "messages"), json!({ "group": group, "image": picture })).await;
    assert_eq!((&sent["file"]["mime"], &sent["text"]), (&json!("image/png"), &json!("[image] look")));
    let seen = world.groups(&ann.number).await;
    assert_eq!((&seen[0]["standing"], &seen[0]["description"]), (&json!("in"), &json!("With Jane")));
    assert_eq!((&seen[0]["messages"][0]["text"], &seen[0]["members"][0]["number"]), (&json!("Hello all"), &json!(ann.number)));
    assert_eq!(world.groups(&bob.number).await.len(), 0);

    let left = world.post(&phone(&ann.number, &format!("groups/{group}/leave")), json!({})).await;
    assert_eq!(left["standing"], "left");
    let why = world.refused(&phone(&ann.number, "messages"), into("Too late")).await;
    assert_eq!(why["error"], "You are not in this group.");
    world.refused(&phone(&bob.number, "groups/join"), json!({ "link": "https://chat.whatsapp.com/nothing" })).await;
    world.trouble("whatsapp", "131215", 1).await;
    let refused = world.graph(reqwest::Method::GET, &format!("{LINE_ID}/groups"), Value::Null).await;
    assert_eq!(refused["error"]["code"], 131215);
}

// ---- by an advisor, through the bot

/// What its members read when something about it has changed.
const CHANGED: &str = "liaison_group_changed";

impl Outside {
    /// A client who has agreed and whose 24 hours are over.
    async fn agreed_long_ago(&self, first: &str) -> Client {
        let client = self.agreed(first).await;
        self.advance("25h").await;
        client
    }

    /// What the phone got by itself with a link in it, the newest link last.
    async fn links(&self, number: &str) -> Vec<String> {
        let own = self.phone(number).await;
        let texts = own.iter().filter(|message| message["direction"] == "in").filter_map(|message| message["text"].as_str());
        let links = texts.flat_map(|text| text.split_whitespace()).filter(|word| word.starts_with("https://chat.whatsapp.com/"));
        links.map(str::to_owned).collect()
    }

    async fn link(&self, number: &str) -> String {
        self.until("the personal link", async || self.links(number).await.pop()).await
    }

    async fn group(&self, number: &str, name: &str) -> Option<Value> {
        self.groups(number).await.into_iter().find(|group| group["name"] == name)
    }

    async fn stands(&self, number: &str, name: &str, standing: &str) {
        let now = async || (self.group(number, name).await?["standing"] == standing).then_some(());
        for _ in 0..800 {
            if now().await.is_some() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        let of_groups = |entry: &Value| entry["kind"].as_str().unwrap_or_default().starts_with("group.");
        let told: Vec<Value> = self.journal(&[]).into_iter().filter(of_groups).collect();
        panic!("{number} is not {standing} in {name}: {:?}; {told:#?}", self.group(number, name).await);
    }

    /// He follows his link and is let in.
    async fn joins(&self, client: &Client, name: &str) {
        let link = self.link(&client.number).await;
        self.post(&format!("/api/phones/{}/groups/join", client.number), json!({ "link": link })).await;
        self.stands(&client.number, name, "in").await;
        let told = |line: &Line| line.is("notice") && line.contact_is(client, "is in the WhatsApp group now");
        self.line(JANE, name, "that he is in", told).await;
    }

    async fn writes_in_group(&self, client: &Client, name: &str, text: &str) {
        let group = self.group(&client.number, name).await.unwrap();
        self.post(&format!("/api/phones/{}/messages", client.number), json!({ "group": group["id"], "text": text })).await;
        let shown = |line: &Line| line.is("client_message") && line.text.contains(text);
        self.line(JANE, name, "his words in the room", shown).await;
    }

    /// What this phone got in the group: a template's name or the text.
    async fn read_in_group(&self, number: &str, name: &str) -> Vec<String> {
        let messages = self.group(number, name).await.map(|group| group["messages"].clone()).unwrap_or_default();
        let got = messages.as_array().into_iter().flatten().filter(|message| message["direction"] == "in");
        got.map(|message| message["template"].as_str().or(message["text"].as_str()).unwrap().to_owned()).collect()
    }

    async fn reads_in_group(&self, number: &str, name: &str, what: &str, times: usize) {
        let there = async || {
            let count = self.read_in_group(number, name).await.iter().filter(|text| *text == what).count();
            (count == times).then_some(())
        };
        self.until(&format!("{what:?} in {name} {times} times"), there).await;
    }

    async fn is_described_by(&self, number: &str, name: &str, text: &str, there: bool) {
        let is = async || {
            let group = self.group(number, name).await?;
            (group["description"].as_str()?.contains(text) == there).then_some(())
        };
        self.until(&format!("{text} in the description: {there}"), is).await;
    }

    async fn all_groups(&self) -> Vec<Value> {
        let listed = self.graph(reqwest::Method::GET, &format!("{LINE_ID}/groups"), Value::Null).await;
        listed["data"]["groups"].as_array().cloned().unwrap_or_default()
    }

    /// Asked for by command, and made.
    async fn native(&self, name: &str, contacts: &[&Client], more: &str) {
        let numbers: Vec<&str> = contacts.iter().map(|client| client.number.as_str()).collect();
        let answer = self.command(JANE, &format!("/group create \"{name}\" contacts={} {more}", numbers.join(","))).await;
        assert!(answer.is("answer") && answer.text.contains("WhatsApp is making its group"), "{answer:?}");
        self.line(JANE, name, "that it is there", |line| line.text.contains("The WhatsApp group is there")).await;
    }

    async fn confirms(&self, who: &str, room: &str, text: &str) -> Line {
        // Other lines may come between: what is asked for is one more card.
        let cards = async || self.lines(who, room).await.into_iter().filter(|line| line.is("confirm")).collect::<Vec<_>>();
        let before = cards().await.len();
        self.say(who, room, text).await;
        let card = self.until(text, async || cards().await.into_iter().nth(before)).await;
        self.press(who, room, &card, "confirm", "confirm", json!({})).await;
        card
    }
}

impl Line {
    fn contact_is(&self, client: &Client, what: &str) -> bool {
        self.text.contains(&client.name) && self.text.contains(what)
    }
}

#[tokio::test]
async fn the_third_conversation_of_the_readme() {
    let world = own();
    let here = |first: &str, number: &str, email: &str| {
        let (last, name) = first.split_once(' ').map_or((first, first), |(_, last)| (last, first));
        Client { number: number.into(), email: email.into(), last: last.into(), name: name.into() }
    };
    let (ann, eva) = (here("Ann Lee", "+4915112345678", "ann@lee.de"), here("Eva Sun", "+442071234567", "eva@sun.uk"));
    let adding = ["Ann Lee phone=+4915112345678 email=ann@lee.de", "Eva Sun phone=+442071234567 email=eva@sun.uk"];
    for who in adding {
        let added = world.command(JANE, &format!("/contact add {who} channel=whatsapp")).await;
        assert!(added.is("answer"), "{added:?}");
    }
    let made = world.command(JANE, "/group create \"Lee family\" contacts=+4915112345678,+442071234567 @sam.lee@acme.com").await;
    assert!(made.is("answer"), "{made:?}");
    world.room(SAM, "Lee family").await;
    for client in [&ann, &eva] {
        world.receives(&client.number, "liaison_invitation").await;
        world.tap(&client.number, "consent:yes").await;
        world.joins(client, "Lee family").await;
    }
    let held = world.remark(JANE, "Lee family", "Good morning.").await;
    assert!(held.is("held") && held.reason == "window", "{held:?}");
    world.writes_in_group(&ann, "Lee family", "Hello all").await;
    for client in [&ann, &eva] {
        world.reads_in_group(&client.number, "Lee family", "Jane Doe: Good morning.", 1).await;
    }
    world.say(JANE, "Lee family", "/room rename \"Lee and Sun\"").await;
    world.room(JANE, "Lee and Sun").await;
    world.reads_in_group(&eva.number, "Lee and Sun", CHANGED, 1).await;
    world.advance("25h").await;
    let held = world.remark(JANE, "Lee and Sun", "Shall we meet?").await;
    assert!(held.is("held") && held.reason == "window", "{held:?}");
    world.confirms(JANE, "Lee and Sun", "/room transfer @sam.lee@acme.com").await;
    let asked = |line: &Line| line.is("withdrawn") && line.text.contains("Shall we meet?");
    let card = world.line(SAM, "Lee and Sun", "the card", asked).await;
    world.press(SAM, "Lee and Sun", &card, "withdrawn", "send-again", json!({})).await;
    let group = world.group(&eva.number, "Lee and Sun").await.unwrap()["id"].clone();
    world.post(&format!("/api/phones/{}/messages", eva.number), json!({ "group": group, "text": "I am here" })).await;
    for client in [&ann, &eva] {
        world.reads_in_group(&client.number, "Lee and Sun", "Shall we meet?", 1).await;
    }
    world.confirms(SAM, "Lee and Sun", "/room remove +442071234567").await;
    world.stands(&eva.number, "Lee and Sun", "removed").await;
    let again = world.remark(SAM, "Lee and Sun", "/room add +442071234567").await;
    assert!(again.refuses("barred"), "{again:?}");
    world.is_described_by(&ann.number, "Lee and Sun", "Jane Doe", false).await;
    assert_eq!(world.program.end(), Some(0));
}

#[tokio::test]
async fn s1_7_to_s1_18_a_native_group_by_command_from_the_link_to_the_last_word() {
    let world = own();
    let (bob, ann, eve) = (world.agreed_long_ago("Bob").await, world.agreed("Ann").await, client("Eve"));
    world.has_phone(&eve).await;
    let name = format!("Lee family {}", ann.last);
    world.native(&name, &[&ann, &bob], "@sam.lee@acme.com").await;
    world.room(SAM, &name).await;
    let before = world.remark(JANE, &name, "Anybody here?").await;
    assert!(before.refuses("membership"), "S1-18: {before:?}");

    world.link(&ann.number).await;
    world.receives(&bob.number, "liaison_group_invite").await;
    assert_eq!(world.counts(&ann.number, "liaison_group_invite").await, 0, "her window is open: it is a text");
    world.joins(&ann, &name).await;
    world.is_described_by(&ann.number, &name, "Jane Doe, Sam Lee", true).await;
    let link = world.link(&ann.number).await;
    world.post(&format!("/api/phones/{}/groups/join", eve.number), json!({ "link": link })).await;
    let rejected = |line: &Line| line.text.contains("Somebody who was not invited") && line.text.contains("was turned away");
    world.line(JANE, &name, "the stranger", rejected).await;
    world.joins(&bob, &name).await;
    let members = world.group(&bob.number, &name).await.unwrap()["members"].as_array().map(Vec::len);
    assert_eq!(members, Some(2), "nobody but those two");

    let held = world.remark(JANE, &name, "Good morning all").await;
    assert!(held.is("held") && held.reason == "window", "the group's window is its own: {held:?}");
    world.write(&ann.number, "only to you").await;
    world.line(JANE, &ann.name, "her own words", |line| line.is("client_message") && line.text.contains("only to you")).await;
    assert!(!world.read_in_group(&bob.number, &name).await.concat().contains("Good morning"), "hers opens no group");
    world.writes_in_group(&ann, &name, "Hello all").await;
    for number in [&ann.number, &bob.number] {
        world.reads_in_group(number, &name, "Jane Doe: Good morning all", 1).await;
    }
    world.reads_in_group(&bob.number, &name, "Hello all", 1).await;
    world.say(SAM, &name, "and from me").await;
    world.reads_in_group(&ann.number, &name, "Sam Lee: and from me", 1).await;
    assert_eq!(world.counts(&ann.number, "Sam Lee: and from me").await, 0, "not in her own chat");
    world.advance("25h").await;
    let held = world.remark(SAM, &name, "late").await;
    assert!(held.is("held") && held.reason == "window", "{held:?}");
    world.writes_in_group(&bob, &name, "I am here").await;
    world.reads_in_group(&ann.number, &name, "Sam Lee: late", 1).await;
    assert_eq!(world.all_groups().await.len(), 1);
    assert!(!world.lines(JANE, &name).await.iter().any(|line| line.text.contains("chat.whatsapp.com")), "S1-12");
}

#[tokio::test]
async fn s1_13_s1_20_to_s1_29_changes_are_told_and_who_was_removed_is_barred() {
    let world = own();
    let (ann, bob) = (world.agreed("Ann").await, world.agreed("Bob").await);
    let name = format!("Family {}", ann.last);
    world.native(&name, &[&ann, &bob], "@sam.lee@acme.com").await;
    for client in [&ann, &bob] {
        world.joins(client, &name).await;
    }
    world.writes_in_group(&ann, &name, "Hello all").await;
    let renamed = format!("Lee & Sons {}", ann.last);
    world.say(JANE, &name, &format!("/room rename \"{renamed}\"")).await;
    world.room(JANE, &renamed).await;
    world.reads_in_group(&bob.number, &renamed, CHANGED, 1).await;
    world.confirms(JANE, &renamed, "/room remove @sam.lee@acme.com").await;
    world.reads_in_group(&bob.number, &renamed, CHANGED, 2).await;
    world.is_described_by(&bob.number, &renamed, "Sam Lee", false).await;
    world.remark(JANE, &renamed, "/room add @sam.lee@acme.com").await;
    world.reads_in_group(&bob.number, &renamed, CHANGED, 3).await;
    world.is_described_by(&bob.number, &renamed, "Sam Lee", true).await;

    let old = world.link(&bob.number).await;
    let card = world.confirms(JANE, &renamed, &format!("/room remove {}", bob.number)).await;
    assert!(card.text.contains("never join this WhatsApp group again"), "{card:?}");
    world.stands(&bob.number, &renamed, "removed").await;
    world.reads_in_group(&ann.number, &renamed, CHANGED, 4).await;
    let asks = format!("/api/phones/{}/groups/join", bob.number);
    let why = world.refused(&asks, json!({ "link": old })).await;
    assert!(why["error"].as_str().unwrap().contains("removed"), "{why}");
    let group = world.group(&ann.number, &renamed).await.unwrap()["id"].as_str().unwrap().to_owned();
    let anew = json!({ "messaging_product": "whatsapp" });
    let fresh = world.graph(reqwest::Method::POST, &format!("{group}/invite_link"), anew).await["invite_link"].clone();
    assert_ne!(fresh, json!(old));
    world.refused(&asks, json!({ "link": fresh })).await;
    let again = world.remark(JANE, &renamed, &format!("/room add {}", bob.number)).await;
    assert!(again.refuses("barred"), "{again:?}");
    world.write(&bob.number, "and by myself?").await;
    let own_room = |line: &Line| line.is("client_message") && line.text.contains("and by myself?");
    world.line(JANE, &bob.name, "S1-29: his own room is as it was", own_room).await;

    world.post(&format!("/api/phones/{}/groups/{group}/leave", ann.number), json!({})).await;
    world.line(JANE, &renamed, "that she left", |line| line.contact_is(&ann, "left the WhatsApp group")).await;
    // WhatsApp tells whole seconds: asked twice in one of them is asked once.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    world.post(&format!("/api/phones/{}/groups/join", ann.number), json!({ "link": fresh })).await;
    world.stands(&ann.number, &renamed, "in").await;
    assert_eq!(world.links(&bob.number).await.len(), 1, "one link, and none after he was removed");
}

#[tokio::test]
async fn s1_4_by_form_and_a_stop_by_one_member_holds_the_group_until_he_leaves() {
    let world = own();
    let (ann, bob) = (world.agreed("Ann").await, world.invited("Bob").await);
    let name = format!("Form {}", ann.last);
    let form = world.command(JANE, "/group create").await;
    assert!(form.is("form") && form.presentation.contains("(0/8)"), "{form:?}");
    let sam = world.user_id(SAM).await;
    let values =
        json!({ "name": name, "contacts": format!("{}, {}", ann.number, bob.number), "advisors": [sam], "native": "on" });
    let answer = world.pressed(JANE, &form, "group-create", "submit", values).await;
    assert!(answer.is("answer") && answer.text.contains("WhatsApp is making its group"), "{answer:?}");
    world.room(SAM, &name).await;
    world.joins(&ann, &name).await;
    assert!(world.links(&bob.number).await.is_empty(), "S1-11: he has not agreed");
    world.tap(&bob.number, "consent:yes").await;
    world.joins(&bob, &name).await;
    world.writes_in_group(&ann, &name, "Hello all").await;

    let group = world.group(&bob.number, &name).await.unwrap()["id"].clone();
    world.post(&format!("/api/phones/{}/messages", bob.number), json!({ "group": group, "text": "STOP" })).await;
    world.line(JANE, &name, "what it means", |line| line.contact_is(&bob, "has opted out, so nothing is sent into it")).await;
    let held = world.remark(JANE, &name, "not for Bob").await;
    assert!(held.is("held") && held.reason == "consent", "{held:?}");
    world.post(&format!("/api/phones/{}/groups/{}/leave", bob.number, group.as_str().unwrap()), json!({})).await;
    world.reads_in_group(&ann.number, &name, "Jane Doe: not for Bob", 1).await;
    assert!(!world.read_in_group(&bob.number, &name).await.concat().contains("not for Bob"));
}

#[tokio::test]
async fn s1_5_s1_6_nine_are_a_standard_group_and_eight_are_not() {
    let world = own();
    let mut clients = Vec::new();
    for nth in 0..9 {
        let one = client(["Ann", "Bob", "Cia", "Dan", "Eve", "Fay", "Gus", "Hal", "Ida"][nth]);
        world.has_phone(&one).await;
        let added = world.command(JANE, &world.adding(&one, "")).await;
        assert!(added.is("answer"), "{added:?}");
        clients.push(one);
    }
    let numbers = |count: usize| clients[..count].iter().map(|one| one.number.clone()).collect::<Vec<_>>().join(",");
    let nine = world.command(JANE, &format!("/group create \"Nine\" contacts={}", numbers(9))).await;
    assert!(nine.is("answer") && nine.text.contains("More than 8 contacts: created as a standard group."), "{nine:?}");
    let twice = world.command(JANE, &format!("/group create \"Two\" contacts={} --standard", numbers(2))).await;
    assert!(twice.is("answer") && twice.text.contains("Created as a standard group."), "{twice:?}");
    assert!(world.all_groups().await.is_empty(), "nothing was asked of WhatsApp");
    world.native("Eight", &clients[..8].iter().collect::<Vec<_>>(), "").await;
    assert_eq!(world.all_groups().await.len(), 1);
    let ninth = world.remark(JANE, "Eight", &format!("/room add {}", clients[8].number)).await;
    assert!(ninth.refuses("native-full"), "{ninth:?}");
}

#[tokio::test]
async fn without_an_eligible_account_the_group_is_a_standard_one_and_a_lost_webhook_is_made_up_for() {
    let world = own();
    let (ann, bob) = (world.agreed("Ann").await, world.agreed("Bob").await);
    let create = |name: &str| format!("/group create \"{name}\" contacts={},{}", ann.number, bob.number);
    world.trouble("whatsapp", "131215", 1).await;
    world.command(JANE, &create("Not eligible")).await;
    let told = |line: &Line| line.is("notice") && line.text.contains("this account is not eligible for groups");
    world.line(JANE, "Not eligible", "the fall-back", told).await;
    world.say(JANE, "Not eligible", "to each of you").await;
    for number in [&ann.number, &bob.number] {
        world.receives(number, "to each of you").await;
    }

    world.trouble("whatsapp", "group-lost", 1).await;
    let asked = world.command(JANE, &create("Lost")).await;
    assert!(asked.is("answer"), "{asked:?}");
    world.until("the group at WhatsApp", async || (world.all_groups().await.len() == 1).then_some(())).await;
    world.advance("3m").await;
    world.line(JANE, "Lost", "that it was found", |line| line.text.contains("The WhatsApp group is there")).await;
    world.joins(&ann, "Lost").await;
    assert_eq!(world.all_groups().await.len(), 1, "and not made again");
}

#[tokio::test]
async fn a_crash_between_the_group_and_its_webhook_doubles_nothing() {
    for trouble in ["group-late", "group-lost", "group-lost-answer"] {
        let folder = tempfile::tempdir().unwrap();
        let world = in_folder(folder.path());
        let (ann, bob) = (world.agreed("Ann").await, world.agreed("Bob").await);
        world.trouble("whatsapp", trouble, 1).await;
        world.say(JANE, IM, &format!("/group create \"Crash\" contacts={},{}", ann.number, bob.number)).await;
        world.room(JANE, "Crash").await;
        if trouble == "group-lost-answer" {
            // A look at WhatsApp's list would meet the trouble itself; whether it is made by then does not matter.
            tokio::time::sleep(Duration::from_millis(100)).await;
        } else {
            world.until("the group at WhatsApp", async || (world.all_groups().await.len() == 1).then_some(())).await;
        }
        world.program.kill();
        drop(world);

        let world = in_folder(folder.path());
        let there = async || {
            world.advance("1m").await;
            let lines = world.lines(JANE, "Crash").await;
            lines.iter().any(|line| line.text.contains("The WhatsApp group is there")).then_some(())
        };
        world.until(&format!("{trouble}: that the group is there"), there).await;
        for client in [&ann, &bob] {
            world.joins(client, "Crash").await;
        }
        world.writes_in_group(&bob, "Crash", "Hello all").await;
        world.say(JANE, "Crash", "welcome").await;
        world.reads_in_group(&ann.number, "Crash", "welcome", 1).await;
        assert_eq!(world.all_groups().await.len(), 1, "{trouble}: one group");
        assert_eq!(world.links(&ann.number).await.len(), 1, "{trouble}: one link");
        let lines = world.lines(JANE, "Crash").await;
        let told = lines.iter().filter(|line| line.text.contains("The WhatsApp group is there")).count();
        assert_eq!(told, 1, "{trouble}: told once");
        assert_eq!(world.rooms(JANE).await.iter().filter(|room| room["name"] == "Crash").count(), 1, "{trouble}: one room");
        let made = world.journal(&[]).iter().filter(|entry| entry["kind"] == "group.created").count();
        assert_eq!(made, 1, "{trouble}");
    }
}

#[tokio::test]
async fn s1_21_s1_28_a_refused_removal_outlives_a_crash_and_what_waited_goes_to_those_who_are_left() {
    let folder = tempfile::tempdir().unwrap();
    let world = in_folder(folder.path());
    let (ann, bob) = (world.agreed("Ann").await, world.agreed("Bob").await);
    world.native("Stays", &[&ann, &bob], "").await;
    for client in [&ann, &bob] {
        world.joins(client, "Stays").await;
    }
    world.writes_in_group(&ann, "Stays", "Hello all").await;
    world.trouble("whatsapp", "131207", 1).await;
    world.confirms(JANE, "Stays", &format!("/room remove {}", bob.number)).await;
    let told = |line: &Line| line.contact_is(&bob, "could not be taken out") && line.reason == "131207";
    world.line(JANE, "Stays", "that he is still in", told).await;
    let held = world.remark(JANE, "Stays", "not for Bob").await;
    assert!(held.is("held") && held.reason == "room", "{held:?}");
    world.program.kill();
    drop(world);

    let world = in_folder(folder.path());
    assert_eq!(world.group(&bob.number, "Stays").await.unwrap()["standing"], "in");
    world.advance("2m").await;
    world.stands(&bob.number, "Stays", "removed").await;
    world.reads_in_group(&ann.number, "Stays", "not for Bob", 1).await;
    world.line(JANE, "Stays", "that he is out", |line| line.contact_is(&bob, "was removed from the WhatsApp group")).await;
    assert!(!world.read_in_group(&bob.number, "Stays").await.concat().contains("not for Bob"));

    // Suspended in earnest: the end of it asks at once, an owner sooner.
    let cia = world.agreed("Cia").await;
    world.confirms(JANE, "Stays", &format!("/room add {}", cia.number)).await;
    world.joins(&cia, "Stays").await;
    world.trouble("whatsapp", "group-suspend", 1).await;
    world.line(JANE, "Stays", "the suspension", |line| line.text.contains("WhatsApp has suspended the group")).await;
    world.confirms(JANE, "Stays", &format!("/room remove {}", cia.number)).await;
    world.line(JANE, "Stays", "why not", |line| line.contact_is(&cia, "could not be taken out")).await;
    world.confirms(JANE, "Stays", &format!("/room remove {}", cia.number)).await;
    world.trouble("whatsapp", "group-clear", 1).await;
    world.stands(&cia.number, "Stays", "removed").await;
    let over = |line: &Line| line.text.contains("is open again, but somebody who was removed is still in it");
    world.line(JANE, "Stays", "what it waits for", over).await;
    let again = world.remark(JANE, "Stays", &format!("/room remove {}", cia.number)).await;
    assert!(again.refuses("barred"), "{again:?}");
}

#[tokio::test]
async fn s1_12_s1_16_whose_request_could_not_be_answered_comes_in_later_and_a_stranger_never() {
    let world = own();
    let (ann, eve) = (world.agreed("Ann").await, client("Eve"));
    world.has_phone(&eve).await;
    world.native("Waits", &[&ann], "").await;
    let link = world.link(&ann.number).await;
    let join = |client: &Client| format!("/api/phones/{}/groups/join", client.number);
    world.trouble("whatsapp", "131207", 1).await;
    world.post(&join(&ann), json!({ "link": link })).await;
    let told = |line: &Line| line.contact_is(&ann, "asked to join") && line.reason == "131207";
    world.line(JANE, "Waits", "that she waits", told).await;
    world.advance("2m").await;
    world.stands(&ann.number, "Waits", "in").await;
    world.trouble("whatsapp", "131207", 1).await;
    world.post(&join(&eve), json!({ "link": link })).await;
    let turned_away = |line: &Line| line.text.contains("Somebody who was not invited");
    world.line(JANE, "Waits", "the stranger", turned_away).await;
    world
        .until("the refusal", async || {
            world.journal(&[]).iter().any(|entry| entry["kind"] == "group.request_rejected").then_some(())
        })
        .await;
    world.advance("2m").await;
    world.until("her request is gone", async || world.groups(&eve.number).await.is_empty().then_some(())).await;
}

#[tokio::test]
async fn s1_7_s1_13_s1_27_name_and_advisors_that_changed_before_the_group_was_there_follow() {
    for trouble in ["group-late", "group-lost"] {
        let world = own();
        let ann = world.agreed("Ann").await;
        world.trouble("whatsapp", trouble, 1).await;
        world.command(JANE, &format!("/group create \"First\" contacts={}", ann.number)).await;
        world.until("the group at WhatsApp", async || (world.all_groups().await.len() == 1).then_some(())).await;
        world.say(JANE, "First", "/room rename \"Second\"").await;
        world.room(JANE, "Second").await;
        world.remark(JANE, "Second", "/room add @sam.lee@acme.com").await;
        if trouble == "group-lost" {
            world.advance("3m").await;
        }
        world.line(JANE, "Second", "that it is there", |line| line.text.contains("The WhatsApp group is there")).await;
        let named = async || (world.all_groups().await[0]["subject"] == "Second").then_some(());
        world.until(&format!("{trouble}: its new name"), named).await;
        world.joins(&ann, "Second").await;
        world.is_described_by(&ann.number, "Second", "Sam Lee", true).await;
        assert_eq!(world.all_groups().await.len(), 1, "{trouble}");
    }
}

#[tokio::test]
async fn s1_10_s1_29_a_link_that_was_reset_elsewhere_is_renewed_and_what_arrived_can_be_read() {
    let world = own();
    let (ann, bob) = (world.agreed("Ann").await, world.agreed("Bob").await);
    world.native("Links", &[&ann, &bob], "").await;
    for client in [&ann, &bob] {
        world.joins(client, "Links").await;
    }
    let group = world.group(&ann.number, "Links").await.unwrap()["id"].as_str().unwrap().to_owned();
    let old = world.link(&ann.number).await;
    let anew = json!({ "messaging_product": "whatsapp" });
    world.graph(reqwest::Method::POST, &format!("{group}/invite_link"), anew).await;
    world.post(&format!("/api/phones/{}/groups/{group}/leave", ann.number), json!({})).await;
    world.line(JANE, "Links", "that she left", |line| line.contact_is(&ann, "left the WhatsApp group")).await;
    world.confirms(JANE, "Links", &format!("/room add {}", ann.number)).await;
    let fresh = async || world.links(&ann.number).await.pop().filter(|link| *link != old);
    world.until("a link that works", fresh).await;
    // WhatsApp tells whole seconds: asked twice in one of them is asked once.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    world.joins(&ann, "Links").await;

    world.say(JANE, &ann.name, "Did you get this?").await;
    world.receives(&ann.number, "Did you get this?").await;
    let looked = world.post(&format!("/api/phones/{}/look", ann.number), json!({})).await;
    assert!(looked["read"].as_u64().unwrap() > 0, "{looked}");
    let read = async || {
        let sent = world.command(JANE, &format!("/sent {}", ann.number)).await;
        (sent.text.contains("Did you get this?") && sent.text.contains("read")).then_some(())
    };
    world.until("that it was read", read).await;
    let look = format!("/api/phones/{}/look", ann.number);
    world.until("nothing new", async || (world.post(&look, json!({})).await["read"] == 0).then_some(())).await;
}

/// What an advisor attaches: a frame of this size, and bytes of any kind.
fn jpeg(width: u16, height: u16) -> Vec<u8> {
    let [[w1, w2], [h1, h2]] = [width, height].map(u16::to_be_bytes);
    let frame = [0xFF, 0xD8, 0xFF, 0xC0, 0, 17, 8, h1, h2, w1, w2, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1, 0xFF, 0xDA, 0, 2];
    frame.into_iter().chain((0..50_000).map(|n: u32| (n % 251) as u8)).collect()
}

#[tokio::test]
async fn s1_25_the_groups_picture_by_command_is_on_its_phones_and_nowhere_else() {
    let world = own();
    let (ann, bob) = (world.agreed("Ann").await, world.agreed("Bob").await);
    let name = format!("Lee family {}", ann.last);
    world.native(&name, &[&ann, &bob], "@sam.lee@acme.com").await;
    for client in [&ann, &bob] {
        world.joins(client, &name).await;
    }
    world.writes_in_group(&ann, &name, "Hello all").await;
    let got = world.received(&ann.number).await.len();
    let picture = async |who: &str, file: Value| {
        let asked = world.says_with_files(who, &name, "/room photo", file).await;
        world.answer_to(who, &name, &asked).await
    };
    let square = jpeg(640, 640);
    let family = || json!([file("family.jpg", "image/jpeg", &square)]);
    world.room(SAM, &name).await;
    let refused = picture(SAM, family()).await;
    assert!(refused.refuses("not-owner"), "{refused:?}");
    let refused = picture(JANE, json!([file("a.png", "image/png", &png(900))])).await;
    assert!(refused.refuses("bad-argument") && refused.text.contains("must be a JPEG"), "{refused:?}");
    let refused = world.remark(JANE, &name, "/room photo").await;
    assert!(refused.refuses("bad-argument") && refused.text.contains("picture is missing"), "{refused:?}");

    let answer = picture(JANE, json!([file("wide.jpg", "image/jpeg", &jpeg(640, 480))])).await;
    assert!(answer.is("answer") && answer.text.contains("on its way"), "{answer:?}");
    let why = |line: &Line| line.is("notice") && line.text.contains("wide.jpg is not square (640 × 480 pixels)");
    world.line(JANE, &name, "why not", why).await;
    assert!(world.group(&ann.number, &name).await.unwrap()["picture"].is_null());
    picture(JANE, family()).await;
    let told = |line: &Line| line.is("notice") && line.text.contains("The group's picture has been changed by Jane Doe.");
    world.line(SAM, &name, "that it is there", told).await;
    for number in [&ann.number, &bob.number] {
        let shown = world.group(number, &name).await.unwrap()["picture"].clone();
        assert_eq!(shown["mime"], "image/jpeg");
        assert!(world.bytes(&format!("/api/phones/files/{}", shown["id"].as_str().unwrap())).await == square, "the same bytes");
    }

    world.trouble("whatsapp", "group-fails", 1).await;
    picture(JANE, family()).await;
    let why = |line: &Line| line.is("notice") && line.reason == "131000" && line.text.contains("stays as it was");
    world.line(JANE, &name, "what WhatsApp says", why).await;
    world.trouble("whatsapp", "group-lost", 1).await;
    let answer = picture(JANE, family()).await;
    assert!(answer.is("answer"), "{answer:?}");
    let silent = async || {
        world.advance("11m").await;
        let lines = world.lines(JANE, &name).await;
        lines.iter().any(|line| line.text.contains("has not said whether it shows it")).then_some(())
    };
    world.until("that nobody knows", silent).await;

    assert_eq!(world.received(&ann.number).await.len(), got, "nothing of all this went to a client");
    assert_eq!(world.read_in_group(&bob.number, &name).await, ["Hello all"], "nor into the group");
    let kinds: Vec<String> = world.journal(&[]).iter().map(|entry| entry["kind"].as_str().unwrap().to_owned()).collect();
    let count = |kind: &str| kinds.iter().filter(|known| *known == kind).count();
    assert_eq!((count("group.picture_asked"), count("group.picture_changed"), count("group.picture_refused")), (4, 1, 2));
    assert_eq!(count("media.kept"), 4, "each is kept as evidence");
    assert_eq!(world.program.end(), Some(0));
}

// ---- what evidence and answers say of it

impl Outside {
    /// The kinds of what the journal has about this client and this message.
    fn told_of(&self, client: &Client, message: &Value) -> Vec<String> {
        let about = self.journal(&["--contact", &client.number]);
        let of_it = about.iter().filter(|entry| entry["message"] == *message);
        of_it.map(|entry| entry["kind"].as_str().unwrap().to_owned()).collect()
    }

    fn last_taken(&self) -> Value {
        self.journal(&[]).into_iter().rfind(|entry| entry["kind"] == "message.taken").unwrap()
    }
}

#[tokio::test]
async fn s3_2_s3_17_evidence_names_those_who_were_in_the_group() {
    let world = own();
    let (ann, bob) = (world.agreed("Ann").await, world.agreed("Bob").await);
    let name = format!("Evidence {}", ann.last);
    world.native(&name, &[&ann, &bob], "").await;
    for client in [&ann, &bob] {
        world.joins(client, &name).await;
    }
    world.writes_in_group(&ann, &name, "Hello all").await;
    world.say(JANE, &name, "for both").await;
    for client in [&ann, &bob] {
        world.reads_in_group(&client.number, &name, "for both", 1).await;
    }
    world.confirms(JANE, &name, &format!("/room remove {}", ann.number)).await;
    world.stands(&ann.number, &name, "removed").await;
    world.write(&ann.number, "STOP").await;
    world.line(JANE, &ann.name, "her stop", |line| line.is("consent_no")).await;
    let last = async || world.received(&ann.number).await.last()?.contains("will not write").then_some(());
    world.until("the confirmation of her stop", last).await;
    world.say(JANE, &name, "for Bob only").await;
    world.reads_in_group(&bob.number, &name, "for Bob only", 1).await;
    let taken = world.last_taken();
    let message = &taken["message"];
    let delivered = async || world.told_of(&bob, message).contains(&"delivery.reported".to_owned()).then_some(());
    world.until("the delivery with him", delivered).await;
    assert_eq!(world.told_of(&ann, message), Vec::<String>::new(), "nothing of it is hers");
    let his = world.told_of(&bob, message);
    assert!(his.contains(&"message.taken".to_owned()) && his.contains(&"message.sent".to_owned()), "{his:?}");
    assert!(taken["contact"].is_null() && taken["room"].is_string(), "{taken}");
    assert_eq!(taken["detail"]["recipients"].as_array().map(Vec::len), Some(1));
    let sent = world.command(JANE, &format!("/sent {}", bob.number)).await;
    assert!(
        sent.text.contains("for Bob only") && sent.text.contains("for both") && sent.text.contains(" · delivered"),
        "{sent:?}"
    );
    let sent = world.command(JANE, &format!("/sent {}", ann.number)).await;
    assert!(!sent.text.contains("for Bob only") && sent.text.contains("for both"), "{sent:?}");
    assert_eq!(world.program.end(), Some(0));
}

#[tokio::test]
async fn what_a_group_waits_for_is_told_of_the_group() {
    let world = own();
    let (ann, bob) = (world.agreed("Ann").await, world.agreed("Bob").await);
    let long = format!("The whole family of Lee and Sun and all who belong to them {}", ann.last);
    let answer = world.command(JANE, &format!("/group create \"{long}\" contacts={},{}", ann.number, bob.number)).await;
    assert!(answer.is("answer") && answer.text.contains(&format!("will be called “{long}”")), "{answer:?}");
    let name = "The whole family of Lee and Sun and all who…";
    let first = world.line(JANE, name, "the first line", |line| line.is("room_opened")).await;
    assert!(first.text.contains("It is a WhatsApp group") && !first.text.contains("one by one"), "{first:?}");
    let early = world.remark(JANE, name, "Anybody?").await;
    assert!(early.refuses("membership") && early.text.contains("nobody has joined"), "{early:?}");
    for client in [&ann, &bob] {
        let link = world.link(&client.number).await;
        world.post(&format!("/api/phones/{}/groups/join", client.number), json!({ "link": link })).await;
        world.stands(&client.number, &long, "in").await;
        world.line(JANE, name, "that he is in", |line| line.is("notice") && line.text.contains(&client.name)).await;
    }
    world.advance("25h").await;
    world.write(&ann.number, "only to you").await;
    world.line(JANE, &ann.name, "her own words", |line| line.text.contains("only to you")).await;
    let held = world.remark(JANE, name, "Good morning").await;
    assert!(held.reason == "window" && held.contact.is_empty(), "{held:?}");
    assert!(held.text.contains("when any of them writes in the group"), "{held:?}");
    let why = world.remark(JANE, name, &format!("/why {}", ann.number)).await;
    assert!(why.reason == "window" && why.text.contains("nobody in the group has written there"), "{why:?}");
    let window = world.remark(JANE, name, "/window").await;
    assert!(window.text.contains("is closed"), "{window:?}");
    let info = world.remark(JANE, name, "/room info").await;
    assert!(info.text.contains("JOINED") && info.text.contains("INACTIVE"), "{info:?}");
    assert!(info.presentation.contains("https://open.symphony.com/?streamId="), "{info:?}");
    world.write(&bob.number, "STOP").await;
    world.line(JANE, name, "his stop", |line| line.is("notice") && line.text.contains("opted out")).await;
    let held = world.remark(JANE, name, "/why").await;
    assert!(held.reason == "consent" && held.text.contains(&format!("{} has opted out", bob.name)), "{held:?}");
    assert_eq!(world.program.end(), Some(0));
}

#[tokio::test]
async fn s1_1_the_sandbox_tries_a_firm_without_whatsapp_groups() {
    let world = own_where(&[("LIAISON__WHATSAPP__NATIVE_GROUPS", "false"), ("LIAISON__BOT__FIRM", "Tried & Co")]);
    let (ann, bob) = (world.agreed("Ann").await, world.agreed("Bob").await);
    let answer = world.command(JANE, &format!("/group create \"No group\" contacts={},{}", ann.number, bob.number)).await;
    assert!(answer.is("answer") && answer.reason == "feature-off", "{answer:?}");
    assert!(world.received(&ann.number).await.iter().any(|text| text.contains("Tried & Co")), "in the name of that firm");
    assert_eq!(world.program.end(), Some(0));
}
