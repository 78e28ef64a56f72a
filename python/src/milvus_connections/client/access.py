"""Users, roles, privileges."""

from __future__ import annotations

from typing import Any

from .. import _native as native
from ..types import GrantItem
from .base import not_there
from .namespaces import Namespaces

__all__ = ["Access"]


class Access(Namespaces):
    """Verbs on users, roles and privileges."""

    def create_user(
        self,
        user_name: str,
        password: str,
        timeout: float | None = None,
        description: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Creates a user.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-create_user")
        >>> client.create_user("reader", "secret-1")
        >>> "reader" in client.list_users()
        True
        """
        if description:
            not_there("the description of a user", "leave it out")
        native.create_user(self._connection(), self._options(timeout, kwargs), user_name, password)

    def drop_user(self, user_name: str, timeout: float | None = None, **kwargs: Any) -> None:
        """Drops a user."""
        native.drop_user(self._connection(), self._options(timeout, kwargs), user_name)

    def update_password(
        self,
        user_name: str,
        old_password: str,
        new_password: str,
        reset_connection: bool | None = False,
        timeout: float | None = None,
        description: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Changes a password; with ``reset_connection`` this connection goes on with the new one."""
        if description:
            not_there("the description of a user", "leave it out")
        native.update_password(
            self._connection(),
            self._options(timeout, kwargs),
            user_name,
            old_password,
            new_password,
            bool(reset_connection),
        )

    def list_users(self, timeout: float | None = None, **kwargs: Any) -> list[str]:
        """The names of all users.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-list_users")
        >>> client.list_users()
        ['root']
        """
        return native.list_users(self._connection(), self._options(timeout, kwargs))

    def describe_user(self, user_name: str, timeout: float | None = None, **kwargs: Any) -> dict[str, Any]:
        """A user's roles and description; ``{}`` when there is no such user."""
        found = native.describe_user(self._connection(), self._options(timeout, kwargs), user_name)
        if found is None:
            return {}
        roles, description = found
        return {"user_name": user_name, "roles": tuple(roles), "description": description}

    def grant_role(self, user_name: str, role_name: str, timeout: float | None = None, **kwargs: Any) -> None:
        """Gives a role to a user."""
        native.grant_role(self._connection(), self._options(timeout, kwargs), user_name, role_name)

    def revoke_role(
        self, user_name: str, role_name: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Takes a role from a user."""
        native.revoke_role(self._connection(), self._options(timeout, kwargs), user_name, role_name)

    def create_role(
        self, role_name: str, timeout: float | None = None, description: str = "", **kwargs: Any
    ) -> None:
        """Creates a role.

        >>> from milvus_connections import MilvusClient
        >>> client = MilvusClient("memory:example-create_role")
        >>> client.create_role("readers")
        >>> "readers" in client.list_roles()
        True
        """
        native.create_role(self._connection(), self._options(timeout, kwargs), role_name, description)

    def alter_role(
        self, role_name: str, description: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Changes a role's description."""
        native.alter_role(self._connection(), self._options(timeout, kwargs), role_name, description)

    def drop_role(
        self, role_name: str, force_drop: bool = False, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Drops a role; with ``force_drop`` also one that has privileges."""
        native.drop_role(self._connection(), self._options(timeout, kwargs), role_name, force_drop)

    def list_roles(self, timeout: float | None = None, **kwargs: Any) -> list[str]:
        """The names of all roles."""
        return native.list_roles(self._connection(), self._options(timeout, kwargs))

    def describe_role(self, role_name: str, timeout: float | None = None, **kwargs: Any) -> dict[str, Any]:
        """What a role may do."""
        database = kwargs.pop("db_name", "")
        connection, options = self._connection(), self._options(timeout, kwargs)
        description = native.describe_role(connection, options, role_name)
        grants = native.list_grants(connection, options, role_name, database or None)
        privileges = [GrantItem(*grant).to_dict() for grant in grants]
        return {"role": role_name, "description": description or "", "privileges": privileges}

    def grant_privilege(
        self,
        role_name: str,
        object_type: str,
        privilege: str,
        object_name: str,
        db_name: str | None = "",
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Gives a privilege on an object to a role."""
        native.grant_privilege(
            self._connection(),
            self._options(timeout, kwargs),
            role_name,
            object_type,
            privilege,
            object_name,
            db_name or None,
        )

    def revoke_privilege(
        self,
        role_name: str,
        object_type: str,
        privilege: str,
        object_name: str,
        db_name: str | None = "",
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Takes a privilege on an object from a role."""
        native.revoke_privilege(
            self._connection(),
            self._options(timeout, kwargs),
            role_name,
            object_type,
            privilege,
            object_name,
            db_name or None,
        )

    def grant_privilege_v2(
        self,
        role_name: str,
        privilege: str,
        collection_name: str,
        db_name: str | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Gives a privilege (or a group of privileges) on a collection to a role."""
        native.grant_privilege_v2(
            self._connection(), self._options(timeout, kwargs), role_name, privilege, collection_name, db_name
        )

    def revoke_privilege_v2(
        self,
        role_name: str,
        privilege: str,
        collection_name: str,
        db_name: str | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Takes a privilege (or a group of privileges) on a collection from a role."""
        native.revoke_privilege_v2(
            self._connection(), self._options(timeout, kwargs), role_name, privilege, collection_name, db_name
        )

    def create_privilege_group(self, group_name: str, timeout: float | None = None, **kwargs: Any) -> None:
        """Creates a group of privileges."""
        native.create_privilege_group(self._connection(), self._options(timeout, kwargs), group_name)

    def drop_privilege_group(self, group_name: str, timeout: float | None = None, **kwargs: Any) -> None:
        """Drops a group of privileges."""
        native.drop_privilege_group(self._connection(), self._options(timeout, kwargs), group_name)

    def list_privilege_groups(self, timeout: float | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        """All groups of privileges."""
        groups = native.list_privilege_groups(self._connection(), self._options(timeout, kwargs))
        return [{"privilege_group": name, "privileges": tuple(names)} for name, names in groups]

    def add_privileges_to_group(
        self, group_name: str, privileges: list[str], timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Adds privileges to a group."""
        native.add_privileges_to_group(
            self._connection(), self._options(timeout, kwargs), group_name, privileges
        )

    def remove_privileges_from_group(
        self, group_name: str, privileges: list[str], timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Removes privileges from a group."""
        native.remove_privileges_from_group(
            self._connection(), self._options(timeout, kwargs), group_name, privileges
        )
