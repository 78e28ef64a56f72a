//! What must hold for every text that is taken for a profile file. Run by the fuzzer and, over generated input, by an
//! ordinary test.

use milvus_connections::{Connections, Profile};

const CANARY: &str = "canary-c04e52";

/// Any text is a profile or a fault, without a panic; what a profile says can be registered and explained, or is refused;
/// neither faults nor explanations show a secret.
pub fn profile(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    take(&text);
    let at = data.first().map_or(0, |b| usize::from(*b)) % (text.chars().count() + 1);
    let head: String = text.chars().take(at).collect();
    let tail: String = text.chars().skip(at).collect();
    let secret =
        format!("password = \"{CANARY}\"\nuri = \"http://u:{CANARY}@h\"\ntoken = '{CANARY}'");
    take(&format!("{head}\n[dev]\n{secret}\n{tail}"));
    take(&format!("[dev]\n{secret}{tail}"));
}

fn take(text: &str) {
    let profile = match Profile::from_text(text) {
        Ok(profile) => profile,
        Err(error) => return hides(&format!("{error} {error:?}")),
    };
    hides(&format!("{profile:?}"));
    let connections = Connections::isolated();
    for alias in profile.aliases() {
        let params = profile.params(alias).expect("each alias has parameters");
        match connections.add_connection([(alias, params.clone())]) {
            Ok(()) => match connections.explain(alias) {
                Ok(explanation) => hides(&format!("{explanation} {explanation:?}")),
                Err(error) => hides(&format!("{error} {error:?}")),
            },
            Err(error) => hides(&format!("{error} {error:?}")),
        }
    }
}

/// The text may be built around the canary, so that it is a name and no secret; then it is not ours to hide.
fn hides(shown: &str) {
    assert!(!shown.contains(CANARY), "{shown}");
}
