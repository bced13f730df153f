//! The agent card of 0.3, and with members left out that of 0.2. It has one address with its transport, a list of further
//! ones, and one version for all of them; 1.0 has a list of interfaces, each with its own version.

use std::collections::BTreeMap;

use super::security::{
    SecurityRequirement, SecurityScheme, requirements_in, requirements_out, schemes_in, schemes_out,
};
use crate::types::declare::message;
use crate::types::validate::no_rules;
use crate::types::{self, AgentCardSignature, AgentExtension, AgentProvider};
use crate::version::ProtocolVersion;

/// The transport of a card that names none.
const DEFAULT_TRANSPORT: &str = "JSONRPC";

message! {
    /// One place where the agent listens.
    pub struct AgentInterface {
        /// The address.
        pub url: String = "url" [required always],
        /// `JSONRPC`, `GRPC` or `HTTP+JSON`.
        pub transport: String = "transport" [required always],
    }
}

message! {
    /// What the agent can do.
    pub struct AgentCapabilities {
        /// It streams.
        pub streaming: Option<bool> = "streaming",
        /// It pushes notifications.
        pub push_notifications: Option<bool> = "pushNotifications",
        /// It tells the past states of a task; gone in 1.0.
        pub state_transition_history: Option<bool> = "stateTransitionHistory",
        /// Extensions that it knows.
        pub extensions: Vec<AgentExtension> = "extensions",
    }
}

message! {
    /// Something that the agent is good at.
    pub struct AgentSkill {
        /// Unique within the card.
        pub id: String = "id" [required always],
        /// A name for people.
        pub name: String = "name" [required always],
        /// A description for people and planners.
        pub description: String = "description" [always],
        /// Words to find it by.
        pub tags: Vec<String> = "tags" [always],
        /// Prompts that it can handle.
        pub examples: Vec<String> = "examples",
        /// Media types that it takes.
        pub input_modes: Vec<String> = "inputModes",
        /// Media types that it makes.
        pub output_modes: Vec<String> = "outputModes",
        /// What a caller needs for this skill.
        pub security: Vec<SecurityRequirement> = "security",
    }
}

message! {
    /// The discovery document of an agent.
    pub struct AgentCard {
        /// The version of the protocol, `0.3.0`; absent before 0.2.5.
        pub protocol_version: String = "protocolVersion",
        /// A name for people.
        pub name: String = "name" [required always],
        /// A description for people.
        pub description: String = "description" [always],
        /// The preferred address.
        pub url: String = "url" [required always],
        /// Its transport; absent is `JSONRPC`.
        pub preferred_transport: String = "preferredTransport",
        /// All addresses, mostly with the preferred one among them.
        pub additional_interfaces: Vec<AgentInterface> = "additionalInterfaces",
        /// A picture.
        pub icon_url: Option<String> = "iconUrl",
        /// Who runs the agent.
        pub provider: Option<AgentProvider> = "provider",
        /// The version of the agent itself.
        pub version: String = "version" [required always],
        /// Where to read more.
        pub documentation_url: Option<String> = "documentationUrl",
        /// What the agent can do.
        pub capabilities: AgentCapabilities = "capabilities" [always],
        /// Ways to authenticate.
        pub security_schemes: BTreeMap<String, SecurityScheme> = "securitySchemes",
        /// What a caller needs: one entry is enough.
        pub security: Vec<SecurityRequirement> = "security",
        /// Media types that the agent takes.
        pub default_input_modes: Vec<String> = "defaultInputModes" [always],
        /// Media types that the agent makes.
        pub default_output_modes: Vec<String> = "defaultOutputModes" [always],
        /// What the agent is good at.
        pub skills: Vec<AgentSkill> = "skills" [always],
        /// It has a second card for known callers.
        pub supports_authenticated_extended_card: Option<bool> = "supportsAuthenticatedExtendedCard",
        /// Signatures over the card.
        pub signatures: Vec<AgentCardSignature> = "signatures",
    }
}
no_rules!(AgentInterface, AgentCapabilities, AgentSkill, AgentCard);

impl AgentCard {
    /// The card of 1.0. Every interface gets the version of the card, `fallback` where it names none.
    pub fn into_card(self, fallback: ProtocolVersion) -> types::AgentCard {
        let version = match self.protocol_version.as_str() {
            "" => fallback.as_str(),
            // Interfaces name versions without a patch number.
            version => version
                .match_indices('.')
                .nth(1)
                .map_or(version, |(end, _)| version.split_at(end).0),
        };
        let preferred = AgentInterface {
            transport: match self.preferred_transport {
                transport if transport.is_empty() => DEFAULT_TRANSPORT.to_owned(),
                transport => transport,
            },
            url: self.url,
        };
        let mut interfaces = vec![preferred];
        for interface in self.additional_interfaces {
            if !interfaces.contains(&interface) {
                interfaces.push(interface);
            }
        }
        let (security_schemes, further) = schemes_in(self.security_schemes);
        let skills = self.skills.into_iter().map(|skill| types::AgentSkill {
            id: skill.id,
            name: skill.name,
            description: skill.description,
            tags: skill.tags,
            examples: skill.examples,
            input_modes: skill.input_modes,
            output_modes: skill.output_modes,
            security_requirements: requirements_in(skill.security, &further),
        });
        types::AgentCard {
            name: self.name,
            description: self.description,
            supported_interfaces: interfaces
                .into_iter()
                .map(|interface| types::AgentInterface {
                    url: interface.url,
                    protocol_binding: interface.transport,
                    protocol_version: version.to_owned(),
                    ..types::AgentInterface::default()
                })
                .collect(),
            provider: self.provider,
            version: self.version,
            documentation_url: self.documentation_url,
            capabilities: types::AgentCapabilities {
                streaming: self.capabilities.streaming,
                push_notifications: self.capabilities.push_notifications,
                extensions: self.capabilities.extensions,
                extended_agent_card: self.supports_authenticated_extended_card,
            },
            skills: skills.collect(),
            security_requirements: requirements_in(self.security, &further),
            security_schemes,
            default_input_modes: self.default_input_modes,
            default_output_modes: self.default_output_modes,
            signatures: self.signatures,
            icon_url: self.icon_url,
        }
    }
}

impl From<types::AgentCard> for AgentCard {
    /// The card as readers of 0.3 see it: with the interfaces of 0.3. If there is none, which nobody should serve, the
    /// first address that is one for HTTP stands for them.
    fn from(card: types::AgentCard) -> Self {
        let interfaces: Vec<_> = card
            .supported_interfaces
            .iter()
            .filter(|it| {
                ProtocolVersion::from_text(&it.protocol_version) == Some(ProtocolVersion::V0_3)
            })
            .map(|it| AgentInterface {
                url: it.url.clone(),
                transport: it.protocol_binding.clone(),
            })
            .collect();
        let otherwise = || {
            let mut urls = card.supported_interfaces.iter().map(|it| &it.url);
            urls.find(|url| url.starts_with("http"))
                .cloned()
                .unwrap_or_default()
        };
        let preferred = interfaces.first().cloned();
        let (security_schemes, folded) = schemes_out(card.security_schemes);
        let skills = card.skills.into_iter().map(|skill| AgentSkill {
            id: skill.id,
            name: skill.name,
            description: skill.description,
            tags: skill.tags,
            examples: skill.examples,
            input_modes: skill.input_modes,
            output_modes: skill.output_modes,
            security: requirements_out(skill.security_requirements, &folded),
        });
        Self {
            protocol_version: preferred
                .as_ref()
                .map(|_| "0.3.0".to_owned())
                .unwrap_or_default(),
            url: preferred
                .as_ref()
                .map_or_else(otherwise, |it| it.url.clone()),
            preferred_transport: preferred.map(|it| it.transport).unwrap_or_default(),
            additional_interfaces: interfaces,
            name: card.name,
            description: card.description,
            icon_url: card.icon_url,
            provider: card.provider,
            version: card.version,
            documentation_url: card.documentation_url,
            capabilities: AgentCapabilities {
                streaming: card.capabilities.streaming,
                push_notifications: card.capabilities.push_notifications,
                state_transition_history: None,
                extensions: card.capabilities.extensions,
            },
            security: requirements_out(card.security_requirements, &folded),
            security_schemes,
            default_input_modes: card.default_input_modes,
            default_output_modes: card.default_output_modes,
            skills: skills.collect(),
            supports_authenticated_extended_card: card.capabilities.extended_agent_card,
            signatures: card.signatures,
        }
    }
}
