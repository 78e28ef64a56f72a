//! A terminal that is drawn on as a whole: the alternate screen, keys as they are pressed.
//!
//! Invariant: however the drawing ends (a key, a signal, an error, a panic), the terminal is afterwards as it was before.

use std::io::{self, Write as _};
use std::sync::{Mutex, PoisonError};

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::exit::Exit;
use crate::failure::Failure;

/// The alternate screen, without a cursor.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l";
const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";
/// A terminal that knows it shows what is in between at once; others ignore it.
const BEGIN_FRAME: &str = "\u{1b}[?2026h\u{1b}[H";
const END_FRAME: &str = "\u{1b}[J\u{1b}[?2026l";
const END_LINE: &str = "\u{1b}[K";

/// How the terminal was before; `None` when it is so now.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// Columns and rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

impl Size {
    /// As it is now; 80 by 24 where it can't be known.
    pub(crate) fn of_terminal() -> Self {
        let size = terminal_size::terminal_size();
        size.map_or(
            Self {
                columns: 80,
                rows: 24,
            },
            |(width, height)| Self {
                columns: width.0.into(),
                rows: height.0.into(),
            },
        )
    }
}

/// The screen; leaving it is dropping it.
pub(crate) struct Screen {
    keys: UnboundedReceiver<u8>,
}

impl Screen {
    /// Takes the terminal of standard input and output.
    pub(crate) fn open() -> Result<Self, Failure> {
        let stdin = rustix::stdio::stdin();
        let no_terminal = |error: rustix::io::Errno| {
            Failure::new(Exit::Failed, "can't draw on this terminal", error)
                .hint("Use --once for a snapshot, or let it be piped.")
        };
        let before = tcgetattr(stdin).map_err(no_terminal)?;
        let mut raw = before.clone();
        // Keys come one by one and are not shown; Ctrl-C stays a signal.
        raw.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
        raw.special_codes[SpecialCodeIndex::VMIN] = 1;
        raw.special_codes[SpecialCodeIndex::VTIME] = 0;
        restore_when_panicking();
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
        let screen = Self { keys: keys() };
        tcsetattr(stdin, OptionalActions::Flush, &raw).map_err(no_terminal)?;
        write(ENTER);
        Ok(screen)
    }

    /// The next key.
    pub(crate) async fn key(&mut self) -> u8 {
        match self.keys.recv().await {
            Some(key) => key,
            // Standard input has ended, and with it the keys.
            None => std::future::pending().await,
        }
    }

    /// The text that replaces what the screen shows by these lines, without a moment of emptiness.
    pub(crate) fn frame(lines: &[String]) -> String {
        let ended: Vec<String> = lines
            .iter()
            .map(|line| format!("{line}{END_LINE}"))
            .collect();
        // No line feed after the last: on the last row it would scroll.
        format!("{BEGIN_FRAME}{}{END_FRAME}", ended.join("\r\n"))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// The keys, read on a thread of its own that sleeps until the process ends: a read can't be cancelled.
fn keys() -> UnboundedReceiver<u8> {
    let (sender, keys) = unbounded_channel();
    std::thread::spawn(move || {
        let mut byte = [0];
        while matches!(rustix::io::read(rustix::stdio::stdin(), &mut byte), Ok(1)) {
            if sender.send(byte[0]).is_err() {
                break;
            }
        }
    });
    keys
}

/// Gives the terminal back as it was, once.
fn restore() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(before) = before {
        write(LEAVE);
        // Without a terminal any more there is nothing to restore.
        let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Flush, &before);
    }
}

/// A panic's message shall be seen on the terminal as it was.
fn restore_when_panicking() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        restore();
        usual(panic);
    }));
}

fn write(text: &str) {
    let mut output = io::stdout();
    // A terminal that has gone away needs nothing any more.
    let _ = output.write_all(text.as_bytes());
    let _ = output.flush();
}

#[cfg(test)]
mod tests {
    use std::fs::{File, OpenOptions};
    use std::io::Read as _;
    use std::path::Path;
    use std::process::Command;

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use super::*;

    /// Set for the process that takes a terminal and panics: on the thread that drew, or on another one.
    const WHERE_TO_PANIC: &str = "MILVUSCTL_TEST_PANICS_ON";
    const ITSELF: &str = "screen::tests::a_panic_gives_the_terminal_back_before_it_is_told";

    fn take_the_terminal_and_panic(on: &str) -> ! {
        let screen = Screen::open().unwrap();
        if on == "another thread" {
            std::thread::spawn(|| panic!("on purpose"))
                .join()
                .unwrap_err();
            // Nobody drops the screen: that the terminal is as before is the hook's doing.
            std::process::exit(101);
        }
        let _screen = screen;
        panic!("on purpose");
    }

    #[test]
    fn a_panic_gives_the_terminal_back_before_it_is_told() {
        if let Ok(on) = std::env::var(WHERE_TO_PANIC) {
            take_the_terminal_and_panic(&on);
        }
        for on in ["its own thread", "another thread"] {
            let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
            grantpt(&person).unwrap();
            unlockpt(&person).unwrap();
            let name = ptsname(&person, Vec::new()).unwrap();
            let name = Path::new(name.to_str().unwrap());
            let program = OpenOptions::new()
                .read(true)
                .write(true)
                .open(name)
                .unwrap();
            let before = tcgetattr(&program).unwrap();
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", ITSELF, "--nocapture"])
                .env(WHERE_TO_PANIC, on)
                // What nobody reads must fit into the terminal.
                .env("RUST_BACKTRACE", "0")
                .stdin(program.try_clone().unwrap())
                .stdout(program.try_clone().unwrap())
                .stderr(program.try_clone().unwrap())
                .spawn()
                .unwrap();
            let (mut person, mut seen) = (File::from(person), String::new());
            let mut buffer = [0; 4096];
            while !seen.contains("on purpose") {
                let length = person.read(&mut buffer).unwrap();
                seen.push_str(&String::from_utf8_lossy(&buffer[..length]));
            }
            assert_eq!(child.wait().unwrap().code(), Some(101), "{seen:?}");
            let (drawn, told) = seen.split_once(LEAVE).expect("the terminal is left");
            assert!(drawn.contains(ENTER), "{seen:?}");
            assert!(told.contains("on purpose"), "{seen:?}");
            let after = tcgetattr(&program).unwrap();
            assert_eq!(after.local_modes, before.local_modes, "{on}");
        }
    }

    #[test]
    fn a_frame_clears_what_it_does_not_write() {
        let frame = Screen::frame(&["one".into(), "two".into()]);
        assert_eq!(
            frame,
            "\u{1b}[?2026h\u{1b}[Hone\u{1b}[K\r\ntwo\u{1b}[K\u{1b}[J\u{1b}[?2026l"
        );
    }
}
