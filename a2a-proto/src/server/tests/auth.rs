//! AUTH-SCOPE, AUTH-SERVER: who is let in, and what they see.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn auth_scope_other_callers_tasks_do_not_exist() {
    struct BySecret;
    impl crate::server::Authenticator for BySecret {
        fn authenticate(
            &self,
            headers: &::http::HeaderMap,
        ) -> Result<Caller, crate::server::AuthError> {
            Ok(Caller::new(crate::server::bearer(headers)?))
        }
    }
    let server = Running::with(|options, _| options.auth = Arc::new(BySecret)).await;
    let as_caller = async |who: &str, method: &str, path: &str, body: &Value| {
        let authorization = format!("Bearer {who}");
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
        ];
        server
            .send(method, path, &headers, body.to_string().as_bytes())
            .await
    };
    let task = as_caller("ann", "POST", "/message:send", &message("ask"))
        .await
        .json()["task"]
        .clone();
    let id = task["id"].as_str().unwrap();
    let none = json!({});
    for (method, path, body) in [
        ("GET", format!("/tasks/{id}"), &none),
        ("POST", format!("/tasks/{id}:cancel"), &none),
        ("POST", format!("/tasks/{id}:subscribe"), &none),
        ("POST", "/message:send".to_owned(), &follow_up(&task, "x")),
        ("GET", format!("/legacy/tasks/{id}"), &none),
    ] {
        let reply = as_caller("bob", method, &path, body).await;
        assert_eq!(reply.status, 404, "{method} {path}");
        assert_eq!(
            reply.json()["error"]["details"][0]["reason"],
            "TASK_NOT_FOUND"
        );
    }
    assert_eq!(
        as_caller("bob", "GET", "/tasks", &none).await.json()["totalSize"],
        0
    );
    assert_eq!(
        as_caller("ann", "GET", "/tasks", &none).await.json()["totalSize"],
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn auth_server_001_no_or_bad_credentials_are_401_with_a_challenge() {
    let server = Running::with(|options, _| shared_token(options)).await;
    for (path, method) in [
        ("/", "POST"),
        ("/message:send", "POST"),
        ("/tasks", "GET"),
        ("/tasks/send", "POST"),
        ("/tasks/x", "GET"),
    ] {
        for (header, challenge) in [
            (None, "Bearer"),
            (Some("Bearer wrong"), r#"Bearer error="invalid_token""#),
            (Some("Basic s3cret"), r#"Bearer error="invalid_request""#),
        ] {
            let headers: Vec<_> = header
                .into_iter()
                .map(|value| ("authorization", value))
                .collect();
            let reply = server.send(method, path, &headers, b"").await;
            assert_eq!(
                (reply.status, reply.header("www-authenticate")),
                (401, Some(challenge)),
                "{method} {path}"
            );
            assert!(
                reply.json()["error"]["message"]
                    .as_str()
                    .unwrap()
                    .starts_with("not authenticated")
            );
        }
    }
    let good = [("authorization", "bearer  s3cret")];
    assert_eq!(server.send("GET", "/tasks", &good, b"").await.status, 200);
    for open in [
        "/.well-known/agent-card.json",
        "/.well-known/agent.json",
        "/healthz",
        "/readyz",
    ] {
        assert_eq!(server.get(open).await.status, 200, "{open}");
    }
}
