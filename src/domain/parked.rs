//! Statuses of messages that nobody knows yet: the provider may tell of a message before it has answered the call that sent it.
use super::case::Record;
use super::commit::Key;
use super::event::{ClientKeys, Delivery, DeliveryReported};
use super::ids::*;
use super::message::Message;
use super::scene::{Scene, digest_of};
use super::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// An answer that has not come by then is lost, and the statuses were another program's.
const KEPT_FOR: Span = Span::minutes(10);
/// Sent, delivered, read, failed, and as many again.
const MOST_OF_ONE: usize = 8;

/// What was told of one message of the provider's.
#[derive(Clone, Serialize, Deserialize)]
struct Parked {
    /// The provider's id encodes the client's number; its digest does not.
    digest: String,
    since: Timestamp,
    told: Vec<Told>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Told {
    at: Timestamp,
    status: Delivery,
    price_category: Option<String>,
    price_type: Option<String>,
}

impl Record for Parked {
    fn key(&self) -> Key {
        Key::new("parked", &self.digest)
    }
    fn sealed_for(&self) -> Option<ContactId> {
        None
    }
    fn wake_at(&self) -> Option<Timestamp> {
        Some(self.since + KEPT_FOR)
    }
}

fn digest_of_wamid(id: &Wamid) -> String {
    digest_of(&EventId::new(id.as_str()))
}

/// Keeps a status until its message is known.
pub fn park(scene: &mut Scene, told: &DeliveryReported) {
    let digest = digest_of_wamid(&told.id);
    let known: Option<Parked> = scene.case.get(&Key::new("parked", &digest));
    let mut parked = known.unwrap_or(Parked { digest, since: scene.now, told: Vec::new() });
    if parked.told.len() < MOST_OF_ONE {
        let (price_category, price_type) = (told.price_category.clone(), told.price_type.clone());
        parked.told.push(Told { at: scene.event.at, status: told.status.clone(), price_category, price_type });
        scene.put(&parked);
    }
}

/// What was told of this message before it was known, in the order in which it came.
pub fn claim(scene: &mut Scene, message: &Message, id: &Wamid) -> Vec<(Timestamp, DeliveryReported)> {
    let key = Key::new("parked", digest_of_wamid(id));
    let Some(parked) = scene.case.get::<Parked>(&key) else { return Vec::new() };
    scene.case.remove::<Parked>(&key);
    let reported = |told: Told| {
        let report = DeliveryReported {
            channel: message.channel,
            line: message.line.clone(),
            id: id.clone(),
            ours: Some(message.id.clone()),
            status: told.status,
            recipient: ClientKeys::default(),
            participant: None,
            price_category: told.price_category,
            price_type: told.price_type,
        };
        (told.at, report)
    };
    parked.told.into_iter().map(reported).collect()
}

/// Nobody claimed them.
pub fn forget(scene: &mut Scene, digest: &str) {
    scene.case.remove::<Parked>(&Key::new("parked", digest));
}
