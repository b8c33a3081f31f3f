//! Looks at WhatsApp's list of who asks to join a group: only they find a request whose webhook was lost.
use super::news::asks_to_join;
use super::owed::FIRST_WAIT;
use super::*;
use crate::domain::event::JoinRequest;

/// Most follow their link within the hour; each look waits twice as long as the one before, a day at most …
pub const FIRST_LOOK: Span = Span::minutes(10);
const LONGEST: Span = Span::days(1);
/// … and after about two weeks nobody waits for them any more; a new link begins anew.
const LOOKS_MAX: u32 = 20;

/// When to look, and how often it was done since the last link went out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Looks {
    at: Option<Timestamp>,
    times: u32,
    /// There is a request of which we know that it was lost sight of.
    #[serde(default)]
    sure: bool,
}

impl Looks {
    pub(super) fn is_none(&self) -> bool {
        *self == Looks::default()
    }
    pub(super) fn wakes_at(&self) -> Option<Timestamp> {
        self.at
    }
    /// Somebody has just got his link.
    pub(super) fn begin(&mut self, now: Timestamp) {
        (self.at, self.times) = (Some(now + FIRST_LOOK), 0);
    }
    fn next(&mut self, now: Timestamp) {
        let wait = Span((FIRST_LOOK.0 << self.times.min(10)).min(LONGEST.0));
        self.at = (self.times < LOOKS_MAX).then_some(now + wait);
    }
}

pub(super) fn look_soon(native: &mut Native, now: Timestamp) {
    let soon = now + FIRST_WAIT;
    native.looks_for_requests.at = Some(native.looks_for_requests.at.map_or(soon, |at| at.min(soon)));
    native.looks_for_requests.sure = true;
    if native.looks_for_requests.times >= LOOKS_MAX {
        native.looks_for_requests.times = 0;
    }
}

/// Somebody has his link and has not come in yet.
fn is_waited_for(native: &Native) -> bool {
    native.members.values().any(|member| member.state == Membership::Invited && member.linked)
}

/// Nobody is asked for nothing: once all who were invited are in, the looks end.
pub(super) fn woke(scene: &mut Scene, key: &RoomKey) {
    let (now, Some(mut room)) = (scene.now, scene.room(key)) else { return };
    let live = room.is_live();
    let Some(native) = &mut room.native else { return };
    let Some(group) = native.group.clone().filter(|_| native.looks_for_requests.at.is_some_and(|at| at <= now)) else { return };
    let looks = live && (native.looks_for_requests.sure || is_waited_for(native));
    if looks {
        native.looks_for_requests.times += 1;
        native.looks_for_requests.next(now);
    } else {
        native.looks_for_requests = Looks::default();
    }
    scene.put(&room);
    if looks {
        act(scene, &room, GroupCall::Requests { group });
    }
}

/// Whoever stands in the list is answered, as if the webhook had come.
pub(super) fn found(scene: &mut Scene, key: &RoomKey, list: &str) {
    let Some(mut room) = scene.room(key) else { return };
    let Some(native) = &mut room.native else { return };
    let Some(group) = native.group.clone() else { return };
    native.looks_for_requests.sure = false;
    scene.put(&room);
    let requests: Vec<JoinRequest> = serde_json::from_str(list).unwrap_or_default();
    for JoinRequest { request, who } in requests {
        let Some(room) = scene.room(key) else { return };
        if room.native.as_ref().is_some_and(|native| !native.owes_answer(&request)) {
            asks_to_join(scene, &room, &group, &request, &who);
        }
    }
}
