//! From a card's text to the typed card, reporting every problem and not just the first.
//!
//! serde stops at the first error. Here each field is taken out of the parsed object by itself, so that one reading tells
//! the user all there is to correct. Looks at the text only, never at the file system.

use std::collections::BTreeMap;
use std::path::PathBuf;

use a2a_proto::push::Allowed;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{AgentCommand, AgentIdCard, Problem, Provider, ResourceLimits, Watchdog};

/// Longest agent id: it becomes a file name, a host label and part of a token's audience.
const MAX_AGENT_ID: usize = 63;

/// The most environment variables and the longest value; both reach the agent through `execve`.
const MAX_ENVIRONMENT: usize = 256;
const MAX_ENVIRONMENT_VALUE: usize = 32 * 1024;

/// Variables that change which code a program loads or runs, or that would undo what the worker sets for the agent.
const DANGEROUS_ENVIRONMENT: [&str; 24] = [
    "BASH_ENV",
    "ENV",
    "GCONV_PATH",
    "GIT_CONFIG_GLOBAL",
    "GIT_EXEC_PATH",
    "GIT_SSH_COMMAND",
    "GLIBC_TUNABLES",
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "IFS",
    "LOCPATH",
    "NODE_OPTIONS",
    "NO_PROXY",
    "PATH",
    "PERL5OPT",
    "PROMPT_COMMAND",
    "PYTHONSTARTUP",
    "RUBYOPT",
    "SHELL",
    "TMPDIR",
    "USER",
    "http_proxy",
    "https_proxy",
];

/// Prefixes with the same effect: the dynamic linker's, the agent's own settings, and exported shell functions.
const DANGEROUS_PREFIXES: [&str; 5] = ["LD_", "DYLD_", "OPENCODE_", "XDG_", "BASH_FUNC_"];

/// Parses a card. `toml` chooses the syntax.
pub(super) fn parse(text: &str, toml: bool) -> Result<AgentIdCard, Vec<Problem>> {
    let value: Value = if toml {
        toml::from_str(text).map_err(|error| {
            vec![Problem::new(
                "",
                format!("is not valid TOML: {}", error.message()),
                "correct the syntax",
            )]
        })?
    } else {
        serde_json::from_str(text).map_err(|error| {
            vec![Problem::new(
                "",
                format!("is not valid JSON: {error}"),
                "correct the syntax",
            )]
        })?
    };
    let Value::Object(object) = value else {
        return Err(vec![Problem::new(
            "",
            "is not an object",
            "write the card as { \"agent_id\": …, \"workspace\": … }",
        )]);
    };
    let mut problems = Vec::new();
    let card = read_card(object, &mut problems);
    match card {
        Some(card) if problems.is_empty() => Ok(card),
        _ => Err(problems),
    }
}

fn read_card(object: Map<String, Value>, problems: &mut Vec<Problem>) -> Option<AgentIdCard> {
    let mut fields = Fields {
        prefix: String::new(),
        object,
        problems,
    };
    let schema = fields.optional("$schema", "write a string or leave it out");
    let agent_id: Option<String> = fields.required("agent_id", "add it, such as \"alpha-001\"");
    let workspace: Option<PathBuf> =
        fields.required("workspace", "add the absolute path of the agent's folder");
    let api_provider = fields
        .optional::<Provider>(
            "api_provider",
            "use one of anthropic, openai, ollama, custom",
        )
        .unwrap_or_default();
    let api_key_file = fields.optional(
        "api_key_file",
        "write the path of the file that holds the key",
    );
    let proxy = fields.optional("proxy", "write an http:// address");
    let resource_limits = read_limits(&mut fields);
    let allowed_hosts = fields
        .optional("allowed_hosts", "write a list of host names")
        .unwrap_or_default();
    let ttl_seconds = fields.whole_number("ttl_seconds", 0, 0, u64::from(u32::MAX));
    let environment = fields
        .optional("environment", "write an object of names and string values")
        .unwrap_or_default();
    let a2a_port = fields
        .present("a2a_port")
        .then(|| fields.whole_number("a2a_port", 8080, 1, u64::from(u16::MAX)))
        .and_then(|port| u16::try_from(port).ok());
    let model = fields.optional("model", "write the model's name");
    let base_url = fields.optional("base_url", "write an http:// or https:// address");
    let agent = read_agent(&mut fields);
    let watchdog = read_watchdog(&mut fields);
    let push_allow = fields
        .optional("push_allow", "write a list of receivers")
        .unwrap_or_default();
    fields.no_others();

    let card = AgentIdCard {
        schema,
        agent_id: agent_id.unwrap_or_default(),
        workspace: workspace.unwrap_or_default(),
        api_provider,
        api_key_file,
        proxy,
        resource_limits,
        allowed_hosts,
        ttl_seconds,
        environment,
        a2a_port,
        model,
        base_url,
        agent,
        watchdog,
        push_allow,
    };
    check_values(&card, problems);
    problems.is_empty().then_some(card)
}

fn read_limits(fields: &mut Fields<'_>) -> ResourceLimits {
    let default = ResourceLimits::default();
    let Some(mut inner) = fields.object("resource_limits") else {
        return default;
    };
    let limits = ResourceLimits {
        memory_mb: inner.whole_number("memory_mb", default.memory_mb, 64, 16 * 1024 * 1024),
        cpu_shares: inner.whole_number("cpu_shares", default.cpu_shares, 2, 262_144),
        max_processes: inner.whole_number("max_processes", default.max_processes, 16, 4_194_304),
        max_open_files: inner.whole_number("max_open_files", default.max_open_files, 64, 1_048_576),
    };
    inner.no_others();
    limits
}

fn read_watchdog(fields: &mut Fields<'_>) -> Watchdog {
    let default = Watchdog::default();
    let Some(mut inner) = fields.object("watchdog") else {
        return default;
    };
    let day = 24 * 60 * 60;
    let watchdog = Watchdog {
        max_steps: inner.whole_number("max_steps", default.max_steps, 1, 1_000_000),
        silence_seconds: inner.whole_number("silence_seconds", default.silence_seconds, 1, day),
        turn_seconds: inner.whole_number("turn_seconds", default.turn_seconds, 1, 7 * day),
    };
    inner.no_others();
    watchdog
}

fn read_agent(fields: &mut Fields<'_>) -> AgentCommand {
    let Some(mut inner) = fields.object("agent") else {
        return AgentCommand::default();
    };
    let agent = AgentCommand {
        command: inner
            .optional(
                "command",
                "write a list: the program's absolute path, then its arguments",
            )
            .unwrap_or_default(),
        read_only: inner
            .optional("read_only", "write a list of absolute paths")
            .unwrap_or_default(),
    };
    inner.no_others();
    agent
}

/// What a type cannot say: patterns, absolute paths, dangerous names.
fn check_values(card: &AgentIdCard, problems: &mut Vec<Problem>) {
    let mut report = |field: &str, what: String, remedy: &str| {
        // A missing or mistyped field was reported already; its placeholder is not a second problem.
        if !problems.iter().any(|known| known.field == field) {
            problems.push(Problem::new(field, what, remedy));
        }
    };
    let id_char = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if card.agent_id.is_empty()
        || card.agent_id.len() > MAX_AGENT_ID
        || !card.agent_id.chars().all(id_char)
    {
        report(
            "agent_id",
            format!(
                "{:?} does not match ^[a-z0-9-]+$ (1 to {MAX_AGENT_ID} characters)",
                shorten(&card.agent_id)
            ),
            "use small letters, digits and '-' only, such as \"alpha-001\"",
        );
    }
    if !card.workspace.is_absolute() {
        report(
            "workspace",
            format!("{} is not an absolute path", card.workspace.display()),
            "write the path from / on",
        );
    } else if card
        .workspace
        .components()
        .any(|part| part == std::path::Component::ParentDir)
    {
        report(
            "workspace",
            format!("{} contains \"..\"", card.workspace.display()),
            "write the path without \"..\"",
        );
    }
    for (field, address) in [("proxy", &card.proxy), ("base_url", &card.base_url)] {
        let Some(address) = address else { continue };
        let schemes: &[&str] = if field == "proxy" {
            &["http"]
        } else {
            &["http", "https"]
        };
        let usable = url::Url::parse(address).is_ok_and(|url| {
            schemes.contains(&url.scheme())
                && url.host_str().is_some()
                && url.username().is_empty()
                && url.password().is_none()
        });
        if !usable {
            report(
                field,
                format!(
                    "{:?} is not an address that can be used here",
                    shorten(address)
                ),
                &format!(
                    "write {}://HOST[:PORT], without user name and password",
                    schemes.join(":// or ")
                ),
            );
        }
    }
    if card.api_provider == Provider::Custom && card.base_url.is_none() {
        report(
            "base_url",
            "is missing".to_owned(),
            "api_provider \"custom\" needs it: add the address of the provider's API",
        );
    }
    for (index, pattern) in card.allowed_hosts.iter().enumerate() {
        if let Err(error) = crate::gateway::HostPattern::parse(pattern) {
            report(
                &format!("allowed_hosts[{index}]"),
                format!("{:?}: {error}", shorten(pattern)),
                "write a host name such as \"example.com\", \"example.com:443\" or \"*.example.org\"",
            );
        }
    }
    for (index, entry) in card.push_allow.iter().enumerate() {
        if entry.parse::<Allowed>().is_err() {
            report(
                &format!("push_allow[{index}]"),
                format!("{:?} is no receiver", shorten(entry)),
                "write a host name, \"*.example.org\", an address, a network such as \"10.1.0.0/16\", or \"loopback\"",
            );
        }
    }
    check_environment(&card.environment, &mut report);
    if let Some(program) = card.agent.command.first()
        && !program.starts_with('/')
    {
        report(
            "agent.command",
            format!("{program:?} is not an absolute path"),
            "write the program's path from / on",
        );
    }
    for (index, folder) in card.agent.read_only.iter().enumerate() {
        if !folder.is_absolute() {
            report(
                &format!("agent.read_only[{index}]"),
                format!("{} is not an absolute path", folder.display()),
                "write the path from / on",
            );
        }
    }
}

fn check_environment(
    environment: &BTreeMap<String, String>,
    report: &mut impl FnMut(&str, String, &str),
) {
    if environment.len() > MAX_ENVIRONMENT {
        report(
            "environment",
            format!("has more than {MAX_ENVIRONMENT} entries"),
            "pass large settings in a file of the workspace",
        );
    }
    for (name, value) in environment {
        let field = format!("environment.{}", shorten(name));
        let well_formed = name
            .chars()
            .next()
            .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !well_formed {
            report(
                &field,
                "is not a variable name".to_owned(),
                "use letters, digits and '_', not beginning with a digit",
            );
        } else if DANGEROUS_ENVIRONMENT.contains(&name.as_str())
            || DANGEROUS_PREFIXES
                .iter()
                .any(|prefix| name.starts_with(prefix))
        {
            report(
                &field,
                "changes how programs are loaded or where the agent may go".to_owned(),
                "remove it: the worker sets such variables itself",
            );
        } else if value.len() > MAX_ENVIRONMENT_VALUE || value.contains('\0') {
            report(
                &field,
                "is longer than 32 KiB or contains a zero byte".to_owned(),
                "pass it in a file of the workspace",
            );
        }
    }
}

/// At most 60 characters of a value that a message quotes.
fn shorten(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}

/// The fields of one object, taken out one by one; what remains is unknown.
struct Fields<'a> {
    prefix: String,
    object: Map<String, Value>,
    problems: &'a mut Vec<Problem>,
}

impl Fields<'_> {
    fn report(&mut self, name: &str, what: impl Into<String>, remedy: &str) {
        self.problems
            .push(Problem::new(format!("{}{name}", self.prefix), what, remedy));
    }

    fn present(&self, name: &str) -> bool {
        self.object.contains_key(name)
    }

    fn required<T: DeserializeOwned>(&mut self, name: &str, remedy: &str) -> Option<T> {
        if !self.present(name) {
            self.report(name, "is missing", remedy);
            return None;
        }
        self.optional(name, remedy)
    }

    fn optional<T: DeserializeOwned>(&mut self, name: &str, remedy: &str) -> Option<T> {
        let value = self.object.remove(name)?;
        match serde_json::from_value(value) {
            Ok(value) => Some(value),
            Err(error) => {
                self.report(name, error.to_string(), remedy);
                None
            }
        }
    }

    fn whole_number(&mut self, name: &str, default: u64, least: u64, most: u64) -> u64 {
        let Some(value) = self.object.remove(name) else {
            return default;
        };
        match value.as_u64() {
            Some(number) if (least..=most).contains(&number) => number,
            _ => {
                self.report(
                    name,
                    format!("{value} is out of range"),
                    &format!("write a whole number from {least} to {most}"),
                );
                default
            }
        }
    }

    fn object(&mut self, name: &str) -> Option<Fields<'_>> {
        match self.object.remove(name)? {
            Value::Object(object) => Some(Fields {
                prefix: format!("{}{name}.", self.prefix),
                object,
                problems: self.problems,
            }),
            other => {
                self.report(
                    name,
                    format!("{} is not an object", shorten(&other.to_string())),
                    "write { … }",
                );
                None
            }
        }
    }

    fn no_others(mut self) {
        let unknown: Vec<String> = self.object.keys().cloned().collect();
        for name in unknown {
            self.report(
                &shorten(&name),
                "is not a field of an agent ID card",
                "remove it, or see `worker schema`",
            );
        }
    }
}
