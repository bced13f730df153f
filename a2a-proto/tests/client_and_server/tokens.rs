//! Who may call, and what they see.

use std::sync::Arc;

use a2a_proto::auth::{Claims, JwtVerifier, Signer};
use a2a_proto::client::StaticToken;
use a2a_proto::clock::{Clock, SystemClock};
use a2a_proto::error::A2aError;
use a2a_proto::log::MemoryLog;
use a2a_proto::types::SendMessageResponse;

use crate::world::{BINDINGS, World, message, options};

#[tokio::test]
async fn only_a_token_for_this_agent_is_accepted() {
    for binding in BINDINGS {
        only_a_token(binding).await;
    }
}

async fn only_a_token(binding: &str) {
    let signer = Signer::generate().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let verifier = JwtVerifier::new(&signer.jwks(), "worker:counter", Arc::clone(&clock));
    let world = World::new(MemoryLog::new().unwrap(), binding, Arc::new(verifier), 0).await;
    let now = clock.now().as_second();
    let token = |aud: &str, sub: &str| {
        let claims = Claims {
            sub: sub.into(),
            aud: aud.into(),
            iat: now,
            exp: now + 60,
            ..Claims::default()
        };
        Arc::new(StaticToken::new(signer.sign(&claims).unwrap()))
    };

    let ann = world
        .client(options().with_token(token("worker:counter", "ann")))
        .await;
    let SendMessageResponse::Task(task) = ann.send(&message("1")).await.unwrap() else {
        panic!("a task")
    };
    assert!(ann.get(&task.id, None).await.is_ok());

    let bob = world
        .client(options().with_token(token("worker:counter", "bob")))
        .await;
    let error = bob.get(&task.id, None).await.unwrap_err();
    assert!(
        matches!(error.agent_error(), Some(A2aError::TaskNotFound { .. })),
        "{error:?}"
    );

    for stranger in [
        options(),
        options().with_token(token("worker:other", "ann")),
    ] {
        let error = world
            .client(stranger)
            .await
            .get(&task.id, None)
            .await
            .unwrap_err();
        assert!(
            matches!(error.agent_error(), Some(A2aError::Unauthenticated { .. })),
            "{error:?}"
        );
    }
    world.stop().await;
}
