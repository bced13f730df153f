//! `captain a2a`: a small command line for any A2A agent, be it a captain, a worker or a stranger's. It knows the protocol's
//! operations and nothing of jobs; streams that break are taken up again by the client below it.

pub(crate) mod args;
mod message;
mod push;
mod show;

use std::sync::Arc;

use a2a_proto::client::{Client, ClientError, ClientOptions, EventStream, StaticToken, fetch_card};
use a2a_proto::clock::{Ids as _, UuidV7};
use a2a_proto::error::A2aError;
use a2a_proto::types::{ListTasksRequest, SendMessageResponse, Task, TaskState};
use daemon::cli::Failure;
use daemon::exit::Exit;
use daemon::state::read_secret;
use futures_util::StreamExt as _;
use secrecy::SecretString;

use self::args::{A2aCommand, AgentArgs};
use self::show::Live;
use super::answer::{json, words};
use super::args::Cli;
use super::text::clean;
use super::{connect, output};

/// Tasks that are asked for at a time: what every agent allows (A2A §3.1.4).
const PAGE: u32 = 100;

/// Runs one of the commands.
pub(crate) async fn run(cli: &Cli, command: &A2aCommand) -> Result<Exit, Failure> {
    match command {
        A2aCommand::Card { agent, extended } => card(cli, agent, *extended).await,
        A2aCommand::Send {
            agent,
            message,
            return_immediately,
        } => {
            let request = message::request(message, UuidV7.next(), *return_immediately)?;
            let client = client(agent).await?;
            let answer = client
                .send(&request)
                .await
                .map_err(|error| failure(agent, &error))?;
            sent(cli, agent, &answer)
        }
        A2aCommand::Stream { agent, message } => {
            let request = message::request(message, UuidV7.next(), false)?;
            let stream = client(agent).await?.stream(request);
            follow(cli, agent, stream).await
        }
        A2aCommand::Get {
            agent,
            task,
            history,
        } => {
            let client = client(agent).await?;
            let task = client.get(task, history.history).await;
            show(cli, &task.map_err(|error| failure(agent, &error))?)
        }
        A2aCommand::List {
            agent,
            context,
            state,
            limit,
        } => {
            let filter = ListTasksRequest {
                context_id: context.clone().unwrap_or_default(),
                status: state.map_or(TaskState::Unspecified, TaskState::from),
                history_length: Some(1),
                ..ListTasksRequest::default()
            };
            list(cli, agent, filter, *limit).await
        }
        A2aCommand::Cancel { agent, task } => {
            let client = client(agent).await?;
            let task = client.cancel(task).await;
            show(cli, &task.map_err(|error| failure(agent, &error))?)
        }
        A2aCommand::Subscribe { agent, task, after } => {
            let stream = client(agent).await?.subscribe(task, *after);
            follow(cli, agent, stream).await
        }
        A2aCommand::Push { command } => push::run(cli, command).await,
    }
}

fn options(args: &AgentArgs) -> Result<ClientOptions, Failure> {
    if !matches!(args.url.scheme(), "http" | "https") || args.url.cannot_be_a_base() {
        let message = format!("{} is not an http or https address", args.url);
        return Err(Failure::new(Exit::Usage, message));
    }
    let mut options = ClientOptions::new(connect::http()?);
    options.extensions.clone_from(&args.extensions);
    let token = match (&args.token, &args.token_file) {
        (Some(token), _) => Some(token.clone()),
        (None, Some(file)) => {
            Some(SecretString::from(read_secret(file).map_err(|error| {
                Failure::from_error(Exit::BadInput, &error)
            })?))
        }
        (None, None) => connect::own_token(&args.url, args.state_dir.as_deref())?,
    };
    Ok(match token {
        Some(token) => options.with_token(Arc::new(StaticToken::new(token))),
        None => options,
    })
}

/// A client for the agent, by the interfaces that the user allows.
async fn client(args: &AgentArgs) -> Result<Client, Failure> {
    let options = options(args)?;
    let card = fetch_card(&args.url, &options).await;
    let mut card = card.map_err(|error| failure(args, &error))?;
    let offered: Vec<String> = card
        .supported_interfaces
        .iter()
        .map(|it| clean(&format!("{} {}", it.protocol_binding, it.protocol_version)))
        .collect();
    card.supported_interfaces.retain(|it| {
        let binding = args.binding.map(args::Binding::name);
        binding.is_none_or(|name| name == it.protocol_binding)
            && args.protocol.as_ref().is_none_or(|version| {
                it.protocol_version == *version
                    || it.protocol_version.starts_with(&format!("{version}."))
            })
    });
    if card.supported_interfaces.is_empty() && !offered.is_empty() {
        let message = format!(
            "the agent does not offer that; it offers {}",
            offered.join(", ")
        );
        return Err(Failure::new(Exit::Unavailable, message));
    }
    Client::from_card(card, options).map_err(|error| failure(args, &error))
}

async fn card(cli: &Cli, args: &AgentArgs, extended: bool) -> Result<Exit, Failure> {
    let card = if extended {
        let client = client(args).await?;
        let extended = client.extended().await;
        extended
            .map_err(|error| failure(args, &error))?
            .card()
            .clone()
    } else {
        let options = options(args)?;
        let card = fetch_card(&args.url, &options).await;
        card.map_err(|error| failure(args, &error))?
    };
    if cli.json {
        output::line(&json(&card)?)?;
    } else {
        output::bytes(show::card(&card).as_bytes())?;
    }
    Ok(Exit::Ok)
}

fn sent(cli: &Cli, args: &AgentArgs, answer: &SendMessageResponse) -> Result<Exit, Failure> {
    if cli.json {
        output::line(&json(answer)?)?;
    }
    match answer {
        SendMessageResponse::Message(message) => {
            if !cli.json {
                output::line(words(message).trim_end())?;
            }
            Ok(Exit::Ok)
        }
        SendMessageResponse::Task(task) => {
            let said = task.status.message.as_ref().map(words).unwrap_or_default();
            if !cli.json {
                output::bytes(show::task(task).as_bytes())?;
                if !cli.quiet && !task.status.state.is_terminal() {
                    output::note(&go_on(args, task.status.state, &task.id));
                }
            }
            show::judge(Some(task.status.state), &said)
        }
    }
}

fn show(cli: &Cli, task: &Task) -> Result<Exit, Failure> {
    if cli.json {
        output::line(&json(task)?)?;
    } else {
        output::bytes(show::task(task).as_bytes())?;
    }
    Ok(Exit::Ok)
}

async fn list(
    cli: &Cli,
    args: &AgentArgs,
    mut filter: ListTasksRequest,
    limit: u32,
) -> Result<Exit, Failure> {
    let client = client(args).await?;
    let mut rows = Vec::new();
    let mut left = limit;
    while left > 0 {
        filter.page_size = i32::try_from(left.min(PAGE)).ok();
        let page = client.list(&filter).await;
        let page = page.map_err(|error| failure(args, &error))?;
        // An agent that gives more than it was asked for is not taken at its word.
        for task in page
            .tasks
            .iter()
            .take(usize::try_from(left).unwrap_or(usize::MAX))
        {
            if cli.json {
                output::line(&json(task)?)?;
            } else {
                rows.push(show::row(task));
            }
            left -= 1;
        }
        if page.next_page_token.is_empty() || page.tasks.is_empty() {
            break;
        }
        filter.page_token = page.next_page_token;
    }
    output::bytes(output::table(&rows).as_bytes())?;
    if rows.is_empty() && !cli.quiet && !cli.json {
        output::note("no tasks");
    }
    Ok(Exit::Ok)
}

/// Shows a stream to its end, until the task waits for us, or until the user leaves.
async fn follow(cli: &Cli, args: &AgentArgs, mut stream: EventStream) -> Result<Exit, Failure> {
    let mut live = Live::default();
    loop {
        let event = tokio::select! {
            event = stream.next() => event,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted.map_err(|error| {
                    Failure::new(Exit::Internal, format!("cannot wait for signals: {error}"))
                })?;
                if !cli.quiet && !live.task.is_empty() {
                    output::bytes(live.end().as_bytes())?;
                    output::note(&go_on(args, TaskState::Working, &live.task));
                }
                return Ok(Exit::Interrupted);
            }
        };
        let Some(event) = event else { break };
        let event = event.map_err(|error| failure(args, &error))?.event;
        let shown = live.take(&event);
        if cli.json {
            output::line(&json(&event)?)?;
        } else if !cli.quiet {
            output::bytes(shown.as_bytes())?;
        }
        if live.state.is_some_and(TaskState::is_interrupted) {
            break;
        }
    }
    if !cli.json && !cli.quiet {
        output::bytes(live.end().as_bytes())?;
        if let Some(state) = live.state.filter(|state| !state.is_terminal()) {
            output::note(&go_on(args, state, &live.task));
        }
    }
    live.judge()
}

/// How to go on with a task that has not ended.
fn go_on(args: &AgentArgs, state: TaskState, task: &str) -> String {
    let (url, task) = (&args.url, clean(task));
    if state.is_interrupted() {
        format!("the task waits for an answer: captain a2a stream {url} --task {task} \"…\"")
    } else {
        format!("the task goes on: captain a2a subscribe {url} {task}")
    }
}

fn failure(args: &AgentArgs, error: &ClientError) -> Failure {
    let (exit, hint) = match error.agent_error() {
        Some(A2aError::Unauthenticated { .. } | A2aError::PermissionDenied { .. }) => (
            Exit::NotPermitted,
            Some("give a token with --token-file, or in A2A_TOKEN".to_owned()),
        ),
        Some(A2aError::Overloaded { .. } | A2aError::Internal { .. }) => (Exit::Unavailable, None),
        Some(A2aError::InvalidAgentResponse { .. }) => (
            Exit::Unavailable,
            Some(format!("is an A2A agent listening at {}?", args.url)),
        ),
        Some(_) => (Exit::BadInput, None),
        None => match error {
            ClientError::BadUrl { .. } => (Exit::Usage, None),
            ClientError::Lost { task_id, after, .. } => {
                let after = after.map(|after| format!(" --after {after}"));
                let (url, after) = (&args.url, after.unwrap_or_default());
                let task = clean(task_id);
                let hint = format!("captain a2a subscribe {url} {task}{after}");
                (Exit::Unavailable, Some(hint))
            }
            ClientError::Request(_) | ClientError::Channel { .. } | ClientError::Build { .. } => {
                (Exit::Internal, None)
            }
            ClientError::NoInterface { .. } => (
                Exit::Unavailable,
                Some("`captain a2a card URL` shows what it offers".to_owned()),
            ),
            _ => (Exit::Unavailable, None),
        },
    };
    let failure = Failure::new(
        exit,
        format!("{}: {}", args.url, clean(&daemon::cli::chain(error))),
    );
    match hint {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}
