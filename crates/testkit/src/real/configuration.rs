//! Milvus's configuration, made from the template that its wheel carries.
//!
//! Invariant: every placeholder of the template gets a value. A template that asks for a port we don't know about fails
//! here instead of letting two servers collide on the template's fixed default.

use std::collections::HashMap;

use crate::Failure;

/// Replaces each `{{ name(type): default }}` of the template by the value of that name, or by the default.
///
/// # Errors
/// When a port, or a placeholder without default, has no value.
pub(super) fn fill_template(
    template: &str,
    values: &HashMap<&str, String>,
) -> Result<String, Failure> {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((placeholder, after)) = after.split_once("}}") else {
            break;
        };
        let (declaration, default) = match placeholder.split_once(':') {
            Some((declaration, default)) => (declaration, Some(default.trim())),
            None => (placeholder, None),
        };
        let name = declaration.split('(').next().unwrap_or_default().trim();
        let default = default.filter(|_| !name.ends_with("_port"));
        let value = values
            .get(name)
            .map(String::as_str)
            .or(default)
            .ok_or_else(|| {
                Failure::new(format!(
                    "Milvus's configuration template wants {name}, which the testkit does not know"
                ))
            })?;
        filled.push_str(before);
        filled.push_str(value);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_win_over_defaults_and_the_rest_is_kept() {
        let values = HashMap::from([("b_port", "7".to_owned())]);
        let filled =
            fill_template("x: {{ a: one }} # c\ny: {{ b_port(int): 5 }}\n", &values).unwrap();
        assert_eq!(filled, "x: one # c\ny: 7\n");
    }

    #[test]
    fn a_port_without_a_value_is_refused() {
        let failure = fill_template("{{ new_port(int): 5 }}", &HashMap::new()).unwrap_err();
        assert!(failure.to_string().contains("new_port"));
    }
}
