//! The server side.
pub(super) fn generate(_s: &[prost_build::Service]) -> String {
    String::new()
}
