//! The adapter against the emulated WhatsApp: a group's whole life, and what it refuses.
use super::*;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use liaison::adapters::whatsapp::parse;
use liaison::domain::effect::{Body, Prepared, Send};
use liaison::domain::event::{ClientMessage, Delivery, DeliveryReported, Fact, GroupNews, GroupTold, JoinRequest};
use liaison::domain::ids::{Channel, ContactId, MessageId};
use liaison::sandbox::meta::{Fails, Meta, MetaSettings};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

pub const ANN: &str = "+4915112345678";
pub const BOB: &str = "+12025550177";
pub const EVE: &str = "+33612345678";
const HOUR: i64 = 3_600_000;

/// The emulator, the adapter, and what the webhooks told.
pub struct Stage {
    pub meta: Meta,
    pub whatsapp: WhatsApp,
    pub clock: Arc<AtomicI64>,
    pub url: String,
    heard: Arc<Mutex<Vec<(String, Fact)>>>,
    stop: CancellationToken,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

type Heard = (Arc<Mutex<Vec<(String, Fact)>>>, Arc<AtomicI64>);

async fn hear(State((heard, clock)): State<Heard>, body: Bytes) -> StatusCode {
    let elements = parse(&body, Timestamp(clock.load(Ordering::SeqCst))).unwrap();
    heard.lock().unwrap().extend(elements.into_iter().map(|element| (element.event.id.0, element.event.fact)));
    StatusCode::OK
}

async fn serve(app: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

impl Stage {
    pub async fn new() -> Stage {
        Stage::open(None).await
    }

    pub async fn open(dir: Option<std::path::PathBuf>) -> Stage {
        let (heard, clock): Heard = (Arc::default(), Arc::new(AtomicI64::new(NOON)));
        let reading = clock.clone();
        let meta = Meta::open(Arc::new(move || reading.load(Ordering::SeqCst)), MetaSettings::sandbox(), dir).unwrap();
        let stop = CancellationToken::new();
        meta.start(stop.clone());
        let hook = Router::new().route("/hook", post(hear)).with_state((heard.clone(), clock.clone()));
        meta.add_callback(&format!("{}/hook", serve(hook).await));
        for (number, name) in [(ANN, "Ann Lee"), (BOB, "Bob Ray"), (EVE, "Eve Fox")] {
            meta.add_phone(number, name, true).unwrap();
        }
        let url = serve(meta.router()).await;
        let whatsapp = adapter(&url, &clock);
        Stage { meta, whatsapp, clock, url, heard, stop }
    }

    pub fn heard(&self) -> Vec<Fact> {
        self.heard.lock().unwrap().iter().map(|(_, fact)| fact.clone()).collect()
    }

    pub fn ids(&self) -> Vec<String> {
        self.heard.lock().unwrap().iter().map(|(id, _)| id.clone()).collect()
    }

    pub async fn until<T>(&self, what: &str, look: impl Fn(&Fact) -> Option<T>) -> T {
        for _ in 0..500 {
            if let Some(found) = self.heard().iter().find_map(&look) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{what} was never told: {:?}", self.heard());
    }

    pub async fn told<T>(&self, what: &str, look: impl Fn(&GroupTold) -> Option<T>) -> T {
        self.until(what, |fact| match fact {
            Fact::GroupTold(told) => look(told),
            _ => None,
        })
        .await
    }

    pub async fn call(&self, call: GroupCall) -> Attempt {
        self.whatsapp.group(&act(call)).await
    }

    /// A group and its link, as its webhook tells them.
    pub async fn group(&self, subject: &str) -> (GroupId, String) {
        let request = done(self.call(create(subject)).await).unwrap();
        self.told("the group", |told| match &told.news {
            GroupNews::Created { request: of, link } if *of == request => Some((told.group.clone(), link.clone().unwrap())),
            _ => None,
        })
        .await
    }

    /// The id of his request to join.
    pub async fn asks(&self, number: &str, link: &str) -> String {
        self.meta.follow_link(number, link).unwrap();
        self.told("the request", |told| match &told.news {
            GroupNews::AsksToJoin { request, who } if is(who.phone.as_ref(), number) => Some(request.clone()),
            _ => None,
        })
        .await
    }

    pub async fn joins(&self, number: &str, group: &GroupId, link: &str) {
        let request = self.asks(number, link).await;
        assert_eq!(done(self.call(answer(group, &request, true)).await), None);
        self.told("the joining", |told| match &told.news {
            GroupNews::Joined { who } if is(who.phone.as_ref(), number) => Some(()),
            _ => None,
        })
        .await;
    }

    pub async fn send(&self, group: &GroupId, message: &str, text: &str) -> Attempt {
        let to = Address { group: Some(group.clone()), ..Address::default() };
        let body = Body::Text(text.to_owned());
        let (message, contact, line) = (MessageId::new(message), ContactId::new("c-1A2B3C4D"), LineId::new(LINE));
        let send = Send { message, contact, channel: Channel::WhatsApp, line, to, body, room: None };
        self.whatsapp.send(&send, &Prepared::Text { text: text.to_owned() }).await
    }

    pub async fn report(&self, ours: &str, status: &str, member: Option<&str>) -> DeliveryReported {
        let word = |status: &Delivery| match status {
            Delivery::Sent => "sent",
            Delivery::Delivered => "delivered",
            Delivery::Read => "read",
            Delivery::Failed { .. } => "failed",
        };
        let member = member.map(|number| number.trim_start_matches('+'));
        self.until(status, |fact| match fact {
            Fact::DeliveryReported(report) => {
                let fits = report.ours.as_ref().is_some_and(|id| id.as_str() == ours) && word(&report.status) == status;
                (fits && report.participant.as_deref() == member).then(|| report.clone())
            }
            _ => None,
        })
        .await
    }
}

fn is(phone: Option<&Phone>, number: &str) -> bool {
    phone.is_some_and(|phone| phone.e164() == number)
}

#[tokio::test]
async fn s4_29_a_group_lives_from_its_request_to_its_end() {
    let stage = Stage::new().await;
    let (group, link) = stage.group("Lee family").await;
    assert_eq!(done(stage.call(super::link(&group, false)).await).as_deref(), Some(link.as_str()));
    stage.joins(ANN, &group, &link).await;
    stage.joins(BOB, &group, &link).await;
    let seen = &stage.meta.groups_of(ANN)[0];
    let names: Vec<&str> = seen.members.iter().map(|member| member.name.as_str()).collect();
    assert_eq!(
        (seen.name.as_str(), seen.description.as_str(), names),
        ("Lee family", "Your advisors: Jane Doe", vec!["Bob Ray", "Ann Lee"])
    );

    let change = GroupCall::Change {
        group: group.clone(),
        subject: Some("The Lees".to_owned()),
        description: Some("Jane and Tom".to_owned()),
    };
    assert!(done(stage.call(change).await).is_none());
    assert_eq!(stage.meta.groups_of(BOB)[0].name, "The Lees");

    stage.meta.leave_group(BOB, group.as_str()).unwrap();
    stage
        .told("the leaving", |told| matches!(&told.news, GroupNews::Left { who } if is(who.phone.as_ref(), BOB)).then_some(()))
        .await;
    assert_eq!(done(stage.call(GroupCall::Delete { group: group.clone() }).await), None);
    stage.told("the end", |told| (told.news == GroupNews::Deleted).then_some(())).await;
    assert_eq!(stage.meta.groups_of(ANN)[0].standing, "over");
    assert_eq!(code(stage.call(super::link(&group, false)).await), "131041");
    assert_eq!(code(stage.call(find("The Lees", NOON)).await), "not-there");
}

#[tokio::test]
async fn s4_33_whoever_was_taken_out_never_comes_back_and_whoever_left_may() {
    let stage = Stage::new().await;
    let (group, link) = stage.group("Lee family").await;
    stage.joins(ANN, &group, &link).await;
    stage.joins(BOB, &group, &link).await;
    assert_eq!(done(stage.call(remove(&group, ANN)).await), None);
    stage
        .told("the removal", |told| matches!(&told.news, GroupNews::Removed { who } if is(who.phone.as_ref(), ANN)).then_some(()))
        .await;
    let no = stage.meta.follow_link(ANN, &link).unwrap_err();
    assert!(no.why.contains("removed") && !no.mend.contains("newest link"), "{no:?}");
    let anew = done(stage.call(super::link(&group, true)).await).unwrap();
    assert_ne!(anew, link);
    assert!(stage.meta.follow_link(ANN, &anew).unwrap_err().why.contains("removed"), "no new link lets him in");
    assert!(stage.meta.follow_link(EVE, &link).unwrap_err().mend.contains("newest link"), "the old link is void");
    assert!(stage.meta.write_in_group(ANN, group.as_str(), "Hello?", None).is_err());
    assert_eq!(code(stage.call(remove(&group, ANN)).await), "131212");

    stage.meta.leave_group(BOB, group.as_str()).unwrap();
    assert_eq!(stage.meta.follow_link(BOB, &anew).unwrap().standing, "asked");
}

#[tokio::test]
async fn s4_30_a_request_is_rejected_taken_back_or_answered_once() {
    let stage = Stage::new().await;
    let (group, link) = stage.group("Lee family").await;
    let eve = stage.asks(EVE, &link).await;
    assert_eq!(done(stage.call(answer(&group, &eve, false)).await), None);
    assert!(stage.meta.groups_of(EVE).is_empty());
    assert_eq!(code(stage.call(answer(&group, &eve, true)).await), "131213");
    let bob = stage.asks(BOB, &link).await;
    stage.meta.leave_group(BOB, group.as_str()).unwrap();
    stage
        .told("the second thoughts", |told| {
            matches!(&told.news, GroupNews::AsksNoMore { request, .. } if *request == bob).then_some(())
        })
        .await;
    assert_eq!(code(stage.call(answer(&group, &bob, true)).await), "131213");
}

#[tokio::test]
async fn s1_16_a_request_that_no_webhook_told_of_stands_in_the_list() {
    let stage = Stage::new().await;
    let (group, link) = stage.group("Lee family").await;
    let listed = async || done(stage.call(GroupCall::Requests { group: group.clone() }).await).unwrap();
    assert_eq!(listed().await, "[]");
    let bob = stage.asks(BOB, &link).await;
    let found: Vec<JoinRequest> = serde_json::from_str(&listed().await).unwrap();
    let [one] = found.as_slice() else { panic!("{found:?}") };
    assert!(one.request == bob && is(one.who.phone.as_ref(), BOB), "{one:?}");
    assert_eq!(done(stage.call(answer(&group, &bob, true)).await), None);
    assert_eq!(listed().await, "[]", "answered");
}

#[tokio::test]
async fn s4_28_the_ninth_is_not_let_in() {
    let stage = Stage::new().await;
    let (group, link) = stage.group("Lee family").await;
    for nth in 0..8 {
        let number = format!("+4915110000{nth:03}");
        stage.meta.add_phone(&number, "Guest", true).unwrap();
        stage.joins(&number, &group, &link).await;
    }
    let ninth = stage.asks(ANN, &link).await;
    assert_eq!(code(stage.call(answer(&group, &ninth, true)).await), "131204");
    stage.meta.leave_group("+4915110000000", group.as_str()).unwrap();
    assert_eq!(done(stage.call(answer(&group, &ninth, true)).await), None);
}

#[tokio::test]
async fn pages_of_the_list_of_groups_are_as_metas_document_has_them() {
    let stage = Stage::new().await;
    for name in ["One", "Two"] {
        stage.group(name).await;
    }
    let list = format!("{}/v25.0/{LINE}/groups", stage.url);
    let read = async |url: &str| {
        let asked = reqwest::Client::builder().no_proxy().build().unwrap().get(url).bearer_auth("sandbox-token");
        asked.send().await.unwrap().json::<Value>().await.unwrap()
    };
    for limit in ["0", "1025", "2000", "-1", "many"] {
        assert_eq!(read(&format!("{list}?limit={limit}")).await["error"]["code"], 100, "{limit}");
    }
    assert_eq!(read(&format!("{list}?limit=1024")).await["data"]["groups"].as_array().map(Vec::len), Some(2));
    let first = read(&format!("{list}?limit=1")).await;
    let next = read(first["paging"]["next"].as_str().unwrap()).await;
    assert_ne!(first["data"]["groups"][0]["id"], next["data"]["groups"][0]["id"], "its address is a whole one");
    assert_eq!((next["data"]["groups"].as_array().map(Vec::len), &next["paging"]["next"]), (Some(1), &Value::Null));
}

#[tokio::test]
async fn s4_32_messages_wait_for_somebody_to_join_and_to_write() {
    let stage = Stage::new().await;
    let (group, link) = stage.group("Lee family").await;
    assert_eq!(code(stage.send(&group, "m-1", "Hello").await), "131020");
    stage.joins(ANN, &group, &link).await;
    assert_eq!(code(stage.send(&group, "m-2", "Hello").await), "131047", "nobody has written yet");
    stage.meta.write_in_group(ANN, group.as_str(), "Hello all", None).unwrap();
    let heard = stage.until("the message", |fact| match fact {
        Fact::ClientMessage(message) => Some(message.clone()),
        _ => None,
    });
    let ClientMessage { group: into, from, .. } = heard.await;
    assert_eq!((into.as_deref(), is(from.phone.as_ref(), ANN)), (Some(group.as_str()), true));
    assert!(done(stage.send(&group, "m-3", "Hello").await).unwrap().starts_with("wamid."));
    stage.clock.fetch_add(24 * HOUR, Ordering::SeqCst);
    assert_eq!(code(stage.send(&group, "m-4", "Hello").await), "131047");
    stage.meta.fail_window(Fails::Async);
    assert!(done(stage.send(&group, "m-5", "Hello").await).is_some());
    let failed = stage.report("m-5", "failed", None).await;
    assert!(matches!(failed.status, Delivery::Failed { code, .. } if code == "131047"));
}

#[tokio::test]
async fn s4_34_each_member_has_his_own_ticks() {
    let stage = Stage::new().await;
    let (group, link) = stage.group("Lee family").await;
    stage.joins(ANN, &group, &link).await;
    stage.joins(BOB, &group, &link).await;
    stage.meta.write_in_group(ANN, group.as_str(), "Hello all", None).unwrap();
    let wamid = done(stage.send(&group, "m-1A2B3C4D", "Good morning").await).unwrap();
    assert!(!wamid.contains('\n'), "a group has no number of its own");
    assert_eq!(stage.report("m-1A2B3C4D", "sent", None).await.id.as_str(), wamid);
    for member in [ANN, BOB] {
        let report = stage.report("m-1A2B3C4D", "delivered", Some(member)).await;
        assert!(is(report.recipient.phone.as_ref(), member));
        assert_eq!(
            (report.price_category.as_deref(), report.price_type.as_deref()),
            (Some("group_service"), Some("free_group_customer_service"))
        );
    }
    stage.meta.mark_read(BOB).unwrap();
    stage.report("m-1A2B3C4D", "read", Some(BOB)).await;
    let read_by_ann = |id: &String| id == &format!("wa:st:{wamid}:read:{}", &ANN[1..]);
    assert!(!stage.ids().iter().any(read_by_ann));
}

#[tokio::test]
async fn a_suspended_group_takes_nothing_until_it_is_cleared() {
    let stage = Stage::new().await;
    let (group, link) = stage.group("Lee family").await;
    stage.joins(ANN, &group, &link).await;
    stage.meta.suspend_group(group.as_str(), true).unwrap();
    stage.told("the suspension", |told| (told.news == GroupNews::Suspended).then_some(())).await;
    assert_eq!(code(stage.send(&group, "m-1", "Hello").await), "131207");
    assert_eq!(code(stage.call(super::link(&group, true)).await), "131207");
    assert!(stage.meta.write_in_group(ANN, group.as_str(), "Hello?", None).is_err());
    stage.meta.suspend_group(group.as_str(), false).unwrap();
    stage.told("the end of it", |told| (told.news == GroupNews::Unsuspended).then_some(())).await;
    stage.meta.write_in_group(ANN, group.as_str(), "Hello!", None).unwrap();
}

#[tokio::test]
async fn a_firm_that_is_not_eligible_gets_131215() {
    let stage = Stage::new().await;
    stage.meta.groups_are_for_the_firm(false);
    assert_eq!(code(stage.call(create("Lee family")).await), "131215");
    assert_eq!(code(stage.call(find("Lee family", NOON)).await), "131215");
    stage.meta.groups_are_for_the_firm(true);
    stage.meta.trouble("131215", 1).unwrap();
    assert_eq!(code(stage.call(create("Lee family")).await), "131215");
    assert!(done(stage.call(create("Lee family")).await).is_some());
}

#[tokio::test]
async fn s4_29_a_lost_webhook_leaves_a_group_that_can_be_found() {
    let stage = Stage::new().await;
    stage.meta.trouble("group-lost", 1).unwrap();
    assert!(done(stage.call(create("Lee family")).await).is_some());
    let group = GroupId::new(done(stage.call(find("Lee family", NOON)).await).unwrap());
    let link = done(stage.call(super::link(&group, false)).await).unwrap();
    stage.joins(ANN, &group, &link).await;
    assert!(!stage.heard().iter().any(|fact| matches!(fact, Fact::GroupTold(GroupTold { news: GroupNews::Created { .. }, .. }))));
    stage.clock.fetch_add(HOUR, Ordering::SeqCst);
    assert_eq!(code(stage.call(find("Lee family", NOON + HOUR)).await), "not-there", "that one is older");
}

#[tokio::test]
async fn a_webhook_that_comes_more_than_once_is_one_event() {
    let stage = Stage::new().await;
    stage.meta.trouble("group-twice", 1).unwrap();
    stage.group("Lee family").await;
    let created = || stage.ids().into_iter().filter(|id| id.contains(":created:")).collect::<Vec<_>>();
    for _ in 0..500 {
        if created().len() == 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let ids = created();
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[tokio::test]
async fn a_group_that_whatsapp_did_not_make_after_all_is_told_so() {
    let stage = Stage::new().await;
    stage.meta.trouble("group-fails", 1).unwrap();
    let asked = done(stage.call(create("Lee family")).await).unwrap();
    let refused = stage.told("the refusal", |told| match &told.news {
        GroupNews::NotCreated { request, code, .. } => Some((told.group.clone(), request.clone(), code.clone())),
        _ => None,
    });
    assert_eq!(refused.await, (GroupId::new(""), asked, "131211".to_owned()));
    assert_eq!(code(stage.call(find("Lee family", NOON)).await), "not-there");
    let (group, _) = stage.group("Lee family").await;
    stage.meta.trouble("group-fails", 1).unwrap();
    let change = GroupCall::Change { group: group.clone(), subject: Some("New".to_owned()), description: None };
    assert!(done(stage.call(change).await).is_none());
    stage
        .told("the unchanged name", |told| {
            matches!(&told.news, GroupNews::NotChanged { code, .. } if code == "131000").then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_lost_answer_leaves_the_end_unknown_though_the_group_is_made() {
    let stage = Stage::new().await;
    stage.meta.trouble("group-lost-answer", 1).unwrap();
    assert!(is_unknown(&stage.call(create("Lee family")).await));
    assert!(done(stage.call(find("Lee family", NOON)).await).is_some());
    stage.meta.trouble("131208", 1).unwrap();
    assert!(matches!(stage.call(find("Lee family", NOON)).await, Attempt::NotYet { .. }));
}

/// What Meta itself answers of several at once.
#[tokio::test]
async fn of_several_participants_each_has_an_end_of_its_own() {
    let stage = Stage::new().await;
    let (group, link) = stage.group("Lee family").await;
    stage.joins(ANN, &group, &link).await;
    let url = format!("{}/v25.0/{group}/participants", stage.url);
    let ask = |participants: Value| {
        let body = json!({"messaging_product": "whatsapp", "participants": participants});
        reqwest::Client::new().delete(&url).bearer_auth("sandbox-token").json(&body).send()
    };
    let twice = ask(json!([{"user": ANN}, {"user": ANN}])).await.unwrap();
    assert_eq!(twice.json::<Value>().await.unwrap()["error"]["code"], 131202);
    let partly = ask(json!([{"user": ANN}, {"user": BOB}])).await.unwrap();
    assert_eq!(partly.status().as_u16(), 206);
    let answer: Value = partly.json().await.unwrap();
    assert_eq!(
        (&answer["errors"][0]["code"], &answer["failed_participants"][0]["errors"][0]["code"]),
        (&json!(131201), &json!(131212))
    );
    stage
        .told("who is out", |told| matches!(&told.news, GroupNews::Removed { who } if is(who.phone.as_ref(), ANN)).then_some(()))
        .await;
    stage
        .told("who is not", |told| {
            matches!(&told.news, GroupNews::NotRemoved { who, code, .. } if is(who.phone.as_ref(), BOB) && code == "131212")
                .then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_restart_forgets_neither_groups_nor_who_is_barred() {
    let dir = tempfile::tempdir().unwrap();
    let stage = Stage::open(Some(dir.path().to_owned())).await;
    let (group, link) = stage.group("Lee family").await;
    stage.joins(ANN, &group, &link).await;
    stage.joins(BOB, &group, &link).await;
    stage.meta.write_in_group(BOB, group.as_str(), "Hello all", None).unwrap();
    assert!(done(stage.send(&group, "m-1", "Good morning").await).is_some());
    assert_eq!(done(stage.call(remove(&group, ANN)).await), None);
    drop(stage);
    let stage = Stage::open(Some(dir.path().to_owned())).await;
    assert!(stage.meta.follow_link(ANN, &link).is_err());
    let texts: Vec<String> = stage.meta.groups_of(BOB)[0].messages.iter().map(|message| message.text.clone()).collect();
    assert_eq!(texts, ["Hello all", "Good morning"]);
    assert!(done(stage.send(&group, "m-2", "Still here").await).is_some());
}
