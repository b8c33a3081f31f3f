//! The real program as a child process, between a pod, a WhatsApp and a Twilio that this process keeps: what both test files share.
#![allow(dead_code)]
use liaison::sandbox::NowMs;
use liaison::sandbox::keys::new_key_pair;
use liaison::sandbox::meta::{Meta, MetaSettings};
use liaison::sandbox::pod::Pod;
use liaison::sandbox::twilio::{Twilio, TwilioSettings};
use liaison::sandbox::views::MessageView;
use serde_json::Value;
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

pub const JANE: &str = "jane.doe@acme.com";
pub const SAM: &str = "sam.lee@acme.com";
/// The programs here share two cores with whatever else runs.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn liaison() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_liaison"));
    command.stdin(Stdio::null()).current_dir(env!("CARGO_MANIFEST_DIR"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LIAISON__") || name == "RUST_LOG") {
        command.env_remove(name);
    }
    command
}

/// Waits until something holds; says what did not.
pub async fn until(what: &str, within: Duration, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + within;
    while !holds().await {
        assert!(Instant::now() < end, "not within {within:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Below the range from which the system takes ports for outgoing connections: a port must stay free while no child listens.
pub fn free_ports(count: u16) -> u16 {
    for _ in 0..500 {
        let first = fastrand::u16(20_000..32_000);
        if (first..first + count).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return first;
        }
    }
    panic!("no {count} free ports in a row");
}

/// A pod, a WhatsApp, a Twilio, a folder with a configuration. It outlives any number of children.
pub struct World {
    pub pod: Pod,
    pub meta: Meta,
    pub twilio: Twilio,
    pub bot_id: u64,
    pub folder: tempfile::TempDir,
    pub bot: SocketAddr,
    pub ops: SocketAddr,
    pub http: reqwest::Client,
    stop: CancellationToken,
    logs: AtomicU32,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn serve(router: axum::Router, stop: &CancellationToken) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    serve_at(listener, router, stop);
    address
}

fn serve_at(listener: tokio::net::TcpListener, router: axum::Router, stop: &CancellationToken) {
    let stop = stop.clone().cancelled_owned();
    tokio::spawn(async move { axum::serve(listener, router).with_graceful_shutdown(stop).await });
}

impl World {
    pub async fn new() -> World {
        let now: NowMs = Arc::new(|| jiff::Timestamp::now().as_millisecond());
        let (pod, stop) = (Pod::open(Arc::clone(&now), None).unwrap(), CancellationToken::new());
        let folder = tempfile::TempDir::new().unwrap();
        let (private, public) = new_key_pair();
        std::fs::write(folder.path().join("bot.pem"), private).unwrap();
        for (first, last, email) in [
            ("Jane", "Doe", JANE),
            ("Sam", "Lee", SAM),
            ("Olga", "Berg", "olga.berg@acme.com"),
            ("Carl", "Ito", "carl.ito@acme.com"),
        ] {
            pod.add_user(first, last, email, email.split('@').next().unwrap(), false, None);
        }
        let bot_id = pod.add_user("Liaison", "", "liaison@acme.com", "liaison", true, Some(public));
        let meta = Meta::open(Arc::clone(&now), MetaSettings::sandbox(), None).unwrap();
        let (pod_at, graph_at) = (serve(pod.router(), &stop).await, serve(meta.router(), &stop).await);
        let first = free_ports(2);
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let twilio_at = listener.local_addr().unwrap();
        let account = TwilioSettings::sandbox(&format!("http://{twilio_at}"), &format!("http://{}", address(first)));
        let twilio = Twilio::open(now, account, None).unwrap();
        serve_at(listener, twilio.router(), &stop);
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(15)).build().unwrap();
        let logs = AtomicU32::new(0);
        let (bot, ops) = (address(first), address(first + 1));
        let world = World { pod, meta, twilio, bot_id, folder, bot, ops, http, stop, logs };
        std::fs::write(world.config(), world.configuration(pod_at, graph_at, twilio_at)).unwrap();
        world.register_templates();
        world.meta.start(world.stop.clone());
        world.twilio.start(world.stop.clone());
        world.meta.add_callback(&format!("http://{}/webhooks/whatsapp", world.bot));
        world
    }

    fn configuration(&self, pod: SocketAddr, graph: SocketAddr, twilio: SocketAddr) -> String {
        let (meta, sms) = (MetaSettings::sandbox(), TwilioSettings::sandbox("", ""));
        let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
        format!(
            r#"[bot]
username = "liaison"
private_key = "bot.pem"
firm = "Acme Wealth"
default_region = "US"
data_dir = "data"
templates_dir = "{templates}"
time_zone = "America/New_York"

[symphony]
pod_url = "http://{pod}"
feed_url = "ws://{pod}/agent/v5/datafeeds/ws"
feed_tag = "liaison"

[server]
listen = "{bot}"
ops_listen = "{ops}"
public_url = "http://{bot}"

[whatsapp]
graph_url = "http://{graph}"
business_account_id = "{account}"
access_token = "{token}"
app_secret = "{secret}"
verify_token = "{verify}"
lines = [ {{ phone_number_id = "{line}", number = "{number}", name = "{name}" }} ]

[sms]
api_url = "http://{twilio}"
account_sid = "{sms_account}"
auth_token = "{sms_token}"
lines = [ {{ number = "{sms_number}", advisor = "{JANE}" }} ]

[policy]
default_advisors = ["{JANE}"]
held_max = 200

[[advisors]]
email = "{JANE}"
channels = ["whatsapp", "sms"]
permissions = ["advisor"]
sub_org = "Private Clients"

[[advisors]]
email = "{SAM}"
channels = ["whatsapp"]
permissions = ["advisor"]
sub_org = "Private Clients"
"#,
            templates = templates.display(),
            bot = self.bot,
            ops = self.ops,
            account = meta.waba_id,
            token = meta.access_token,
            secret = meta.app_secret,
            verify = meta.verify_token,
            line = meta.phone_number_id,
            number = meta.number,
            name = meta.line_name,
            sms_account = sms.account_sid,
            sms_token = sms.auth_token,
            sms_number = sms.lines[0].number,
        )
    }

    fn register_templates(&self) {
        let loaded = liaison::adapters::wording::load_all(&self.config(), &Default::default());
        let (_, wording) = loaded.unwrap_or_else(|mistakes| panic!("the test's own configuration: {mistakes:?}"));
        for template in wording.templates() {
            let as_sent = template.as_submitted();
            let text = |field: &str| as_sent[field].as_str().unwrap_or_default().to_owned();
            let components = as_sent["components"].clone();
            self.meta.register_template(&text("name"), &text("language"), &text("category"), components).unwrap();
        }
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("bot-config.toml")
    }
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn run(&self) -> Running {
        self.run_with(&[])
    }

    pub fn run_with(&self, environment: &[(&str, &str)]) -> Running {
        let mut command = liaison();
        command.arg("run").arg("--config").arg(self.config()).envs(environment.iter().copied());
        self.start(command)
    }

    /// Its two outputs go to files of their own, so that no pipe can stop it.
    pub fn start(&self, mut command: Command) -> Running {
        let number = self.logs.fetch_add(1, Ordering::Relaxed);
        let log = self.folder.path().join(format!("run-{number}.log"));
        let file = File::create(&log).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        Running { child: command.spawn().unwrap(), log }
    }

    pub async fn is_ready(&self) -> bool {
        let answer = self.http.get(format!("http://{}/readyz", self.ops)).send().await;
        answer.is_ok_and(|answer| answer.status() == 200)
    }

    pub async fn ready(&self, running: &mut Running) {
        let end = Instant::now() + PATIENCE;
        while !self.is_ready().await {
            if let Some(status) = running.child.try_wait().unwrap() {
                panic!("it ended with {status} before it was ready: {}", running.told());
            }
            assert!(Instant::now() < end, "not ready: {}", running.told());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A call to the webhook as somebody else might make it.
    pub async fn webhook(&self, body: &str, secret: &str) -> u16 {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
        let signature = format!("sha256={}", hex::encode(aws_lc_rs::hmac::sign(&key, body.as_bytes())));
        let request = self.http.post(format!("http://{}/webhooks/whatsapp", self.bot)).body(body.to_owned());
        request.header("X-Hub-Signature-256", signature).send().await.unwrap().status().as_u16()
    }

    pub fn user(&self, email: &str) -> u64 {
        self.pod.user_by_email(email).unwrap().id
    }

    pub fn tell_bot(&self, email: &str, text: &str) {
        let user = self.user(email);
        self.pod.post_as(user, &self.pod.im(user, self.bot_id), text).unwrap();
    }

    /// Everything in all chats; the 1:1 chats too.
    pub fn all_lines(&self) -> Vec<(String, MessageView)> {
        let seen = |id: &str| self.pod.messages(id, self.bot_id);
        self.pod.all_rooms().into_iter().flat_map(|room| seen(&room.id).into_iter().map(move |m| (room.id.clone(), m))).collect()
    }

    /// What the bot posted in a room.
    pub fn bot_lines(&self, stream: &str) -> Vec<MessageView> {
        self.pod.messages(stream, self.bot_id).into_iter().filter(|line| line.from.id == self.bot_id).collect()
    }

    pub fn room_named(&self, name: &str) -> Option<String> {
        self.pod.all_rooms().into_iter().find(|room| room.kind == "ROOM" && room.name == name).map(|room| room.id)
    }

    /// One client with a room and a yes.
    pub async fn onboard(&self, last: &str, number: &str) -> String {
        self.meta.add_phone(number, &format!("Ann {last}"), true).unwrap();
        let add = format!("/contact add Ann {last} phone={number} email={last}@example.com channel=whatsapp --room");
        self.tell_bot(JANE, &add);
        until("the invitation arrives", PATIENCE, async || self.is_invited(number)).await;
        self.meta.tap(number, "consent:yes").unwrap();
        let name = format!("Ann {last}");
        let room = self.room_named(&name).unwrap();
        until("the room reads of the yes", PATIENCE, async || {
            self.bot_lines(&room).iter().any(|line| code(line) == "consent_yes")
        })
        .await;
        room
    }

    pub fn is_invited(&self, number: &str) -> bool {
        let offers = |payload: &str| payload == "consent:yes";
        self.meta.messages(number).iter().any(|m| m.buttons.iter().any(|button| offers(&button.payload)))
    }

    pub fn on_phone(&self, number: &str, text: &str) -> usize {
        self.meta.messages(number).iter().filter(|m| m.direction == "in" && m.text == text).count()
    }

    pub fn journal(&self) -> Vec<Value> {
        journal_of(&self.config())
    }
}

/// What `liaison journal --json` prints.
pub fn journal_of(config: &Path) -> Vec<Value> {
    let output = liaison().args(["journal", "--json", "--config"]).arg(config).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).expect("each line is one JSON object")).collect()
}

pub fn part<'m>(line: &'m MessageView, name: &str) -> &'m str {
    line.data["liaison"][name].as_str().unwrap_or_default()
}

pub fn code(line: &MessageView) -> &str {
    part(line, "code")
}

/// A child, ended with the test at the latest.
pub struct Running {
    pub child: Child,
    pub log: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _status = self.child.wait();
    }
}

impl Running {
    /// Everything that it printed.
    pub fn told(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap()).into_owned()
    }

    /// SIGKILL: nothing of it runs any further.
    pub fn kill_9(mut self) {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(status.signal(), Some(9), "it ended by itself before it was killed: {status}\n{}", self.told());
    }

    /// SIGTERM by the shell's own `kill`, since the standard library sends none.
    pub fn terminate(&self) {
        let status = Command::new("sh").arg("-c").arg(format!("kill -TERM {}", self.child.id())).status().unwrap();
        assert!(status.success());
    }

    pub async fn ends(&mut self, within: Duration) -> ExitStatus {
        let end = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "it does not end within {within:?}: {}", self.told());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn stop(mut self) -> String {
        self.terminate();
        let status = self.ends(Duration::from_secs(30)).await;
        assert_eq!(status.code(), Some(0), "{}", self.told());
        self.told()
    }
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Every file below a folder, with its bytes.
pub fn files_below(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push((path.clone(), std::fs::read(&path).unwrap()));
        }
    }
    found
}
