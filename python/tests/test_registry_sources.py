"""Where the registry's values come from, as a Python program meets it: the environment, profile files, secrets by reference."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import real
from milvus_connections import AsyncMilvusClient, Connections, MilvusClient, MilvusException, connections

DATABASES = "['default', 'books']"
# Connects the alias of its argument, and asks something that needs the credentials.
ASK = """
    import sys
    from milvus_connections import MilvusClient
    print(MilvusClient(alias=sys.argv[1]).list_databases())
"""


def profile(folder: Path, text: str, name: str = "milvus-connections.toml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_the_token_of_the_environment_is_used(run_program: Any, guarded: Any) -> None:
    given = {"MILVUS_URI": f"http://{guarded.address}"}
    assert run_program(ASK, "default", env={**given, "MILVUS_TOKEN": "root:Milvus"}).stdout.strip() == DATABASES
    wrong = run_program(ASK, "default", env={**given, "MILVUS_TOKEN": "root:wrong"}, check=False)
    assert wrong.returncode != 0 and "root:wrong" not in wrong.stderr and "password" in wrong.stderr


def test_the_token_of_the_environment_is_not_for_a_named_alias(run_program: Any, guarded: Any) -> None:
    program = f"""
        from milvus_connections import MilvusClient, connections
        connections.add_connection(named={{"address": "{guarded.address}"}})
        MilvusClient(alias="named")
    """
    done = run_program(program, env={"MILVUS_TOKEN": "root:Milvus"}, check=False)
    assert done.returncode != 0 and "MilvusException" in done.stderr


def test_a_token_comes_from_a_variable_that_a_profile_names(run_program: Any, guarded: Any, tmp_path: Path) -> None:
    path = profile(tmp_path, f'[prod]\naddress = "{guarded.address}"\ntoken_env = "PROD_TOKEN"\n')
    env = {"MILVUS_CONNECTIONS_FILE": str(path)}
    assert run_program(ASK, "prod", env={**env, "PROD_TOKEN": "root:Milvus"}).stdout.strip() == DATABASES
    lacking = run_program(ASK, "prod", env=env, check=False)
    assert lacking.returncode != 0 and "PROD_TOKEN" in lacking.stderr


def test_a_password_comes_from_a_file_that_a_profile_names(run_program: Any, guarded: Any, tmp_path: Path) -> None:
    secret = profile(tmp_path, "Milvus\n", "secret")
    text = f"[prod]\naddress = \"{guarded.address}\"\nuser = \"root\"\npassword_file = '{secret}'\n"
    env = {"MILVUS_CONNECTIONS_FILE": str(profile(tmp_path, text))}
    assert run_program(ASK, "prod", env=env).stdout.strip() == DATABASES
    secret.unlink()
    lacking = run_program(ASK, "prod", env=env, check=False)
    assert lacking.returncode != 0 and str(secret) in lacking.stderr


def test_a_token_comes_from_a_command_that_a_profile_names(run_program: Any, guarded: Any, tmp_path: Path) -> None:
    text = f'[prod]\naddress = "{guarded.address}"\ntoken_command = "echo root:Milvus"\n'
    env = {"MILVUS_CONNECTIONS_FILE": str(profile(tmp_path, text))}
    assert run_program(ASK, "prod", env=env).stdout.strip() == DATABASES


def test_an_unknown_key_of_a_profile_is_an_error_with_a_suggestion(run_program: Any, tmp_path: Path) -> None:
    env = {"MILVUS_CONNECTIONS_FILE": str(profile(tmp_path, '[prod]\nadress = "localhost:19530"\n'))}
    done = run_program(ASK, "prod", env=env, check=False)
    assert done.returncode != 0 and "adress" in done.stderr and "address" in done.stderr.replace("adress", "")


def test_the_profile_file_is_looked_for_in_order(
    run_program: Any, stand_in: Any, closed_address: str, tmp_path: Path, monkeypatch: Any
) -> None:
    """The variable, then the working folder, then the platform's configuration folder."""
    here, elsewhere, home = tmp_path / "here", tmp_path / "elsewhere", tmp_path / "home"
    good, bad = (f'[prod]\naddress = "{address}"\n' for address in (stand_in.address, closed_address))
    here.mkdir()
    monkeypatch.chdir(here)
    env = {"XDG_CONFIG_HOME": str(home), "HOME": str(home), "APPDATA": str(home)}
    folder = home / ("Library/Application Support" if sys.platform == "darwin" else "") / "milvus-connections"
    profile(folder, good, "connections.toml")
    assert run_program(ASK, "prod", env=env).stdout.strip() == DATABASES
    # One in the working folder comes first, and one that the variable names before both.
    profile(here, bad)
    assert run_program(ASK, "prod", env=env, check=False).returncode != 0
    named = profile(elsewhere, good)
    assert run_program(ASK, "prod", env={**env, "MILVUS_CONNECTIONS_FILE": str(named)}).stdout.strip() == DATABASES


def test_new_credentials_take_effect_at_the_next_connect(registry: Connections, guarded: Any) -> None:
    registry.connect("prod", address=guarded.address, token="root:Milvus")
    registry.add_connection(prod={"address": guarded.address, "token": "root:wrong"})
    assert registry.has_connection("prod"), "what is connected stays as it is"
    registry._fetch_handler("prod")._connection.version(False)
    registry.disconnect("prod")
    with pytest.raises(MilvusException, match="password"):
        registry.connect("prod")
    registry.connect("prod", address=guarded.address, token="root:Milvus")


@pytest.fixture
def alias() -> Any:
    name = "sources"
    yield name
    connections.remove_connection(name)


def test_a_client_on_an_alias_of_a_real_server(alias: str) -> None:
    connections.add_connection(**{alias: {"address": real("MILVUS_TEST_AUTH"), "user": "root", "password": "Milvus"}})
    with MilvusClient(alias=alias) as client:
        assert "root" in client.list_users()
    assert connections.has_connection(alias), "the connection of an alias is the registry's"

    async def ask() -> None:
        async with AsyncMilvusClient(alias=alias) as client:
            assert "root" in await client.list_users()

    asyncio.run(ask())
    connections.disconnect(alias)
    asyncio.run(ask())


def test_clients_speak_tls(alias: str) -> None:
    certificates = Path(real("MILVUS_TEST_CERTIFICATES"))
    tls: dict[str, Any] = {"ca_pem_path": str(certificates / "ca.pem"), "server_name": "localhost"}
    own = {"client_pem_path": str(certificates / "client.pem"), "client_key_path": str(certificates / "client.key")}
    for variable, more in (("MILVUS_TEST_TLS", tls), ("MILVUS_TEST_MUTUAL_TLS", {**tls, **own})):
        with MilvusClient(f"https://{real(variable)}", token="root:Milvus", **more) as client:
            assert "root" in client.list_users()
    with pytest.raises(MilvusException, match="certificate"):
        MilvusClient(f"https://{real('MILVUS_TEST_TLS')}", token="root:Milvus", timeout=5)

    async def ask() -> None:
        async with AsyncMilvusClient(f"https://{real('MILVUS_TEST_TLS')}", token="root:Milvus", **tls) as client:
            assert "root" in await client.list_users()

    asyncio.run(ask())


def test_a_client_reaches_a_cloud_by_its_name(alias: str) -> None:
    """What stands in for Zilliz Cloud: a proxy with TLS that tells clusters apart by the name in the handshake."""
    address, certificates = real("MILVUS_TEST_CLOUD"), Path(real("MILVUS_TEST_CERTIFICATES"))
    port = address.rpartition(":")[2]
    tls = {"ca_pem_path": str(certificates / "ca.pem")}
    with MilvusClient(f"https://localhost:{port}", token="root:Milvus", **tls) as client:
        assert "root" in client.list_users()
        name = f"cloud_{port}"
        client.create_collection(name, dimension=2, consistency_level="Strong")
        try:
            client.insert(name, [{"id": 1, "vector": [1.0, 2.0]}])
            assert client.search(name, [[1.0, 2.0]])[0].ids == [1]
        finally:
            client.drop_collection(name)
    connections.connect(alias, uri=f"https://localhost:{port}", token="root:Milvus", **tls)
    assert connections.get_connection_addr(alias)["secure"] is True
