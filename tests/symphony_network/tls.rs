//! An own CA: with its file everything works, without it the remedy is named.
use super::lab::{Lab, Reader, settings, symphony};
use liaison::adapters::symphony::{SymphonySettings, Transport};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A TLS server that passes everything on to a plain one, and the certificate of the CA that vouches for it.
pub struct Front {
    pub at: SocketAddr,
    pub ca: String,
}

impl Front {
    pub async fn new(names: &[&str], behind: SocketAddr) -> Front {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let signed = CertificateParams::new(names).unwrap().signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = rustls::ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![signed.der().clone()], key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::spawn(pass_on(listener, TlsAcceptor::from(Arc::new(config)), behind));
        Front { at, ca: ca_pem }
    }
}

async fn pass_on(listener: TcpListener, acceptor: TlsAcceptor, behind: SocketAddr) {
    while let Ok((outer, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            // A client that does not trust us ends here, as it should.
            let Ok(mut outer) = acceptor.accept(outer).await else { return };
            let mut inner = TcpStream::connect(behind).await.unwrap();
            let _either_ended = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
        });
    }
}

async fn front() -> (Lab, Front, SymphonySettings) {
    let lab = Lab::new().await;
    let front = Front::new(&["localhost"], lab.at).await;
    let settings = settings(&format!("https://localhost:{}", front.at.port()));
    (lab, front, settings)
}

fn feed_url(front: &Front) -> Transport {
    Transport::WebSocket { url: format!("wss://localhost:{}/agent/v5/datafeeds/ws", front.at.port()) }
}

#[tokio::test]
async fn with_the_file_of_its_ca_calls_and_both_feeds_work() {
    let (lab, front, settings) = front().await;
    let symphony = symphony(SymphonySettings { ca_file: Some(front.ca.clone().into_bytes()), ..settings });
    assert!(symphony.me().await.is_ok() && symphony.agent_info().await.is_ok());
    lab.is_read(&symphony, feed_url(&front)).await;
    lab.is_read(&symphony, Transport::LongPoll).await;
}

#[tokio::test]
async fn without_it_the_remedy_is_named() {
    let (lab, front, settings) = front().await;
    let lacking = symphony(settings.clone());
    let told = lacking.session().tokens().await.err().unwrap().to_string();
    assert!(told.contains("certificate") && told.contains("[server] ca_file"), "{told}");
    assert!(lacking.me().await.err().unwrap().to_string().contains("[server] ca_file"));
    // One whose login works, so that only the feed meets the stranger.
    for transport in [feed_url(&front), Transport::LongPoll] {
        let plain = lab.settings();
        let session = symphony(SymphonySettings { agent_url: settings.agent_url.clone(), ..plain }).session();
        let reader = Reader::start(session, transport);
        reader.until(|state| state.last_error.as_deref().is_some_and(|why| why.contains("[server] ca_file"))).await;
        assert!(!reader.state.borrow().connected);
        reader.cancel.cancel();
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_told_apart() {
    let lab = Lab::new().await;
    let front = Front::new(&["pod.example.com"], lab.at).await;
    let settings = settings(&format!("https://localhost:{}", front.at.port()));
    let symphony = symphony(SymphonySettings { ca_file: Some(front.ca.clone().into_bytes()), ..settings });
    let told = symphony.session().tokens().await.err().unwrap().to_string();
    assert!(told.contains("not valid for name") && !told.contains("ca_file"), "{told}");
}
