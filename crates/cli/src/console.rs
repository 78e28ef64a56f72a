//! What the program is attached to: standard streams, terminal or not, environment; or stand-ins for them in tests.
//!
//! Invariant: everything that the program writes goes through here (but for the log of `serve`, which does the same), where passwords in URIs are masked; a reader that has
//! gone away ends the program quietly.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, BufRead, IsTerminal as _, Write};

use milvus_connections::{Environment, SecretString};

use crate::arguments::SharedArguments;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Color, Format, Paint, Report, Tone, clean, mask_passwords, wrap};

/// Columns of text where nothing else is known.
const USUAL_WIDTH: usize = 100;
/// As wide as `note: `.
const NOTE_INDENT: &str = "      ";

type Ask = dyn FnMut(&str) -> io::Result<SecretString>;

/// Standard streams and environment.
pub struct Console {
    input: Box<dyn BufRead>,
    ask: Option<Box<Ask>>,
    output: Stream,
    errors: Stream,
    width: Option<usize>,
    variables: BTreeMap<String, OsString>,
    format: Option<Format>,
    color: Color,
    is_of_process: bool,
}

struct Stream {
    writer: Box<dyn Write>,
    is_terminal: bool,
}

impl Stream {
    fn write(&mut self, text: &str) -> io::Result<()> {
        self.writer.write_all(mask_passwords(text).as_bytes())?;
        self.writer.flush()
    }
}

/// Makes a console that stands in for the process's streams; by default there is no terminal, no input, an empty
/// environment, and what is written goes nowhere.
#[must_use = "a builder does nothing until it builds"]
pub struct ConsoleBuilder(Console);

impl ConsoleBuilder {
    /// What standard input delivers.
    pub fn input(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.0.input = Box::new(io::Cursor::new(text.into()));
        self
    }

    /// Who answers a prompt for a secret; without it, nobody sits at the terminal.
    pub fn answers(mut self, ask: impl FnMut(&str) -> io::Result<SecretString> + 'static) -> Self {
        self.0.ask = Some(Box::new(ask));
        self
    }

    /// Standard output, and whether it is a terminal.
    pub fn output(mut self, writer: impl Write + 'static, is_terminal: bool) -> Self {
        self.0.output = Stream {
            writer: Box::new(writer),
            is_terminal,
        };
        self
    }

    /// Standard error, and whether it is a terminal.
    pub fn errors(mut self, writer: impl Write + 'static, is_terminal: bool) -> Self {
        self.0.errors = Stream {
            writer: Box::new(writer),
            is_terminal,
        };
        self
    }

    /// An environment variable.
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<OsString>) -> Self {
        self.0.variables.insert(name.into(), value.into());
        self
    }

    /// The console.
    pub fn build(self) -> Console {
        self.0
    }
}

impl Console {
    /// The process's own.
    pub fn of_process() -> Self {
        let asks = io::stdin().is_terminal() && io::stderr().is_terminal();
        Self {
            input: Box::new(io::stdin().lock()),
            ask: asks.then(|| {
                Box::new(|prompt: &str| rpassword::prompt_password(prompt).map(SecretString::from))
                    as Box<Ask>
            }),
            output: Stream {
                writer: Box::new(io::stdout()),
                is_terminal: io::stdout().is_terminal(),
            },
            errors: Stream {
                writer: Box::new(io::stderr()),
                is_terminal: io::stderr().is_terminal(),
            },
            width: terminal_size::terminal_size().map(|(width, _)| width.0.into()),
            variables: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
                .collect(),
            format: None,
            color: Color::Auto,
            is_of_process: true,
        }
    }

    /// A console that stands in for the process's.
    pub fn builder() -> ConsoleBuilder {
        ConsoleBuilder(Self {
            input: Box::new(io::empty()),
            ask: None,
            output: Stream {
                writer: Box::new(io::sink()),
                is_terminal: false,
            },
            errors: Stream {
                writer: Box::new(io::sink()),
                is_terminal: false,
            },
            width: None,
            variables: BTreeMap::new(),
            format: None,
            color: Color::Auto,
            is_of_process: false,
        })
    }

    /// Does as the arguments say about form and colour.
    pub(crate) fn follow(&mut self, shared: &SharedArguments) {
        self.format = shared.wanted_format();
        self.color = shared.color;
    }

    pub(crate) fn environment(&self) -> Environment {
        Environment::of(self.variables.clone())
    }

    /// Whether a variable is there and not empty.
    pub(crate) fn has_variable(&self, name: &str) -> bool {
        self.variables
            .get(name)
            .is_some_and(|value| !value.is_empty())
    }

    /// The text of a variable that is there and not empty.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        let value = self.variables.get(name)?.to_str()?;
        (!value.is_empty()).then_some(value)
    }

    /// Whether these are the process's own streams.
    pub(crate) fn is_of_process(&self) -> bool {
        self.is_of_process
    }

    /// The secret of a variable that is there and not empty.
    pub(crate) fn secret_variable(&self, name: &str) -> Option<SecretString> {
        self.variable(name).map(SecretString::from)
    }

    /// Columns of the terminal.
    pub(crate) fn width(&self) -> Option<usize> {
        self.width
    }

    /// Whether standard output is a terminal.
    pub(crate) fn is_terminal(&self) -> bool {
        self.output.is_terminal
    }

    /// The form of reports.
    pub(crate) fn format(&self) -> Format {
        self.format.unwrap_or(if self.output.is_terminal {
            Format::Table
        } else {
            Format::Json
        })
    }

    fn paint(&self, stream: &Stream) -> Paint {
        let is_colored = match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto if self.has_variable("NO_COLOR") => false,
            Color::Auto if self.has_variable("CLICOLOR_FORCE") => true,
            Color::Auto => {
                stream.is_terminal && self.variables.get("TERM").is_none_or(|term| term != "dumb")
            }
        };
        Paint::new(is_colored, self.width.unwrap_or(USUAL_WIDTH).clamp(40, 120))
    }

    /// Whether somebody watches standard error, so that progress may be shown there.
    pub(crate) fn is_watched(&self) -> bool {
        self.errors.is_terminal
    }

    /// Shows a report in the form that is asked for.
    pub(crate) fn report(&mut self, report: &impl Report) -> Result<(), Failure> {
        let text = match self.format() {
            Format::Table => report.render(self.paint(&self.output)),
            Format::Json => {
                let mut json = serde_json::to_string_pretty(report).map_err(|error| {
                    Failure::new(Exit::Failed, "can't write the result as JSON", error)
                })?;
                json.push('\n');
                json
            }
        };
        Ok(self.output.write(&text)?)
    }

    /// Shows a report while the command goes on; as JSON it is one line, so that a reader knows where it ends.
    pub(crate) fn announce(&mut self, report: &impl Report) -> Result<(), Failure> {
        let text = match self.format() {
            Format::Table => report.render(self.paint(&self.output)),
            Format::Json => {
                let mut json = serde_json::to_string(report).map_err(|error| {
                    Failure::new(Exit::Failed, "can't write the result as JSON", error)
                })?;
                json.push('\n');
                json
            }
        };
        Ok(self.output.write(&text)?)
    }

    /// Writes to standard output what has a form of its own.
    pub(crate) fn print(&mut self, render: impl FnOnce(Paint) -> String) -> Result<(), Failure> {
        let text = render(self.paint(&self.output));
        Ok(self.output.write(&text)?)
    }

    /// Says something beside the result, on standard error. Nothing is said to programs, which asked for JSON.
    pub(crate) fn note(&mut self, text: &str) {
        if self.format != Some(Format::Json) {
            let paint = self.paint(&self.errors);
            let label = paint.tone(Tone::Notable, "note:");
            let room = paint.width().saturating_sub(NOTE_INDENT.len());
            let text = wrap(&clean(text), room).join(&format!("\n{NOTE_INDENT}"));
            // There is nowhere left to tell that standard error is gone.
            let _ = self.errors.write(&format!("{label} {text}\n"));
        }
    }

    /// Writes to standard error as it is.
    pub(crate) fn write_progress(&mut self, text: &str) {
        let _ = self.errors.write(text);
    }

    /// Tells a failure and returns its exit code.
    pub(crate) fn fail(&mut self, failure: &Failure) -> Exit {
        if !failure.is_silent {
            let text = match self.format {
                Some(Format::Json) => failure.to_json(),
                _ => failure.render(self.paint(&self.errors)),
            };
            let _ = self.errors.write(&text);
        }
        failure.exit_code
    }

    /// Answers arguments that can't be understood, or that ask for help.
    pub(crate) fn refuse(&mut self, error: clap::Error) -> Exit {
        let is_help = !error.use_stderr();
        let stream = if is_help { &self.output } else { &self.errors };
        let rendered = error.render();
        let is_colored = self.paint(stream).is_colored();
        let text = if is_colored {
            rendered.ansi().to_string()
        } else {
            rendered.to_string()
        };
        let stream = if is_help {
            &mut self.output
        } else {
            &mut self.errors
        };
        let _ = stream.write(&text);
        if is_help { Exit::Success } else { Exit::Usage }
    }

    /// Asks a person for a secret; `None` when nobody sits at a terminal.
    pub(crate) fn ask(&mut self, prompt: &str) -> Option<io::Result<SecretString>> {
        self.ask.as_mut().map(|ask| ask(prompt))
    }

    /// Whether somebody can be asked.
    pub(crate) fn can_ask(&self) -> bool {
        self.ask.is_some()
    }

    /// Standard input.
    pub(crate) fn input(&mut self) -> &mut dyn BufRead {
        &mut *self.input
    }
}
