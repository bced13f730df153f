//! A server with a certificate that is good for a hundred years and known to nobody else.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Request;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;
use crate::serve::serve_with;

/// For tests alone: whoever has this repository has the key.
const CERTIFICATE: &str = include_str!("test-certificate.pem");
const KEY: &str = include_str!("test-key.pem");

fn files() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
    );
    std::fs::write(&certificate, CERTIFICATE).unwrap();
    std::fs::write(&key, KEY).unwrap();
    (folder, certificate, key)
}

async fn connect(to: SocketAddr, protocols: &[&[u8]]) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
    roots.add(certificate).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
    let stream = TcpStream::connect(to).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

#[tokio::test]
async fn both_versions_of_http_are_agreed_on_within_tls() {
    let (_folder, certificate, key) = files();
    let tls = Tls::open(Some(&certificate), Some(&key)).unwrap();
    assert_eq!(scheme(tls.as_ref()), "https");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
    let tell = |request: Request<Body>| async move { format!("{:?}", request.version()) };
    let router = Router::new().route("/", get(tell));
    let serving = serve_with(listener, tls, router, 4, tracker.clone(), stop.clone());
    tracker.spawn(serving);

    let mut client = connect(address, &[b"http/1.1"]).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    client.write_all(request).await.unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    assert!(text.ends_with("HTTP/1.1"), "{text}");

    let client = connect(address, &[b"h2", b"http/1.1"]).await.unwrap();
    assert_eq!(client.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let io = hyper_util::rt::TokioIo::new(client);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io)
        .await
        .unwrap();
    tracker.spawn(async move { connection.await.unwrap() });
    let request = Request::get("https://localhost/").body(Body::empty());
    let response = sender.send_request(request.unwrap()).await.unwrap();
    let body = http_body_util::BodyExt::collect(response.into_body()).await;
    assert_eq!(body.unwrap().to_bytes(), "HTTP/2.0");
    drop(sender);

    // Whoever comes without TLS is hung up on.
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut bytes = Vec::new();
    let _ = plain.read_to_end(&mut bytes).await;
    assert!(!bytes.starts_with(b"HTTP"));
    stop.cancel();
    tracker.close();
    tracker.wait().await;
}

#[test]
fn files_that_are_wrong_are_named() {
    let (folder, certificate, key) = files();
    let missing = folder.path().join("missing.pem");
    let error = |certificate: Option<&Path>, key: Option<&Path>| {
        Tls::open(certificate, key).unwrap_err().to_string()
    };
    assert!(error(Some(&certificate), None).contains("name both files or none"));
    assert!(error(Some(&missing), Some(&key)).contains("missing.pem"));
    assert!(error(Some(&key), Some(&key)).starts_with("cannot read the TLS certificate"));
    assert!(error(Some(&certificate), Some(&certificate)).starts_with("cannot read the TLS key"));
    assert!(Tls::open(None, None).unwrap().is_none());
}

#[test]
fn a_changed_pair_is_taken_and_a_broken_one_is_not() {
    let (_folder, certificate, key) = files();
    let tls = Tls::open(Some(&certificate), Some(&key)).unwrap().unwrap();
    let config = || Arc::clone(&tls.lock().config);
    let first = config();
    tls.refresh();
    assert!(Arc::ptr_eq(&first, &config()), "nothing has changed");
    let touch = |path: &Path, text: &str| {
        std::fs::write(path, text).unwrap();
        let later = std::fs::metadata(path).unwrap().modified().unwrap() + LOOK_EVERY;
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(later).unwrap();
    };
    touch(&certificate, "half a certif");
    tls.refresh();
    assert!(Arc::ptr_eq(&first, &config()), "the old one stays");
    touch(&certificate, CERTIFICATE);
    tls.refresh();
    assert!(!Arc::ptr_eq(&first, &config()));
}
