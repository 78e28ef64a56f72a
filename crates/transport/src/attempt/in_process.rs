//! What the answer of a service in this process means.
//!
//! Invariant: an answer means the same as over the network; but there is no channel that could have failed, and no second
//! attempt.

use std::sync::Arc;

use super::{Call, Check, unknown};
use crate::error::{Error, ErrorKind, GrpcCode, Phase, ServerAnswer};
use crate::grpc::Answer;

/// Judges the answer of a service in this process.
pub(crate) fn judge_in_process(
    answer: Answer,
    call: &Call<'_>,
    address: &Arc<str>,
    check: &mut Check<'_>,
) -> Result<(), Error> {
    let error = |kind| Error::new(kind, Phase::Answered, call.alias, address, "");
    if answer.status.code != GrpcCode::Ok {
        let kind = match answer.status.code {
            GrpcCode::Unimplemented => ErrorKind::Unimplemented,
            GrpcCode::Unauthenticated => ErrorKind::Unauthenticated,
            GrpcCode::PermissionDenied => ErrorKind::PermissionDenied,
            GrpcCode::Unavailable => ErrorKind::Unavailable,
            _ => ErrorKind::Answered,
        };
        return Err(error(kind).with_answer(ServerAnswer::from_grpc(
            answer.status.code,
            answer.status.message,
        )));
    }
    match check(answer.message.unwrap_or_default()) {
        Ok(None) => Ok(()),
        Ok(Some(answer)) => Err(error(ErrorKind::Answered).with_answer(answer)),
        Err(cause) => Err(Error::new(
            ErrorKind::Decode,
            Phase::Decode,
            call.alias,
            address,
            cause.to_string(),
        )
        .with_applied(unknown(call.class))
        .with_source(Arc::new(cause))),
    }
}
