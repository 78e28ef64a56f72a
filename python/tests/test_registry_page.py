"""The behaviours of the registry, one by one. A test is named after what it shows."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

import milvus_connections
from milvus_connections import (
    ConnectionConfigException,
    ConnectionNotExistException,
    Connections,
    DefaultConfig,
    MilvusException,
    connections,
)


def refused(registry: Connections, **config: Any) -> ConnectionConfigException:
    with pytest.raises(ConnectionConfigException) as caught:
        registry.add_connection(dev=config)
    assert caught.value.code == 1
    assert "dev" in caught.value.message
    return caught.value


# ---- objects


def test_connections_is_a_singleton() -> None:
    assert Connections() is connections
    assert isinstance(connections, Connections)
    assert milvus_connections.connections is connections
    assert Connections.isolated() is not connections


def test_default_exists_from_the_start(registry: Connections) -> None:
    assert registry.list_connections() == [("default", None)]
    assert registry.get_connection_addr("default") == {"address": "localhost:19530", "user": ""}
    assert not registry.has_connection("default")


def test_default_config_has_pymilvus_names() -> None:
    assert DefaultConfig.DEFAULT_HOST == "localhost"
    assert DefaultConfig.DEFAULT_PORT == "19530"
    assert DefaultConfig.MILVUS_CONN_ALIAS == DefaultConfig.DEFAULT_USING == "default"
    assert DefaultConfig.MILVUS_CONN_TIMEOUT == DefaultConfig.DEFAULT_CONNECT_TIMEOUT == 10.0
    assert DefaultConfig.MILVUS_URI == ""


# ---- add_connection


def test_add_connection_touches_no_network(registry: Connections, stand_in: Any) -> None:
    registry.add_connection(dev={"address": stand_in.address})
    assert not registry.has_connection("dev")
    assert stand_in.calls("Connect") == 0


@pytest.mark.parametrize(
    ("config", "address"),
    [
        ({"address": "h:1"}, "h:1"),
        ({"address": "h:1", "uri": "http://other:2", "host": "third"}, "h:1"),
        ({"uri": "http://h:1", "host": "other", "port": 2}, "h:1"),
        ({"host": "h", "port": "1"}, "h:1"),
        ({"host": "h"}, "h:19530"),
        ({"port": 1}, "localhost:1"),
        ({"port": 0}, "localhost:0"),
        ({}, "localhost:19530"),
        ({"address": "", "uri": "", "host": "", "port": ""}, "localhost:19530"),
        ({"uri": "http://h"}, "h:19530"),
        ({"uri": "https://h"}, "h:443"),
        ({"uri": "tcp://h:1"}, "h:1"),
        ({"uri": "grpc://h:1"}, "h:1"),
        ({"uri": "http://[::1]:1"}, "[::1]:1"),
        ({"address": "[::1]:19530"}, "[::1]:19530"),
        ({"uri": "unix:/tmp/milvus.sock"}, "unix:/tmp/milvus.sock"),
        ({"uri": Path("./milvus.db")}, "milvus.db"),
        ({"uri": "memory:"}, "memory:"),
    ],
)
def test_address_over_uri_over_host_and_port_over_defaults(
    registry: Connections, config: dict[str, Any], address: str
) -> None:
    registry.add_connection(dev=config)
    assert registry.get_connection_addr("dev")["address"] == address


def test_https_implies_secure(registry: Connections) -> None:
    registry.add_connection(dev={"uri": "https://h"})
    assert registry.get_connection_addr("dev")["secure"] is True
    registry.add_connection(dev={"uri": "http://h"})
    assert "secure" not in registry.get_connection_addr("dev")


def test_user_information_of_a_uri_is_percent_decoded(registry: Connections) -> None:
    registry.add_connection(dev={"uri": "http://us%40er:p%3Aw@h:1/da%20ta"})
    address = registry.get_connection_addr("dev")
    assert (address["user"], address["db_name"]) == ("us@er", "da ta")


def test_explicit_arguments_win_over_the_uri(registry: Connections) -> None:
    registry.add_connection(dev={"uri": "http://u:p@h:1/a", "user": "v", "password": "q", "db_name": "b"})
    address = registry.get_connection_addr("dev")
    assert (address["user"], address["db_name"]) == ("v", "b")


def test_everything_given_is_kept_and_used_by_a_later_connect(registry: Connections, guarded: Any) -> None:
    registry.add_connection(
        with_password={"address": guarded.address, "user": "root", "password": "Milvus"},
        with_token={"address": guarded.address, "token": "root:Milvus"},
        in_uri={"uri": f"http://root:Milvus@{guarded.address}"},
    )
    for alias in ("with_password", "with_token", "in_uri"):
        registry.connect(alias)
        assert registry.has_connection(alias)


def test_entries_before_a_bad_one_stay_and_those_after_it_are_not_applied(registry: Connections) -> None:
    with pytest.raises(ConnectionConfigException) as caught:
        registry.add_connection(one={"address": "h:1"}, two={"address": "broken"}, three={"address": "h:3"})
    assert "two" in caught.value.message and "address" in caught.value.message
    assert caught.value.alias == "two"
    assert [alias for alias, _ in registry.list_connections()] == ["default", "one"]


def test_an_entry_is_replaced(registry: Connections) -> None:
    registry.add_connection(dev={"address": "h:1", "user": "a"})
    registry.add_connection(dev={"address": "h:2"})
    assert registry.get_connection_addr("dev") == {"address": "h:2", "user": ""}


def test_a_connected_alias_takes_the_same_address_and_no_other(registry: Connections, address: str) -> None:
    registry.connect("dev", address=address)
    registry.add_connection(dev={"address": address, "user": "new"})
    with pytest.raises(ConnectionConfigException) as caught:
        registry.add_connection(dev={"address": "elsewhere:1"})
    text = "Alias of 'dev' already creating connections, but the configure is not the same as passed in"
    assert text in caught.value.message
    assert "Disconnect it first" in caught.value.message
    assert registry.has_connection("dev")


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"host": 1}, "Type of 'host' must be str"),
        ({"host": None}, "Type of 'host' must be str"),
        ({"host": ["h"]}, "Type of 'host' must be str"),
        ({"port": None}, "Type of 'port' must be str or int"),
        ({"port": 1.5}, "Type of 'port' must be str or int"),
        ({"port": "nineteen"}, "Type of 'port' must be str or int"),
        ({"port": -1}, "port number -1 out of range, valid range [0, 65535)"),
        ({"port": 65535}, "port number 65535 out of range, valid range [0, 65535)"),
        ({"port": 10**30}, f"port number {10**30} out of range, valid range [0, 65535)"),
        ({"address": "localhost"}, "Illegal address: localhost, should be in form 'localhost:19530'"),
        ({"address": 1}, "Illegal address: 1, should be in form 'localhost:19530'"),
        ({"uri": "http:"}, "Illegal uri: [http:], expected form"),
        ({"uri": None}, "Illegal uri: [None], expected form"),
        ({"uri": 5}, "Illegal uri: [5], expected form"),
        (
            {"uri": "ftp://h"},
            "is illegal, needs start with [unix, http, https, tcp] or a local file endswith [.db]",
        ),
        ({"ca_pem_path": 7}, "must be a path"),
        ({"timeout": -1}, "must be a number of seconds above zero"),
        ({"max_channels": "many"}, "must be a whole number"),
        ({"uri": "https://h", "secure": False}, "make them agree"),
    ],
)
def test_what_cannot_be_used_is_told_with_the_text_of_pymilvus(
    registry: Connections, config: dict[str, Any], text: str
) -> None:
    assert text in refused(registry, **config).message


def test_an_entry_that_is_no_mapping_is_told(registry: Connections) -> None:
    with pytest.raises(ConnectionConfigException, match="must be a mapping"):
        registry.add_connection(dev="localhost:19530")  # type: ignore[arg-type]


def test_none_for_credentials_means_absent(registry: Connections) -> None:
    registry.add_connection(dev={"address": "h:1", "user": None, "password": None, "token": None})
    assert registry.get_connection_addr("dev") == {"address": "h:1", "user": ""}


def test_unknown_keys_are_accepted_and_kept_out_of_the_way(registry: Connections) -> None:
    registry.add_connection(dev={"address": "h:1", "keep_alive": True, "colour": object()})
    assert registry.get_connection_addr("dev") == {"address": "h:1", "user": ""}


# ---- connect


def test_connect_uses_the_entry_of_the_alias(registry: Connections, address: str) -> None:
    registry.add_connection(dev={"address": address})
    registry.connect("dev")
    assert registry.has_connection("dev")
    assert registry.get_connection_addr("dev")["address"] == address


def test_connect_with_an_address_remembers_it(registry: Connections, address: str) -> None:
    host, port = address.rsplit(":", 1)
    registry.connect("dev", host=host, port=int(port))
    registry.disconnect("dev")
    registry.connect("dev")
    assert registry.get_connection_addr("dev") == {"address": address, "user": "", "db_name": "default"}


def test_credentials_are_remembered_over_a_disconnect(registry: Connections, guarded: Any) -> None:
    registry.connect("dev", address=guarded.address, user="root", password="Milvus")
    registry.connect("dev")
    registry.disconnect("dev")
    registry.connect("dev")
    assert registry.get_connection_addr("dev")["user"] == "root"


def test_without_entry_and_environment_connect_says_what_is_missing(registry: Connections) -> None:
    with pytest.raises(ConnectionConfigException) as caught:
        registry.connect("nowhere")
    assert "You need to pass in the configuration of the connection named 'nowhere'" in caught.value.message
    assert caught.value.code == 1


def test_the_same_configuration_keeps_the_same_connection(registry: Connections, stand_in: Any) -> None:
    registry.connect("dev", address=stand_in.address)
    handle = dict(registry.list_connections())["dev"]
    for _ in range(3):
        registry.connect("dev", address=stand_in.address)
        registry.connect("dev")
    assert stand_in.calls("Connect") == 1
    assert dict(registry.list_connections())["dev"] is handle


def test_another_address_is_refused_while_connected(registry: Connections, address: str) -> None:
    registry.connect("dev", address=address)
    with pytest.raises(ConnectionConfigException, match="already creating connections"):
        registry.connect("dev", address="elsewhere:1")
    assert registry.get_connection_addr("dev")["address"] == address


def test_other_credentials_authenticate_anew(registry: Connections, guarded: Any) -> None:
    registry.connect("dev", address=guarded.address, token="root:Milvus")
    with pytest.raises(MilvusException):
        registry.connect("dev", token="root:wrong")
    assert registry.has_connection("dev"), "the connection that works is kept"
    registry.connect("dev", user="root", password="Milvus", token=None)
    assert registry.has_connection("dev")


def test_concurrent_connects_of_one_alias_are_one_dial(registry: Connections, stand_in: Any) -> None:
    async def all_at_once() -> None:
        await asyncio.gather(*(registry.async_connect("dev", address=stand_in.address) for _ in range(50)))

    asyncio.run(all_at_once())
    assert stand_in.calls("Connect") == 1


def test_a_wrong_password_is_told_at_once(registry: Connections, guarded: Any) -> None:
    with pytest.raises(MilvusException) as caught:
        registry.connect("dev", address=guarded.address, user="root", password="wrong-canary", timeout=30)
    error = caught.value
    assert error.code == 2
    assert f"Fail connecting to server on {guarded.address}" in error.message
    assert "illegal connection params or server unavailable" in error.message
    assert "canary" not in str(error)
    assert (error.alias, error.address) == ("dev", guarded.address)
    assert error.hint


def test_a_failed_connect_removes_the_entry(registry: Connections, closed_address: str) -> None:
    registry.add_connection(dev={"address": closed_address})
    with pytest.raises(MilvusException) as caught:
        registry.connect("dev")
    assert caught.value.code == 2
    assert f"Fail connecting to server on {closed_address}" in caught.value.message
    assert registry.get_connection_addr("dev") == {}
    assert [alias for alias, _ in registry.list_connections()] == ["default"]


def test_a_mistake_in_the_arguments_removes_nothing(registry: Connections) -> None:
    registry.add_connection(dev={"address": "h:1"})
    with pytest.raises(ConnectionConfigException):
        registry.connect("dev", port="nineteen")
    assert registry.get_connection_addr("dev") == {"address": "h:1", "user": ""}


def test_db_name_over_uri_path_over_default(registry: Connections, stand_in: Any) -> None:
    uri = f"http://{stand_in.address}/books"
    registry.connect("path", uri=uri)
    registry.connect("explicit", uri=uri, db_name="other")
    registry.connect("neither", address=stand_in.address)
    names = {alias: registry.get_connection_addr(alias)["db_name"] for alias in ("path", "explicit", "neither")}
    assert names == {"path": "books", "explicit": "other", "neither": "default"}


@pytest.mark.parametrize("name", ["address", "uri", "host", "port", "user", "password", "token", "timeout", "secure"])
def test_none_in_connect_is_not_given(registry: Connections, address: str, name: str) -> None:
    registry.add_connection(dev={"address": address})
    registry.connect("dev", **{name: None})
    assert registry.has_connection("dev")


def test_arguments_that_pymilvus_has_and_ours_has_no_use_for_are_accepted(
    registry: Connections, address: str
) -> None:
    registry.connect("dev", address=address, keep_alive=True, _async=False, _unbind_with_db=True, grpc_options={})
    assert registry.has_connection("dev")


def test_an_embedded_database_is_connected_by_its_path(registry: Connections, tmp_path: Path) -> None:
    path = str(tmp_path / "demo.db")
    registry.connect("file", uri=path)
    assert registry.get_connection_addr("file") == {"address": path, "user": "", "db_name": "default"}
    with pytest.raises(ConnectionConfigException, match="not exists"):
        registry.connect("lost", uri=str(tmp_path / "no" / "demo.db"))


# ---- disconnect, remove_connection


def test_disconnect_keeps_the_entry_and_remove_forgets_it(registry: Connections, address: str) -> None:
    registry.connect("dev", address=address)
    registry.disconnect("dev")
    assert not registry.has_connection("dev")
    assert registry.get_connection_addr("dev")["address"] == address
    registry.connect("dev")
    registry.remove_connection("dev")
    assert not registry.has_connection("dev")
    assert registry.get_connection_addr("dev") == {}


def test_unknown_and_unconnected_aliases_are_fine_to_disconnect(registry: Connections) -> None:
    registry.disconnect("nowhere")
    registry.disconnect("default")
    registry.remove_connection("nowhere")
    assert [alias for alias, _ in registry.list_connections()] == ["default"]


@pytest.mark.parametrize("alias", [1, None, b"dev", ["dev"], 1.5])
@pytest.mark.parametrize(
    "verb", ["connect", "disconnect", "remove_connection", "has_connection", "get_connection_addr", "_fetch_handler"]
)
def test_an_alias_that_is_no_string_raises(registry: Connections, verb: str, alias: Any) -> None:
    with pytest.raises(ConnectionConfigException) as caught:
        getattr(registry, verb)(alias)
    assert f"Alias should be string, but {type(alias)} is given" in caught.value.message
    assert caught.value.code == 1


def test_an_empty_alias_is_refused(registry: Connections) -> None:
    with pytest.raises(ConnectionConfigException, match="can't be empty"):
        registry.add_connection(**{"": {"address": "h:1"}})
    assert not registry.has_connection("")


# ---- has_connection, list_connections, get_connection_addr


def test_list_connections_keeps_the_order_of_first_addition(registry: Connections, address: str) -> None:
    registry.add_connection(b={"address": "h:1"}, a={"address": address})
    registry.add_connection(b={"address": "h:2"})
    registry.connect("a")
    (default, none), (b, also_none), (a, handle) = registry.list_connections()
    assert (default, b, a) == ("default", "b", "a")
    assert none is also_none is None
    assert type(handle).__name__ == "GrpcHandler"
    assert handle is not None
    assert repr(handle) == f"<GrpcHandler alias='a' address='{address}' state='ready'>"
    assert handle.server_address == address
    assert handle.get_server_version()


def test_get_connection_addr_never_shows_a_secret(registry: Connections) -> None:
    registry.add_connection(
        dev={"uri": "https://root:canary@h:1", "token": "canary", "client_key_path": "/canary.pem"}
    )
    assert registry.get_connection_addr("dev") == {"address": "h:1", "user": "root", "secure": True}
    assert registry.get_connection_addr("nowhere") == {}


def test_fetch_handler_asks_to_connect_first(registry: Connections, address: str) -> None:
    with pytest.raises(ConnectionNotExistException) as caught:
        registry._fetch_handler("default")
    assert "should create connection first" in caught.value.message
    registry.connect("dev", address=address)
    assert registry._fetch_handler("dev").alias == "dev"


# ---- environment and profile file


def test_the_environment_fills_the_default_alias(run_program: Any, address: str) -> None:
    program = """
        from milvus_connections import connections, DefaultConfig
        connections.connect()
        print(connections.list_connections()[0][0], connections.get_connection_addr("main")["address"])
        print(DefaultConfig.MILVUS_URI, DefaultConfig.MILVUS_CONN_ALIAS, DefaultConfig.MILVUS_CONN_TIMEOUT)
    """
    for variable in ("MILVUS_URI", "MILVUS_DEFAULT_CONNECTION"):
        env = {variable: f"http://{address}", "MILVUS_CONN_ALIAS": "main", "MILVUS_CONN_TIMEOUT": "7.5"}
        done = run_program(program, env=env)
        assert done.stdout.split() == ["main", address, f"http://{address}", "main", "7.5"]


def test_the_environment_never_overrides_a_named_alias(run_program: Any, address: str, closed_address: str) -> None:
    program = f"""
        from milvus_connections import connections
        connections.add_connection(named={{"address": "{address}"}})
        connections.connect("named")
        print(connections.get_connection_addr("named")["address"])
    """
    done = run_program(program, env={"MILVUS_URI": f"http://{closed_address}"})
    assert done.stdout.strip() == address


def test_a_profile_file_names_aliases(run_program: Any, address: str, tmp_path: Path) -> None:
    profile = tmp_path / "profile.toml"
    profile.write_text(f'[dev]\naddress = "{address}"\n')
    profile.chmod(0o600)
    program = """
        from milvus_connections import connections
        connections.connect("dev")
        print(connections.get_connection_addr("dev")["address"], connections.explain("dev")["address"].source)
    """
    done = run_program(program, env={"MILVUS_CONNECTIONS_FILE": str(profile)})
    assert done.stdout.startswith(address)


# ---- what ours adds


def test_status_tells_of_an_alias_and_its_connection(registry: Connections, address: str) -> None:
    assert registry.status("nowhere") is None
    assert registry.status("default").state == "configured"
    registry.connect("dev", address=address)
    status = registry.status("dev")
    assert (status.alias, status["address"], status.state) == ("dev", address, "connected")
    assert status.connection.state == "ready"
    assert status.connection.channels[0].peer
    assert [each.alias for each in registry.status()] == ["default", "dev"]
    with pytest.raises(AttributeError, match="it has alias"):
        status.colour
    assert eval(repr(status).replace("Status(", "dict("))["alias"] == "dev"


def test_explain_says_where_each_value_comes_from(registry: Connections) -> None:
    registry.add_connection(dev={"uri": "https://h", "token": "canary"})
    explanation = registry.explain("dev", timeout=3)
    assert explanation["address"].source == "entry, `uri`"
    assert explanation["token"].value == "set"
    assert explanation["timeout"].source == "argument, `timeout`"
    assert explanation["call_timeout"].source == "default"
    assert "canary" not in str(explanation) + repr(explanation)
    with pytest.raises(ConnectionConfigException, match='Did you mean "dev"'):
        registry.explain("devv")


def test_diagnose_names_the_step_that_fails(registry: Connections, address: str, closed_address: str) -> None:
    registry.add_connection(good={"address": address}, bad={"address": closed_address})
    assert registry.diagnose("good")
    diagnosis = registry.diagnose("bad")
    assert not diagnosis
    assert diagnosis.first_failure is not None
    assert diagnosis.first_failure.step == "tcp"
    assert "refused" in str(diagnosis)
    assert asyncio.run(registry.async_diagnose("good"))
    assert not registry.has_connection("good"), "a diagnosis changes nothing"


def test_events_are_told_to_for_and_to_async_for(registry: Connections, address: str) -> None:
    events, also = registry.events(timeout=10), registry.events(timeout=10)
    registry.add_connection(dev={"address": address})
    registry.connect("dev")
    registry.disconnect("dev")
    registry.remove_connection("dev")
    expected = ["added", "connected", "disconnected", "removed"]
    assert [next(events).change for _ in expected] == expected

    async def read() -> list[str]:
        return [(await also.__anext__()).change for _ in expected]

    assert asyncio.run(read()) == expected
    assert list(registry.events(timeout=0.01)) == []


def test_the_async_forms_do_what_the_others_do(registry: Connections, address: str, closed_address: str) -> None:
    async def all_verbs() -> None:
        await registry.async_connect("dev", address=address)
        assert registry.has_connection("dev")
        await registry.async_disconnect("dev")
        assert not registry.has_connection("dev")
        await registry.async_remove_connection("dev")
        assert registry.get_connection_addr("dev") == {}
        with pytest.raises(MilvusException) as caught:
            await registry.async_connect("dev", address=closed_address)
        assert caught.value.code == 2
        with pytest.raises(ConnectionConfigException):
            await registry.async_disconnect(1)  # type: ignore[arg-type]

    asyncio.run(all_verbs())


def test_a_registry_is_a_context_manager(address: str) -> None:
    with Connections.isolated() as registry:
        registry.connect("dev", address=address)
        assert registry.has_connection("dev")
    assert not registry.has_connection("dev")

    async def asynchronously() -> None:
        async with registry:
            await registry.async_connect("dev")
            assert registry.has_connection("dev")
        assert not registry.has_connection("dev")

    asyncio.run(asynchronously())


# ---- real servers


def test_real_servers_with_authorization_and_tls(registry: Connections) -> None:
    from conftest import real

    certificates = Path(real("MILVUS_TEST_CERTIFICATES"))
    tls = {"ca_pem_path": certificates / "ca.pem", "server_name": "localhost"}
    registry.connect("auth", address=real("MILVUS_TEST_AUTH"), user="root", password="Milvus")
    registry.connect("tls", uri=f"https://{real('MILVUS_TEST_TLS')}", token="root:Milvus", **tls)
    registry.connect("lite", address=real("MILVUS_TEST_LITE"))
    assert registry.get_connection_addr("tls")["secure"] is True
    with pytest.raises(MilvusException) as caught:
        registry.connect("wrong", address=os.environ["MILVUS_TEST_AUTH"], user="root", password="wrong")
    assert "password" in caught.value.message
    with pytest.raises(MilvusException) as caught:
        registry.connect("database", address=real("MILVUS_TEST_PLAIN"), db_name="nowhere")
    assert "nowhere" in caught.value.message
    with pytest.raises(MilvusException) as caught:
        registry.connect("plain", address=os.environ["MILVUS_TEST_TLS"], timeout=5)
    assert "TLS" in caught.value.message
