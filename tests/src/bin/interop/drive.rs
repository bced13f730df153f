//! Our own client as a driver, with the operations and the output of the drivers in `tests/interop`. Uses `a2a_proto::client`
//! as an application would. The card's interfaces are narrowed to the binding and version under test, because the client
//! otherwise takes the first that it likes.

mod push;

use std::{future::Future, io::Write, process::ExitCode, time::Duration};

use a2a_proto::{
    client::{Client, ClientOptions, EventStream, HttpOptions, http_client},
    clock::{Ids, UuidV7},
    error::A2aError,
    types::{
        ListTasksRequest, Message, Part, PartContent, Role, SendMessageConfiguration,
        SendMessageRequest, SendMessageResponse, StreamResponse, Task, TaskState,
    },
};
use futures_util::StreamExt;
use serde_json::json;

use crate::Failure;

const CHUNKS: usize = 5;
const STREAM: &str = "spam 5";
const ASK: &str = "input Which colour?";
const HANG: &str = "hang";
/// Chunks, and then nothing until it is cancelled: only our own agents know more than one directive.
const PIECES: &str = "spam 5\nhang";
const UNKNOWN: &str = "00000000-0000-7000-8000-000000000000";
/// One operation's time.
const LIMIT: Duration = Duration::from_secs(30);
/// After this a subscription is surely attached, also where the server does not begin with the task (0.3).
const ATTACHED: Duration = Duration::from_secs(1);

/// What an operation says of itself; `None` where there is no such thing, with the reason.
type Done = Result<Result<String, &'static str>, Failure>;

/// Runs every operation and tells how it went.
pub(crate) async fn main(args: &[String]) -> Result<ExitCode, Failure> {
    let [url, binding, version, webhook] = args else {
        return Err("usage: interop drive URL BINDING VERSION WEBHOOK".into());
    };
    let mut client = None;
    tell("card", async {
        let (name, made) = discover(url, binding, version).await?;
        client = Some(made);
        done(name)
    })
    .await?;
    let Some(client) = client else {
        return Ok(ExitCode::SUCCESS);
    };
    let driver = Driver {
        client,
        old: version == "0.3",
        rest: binding == "HTTP+JSON",
    };
    let mut task = None;
    tell("send", async {
        let sent = driver.send().await?;
        task = Some(sent);
        done("")
    })
    .await?;
    tell("stream", driver.stream()).await?;
    tell("get", driver.get(task.as_ref())).await?;
    tell("list", driver.list(task.as_ref())).await?;
    tell("error", driver.unknown()).await?;
    tell("cancel", driver.cancel()).await?;
    tell("input", driver.input()).await?;
    tell("subscribe", driver.subscribe()).await?;
    tell("resume", driver.resume()).await?;
    tell("push", driver.push(webhook)).await?;
    Ok(ExitCode::SUCCESS)
}

fn done(detail: impl Into<String>) -> Done {
    Ok(Ok(detail.into()))
}

fn check(condition: bool, what: impl FnOnce() -> String) -> Result<(), Failure> {
    if condition {
        Ok(())
    } else {
        Err(what().into())
    }
}

async fn tell(op: &str, operation: impl Future<Output = Done>) -> Result<(), Failure> {
    let (ok, detail) = match tokio::time::timeout(LIMIT, operation).await {
        Ok(Ok(Ok(detail))) => (Some(true), detail),
        Ok(Ok(Err(absent))) => (None, absent.to_owned()),
        Ok(Err(error)) => (Some(false), daemon::cli::chain(error.as_ref())),
        Err(_) => (Some(false), format!("no answer within {LIMIT:?}")),
    };
    let line = json!({"op": op, "ok": ok, "detail": detail});
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}

async fn discover(url: &str, binding: &str, version: &str) -> Result<(String, Client), Failure> {
    let options = ClientOptions::new(http_client(&HttpOptions::default())?);
    let any = Client::discover(&url.parse()?, options.clone()).await?;
    let mut card = any.card().clone();
    let name = card.name.clone();
    card.supported_interfaces.retain(|interface| {
        interface.protocol_binding == binding && interface.protocol_version.starts_with(version)
    });
    check(!card.supported_interfaces.is_empty(), || {
        format!("the card offers no {binding} {version}")
    })?;
    Ok((name, Client::from_card(card, options)?))
}

/// A user message with one text, for a task or a new one.
fn request(text: &str, task: Option<&Task>, at_once: bool) -> SendMessageRequest {
    let mut message = Message {
        message_id: UuidV7.next(),
        role: Role::User,
        parts: vec![Part::text(text)],
        ..Message::default()
    };
    if let Some(task) = task {
        message.task_id.clone_from(&task.id);
        message.context_id.clone_from(&task.context_id);
    }
    let configuration = SendMessageConfiguration {
        return_immediately: at_once,
        ..SendMessageConfiguration::default()
    };
    SendMessageRequest {
        message,
        configuration: Some(configuration),
        ..SendMessageRequest::default()
    }
}

/// `word` and something that is new with each run: an agent with a workspace tells of what changed in it. Everybody else
/// echoes the whole text.
fn fresh(word: &str) -> String {
    format!("{word} {}", UuidV7.next())
}

/// All text of some parts, files included.
fn texts(parts: &[Part]) -> String {
    let text = |part: &Part| match &part.content {
        PartContent::Text(text) => text.clone(),
        PartContent::Raw(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        PartContent::Url(_) | PartContent::Data(_) => String::new(),
    };
    parts.iter().map(text).collect()
}

/// Everything that a task says: its artifacts, its status, the agent's part of its history.
fn said(task: &Task) -> String {
    let artifacts = task.artifacts.iter().map(|it| texts(&it.parts));
    let status = task.status.message.iter().map(|it| texts(&it.parts));
    let spoken = task.history.iter().filter(|it| it.role == Role::Agent);
    let words = artifacts
        .chain(status)
        .chain(spoken.map(|it| texts(&it.parts)));
    words.collect::<Vec<_>>().join("\n")
}

fn event_text(event: &StreamResponse) -> String {
    match event {
        StreamResponse::Task(_) => String::new(),
        StreamResponse::Message(message) => texts(&message.parts),
        StreamResponse::StatusUpdate(update) => update
            .status
            .message
            .as_ref()
            .map(|message| texts(&message.parts))
            .unwrap_or_default(),
        StreamResponse::ArtifactUpdate(update) => texts(&update.artifact.parts),
    }
}

fn event_state(event: &StreamResponse) -> Option<TaskState> {
    match event {
        StreamResponse::Task(task) => Some(task.status.state),
        StreamResponse::StatusUpdate(update) => Some(update.status.state),
        StreamResponse::Message(_) | StreamResponse::ArtifactUpdate(_) => None,
    }
}

fn wants(task: &Task, state: TaskState) -> Result<(), Failure> {
    check(task.status.state == state, || {
        format!("state {:?}", task.status.state)
    })
}

struct Driver {
    client: Client,
    old: bool,
    rest: bool,
}

impl Driver {
    /// Sends without streaming; the task that comes back.
    async fn ask(&self, request: SendMessageRequest) -> Result<Task, Failure> {
        match self.client.send(&request).await? {
            SendMessageResponse::Task(task) => Ok(task),
            SendMessageResponse::Message(_) => Err("the answer is no task".into()),
        }
    }

    async fn send(&self) -> Result<Task, Failure> {
        let hello = fresh("hello");
        let text = format!("write hello.txt {hello}");
        let task = self.ask(request(&text, None, false)).await?;
        wants(&task, TaskState::Completed)?;
        check(
            said(&task).contains(&hello) && !task.context_id.is_empty(),
            || format!("the echo or the contextId is missing in {:?}", said(&task)),
        )?;
        Ok(task)
    }

    async fn stream(&self) -> Done {
        let mut stream = self.client.stream(request(STREAM, None, false));
        let (mut text, mut last, mut count) = (String::new(), None, 0);
        while let Some(event) = stream.next().await {
            let event = event?.event;
            check(
                count > 0 || matches!(event, StreamResponse::Task(_)),
                || format!("the stream begins with {event:?}"),
            )?;
            count += 1;
            text.push_str(&event_text(&event));
            last = event_state(&event).or(last);
        }
        check(last == Some(TaskState::Completed), || {
            format!("the stream ends in {last:?}")
        })?;
        // In order; an agent may say all of it once more at the end.
        let mut rest = text.as_str();
        for number in 1..=CHUNKS {
            let chunk = format!("chunk {number}");
            let Some((_, after)) = rest.split_once(&chunk) else {
                return Err(format!("{chunk} is missing or out of order in {text:?}").into());
            };
            rest = after;
        }
        done(format!("{count} events"))
    }

    async fn get(&self, task: Option<&Task>) -> Done {
        let id = &task.ok_or("there is no task: send failed")?.id;
        let got = self.client.get(id, None).await?;
        check(got.id == *id, || "another task came back".to_owned())?;
        wants(&got, TaskState::Completed)?;
        done("")
    }

    async fn list(&self, task: Option<&Task>) -> Done {
        if self.old {
            return Ok(Err("0.3 has no list"));
        }
        let task = task.ok_or("there is no task: send failed")?;
        let request = ListTasksRequest {
            context_id: task.context_id.clone(),
            ..ListTasksRequest::default()
        };
        let page = self.client.list(&request).await?;
        let found = page.tasks.len() == 1 && page.tasks[0].id == task.id && page.total_size == 1;
        check(found, || {
            format!(
                "listed {} tasks, totalSize {}",
                page.tasks.len(),
                page.total_size
            )
        })?;
        done("")
    }

    async fn unknown(&self) -> Done {
        match self.client.get(UNKNOWN, None).await {
            Err(error) => {
                let missing = matches!(error.agent_error(), Some(A2aError::TaskNotFound { .. }));
                check(missing, || format!("an unknown task gives: {error}"))?;
                done("")
            }
            Ok(_) => Err("an unknown task was found".into()),
        }
    }

    /// Cancels the task and wants the stream to end with that.
    async fn ends(&self, id: &str, stream: EventStream) -> Done {
        let read = async {
            tokio::pin!(stream);
            let mut last = None;
            while let Some(event) = stream.next().await {
                last = event_state(&event?.event).or(last);
            }
            Ok::<_, Failure>(last)
        };
        let cancel = async {
            // The stream is read meanwhile.
            tokio::time::sleep(if self.old { ATTACHED } else { Duration::ZERO }).await;
            Ok::<_, Failure>(self.client.cancel(id).await?)
        };
        let (last, cancelled) = tokio::try_join!(read, cancel)?;
        wants(&cancelled, TaskState::Canceled)?;
        check(last == Some(TaskState::Canceled), || {
            format!("the stream ends in {last:?}")
        })?;
        done("")
    }

    async fn cancel(&self) -> Done {
        let mut stream = self.client.stream(request(HANG, None, false));
        let (_, task) = first(&mut stream).await?;
        self.ends(&task.id, stream).await
    }

    async fn input(&self) -> Done {
        let task = self.ask(request(ASK, None, false)).await?;
        wants(&task, TaskState::InputRequired)?;
        check(said(&task).contains("colour"), || {
            format!("the question is missing in {:?}", said(&task))
        })?;
        let answer = fresh("blue");
        let text = format!("write answer.txt {answer}");
        let after = self.ask(request(&text, Some(&task), false)).await?;
        wants(&after, TaskState::Completed)?;
        check(
            after.id == task.id && said(&after).contains(&answer),
            || format!("the answer is missing in {:?}", said(&after)),
        )?;
        done("")
    }

    async fn subscribe(&self) -> Done {
        let task = self.ask(request(HANG, None, true)).await?;
        let mut stream = self.client.subscribe(task.id.clone(), None);
        if !self.old {
            let (_, first) = first(&mut stream).await?;
            check(first.id == task.id, || "it is another task".to_owned())?;
        }
        self.ends(&task.id, stream).await
    }

    /// Cuts a stream off and takes it up after the last number that came through.
    async fn resume(&self) -> Done {
        let mut stream = self.client.stream(request(HANG, None, false));
        let (seq, task) = first(&mut stream).await?;
        if seq.is_none() {
            self.ends(&task.id, stream).await??;
            return Ok(Err("the server does not number its events"));
        }
        self.ends(&task.id, stream).await??;
        let mut stream = self.client.stream(request(PIECES, None, false));
        let (_, task) = first(&mut stream).await?;
        let at = loop {
            let Some(event) = stream.next().await.transpose()? else {
                return Ok(Err(
                    "the echo server cannot stop in the middle of its chunks",
                ));
            };
            if event_text(&event.event).contains("chunk 2") {
                break event.seq;
            }
        };
        drop(stream);
        let mut stream = self.client.subscribe(task.id.clone(), at);
        let next = stream.next().await.transpose()?;
        let next = next.ok_or("the resumed stream is empty")?;
        check(next.seq == at.map(|seq| seq + 1), || {
            format!("after {at:?} comes {:?}", next.seq)
        })?;
        check(event_text(&next.event).contains("chunk 3"), || {
            format!("after chunk 2 comes {:?}", next.event)
        })?;
        self.ends(&task.id, stream).await
    }
}

/// The task with which a stream begins, and its number.
async fn first(stream: &mut EventStream) -> Result<(Option<u64>, Task), Failure> {
    let event = stream.next().await.transpose()?;
    match event.map(|it| (it.seq, it.event)) {
        Some((seq, StreamResponse::Task(task))) => Ok((seq, task)),
        other => Err(format!("the stream begins with {other:?}").into()),
    }
}
