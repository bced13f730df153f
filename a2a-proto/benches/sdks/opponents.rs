//! The SDK servers as processes: started, asked for their card, killed when dropped. Where their programs are is what
//! `tests/interop/setup.sh` decides.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::Result;
use crate::load::{self, Target};
use crate::servers;

/// Name and command of each, with paths from the root of the project.
pub(crate) const ALL: [(&str, &[&str]); 4] = [
    (
        "python",
        &[
            ".interop/python-v1/bin/python",
            "tests/interop/python/server_v1.py",
        ],
    ),
    ("js", &["node", "tests/interop/js/server.js"]),
    ("go", &[".interop/go/server"]),
    ("rust", &[".interop/rust/release/server"]),
];

/// One that runs.
pub(crate) struct Opponent {
    child: Child,
    pub(crate) target: Target,
}

impl Opponent {
    pub(crate) fn start(command: &[&str]) -> Result<Self> {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let (program, args) = command.split_first().ok_or("an empty command")?;
        let place = project.join(program);
        let program = if place.exists() {
            place
        } else {
            program.into()
        };
        let child = Command::new(&program)
            .args(args)
            .current_dir(&project)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| {
                format!("{}: {error}; run tests/interop/setup.sh", program.display())
            })?;
        let mut opponent = Self {
            child,
            target: Target {
                address: ([127, 0, 0, 1], 0).into(),
                path: String::new(),
            },
        };
        let mut line = String::new();
        let output = opponent.child.stdout.take().ok_or("no output")?;
        BufReader::new(output).read_line(&mut line)?;
        let place: serde_json::Value = serde_json::from_str(&line)?;
        let url = place
            .get("url")
            .and_then(|url| url.as_str())
            .ok_or("no url")?;
        let card = load::get(&target(url)?, "/.well-known/agent-card.json")?;
        let card: serde_json::Value = serde_json::from_slice(&card)?;
        let interfaces = card
            .get("supportedInterfaces")
            .and_then(|all| all.as_array());
        let rpc = interfaces.into_iter().flatten().find(|interface| {
            let says = |key: &str, value: &str| interface.get(key).is_some_and(|it| it == value);
            says("protocolBinding", "JSONRPC") && says("protocolVersion", "1.0")
        });
        let rpc = rpc
            .and_then(|it| it.get("url"))
            .and_then(|url| url.as_str());
        opponent.target = target(rpc.ok_or("the card has no JSON-RPC 1.0")?)?;
        Ok(opponent)
    }

    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        servers::cpu_seconds(self.child.id())
    }

    pub(crate) fn rss_kib(&self) -> Result<u32> {
        servers::rss_kib(self.child.id())
    }
}

impl Drop for Opponent {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn target(url: &str) -> Result<Target> {
    let rest = url.strip_prefix("http://").ok_or("not http")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    Ok(Target {
        address: host.parse()?,
        path: format!("/{path}"),
    })
}
