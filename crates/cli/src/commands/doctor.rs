//! `milvusctl doctor`: why a connection does not work, step by step.
//!
//! Invariant: the words are those of the transport's own diagnosis, which a failed connect uses as well; this file only
//! lays them out.

use clap::Args;
use milvus_connections::transport::{
    ConnectFailure, Diagnosis, DiagnosisStep, EndpointDiagnosis, StepOutcome,
};
use serde::Serialize;

use crate::aliases::{Meant, configured, meant, registry};
use crate::arguments::SharedArguments;
use crate::connection_arguments::ConnectionArguments;
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Cell, Paint, Report, Table, Tone, labelled};
use crate::progress::during;

/// Find out, step by step, why a connection does not work.
///
/// Walks the way of a connect: configuration, DNS, TCP, TLS, HTTP/2, Milvus's handshake, authentication, database, version.
/// Times each step, stops at the first that fails, and says what that means and what to do.
///
/// Without a target it looks at every alias of the profile file. The exit code is that of the first failure.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  milvusctl doctor
  milvusctl doctor prod
  milvusctl doctor https://in01-0123.api.example.com --token-env PROD_TOKEN
  milvusctl doctor prod | jq .healthy")]
pub(crate) struct DoctorArguments {
    /// Names or addresses [default: every alias of the profile file]
    #[arg(value_name = "ALIAS|ADDRESS|URI")]
    target: Vec<String>,
    #[command(flatten)]
    connection: ConnectionArguments,
}

/// What was found out about all targets.
#[derive(Debug, Serialize)]
struct Findings {
    healthy: bool,
    diagnoses: Vec<Diagnosis>,
}

impl Report for Findings {
    fn render(&self, paint: Paint) -> String {
        let mut texts: Vec<_> = self
            .diagnoses
            .iter()
            .map(|diagnosis| render_diagnosis(diagnosis, paint))
            .collect();
        if let [_, _, ..] = self.diagnoses.as_slice() {
            let healthy = self
                .diagnoses
                .iter()
                .filter(|diagnosis| diagnosis.healthy)
                .count();
            let tone = if self.healthy { Tone::Good } else { Tone::Bad };
            texts.push(
                paint.tone(tone, &format!("{healthy} of {} are healthy", texts.len())) + "\n",
            );
        }
        texts.join("\n")
    }
}

fn render_diagnosis(diagnosis: &Diagnosis, paint: Paint) -> String {
    let mut heading = paint.tone(Tone::Strong, &diagnosis.alias);
    if diagnosis.address != diagnosis.alias && !diagnosis.address.is_empty() {
        heading.push_str(&paint.tone(Tone::Plain, &format!("  {}", diagnosis.address)));
    }
    let has_several = diagnosis.endpoints.len() > 1;
    let mut text = heading + "\n\n";
    for endpoint in &diagnosis.endpoints {
        if has_several {
            text.push_str(&format!(
                "  {}\n",
                paint.tone(Tone::Strong, &endpoint.address)
            ));
        }
        text.push_str(&render_endpoint(endpoint, paint));
    }
    text
}

fn render_endpoint(endpoint: &EndpointDiagnosis, paint: Paint) -> String {
    let mut table = Table::default();
    for step in &endpoint.steps {
        table.push(row(step));
    }
    let mut text = table.render(2, paint);
    if let Some(failed) = endpoint
        .steps
        .iter()
        .find(|step| step.outcome == StepOutcome::Failed)
    {
        text.push('\n');
        text.push_str(&explanation(failed, paint));
    }
    text
}

fn row(step: &DiagnosisStep) -> [Cell; 4] {
    let name = step.step.to_string();
    // Wide enough for any connect, so that the columns stay where they are.
    let time = || {
        Cell::number(format!(
            "{:>6}.{} ms",
            step.micros / 1_000,
            step.micros % 1_000 / 100
        ))
    };
    match step.outcome {
        StepOutcome::Passed => [
            Cell::new("✓", Tone::Good),
            Cell::plain(name),
            time(),
            Cell::plain(&step.detail),
        ],
        StepOutcome::Failed => [
            Cell::new("✗", Tone::Bad),
            Cell::new(name, Tone::Bad),
            time(),
            Cell::new(step.meaning.as_deref().unwrap_or("failed"), Tone::Bad),
        ],
        StepOutcome::NotNeeded => [
            Cell::new("–", Tone::Faint),
            Cell::new(name, Tone::Faint),
            Cell::plain(""),
            Cell::new("not needed", Tone::Faint),
        ],
        _ => [
            Cell::plain(""),
            Cell::new(name, Tone::Faint),
            Cell::plain(""),
            Cell::new("not reached", Tone::Faint),
        ],
    }
}

/// What was seen, what the server said, and what to do.
fn explanation(step: &DiagnosisStep, paint: Paint) -> String {
    let answer = step
        .answer
        .as_ref()
        .map(ToString::to_string)
        .filter(|answer| !step.detail.contains(answer.as_str()));
    let parts: Vec<(&str, &str)> = [
        ("seen", Some(step.detail.as_str())),
        ("answer", answer.as_deref()),
        ("to do", step.hint.as_deref()),
    ]
    .into_iter()
    .filter_map(|(label, text)| Some((label, text.filter(|text| !text.is_empty())?)))
    .collect();
    labelled(&parts, paint)
}

pub(super) async fn run(
    arguments: DoctorArguments,
    shared: &SharedArguments,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let targets = if arguments.target.is_empty() {
        configured(&registry(shared, console))?
    } else {
        arguments.target
    };
    let mut examinations = Vec::with_capacity(targets.len());
    for target in &targets {
        examinations.push(
            match meant(Some(target), &arguments.connection, shared, console) {
                Ok(meant) => Ok(meant),
                // One alias that can't be used is a finding, and the others are still to be looked at.
                Err(failure) if failure.exit_code == Exit::Configuration && targets.len() > 1 => {
                    Err(unusable(target, &failure))
                }
                Err(failure) => return Err(failure),
            },
        );
    }
    let what = format!("examining {}", targets.join(", "));
    let diagnoses = during(console, &what, examine(examinations)).await;
    let exit = diagnoses
        .iter()
        .find_map(Diagnosis::first_failure)
        .map_or(Exit::Success, exit_of);
    console.report(&Findings {
        healthy: exit == Exit::Success,
        diagnoses,
    })?;
    Ok(exit)
}

/// Examines all at the same time; the findings come in the order of the targets.
async fn examine(targets: Vec<Result<Meant, Diagnosis>>) -> Vec<Diagnosis> {
    let tasks: Vec<_> = targets
        .into_iter()
        .map(|target| match target {
            Ok(meant) => Ok(tokio::spawn(async move { diagnose(&meant).await })),
            Err(diagnosis) => Err(diagnosis),
        })
        .collect();
    let mut diagnoses = Vec::with_capacity(tasks.len());
    for task in tasks {
        match task {
            // A task ends without its result only when the program ends.
            Ok(task) => diagnoses.extend(task.await),
            Err(diagnosis) => diagnoses.push(diagnosis),
        }
    }
    diagnoses
}

async fn diagnose(meant: &Meant) -> Diagnosis {
    match meant.connections.diagnose(&meant.alias).await {
        Ok(diagnosis) => diagnosis,
        Err(error) => unusable(&meant.alias, &error.into()),
    }
}

/// The finding about an alias whose configuration can't be used.
fn unusable(alias: &str, failure: &Failure) -> Diagnosis {
    let place = failure
        .place
        .as_ref()
        .map(|place| format!("{place}: "))
        .unwrap_or_default();
    let detail = format!("{place}{}", failure.reason);
    Diagnosis::of_configuration(alias, "", ConnectFailure::InvalidConfiguration, &detail)
}

fn exit_of(step: &DiagnosisStep) -> Exit {
    step.failure.map_or(Exit::Failed, Exit::of_connect)
}
