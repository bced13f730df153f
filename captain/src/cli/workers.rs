//! `captain workers`: workers without a job. The captain starts and stops them and hands out a token; messages go to the
//! worker itself, over A2A, as from any other client.

use std::path::Path;
use std::sync::Arc;

use a2a_proto::client::{Client as Agent, ClientError as AgentError, ClientOptions, StaticToken};
use a2a_proto::clock::{Ids, UuidV7};
use a2a_proto::types::{Message, Part, SendMessageRequest};
use captain_core::WorkerId;
use daemon::cli::Failure;
use daemon::exit::Exit;
use futures_util::StreamExt;

use super::answer::Answer;
use super::args::{CaptainArgs, Cli, WorkersCommand};
use super::client::Client;
use super::text::clean;
use super::wire::{WorkerEntry, WorkerList, WorkerToken};
use super::{answer, connect, job, output};

/// Runs one of the commands.
pub(crate) async fn run(cli: &Cli, command: &WorkersCommand) -> Result<Exit, Failure> {
    match command {
        WorkersCommand::List { captain } => list(cli, captain).await,
        WorkersCommand::Spawn { worker, captain } => spawn(cli, worker, captain).await,
        WorkersCommand::Send {
            worker,
            message,
            context,
            captain,
        } => {
            let text = if message == "-" {
                job::read(Path::new("-"))?
            } else {
                message.clone()
            };
            let agent = agent(&connect::captain(captain)?, worker).await?;
            send(cli, worker, &agent, text, context.as_deref()).await
        }
        WorkersCommand::Status {
            worker,
            task,
            captain,
        } => {
            let agent = agent(&connect::captain(captain)?, worker).await?;
            let task = agent
                .get(task, None)
                .await
                .map_err(|error| failure(worker, &error))?;
            if cli.json {
                output::line(&answer::json(&task)?)?;
            } else {
                output::bytes(answer::describe(&task).as_bytes())?;
            }
            Ok(Exit::Ok)
        }
        WorkersCommand::Terminate { worker, captain } => {
            connect::captain(captain)?
                .delete(&["workers", worker])
                .await?;
            if !cli.quiet && !cli.json {
                output::line("terminated")?;
            }
            Ok(Exit::Ok)
        }
    }
}

async fn list(cli: &Cli, captain: &CaptainArgs) -> Result<Exit, Failure> {
    let client = connect::captain(captain)?;
    if cli.json {
        let list: serde_json::Value = client.get(&["workers"]).await?;
        let workers = list
            .get("workers")
            .and_then(serde_json::Value::as_array)
            .cloned()
            .unwrap_or_default();
        for worker in workers {
            output::line(&worker.to_string())?;
        }
        return Ok(Exit::Ok);
    }
    let list: WorkerList = client.get(&["workers"]).await?;
    let rows: Vec<Vec<String>> = list
        .workers
        .iter()
        .map(|worker| {
            let place = worker
                .url
                .as_deref()
                .or(worker.message.as_deref())
                .unwrap_or_default();
            let work = match (&worker.job, &worker.subtask) {
                (Some(job), Some(subtask)) => format!("{subtask} of {job}"),
                _ => String::new(),
            };
            vec![worker.id.clone(), worker.state.clone(), clean(place), work]
        })
        .collect();
    output::bytes(output::table(&rows).as_bytes())?;
    if rows.is_empty() && !cli.quiet {
        output::note(
            "no workers; jobs start their own, and `captain workers spawn ID` starts one by hand",
        );
    }
    Ok(Exit::Ok)
}

/// Starts a worker from an id or from the file of an agent ID card.
async fn spawn(cli: &Cli, worker: &str, captain: &CaptainArgs) -> Result<Exit, Failure> {
    let card = match WorkerId::parse(worker) {
        Ok(id) => serde_json::json!({ "agent_id": id }),
        Err(not_an_id) => {
            let path = Path::new(worker);
            if !path.exists() {
                let message = format!("there is no file {worker}, and {not_an_id}");
                return Err(Failure::new(Exit::BadInput, message));
            }
            let text = job::read(path)?;
            serde_json::from_str(&text).map_err(|error| {
                let message = format!("{worker} is not an agent ID card: {error}");
                Failure::new(Exit::BadInput, message)
            })?
        }
    };
    let client = connect::captain(captain)?;
    if cli.json {
        let view: serde_json::Value = client.post(&["workers"], &card).await?;
        output::line(&view.to_string())?;
    } else {
        let view: WorkerEntry = client.post(&["workers"], &card).await?;
        output::line(&clean(view.url.as_deref().unwrap_or(&view.state)))?;
    }
    Ok(Exit::Ok)
}

/// The worker as an A2A agent.
async fn agent(client: &Client, worker: &str) -> Result<Agent, Failure> {
    let access: WorkerToken = client
        .post(&["workers", worker, "token"], &serde_json::json!({}))
        .await?;
    let options =
        ClientOptions::new(connect::http()?).with_token(Arc::new(StaticToken::new(access.token)));
    Agent::discover(&access.url, options)
        .await
        .map_err(|error| failure(worker, &error))
}

/// Sends a message and shows the answer as it comes.
async fn send(
    cli: &Cli,
    worker: &str,
    agent: &Agent,
    text: String,
    context: Option<&str>,
) -> Result<Exit, Failure> {
    let mut message = Message::user(UuidV7.next(), vec![Part::text(text)]);
    if let Some(context) = context {
        context.clone_into(&mut message.context_id);
    }
    let mut stream = agent.stream(SendMessageRequest {
        message,
        ..SendMessageRequest::default()
    });
    let mut answer = Answer::default();
    while let Some(event) = stream.next().await {
        let event = event.map_err(|error| failure(worker, &error))?.event;
        let shown = answer.take(&event);
        if cli.json {
            output::line(&answer::json(&event)?)?;
        } else if !cli.quiet {
            output::bytes(shown.as_bytes())?;
        }
    }
    if !cli.json {
        output::bytes(answer.rest(cli.quiet).as_bytes())?;
        if !cli.quiet {
            for note in answer.notes(worker) {
                output::note(&note);
            }
        }
    }
    answer.judge()
}

fn failure(worker: &str, error: &AgentError) -> Failure {
    let exit = match error.agent_error() {
        Some(_) => Exit::BadInput,
        None => Exit::Unavailable,
    };
    Failure::new(
        exit,
        format!("worker {worker}: {}", daemon::cli::chain(error)),
    )
}
