//! The server itself: version, health, metrics, components.
//!
//! Invariant: what the server says of its health is an answer, never an error; an error means that it
//! could not be asked.

use milvus_protocol::milvus::{
    CheckHealthRequest, CheckHealthResponse, ComponentInfo, ComponentStates,
    GetComponentStatesRequest, GetMetricsRequest, GetMetricsResponse, GetVersionRequest,
    GetVersionResponse,
};
use milvus_transport::ServerDescription;
use serde_json::Value;

use crate::client::Client;
use crate::error::{Error, Result};
use crate::feature::Feature;

impl Client {
    /// Asks for the server's version, such as `v2.5.4`.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// println!("{}", client.version().await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`].
    pub fn version(&self) -> GetVersion {
        GetVersion::new(self)
    }

    /// Asks whether the server thinks that it is well.
    ///
    /// A Milvus that has just started again can say "not healthy" for half a minute and still answer
    /// every call; use it for alarms, not for readiness.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// let health = client.check_health().await?;
    /// assert!(health.is_healthy, "{:?}", health.reasons);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`].
    pub fn check_health(&self) -> CheckHealth {
        CheckHealth::new(self)
    }

    /// Asks for metrics of the whole system, as the JSON that the server makes.
    ///
    /// `request` is Milvus's JSON, such as `{"metric_type": "system_info"}`.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// let metrics = client
    ///     .metrics(serde_json::json!({"metric_type": "system_info"}))
    ///     .await?;
    /// println!("{metrics:#}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`]; [`Error::UnexpectedAnswer`] when the answer is not JSON.
    pub fn metrics(&self, request: Value) -> GetMetrics {
        GetMetrics::new(self, request)
    }

    /// Asks for the state of each component of the server.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// for component in client.component_states().await? {
    ///     println!("{} {}: {:?}", component.role, component.node_id, component.state);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`].
    pub fn component_states(&self) -> GetComponentStates {
        GetComponentStates::new(self)
    }

    /// What the server said of itself when the connection was made: version, build, deploy mode. Nothing
    /// is sent.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// println!("{}", client.server_info().deploy_mode);
    /// # Ok(())
    /// # }
    /// ```
    pub fn server_info(&self) -> ServerDescription {
        self.connection().server()
    }
}

request_type! {
    /// A request of [`Client::version`].
    GetVersion() => String
}

impl GetVersion {
    fn message(&self) -> Result<GetVersionRequest> {
        Ok(GetVersionRequest {})
    }
}

single_call! {
    GetVersion: GET_VERSION of Feature::call("its version"),
    |answer: GetVersionResponse| Ok(answer.version) => String
}

request_type! {
    /// A request of [`Client::check_health`].
    CheckHealth() => Health
}

impl CheckHealth {
    fn message(&self) -> Result<CheckHealthRequest> {
        Ok(CheckHealthRequest {})
    }
}

single_call! {
    CheckHealth: CHECK_HEALTH of Feature::call("health checks"),
    |answer| Ok(Health::from(answer)) => Health
}

/// How the server thinks it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Whether all is well.
    pub is_healthy: bool,
    /// What is not, in the server's words.
    pub reasons: Vec<String>,
    /// What the server limits or refuses at the moment.
    pub quota_states: Vec<QuotaState>,
}

impl From<CheckHealthResponse> for Health {
    fn from(answer: CheckHealthResponse) -> Self {
        let states = answer.quota_states.into_iter();
        Self {
            is_healthy: answer.is_healthy,
            reasons: answer.reasons,
            quota_states: states.map(QuotaState::from_number).collect(),
        }
    }
}

numbered! {
    /// What a server limits or refuses to protect itself.
    QuotaState {
        /// Nothing known.
        Unknown = 0,
        /// Reads are slowed down.
        ReadLimited = 2,
        /// Writes are slowed down.
        WriteLimited = 3,
        /// Reads are refused.
        DenyToRead = 4,
        /// Writes are refused.
        DenyToWrite = 5,
        /// Changes of definitions are refused.
        DenyToDdl = 6,
    }
}

request_type! {
    /// A request of [`Client::metrics`].
    GetMetrics(request: Value) => Value
}

impl GetMetrics {
    fn message(&self) -> Result<GetMetricsRequest> {
        if !self.request.is_object() {
            return Err(Error::request("metrics", "request", "is not a JSON object"));
        }
        Ok(GetMetricsRequest {
            request: self.request.to_string(),
            ..GetMetricsRequest::default()
        })
    }
}

single_call! {
    GetMetrics: GET_METRICS of Feature::call("metrics over gRPC"), read_metrics => Value
}

fn read_metrics(answer: GetMetricsResponse) -> Result<Value> {
    serde_json::from_str(&answer.response)
        .map_err(|cause| Error::answer("metrics", format!("they are not JSON: {cause}")))
}

request_type! {
    /// A request of [`Client::component_states`].
    GetComponentStates() => Vec<ComponentState>
}

impl GetComponentStates {
    fn message(&self) -> Result<GetComponentStatesRequest> {
        Ok(GetComponentStatesRequest {})
    }
}

single_call! {
    GetComponentStates: GET_COMPONENT_STATES of Feature::call("states of components"),
    |answer: ComponentStates| {
        let components = answer.state.into_iter().chain(answer.subcomponent_states);
        Ok(components.map(ComponentState::from).collect())
    } => Vec<ComponentState>
}

/// The state of one component of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ComponentState {
    /// The number of the node it runs on.
    pub node_id: i64,
    /// What it does: `proxy`, `querynode`, ….
    pub role: String,
    /// Its state.
    pub state: StateCode,
}

impl From<ComponentInfo> for ComponentState {
    fn from(info: ComponentInfo) -> Self {
        Self {
            node_id: info.node_id,
            role: info.role,
            state: StateCode::from_number(info.state_code),
        }
    }
}

numbered! {
    /// The state of a component.
    StateCode {
        /// It is starting.
        Initializing = 0,
        /// It works.
        Healthy = 1,
        /// It does not work.
        Abnormal = 2,
        /// It waits to take over from another.
        StandBy = 3,
        /// It is shutting down.
        Stopping = 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_that_are_not_json_are_an_unexpected_answer() {
        let answer = |text: &str| GetMetricsResponse {
            response: text.to_owned(),
            ..GetMetricsResponse::default()
        };
        assert_eq!(
            read_metrics(answer("{\"a\": 1}")).expect("JSON"),
            serde_json::json!({"a": 1})
        );
        assert!(matches!(
            read_metrics(answer("")),
            Err(Error::UnexpectedAnswer(_))
        ));
    }

    #[test]
    fn an_unknown_state_is_carried() {
        let answer = CheckHealthResponse {
            quota_states: vec![4, 77],
            ..CheckHealthResponse::default()
        };
        let expected = [QuotaState::DenyToRead, QuotaState::Other(77)];
        assert_eq!(Health::from(answer).quota_states, expected);
        assert_eq!(QuotaState::Other(77).number(), 77);
    }
}
