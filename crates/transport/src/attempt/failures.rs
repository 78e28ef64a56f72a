//! What a call that failed says.
//!
//! Invariant: an error of a later attempt never hides what an earlier one has left open.

use std::sync::Arc;

use super::{Attempts, unknown};
use crate::channel::Channel;
use crate::error::{Applied, ConnectError, Error, ErrorKind, Phase};
use crate::seat::NotReady;

/// What to try when a peer is connected and mute.
const SILENT_HINT: &str = "The server hangs, or something between loses what it sends: look at its process and at the network.";

impl Attempts<'_, '_> {
    pub(super) fn not_ready(&self, reason: NotReady) -> Error {
        match reason {
            NotReady::Closed => self.closed(),
            NotReady::Down(error) => self.down(&error, ""),
            NotReady::NoStreamInTime => self.waited_in_vain(),
            NotReady::Unreadable(error) => self.error(
                ErrorKind::Unauthenticated,
                Phase::Configuration,
                error.to_string(),
            ),
            NotReady::NotReadInTime => self
                .error(
                    ErrorKind::DeadlineExceeded,
                    Phase::Configuration,
                    "the credentials were still being read",
                )
                .with_hint("Look at where they come from: its file system or its command hangs."),
        }
    }

    /// The handle was closed before the call was sent, or before it was sent again.
    pub(super) fn closed(&self) -> Error {
        self.error(ErrorKind::Closed, Phase::Waiting, "")
            .with_hint("Connect again.")
    }

    fn down(&self, error: &Arc<ConnectError>, waited: &str) -> Error {
        let this = self.error(
            ErrorKind::Unavailable,
            Phase::Waiting,
            format!("{waited}{error}"),
        );
        this.with_hint(error.failure.hint())
            .with_source(Arc::clone(error) as Arc<dyn std::error::Error + Send + Sync>)
    }

    /// The deadline passed before a channel was ready.
    fn waited_in_vain(&self) -> Error {
        let snapshot = self.seat.pool().snapshot();
        match &snapshot.last_error {
            Some(error) if snapshot.channels.is_empty() => self.down(
                error,
                "waited until the deadline; the last connect failed: ",
            ),
            _ if snapshot
                .channels
                .iter()
                .all(|channel| channel.gauges.is_unresponsive()) =>
            {
                self.error(
                    ErrorKind::DeadlineExceeded,
                    Phase::Waiting,
                    "the server has stopped answering, pings as well, so nothing was sent to it",
                )
                .with_hint(SILENT_HINT)
            }
            _ => self.without_stream(),
        }
    }

    /// The deadline passed before the peer allowed a stream.
    pub(super) fn without_stream(&self) -> Error {
        self.error(
            ErrorKind::DeadlineExceeded,
            Phase::Waiting,
            "every stream that the server allows was in use until then",
        )
    }

    /// A read leaves a peer that does not answer; seen only where no time is left for another attempt.
    pub(super) fn unresponsive(&self, channel: &Channel) -> Error {
        let detail = format!(
            "the server does not answer, pings as well (channel {} to {})",
            channel.id, channel.peer
        );
        self.error(ErrorKind::Transport, Phase::Exchange, detail)
            .with_applied(self.unknown())
            .with_hint(SILENT_HINT)
    }

    /// The handle is closed, and the time that its calls had to end is over.
    pub(super) fn cut(&self, channel: &Channel) -> Error {
        let detail = format!(
            "the drain deadline passed (channel {} to {})",
            channel.id, channel.peer
        );
        self.error(ErrorKind::Transport, Phase::Exchange, detail)
            .with_applied(self.unknown())
    }

    /// The deadline passed while the answer was awaited.
    pub(super) fn unanswered(&self, channel: &Channel) -> Error {
        let budget = self
            .call
            .deadline
            .saturating_duration_since(self.call.began);
        let mut detail = format!("no answer within {:.1} s", budget.as_secs_f32());
        let hint = if channel.gauges.is_unresponsive() {
            detail.push_str(", and none to a ping");
            SILENT_HINT
        } else {
            "Give the call more time, or look at the server's load."
        };
        self.error(ErrorKind::DeadlineExceeded, Phase::Exchange, detail)
            .with_applied(self.unknown())
            .with_hint(hint)
    }

    pub(super) fn unknown(&self) -> Applied {
        unknown(self.call.class)
    }

    pub(super) fn error(&self, kind: ErrorKind, phase: Phase, detail: impl Into<String>) -> Error {
        Error::new(
            kind,
            phase,
            self.call.alias,
            &self.seat.pool().address,
            detail,
        )
    }

    pub(super) fn finished(&self, error: Error) -> Error {
        let error = match (&self.last_answer, error.answer()) {
            (Some(answer), None) => error.with_answer(answer.clone()),
            _ => error,
        };
        let error = if self.maybe_applied {
            error.with_applied(Applied::Unknown)
        } else {
            error
        };
        error.with_call(self.call.info.name, self.made, self.call.began.elapsed())
    }
}
