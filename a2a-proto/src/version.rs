//! Version and extension negotiation (A2A §3.6, §14.2): which version a caller asks for and whether we speak it; which
//! extensions it activates and whether it must know one. The dialects of other versions are chosen by method and path,
//! not here.

use http::HeaderMap;

use crate::error::A2aError;
use crate::types::AgentCard;

/// The header, and the query parameter, that names the version.
pub const VERSION_HEADER: &str = "a2a-version";
/// The header that names the extensions a client activates.
pub const EXTENSIONS_HEADER: &str = "a2a-extensions";
/// The same before 1.0.
const OLD_EXTENSIONS_HEADER: &str = "x-a2a-extensions";

/// The version that this crate speaks.
pub const CURRENT: &str = "1.0";

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

/// Refuses versions that we do not speak. A patch number is ignored: `1.0.1` is `1.0`.
///
/// # Errors
/// [`A2aError::VersionNotSupported`].
pub fn check(requested: Option<&str>, absent: Absent) -> Result<(), A2aError> {
    let version = match (requested, absent) {
        (Some(version), _) => version,
        (None, Absent::Lenient) => return Ok(()),
        (None, Absent::Strict) => "0.3",
    };
    if is_current(version) {
        return Ok(());
    }
    Err(A2aError::VersionNotSupported {
        version: version.to_owned(),
        supported: CURRENT.to_owned(),
    })
}

/// Whether a version text means the version that we speak: `1.0`, with any patch number.
pub fn is_current(version: &str) -> bool {
    let mut numbers = version.split('.').map(str::parse::<u32>);
    let (major, minor, patch) = (numbers.next(), numbers.next(), numbers.next());
    let well_formed = !matches!(patch, Some(Err(_))) && numbers.next().is_none();
    well_formed && matches!((major, minor), (Some(Ok(1)), Some(Ok(0))))
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
    fn only_1_0_is_spoken_and_patch_numbers_do_not_matter() {
        for good in ["1.0", "1.0.1", "1.0.0"] {
            assert_eq!(check(Some(good), Absent::Strict), Ok(()), "{good}");
        }
        for bad in [
            "0.3", "0.3.0", "1", "1.1", "2.0", "99.0", "x", "1.x", "1.0.x", "1.0.1.2", "1.0.",
        ] {
            assert_eq!(
                check(Some(bad), Absent::Lenient).map_err(|error| error.code()),
                Err(-32009),
                "{bad}"
            );
        }
        assert_eq!(check(None, Absent::Lenient), Ok(()));
        assert_eq!(
            check(None, Absent::Strict).map_err(|error| error.code()),
            Err(-32009)
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
