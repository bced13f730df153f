//! Version and extension negotiation (A2A §3.6, §14.2): which versions we speak, which one a caller asks for, and whether
//! that is the one in which it calls; which extensions it activates and whether it must know one. The dialect of a call is
//! told by its method, path or package, and not here: a header can only contradict it.

use http::HeaderMap;

use crate::error::A2aError;
use crate::types::AgentCard;

/// The header, and the query parameter, that names the version.
pub const VERSION_HEADER: &str = "a2a-version";
/// The header that names the extensions a client activates.
pub const EXTENSIONS_HEADER: &str = "a2a-extensions";
/// The same before 1.0.
const OLD_EXTENSIONS_HEADER: &str = "x-a2a-extensions";

/// The version that this crate speaks by itself.
pub const CURRENT: &str = "1.0";

/// A version, or rather a way to speak, that has its own names and shapes on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProtocolVersion {
    /// A2A 1.0.
    V1_0,
    /// A2A 0.3, and 0.2, whose payloads are the same.
    V0_3,
    /// A2A 0.1.
    V0_1,
    /// The simple dialect ([`crate::dialect::simple`]), which is of no official version.
    Simple,
}

impl ProtocolVersion {
    /// All official versions, the newest first.
    pub const OFFICIAL: [Self; 3] = [Self::V1_0, Self::V0_3, Self::V0_1];

    /// As it stands in a header or a card.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1_0 => CURRENT,
            Self::V0_3 => "0.3",
            Self::V0_1 => "0.1",
            Self::Simple => "simple",
        }
    }

    /// The version that a text of a header or a card means. Patch numbers do not matter: `1.0.1` is `1.0`. What 0.2
    /// says, 0.3 says too.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(str::parse::<u32>);
        let (major, minor, patch) = (numbers.next(), numbers.next(), numbers.next());
        if matches!(patch, Some(Err(_))) || numbers.next().is_some() {
            return None;
        }
        match (major, minor) {
            (Some(Ok(1)), Some(Ok(0))) => Some(Self::V1_0),
            (Some(Ok(0)), Some(Ok(2 | 3))) => Some(Self::V0_3),
            (Some(Ok(0)), Some(Ok(1))) => Some(Self::V0_1),
            _ => None,
        }
    }
}

impl std::fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether to serve a caller that names no version. By the letter, absent means 0.3; most callers mean 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Absent {
    /// It is served as 1.0.
    #[default]
    Lenient,
    /// It is refused as 0.3.
    Strict,
}

/// The version that a request names, from its header or else from its query string; `None` when neither does.
pub fn requested(headers: &HeaderMap, query: Option<&str>) -> Option<String> {
    let header = headers
        .get(VERSION_HEADER)
        .and_then(|value| value.to_str().ok())
        .map(str::trim);
    if let Some(version) = header.filter(|version| !version.is_empty()) {
        return Some(version.to_owned());
    }
    let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs
        .filter(|(name, version)| {
            name.eq_ignore_ascii_case(VERSION_HEADER) && !version.trim().is_empty()
        })
        .map(|(_, version)| version.trim().to_owned())
        .next()
}

/// Refuses a call in the dialect of `spoken` that names another version, and one that names a version which nobody
/// speaks. A call that names none is judged by `absent`, which concerns 1.0 only: older clients never name theirs.
///
/// # Errors
/// [`A2aError::VersionNotSupported`].
pub fn check(
    requested: Option<&str>,
    absent: Absent,
    spoken: ProtocolVersion,
) -> Result<(), A2aError> {
    let version = match (requested, absent, spoken) {
        (Some(version), ..) => version,
        (None, Absent::Strict, ProtocolVersion::V1_0) => "0.3",
        (None, ..) => return Ok(()),
    };
    let fits = match ProtocolVersion::from_text(version) {
        // Its objects are those of 0.1, and whoever adds a header to it may well say 1.0.
        Some(known) if spoken == ProtocolVersion::Simple => known != ProtocolVersion::V0_3,
        known => known == Some(spoken),
    };
    if fits {
        return Ok(());
    }
    Err(not_supported(version))
}

/// Refuses a version that we do not speak at all, whatever is called.
///
/// # Errors
/// [`A2aError::VersionNotSupported`].
pub fn check_known(requested: Option<&str>) -> Result<(), A2aError> {
    match requested {
        Some(version) if ProtocolVersion::from_text(version).is_none() => {
            Err(not_supported(version))
        }
        _ => Ok(()),
    }
}

fn not_supported(version: &str) -> A2aError {
    let supported = ProtocolVersion::OFFICIAL.map(ProtocolVersion::as_str);
    A2aError::VersionNotSupported {
        version: version.to_owned(),
        supported: supported.join(", "),
    }
}

/// Whether a version text means 1.0, with any patch number.
pub fn is_current(version: &str) -> bool {
    ProtocolVersion::from_text(version) == Some(ProtocolVersion::V1_0)
}

/// The URIs of the extensions that a request activates.
pub fn extensions(headers: &HeaderMap) -> Vec<String> {
    let values = headers
        .get_all(EXTENSIONS_HEADER)
        .iter()
        .chain(headers.get_all(OLD_EXTENSIONS_HEADER));
    let lists = values.filter_map(|value| value.to_str().ok());
    let uris = lists
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .filter(|uri| !uri.is_empty());
    uris.map(str::to_owned).collect()
}

/// Refuses a request that does not activate an extension which the card requires (A2A §4.6.1).
///
/// # Errors
/// [`A2aError::ExtensionSupportRequired`] with the first that is missing.
pub fn check_extensions(card: &AgentCard, activated: &[String]) -> Result<(), A2aError> {
    let mut required = card
        .capabilities
        .extensions
        .iter()
        .filter(|extension| extension.required);
    match required.find(|extension| !activated.contains(&extension.uri)) {
        Some(extension) => Err(A2aError::ExtensionSupportRequired {
            uri: extension.uri.clone(),
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn the_header_wins_over_the_query_and_empty_is_absent() {
        let mut headers = HeaderMap::new();
        assert_eq!(requested(&headers, None), None);
        assert_eq!(
            requested(&headers, Some("x=1&A2A-Version=1.0")).as_deref(),
            Some("1.0")
        );
        headers.insert(VERSION_HEADER, HeaderValue::from_static(" "));
        assert_eq!(
            requested(&headers, Some("a2a-version=0.3")).as_deref(),
            Some("0.3")
        );
        headers.insert(VERSION_HEADER, HeaderValue::from_static("99.0"));
        assert_eq!(
            requested(&headers, Some("A2A-Version=1.0")).as_deref(),
            Some("99.0")
        );
    }

    #[test]
    fn a_version_must_be_the_one_that_is_spoken_and_patch_numbers_do_not_matter() {
        let code = |version: Option<&str>, absent, spoken| {
            check(version, absent, spoken).map_err(|error| error.code())
        };
        let spoken = [
            (ProtocolVersion::V1_0, &["1.0", "1.0.1", "1.0.0"][..]),
            (ProtocolVersion::V0_3, &["0.3", "0.3.0", "0.2", "0.2.6"]),
            (ProtocolVersion::V0_1, &["0.1", "0.1.0"]),
            (ProtocolVersion::Simple, &["1.0", "0.1"]),
        ];
        for (dialect, fitting) in spoken {
            for version in [
                "1.0", "1.0.1", "1.0.0", "0.3", "0.3.0", "0.2", "0.2.6", "0.1", "0.1.0", "1",
                "1.1", "2.0", "99.0", "x", "1.x", "1.0.x", "1.0.1.2", "1.0.", "0.4", "-1.0", "",
            ] {
                let fits = fitting.contains(&version)
                    || dialect == ProtocolVersion::Simple && spoken[0].1.contains(&version)
                    || dialect == ProtocolVersion::Simple && spoken[2].1.contains(&version);
                let expect = if fits { Ok(()) } else { Err(-32009) };
                assert_eq!(
                    code(Some(version), Absent::Strict, dialect),
                    expect,
                    "{dialect} {version:?}"
                );
            }
            assert_eq!(code(None, Absent::Lenient, dialect), Ok(()));
        }
        assert_eq!(
            code(None, Absent::Strict, ProtocolVersion::V1_0),
            Err(-32009)
        );
        assert_eq!(code(None, Absent::Strict, ProtocolVersion::V0_3), Ok(()));
        assert_eq!(code(None, Absent::Strict, ProtocolVersion::V0_1), Ok(()));
    }

    #[test]
    fn an_unknown_version_is_refused_whatever_is_called_and_the_error_says_what_there_is() {
        assert_eq!(check_known(None), Ok(()));
        assert_eq!(check_known(Some("0.2.5")), Ok(()));
        let error = check_known(Some("99.0")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "A2A version 99.0 is not supported: this agent speaks 1.0, 0.3, 0.1"
        );
    }

    #[test]
    fn both_extension_headers_are_read() {
        let mut headers = HeaderMap::new();
        headers.append(EXTENSIONS_HEADER, HeaderValue::from_static("urn:a, urn:b"));
        headers.append(EXTENSIONS_HEADER, HeaderValue::from_static("urn:c,"));
        headers.append(OLD_EXTENSIONS_HEADER, HeaderValue::from_static("urn:d"));
        assert_eq!(extensions(&headers), ["urn:a", "urn:b", "urn:c", "urn:d"]);
    }

    #[test]
    fn a_required_extension_must_be_activated() {
        let mut card = AgentCard::default();
        card.capabilities.extensions = crate::activity::extensions();
        assert_eq!(check_extensions(&card, &[]), Ok(()));
        card.capabilities.extensions[1].required = true;
        assert_eq!(
            check_extensions(&card, &[]).map_err(|error| error.code()),
            Err(-32008)
        );
        assert_eq!(
            check_extensions(&card, &[crate::activity::RESULT_URI.to_owned()]),
            Ok(())
        );
    }
}
