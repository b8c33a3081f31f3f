//! Calls: the voice webhook's TwiML is read and followed, as far as a phone without a microphone can.
use super::Inner;
use super::hooks::Params;
use super::phones::{call_view, unwritten};
use super::send::{Form, is_web_address};
use super::shapes;
use super::trouble::Twist;
use super::world::{Call, Record, Recording};
use crate::sandbox::pod::xml::{self, Element, Node};
use crate::sandbox::views::PhoneMessageView;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Documents that one call asks for; a flow that goes round in circles ends here.
const MAX_DOCUMENTS: usize = 30;
/// Calls under way at once.
const MAX_CALLS: usize = 200;
/// A moment in which it rings.
const RINGS: Duration = Duration::from_millis(50);
/// A recording is ready a moment after the call.
const RECORDED_AFTER: Duration = Duration::from_millis(50);
/// How long a conversation lasts if nobody says.
const TALK_SECONDS: u64 = 60;
/// How long a spoken sentence lasts.
const SENTENCE_SECONDS: u64 = 3;
/// People leave two words of voicemail in a second.
const WORDS_PER_SECOND: u64 = 2;
const SHORTEST_VOICEMAIL: u64 = 2;
/// What Twilio says when the firm's server gives it no TwiML.
const BROKEN: &str = "We are sorry, an application error has occurred. Goodbye.";
/// A withheld number, as it arrives.
const WITHHELD: &str = "anonymous";
const PROGRESS: [&str; 4] = ["initiated", "ringing", "answered", "completed"];

/// How a client's call goes.
#[derive(Clone, Debug, Default)]
pub struct CallPlan {
    /// The firm's number; otherwise the one that wrote last to this phone, or the first.
    pub line: Option<String>,
    pub withheld: bool,
    /// Another caller id than the phone's number.
    pub sender: Option<String>,
    /// Whether the advisor's phone is picked up if the firm forwards the call.
    pub answered: bool,
    pub seconds: Option<u64>,
    /// What the client says after the tone.
    pub voicemail: Option<String>,
}

/// Where the webhooks of a call go.
struct Reports {
    url: String,
    /// Of initiated, ringing, answered, completed.
    events: Vec<String>,
}

/// A call under way.
struct Talk {
    inner: Arc<Inner>,
    call: Call,
    plan: CallPlan,
    twist: Twist,
    reports: Reports,
    sequence: u32,
    /// The address of the document that is being followed.
    at: String,
    picked_up: bool,
    /// The client has hung up: what the firm answers now reaches nobody.
    gone: bool,
    /// What is told of a recording after the call.
    recorded: Vec<(String, Params)>,
}

/// After a verb, or a document.
enum Next {
    On,
    Fetch(String, Params),
    Over,
}

impl Inner {
    /// A client calls; what the phone shows of it at once.
    pub(super) fn ring(self: &Arc<Self>, client: &str, plan: CallPlan) -> Result<PhoneMessageView, String> {
        let mut world = self.world();
        if world.calls.iter().rev().take(MAX_CALLS).filter(|call| call.ended.is_none()).count() >= MAX_CALLS {
            return Err("Too many calls are under way.".into());
        }
        let line = self.line_for(&world, client, plan.line.as_deref())?;
        let from = match &plan.sender {
            _ if plan.withheld => WITHHELD.to_owned(),
            Some(sender) => sender.clone(),
            None => client.to_owned(),
        };
        let call = Call { client: client.to_owned(), ..new_call(from, line.number, (self.now)()) };
        world.commit(vec![Record::Call(call.clone())]).map_err(unwritten)?;
        let view = call_view(&world, &call);
        let twist = world.troubles.next_twist();
        drop(world);
        self.changed();
        let reports = Reports { url: line.status_callback, events: vec!["completed".into()] };
        let talk = Talk::new(self.clone(), call, plan, twist, reports);
        self.spawn(talk.run(Next::Fetch(line.voice_url, Vec::new())));
        Ok(view)
    }

    /// The firm calls a client, who takes it: `POST Calls.json` after its checks.
    pub(super) fn dial_out(self: &Arc<Self>, from: String, to: String, form: &Form) -> std::io::Result<Value> {
        let call = Call { client: to.clone(), inbound: false, status: "queued".into(), ..new_call(from, to, (self.now)()) };
        let answer = self.call(&call);
        self.world().commit(vec![Record::Call(call.clone())])?;
        self.changed();
        let mut events: Vec<String> =
            form.all("StatusCallbackEvent").flat_map(str::split_whitespace).map(str::to_owned).collect();
        if events.is_empty() {
            events.push("completed".into());
        }
        let reports = Reports { url: form.get("StatusCallback").unwrap_or_default().to_owned(), events };
        let mut talk = Talk::new(self.clone(), call, CallPlan::default(), Twist::default(), reports);
        talk.picked_up = true;
        talk.call.answered = true;
        let (url, twiml) = (form.get("Url").map(str::to_owned), form.get("Twiml").map(str::to_owned));
        self.spawn(async move {
            match (url, twiml) {
                (_, Some(twiml)) => talk.run_twiml(&twiml).await,
                (url, None) => talk.run(Next::Fetch(url.unwrap_or_default(), Vec::new())).await,
            }
        });
        Ok(answer)
    }
}

fn new_call(from: String, to: String, created: i64) -> Call {
    Call {
        sid: shapes::sid("CA"),
        client: from.clone(),
        from,
        to,
        inbound: true,
        status: "ringing".into(),
        created,
        ended: None,
        seconds: 0,
        spoken: Vec::new(),
        answered: false,
        recording: None,
        parent: None,
    }
}

impl Talk {
    fn new(inner: Arc<Inner>, call: Call, plan: CallPlan, twist: Twist, reports: Reports) -> Talk {
        let (at, recorded) = (String::new(), Vec::new());
        Talk { inner, call, plan, twist, reports, sequence: 0, at, picked_up: false, gone: false, recorded }
    }

    /// From the first document to the last word about the call.
    async fn run(mut self, first: Next) {
        self.begin().await;
        self.follow_all(first).await;
        self.hang_up().await;
    }

    /// The same with a document that came with the request.
    async fn run_twiml(mut self, twiml: &str) {
        self.begin().await;
        match response(twiml) {
            Some(document) => {
                let next = self.follow(&document).await;
                self.follow_all(next).await;
            }
            None => self.call.spoken.push(BROKEN.to_owned()),
        }
        self.hang_up().await;
    }

    async fn begin(&mut self) {
        tokio::time::sleep(RINGS).await;
        if !self.call.inbound {
            for (event, status) in [("initiated", "initiated"), ("ringing", "ringing"), ("answered", "in-progress")] {
                self.report(event, status).await;
            }
        }
    }

    async fn follow_all(&mut self, first: Next) {
        let mut next = first;
        for _ in 0..MAX_DOCUMENTS {
            let Next::Fetch(url, more) = next else { return };
            let Some(document) = self.fetch(&url, more).await else {
                if !self.gone {
                    self.say(BROKEN);
                }
                return;
            };
            if self.gone {
                return;
            }
            self.at = url;
            next = self.follow(&document).await;
        }
    }

    /// Asks for TwiML. An empty answer is a document without verbs.
    async fn fetch(&self, url: &str, more: Params) -> Option<Element> {
        let mut params = self.inner.of_call(&self.call, self.status());
        // What was said of the call's state by the verb counts more than the state itself.
        params.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
        params.extend(more);
        if url.is_empty() {
            return None;
        }
        let twiml = self.inner.tell(url, params, self.twist).await?;
        if twiml.trim().is_empty() {
            return Some(Element { name: "Response".into(), ..Element::default() });
        }
        response(&twiml)
    }

    fn status(&self) -> &'static str {
        if self.picked_up { "in-progress" } else { "ringing" }
    }

    async fn follow(&mut self, document: &Element) -> Next {
        for verb in document.elements() {
            let next = self.perform(verb).await;
            self.show();
            if !matches!(next, Next::On) {
                return next;
            }
        }
        Next::Over
    }

    async fn perform(&mut self, verb: &Element) -> Next {
        match verb.name.as_str() {
            "Say" => self.say(&words_of(verb)),
            "Play" => self.say(&format!("[{}]", words_of(verb))),
            "Gather" => {
                self.picked_up = true;
                verb.elements().filter(|inner| inner.name == "Say").for_each(|inner| self.say(&words_of(inner)));
            }
            "Pause" => self.picked_up = true,
            "Redirect" => return Next::Fetch(self.resolved(&words_of(verb)), Vec::new()),
            "Hangup" => return Next::Over,
            "Reject" => return self.reject(verb),
            "Dial" => return self.dial(verb).await,
            "Record" => return self.record(verb),
            other => tracing::info!(code = 12200, verb = other, "TwiML that this phone does not know is skipped"),
        }
        Next::On
    }

    fn say(&mut self, words: &str) {
        self.picked_up = true;
        self.call.seconds += SENTENCE_SECONDS;
        self.call.spoken.push(words.to_owned());
    }

    /// Only a call that nobody has taken can be rejected.
    fn reject(&mut self, verb: &Element) -> Next {
        if !self.picked_up {
            let busy = verb.attribute("reason") == Some("busy");
            self.call.status = if busy { "busy" } else { "no-answer" }.into();
        }
        Next::Over
    }

    /// The advisor's phone rings; the plan says whether it is picked up.
    async fn dial(&mut self, verb: &Element) -> Next {
        let number = verb.elements().find(|inner| inner.name == "Number");
        let dialled = number.map_or_else(|| words_of(verb), words_of);
        let over_the_bridge = verb.attribute("answerOnBridge") == Some("true");
        self.picked_up |= !over_the_bridge || self.plan.answered;
        let from = verb.attribute("callerId").unwrap_or(&self.call.from).to_owned();
        let leg = self.leg(from, dialled, number).await;
        let mut more: Params = vec![("DialCallSid", leg.sid.clone()), ("DialCallStatus", leg.status.clone())];
        if self.plan.answered {
            self.call.answered = true;
            self.call.seconds += leg.seconds;
            more.push(("DialCallDuration", leg.seconds.to_string()));
            more.push(("DialBridged", "true".to_owned()));
            if verb.attribute("record").is_some_and(|how| how.starts_with("record-from") || how == "true") {
                more.extend(self.recorded_as("DialVerb", leg.seconds, String::new(), verb));
            }
        }
        match verb.attribute("action").filter(|action| !action.is_empty()) {
            Some(action) => Next::Fetch(self.resolved(action), more),
            // Who has spoken with his advisor hangs up himself.
            None if self.plan.answered => Next::Over,
            None => Next::On,
        }
    }

    /// The other half of a forwarded call, with the callbacks that its `<Number>` asks for.
    async fn leg(&self, from: String, to: String, number: Option<&Element>) -> Call {
        let inner = &self.inner;
        let parent = Some(self.call.sid.clone());
        let seconds = if self.plan.answered { self.plan.seconds.unwrap_or(TALK_SECONDS) } else { 0 };
        let status = if self.plan.answered { "completed" } else { "no-answer" };
        let leg = Call { inbound: false, parent, seconds, answered: self.plan.answered, ..new_call(from, to, (inner.now)()) };
        let leg = Call { status: status.into(), ended: Some(leg.created), ..leg };
        inner.keep_call(&leg);
        let attribute = |name: &str| number.and_then(|number| number.attribute(name)).unwrap_or_default();
        let (url, wanted) = (attribute("statusCallback"), attribute("statusCallbackEvent"));
        if url.is_empty() {
            return leg;
        }
        for (nth, event) in PROGRESS.iter().enumerate() {
            let happened = match *event {
                "answered" => self.plan.answered,
                _ => true,
            };
            let asked = wanted.split_whitespace().any(|one| one == *event) || (wanted.is_empty() && *event == "completed");
            if happened && asked {
                let word = match *event {
                    "answered" => "in-progress",
                    "completed" => status,
                    other => other,
                };
                let params = progress(inner, &leg, word, nth as u32);
                inner.tell(&self.resolved(url), params, self.twist).await;
            }
        }
        leg
    }

    /// After the tone; who has nothing to say hangs up.
    fn record(&mut self, verb: &Element) -> Next {
        self.picked_up = true;
        let Some(words) = self.plan.voicemail.take() else { return Next::Over };
        let spoken = words.split_whitespace().count() as u64;
        let seconds = self.plan.seconds.unwrap_or_else(|| spoken.div_ceil(WORDS_PER_SECOND).max(SHORTEST_VOICEMAIL));
        let longest = verb.attribute("maxLength").and_then(|most| most.parse().ok()).unwrap_or(u64::MAX);
        let seconds = seconds.min(longest).max(1);
        self.call.seconds += seconds;
        self.gone = true;
        let mut more = self.recorded_as("RecordVerb", seconds, words, verb);
        more.push(("Digits", "hangup".to_owned()));
        more.push(("CallStatus", "completed".to_owned()));
        // Without an action Twilio turns to the same document again.
        let action = verb.attribute("action").filter(|action| !action.is_empty());
        Next::Fetch(action.map_or_else(|| self.at.clone(), |action| self.resolved(action)), more)
    }

    /// Keeps a recording, notes who is to be told when it is ready, and gives what an action hears of it.
    fn recorded_as(&mut self, source: &str, seconds: u64, words: String, verb: &Element) -> Params {
        let created = (self.inner.now)();
        let sid = shapes::sid("RE");
        let url = self.inner.address(&format!("/Recordings/{sid}"));
        let recording =
            Recording { sid: sid.clone(), call: self.call.sid.clone(), created, seconds, source: source.into(), words };
        if let Err(error) = self.inner.world().commit(vec![Record::Recording(recording)]) {
            tracing::error!(%error, "the sandbox cannot write its journal");
        }
        self.call.recording = Some(sid.clone());
        let told: Params = vec![("RecordingSid", sid), ("RecordingUrl", url), ("RecordingDuration", seconds.to_string())];
        if let Some(callback) = verb.attribute("recordingStatusCallback").filter(|url| !url.is_empty()) {
            let mut params: Params = vec![
                ("AccountSid", self.inner.settings.account_sid.clone()),
                ("CallSid", self.call.sid.clone()),
                ("RecordingStatus", "completed".to_owned()),
                ("RecordingChannels", "1".to_owned()),
                ("RecordingSource", source.to_owned()),
                ("RecordingStartTime", shapes::date(created)),
                ("ErrorCode", "0".to_owned()),
            ];
            params.extend(told.clone());
            self.recorded.push((self.resolved(callback), params));
        }
        told
    }

    /// Everybody has hung up: the last state is shown and told, then the recordings are ready.
    async fn hang_up(mut self) {
        let unsettled = matches!(self.call.status.as_str(), "ringing" | "queued" | "in-progress");
        if unsettled {
            self.call.status = if self.picked_up { "completed" } else { "no-answer" }.into();
        }
        if !self.picked_up {
            self.call.seconds = 0;
        }
        self.call.ended = Some((self.inner.now)());
        self.inner.keep_call(&self.call);
        let status = self.call.status.clone();
        self.report("completed", &status).await;
        tokio::time::sleep(RECORDED_AFTER).await;
        for (url, params) in std::mem::take(&mut self.recorded) {
            self.inner.tell(&url, params, self.twist).await;
        }
    }

    async fn report(&mut self, event: &str, status: &str) {
        if !self.reports.events.iter().any(|wanted| wanted == event) {
            return;
        }
        let params = progress(&self.inner, &self.call, status, self.sequence);
        self.sequence += 1;
        self.inner.tell(&self.reports.url, params, self.twist).await;
    }

    fn show(&mut self) {
        if self.picked_up && self.call.status == "ringing" {
            self.call.status = "in-progress".into();
        }
        self.inner.keep_call(&self.call);
    }

    /// An address in TwiML may be relative to its document.
    fn resolved(&self, address: &str) -> String {
        let joined = url::Url::parse(&self.at).and_then(|at| at.join(address));
        joined.map_or_else(|_| address.to_owned(), |url| url.to_string())
    }
}

impl Inner {
    fn keep_call(&self, call: &Call) {
        if let Err(error) = self.world().commit(vec![Record::Call(call.clone())]) {
            tracing::error!(%error, "the sandbox cannot write its journal");
        }
        self.changed();
    }
}

/// A call's status callback.
fn progress(inner: &Inner, call: &Call, status: &str, sequence: u32) -> Params {
    let mut params = inner.of_call(call, status);
    let over = matches!(status, "completed" | "busy" | "failed" | "no-answer" | "canceled");
    if over {
        params.push(("CallDuration", call.seconds.to_string()));
        params.push(("Duration", call.seconds.div_ceil(60).to_string()));
    }
    params.push(("Timestamp", shapes::date((inner.now)())));
    params.push(("CallbackSource", "call-progress-events".to_owned()));
    params.push(("SequenceNumber", sequence.to_string()));
    if let Some(recording) = call.recording.as_deref().filter(|_| over) {
        params.push(("RecordingSid", recording.to_owned()));
        params.push(("RecordingUrl", inner.address(&format!("/Recordings/{recording}"))));
    }
    params
}

/// The root of a TwiML document.
fn response(twiml: &str) -> Option<Element> {
    let root = xml::parse(twiml).inspect_err(|error| tracing::info!(code = 12100, error, "this is no TwiML")).ok()?;
    (root.name == "Response").then_some(root)
}

/// Every word inside an element, white space made even.
fn words_of(element: &Element) -> String {
    let mut text = String::new();
    element.walk(&mut |inner| {
        for node in &inner.children {
            if let Node::Text(words) = node {
                text.push_str(words);
                text.push(' ');
            }
        }
    });
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The texts of `<Message>` in the answer to a client's text, in their order.
pub(super) fn replies(twiml: &str) -> Vec<String> {
    if twiml.trim().is_empty() {
        return Vec::new();
    }
    let document = response(twiml).unwrap_or_default();
    let messages = document.elements().filter(|verb| matches!(verb.name.as_str(), "Message" | "Sms"));
    let text = |verb: &Element| verb.elements().find(|inner| inner.name == "Body").map_or_else(|| verbatim(verb), verbatim);
    messages.map(text).filter(|text| !text.is_empty()).collect()
}

/// The text directly inside an element, as it stands.
fn verbatim(element: &Element) -> String {
    let texts = element.children.iter().filter_map(|node| match node {
        Node::Text(text) => Some(text.as_str()),
        Node::Element(_) => None,
    });
    texts.collect::<String>().trim().to_owned()
}

/// What `POST Calls.json` needs besides two numbers, or the code of the refusal.
pub(super) fn instructions(form: &Form) -> Result<(), i64> {
    match (form.get("Url"), form.get("Twiml")) {
        (_, Some(_)) => Ok(()),
        (Some(url), None) if is_web_address(url) => Ok(()),
        (Some(_), None) | (None, None) => Err(21205),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_what_stands_in_message_or_in_its_body() {
        let twiml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response><Message>Hi &amp; bye</Message>\
                     <Message><Body>two</Body></Message></Response>";
        assert_eq!(replies(twiml), ["Hi & bye", "two"]);
        assert!(replies("").is_empty() && replies("<Response/>").is_empty() && replies("OK").is_empty());
    }
}
