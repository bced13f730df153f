//! The things that are looked at, each by itself, so that one that is broken hides no other.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use daemon::state::Endpoint;
use serde::Deserialize;

use super::super::args::RemoteArgs;
use super::super::connect;
use super::{Row, Status};
use crate::api::health::free_bytes;
use crate::app::{DATABASE_FILE, TASKS_FILE};
use crate::backend::local::find_worker;
use crate::config::Config;
use crate::store::files;

/// Less free space than this is worth a word.
const MUCH: u64 = 1 << 30;
/// Less than this is not enough for a job's result.
const ENOUGH: u64 = 64 << 20;
/// How long `worker doctor` may take: it starts a sandbox.
const WORKER_DOCTOR: Duration = Duration::from_secs(60);

/// Everything, in the order in which a captain needs it.
pub(super) async fn all(config: &Config) -> Vec<Row> {
    let mut rows = Vec::new();
    match config.captain_dir() {
        Err(error) => rows.push(Row::new(
            "state folder",
            Status::Bad,
            daemon::cli::chain(&error),
            "name one with --state-dir",
        )),
        Ok(dir) => {
            rows.push(folder(&dir));
            let running = captain(&dir).await;
            let runs = running.status == Status::Ok;
            rows.push(running);
            match &config.store.url {
                Some(url) => rows.push(server(url, config).await),
                None => rows.push(file("database", &dir.join(DATABASE_FILE)).await),
            }
            rows.push(file("task log", &dir.join(TASKS_FILE)).await);
            rows.push(disk(&dir));
            if !runs {
                rows.push(address(config).await);
            }
        }
    }
    rows.push(model(config));
    rows.extend(worker(config).await);
    rows
}

fn folder(dir: &Path) -> Row {
    let name = "state folder";
    let shown = dir.display().to_string();
    match std::fs::metadata(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Row::new(
            name,
            Status::Note,
            shown,
            "is not there yet, the first start makes it",
        ),
        Err(error) => Row::new(name, Status::Bad, format!("{shown}: {error}"), ""),
        Ok(found) if !found.is_dir() => Row::new(name, Status::Bad, shown, "is no folder"),
        Ok(found) if found.permissions().mode() & 0o077 != 0 => {
            Row::new(name, Status::Bad, shown, "others can read it: chmod 700")
        }
        Ok(found) if found.uid() != rustix::process::geteuid().as_raw() => {
            Row::new(name, Status::Bad, shown, "belongs to another user")
        }
        Ok(_) => Row::ok(name, shown),
    }
}

async fn captain(dir: &Path) -> Row {
    let name = "captain";
    let url = match Endpoint::find(dir) {
        Ok(Some(endpoint)) => endpoint.url,
        Ok(None) => return Row::new(name, Status::Note, "none runs here", ""),
        Err(error) => return Row::new(name, Status::Bad, daemon::cli::chain(&error), ""),
    };
    let Ok(Some(client)) = connect::find(&RemoteArgs::default(), dir) else {
        return Row::new(
            name,
            Status::Bad,
            url,
            "it announced itself and cannot be called",
        );
    };
    match client.get::<serde_json::Value>(&["readyz"]).await {
        Ok(_) => Row::ok(name, format!("{url} is ready")),
        Err(error) => Row::new(
            name,
            Status::Bad,
            format!("{url} is not ready: {}", daemon::cli::chain(&error)),
            "GET /readyz says what is missing",
        ),
    }
}

async fn file(name: &str, path: &Path) -> Row {
    if !path.exists() {
        return Row::new(
            name,
            Status::Note,
            path.display().to_string(),
            "is not there yet, the first start makes it",
        );
    }
    let of = path.to_owned();
    let found = tokio::task::spawn_blocking(move || files::examine(&of)).await;
    let advice = "`captain doctor --repair FILE` saves what can be read, into a new file";
    match found {
        Ok(Ok(health)) => match health.problems.first() {
            None => Row::ok(
                name,
                format!("format {}, {}, sound", health.version, size(health.bytes)),
            ),
            Some(problem) => Row::new(
                name,
                Status::Bad,
                format!("{} is damaged: {problem}", path.display()),
                advice,
            ),
        },
        Ok(Err(error)) => Row::new(name, Status::Bad, daemon::cli::chain(&error), advice),
        Err(error) => Row::new(name, Status::Bad, error.to_string(), ""),
    }
}

#[cfg(feature = "postgres")]
async fn server(url: &str, config: &Config) -> Row {
    let found = crate::store::postgres::examine(
        url,
        config.store.password.as_ref(),
        config.store.ca_file.as_deref(),
    )
    .await;
    match found {
        Ok(found) => Row::ok("database", format!("{url}: {found}")),
        Err(error) => Row::new("database", Status::Bad, daemon::cli::chain(&error), ""),
    }
}

#[cfg(not(feature = "postgres"))]
async fn server(url: &str, _: &Config) -> Row {
    Row::new(
        "database",
        Status::Bad,
        url,
        "this captain was built without PostgreSQL",
    )
}

fn disk(dir: &Path) -> Row {
    let name = "disk space";
    // Where it will be, while it is not there.
    let there = dir.ancestors().find(|folder| folder.exists());
    match there.and_then(free_bytes) {
        None => Row::new(name, Status::Note, "the system does not say", ""),
        Some(free) if free < ENOUGH => Row::new(
            name,
            Status::Bad,
            format!("{} free", size(free)),
            "free some",
        ),
        Some(free) if free < MUCH => Row::new(
            name,
            Status::Note,
            format!("{} free", size(free)),
            "will not last long",
        ),
        Some(free) => Row::ok(name, format!("{} free", size(free))),
    }
}

async fn address(config: &Config) -> Row {
    match daemon::listen::bind(config.listen, config.authentication()).await {
        Ok(_) => Row::ok("address", format!("{} is free", config.listen)),
        Err(error) => Row::new("address", Status::Bad, daemon::cli::chain(&error), ""),
    }
}

fn model(config: &Config) -> Row {
    let name = "model";
    let agent = &config.agent;
    if agent.driver.as_deref() == Some("scripted") {
        return Row::new(name, Status::Note, "none: the driver is scripted", "");
    }
    let key = match (&config.provider_key, &agent.api_key_file) {
        (Some(_), _) => "key from the environment",
        (None, Some(_)) => "key from a file",
        (None, None) => "no key",
    };
    let provider = agent.api_provider.as_deref();
    let model = agent.model.as_deref().unwrap_or("its usual model");
    match provider {
        None => Row::new(
            name,
            Status::Bad,
            "no provider is named and no key is given",
            "set ANTHROPIC_API_KEY or OPENAI_API_KEY, or name one with --api-provider",
        ),
        Some(provider @ ("anthropic" | "openai")) if key == "no key" => Row::new(
            name,
            Status::Bad,
            format!("{provider}, {model}, no key"),
            "name the key's file with --api-key-file",
        ),
        Some(provider) => Row::ok(name, format!("{provider}, {model}, {key}")),
    }
}

/// What `worker doctor --json` says.
#[derive(Debug, Deserialize)]
struct WorkerReport {
    rows: Vec<WorkerRow>,
}

#[derive(Debug, Deserialize)]
struct WorkerRow {
    layer: String,
    status: String,
    detail: String,
    remedy: String,
}

/// The worker program and what it says about the sandbox.
async fn worker(config: &Config) -> Vec<Row> {
    let program = match find_worker(config.worker_bin.as_deref()) {
        Ok(program) => program,
        Err(problem) => return vec![Row::new("worker", Status::Bad, problem, "")],
    };
    let shown = program.display().to_string();
    let mut command = tokio::process::Command::new(&program);
    command.args(["doctor", "--json"]).kill_on_drop(true);
    if let Some(agent) = &config.agent.agent_bin {
        command.arg("--agent-bin").arg(agent);
    }
    let output = match tokio::time::timeout(WORKER_DOCTOR, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => {
            return vec![Row::new(
                "worker",
                Status::Bad,
                format!("{shown}: {error}"),
                "",
            )];
        }
        Err(_) => {
            return vec![Row::new(
                "worker",
                Status::Bad,
                format!("{shown} doctor does not end"),
                "",
            )];
        }
    };
    let Ok(report) = serde_json::from_slice::<WorkerReport>(&output.stdout) else {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return vec![Row::new(
            "worker",
            Status::Bad,
            format!("{shown}: {said}"),
            "",
        )];
    };
    let mut rows = vec![Row::ok("worker", shown)];
    // The layers that hold are one line; what does not hold has its own.
    let (fine, other): (Vec<_>, Vec<_>) =
        report.rows.into_iter().partition(|row| row.status == "ok");
    if !fine.is_empty() {
        let names: Vec<_> = fine.into_iter().map(|row| row.layer).collect();
        rows.push(Row::ok("sandbox", names.join(", ")));
    }
    for row in other {
        let status = match row.status.as_str() {
            "missing" => Status::Bad,
            _ => Status::Note,
        };
        rows.push(Row::new(&row.layer, status, row.detail, &row.remedy));
    }
    rows
}

fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)];
    for (unit, of) in UNITS {
        if bytes >= of {
            return format!("{}.{} {unit}", bytes / of, bytes % of * 10 / of);
        }
    }
    format!("{bytes} bytes")
}
