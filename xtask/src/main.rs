//! The tasks of the project, run as `cargo xtask TASK`: one module per task, this file only names them.
//!
//! Invariant: a task ends with exit code 0 exactly when everything it was asked to do or check holds.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the output of a task is what it prints"
)]

mod bench;
mod generate;
mod project;
mod servers;
mod tables;
mod test;
mod wire_check;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "The tasks of the project",
    after_help = "Examples:\n  \
        cargo xtask test               run every check and test of the project\n  \
        cargo xtask test --quick       only those that need no server and no network\n  \
        cargo xtask bench calls --quick\n  \
        \u{20}                              what a call costs, beside the peers; docs/benchmarks.md\n  \
        cargo xtask generate           write the generated code of crates/protocol anew\n  \
        cargo xtask generate --check   fail if the checked-in code is not what generation gives\n  \
        cargo xtask wire-check         compare our .proto files with the official descriptors\n  \
        cargo xtask servers -- cargo nextest run -p milvus-client\n  \
        \u{20}                              run one crate's tests with the real servers up"
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the benchmarks in release mode and run one, side by side with the peers
    Bench(bench::Arguments),
    /// Generate crates/protocol/src/generated from the .proto files and the two tables beside them
    Generate(generate::Arguments),
    /// Start the real servers, run a command that finds them through its environment, stop them
    Servers(servers::Arguments),
    /// Run every check and test of the project, with real servers
    Test(test::Arguments),
    /// Compare our .proto files with the official descriptors that ship with pymilvus
    WireCheck(wire_check::Arguments),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().task {
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Generate(arguments) => generate::run(&arguments),
        Task::Servers(arguments) => servers::run(&arguments),
        Task::Test(arguments) => test::run(&arguments),
        Task::WireCheck(arguments) => wire_check::run(&arguments),
    }
}
