# Made of `client` by tools/make_async.py; change that.
"""Users, roles, privileges."""

from __future__ import annotations

from typing import Any

from .. import _native as native
from ..types import GrantItem
from ..client.base import not_there
from .namespaces import Namespaces

__all__ = ["Access"]


class Access(Namespaces):
    """Verbs on users, roles and privileges."""

    async def create_user(
        self,
        user_name: str,
        password: str,
        timeout: float | None = None,
        description: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Creates a user.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-create_user')
            await client.create_user('reader', 'secret-1')
            'reader' in await client.list_users()
            # True
        """
        if description:
            not_there("the description of a user", "leave it out")
        await native.create_user(await self._connection(), self._options(timeout, kwargs), user_name, password)

    async def drop_user(self, user_name: str, timeout: float | None = None, **kwargs: Any) -> None:
        """Drops a user."""
        await native.drop_user(await self._connection(), self._options(timeout, kwargs), user_name)

    async def update_password(
        self,
        user_name: str,
        old_password: str,
        new_password: str,
        timeout: float | None = None,
        description: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Changes a password; with ``reset_connection`` this connection goes on with the new one."""
        if description:
            not_there("the description of a user", "leave it out")
        await native.update_password(
            await self._connection(),
            self._options(timeout, kwargs),
            user_name,
            old_password,
            new_password,
            bool(kwargs.get("reset_connection", False)),
        )

    async def list_users(self, timeout: float | None = None, **kwargs: Any) -> list[str]:
        """The names of all users.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-list_users')
            await client.list_users()
            # ['root']
        """
        return await native.list_users(await self._connection(), self._options(timeout, kwargs))

    async def describe_user(self, user_name: str, timeout: float | None = None, **kwargs: Any) -> dict[str, Any]:
        """A user's roles and description; ``{}`` when there is no such user."""
        found = await native.describe_user(await self._connection(), self._options(timeout, kwargs), user_name)
        if found is None:
            return {}
        roles, description = found
        return {"user_name": user_name, "roles": tuple(roles), "description": description}

    async def grant_role(self, user_name: str, role_name: str, timeout: float | None = None, **kwargs: Any) -> None:
        """Gives a role to a user."""
        await native.grant_role(await self._connection(), self._options(timeout, kwargs), user_name, role_name)

    async def revoke_role(
        self, user_name: str, role_name: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Takes a role from a user."""
        await native.revoke_role(await self._connection(), self._options(timeout, kwargs), user_name, role_name)

    async def create_role(
        self, role_name: str, timeout: float | None = None, description: str = "", **kwargs: Any
    ) -> None:
        """Creates a role.

        Example::

            from milvus_connections import AsyncMilvusClient
            client = AsyncMilvusClient('memory:example-create_role')
            await client.create_role('readers')
            'readers' in await client.list_roles()
            # True
        """
        await native.create_role(await self._connection(), self._options(timeout, kwargs), role_name, description)

    async def alter_role(
        self, role_name: str, description: str, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Changes a role's description."""
        await native.alter_role(await self._connection(), self._options(timeout, kwargs), role_name, description)

    async def drop_role(
        self, role_name: str, force_drop: bool = False, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Drops a role; with ``force_drop`` also one that has privileges."""
        await native.drop_role(await self._connection(), self._options(timeout, kwargs), role_name, force_drop)

    async def list_roles(self, timeout: float | None = None, **kwargs: Any) -> list[str]:
        """The names of all roles."""
        return await native.list_roles(await self._connection(), self._options(timeout, kwargs))

    async def describe_role(self, role_name: str, timeout: float | None = None, **kwargs: Any) -> dict[str, Any]:
        """What a role may do."""
        database = kwargs.pop("db_name", "")
        connection, options = await self._connection(), self._options(timeout, kwargs)
        description = await native.describe_role(connection, options, role_name)
        grants = await native.list_grants(connection, options, role_name, database or None)
        privileges = [GrantItem(*grant).to_dict() for grant in grants]
        return {"role": role_name, "description": description or "", "privileges": privileges}

    async def grant_privilege(
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
        await native.grant_privilege(
            await self._connection(),
            self._options(timeout, kwargs),
            role_name,
            object_type,
            privilege,
            object_name,
            db_name or None,
        )

    async def revoke_privilege(
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
        await native.revoke_privilege(
            await self._connection(),
            self._options(timeout, kwargs),
            role_name,
            object_type,
            privilege,
            object_name,
            db_name or None,
        )

    async def grant_privilege_v2(
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
            await self._connection(), self._options(timeout, kwargs), role_name, privilege, collection_name, db_name
        )

    async def revoke_privilege_v2(
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
            await self._connection(), self._options(timeout, kwargs), role_name, privilege, collection_name, db_name
        )

    async def create_privilege_group(self, group_name: str, timeout: float | None = None, **kwargs: Any) -> None:
        """Creates a group of privileges."""
        await native.create_privilege_group(await self._connection(), self._options(timeout, kwargs), group_name)

    async def drop_privilege_group(self, group_name: str, timeout: float | None = None, **kwargs: Any) -> None:
        """Drops a group of privileges."""
        await native.drop_privilege_group(await self._connection(), self._options(timeout, kwargs), group_name)

    async def list_privilege_groups(self, timeout: float | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        """All groups of privileges."""
        groups = await native.list_privilege_groups(await self._connection(), self._options(timeout, kwargs))
        return [{"privilege_group": name, "privileges": tuple(names)} for name, names in groups]

    async def add_privileges_to_group(
        self, group_name: str, privileges: list[str], timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Adds privileges to a group."""
        await native.add_privileges_to_group(
            await self._connection(), self._options(timeout, kwargs), group_name, privileges
        )

    async def remove_privileges_from_group(
        self, group_name: str, privileges: list[str], timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Removes privileges from a group."""
        await native.remove_privileges_from_group(
            await self._connection(), self._options(timeout, kwargs), group_name, privileges
        )
