"""No secret comes out: everything that can be shown is shown, with a canary for a secret inside."""

from __future__ import annotations

import asyncio
import json
import pickle
import traceback
from pathlib import Path
from typing import Any, Iterator

import pytest

from milvus_connections import Connections, MilvusException, _native

CANARY = "canary-5b1e"


def with_secrets(address: str) -> Iterator[dict[str, Any]]:
    yield {"address": address, "user": "root", "password": CANARY}
    yield {"address": address, "token": CANARY}
    yield {"address": address, "token": f"root:{CANARY}"}
    yield {"uri": f"http://root:{CANARY}@{address}"}
    yield {"uri": f"http://root:{CANARY}@{address}", "max_channels": "many"}
    yield {"uri": f"http//root:{CANARY}@{address}"}
    yield {"address": address, "password": CANARY, "user": CANARY[:0]}
    yield {"address": address, "token": bytes(CANARY, "ascii")}
    yield {"uri": f"http://root:{CANARY}@{address}:{address}"}


def everything(thing: Any) -> str:
    """All that a thing says of itself."""
    said = [repr(thing), str(thing), format(thing)]
    for name in dir(thing):
        if not name.startswith("__"):
            try:
                value = getattr(thing, name)
            except Exception as error:  # noqa: BLE001
                value = error
            said.append(f"{name}={value!r}")
    for turn in (lambda: json.dumps(thing, default=str), lambda: str(pickle.dumps(thing)), lambda: str(vars(thing))):
        try:
            said.append(turn())
        except Exception as error:  # noqa: BLE001
            said.append(str(error))
    return "\n".join(said)


def told(error: BaseException) -> str:
    return everything(error) + "".join(traceback.format_exception(type(error), error, None))


@pytest.mark.parametrize("reachable", [True, False])
def test_no_secret_is_shown(guarded: Any, closed_address: str, reachable: bool, capfd: Any) -> None:
    address = guarded.address if reachable else closed_address
    shown = []
    for number, config in enumerate(with_secrets(address)):
        registry = Connections.isolated()
        events = registry.events(timeout=0.05)
        alias = f"alias{number}"
        for attempt in (
            lambda: registry.add_connection(**{alias: config}),
            lambda: registry.connect(alias),
            lambda: registry.connect(alias, **config),
            lambda: asyncio.run(registry.async_connect(alias, **config)),
            lambda: registry.connect(alias, address="elsewhere:1", token=CANARY),
            lambda: shown.append(everything(registry.explain(alias, **config))),
            lambda: shown.append(everything(registry.diagnose(alias, **config))),
            lambda: shown.append(everything(_native.Connection.open(alias, config, False))),
        ):
            try:
                attempt()
            except MilvusException as error:
                shown.append(told(error))
            shown += [everything(registry), everything(registry.status()), everything(registry.status(alias))]
            shown.append(everything(registry.get_connection_addr(alias)))
            for _, handle in registry.list_connections():
                shown.append(everything(handle))
        shown += [everything(event) for event in events]
    captured = capfd.readouterr()
    shown += [captured.out, captured.err]
    assert sum(map(len, shown)) > 50_000, "much has been shown"
    leaks = [text for text in shown if CANARY in text]
    assert not leaks, leaks[0]


def test_a_connection_with_a_secret_shows_none(registry: Connections, guarded: Any) -> None:
    registry.connect("dev", address=guarded.address, token="root:Milvus")
    handle = registry._fetch_handler("dev")
    for thing in (registry, handle, handle._connection, registry.status("dev"), registry.explain("dev")):
        assert "root:Milvus" not in everything(thing)
        assert "Milvus" not in repr(registry.get_connection_addr("dev"))
    assert repr(handle._connection) == (
        f'<Connection alias="dev" address="{guarded.address}" database="default" state="ready">'
    )


def test_a_secret_in_a_profile_file_is_not_shown(run_program: Any, tmp_path: Path, closed_address: str) -> None:
    profile = tmp_path / "profile.toml"
    profile.write_text(f'[dev]\naddress = "{closed_address}"\ntoken = "{CANARY}"\n')
    for mode in (0o600, 0o644):
        profile.chmod(mode)
        done = run_program(
            """
            from milvus_connections import connections
            for attempt in (lambda: print(connections.explain("dev")), lambda: connections.connect("dev")):
                try:
                    attempt()
                except Exception as error:
                    print(error)
            """,
            env={"MILVUS_CONNECTIONS_FILE": str(profile)},
        )
        assert "dev" in done.stdout
        assert CANARY not in done.stdout + done.stderr
