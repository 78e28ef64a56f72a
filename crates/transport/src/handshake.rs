//! Milvus's own greeting: is it a Milvus, does it know us, has it the database, which version is it.
//!
//! Invariant: a channel is ready only after this greeting; an answer that is an error becomes the one failure that it
//! means, with the server's words kept. Servers that do not know `Connect` are greeted by `GetVersion`.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::StatusCode;
use milvus_protocol::common::{ClientInfo, ErrorCode, ServerInfo, Status};
use milvus_protocol::milvus::{
    ConnectRequest, ConnectResponse, GetVersionRequest, GetVersionResponse,
};
use milvus_protocol::{EncodedMessage, encode_grpc_frame, rpc};

use crate::error::{ConnectError, ConnectFailure, GrpcCode, Phase, ServerAnswer};
use crate::grpc::{Answer, Broken};

/// A greeting has some hundred bytes, and the user's name.
const MOST: usize = 1024 * 1024;

/// What a Milvus says of itself in the handshake. Fields that the server does not fill in are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct ServerDescription {
    /// The version, for example `v2.5.4`.
    pub version: String,
    /// `STANDALONE`, `DISTRIBUTED`, …
    pub deploy_mode: String,
    /// When it was built.
    pub build_time: String,
    /// The commit that it was built from.
    pub git_commit: String,
}

/// The answer to a greeting.
#[derive(Debug)]
pub(crate) struct Greeting {
    pub(crate) identifier: Option<i64>,
    pub(crate) server: ServerDescription,
}

/// Makes one call of the handshake: path and encoded request in, the raw answer out.
pub(crate) trait Exchange {
    fn exchange(
        &self,
        path: &'static str,
        message: EncodedMessage,
    ) -> impl Future<Output = Result<Answer, Broken>> + Send;
}

/// Greets the Milvus at the other end of a channel. `anonymous`: no credentials are sent.
pub(crate) async fn greet(
    exchange: &impl Exchange,
    address: &Arc<str>,
    user: &str,
    anonymous: bool,
) -> Result<Greeting, ConnectError> {
    let judge = Judge { address, anonymous };
    let request = ConnectRequest {
        base: None,
        client_info: Some(client_info(user)),
    };
    let answer = exchange
        .exchange(rpc::CONNECT.path(), judge.encode(&request)?)
        .await
        .map_err(|broken| judge.broken(broken))?;
    if answer.status.code == GrpcCode::Unimplemented {
        // Said before the credentials were looked at.
        return greet_by_version(exchange, &judge).await;
    }
    let response: ConnectResponse = judge.message(answer)?;
    judge.status(rpc::CONNECT.status(&response))?;
    Ok(Greeting {
        identifier: Some(response.identifier),
        server: response.server_info.unwrap_or_default().into(),
    })
}

impl From<ServerInfo> for ServerDescription {
    fn from(info: ServerInfo) -> Self {
        Self {
            version: info.build_tags,
            deploy_mode: info.deploy_mode,
            build_time: info.build_time,
            git_commit: info.git_commit,
        }
    }
}

async fn greet_by_version(
    exchange: &impl Exchange,
    judge: &Judge<'_>,
) -> Result<Greeting, ConnectError> {
    let request = judge.encode(&GetVersionRequest {})?;
    let answer = exchange
        .exchange(rpc::GET_VERSION.path(), request)
        .await
        .map_err(|broken| judge.broken(broken))?;
    if answer.status.code == GrpcCode::Unimplemented {
        return Err(ConnectError::new(
            ConnectFailure::NotMilvus,
            Phase::Handshake,
            judge.address,
            "it is a gRPC server, but it knows neither Connect nor GetVersion",
        ));
    }
    let response: GetVersionResponse = judge.message(answer)?;
    judge.status(rpc::GET_VERSION.status(&response))?;
    let server = ServerDescription {
        version: response.version,
        ..ServerDescription::default()
    };
    Ok(Greeting {
        identifier: None,
        server,
    })
}

/// Turns the answers of a handshake into what they mean.
pub(crate) struct Judge<'a> {
    pub(crate) address: &'a Arc<str>,
    pub(crate) anonymous: bool,
}

impl Judge<'_> {
    fn encode(&self, request: &impl prost::Message) -> Result<EncodedMessage, ConnectError> {
        encode_grpc_frame(request, MOST).map_err(|error| {
            ConnectError::new(
                ConnectFailure::InvalidConfiguration,
                Phase::Configuration,
                self.address,
                error.to_string(),
            )
        })
    }

    fn message<M: prost::Message + Default>(&self, answer: Answer) -> Result<M, ConnectError> {
        if answer.status.code != GrpcCode::Ok {
            return Err(self.answered(ServerAnswer::from_grpc(
                answer.status.code,
                answer.status.message,
            )));
        }
        answer
            .message
            .unwrap_or_default()
            .decode()
            .map_err(|error| {
                ConnectError::new(
                    ConnectFailure::NotMilvus,
                    Phase::Handshake,
                    self.address,
                    "its answer is not Milvus's",
                )
                .with_source(error)
            })
    }

    fn status(&self, status: Option<&Status>) -> Result<(), ConnectError> {
        match status {
            Some(status) if !status.is_success() => {
                Err(self.answered(ServerAnswer::from_status(status)))
            }
            _ => Ok(()),
        }
    }

    /// What an answer means that is an error.
    pub(crate) fn answered(&self, answer: ServerAnswer) -> ConnectError {
        let (failure, phase) = self.meaning(&answer);
        ConnectError::new(failure, phase, self.address, "").with_answer(answer)
    }

    fn meaning(&self, answer: &ServerAnswer) -> (ConnectFailure, Phase) {
        /// Milvus: the database does not exist.
        const DATABASE_NOT_FOUND: i32 = 800;
        /// Milvus: the service is not ready; the service is unavailable; its node has not started.
        const NOT_READY: [i32; 3] = [1, 2, 901];
        /// What servers before 2.3 say instead.
        const NOT_READY_LEGACY: [i32; 2] = [
            ErrorCode::NotReadyServe as i32,
            ErrorCode::NotReadyCoordActivating as i32,
        ];
        let reason = answer.reason();
        let credentials = || match self.anonymous {
            true => (ConnectFailure::CredentialsRequired, Phase::Authentication),
            false => (ConnectFailure::WrongCredentials, Phase::Authentication),
        };
        match answer.grpc_code() {
            GrpcCode::Unauthenticated => credentials(),
            GrpcCode::PermissionDenied => (ConnectFailure::PermissionDenied, Phase::Authentication),
            // Behind TLS, Milvus says so with the code Unknown.
            GrpcCode::Unknown if reason.contains("not ready") => {
                (ConnectFailure::ProxyNotReady, Phase::Handshake)
            }
            GrpcCode::Unavailable => (ConnectFailure::ProxyNotReady, Phase::Handshake),
            GrpcCode::Ok
                if answer.code() == DATABASE_NOT_FOUND || reason.contains("database not found") =>
            {
                (ConnectFailure::UnknownDatabase, Phase::Database)
            }
            GrpcCode::Ok if reason.contains("auth check failure") => credentials(),
            GrpcCode::Ok
                if NOT_READY.contains(&answer.code())
                    || NOT_READY_LEGACY.contains(&answer.legacy_code())
                    || reason.contains("not ready") =>
            {
                (ConnectFailure::ProxyNotReady, Phase::Handshake)
            }
            _ => (ConnectFailure::HandshakeFailed, Phase::Handshake),
        }
    }

    /// What an exchange without an answer means, as far as it can be told without looking at the channel's first bytes.
    fn broken(&self, broken: Broken) -> ConnectError {
        let new = |failure, detail: String| {
            ConnectError::new(failure, Phase::Handshake, self.address, detail)
        };
        match broken {
            Broken::NotSent(error) | Broken::Refused(error) | Broken::MaybeSent(error) => {
                new(ConnectFailure::HandshakeBroken, error.to_string()).with_source(error)
            }
            Broken::Malformed(detail) => new(ConnectFailure::NotMilvus, detail),
            Broken::TooLarge { len, .. } => new(
                ConnectFailure::NotMilvus,
                format!("its answer to the handshake has {len} bytes"),
            ),
            Broken::NotGrpc {
                status,
                content_type,
            } => {
                let what = if content_type.is_empty() {
                    "without a content type".into()
                } else {
                    format!("with {content_type}")
                };
                let failure = match status {
                    // What a proxy in front says while Milvus behind it is away.
                    StatusCode::BAD_GATEWAY
                    | StatusCode::SERVICE_UNAVAILABLE
                    | StatusCode::GATEWAY_TIMEOUT => ConnectFailure::ProxyNotReady,
                    StatusCode::UNAUTHORIZED if self.anonymous => {
                        ConnectFailure::CredentialsRequired
                    }
                    StatusCode::UNAUTHORIZED => ConnectFailure::WrongCredentials,
                    StatusCode::FORBIDDEN => ConnectFailure::PermissionDenied,
                    _ => ConnectFailure::NotMilvus,
                };
                new(failure, format!("it answered HTTP {status} {what}"))
            }
        }
    }
}

fn client_info(user: &str) -> ClientInfo {
    ClientInfo {
        sdk_type: "Rust".into(),
        sdk_version: concat!("milvus-connections-", env!("CARGO_PKG_VERSION")).into(),
        local_time: timestamp(
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
        ),
        user: user.into(),
        host: host_name(),
        ..ClientInfo::default()
    }
}

/// This machine's name, for the server's list of clients; empty where it can't be told.
fn host_name() -> String {
    let named =
        std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::env::var("HOSTNAME"));
    named.map(|name| name.trim().to_owned()).unwrap_or_default()
}

/// `YYYY-MM-DD HH:MM:SS.ffffff` in UTC. The calendar is the proleptic Gregorian one, counted in eras of 400 years that
/// begin on 1 March, so that the leap day is the last of a year.
fn timestamp(since_epoch: Duration) -> String {
    const DAYS_FROM_YEAR_0_TO_EPOCH: u64 = 719_468;
    const DAYS_PER_ERA: u64 = 146_097;
    let seconds = since_epoch.as_secs();
    let days = seconds / 86_400 + DAYS_FROM_YEAR_0_TO_EPOCH;
    let (era, day_of_era) = (days / DAYS_PER_ERA, days % DAYS_PER_ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!(
        "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{:06}",
        since_epoch.subsec_micros()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_calendar_dates() {
        let text = |seconds| timestamp(Duration::from_secs(seconds));
        assert_eq!(text(0), "1970-01-01 00:00:00.000000");
        assert_eq!(text(951_782_400), "2000-02-29 00:00:00.000000");
        assert_eq!(text(1_709_251_199), "2024-02-29 23:59:59.000000");
        assert_eq!(
            timestamp(Duration::from_micros(1_795_299_496_217_885)),
            "2026-11-21 22:18:16.217885"
        );
    }

    fn answer(grpc: GrpcCode, code: i32, reason: &str) -> ServerAnswer {
        match grpc {
            GrpcCode::Ok => ServerAnswer::from_status(&Status {
                code,
                reason: reason.into(),
                ..Status::default()
            }),
            grpc => ServerAnswer::from_grpc(grpc, reason.into()),
        }
    }

    #[test]
    fn each_answer_has_its_meaning() {
        let address: Arc<str> = "a:1".into();
        let failure = |anonymous, given| {
            Judge {
                address: &address,
                anonymous,
            }
            .answered(given)
            .failure
        };
        let refused = || answer(GrpcCode::Unauthenticated, 0, "auth check failure");
        assert_eq!(
            failure(true, refused()),
            ConnectFailure::CredentialsRequired
        );
        assert_eq!(failure(false, refused()), ConnectFailure::WrongCredentials);
        assert_eq!(
            failure(
                false,
                answer(GrpcCode::Ok, 800, "database not found[database=x]")
            ),
            ConnectFailure::UnknownDatabase
        );
        assert_eq!(
            failure(
                false,
                answer(GrpcCode::Ok, 1, "service not ready[proxy=1]: Initializing")
            ),
            ConnectFailure::ProxyNotReady
        );
        assert_eq!(
            failure(false, answer(GrpcCode::Unavailable, 0, "")),
            ConnectFailure::ProxyNotReady
        );
        assert_eq!(
            failure(false, answer(GrpcCode::Ok, 65535, "odd")),
            ConnectFailure::HandshakeFailed
        );
    }
}
