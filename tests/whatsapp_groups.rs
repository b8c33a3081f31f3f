//! Native groups at the wire: each call against a stub and against the emulated WhatsApp, and the webhooks that come back.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic, also in its helpers")]
#[path = "whatsapp_groups/emulator.rs"]
mod emulator;
#[path = "whatsapp_groups/phones.rs"]
mod phones;
#[path = "whatsapp_groups/picture.rs"]
mod picture;
#[path = "whatsapp_groups/prism.rs"]
mod prism;
#[path = "whatsapp_groups/stub.rs"]
mod stub;
#[path = "whatsapp_groups/webhooks.rs"]
mod webhooks;

use liaison::adapters::whatsapp::{Pace, Settings, WhatsApp};
use liaison::domain::effect::{Address, Attempt, GroupAct, GroupCall, Outcome};
use liaison::domain::ids::{GroupId, LineId, Phone, RoomKey};
use liaison::domain::time::Timestamp;
use liaison::ports::Clock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const NOON: i64 = 1_800_000_000_000;
const LINE: &str = "100000000000001";

struct Hands(Arc<AtomicI64>);
impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

fn adapter(url: &str, clock: &Arc<AtomicI64>) -> WhatsApp {
    let settings = Settings {
        graph_url: url.to_owned(),
        api_version: "v25.0".to_owned(),
        business_account_id: "200000000000001".to_owned(),
        access_token: "sandbox-token".to_owned(),
        ca: None,
        proxy: None,
        answer_within: Duration::from_secs(5),
    };
    WhatsApp::new(settings, Arc::new(Hands(clock.clone())), Arc::new(Mutex::new(Pace::new()))).unwrap()
}

fn act(call: GroupCall) -> GroupAct {
    GroupAct { room: RoomKey::new("r-1A2B3C4D"), line: LineId::new(LINE), contact: None, call }
}

fn create(subject: &str) -> GroupCall {
    GroupCall::Create { subject: subject.to_owned(), description: "Your advisors: Jane Doe".to_owned() }
}

fn find(subject: &str, created_after: i64) -> GroupCall {
    GroupCall::Find { subject: subject.to_owned(), created_after: Timestamp(created_after) }
}

fn link(group: &GroupId, anew: bool) -> GroupCall {
    GroupCall::Link { group: group.clone(), anew }
}

fn answer(group: &GroupId, request: &str, approve: bool) -> GroupCall {
    GroupCall::Answer { group: group.clone(), request: request.to_owned(), approve }
}

fn remove(group: &GroupId, number: &str) -> GroupCall {
    GroupCall::Remove { group: group.clone(), who: to(number) }
}

fn to(number: &str) -> Address {
    Address { phone: Phone::from_e164(number), user_id: None, group: None }
}

fn done(attempt: Attempt) -> Option<String> {
    let Attempt::Ended(Outcome::Done { external_id }) = attempt else { panic!("{attempt:?}") };
    external_id
}

fn code(attempt: Attempt) -> String {
    let Attempt::Ended(Outcome::Failed { code, .. }) = attempt else { panic!("{attempt:?}") };
    code
}

fn is_unknown(attempt: &Attempt) -> bool {
    matches!(attempt, Attempt::Ended(Outcome::Unknown { .. }))
}
