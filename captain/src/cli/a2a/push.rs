//! `captain a2a push`: where an agent posts the updates of a task. What is secret about that (a token, credentials) comes from
//! files, because other users see command lines.

use a2a_proto::types::{
    AuthenticationInfo, ListTaskPushNotificationConfigsRequest, TaskPushNotificationConfig,
};
use daemon::cli::Failure;
use daemon::exit::Exit;
use daemon::state::read_secret;

use super::args::{PushCommand, PushSetArgs};
use super::{client, failure};
use crate::cli::answer::json;
use crate::cli::args::Cli;
use crate::cli::output;
use crate::cli::text::clean;

/// Runs one of the commands.
pub(super) async fn run(cli: &Cli, command: &PushCommand) -> Result<Exit, Failure> {
    match command {
        PushCommand::Set(args) => {
            let config = config(args)?;
            let client = client(&args.agent).await?;
            let made = client.create_push_config(config).await;
            show(cli, &made.map_err(|error| failure(&args.agent, &error))?)
        }
        PushCommand::Get {
            agent,
            task,
            config,
        } => {
            let found = client(agent).await?.get_push_config(task, config).await;
            show(cli, &found.map_err(|error| failure(agent, &error))?)
        }
        PushCommand::List { agent, task } => {
            let client = client(agent).await?;
            let mut request = ListTaskPushNotificationConfigsRequest {
                task_id: task.clone(),
                ..ListTaskPushNotificationConfigsRequest::default()
            };
            let mut rows = Vec::new();
            loop {
                let page = client.list_push_configs(&request).await;
                let page = page.map_err(|error| failure(agent, &error))?;
                for config in &page.configs {
                    if cli.json {
                        output::line(&json(config)?)?;
                    } else {
                        rows.push(row(config));
                    }
                }
                // An agent whose list does not get on would keep us for ever.
                if page.configs.is_empty() || page.next_page_token.is_empty() {
                    break;
                }
                request.page_token = page.next_page_token;
            }
            output::bytes(output::table(&rows).as_bytes())?;
            if rows.is_empty() && !cli.quiet && !cli.json {
                output::note("the updates of this task are posted nowhere");
            }
            Ok(Exit::Ok)
        }
        PushCommand::Delete {
            agent,
            task,
            config,
        } => {
            let deleted = client(agent).await?.delete_push_config(task, config).await;
            deleted.map_err(|error| failure(agent, &error))?;
            Ok(Exit::Ok)
        }
    }
}

/// The configuration that was asked for.
fn config(args: &PushSetArgs) -> Result<TaskPushNotificationConfig, Failure> {
    let secret = |file: &Option<std::path::PathBuf>| match file {
        Some(file) => read_secret(file)
            .map(Some)
            .map_err(|error| Failure::from_error(Exit::BadInput, &error)),
        None => Ok(None),
    };
    let token = secret(&args.hook_token_file)?;
    let credentials = secret(&args.credentials_file)?;
    Ok(TaskPushNotificationConfig {
        id: args.id.clone().unwrap_or_default(),
        task_id: args.task.clone(),
        url: args.webhook.to_string(),
        token: token.unwrap_or_default(),
        authentication: credentials.map(|credentials| AuthenticationInfo {
            scheme: args.scheme.clone(),
            credentials,
        }),
        ..TaskPushNotificationConfig::default()
    })
}

fn show(cli: &Cli, config: &TaskPushNotificationConfig) -> Result<Exit, Failure> {
    if cli.json {
        output::line(&json(config)?)?;
    } else {
        output::bytes(output::table(&[row(config)]).as_bytes())?;
    }
    Ok(Exit::Ok)
}

/// A configuration as a line; of what is secret only that it is there.
fn row(config: &TaskPushNotificationConfig) -> Vec<String> {
    let mut with = Vec::new();
    if !config.token.is_empty() {
        with.push("token".to_owned());
    }
    if let Some(authentication) = &config.authentication {
        with.push(clean(&authentication.scheme));
    }
    vec![clean(&config.id), clean(&config.url), with.join(", ")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_is_only_named() {
        let config = TaskPushNotificationConfig {
            id: "c\u{1b}1".to_owned(),
            url: "https://example.com/hook".to_owned(),
            token: "s3cret".to_owned(),
            authentication: Some(AuthenticationInfo {
                scheme: "Bearer".to_owned(),
                credentials: "s3cret".to_owned(),
            }),
            ..TaskPushNotificationConfig::default()
        };
        let shown = output::table(&[row(&config)]);
        assert_eq!(shown, "c1  https://example.com/hook  token, Bearer\n");
    }
}
