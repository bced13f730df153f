//! The captain's agent card: what it can do, what a message may hold, with examples. Only words; who serves it is `mod`.

use std::sync::Arc;

use a2a_proto::activity;
use a2a_proto::card::{ExtendedCard, GRPC, interfaces};
use a2a_proto::types::{
    AgentCapabilities, AgentCard, AgentExtension, AgentSkill, HTTPAuthSecurityScheme,
    SecurityRequirement, SecurityScheme, StringList,
};

use super::data::JOB_URI;

/// Media types that a message may hold.
pub(super) const INPUT_MODES: [&str; 4] = [
    "text/plain",
    "text/markdown",
    "application/json",
    "application/toml",
];
/// Media types of results.
const OUTPUT_MODES: [&str; 5] = [
    "text/plain",
    "application/json",
    "text/x-diff",
    "application/gzip",
    "application/octet-stream",
];

/// What the card says that only the command line knows.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// Where callers reach this server, without a slash at its end.
    pub(crate) url: String,
    /// Whether calls carry a token.
    pub(crate) authentication: bool,
    /// What only known callers see of the card.
    pub(crate) extended: Option<Arc<ExtendedCard>>,
}

/// The card.
pub(super) fn card(identity: &Identity) -> AgentCard {
    let mut extensions = activity::extensions();
    extensions.push(a2a_proto::sequence::extension());
    extensions.push(AgentExtension {
        uri: JOB_URI.to_owned(),
        description: "in the metadata of a message: the fields of `POST /jobs` (`plan`, `outline`, `repo`, `base`, `limits`, \
                      `approval`, `agent`), or `subtask` in a message to a running task; in the metadata of events: the \
                      job's own event, its number and its subtask"
            .to_owned(),
        ..AgentExtension::default()
    });
    let mut card = AgentCard {
        name: "captain".to_owned(),
        description: "Takes a job for coding agents, splits it into a plan of subtasks, runs each on a sandboxed worker, streams \
                      what they do, and returns what they made as files, a patch and an archive."
            .to_owned(),
        supported_interfaces: interfaces(&identity.url, GRPC),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        capabilities: AgentCapabilities {
            streaming: Some(true),
            push_notifications: Some(true),
            extensions,
            ..AgentCapabilities::default()
        },
        default_input_modes: INPUT_MODES.map(str::to_owned).to_vec(),
        default_output_modes: OUTPUT_MODES.map(str::to_owned).to_vec(),
        skills: vec![AgentSkill {
            id: "job".to_owned(),
            name: "Run a job".to_owned(),
            description: "A message is a job, its task is the job, and its task id is the job's id. The text is the goal: a \
                          paragraph is one subtask; a Markdown list is a plan with one subtask for each item, where an item \
                          inside another depends on it and `after: a, b` names further dependencies. A plan can also be given \
                          as a TOML or JSON part with `subtasks`, or as a data part with the fields of `POST /jobs`. Messages \
                          to a running task reach its agents: the answer to an open question, else a word for all of them."
                .to_owned(),
            tags: ["plan", "code", "orchestrate", "merge"].map(str::to_owned).to_vec(),
            examples: vec![
                "Add a --json flag to the list command, with tests".to_owned(),
                "Build a REST API for user management\n- Write the API\n- Write its tests\n- Write the README (after: write-the-api)"
                    .to_owned(),
                r#"{"goal": "Build it", "repo": "/srv/shop", "plan": {"subtasks": [{"id": "api", "prompt": "Write the API"}, {"id": "tests", "prompt": "Test it", "depends_on": ["api"]}]}}"#
                    .to_owned(),
            ],
            ..AgentSkill::default()
        }],
        ..AgentCard::default()
    };
    card.capabilities.extended_agent_card = identity.extended.is_some().then_some(true);
    if identity.authentication {
        let scheme = HTTPAuthSecurityScheme {
            scheme: "Bearer".to_owned(),
            description: "The token in the file `token` of the captain's state folder.".to_owned(),
            ..HTTPAuthSecurityScheme::default()
        };
        card.security_schemes
            .insert("bearer".to_owned(), SecurityScheme::HttpAuth(scheme));
        let schemes = [("bearer".to_owned(), StringList::default())].into();
        card.security_requirements
            .push(SecurityRequirement { schemes });
    }
    card
}
