//! What a reader of the repository would stumble over: long files, files that don't say why they exist, paths of the
//! machine that somebody worked on, tests that never run.
//!
//! Invariant: generated code is exempt, nothing else is.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use anyhow::{Context as _, ensure};

use super::counts::Counts;

/// A longer file has more than one reason to change.
const MOST_LINES: usize = 600;

/// Checks every tracked file.
pub(super) fn check(root: &Path) -> anyhow::Result<Counts> {
    let listed = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(root)
        .output()
        .context("could not run git")?;
    ensure!(
        listed.status.success(),
        "git could not list the tracked files: {}",
        String::from_utf8_lossy(&listed.stderr)
    );
    let machine = paths_of_this_machine(root);
    let mut findings = Vec::new();
    for name in String::from_utf8(listed.stdout)?
        .split('\0')
        .filter(|name| !name.is_empty())
    {
        // A tracked file that was deleted and not yet committed is no finding; one that is not text has no lines.
        if let Ok(text) = fs::read_to_string(root.join(name)) {
            findings.extend(findings_in(name, &text, &machine));
        }
    }
    for finding in &findings {
        println!("{finding}");
    }
    ensure!(findings.is_empty(), "{} findings", findings.len());
    Ok(Counts::PASSED)
}

/// The project's folder, the one around it, and the home directory of whoever runs this.
fn paths_of_this_machine(root: &Path) -> Vec<String> {
    let home = env::home_dir();
    [Some(root), root.parent(), home.as_deref()]
        .into_iter()
        .flatten()
        .filter(|path| path.components().count() > 1)
        .map(|path| format!("{}/", path.display()))
        .collect()
}

fn findings_in(name: &str, text: &str, machine: &[String]) -> Vec<String> {
    let mut findings = Vec::new();
    for (number, line) in (1_usize..).zip(text.lines()) {
        if let Some(path) = machine.iter().find(|path| line.contains(path.as_str())) {
            findings.push(format!("{name}:{number}: a path of this machine ({path})"));
        }
    }
    if name.ends_with(".rs") && !is_within(name, &["generated"]) {
        if !text.starts_with("//!") {
            findings.push(format!(
                "{name}:1: does not open with `//!` and why it exists"
            ));
        }
        let lines = text.lines().count();
        if lines > MOST_LINES && !is_within(name, &["tests", "benches", "examples"]) {
            findings.push(format!("{name}: {lines} lines, more than {MOST_LINES}"));
        }
        // In two parts, so that this line is not a finding.
        let ignored = concat!("#[", "ignore");
        if let Some(line) = text
            .lines()
            .position(|line| line.trim_start().starts_with(ignored))
        {
            findings.push(format!("{name}:{}: a test that never runs", line + 1));
        }
    }
    findings
}

fn is_within(name: &str, folders: &[&str]) -> bool {
    Path::new(name)
        .parent()
        .into_iter()
        .flat_map(Path::components)
        .any(|component| {
            component
                .as_os_str()
                .to_str()
                .is_some_and(|component| folders.contains(&component))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(name: &str, text: &str) -> usize {
        findings_in(name, text, &["/home/somebody/".to_owned()]).len()
    }

    #[test]
    fn each_finding_is_found_and_a_sound_file_has_none() {
        let sound = "//! Why.\nfn main() {}\n";
        assert_eq!(findings("src/lib.rs", sound), 0);
        assert_eq!(findings("src/lib.rs", "fn main() {}\n"), 1);
        assert_eq!(findings("README.md", "see /home/somebody/project\n"), 1);
        assert_eq!(
            findings(
                "src/lib.rs",
                &format!("//! Why.\n    {}ignore]\nfn x() {{}}\n", "#[")
            ),
            1
        );
        let long = format!("//! Why.\n{}", "\n".repeat(MOST_LINES));
        assert_eq!(findings("src/lib.rs", &long), 1);
        assert_eq!(findings("crates/x/tests/long.rs", &long), 0);
        assert_eq!(
            findings(
                "crates/x/src/generated/rows.rs",
                &"\n".repeat(MOST_LINES + 1)
            ),
            0
        );
    }
}
