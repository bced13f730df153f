//! How opencode is started so that it stays offline, quiet and inside its own folders. The default profile of the `acp` driver.
//!
//! Three of its habits decide the shape of this file. Left alone it offers hosted models and would send prompts there: the
//! provider is pinned and the model catalogue is an empty file. It runs a package installation in its configuration
//! folder at every start: that folder is seeded so that there is nothing to install, and read-only. And its tools inherit
//! its whole environment: there is nothing secret in it, since the key is added by the gateway outside.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;
use thiserror::Error;
use worker_sandbox::{AGENT_HOME, ReadOnlyBind, WORKSPACE};

use super::process::Launch;
use crate::card::{AgentIdCard, Provider};

/// The version that the project pins and whose traps are handled here.
const VERSION: &str = "1.18.33";

/// Where the platform package's program is below a project folder, see `make setup`.
const PROJECT_PATH: &str = ".opencode/node_modules/opencode-linux-x64/bin/opencode";

/// Where program and configuration appear inside the sandbox.
const PROGRAM: &str = "/opt/flotilla/opencode";
const SETTINGS: &str = "/opt/flotilla/agent";

/// How long opencode waits for the model's next byte. The worker's own silence watchdog is the real limit.
const MODEL_TIMEOUT_MS: u64 = 600_000;

/// JavaScriptCore sizes its heap by this and not by the machine: 150 MB less for one session.
const HEAP_BYTES: &str = "536870912";

/// Why opencode cannot be prepared.
#[derive(Debug, Error)]
pub(crate) enum OpencodeError {
    /// The program is nowhere to be found.
    #[error("the agent program opencode was not found (looked at {})", places.join(", "))]
    Missing { places: Vec<String> },
    /// The card does not say which model to use.
    #[error("the agent ID card names no model for opencode")]
    NoModel,
    /// A configuration file could not be written.
    #[error("cannot write opencode's configuration {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Looks for the program: as named by the user, else in `PATH`, else in the project folder that this executable belongs
/// to or that is the current one. Only looks; running it to ask for its version would take a second.
pub(crate) fn find(named: Option<&Path>, path: Option<&OsStr>) -> Result<PathBuf, OpencodeError> {
    if let Some(named) = named {
        return if is_program(named) {
            Ok(std::path::absolute(named).unwrap_or_else(|_| named.to_owned()))
        } else {
            Err(OpencodeError::Missing {
                places: vec![named.display().to_string()],
            })
        };
    }
    let in_path = path
        .into_iter()
        .flat_map(std::env::split_paths)
        .map(|folder| folder.join("opencode"));
    // The file in PATH may be npm's wrapper script, which needs node; only the program itself will do.
    if let Some(found) = in_path
        .filter_map(|file| file.canonicalize().ok())
        .find(|file| is_elf(file))
    {
        return Ok(found);
    }
    let mut starts: Vec<PathBuf> = std::env::current_exe()
        .into_iter()
        .chain(std::env::current_dir())
        .collect();
    starts.dedup();
    let mut folders = starts.iter().flat_map(|start| start.ancestors());
    folders
        .find_map(|folder| {
            folder
                .join(PROJECT_PATH)
                .canonicalize()
                .ok()
                .filter(|file| is_program(file))
        })
        .ok_or_else(|| OpencodeError::Missing {
            places: vec![
                "PATH".to_owned(),
                format!("{PROJECT_PATH} in this folder and above"),
            ],
        })
}

fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

fn is_elf(path: &Path) -> bool {
    use std::io::Read;
    let mut magic = [0; 4];
    is_program(path)
        && std::fs::File::open(path)
            .and_then(|mut file| file.read_exact(&mut magic))
            .is_ok()
        && magic == *b"\x7fELF"
}

/// Writes the configuration into `settings`, a folder of the worker that the agent can read and not write, and says
/// how to start. `port` is the gateway's port inside the sandbox, `password` protects opencode's own HTTP port there.
pub(crate) fn prepare(
    card: &AgentIdCard,
    program: &Path,
    settings: &Path,
    port: u16,
    password: &str,
) -> Result<Launch, OpencodeError> {
    let model = card.model().ok_or(OpencodeError::NoModel)?;
    let write = |name: &str, content: &str| {
        let path = settings.join(name);
        std::fs::write(&path, content).map_err(|source| OpencodeError::Write { path, source })
    };
    let modules = settings.join("config/opencode/node_modules");
    std::fs::create_dir_all(&modules).map_err(|source| OpencodeError::Write {
        path: modules,
        source,
    })?;
    let dependencies = json!({ "@opencode-ai/plugin": VERSION });
    write(
        "config/opencode/package.json",
        &json!({ "dependencies": dependencies }).to_string(),
    )?;
    let lock = json!({
        "name": "opencode", "lockfileVersion": 3, "requires": true,
        "packages": { "": { "dependencies": dependencies } },
    });
    write("config/opencode/package-lock.json", &lock.to_string())?;
    // Written at every start unless it is there, and a start that cannot write it fails.
    write(
        "config/opencode/.gitignore",
        "node_modules\npackage.json\npackage-lock.json\nbun.lock\n.gitignore\n",
    )?;
    write("models.json", "{}")?;
    write(
        "opencode.json",
        &configuration(card.api_provider, model, port).to_string(),
    )?;

    Ok(Launch {
        argv: [PROGRAM, "acp", "--cwd", WORKSPACE]
            .map(str::to_owned)
            .to_vec(),
        env: environment(password),
        read_only: vec![
            ReadOnlyBind {
                source: program.to_owned(),
                target: PROGRAM.into(),
                reason: "the agent's program".to_owned(),
            },
            ReadOnlyBind {
                source: settings.to_owned(),
                target: SETTINGS.into(),
                reason: "the agent's configuration".to_owned(),
            },
        ],
        persistent_home: true,
    })
}

fn configuration(provider: Provider, model: &str, port: u16) -> serde_json::Value {
    // Each of these packages is inside the program; any other would be fetched from the network.
    let package = match provider {
        Provider::Anthropic => "@ai-sdk/anthropic",
        Provider::Openai => "@ai-sdk/openai",
        Provider::Ollama | Provider::Custom => "@ai-sdk/openai-compatible",
    };
    let name = format!("worker/{model}");
    json!({
        "autoupdate": false, "share": "disabled", "lsp": false, "formatter": false,
        // The worker keeps its own snapshots, where the agent cannot reach them.
        "snapshot": false,
        "enabled_providers": ["worker"], "model": name, "small_model": name,
        "provider": { "worker": {
            "npm": package, "name": "worker",
            "options": {
                "baseURL": format!("http://127.0.0.1:{port}/v1"),
                "apiKey": "added-by-the-gateway",
                "headerTimeout": MODEL_TIMEOUT_MS, "chunkTimeout": MODEL_TIMEOUT_MS,
            },
            "models": { model: { "name": model, "tool_call": true, "limit": { "context": 128_000, "output": 8192 } } },
        } },
        // Nothing may say "ask": a subagent's question is dropped by opencode and its turn would hang. The sandbox is
        // what keeps the agent inside; these rules only save it useless attempts.
        "permission": {
            "*": "allow", "external_directory": "deny", "question": "deny",
            "webfetch": "deny", "websearch": "deny", "doom_loop": "deny",
        },
        "experimental": { "mcp_timeout": 3_600_000, "continue_loop_on_deny": false },
    })
}

fn environment(password: &str) -> BTreeMap<String, String> {
    let home = |folder: &str| format!("{AGENT_HOME}/{folder}");
    let settings = |file: &str| format!("{SETTINGS}/{file}");
    let mut environment: BTreeMap<String, String> = [
        ("TERM", "dumb".to_owned()),
        ("TMPDIR", "/tmp".to_owned()),
        ("XDG_CONFIG_HOME", settings("config")),
        ("XDG_DATA_HOME", home("data")),
        ("XDG_STATE_HOME", home("state")),
        ("XDG_CACHE_HOME", home("cache")),
        ("OPENCODE_CONFIG", settings("opencode.json")),
        ("OPENCODE_MODELS_PATH", settings("models.json")),
        // `acp` opens an HTTP port on its loopback too; without a password any tool could command it.
        ("OPENCODE_SERVER_PASSWORD", password.to_owned()),
        ("BUN_JSC_forceRAMSize", HEAP_BYTES.to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    let switches = [
        "OPENCODE_DISABLE_MODELS_FETCH",
        "OPENCODE_DISABLE_AUTOUPDATE",
        "OPENCODE_DISABLE_SHARE",
        "OPENCODE_DISABLE_LSP_DOWNLOAD",
        "OPENCODE_DISABLE_DEFAULT_PLUGINS",
        "OPENCODE_DISABLE_EXTERNAL_SKILLS",
        "OPENCODE_DISABLE_CLAUDE_CODE",
        "OPENCODE_DISABLE_PROJECT_CONFIG",
        "OPENCODE_PURE",
    ];
    environment.extend(switches.map(|name| (name.to_owned(), "1".to_owned())));
    environment
}
