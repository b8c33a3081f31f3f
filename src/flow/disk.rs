//! The disk fills up: first nothing new leaves for clients, then nothing but stops is taken in, so that a stop always finds room.
use crate::domain::event::{Content, Event, Fact};
use crate::domain::policy::Policy;
use crate::domain::words::{Meaning, Words};
use crate::ports::disk::{DiskLevel, Level, Probe};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often the disk is looked at; a webhook flood of 3 MB bodies fills a few hundred megabytes in that time.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// The form's button with which an advisor says that a client meant to stop.
const REVIEW_STOP: &str = "review-stop";

/// Whether there is room for this event: a stop, and what the program itself has to note, at any level.
pub fn has_room_for(level: &DiskLevel, event: &Event, policy: &Policy) -> bool {
    level.get() < Level::StopsOnly || !is_new_input(&event.fact, &policy.words)
}

/// Looks at the disk until `stop`.
pub async fn watch(level: Arc<DiskLevel>, probe: Arc<dyn Probe>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let (level, probe) = (Arc::clone(&level), Arc::clone(&probe));
        // A network disk may take its time to answer. A panic of the probe leaves the level as it was.
        let _looked = tokio::task::spawn_blocking(move || level.look(&*probe)).await;
        tokio::select! { () = stop.cancelled() => return, () = tokio::time::sleep(LOOK_EVERY) => {} }
    }
}

/// Something new from a client or an advisor that is no stop, not even a possible one.
fn is_new_input(fact: &Fact, words: &Words) -> bool {
    match fact {
        Fact::ClientMessage(said) => !may_be_a_stop(&said.content, words),
        Fact::FormSent(sent) => sent.values.get("action").and_then(Value::as_str) != Some(REVIEW_STOP),
        Fact::RoomMessage(_) | Fact::ClientCalled(_) => true,
        Fact::MessageSuppressed { .. }
        | Fact::MembersChanged { .. }
        | Fact::RoomRenamed { .. }
        | Fact::RoomActive { .. }
        | Fact::ConnectionRequested { .. }
        | Fact::OfNoConcern { .. }
        | Fact::DeliveryReported(_)
        | Fact::UserFound { .. }
        | Fact::EffectWanted { .. }
        | Fact::EffectEnded { .. }
        | Fact::EffectPutOff { .. }
        | Fact::DoubtIsOld { .. }
        | Fact::TimeCame { .. }
        | Fact::LineTroubled { .. }
        | Fact::LineWorks { .. }
        | Fact::TemplateTold(_)
        | Fact::TemplatesListed(_)
        | Fact::MarketingChosen(_)
        | Fact::GroupTold(_)
        | Fact::NotUsed { .. }
        | Fact::Unreadable { .. } => false,
    }
}

fn may_be_a_stop(content: &Content, words: &Words) -> bool {
    let is_stop = |meaning| matches!(meaning, Meaning::Stop | Meaning::PossibleStop);
    match content {
        Content::Text(text) => is_stop(words.meaning(text)),
        Content::Button { payload, text } => {
            Words::of_payload(payload).map_or_else(|| is_stop(words.meaning(text)), |meaning| meaning == Meaning::Stop)
        }
        Content::Other { caption, .. } => caption.as_ref().is_some_and(|caption| is_stop(words.meaning(caption))),
        Content::Media(file) => file.caption.as_ref().is_some_and(|caption| is_stop(words.meaning(caption))),
        Content::Sign { .. } => false,
    }
}
