//! What must hold for every input that is taken for a URI or an address. Run by the fuzzer and, over generated input,
//! by an ordinary test.

use milvus_transport::{ParsedUri, parse_address, parse_uri};
use secrecy::ExposeSecret;

const USER: &str = "canary-user-7f3a91";
const PASSWORD: &str = "canary-password-c04e52";

/// Any bytes parse or fail without a panic; what parses can be written and read again; what fails shows no secret.
pub fn uri(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(parsed) = parse_uri(&text) {
        reads_back(&parsed);
    }
    if let Ok(endpoint) = parse_address(&text) {
        assert_eq!(parse_address(&endpoint.to_string()), Ok(endpoint));
    }
    let at = data.first().map_or(0, |b| usize::from(*b)) % (text.chars().count() + 1);
    let head: String = text.chars().take(at).collect();
    let tail: String = text.chars().skip(at).collect();
    hides(&format!("{head}{USER}:{PASSWORD}@{tail}"));
}

fn reads_back(parsed: &ParsedUri) {
    let target = parse_uri(&parsed.target.to_string()).expect("a displayed target parses");
    assert_eq!(target.target, parsed.target);
    let again = parse_uri(parsed.to_uri().expose_secret()).expect("a written URI parses");
    assert_eq!(again.target, parsed.target);
    assert_eq!(again.user, parsed.user);
    assert_eq!(again.database, parsed.database);
    let secret = |uri: &ParsedUri| uri.password.as_ref().map(|p| p.expose_secret().to_owned());
    assert_eq!(secret(&again), secret(parsed));
}

fn hides(uri: &str) {
    let shown = match parse_uri(uri) {
        Ok(parsed) if parsed.password.is_some() => format!("{parsed} {parsed:?}").replace(USER, ""),
        Ok(_) => String::new(),
        Err(error) => format!("{error} {error:?}"),
    };
    let refused = parse_address(uri).expect_err("an address has no '@'");
    for shown in [shown, format!("{refused} {refused:?}")] {
        assert!(!shown.contains(USER), "{shown}");
        assert!(!shown.contains(PASSWORD), "{shown}");
    }
}
