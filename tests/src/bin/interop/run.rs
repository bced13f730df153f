//! Every combination, one after another: a fresh server of ours for each SDK, its driver over each binding and version; then
//! our driver against each SDK's server. Tells how it goes on standard error. Judges nothing but the webhook, which a driver
//! cannot see.

use std::{
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use e2e::{CaptainBuilder, WorkerBuilder, programs};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_util::task::TaskTracker;

use crate::{
    Failure,
    hooks::Hooks,
    program::{self, Outcome, Server},
    sdk::{BINDINGS, SDKS, Sdk, VERSIONS},
};

/// The token that every driver gives to its push config.
pub(crate) const TOKEN: &str = "interop-token";
/// Where the webhooks are.
const LOOPBACK: &str = "127.0.0.1";
/// What our own client is called in the table.
const OURS: &str = "Flotilla";

/// One line of what was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Cell {
    /// The SDK's title.
    pub(crate) sdk: String,
    /// Which server was called: `worker`, `captain` or `sdk`.
    pub(crate) server: String,
    /// The binding.
    pub(crate) binding: String,
    /// The version.
    pub(crate) version: String,
    /// The operation.
    pub(crate) op: String,
    /// Whether it succeeded; `None` where there is no such thing.
    pub(crate) ok: Option<bool>,
    /// The reason.
    pub(crate) detail: String,
}

/// All that was measured.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Every operation.
    pub(crate) cells: Vec<Cell>,
    /// How long it took.
    pub(crate) took: Duration,
}

/// Runs everything, or only what belongs to the languages in `only`.
pub(crate) async fn all(only: &[String]) -> Result<Report, Failure> {
    let start = Instant::now();
    let project = programs::project();
    let logs = project.join(".interop/logs");
    std::fs::create_dir_all(&logs)?;
    let tracker = TaskTracker::new();
    let mut run = Run {
        hooks: Hooks::start(&tracker).await?,
        report: Report::default(),
        project,
        logs,
        count: 0,
    };
    let wanted = |language: &str| only.is_empty() || only.iter().any(|name| name == language);
    for sdk in SDKS.iter().filter(|sdk| wanted(sdk.language)) {
        run.as_client(sdk).await?;
        run.as_server(sdk).await?;
    }
    if wanted("ours") {
        run.ours().await?;
    }
    run.report.took = start.elapsed();
    Ok(run.report)
}

struct Run {
    hooks: Hooks,
    report: Report,
    project: PathBuf,
    logs: PathBuf,
    count: usize,
}

/// One combination.
struct Case<'a> {
    sdk: &'a str,
    server: &'a str,
    url: &'a str,
    driver: &'a [String],
    log: &'a Path,
}

impl Run {
    async fn as_client(&mut self, sdk: &Sdk) -> Result<(), Failure> {
        let driver = sdk.client(&self.project);
        self.against_ours(sdk.title, sdk.language, &driver, sdk.client_speaks)
            .await
    }

    async fn ours(&mut self) -> Result<(), Failure> {
        let all: Vec<_> = VERSIONS
            .iter()
            .flat_map(|version| BINDINGS.iter().map(move |binding| (*binding, *version)))
            .collect();
        self.against_ours(OURS, "ours", &ours()?, &all).await
    }

    /// A driver against a worker and a captain of ours.
    async fn against_ours(
        &mut self,
        title: &str,
        language: &str,
        driver: &[String],
        speaks: &[(&str, &str)],
    ) -> Result<(), Failure> {
        let log = self.logs.join(format!("{language}-client.log"));
        // The webhooks are on loopback, which an operator has to allow.
        let worker = WorkerBuilder::scripted()
            .flag("--no-auth")
            .card("push_allow", json!([LOOPBACK]))
            .start()
            .await;
        let url = worker.api().url().to_owned();
        let case = Case {
            sdk: title,
            server: "worker",
            url: &url,
            driver,
            log: &log,
        };
        self.each(&case, speaks).await?;
        drop(worker);
        let captain = CaptainBuilder::scripted()
            .flag("--no-auth")
            .arg("--push-allow", LOOPBACK)
            .start()
            .await;
        let url = captain.api().url().to_owned();
        let case = Case {
            server: "captain",
            url: &url,
            ..case
        };
        self.each(&case, speaks).await
    }

    /// Our driver against the server of an SDK.
    async fn as_server(&mut self, sdk: &Sdk) -> Result<(), Failure> {
        if sdk.server_speaks.is_empty() {
            return Ok(());
        }
        let log = self.logs.join(format!("{}-server.log", sdk.language));
        let server = Server::start(&sdk.server(&self.project), &log).await?;
        let log = self.logs.join("our-client.log");
        let case = Case {
            sdk: sdk.title,
            server: "sdk",
            url: &server.url,
            driver: &ours()?,
            log: &log,
        };
        self.each(&case, sdk.server_speaks).await
    }

    async fn each(&mut self, case: &Case<'_>, speaks: &[(&str, &str)]) -> Result<(), Failure> {
        for (binding, version) in speaks {
            self.one(case, binding, version).await?;
        }
        Ok(())
    }

    async fn one(&mut self, case: &Case<'_>, binding: &str, version: &str) -> Result<(), Failure> {
        self.count += 1;
        let hook = format!("hook-{}", self.count);
        let start = Instant::now();
        let mut command = case.driver.to_vec();
        command.extend([
            case.url.to_owned(),
            binding.to_owned(),
            version.to_owned(),
            self.hooks.url(&hook),
        ]);
        let mut outcomes = program::drive(&command, case.log).await?;
        if let Some(push) = outcomes.iter().find(|it| it.op == "push").cloned() {
            let told = match push.ok {
                Some(true) => self.hooks.told(&hook, &push.detail, TOKEN).await,
                _ => Err("no push config could be made".to_owned()),
            };
            outcomes.push(Outcome {
                op: "webhook".to_owned(),
                ok: push.ok.map(|_| told.is_ok()),
                detail: told.unwrap_or_else(|why| why),
            });
        }
        let failed: Vec<_> = outcomes.iter().filter(|it| it.ok == Some(false)).collect();
        let mut err = std::io::stderr();
        writeln!(
            err,
            "{:<10} {:<8} {binding:<9} {version}  {} ok, {} failed, {:.1} s",
            short(case.sdk),
            case.server,
            outcomes.iter().filter(|it| it.ok == Some(true)).count(),
            failed.len(),
            start.elapsed().as_secs_f64(),
        )?;
        for outcome in failed {
            writeln!(err, "    {}: {}", outcome.op, outcome.detail)?;
        }
        self.report
            .cells
            .extend(outcomes.into_iter().map(|outcome| Cell {
                sdk: case.sdk.to_owned(),
                server: case.server.to_owned(),
                binding: binding.to_owned(),
                version: version.to_owned(),
                op: outcome.op,
                ok: outcome.ok,
                detail: outcome.detail,
            }));
        Ok(())
    }
}

/// The driver around our own client: this program.
fn ours() -> Result<Vec<String>, Failure> {
    let this = std::env::current_exe()?;
    Ok(vec![this.display().to_string(), "drive".to_owned()])
}

fn short(title: &str) -> &str {
    title.split_whitespace().next().unwrap_or(title)
}
