//! Which layers hold on this machine, which do not, and what to do: the rows of `worker doctor`. The truth comes from a trial: a
//! real sandbox is started and its report is read. It must not guess from versions what can be tried.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::bwrap::{Bwrap, INSTALL_REMEDY};
use crate::cgroup::Places;
use crate::error::SandboxError;
use crate::launch::{Sandbox, StdioSpec};
use crate::policy::{InitProgram, Layer, SandboxPolicy};
use crate::report::SandboxReport;

/// What to do when the kernel refuses user namespaces.
pub const USER_NAMESPACE_REMEDY: &str = "allow user namespaces: on Ubuntu 24.04 and newer `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0` (or install the apparmor profile for bwrap: package apparmor-profiles), on older Debian `sudo sysctl kernel.unprivileged_userns_clone=1`, elsewhere check `sysctl user.max_user_namespaces`; in a container it must permit nested namespaces";

/// What to do when control groups are not delegated.
pub const DELEGATION_REMEDY: &str = "run the worker as a systemd service or scope with Delegate=yes (`systemd-run --user --scope -p Delegate=yes worker …`), or as root";

/// Whether one row is fine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// In force, or there.
    Ok,
    /// Works with less than it could; agents still run.
    Degraded,
    /// Not there: agents do not start.
    Missing,
}

/// One line of the doctor's table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// What was looked at.
    pub layer: String,
    /// How it is.
    pub status: Status,
    /// What was found.
    pub detail: String,
    /// What to do; empty when nothing is to be done.
    pub remedy: String,
}

impl Row {
    /// A row; `remedy` is empty when nothing is to be done.
    pub fn new(
        layer: impl Into<String>,
        status: Status,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            layer: layer.into(),
            status,
            detail: detail.into(),
            remedy: remedy.into(),
        }
    }
}

/// What to look at.
#[derive(Debug, Clone, Default)]
pub struct Examination {
    /// bubblewrap; `None` = from `PATH`.
    pub bwrap: Option<PathBuf>,
    /// An empty folder that may be used as the trial's workspace.
    pub workspace: PathBuf,
    /// The program for PID 1.
    pub init: InitProgram,
}

/// Looks at this machine. Starts one sandbox with the program `true`.
pub async fn examine(examination: &Examination) -> Vec<Row> {
    let mut rows = vec![bubblewrap(examination.bwrap.as_deref())];
    // Without bubblewrap there is nothing to try.
    if usable(&rows) {
        rows.extend(trial(examination).await);
    }
    rows.push(kernel_landlock());
    rows.push(control_groups());
    rows.push(git());
    rows
}

/// The exit code's question: can agents run here?
pub fn usable(rows: &[Row]) -> bool {
    rows.iter().all(|row| row.status != Status::Missing)
}

fn bubblewrap(explicit: Option<&Path>) -> Row {
    match Bwrap::locate(explicit) {
        Ok(bwrap) => {
            let version = bwrap.version().unwrap_or_else(|error| error.to_string());
            let detail = format!("{version} at {}", bwrap.path().display());
            let lacking: Vec<&str> = ["--disable-userns", "--size"]
                .into_iter()
                .filter(|option| !bwrap.has(option))
                .collect();
            if lacking.is_empty() {
                Row::new("bubblewrap", Status::Ok, detail, "")
            } else {
                let detail = format!("{detail}, without {}", lacking.join(" and "));
                Row::new(
                    "bubblewrap",
                    Status::Degraded,
                    detail,
                    "version 0.8 or newer has them; until then the system call filter and the memory limit stand in",
                )
            }
        }
        Err(error) => Row::new("bubblewrap", Status::Missing, chain(&error), INSTALL_REMEDY),
    }
}

/// One row per layer, from the report of a real sandbox.
async fn trial(examination: &Examination) -> Vec<Row> {
    let mut policy = SandboxPolicy::new("doctor", &examination.workspace, vec!["true".to_owned()]);
    policy.init = examination.init.clone();
    // Everything is judged here, so that one missing layer does not hide the others.
    policy.required.clear();
    let started = async {
        let mut running = Sandbox::locate(examination.bwrap.clone())?
            .start(policy.clone(), StdioSpec::null())
            .await?;
        running.wait().await;
        Ok::<_, SandboxError>(running.report.clone())
    };
    match started.await {
        Ok(report) => layers(&policy, &report),
        Err(error) => {
            let remedy = error.remedy().unwrap_or("see the detail");
            vec![Row::new(
                "trial sandbox",
                Status::Missing,
                chain(&error),
                remedy,
            )]
        }
    }
}

fn layers(policy: &SandboxPolicy, report: &SandboxReport) -> Vec<Row> {
    let required = Layer::default_required();
    let mut strict = policy.clone();
    strict.required = required
        .iter()
        .copied()
        .chain([Layer::MemoryLimit, Layer::ProcessLimit, Layer::CpuWeight])
        .collect();
    let mismatches = report.layer_mismatches(&strict);
    strict
        .required
        .iter()
        .map(
            |layer| match mismatches.iter().find(|mismatch| mismatch.layer == *layer) {
                None => Row::new(layer.name(), Status::Ok, report.describe(*layer), ""),
                Some(mismatch) => {
                    let status = if required.contains(layer) {
                        Status::Missing
                    } else {
                        Status::Degraded
                    };
                    Row::new(
                        layer.name(),
                        status,
                        mismatch.found.clone(),
                        mismatch.remedy.clone(),
                    )
                }
            },
        )
        .collect()
}

fn kernel_landlock() -> Row {
    const REMEDY: &str = "use Linux 5.13 or newer with landlock among the LSMs (boot option lsm=landlock,…); Linux 6.12 or newer has all of it";
    match crate::sys::landlock_abi() {
        Ok(abi) if abi >= 6 => Row::new(
            "landlock in the kernel",
            Status::Ok,
            format!("ABI {abi}"),
            "",
        ),
        Ok(abi) => {
            let lacking = [
                (2, "renames between folders"),
                (3, "truncation"),
                (4, "TCP ports"),
                (5, "device ioctls"),
                (6, "signals and abstract sockets"),
            ];
            let lacking: Vec<&str> = lacking
                .into_iter()
                .filter(|(since, _)| abi < *since)
                .map(|(_, what)| what)
                .collect();
            Row::new(
                "landlock in the kernel",
                Status::Degraded,
                format!("ABI {abi}, without {}", lacking.join(", ")),
                REMEDY,
            )
        }
        Err(error) => Row::new(
            "landlock in the kernel",
            Status::Missing,
            error.to_string(),
            REMEDY,
        ),
    }
}

fn control_groups() -> Row {
    match Places::find() {
        Ok(places) => Row::new(
            "control groups",
            Status::Ok,
            format!("mounted as {}", places.mode().name()),
            "",
        ),
        Err(error) => Row::new(
            "control groups",
            Status::Degraded,
            error.to_string(),
            "mount /proc",
        ),
    }
}

fn git() -> Row {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders)
        .map(|folder| folder.join("git"))
        .find(|path| path.is_file());
    match found {
        Some(path) => Row::new("git", Status::Ok, path.display().to_string(), ""),
        None => Row::new(
            "git",
            Status::Missing,
            "not in PATH",
            "install it, for example: sudo apt-get install git",
        ),
    }
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    text
}
