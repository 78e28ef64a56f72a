//! A sign of life on the terminal while something takes long.
//!
//! Invariant: it is drawn on standard error and only for people; whatever happens, the line is clear again afterwards.

use std::future::Future;
use std::time::Duration;

use crate::console::Console;
use crate::output::clean;

const FRAMES: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
/// Nobody needs to be told to wait for what is done in this time.
const PATIENCE: Duration = Duration::from_millis(300);
const FRAME: Duration = Duration::from_millis(100);
const CLEAR_LINE: &str = "\r\u{1b}[2K";

/// Awaits `work`, and tells people what is being done when it takes a while.
pub(crate) async fn during<T>(
    console: &mut Console,
    what: &str,
    work: impl Future<Output = T>,
) -> T {
    if !console.is_watched() {
        return work.await;
    }
    let mut work = std::pin::pin!(work);
    let mut pause = PATIENCE;
    let mut frames = FRAMES.iter().cycle();
    let mut is_drawn = false;
    let done = loop {
        match tokio::time::timeout(pause, &mut work).await {
            Ok(done) => break done,
            Err(_) => {
                let frame = frames.next().copied().unwrap_or_default();
                console.write_progress(&format!("{CLEAR_LINE}{frame} {}", clean(what)));
                (pause, is_drawn) = (FRAME, true);
            }
        }
    };
    if is_drawn {
        console.write_progress(CLEAR_LINE);
    }
    done
}
