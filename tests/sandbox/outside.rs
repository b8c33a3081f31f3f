//! Everything that a test may do: start the program, call its control calls, wait for what people would see.
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub const JANE: &str = "jane.doe@acme.com";
pub const SAM: &str = "sam.lee@acme.com";
pub const OLGA: &str = "olga.berg@acme.com";
pub const CARL: &str = "carl.ito@acme.com";
pub const NINA: &str = "nina.roy@acme.com";
/// The 1:1 chat with the bot.
pub const IM: &str = "";
/// The number of the firm's line, as §9 gives it.
pub const LINE_ID: &str = "100000000000001";
/// Chooses the datafeed by HTTP long polling.
pub const LONG_POLL: (&str, &str) = ("LIAISON__SYMPHONY__FEED", "long-poll");
pub const ACCOUNT: &str = "200000000000001";

/// The codes of INTERFACES §5; any other is a mistake.
const CODES: [&str; 18] = [
    "answer",
    "refusal",
    "form",
    "confirm",
    "client_message",
    "held",
    "released",
    "consent_yes",
    "consent_no",
    "consent_review",
    "not_on_whatsapp",
    "failed",
    "unconfirmed",
    "expired",
    "withdrawn",
    "room_opened",
    "notice",
    "info",
];
/// Longest wait for anything that must happen; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(25);
const LOOK_AGAIN: Duration = Duration::from_millis(25);

/// A running program; it ends with the last test that uses it.
pub struct Program {
    child: Mutex<Child>,
    pub at: Value,
    pub data: PathBuf,
    _folder: Option<tempfile::TempDir>,
    /// Whose turn it is to talk with the bot in a 1:1 chat, so that answers find their questions.
    turn: tokio::sync::Mutex<()>,
}

impl Program {
    fn start(data: &Path, folder: Option<tempfile::TempDir>, more: &[&str], environment: &[(&str, &str)]) -> Program {
        let mut child = Command::new(env!("CARGO_BIN_EXE_liaison"))
            .envs(environment.iter().copied())
            .args(["sandbox", "--listen", "127.0.0.1:0", "--json", "--data"])
            .arg(data)
            .args(more)
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(data.join("stderr.log")).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let at: Value = serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("no ready line: {line:?}; {}", std::fs::read_to_string(data.join("stderr.log")).unwrap()));
        assert_eq!(at["ready"], true);
        Program { child: Mutex::new(child), at, data: data.to_owned(), _folder: folder, turn: tokio::sync::Mutex::new(()) }
    }

    /// SIGTERM, and the exit code.
    pub fn end(&self) -> Option<i32> {
        let mut child = self.child.lock().unwrap();
        if let Ok(Some(status)) = child.try_wait() {
            return status.code();
        }
        let asked = Command::new("kill").arg(child.id().to_string()).status();
        assert!(asked.unwrap().success());
        let until = Instant::now() + Duration::from_secs(30);
        while Instant::now() < until {
            if let Some(status) = child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        None
    }
}

impl Program {
    /// As a machine does that loses its power.
    pub fn kill(&self) {
        let mut child = self.child.lock().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.end();
    }
}

/// One message in a room, as a person sees it, with what the bot wrote into its data.
#[derive(Clone, Debug)]
pub struct Line {
    pub id: String,
    pub from: String,
    pub text: String,
    pub presentation: String,
    pub code: String,
    pub reason: String,
    pub message: String,
    pub contact: String,
    pub submitted: bool,
}

impl Line {
    fn of(value: &Value) -> Line {
        let said = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let ours = &value["data"]["liaison"];
        Line {
            id: said(&value["id"]),
            from: said(&value["from"]["email"]),
            text: said(&value["text"]),
            presentation: said(&value["presentation"]),
            code: said(&ours["code"]),
            reason: said(&ours["reason"]),
            message: said(&ours["message"]),
            contact: said(&ours["contact"]),
            submitted: !value["submitted"].as_array().unwrap().is_empty(),
        }
    }

    pub fn is(&self, code: &str) -> bool {
        self.code == code
    }

    pub fn refuses(&self, reason: &str) -> bool {
        self.code == "refusal" && self.reason == reason
    }
}

/// One test's hand on the program.
#[derive(Clone)]
pub struct Outside {
    pub program: Arc<Program>,
    pub http: reqwest::Client,
}

static SHARED: Mutex<Weak<Program>> = Mutex::new(Weak::new());
static NEXT: AtomicU64 = AtomicU64::new(0);

/// The program that all tests use whose contacts are their own and who leave the clock alone.
pub fn shared() -> Outside {
    let mut shared = SHARED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let program = shared.upgrade().unwrap_or_else(|| {
        let program = Arc::new(fresh(&[], &[]));
        *shared = Arc::downgrade(&program);
        program
    });
    Outside::of(program)
}

/// A program of the test's own.
pub fn own() -> Outside {
    own_with(&[])
}

pub fn own_with(more: &[&str]) -> Outside {
    Outside::of(Arc::new(fresh(more, &[])))
}

/// One whose bot reads the platform's own datafeed.
pub fn own_over_long_polls() -> Outside {
    Outside::of(Arc::new(fresh(&[], &[LONG_POLL])))
}

/// One that was started with these settings in its environment.
pub fn own_where(environment: &[(&str, &str)]) -> Outside {
    Outside::of(Arc::new(fresh(&[], environment)))
}

pub fn in_folder(data: &Path) -> Outside {
    Outside::of(Arc::new(Program::start(data, None, &[], &[])))
}

fn fresh(more: &[&str], environment: &[(&str, &str)]) -> Program {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_owned();
    Program::start(&data, Some(folder), more, environment)
}

/// A client whom nobody knows yet.
#[derive(Clone, Debug)]
pub struct Client {
    pub number: String,
    pub email: String,
    pub last: String,
    /// Also the name of the client's room.
    pub name: String,
}

pub fn client(first: &str) -> Client {
    let nth = NEXT.fetch_add(1, Ordering::Relaxed);
    let last = format!("Nr{nth}");
    Client {
        number: format!("+4915110{:06}", 100_000 + nth),
        email: format!("{}{nth}@example.com", first.to_lowercase()),
        name: format!("{first} {last}"),
        last,
    }
}

impl Outside {
    fn of(program: Arc<Program>) -> Outside {
        Outside { program, http: reqwest::Client::new() }
    }

    pub fn address(&self, which: &str) -> String {
        self.program.at[which].as_str().unwrap().to_owned()
    }

    pub async fn get(&self, path: &str) -> Value {
        let answer = self.http.get(format!("{}{path}", self.address("page"))).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap()
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        let answer = self.http.post(format!("{}{path}", self.address("page"))).json(&body).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path} {body}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    pub async fn advance(&self, span: &str) {
        self.post("/api/clock", json!({ "advance": span })).await;
    }

    pub async fn trouble(&self, provider: &str, code: &str, times: u32) {
        self.post("/api/trouble", json!({ "provider": provider, "code": code, "times": times })).await;
    }

    /// What `liaison journal --json` prints; each entry must have the four fields that every entry has.
    pub fn journal(&self, more: &[&str]) -> Vec<Value> {
        let said = Command::new(env!("CARGO_BIN_EXE_liaison"))
            .args(["journal", "--json", "--config"])
            .arg(self.program.data.join("bot-config.toml"))
            .args(more)
            .output()
            .unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        let entries: Vec<Value> =
            String::from_utf8(said.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        for entry in &entries {
            assert!(entry["sequence"].is_u64() && entry["at"].is_string(), "{entry}");
            assert!(entry["actor"].is_string() && entry["kind"].is_string(), "{entry}");
        }
        entries
    }

    // ---- the chat

    /// A person writes; the id of the message.
    pub async fn say(&self, who: &str, room: &str, text: &str) -> String {
        let said = self.post(&format!("/api/users/{who}/messages"), json!({ "room": room, "text": text })).await;
        said["id"].as_str().unwrap().to_owned()
    }

    pub async fn rooms(&self, who: &str) -> Vec<Value> {
        self.get(&format!("/api/rooms?user={who}")).await.as_array().unwrap().clone()
    }

    async fn stream(&self, who: &str, room: &str) -> Option<String> {
        let name = if room == IM { "Liaison" } else { room };
        let found = self.rooms(who).await.into_iter().find(|listed| listed["name"] == name || listed["id"] == name)?;
        Some(found["id"].as_str().unwrap().to_owned())
    }

    /// Waits until the person sees the room; its entry in the list.
    pub async fn room(&self, who: &str, name: &str) -> Value {
        self.until(&format!("the room {name}"), async || self.rooms(who).await.into_iter().find(|room| room["name"] == name))
            .await
    }

    /// The lines of a room, each line of the bot held to what §5 says of all of them.
    pub async fn lines(&self, who: &str, room: &str) -> Vec<Line> {
        let Some(stream) = self.stream(who, room).await else { return Vec::new() };
        let messages = self.get(&format!("/api/rooms/{stream}/messages?user={who}")).await;
        messages.as_array().unwrap().iter().inspect(|message| is_well_marked(message)).map(Line::of).collect()
    }

    pub async fn line(&self, who: &str, room: &str, what: &str, fits: impl Fn(&Line) -> bool) -> Line {
        let found = async || self.lines(who, room).await.into_iter().find(&fits);
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(line) = found().await {
                return line;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        let there = self.lines(who, room).await;
        let there: Vec<String> =
            there.iter().map(|line| format!("{} [{} {}] {:.300}", line.from, line.code, line.reason, line.text)).collect();
        panic!("{what} never came into {room:?} of {who}; there is\n{}", there.join("\n"))
    }

    /// The bot's first line of its own after that message.
    pub async fn answer_to(&self, who: &str, room: &str, message: &str) -> Line {
        self.until(&format!("an answer in {room:?}"), async || {
            let lines = self.lines(who, room).await;
            let asked = lines.iter().position(|line| line.id == message)?;
            let answers = ["answer", "refusal", "form", "confirm", "held"];
            lines[asked + 1..].iter().find(|line| answers.contains(&line.code.as_str())).cloned()
        })
        .await
    }

    /// A command in the 1:1 chat, and its answer.
    pub async fn command(&self, who: &str, text: &str) -> Line {
        let _turn = self.program.turn.lock().await;
        let asked = self.say(who, IM, text).await;
        let answer = self.answer_to(who, IM, &asked).await;
        // A number that nobody has gets a second line, the form for it (S3-5); it must not be taken for the next answer.
        if answer.refuses("no-such-contact") && text.contains(" +") {
            self.until("the form for an unknown number", async || {
                let lines = self.lines(who, IM).await;
                let asked = lines.iter().position(|line| line.id == asked)?;
                lines[asked + 1..].iter().find(|line| line.is("form")).cloned()
            })
            .await;
        }
        answer
    }

    /// A text in a client room, and what the bot says to it.
    pub async fn remark(&self, who: &str, room: &str, text: &str) -> Line {
        let asked = self.say(who, room, text).await;
        self.answer_to(who, room, &asked).await
    }

    /// A press on a form of that line; `more` are its fields.
    pub async fn press(&self, who: &str, room: &str, line: &Line, form: &str, button: &str, more: Value) {
        let mut values = more;
        values["action"] = button.into();
        let body = json!({ "room": room, "message": line.id, "form": form, "values": values });
        self.post(&format!("/api/users/{who}/forms"), body).await;
    }

    /// The same in the 1:1 chat, and the answer: the next line there.
    pub async fn pressed(&self, who: &str, line: &Line, form: &str, button: &str, more: Value) -> Line {
        let _turn = self.program.turn.lock().await;
        self.pressed_in(who, IM, line, form, button, more).await
    }

    /// The same in any room.
    pub async fn pressed_in(&self, who: &str, room: &str, line: &Line, form: &str, button: &str, more: Value) -> Line {
        let before = self.lines(who, room).await.len();
        self.press(who, room, line, form, button, more).await;
        let answers = ["answer", "refusal", "form", "confirm", "info"];
        self.until(&format!("an answer to {button}"), async || {
            let lines = self.lines(who, room).await;
            lines[before..].iter().find(|line| answers.contains(&line.code.as_str())).cloned()
        })
        .await
    }

    // ---- by hand, in the platform's own settings

    /// A call to the pod with a session of the service account, the only one that has a key there.
    pub async fn by_hand(&self, path: &str, body: Value) {
        let pod = self.address("pod");
        let key = std::fs::read(self.program.data.join("keys/bot.pem")).unwrap();
        let key = jsonwebtoken::EncodingKey::from_rsa_pem(&key).unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let claims = json!({ "sub": "liaison", "exp": now + 240 });
        let token = jsonwebtoken::encode(&jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS512), &claims, &key).unwrap();
        let login = self.http.post(format!("{pod}/login/pubkey/authenticate")).json(&json!({ "token": token }));
        let session: Value = login.send().await.unwrap().json().await.unwrap();
        let session = session["token"].as_str().unwrap().to_owned();
        let done = self.http.post(format!("{pod}{path}")).header("sessionToken", session).json(&body).send().await.unwrap();
        assert!(done.status().is_success(), "{path} {body}: {}", done.status());
    }

    pub async fn user_id(&self, email: &str) -> Value {
        let users = self.get("/api/users").await;
        let found = users["users"].as_array().unwrap().iter().find(|user| user["email"] == email);
        found.unwrap_or_else(|| panic!("{email} is nobody: {users}"))["id"].clone()
    }

    pub async fn bot_id(&self) -> Value {
        self.get("/api/users").await["bot"].clone()
    }

    // ---- the phones

    pub async fn has_phone(&self, client: &Client) {
        self.post("/api/phones", json!({ "number": client.number, "name": client.name })).await;
    }

    pub async fn write(&self, number: &str, text: &str) -> Value {
        self.post(&format!("/api/phones/{number}/messages"), json!({ "channel": "whatsapp", "text": text })).await
    }

    pub async fn call(&self, number: &str) {
        self.post(&format!("/api/phones/{number}/calls"), json!({})).await;
    }

    /// A text message.
    pub async fn text(&self, number: &str, text: &str) -> Value {
        self.post(&format!("/api/phones/{number}/messages"), json!({ "channel": "sms", "text": text })).await
    }

    /// A call by telephone; `plan` says how it goes.
    pub async fn ring(&self, number: &str, plan: Value) -> Value {
        let mut plan = plan;
        plan["channel"] = "sms".into();
        self.post(&format!("/api/phones/{number}/calls"), plan).await
    }

    pub async fn tap(&self, number: &str, payload: &str) {
        self.post(&format!("/api/phones/{number}/messages"), json!({ "channel": "whatsapp", "payload": payload })).await;
    }

    pub async fn phone(&self, number: &str) -> Vec<Value> {
        self.get(&format!("/api/phones/{number}/messages")).await.as_array().unwrap().clone()
    }

    /// What came from the firm: a template's name or the text.
    pub async fn received(&self, number: &str) -> Vec<String> {
        let from_firm = self.phone(number).await.into_iter().filter(|message| message["direction"] == "in");
        from_firm.map(|message| message["template"].as_str().or(message["text"].as_str()).unwrap().to_owned()).collect()
    }

    pub async fn receives(&self, number: &str, what: &str) {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if self.received(number).await.iter().any(|text| text == what) {
                return;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        panic!("{what:.300?} never came to {number}; there is {:?}", self.received(number).await)
    }

    pub async fn counts(&self, number: &str, what: &str) -> usize {
        self.received(number).await.iter().filter(|text| *text == what).count()
    }

    // ---- what most stories begin with

    pub fn adding(&self, client: &Client, more: &str) -> String {
        let first = client.name.split(' ').next().unwrap();
        format!("/contact add {first} {} phone={} email={} channel=whatsapp {more}", client.last, client.number, client.email)
    }

    /// A contact with a room of Jane's, invited.
    pub async fn invited(&self, first: &str) -> Client {
        let client = client(first);
        self.has_phone(&client).await;
        let answer = self.command(JANE, &self.adding(&client, "--room")).await;
        assert!(answer.is("answer"), "{answer:?}");
        self.receives(&client.number, "liaison_invitation").await;
        client
    }

    /// One who has agreed besides.
    pub async fn agreed(&self, first: &str) -> Client {
        let client = self.invited(first).await;
        self.tap(&client.number, "consent:yes").await;
        self.line(JANE, &client.name, "the yes", |line| line.is("consent_yes")).await;
        client
    }

    pub async fn until<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        panic!("{what}: never came")
    }
}

/// Every line of the bot says in its data what it is (§5).
fn is_well_marked(message: &Value) {
    if message["from"]["username"] != "liaison" {
        return;
    }
    let ours = &message["data"]["liaison"];
    assert_eq!(ours["type"], "liaison.message", "{message}");
    assert_eq!(ours["version"], "1", "{message}");
    let code = ours["code"].as_str().unwrap_or_default();
    assert!(CODES.contains(&code), "{message}");
    assert!(!["refusal", "held", "failed"].contains(&code) || ours["reason"].is_string(), "a reason is missing: {message}");
    let known: BTreeSet<&str> = ["type", "version", "code", "contact", "message", "reason", "key"].into();
    assert!(ours.as_object().unwrap().keys().all(|key| known.contains(key.as_str())), "{message}");
}
