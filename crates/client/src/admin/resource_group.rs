//! Resource groups: which query nodes serve what.
//!
//! Invariant: a transfer is sent once; a second application would move as many nodes again.

use std::collections::BTreeMap;

use milvus_protocol::common::NodeInfo;
use milvus_protocol::milvus::{
    CreateResourceGroupRequest, DescribeResourceGroupRequest, DescribeResourceGroupResponse,
    DropResourceGroupRequest, ListResourceGroupsRequest, ListResourceGroupsResponse, ResourceGroup,
    TransferNodeRequest, TransferReplicaRequest, UpdateResourceGroupsRequest,
};
use milvus_protocol::rg;

use super::request::{done, given, texts};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::feature::Feature;
use crate::schema::{protocol_map, protocol_pairs};

const GROUPS: Feature = Feature::call("resource groups");
const DECLARED: Feature = Feature::since("declared resource groups", 2, 4);

impl Client {
    /// Creates a resource group.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// use milvus_client::admin::ResourceGroupConfig;
    ///
    /// client
    ///     .create_resource_group("interactive")
    ///     .config(ResourceGroupConfig::new(2, 4).transfer_from(["__default_resource_group"]))
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`] when it exists; [`Error::MissingFeature`] for a `config` before Milvus 2.4.
    pub fn create_resource_group(&self, group: impl Into<String>) -> CreateResourceGroup {
        CreateResourceGroup::new(self, group.into())
    }

    /// Declares anew how many nodes groups want and where from; the server then moves nodes.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// use milvus_client::admin::ResourceGroupConfig;
    ///
    /// client
    ///     .update_resource_groups([("interactive", ResourceGroupConfig::new(1, 2))])
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`] when one does not exist; [`Error::MissingFeature`] before Milvus 2.4.
    pub fn update_resource_groups(
        &self,
        configs: impl IntoIterator<Item = (impl Into<String>, ResourceGroupConfig)>,
    ) -> UpdateResourceGroups {
        let configs = configs.into_iter();
        let configs = configs.map(|(group, config)| (group.into(), config));
        UpdateResourceGroups::new(self, configs.collect())
    }

    /// Drops a resource group. It must have no nodes.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client.drop_resource_group("interactive").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`] when it has nodes. Milvus answers success when there is no such group.
    pub fn drop_resource_group(&self, group: impl Into<String>) -> DropResourceGroup {
        DropResourceGroup::new(self, group.into())
    }

    /// Lists the names of all resource groups.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// println!("{:?}", client.list_resource_groups().await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`].
    pub fn list_resource_groups(&self) -> ListResourceGroups {
        ListResourceGroups::new(self)
    }

    /// Describes a resource group: its nodes and what they serve.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// let group = client.describe_resource_group("interactive").await?;
    /// println!("{} of {} nodes", group.available_nodes, group.capacity);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`] when there is no such group.
    pub fn describe_resource_group(&self, group: impl Into<String>) -> DescribeResourceGroup {
        DescribeResourceGroup::new(self, group.into())
    }

    /// Moves nodes from one group to another. Milvus since 2.4 prefers
    /// [`update_resource_groups`](Self::update_resource_groups).
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client.transfer_node("__default_resource_group", "interactive", 1).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`] when a group does not exist or has too few nodes.
    pub fn transfer_node(
        &self,
        source: impl Into<String>,
        target: impl Into<String>,
        nodes: u32,
    ) -> TransferNode {
        TransferNode::new(self, source.into(), target.into(), nodes)
    }

    /// Moves copies of a loaded collection from one group to another.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client
    ///     .transfer_replica("__default_resource_group", "interactive", "docs", 1)
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`] when a group does not exist or has too few copies.
    pub fn transfer_replica(
        &self,
        source: impl Into<String>,
        target: impl Into<String>,
        collection: impl Into<String>,
        replicas: u32,
    ) -> TransferReplica {
        TransferReplica::new(
            self,
            source.into(),
            target.into(),
            collection.into(),
            replicas,
        )
    }
}

/// How many nodes a group wants, and where from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResourceGroupConfig {
    /// Nodes it should have.
    pub requests: i32,
    /// Nodes it may have.
    pub limits: i32,
    /// Groups that missing nodes are taken from first.
    pub transfer_from: Vec<String>,
    /// Groups that surplus nodes are given to first.
    pub transfer_to: Vec<String>,
    /// Labels that its nodes must have.
    pub node_labels: BTreeMap<String, String>,
}

impl ResourceGroupConfig {
    /// A group that should have `requests` nodes and may have `limits`.
    pub fn new(requests: i32, limits: i32) -> Self {
        Self {
            requests,
            limits,
            ..Self::default()
        }
    }

    /// Sets the groups that missing nodes are taken from first.
    pub fn transfer_from(mut self, groups: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.transfer_from = texts(groups);
        self
    }

    /// Sets the groups that surplus nodes are given to first.
    pub fn transfer_to(mut self, groups: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.transfer_to = texts(groups);
        self
    }

    /// Asks for nodes with this label.
    pub fn node_label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.node_labels.insert(key.into(), value.into());
        self
    }

    fn message(&self, request: &'static str) -> Result<rg::ResourceGroupConfig> {
        if self.requests < 0 || self.limits < self.requests {
            let rule = "is below `requests`, or both are negative";
            return Err(Error::request(request, "limits", rule));
        }
        let transfers = |groups: &[String]| {
            let groups = groups.iter().map(|group| rg::ResourceGroupTransfer {
                resource_group: group.clone(),
            });
            groups.collect()
        };
        let labels = (!self.node_labels.is_empty()).then(|| rg::ResourceGroupNodeFilter {
            node_labels: protocol_pairs(&self.node_labels),
        });
        Ok(rg::ResourceGroupConfig {
            requests: Some(rg::ResourceGroupLimit {
                node_num: self.requests,
            }),
            limits: Some(rg::ResourceGroupLimit {
                node_num: self.limits,
            }),
            transfer_from: transfers(&self.transfer_from),
            transfer_to: transfers(&self.transfer_to),
            node_filter: labels,
        })
    }
}

impl From<rg::ResourceGroupConfig> for ResourceGroupConfig {
    fn from(message: rg::ResourceGroupConfig) -> Self {
        let groups = |transfers: Vec<rg::ResourceGroupTransfer>| {
            let groups = transfers
                .into_iter()
                .map(|transfer| transfer.resource_group);
            groups.collect()
        };
        let filter = message.node_filter.unwrap_or_default();
        Self {
            requests: message.requests.map_or(0, |limit| limit.node_num),
            limits: message.limits.map_or(0, |limit| limit.node_num),
            transfer_from: groups(message.transfer_from),
            transfer_to: groups(message.transfer_to),
            node_labels: protocol_map(filter.node_labels),
        }
    }
}

request_type! {
    /// A request of [`Client::create_resource_group`].
    CreateResourceGroup(group: String) { config: Option<ResourceGroupConfig> } => ()
}

impl CreateResourceGroup {
    /// Declares how many nodes it wants and where from; without it, it has no nodes until some are
    /// transferred.
    pub fn config(mut self, config: ResourceGroupConfig) -> Self {
        self.config = Some(config);
        self
    }

    fn message(&self) -> Result<CreateResourceGroupRequest> {
        const REQUEST: &str = "create_resource_group";
        let config = match &self.config {
            Some(config) => {
                self.client.require(DECLARED)?;
                Some(config.message(REQUEST)?)
            }
            None => None,
        };
        Ok(CreateResourceGroupRequest {
            resource_group: given(REQUEST, "group", &self.group)?,
            config,
            ..CreateResourceGroupRequest::default()
        })
    }
}

single_call! { CreateResourceGroup: CREATE_RESOURCE_GROUP of GROUPS, done => () }

request_type! {
    /// A request of [`Client::update_resource_groups`].
    UpdateResourceGroups(configs: BTreeMap<String, ResourceGroupConfig>) => ()
}

impl UpdateResourceGroups {
    fn message(&self) -> Result<UpdateResourceGroupsRequest> {
        const REQUEST: &str = "update_resource_groups";
        if self.configs.is_empty() {
            return Err(Error::request(REQUEST, "configs", "has no element"));
        }
        let mut message = UpdateResourceGroupsRequest::default();
        for (group, config) in &self.configs {
            let group = given(REQUEST, "group", group)?;
            message
                .resource_groups
                .insert(group, config.message(REQUEST)?);
        }
        Ok(message)
    }
}

single_call! { UpdateResourceGroups: UPDATE_RESOURCE_GROUPS of DECLARED, done => () }

request_type! {
    /// A request of [`Client::drop_resource_group`].
    DropResourceGroup(group: String) => ()
}

impl DropResourceGroup {
    fn message(&self) -> Result<DropResourceGroupRequest> {
        Ok(DropResourceGroupRequest {
            resource_group: given("drop_resource_group", "group", &self.group)?,
            ..DropResourceGroupRequest::default()
        })
    }
}

single_call! { DropResourceGroup: DROP_RESOURCE_GROUP of GROUPS, done => () }

request_type! {
    /// A request of [`Client::list_resource_groups`].
    ListResourceGroups() => Vec<String>
}

impl ListResourceGroups {
    fn message(&self) -> Result<ListResourceGroupsRequest> {
        Ok(ListResourceGroupsRequest::default())
    }
}

single_call! {
    ListResourceGroups: LIST_RESOURCE_GROUPS of GROUPS,
    |answer: ListResourceGroupsResponse| Ok(answer.resource_groups) => Vec<String>
}

request_type! {
    /// A request of [`Client::describe_resource_group`].
    DescribeResourceGroup(group: String) => ResourceGroupDescription
}

impl DescribeResourceGroup {
    fn message(&self) -> Result<DescribeResourceGroupRequest> {
        Ok(DescribeResourceGroupRequest {
            resource_group: given("describe_resource_group", "group", &self.group)?,
            ..DescribeResourceGroupRequest::default()
        })
    }
}

single_call! {
    DescribeResourceGroup: DESCRIBE_RESOURCE_GROUP of GROUPS,
    |answer: DescribeResourceGroupResponse| {
        let group = answer.resource_group.map(ResourceGroupDescription::from);
        group.ok_or_else(|| Error::answer("a resource group", "the server sent none"))
    } => ResourceGroupDescription
}

/// What a resource group is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResourceGroupDescription {
    /// Its name.
    pub name: String,
    /// Nodes it may have.
    pub capacity: i32,
    /// Nodes it has and can use.
    pub available_nodes: i32,
    /// Copies that its nodes have loaded, by collection.
    pub loaded_replicas: BTreeMap<String, i32>,
    /// Its nodes that serve other groups' copies, by collection.
    pub outgoing_nodes: BTreeMap<String, i32>,
    /// Other groups' nodes that serve its copies, by collection.
    pub incoming_nodes: BTreeMap<String, i32>,
    /// What was declared; `None` from servers that do not say.
    pub config: Option<ResourceGroupConfig>,
    /// Its nodes; empty from servers that do not say.
    pub nodes: Vec<Node>,
}

/// A query node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Node {
    /// The server's number for it.
    pub id: i64,
    /// Its address.
    pub address: String,
    /// Its host's name.
    pub hostname: String,
}

impl From<ResourceGroup> for ResourceGroupDescription {
    fn from(group: ResourceGroup) -> Self {
        Self {
            name: group.name,
            capacity: group.capacity,
            available_nodes: group.num_available_node,
            loaded_replicas: group.num_loaded_replica.into_iter().collect(),
            outgoing_nodes: group.num_outgoing_node.into_iter().collect(),
            incoming_nodes: group.num_incoming_node.into_iter().collect(),
            config: group.config.map(ResourceGroupConfig::from),
            nodes: group.nodes.into_iter().map(Node::from).collect(),
        }
    }
}

impl From<NodeInfo> for Node {
    fn from(info: NodeInfo) -> Self {
        Self {
            id: info.node_id,
            address: info.address,
            hostname: info.hostname,
        }
    }
}

/// Numbers travel as signed ones.
fn count(request: &'static str, parameter: &'static str, count: u32) -> Result<i32> {
    match i32::try_from(count) {
        Ok(0) => Err(Error::request(request, parameter, "is 0")),
        Ok(count) => Ok(count),
        Err(_) => Err(Error::request(request, parameter, "is too large")),
    }
}

request_type! {
    /// A request of [`Client::transfer_node`].
    TransferNode(source: String, target: String, nodes: u32) => ()
}

impl TransferNode {
    fn message(&self) -> Result<TransferNodeRequest> {
        Ok(TransferNodeRequest {
            source_resource_group: given("transfer_node", "source", &self.source)?,
            target_resource_group: given("transfer_node", "target", &self.target)?,
            num_node: count("transfer_node", "nodes", self.nodes)?,
            ..TransferNodeRequest::default()
        })
    }
}

single_call! { TransferNode: TRANSFER_NODE of GROUPS, done => () }

request_type! {
    /// A request of [`Client::transfer_replica`].
    TransferReplica(source: String, target: String, collection: String, replicas: u32) => ()
}

impl TransferReplica {
    fn message(&self) -> Result<TransferReplicaRequest> {
        const REQUEST: &str = "transfer_replica";
        Ok(TransferReplicaRequest {
            source_resource_group: given(REQUEST, "source", &self.source)?,
            target_resource_group: given(REQUEST, "target", &self.target)?,
            collection_name: given(REQUEST, "collection", &self.collection)?,
            num_replica: count(REQUEST, "replicas", self.replicas)?.into(),
            ..TransferReplicaRequest::default()
        })
    }
}

single_call! { TransferReplica: TRANSFER_REPLICA of GROUPS, done => () }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_survives_the_wire() {
        let config = ResourceGroupConfig::new(1, 2)
            .transfer_from(["a"])
            .transfer_to(["b"])
            .node_label("zone", "1");
        let message = config.message("test").expect("valid");
        assert_eq!(ResourceGroupConfig::from(message), config);
    }

    #[test]
    fn impossible_numbers_are_refused() {
        assert!(ResourceGroupConfig::new(2, 1).message("test").is_err());
        assert!(count("test", "nodes", 0).is_err());
        assert!(count("test", "nodes", u32::MAX).is_err());
    }
}
