//! The four profiles in which a kit wants to see a server: what can be declared is declared in one of them, and what can
//! be refused is refused in another. Only the card differs; the behaviours are the same.

use std::fmt;
use std::str::FromStr;

use crate::types::{AgentCapabilities, AgentCard, AgentExtension, AgentSkill};

/// The extension that the profile of that name requires.
pub const REQUIRED_EXTENSION: &str = "urn:a2a:tck:required-extension";

/// What the agent can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// It streams and pushes.
    #[default]
    StreamingPush,
    /// It does neither.
    Minimal,
    /// As the first, for clients that know [`REQUIRED_EXTENSION`].
    RequiredExtension,
    /// As the first, with a second card.
    ExtendedCard,
}

/// A name that is no profile's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no profile {name:?}: choose streaming-push, minimal, required-extension or extended-card"
)]
pub struct UnknownProfile {
    name: String,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::StreamingPush,
        Self::Minimal,
        Self::RequiredExtension,
        Self::ExtendedCard,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::StreamingPush => "streaming-push",
            Self::Minimal => "minimal",
            Self::RequiredExtension => "required-extension",
            Self::ExtendedCard => "extended-card",
        }
    }

    /// Fills in what the profile says about a card.
    pub(super) fn complete(self, card: AgentCard) -> AgentCard {
        let optional = self != Self::Minimal;
        let extensions = match self {
            Self::RequiredExtension => vec![AgentExtension {
                uri: REQUIRED_EXTENSION.to_owned(),
                description: "Clients that do not name it are refused".to_owned(),
                required: true,
                params: None,
            }],
            Self::StreamingPush | Self::Minimal | Self::ExtendedCard => Vec::new(),
        };
        AgentCard {
            description: "Does what conformance kits ask for: the beginning of a message's id, or of its first text, \
                          says what happens to the task."
                .to_owned(),
            capabilities: AgentCapabilities {
                streaming: Some(optional),
                push_notifications: Some(optional),
                extensions,
                extended_agent_card: Some(self == Self::ExtendedCard),
            },
            // Kits send every kind of part, and want each to be accepted.
            default_input_modes: vec!["*/*".to_owned()],
            default_output_modes: ["text/plain", "application/json"].map(str::to_owned).to_vec(),
            skills: vec![skill("conformance", "Conformance", "Plays the scenario that a message names.")],
            ..card
        }
    }

    /// The card for known callers, which tells more than `card`.
    pub(super) fn extended(self, card: &AgentCard) -> Option<AgentCard> {
        if self != Self::ExtendedCard {
            return None;
        }
        let mut extended = card.clone();
        extended.skills.push(skill(
            "extended",
            "Extended",
            "Is in the extended card only.",
        ));
        Some(extended)
    }
}

fn skill(id: &str, name: &str, description: &str) -> AgentSkill {
    AgentSkill {
        id: id.to_owned(),
        name: name.to_owned(),
        description: description.to_owned(),
        tags: vec!["conformance".to_owned()],
        ..AgentSkill::default()
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.name() == name)
            .ok_or_else(|| UnknownProfile {
                name: name.to_owned(),
            })
    }
}
