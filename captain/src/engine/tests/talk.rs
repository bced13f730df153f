//! Jobs that are talked to while they run: answers, words for everybody, and what is refused.

use captain_core::{JobEvent, SubtaskId};
use pretty_assertions::assert_eq;

use super::super::EngineError;
use super::super::Reply;
use super::super::test_support::{Step, World};
use super::DONE;

fn said(to: Option<&str>, text: &str) -> Reply {
    Reply {
        text: text.to_owned(),
        by: "ann".to_owned(),
        subtask: to.map(|to| SubtaskId::parse(to).unwrap()),
        id: None,
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_goes_to_the_oldest_question() {
    let world = World::new();
    for name in ["a", "b"] {
        world.script(name, &[Step::Ask("which colour?"), Step::Answered, DONE]);
    }
    let captain = world.captain().await;
    let id = captain.submit("a b:a").await;
    for (name, text) in [("a", "blue"), ("b", "green")] {
        captain.until(&id, "input.required", name).await;
        captain.handle.reply(&id, said(None, text)).await.unwrap();
    }
    let events = captain.events(&id).await;
    let talk: Vec<String> = events
        .iter()
        .filter_map(|event| match event {
            JobEvent::MessageReceived { text, subtask, .. } => {
                Some(format!("{text} for {}", subtask.as_ref().unwrap()))
            }
            JobEvent::MessageDelivered { subtask, .. } => Some(format!("{subtask} has it")),
            JobEvent::InputResolved { subtask, .. } => Some(format!("{subtask} goes on")),
            _ => None,
        })
        .collect();
    assert_eq!(talk.len(), 6, "{talk:?}");
    assert_eq!(world.calls("tell"), ["a blue", "b green"]);
    captain.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_word_for_everybody_reaches_those_at_work_once_and_survives_a_restart() {
    let world = World::new();
    for name in ["a", "b"] {
        world.script(name, &[Step::Say("hm"), Step::Hold, DONE]);
    }
    let captain = world.captain().await;
    let id = captain.submit("a b").await;
    for name in ["a", "b"] {
        captain.until(&id, "agent.text", name).await;
    }
    captain
        .handle
        .reply(&id, said(None, "use tabs"))
        .await
        .unwrap();
    for name in ["a", "b"] {
        captain.until(&id, "message.delivered", name).await;
    }
    let mut named = said(None, "and spaces");
    named.id = Some("m-1".to_owned());
    for _ in 0..2 {
        captain.handle.reply(&id, named.clone()).await.unwrap();
    }
    let job = captain.handle.get(&id).await.unwrap().job;
    assert_eq!(job.messages().len(), 2, "one name, one message");
    captain.stop().await;

    let captain = world.captain().await;
    world.release("a");
    world.release("b");
    captain.events(&id).await;
    let mut told = world.calls("tell");
    told.sort();
    told.dedup();
    assert_eq!(told.len(), 4, "everything once: {told:?}");
    captain.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_taken_says_why() {
    let world = World::new();
    world.script("a", &[Step::Hold, DONE]);
    let captain = world.captain().await;
    let id = captain.submit("a").await;
    let reply = async |to: Option<&str>, text: &str| {
        let refused = captain.handle.reply(&id, said(to, text)).await;
        refused.unwrap_err().to_string()
    };
    assert!(
        reply(Some("x"), "hm")
            .await
            .contains("there is no subtask x")
    );
    assert!(reply(None, " \n").await.contains("it says nothing"));
    let long = "x".repeat(64 * 1024 + 1);
    assert!(reply(None, &long).await.contains("at most 65536"));

    world.release("a");
    captain.events(&id).await;
    assert!(matches!(
        captain.handle.reply(&id, said(None, "hm")).await,
        Err(EngineError::WrongState { .. })
    ));
    captain.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_submitted_twice_under_one_name_runs_once() {
    let world = World::new();
    let captain = world.captain().await;
    let id = captain_core::JobId::parse("0192f0c1-5c3e-7a60-9d2b-3f1d5b7c9e01").unwrap();
    for _ in 0..2 {
        let spec = super::job("a");
        let taken = captain.handle.submit_as(id.clone(), spec).await.unwrap();
        assert_eq!(taken, id);
    }
    captain.events(&id).await;
    let again = captain.handle.submit_as(id.clone(), super::job("a")).await;
    assert_eq!(again.unwrap(), id, "also after its end");
    assert_eq!(world.calls("launch").len(), 1);
    let job = captain.handle.as_of(&id, 3).await.unwrap().unwrap();
    assert_eq!(job.state().name(), "running");
    captain.stop().await;
}
