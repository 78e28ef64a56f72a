//! Users and their passwords.
//!
//! Invariant: a password is a `SecretString` from the caller to the message: no `Debug`, error or log shows
//! it. On the wire it is base64, as Milvus asks for, which hides nothing: use TLS.

use std::fmt;

use milvus_protocol::milvus::{
    CreateCredentialRequest, DeleteCredentialRequest, ListCredUsersRequest, ListCredUsersResponse,
    SelectUserRequest, UpdateCredentialRequest, UserEntity, UserResult,
};
use milvus_protocol::rpc;
use milvus_transport::{Credentials, SecretString};
use secrecy::ExposeSecret as _;

use super::request::{done, given};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::feature::Feature;

const USERS: Feature = Feature::call("users");

impl Client {
    /// Creates a user.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// let password = std::env::var("ANNA_PASSWORD").unwrap_or_default();
    /// client.create_user("anna", password).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`] when the user exists or the password does not suit the server (Milvus asks
    /// for 6 to 256 characters).
    pub fn create_user(
        &self,
        user: impl Into<String>,
        password: impl Into<SecretString>,
    ) -> CreateUser {
        CreateUser::new(self, user.into(), password.into())
    }

    /// Changes a user's password.
    ///
    /// Connections that use the old one fail from then on (after a while, on servers that cache); this
    /// one goes on with [`update_connection`](UpdatePassword::update_connection).
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// let (old, new) = ("secret1", "secret2"); // from where secrets are kept
    /// client
    ///     .update_password("anna", old, new)
    ///     .update_connection()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`] when the old password is wrong.
    pub fn update_password(
        &self,
        user: impl Into<String>,
        old_password: impl Into<SecretString>,
        new_password: impl Into<SecretString>,
    ) -> UpdatePassword {
        UpdatePassword::new(self, user.into(), old_password.into(), new_password.into())
    }

    /// Drops a user.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client.drop_user("anna").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`], for `root` always. Some servers answer success when there is no such user.
    pub fn drop_user(&self, user: impl Into<String>) -> DropUser {
        DropUser::new(self, user.into())
    }

    /// Lists the names of all users.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// println!("{:?}", client.list_users().await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`].
    pub fn list_users(&self) -> ListUsers {
        ListUsers::new(self)
    }

    /// Describes a user and the roles they have; `None` when there is no such user.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// if let Some(anna) = client.describe_user("anna").await? {
    ///     println!("{:?}", anna.roles);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`]. Some servers answer with an error when there is no such user.
    pub fn describe_user(&self, user: impl Into<String>) -> DescribeUser {
        DescribeUser::new(self, user.into())
    }
}

fn password(
    request: &'static str,
    parameter: &'static str,
    secret: &SecretString,
) -> Result<String> {
    use base64::Engine as _;
    let secret = secret.expose_secret();
    if secret.is_empty() {
        return Err(Error::request(request, parameter, "is empty"));
    }
    Ok(base64::engine::general_purpose::STANDARD.encode(secret))
}

request_type! {
    /// A request of [`Client::create_user`].
    CreateUser(user: String, password: SecretString) { description: Option<String> } => ()
}

impl CreateUser {
    /// Says who the user is. Older servers do not keep it.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    fn message(&self) -> Result<CreateCredentialRequest> {
        if self.description.is_some() {
            self.client
                .require(Feature::since("descriptions of users", 3, 0))?;
        }
        Ok(CreateCredentialRequest {
            username: given("create_user", "user", &self.user)?,
            password: password("create_user", "password", &self.password)?,
            description: self.description.clone(),
            ..CreateCredentialRequest::default()
        })
    }
}

single_call! { CreateUser: CREATE_CREDENTIAL of USERS, done => () }

request_type! {
    /// A request of [`Client::update_password`].
    UpdatePassword(user: String, old_password: SecretString, new_password: SecretString) {
        updates_connection: bool,
    } => ()
}

impl UpdatePassword {
    /// Lets this connection, and all that share its pool, use the new password from then on.
    pub fn update_connection(mut self) -> Self {
        self.updates_connection = true;
        self
    }

    fn message(&self) -> Result<UpdateCredentialRequest> {
        const REQUEST: &str = "update_password";
        Ok(UpdateCredentialRequest {
            username: given(REQUEST, "user", &self.user)?,
            old_password: password(REQUEST, "old_password", &self.old_password)?,
            new_password: password(REQUEST, "new_password", &self.new_password)?,
            ..UpdateCredentialRequest::default()
        })
    }

    async fn send(self) -> Result<()> {
        let message = self.message()?;
        let clock = self.settings.start();
        let call = self
            .client
            .call(USERS, &rpc::UPDATE_CREDENTIAL, message, &clock);
        call.await.and_then(done)?;
        if self.updates_connection {
            let credentials = Credentials::password(self.user, self.new_password);
            self.client.connection().update_credentials(credentials);
        }
        Ok(())
    }
}

request_type! {
    /// A request of [`Client::drop_user`].
    DropUser(user: String) => ()
}

impl DropUser {
    fn message(&self) -> Result<DeleteCredentialRequest> {
        Ok(DeleteCredentialRequest {
            username: given("drop_user", "user", &self.user)?,
            ..DeleteCredentialRequest::default()
        })
    }
}

single_call! { DropUser: DELETE_CREDENTIAL of USERS, done => () }

request_type! {
    /// A request of [`Client::list_users`].
    ListUsers() => Vec<String>
}

impl ListUsers {
    fn message(&self) -> Result<ListCredUsersRequest> {
        Ok(ListCredUsersRequest::default())
    }
}

single_call! {
    ListUsers: LIST_CRED_USERS of USERS,
    |answer: ListCredUsersResponse| Ok(answer.usernames) => Vec<String>
}

request_type! {
    /// A request of [`Client::describe_user`].
    DescribeUser(user: String) => Option<UserDescription>
}

impl DescribeUser {
    fn message(&self) -> Result<SelectUserRequest> {
        Ok(SelectUserRequest {
            user: Some(UserEntity {
                name: given("describe_user", "user", &self.user)?,
            }),
            include_role_info: true,
            ..SelectUserRequest::default()
        })
    }

    async fn send(self) -> Result<Option<UserDescription>> {
        let message = self.message()?;
        let clock = self.settings.start();
        let call = self.client.call(USERS, &rpc::SELECT_USER, message, &clock);
        let mut users = call.await?.results.into_iter().map(UserDescription::from);
        Ok(users.find(|user| user.name == self.user))
    }
}

/// Who a user is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserDescription {
    /// The name.
    pub name: String,
    /// The roles.
    pub roles: Vec<String>,
    /// Who the user is, in words; empty from servers that do not keep it.
    pub description: String,
}

impl From<UserResult> for UserDescription {
    fn from(result: UserResult) -> Self {
        Self {
            name: result.user.unwrap_or_default().name,
            roles: result.roles.into_iter().map(|role| role.name).collect(),
            description: result.description,
        }
    }
}

impl fmt::Display for UserDescription {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} [{}]", self.name, self.roles.join(", "))
    }
}
