//! The client over gRPC against agents that answer what they should not: nothing brings it down, and each answer is told
//! for what it is.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use tokio_util::task::TaskTracker;

use super::*;

/// An agent that gives this answer to everything.
async fn agent(answer: impl Fn() -> Response + Send + Sync + 'static) -> Client {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    let router = Router::new().fallback(move || {
        let answer = answer();
        async { answer }
    });
    TaskTracker::new().spawn(async move { axum::serve(listener, router).await });
    Client::from_card(card(&url.parse().unwrap(), "GRPC"), options()).unwrap()
}

/// An answer that is a status only.
fn status(headers: &[(&'static str, &'static str)]) -> impl Fn() -> Response + use<> {
    let headers = headers.to_vec();
    move || {
        let mut response = Response::builder().header("content-type", "application/grpc");
        for (name, value) in &headers {
            response = response.header(*name, *value);
        }
        response.body(Body::empty()).unwrap()
    }
}

#[tokio::test]
async fn details_that_are_no_base64_are_dropped() {
    for details in ["***", "=", "a", "AB", "AAAA=="] {
        let headers = [("grpc-status", "5"), ("grpc-status-details-bin", details)];
        let client = agent(status(&headers)).await;
        let error = client.get("t", None).await.unwrap_err();
        assert!(
            matches!(error.agent_error(), Some(A2aError::TaskNotFound { .. })),
            "{details}: {error:?}"
        );
    }
}

#[tokio::test]
async fn an_agent_that_refuses_is_told_from_one_that_cannot_be_heard() {
    for (code, transient) in [
        ("1", true),
        ("2", true),
        ("4", true),
        ("14", true),
        ("3", false),
        ("5", false),
        ("7", false),
        ("9", false),
        ("12", false),
        ("16", false),
    ] {
        let client = agent(status(&[("grpc-status", code), ("grpc-message", "so")])).await;
        let error = client.get("t", None).await.unwrap_err();
        assert_eq!(error.is_transient(), transient, "{code}: {error:?}");
        assert_eq!(
            error.agent_error().is_none(),
            transient,
            "{code}: {error:?}"
        );
    }
    let nobody = "http://127.0.0.1:1".parse().unwrap();
    let client = Client::from_card(card(&nobody, "GRPC"), options()).unwrap();
    let error = client.get("t", None).await.unwrap_err();
    assert!(matches!(error, ClientError::Broken { .. }), "{error:?}");
}

#[tokio::test]
async fn what_is_no_grpc_is_an_error() {
    let answers: [fn() -> Response; 4] = [
        || Response::new(Body::from("<html>")),
        || {
            let mut response = Response::new(Body::from("{}"));
            *response.status_mut() = axum::http::StatusCode::NOT_FOUND;
            response
        },
        // A frame that says it is as long as can be.
        || {
            let body = Body::from(&b"\0\xff\xff\xff\xff"[..]);
            Response::builder()
                .header("content-type", "application/grpc")
                .body(body)
                .unwrap()
        },
        || {
            let body = Body::from(&b"\0\0\0\0\x04\xff\xff\xff\xff"[..]);
            Response::builder()
                .header("content-type", "application/grpc")
                .body(body)
                .unwrap()
        },
    ];
    for answer in answers {
        let client = agent(answer).await;
        assert!(client.get("t", None).await.is_err());
        let mut stream = client.subscribe("t", None);
        let first = futures_util::StreamExt::next(&mut stream).await;
        assert!(first.unwrap().is_err());
    }
}

#[test]
fn the_first_interface_that_fits_is_taken_and_a_binding_can_be_asked_for() {
    let url: Url = "http://127.0.0.1:1/".parse().unwrap();
    let mut card = card(&url, "GRPC");
    card.supported_interfaces[0].url = "127.0.0.1:1".to_owned();
    let mut rpc = card.supported_interfaces[0].clone();
    rpc.protocol_binding = "JSONRPC".to_owned();
    rpc.url = url.to_string();
    card.supported_interfaces.push(rpc);
    let chosen = |binding| {
        let options = ClientOptions {
            binding,
            ..options()
        };
        discovery::choose(&card, &options)
    };
    assert!(matches!(chosen(None), Ok(Interface::Grpc(_))));
    assert!(matches!(
        chosen(Some(Binding::Grpc)),
        Ok(Interface::Grpc(_))
    ));
    assert!(matches!(
        chosen(Some(Binding::JsonRpc)),
        Ok(Interface::JsonRpc { .. })
    ));
    assert!(matches!(
        chosen(Some(Binding::HttpJson)),
        Err(ClientError::NoInterface { .. })
    ));
}
