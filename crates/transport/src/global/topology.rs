//! What a global endpoint says of its clusters. Fields that we don't know are passed over.

use serde::Deserialize;

/// Bit 1 of `capability`: the cluster takes writes. (Bit 0: it can be read.)
const WRITABLE: u64 = 0b10;

/// The clusters behind a global endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Topology {
    pub(super) version: i64,
    pub(super) clusters: Vec<Cluster>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Cluster {
    pub(super) endpoint: String,
    #[serde(default)]
    capability: u64,
}

#[derive(Deserialize)]
struct Envelope {
    code: i64,
    #[serde(default)]
    message: String,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    version: Version,
    clusters: Vec<Cluster>,
}

/// A number, also where it is written as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Version {
    Number(i64),
    Text(String),
}

impl Topology {
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        let envelope: Envelope = serde_json::from_slice(body)
            .map_err(|error| format!("the topology can't be read: {error}"))?;
        let data = match envelope.data {
            Some(data) if envelope.code == 0 => data,
            _ => {
                return Err(format!(
                    "the global endpoint answered with code {}: {}",
                    envelope.code, envelope.message
                ));
            }
        };
        let version = match data.version {
            Version::Number(version) => version,
            Version::Text(text) => text
                .parse()
                .map_err(|_| format!("the topology's version is {text:?}"))?,
        };
        Ok(Self {
            version,
            clusters: data.clusters,
        })
    }

    /// The cluster that takes writes.
    pub(super) fn primary(&self) -> Option<&Cluster> {
        self.clusters
            .iter()
            .find(|cluster| cluster.capability & WRITABLE != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_writable_cluster_is_the_primary_and_unknown_fields_are_passed_over() {
        let body = br#"{"code":0,"more":1,"data":{"version":"7","x":{},"clusters":[
            {"clusterId":"a","endpoint":"https://a.example","capability":1,"region":"r"},
            {"clusterId":"b","endpoint":"https://b.example","capability":3}]}}"#;
        let topology = Topology::parse(body).unwrap();
        assert_eq!(topology.version, 7);
        assert_eq!(topology.primary().unwrap().endpoint, "https://b.example");
    }

    #[test]
    fn answers_that_are_none_are_told() {
        assert!(Topology::parse(b"<html>").is_err());
        assert!(
            Topology::parse(br#"{"code":1,"message":"no such cluster"}"#)
                .unwrap_err()
                .contains("no such cluster")
        );
        let nobody = Topology::parse(br#"{"code":0,"data":{"version":1,"clusters":[]}}"#).unwrap();
        assert_eq!(nobody.primary(), None);
    }
}
