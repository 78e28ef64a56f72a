//! The help of every command, word by word: it is what people read first, and scripts rely on what it promises.

use std::path::Path;

use crate::program::{Program, steady};
use milvusctl::Exit;

const COMMANDS: [&str; 13] = [
    "add",
    "list",
    "show",
    "remove",
    "explain",
    "ping",
    "doctor",
    "top",
    "version",
    "completions",
    "demo",
    "serve",
    "key",
];

async fn help(arguments: &[&str]) -> String {
    let ran = Program::with_file(Path::new("unused.toml"))
        .run(arguments)
        .await;
    assert_eq!((ran.exit, ran.errors.as_str()), (Exit::Success, ""));
    ran.output
}

#[tokio::test]
async fn the_help_of_each_command_is_as_reviewed() {
    let settings = steady(Path::new("no folder"));
    let _bound = settings.bind_to_scope();
    insta::assert_snapshot!("help", help(&["--help"]).await);
    for command in COMMANDS {
        insta::assert_snapshot!(format!("help_{command}"), help(&[command, "--help"]).await);
    }
}

#[tokio::test]
async fn every_command_has_help_with_examples_of_itself() {
    let commands = milvusctl::command_line();
    let names: Vec<_> = commands
        .get_subcommands()
        .map(clap::Command::get_name)
        .collect();
    assert_eq!(names, COMMANDS);
    for name in names {
        let help = help(&[name, "--help"]).await;
        let example = format!("milvusctl {name}");
        assert!(
            help.contains("Examples:") && help.matches(&example).count() >= 2,
            "{help}"
        );
    }
}

#[tokio::test]
async fn wrong_arguments_are_exit_code_2_and_help_on_standard_error() {
    for wrong in [
        &["lits"][..],
        &[],
        &["ping", "--count", "0"],
        &["list", "--json", "--format", "table"],
    ] {
        let ran = Program::with_file(Path::new("unused.toml"))
            .run(wrong)
            .await;
        assert_eq!(
            (ran.exit, ran.output.as_str()),
            (Exit::Usage, ""),
            "{wrong:?}"
        );
        assert!(ran.errors.contains("--help"), "{}", ran.errors);
    }
}

#[test]
fn the_command_line_is_consistent() {
    milvusctl::command_line().debug_assert();
}

#[tokio::test]
async fn help_is_coloured_on_a_terminal_only() {
    let run = |program: Program| program.colored().run(&["--help"]);
    let program = || Program::with_file(Path::new("unused.toml"));
    assert!(run(program()).await.output.contains('\u{1b}'));
    assert!(!run(program().piped()).await.output.contains('\u{1b}'));
}
