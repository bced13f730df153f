//! The card for known callers as a set of members that replace those of the public card (A2A §3.1.11). Where the agent
//! listens cannot be changed by it: an extended card tells more about an agent, it is no other agent.

use serde_json::{Map, Value};

use crate::error::A2aError;
use crate::types::{self, AgentCard};

/// Members that stay those of the public card.
const FIXED: [&str; 3] = ["supportedInterfaces", "signatures", "securitySchemes"];

/// Members of a card that only known callers see.
#[derive(Debug, Clone, PartialEq)]
pub struct ExtendedCard(Map<String, Value>);

impl ExtendedCard {
    /// Reads the members: a JSON object such as `{"description": "…", "skills": […]}`.
    ///
    /// # Errors
    /// [`A2aError::ParseError`] or [`A2aError::InvalidParams`] names the member that is not one of a card, is of the wrong
    /// kind, or cannot be replaced.
    pub fn parse(json: &[u8]) -> Result<Self, A2aError> {
        let as_card: AgentCard = types::from_slice(json)?;
        let members: Map<String, Value> = types::from_slice(json)?;
        if let Some(fixed) = members.keys().find(|name| FIXED.contains(&name.as_str())) {
            let text = "cannot be replaced: it stays that of the public card";
            return Err(A2aError::invalid_param(fixed, text));
        }
        // A member that no card has would be left out without a word.
        let known = serde_json::to_value(&as_card).map_err(A2aError::internal)?;
        let unset = |value: &Value| {
            value.is_null() || value.as_str() == Some("") || *value == Value::Array(Vec::new())
        };
        match members
            .iter()
            .find(|(name, value)| known.get(name).is_none() && !unset(value))
        {
            Some((unknown, _)) => Err(A2aError::invalid_param(unknown, "no member of a card")),
            None => Ok(Self(members)),
        }
    }

    /// The card for known callers, where `public` is the one for everybody.
    pub fn over(&self, public: &AgentCard) -> Option<AgentCard> {
        let mut card = serde_json::to_value(public).ok()?;
        card.as_object_mut()?.extend(
            self.0
                .iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        let mut card: AgentCard = serde_json::from_value(card).ok()?;
        card.capabilities.extended_agent_card = public.capabilities.extended_agent_card;
        Some(card)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_replace_those_of_the_public_card() {
        let public = AgentCard {
            name: "w".into(),
            description: "public".into(),
            ..AgentCard::default()
        };
        let extended = ExtendedCard::parse(
            br#"{"description": "more", "skills": [{"id": "s", "name": "S", "description": "", "tags": []}]}"#,
        )
        .unwrap();
        let card = extended.over(&public).unwrap();
        assert_eq!(
            (card.name.as_str(), card.description.as_str()),
            ("w", "more")
        );
        assert_eq!(card.skills[0].id, "s");
        for bad in [
            r#"{"supportedInterfaces": []}"#,
            r#"{"description": 5}"#,
            r#"{"descripton": "x"}"#,
            "[]",
            "{",
        ] {
            assert!(ExtendedCard::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
