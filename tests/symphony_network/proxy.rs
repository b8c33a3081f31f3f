//! A proxy: everything goes through it, nothing beside it, and its refusal is told in words.
use super::lab::{Lab, Reader, settings, symphony};
use super::tls::Front;
use liaison::adapters::clock::SystemClock;
use liaison::adapters::symphony::{SymphonySettings, Transport};
use liaison::adapters::whatsapp::send::Settings;
use liaison::adapters::whatsapp::{Pace, WhatsApp};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Names that nobody but the proxy can resolve, so that nothing can go beside it.
const POD: &str = "pod.invalid";
const AGENT: &str = "agent.invalid";
const KEYS: &str = "keys.invalid";
const FEED: &str = "feed.invalid";
const META: &str = "graph.invalid";
const REFUSAL: &[u8] =
    b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"p\"\r\nContent-Length: 0\r\n\r\n";
/// `liaison:secret`.
const LOGIN: &str = "proxy-authorization: basic bglhaxnvbjpzzwnyzxq=";

struct Proxy {
    at: SocketAddr,
    /// Tunnels by name.
    tunnels: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Proxy {
    async fn new(leads_to: SocketAddr, wants_login: bool) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let tunnels: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
        let counted = tunnels.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(tunnel(client, leads_to, wants_login, counted.clone()));
            }
        });
        Proxy { at, tunnels }
    }

    fn tunnels_to(&self, name: &str) -> usize {
        self.tunnels.lock().unwrap().get(name).copied().unwrap_or_default()
    }
}

async fn tunnel(mut client: TcpStream, to: SocketAddr, wants_login: bool, tunnels: Arc<Mutex<BTreeMap<String, usize>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match client.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    if wants_login && !head.to_lowercase().contains(LOGIN) {
        return client.write_all(REFUSAL).await.unwrap();
    }
    let name = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(':').next()).expect("only tunnels are asked for");
    *tunnels.lock().unwrap().entry(name.to_owned()).or_default() += 1;
    let mut server = TcpStream::connect(to).await.unwrap();
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
    let _either_ended = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}

struct Net {
    lab: Lab,
    front: Front,
    proxy: Proxy,
}

impl Net {
    async fn new(wants_login: bool) -> Net {
        let lab = Lab::new().await;
        let front = Front::new(&[POD, AGENT, KEYS, FEED, META], lab.at).await;
        let proxy = Proxy::new(front.at, wants_login).await;
        Net { lab, front, proxy }
    }

    fn settings(&self, login: &str) -> SymphonySettings {
        SymphonySettings {
            pod_url: format!("https://{POD}"),
            agent_url: format!("https://{AGENT}"),
            key_manager_url: format!("https://{KEYS}"),
            ca_file: Some(self.front.ca.clone().into_bytes()),
            proxy: Some(format!("http://{login}{}", self.proxy.at)),
            ..settings("")
        }
    }
}

fn feed() -> Transport {
    Transport::WebSocket { url: format!("wss://{FEED}/agent/v5/datafeeds/ws") }
}

#[tokio::test]
async fn everything_goes_through_the_proxy() {
    for (wants_login, login) in [(false, ""), (true, "liaison:secret@")] {
        let net = Net::new(wants_login).await;
        let symphony = symphony(net.settings(login));
        assert!(symphony.me().await.is_ok() && symphony.agent_info().await.is_ok());
        assert_eq!([POD, AGENT, KEYS, FEED].map(|name| net.proxy.tunnels_to(name)), [1, 1, 1, 0]);
        net.lab.is_read(&symphony, feed()).await;
        assert_eq!(net.proxy.tunnels_to(FEED), 1);
        let before = net.proxy.tunnels_to(AGENT);
        net.lab.is_read(&symphony, Transport::LongPoll).await;
        assert!(net.proxy.tunnels_to(AGENT) > before);
    }
}

#[tokio::test]
async fn a_proxy_that_refuses_is_told_clearly() {
    let net = Net::new(true).await;
    let refused = symphony(net.settings(""));
    let told = refused.session().tokens().await.err().unwrap().to_string();
    assert!(told.contains("proxy") && told.contains("[server] proxy"), "{told}");
    // One whose login goes beside the proxy cannot be had, so the feeds tell what the login met.
    for transport in [feed(), Transport::LongPoll] {
        let reader = Reader::start(symphony(net.settings("liaison:wrong@")).session(), transport);
        reader.until(|state| state.last_error.as_deref().is_some_and(|why| why.contains("[server] proxy"))).await;
        reader.cancel.cancel();
    }
    assert!(net.proxy.tunnels.lock().unwrap().is_empty());
    // Plain addresses are asked of the proxy itself, and its refusal is the answer: the key is not to blame for it.
    let plain = format!("http://{POD}");
    let settings = SymphonySettings { proxy: net.settings("").proxy, ..settings(&plain) };
    let told = symphony(settings).session().tokens().await.err().unwrap().to_string();
    assert!(told.contains("[server] proxy") && !told.contains("public half"), "{told}");
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_told_too() {
    let net = Net::new(false).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let symphony = symphony(SymphonySettings { proxy: Some(format!("http://{nobody}")), ..net.settings("") });
    assert!(symphony.session().tokens().await.is_err());
    assert_eq!(net.lab.called("/"), 0);
}

/// The answer is none of Meta's; that the question came is what counts.
#[tokio::test]
async fn whatsapp_goes_the_same_way() {
    let net = Net::new(false).await;
    let settings = Settings {
        graph_url: format!("https://{META}"),
        api_version: "v25.0".to_owned(),
        business_account_id: "1".to_owned(),
        access_token: "t".to_owned(),
        ca: Some(net.front.ca.clone().into_bytes()),
        proxy: Some(format!("http://{}", net.proxy.at)),
        answer_within: Duration::from_secs(10),
    };
    let whatsapp = WhatsApp::new(settings, Arc::new(SystemClock::new()), Arc::new(Mutex::new(Pace::new()))).unwrap();
    let _refused = whatsapp.line_status("100").await;
    assert_eq!((net.proxy.tunnels_to(META), net.lab.called("/v25.0/100")), (1, 1));
}
