//! The agent's way out over its real unix socket, against upstream servers of the test: who gets the key, which hosts are
//! reached, what a refusal says.

use std::sync::Mutex;

use a2a_proto::clock::ManualClock;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use pretty_assertions::assert_eq;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::hosts::{Target, Verdict, judge};
use super::*;

/// A gateway and a server that it can be pointed at.
struct Fixture {
    folder: tempfile::TempDir,
    tracker: TaskTracker,
    stop: CancellationToken,
    seen: Arc<Mutex<Vec<String>>>,
    server: std::net::SocketAddr,
    gateway: Gateway,
}

#[derive(Default)]
struct Setup {
    provider: Provider,
    key: Option<&'static str>,
    allowed: Vec<String>,
    base_url: Option<String>,
}

impl Fixture {
    async fn new(setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tracker = TaskTracker::new();
        let stop = CancellationToken::new();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let server = serve_upstream(&tracker, &stop, &seen).await;
        let base_url = setup
            .base_url
            .unwrap_or_else(|| format!("http://{server}/api/v1/"));
        let allowed: Vec<String> = setup
            .allowed
            .into_iter()
            .map(|pattern| pattern.replace("PORT", &server.port().to_string()))
            .collect();
        let options = GatewayOptions {
            socket: folder.path().join("gateway.sock"),
            audit_file: folder.path().join("audit.jsonl"),
            provider: setup.provider,
            base_url: Some(base_url.parse().unwrap()),
            key: setup.key.map(Into::into),
            proxy: None,
            allowed_hosts: allowed
                .iter()
                .map(|pattern| HostPattern::parse(pattern).unwrap())
                .collect(),
        };
        let clock = Arc::new(ManualClock::new("2026-01-01T00:00:00Z".parse().unwrap()));
        let gateway = Gateway::start(options, clock, &tracker, stop.clone()).unwrap();
        Self {
            folder,
            tracker,
            stop,
            seen,
            server,
            gateway,
        }
    }

    /// One request as the agent would make it; the answer's status, headers and body as text.
    async fn ask(&self, request: &str) -> (String, String) {
        let mut stream = UnixStream::connect(self.folder.path().join("gateway.sock"))
            .await
            .unwrap();
        stream
            .write_all(request.replace('\n', "\r\n").as_bytes())
            .await
            .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    async fn audit(&self) -> Vec<Value> {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
        let text = std::fs::read_to_string(self.folder.path().join("audit.jsonl")).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// Notes what it is asked and answers a chunked event stream.
async fn serve_upstream(
    tracker: &TaskTracker,
    stop: &CancellationToken,
    seen: &Arc<Mutex<Vec<String>>>,
) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tracker2, stop, seen) = (tracker.clone(), stop.clone(), Arc::clone(seen));
    tracker.spawn(async move {
        loop {
            let stream = tokio::select! {
                () = stop.cancelled() => return,
                accepted = listener.accept() => accepted.unwrap().0,
            };
            let (stop, seen) = (stop.clone(), Arc::clone(&seen));
            tracker2.spawn(async move {
                let service = service_fn(move |request: Request<Incoming>| {
                    let seen = Arc::clone(&seen);
                    async move {
                        let mut line = format!("{} {}", request.method(), request.uri());
                        let mut headers: Vec<String> = request
                            .headers()
                            .iter()
                            .filter(|(name, _)| {
                                !["host", "accept", "transfer-encoding", "content-length"]
                                    .contains(&name.as_str())
                            })
                            .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()))
                            .collect();
                        headers.sort();
                        let body = request.into_body().collect().await.unwrap().to_bytes();
                        line.push_str(&format!(
                            " [{}] {}",
                            headers.join(" "),
                            String::from_utf8_lossy(&body)
                        ));
                        seen.lock().unwrap().push(line);
                        let mut response =
                            Response::new(Full::new(Bytes::from_static(b"data: hi\n\n")));
                        response
                            .headers_mut()
                            .insert("keep-alive", "5".parse().unwrap());
                        Ok::<_, Infallible>(response)
                    }
                });
                tokio::select! {
                    () = stop.cancelled() => {}
                    _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service) => {}
                }
            });
        }
    });
    address
}

const CHAT: &str = "POST /v1/chat/completions?x=1 HTTP/1.1\nHost: 127.0.0.1:18080\nAuthorization: Bearer placeholder\nX-Api-Key: placeholder\nUser-Agent: agent/1\nX-Other: kept\nConnection: close, x-gone\nX-Gone: 1\nContent-Length: 2\n\n{}";

#[tokio::test]
async fn model_requests_get_the_key_and_lose_the_placeholder() {
    let fixture = Fixture::new(Setup {
        provider: Provider::Custom,
        key: Some("real"),
        ..Setup::default()
    })
    .await;
    let (head, body) = fixture.ask(CHAT).await;
    assert!(
        head.starts_with("HTTP/1.1 200 OK") && !head.contains("keep-alive"),
        "{head}"
    );
    assert!(body.contains("data: hi"));
    assert_eq!(
        fixture.seen(),
        [
            "POST /api/v1/chat/completions?x=1 [authorization=Bearer real user-agent=agent/1 x-other=kept] {}"
        ]
    );
    assert_eq!(fixture.gateway.meter().calls(), 1);
    let audit = fixture.audit().await;
    assert_eq!(audit.len(), 1);
    assert_eq!(
        (&audit[0]["kind"], &audit[0]["status"], &audit[0]["path"]),
        (&"model".into(), &200.into(), &"/v1/chat/completions".into())
    );
    assert!(audit[0]["bytes_in"].as_u64().unwrap() >= 10);
    assert!(!serde_json::to_string(&audit).unwrap().contains("real"));
}

#[tokio::test]
async fn anthropic_gets_its_own_header() {
    let fixture = Fixture::new(Setup {
        key: Some("real"),
        ..Setup::default()
    })
    .await;
    fixture
        .ask(&CHAT.replace("chat/completions?x=1", "messages"))
        .await;
    assert_eq!(
        fixture.seen(),
        ["POST /api/v1/messages [user-agent=agent/1 x-api-key=real x-other=kept] {}"]
    );
}

#[tokio::test]
async fn only_model_calls_pass_to_the_model() {
    let fixture = Fixture::new(Setup {
        provider: Provider::Custom,
        ..Setup::default()
    })
    .await;
    for (request, status, reason) in [
        (
            "GET /v1/files HTTP/1.1\nHost: x\nConnection: close\n\n",
            "403",
            "path-not-allowed",
        ),
        (
            "DELETE /v1/models HTTP/1.1\nHost: x\nConnection: close\n\n",
            "403",
            "path-not-allowed",
        ),
        (
            "POST /v1/chat/../../admin HTTP/1.1\nHost: x\nConnection: close\nContent-Length: 0\n\n",
            "403",
            "path-not-allowed",
        ),
        (
            "GET /admin HTTP/1.1\nHost: x\nConnection: close\n\n",
            "404",
            "unknown-path",
        ),
    ] {
        let (head, _) = fixture.ask(request).await;
        assert!(
            head.contains(status) && head.contains(&format!("x-flotilla-denied: {reason}")),
            "{request}: {head}"
        );
    }
    assert!(fixture.seen().is_empty());
    assert_eq!(fixture.audit().await.len(), 4);
}

#[tokio::test]
async fn a_dead_model_is_an_answer_that_says_what_to_do() {
    let fixture = Fixture::new(Setup {
        provider: Provider::Custom,
        base_url: Some("http://127.0.0.1:9/v1".to_owned()),
        ..Setup::default()
    })
    .await;
    let (head, body) = fixture.ask(CHAT).await;
    assert!(head.starts_with("HTTP/1.1 502"), "{head}");
    let message = serde_json::from_str::<Value>(&body).unwrap()["error"]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        message
            .starts_with("the model at http://127.0.0.1:9 cannot be reached (Connection refused"),
        "{message}"
    );
    assert!(message.contains("correct base_url"), "{message}");
    assert_eq!(fixture.gateway.meter().unreachable_in_a_row(), (1, message));
    assert!(fixture.gateway.meter().is_failing());
}

#[tokio::test]
async fn a_public_provider_without_a_key_is_not_asked() {
    let fixture = Fixture::new(Setup {
        base_url: Some("https://api.anthropic.com/v1".to_owned()),
        ..Setup::default()
    })
    .await;
    let (head, body) = fixture
        .ask(&CHAT.replace("chat/completions?x=1", "messages"))
        .await;
    assert!(
        head.starts_with("HTTP/1.1 401") && body.contains("set api_key_file"),
        "{head} {body}"
    );
}

#[tokio::test]
async fn oversized_requests_are_refused() {
    let fixture = Fixture::new(Setup {
        provider: Provider::Custom,
        ..Setup::default()
    })
    .await;
    let request =
        "POST /v1/responses HTTP/1.1\nHost: x\nConnection: close\nContent-Length: 99999999\n\n";
    let (head, _) = fixture.ask(request).await;
    assert!(head.starts_with("HTTP/1.1 413"), "{head}");
    assert!(fixture.seen().is_empty());
}

#[tokio::test]
async fn listed_hosts_are_reached_by_tunnel_and_by_plain_request() {
    let fixture = Fixture::new(Setup {
        allowed: vec!["127.0.0.1:PORT".to_owned()],
        ..Setup::default()
    })
    .await;
    let server = fixture.server;
    let (head, body) = fixture
        .ask(&format!("GET http://{server}/a?b HTTP/1.1\nHost: elsewhere\nProxy-Authorization: x\nConnection: close\n\n"))
        .await;
    assert!(
        head.starts_with("HTTP/1.1 200") && body.contains("data: hi"),
        "{head}"
    );
    let inner = "GET /through HTTP/1.1\nHost: h\nConnection: close\n\n";
    let (head, body) = fixture
        .ask(&format!(
            "CONNECT {server} HTTP/1.1\nHost: {server}\n\n{inner}"
        ))
        .await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(body.contains("data: hi"), "{body}");
    assert_eq!(
        fixture.seen(),
        [
            "GET /a?b [] ".to_owned(),
            "GET /through [connection=close] ".to_owned()
        ]
    );
    let audit = fixture.audit().await;
    assert_eq!(
        audit
            .iter()
            .map(|line| line["kind"].as_str().unwrap())
            .collect::<Vec<_>>(),
        ["http", "connect"]
    );
    assert!(audit[1]["bytes_in"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn other_hosts_are_refused_with_a_reason_for_programs() {
    let fixture = Fixture::new(Setup {
        allowed: vec!["localhost:PORT".to_owned(), "example.org".to_owned()],
        ..Setup::default()
    })
    .await;
    let port = fixture.server.port();
    for (authority, status, reason) in [
        ("example.com:443".to_owned(), "403", "host-not-allowed"),
        ("example.org:22".to_owned(), "403", "port-not-allowed"),
        (format!("127.0.0.1:{port}"), "403", "host-not-allowed"),
        // Listed by name, but the name leads to a private address.
        (format!("localhost:{port}"), "403", "private-address"),
    ] {
        let (head, _) = fixture
            .ask(&format!(
                "CONNECT {authority} HTTP/1.1\nHost: {authority}\nConnection: close\n\n"
            ))
            .await;
        assert!(
            head.contains(status) && head.contains(&format!("x-flotilla-denied: {reason}")),
            "{authority}: {head}"
        );
    }
    assert!(fixture.seen().is_empty());
}

#[test]
fn patterns_match_what_they_say() {
    let judged = |pattern: &str, authority: &str| {
        let target = Target::parse(&authority.parse().unwrap(), Some(80)).unwrap();
        judge(&[HostPattern::parse(pattern).unwrap()], &target)
    };
    for (pattern, authority, expected) in [
        ("example.com", "example.com:443", Verdict::Named),
        ("Crates.IO", "CRATES.io.:443", Verdict::Named),
        (
            "example.com",
            "example.com:8443",
            Verdict::Refused("port-not-allowed"),
        ),
        ("example.com:8443", "example.com:8443", Verdict::Named),
        (
            "example.com:8443",
            "example.com:443",
            Verdict::Refused("port-not-allowed"),
        ),
        (
            "example.com",
            "static.example.com:443",
            Verdict::Refused("host-not-allowed"),
        ),
        (
            "example.com",
            "evilexample.com:443",
            Verdict::Refused("host-not-allowed"),
        ),
        ("*.example.com", "static.example.com:443", Verdict::Named),
        (
            "*.example.com",
            "example.com:443",
            Verdict::Refused("host-not-allowed"),
        ),
        (
            "*.example.com",
            "evilexample.com:443",
            Verdict::Refused("host-not-allowed"),
        ),
        (
            "10.0.0.5:8080",
            "10.0.0.5:8080",
            Verdict::Listed([10, 0, 0, 5].into()),
        ),
        (
            "169.254.169.254",
            "169.254.169.254:80",
            Verdict::Refused("private-address"),
        ),
        (
            "[::1]:80",
            "[::1]:80",
            Verdict::Listed("::1".parse().unwrap()),
        ),
        (
            "example.org",
            "93.184.216.34:80",
            Verdict::Refused("host-not-allowed"),
        ),
    ] {
        assert_eq!(
            judged(pattern, authority),
            expected,
            "{pattern} {authority}"
        );
    }
    for bad in [
        "",
        "*",
        "*.com",
        "a*b.com",
        "x.*.org",
        "http://x",
        "x/y",
        "x:0",
        "x:99999",
        "-x.org",
        "1.2.3",
        "user@x.org",
        "a..b",
    ] {
        assert!(HostPattern::parse(bad).is_err(), "{bad}");
    }
    for text in ["example.com", "*.example.com:8443", "10.0.0.5:8080"] {
        assert_eq!(HostPattern::parse(text).unwrap().to_string(), text);
    }
}
