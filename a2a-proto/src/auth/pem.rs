//! PEM blocks `PRIVATE KEY` (RFC 7468): the one form in which keys are kept. What is inside is the caller's business.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";
/// RFC 7468 §2: lines of 64 characters.
const LINE: usize = 64;

/// The bytes of the first `PRIVATE KEY` block; `None` when there is none that can be read.
pub(super) fn read(pem: &str) -> Option<Zeroizing<Vec<u8>>> {
    let body = pem.split_once(BEGIN)?.1.split_once(END)?.0;
    let base64: Zeroizing<String> = Zeroizing::new(body.split_ascii_whitespace().collect());
    STANDARD.decode(base64.as_bytes()).ok().map(Zeroizing::new)
}

/// A `PRIVATE KEY` block.
pub(super) fn write(der: &[u8]) -> SecretString {
    let base64 = Zeroizing::new(STANDARD.encode(der));
    let mut pem = Zeroizing::new(format!("{BEGIN}\n"));
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str(END);
    pem.push('\n');
    SecretString::from(pem.as_str())
}
