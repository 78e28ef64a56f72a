"""The same program through PyMilvus and through ours: equal results, and exceptions of the same class and code whose text
contains PyMilvus's. And the two pages that document the verbs, run as they stand but for the import.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

# ---- side by side

PROGRAM = """
import json, sys, warnings
warnings.simplefilter("ignore")
module, address = sys.argv[1:3]
host, port = address.rsplit(":", 1)
exec(f"from {module} import Connections, DefaultConfig, ExceptionsMessage, MilvusException, connections")
exec(f"from {module}.exceptions import *")

told = []
for step in json.load(open(sys.argv[3])):
    try:
        told.append({"value": repr(eval(step))})
    except Exception as error:
        told.append({
            "class": type(error).__name__,
            "bases": [base.__name__ for base in type(error).__mro__],
            "code": int(getattr(error, "code", -1)),
            "message": getattr(error, "message", str(error)),
            "text": str(error),
        })
print("TOLD" + json.dumps(told))
"""

STEPS = [
    # The registry from the start.
    "Connections() is connections",
    "connections.list_connections()",
    "connections.get_connection_addr('default')",
    "connections.get_connection_addr('nowhere')",
    "connections.has_connection('default')",
    "DefaultConfig.DEFAULT_HOST + DefaultConfig.DEFAULT_PORT + DefaultConfig.DEFAULT_USING",
    "DefaultConfig.MILVUS_CONN_TIMEOUT, DefaultConfig.GRPC_URI, DefaultConfig.MaxVarCharLength",
    "[getattr(ExceptionsMessage, n) for n in ('ConnectFirst', 'HostType', 'PortType', 'AliasType', 'ConnLackConf')]",
    # add_connection.
    "connections.add_connection()",
    "connections.add_connection(a={'address': 'h:1'}, b={'host': 'h', 'port': 2}, c={'host': 'h', 'port': '3'})",
    "connections.add_connection(d={'uri': 'http://h:4'}, e={'uri': 'https://h'}, f={'uri': 'tcp://h'}, g={})",
    "connections.add_connection(i={'port': 5}, j={'host': 'h'}, k={'address': 'h:6', 'user': 'someone'})",
    "connections.add_connection(l={'address': 'h:7', 'uri': 'http://o:8', 'host': 'p', 'port': 9})",
    "connections.add_connection(m={'uri': 'http://h:8', 'host': 'p', 'port': 9})",
    "connections.add_connection(n={'address': 'h:8', 'unknown': object})",
    "connections.add_connection(a={'address': 'h:10'})",
    *(f"connections.get_connection_addr('{alias}')" for alias in "abcdefgijklmn"),
    "[alias for alias, _ in connections.list_connections()]",
    # What can't be used.
    *(
        f"connections.add_connection(bad={config})"
        for config in (
            "{'host': 1}",
            "{'host': None}",
            "{'host': 1.5}",
            "{'host': 'h', 'port': 'nineteen'}",
            "{'host': 'h', 'port': None}",
            "{'host': 'h', 'port': [1]}",
            "{'host': 'h', 'port': -1}",
            "{'host': 'h', 'port': '-1'}",
            "{'host': 'h', 'port': 65535}",
            "{'host': 'h', 'port': 65536}",
            "{'address': 'localhost'}",
            "{'address': 'localhost:'}",
            "{'address': ':19530'}",
            "{'address': 'h:99999'}",
            "{'address': 5}",
            "{'uri': 'localhost:19530'}",
            "{'uri': 'http:'}",
            "{'uri': None}",
        )
    ),
    "connections.add_connection(one={'address': 'h:1'}, two={'address': 'bad'}, three={'address': 'h:3'})",
    "[a for a in ('one', 'two', 'three') if connections.get_connection_addr(a)]",
    # Aliases that are no strings.
    *(
        f"connections.{verb}({alias})"
        for verb in ("connect", "disconnect", "remove_connection", "has_connection", "get_connection_addr")
        for alias in ("1", "None", "['a']")
    ),
    # What can't be connected.
    "connections.connect('nowhere')",
    "connections.connect('x', uri='ftp://h')",
    "connections.connect('x', uri='/no/such/folder/x.db')",
    "connections.connect('x', host=1)",
    "connections.connect('x', port='nineteen', host='h')",
    "connections.connect('x', address='localhost')",
    "connections.connect('x', address='127.0.0.1:1', timeout=2)",
    "connections.connect('x', host='127.0.0.1', port=1, timeout=2)",
    "connections.connect('x', uri='http://127.0.0.1:1', timeout=2)",
    "connections.get_connection_addr('x')",
    "connections.add_connection(y={'address': '127.0.0.1:1'})",
    "connections.connect('y', timeout=2)",
    "connections.get_connection_addr('y'), connections.has_connection('y')",
    "connections._fetch_handler('a')",
    "connections._fetch_handler('nowhere')",
    # Connected.
    "connections.connect('live', host=host, port=port)",
    "connections.has_connection('live')",
    "connections.get_connection_addr('live') == {'address': address, 'user': '', 'db_name': 'default'}",
    "[(a, type(h).__name__) for a, h in connections.list_connections() if h]",
    "type(connections._fetch_handler('live')).__name__",
    "connections.connect('live', host=host, port=port)",
    "connections.connect('live', address=address)",
    "connections.connect('live', address='elsewhere:1')",
    "connections.add_connection(live={'address': 'elsewhere:1'})",
    "connections.add_connection(live={'address': address})",
    "connections.has_connection('live')",
    "connections.disconnect('live')",
    "connections.has_connection('live'), connections.get_connection_addr('live')['address'] == address",
    "connections.connect('live', address=address, db_name='default')",
    "connections.remove_connection('live')",
    "connections.has_connection('live'), connections.get_connection_addr('live')",
    "connections.connect('by_uri', uri=f'http://{address}')",
    "connections.get_connection_addr('by_uri')['address'] == address",
    "connections.disconnect('nowhere'), connections.remove_connection('nowhere')",
    "connections.add_connection(registered={'address': address})",
    "connections.connect('registered')",
    "connections.has_connection('registered')",
    "[connections.remove_connection(alias) for alias, _ in connections.list_connections()] and None",
    "connections.list_connections()",
]

# Where ours differs, and why.
DIFFERENT = {
    # PyMilvus takes what no port can be; ours says so at once.
    "connections.add_connection(bad={'address': 'h:99999'})",
}


def told(run_program: Any, module: str, address: str, steps: str) -> list[dict[str, Any]]:
    done = run_program(PROGRAM, module, address, steps, env={"GRPC_VERBOSITY": "NONE"})
    line = next(line for line in done.stdout.splitlines() if line.startswith("TOLD"))
    result: list[dict[str, Any]] = json.loads(line[4:])
    assert len(result) == len(STEPS)
    return result


def test_the_same_program_through_both(run_program: Any, address: str, tmp_path: Any) -> None:
    steps = tmp_path / "steps.json"
    steps.write_text(json.dumps(STEPS))
    theirs = told(run_program, "pymilvus", address, str(steps))
    ours = told(run_program, "milvus_connections", address, str(steps))
    compared = [(step, is_equal(*pair), pair) for step, *pair in zip(STEPS, theirs, ours)]
    differences = [(step, pair) for step, equal, pair in compared if not equal and step not in DIFFERENT]
    assert not differences, json.dumps(differences, indent=1)
    equal_again = [step for step, equal, _ in compared if equal and step in DIFFERENT]
    assert not equal_again, "no difference any more"


def is_equal(theirs: dict[str, Any], ours: dict[str, Any]) -> bool:
    if "value" in theirs or "value" in ours:
        return theirs.get("value") == ours.get("value")
    return (
        theirs["class"] == ours["class"]
        and theirs["bases"] == ours["bases"]
        and theirs["code"] == ours["code"]
        and theirs["message"].rstrip(" .") in ours["message"]
        and ours["text"] == f"<{ours['class']}: (code={ours['code']}, message={ours['message']})>"
    )


def test_the_exceptions_are_those_of_pymilvus() -> None:
    import pymilvus.exceptions as theirs

    import milvus_connections.exceptions as ours

    for name, thing in vars(theirs).items():
        if isinstance(thing, type) and thing.__module__ == theirs.__name__:
            own = getattr(ours, name)
            if issubclass(thing, BaseException):
                assert [base.__name__ for base in own.__mro__] == [base.__name__ for base in thing.__mro__]
                for one in (thing(7, "text", is_input_error=True), own(7, "text", is_input_error=True)):
                    assert (one.code, one.message, one.compatible_code) == (7, "text", 1)
                    assert (one.is_input_error, one.retriable) == (True, False)
                    assert str(one) == f"<{name}: (code=7, message=text)>"
    for member in theirs.ErrorCode:
        assert ours.ErrorCode[member.name] == member
    for name, text in vars(ours.ExceptionsMessage).items():
        if isinstance(text, str) and not name.startswith("_"):
            assert text == getattr(theirs.ExceptionsMessage, name)


def test_default_config_is_that_of_pymilvus() -> None:
    from pymilvus import DefaultConfig as theirs

    from milvus_connections import DefaultConfig as ours

    for name, value in vars(theirs).items():
        if not name.startswith("_"):
            assert getattr(ours, name) == value, name


def test_the_verbs_have_the_arguments_of_pymilvus() -> None:
    import inspect

    from pymilvus.orm.connections import Connections as theirs

    from milvus_connections import Connections as ours

    for name, verb in vars(theirs).items():
        if name.startswith("_") or not callable(verb):
            continue
        arguments = inspect.signature(inspect.unwrap(verb)).parameters.values()
        own = inspect.signature(getattr(ours, name)).parameters
        for argument in arguments:
            if argument.name in ("_async", "_unbind_with_db"):
                continue
            assert argument.name in own, f"{name}({argument.name})"
            assert own[argument.name].kind == argument.kind
            assert own[argument.name].default == argument.default


# ---- the pages

ADD_CONNECTION_PAGE = """
from pymilvus import connections

connections.add_connection(
  default={"address": "localhost:19530"},
  dev={"host": "localhost", "port": 19543}
)
"""

CONNECTIONS_PAGE = """
from pymilvus import connections    

CLUSTER_ENDPOINT = "YOUR_CLUSTER_ENDPOINT"
TOKEN = "YOUR_TOKEN"

# Establish a connection
connections.connect(
    uri=CLUSTER_ENDPOINT,
    token=TOKEN,
) 
"""


def with_our_import(page: str) -> str:
    assert page.count("pymilvus") == 1
    return page.replace("from pymilvus import", "from milvus_connections import")


def test_the_page_add_connection_runs_as_it_stands(run_program: Any) -> None:
    told_by = """
print(connections.list_connections())
print(connections.get_connection_addr("default"), connections.get_connection_addr("dev"))
"""
    theirs = run_program(ADD_CONNECTION_PAGE + told_by)
    ours = run_program(with_our_import(ADD_CONNECTION_PAGE) + told_by)
    assert ours.stdout == theirs.stdout
    assert "localhost:19543" in ours.stdout


def test_the_page_connections_runs_as_it_stands(run_program: Any) -> None:
    theirs = run_program(CONNECTIONS_PAGE, check=False)
    ours = run_program(with_our_import(CONNECTIONS_PAGE), check=False)
    assert ours.returncode == theirs.returncode == 1
    text = "YOUR_CLUSTER_ENDPOINT is illegal, needs start with [unix, http, https, tcp]"
    assert text in theirs.stderr and text in ours.stderr
    assert "ConnectionConfigException" in ours.stderr


def test_the_page_connections_connects_once_its_placeholders_are_filled(run_program: Any) -> None:
    from conftest import real

    filled = CONNECTIONS_PAGE.replace("YOUR_CLUSTER_ENDPOINT", f"http://{real('MILVUS_TEST_AUTH')}")
    filled = filled.replace("YOUR_TOKEN", "root:Milvus")
    told_by = """
address = connections.get_connection_addr("default")
print(connections.has_connection("default"), address["address"], address["db_name"])
"""
    theirs = run_program(filled + told_by)
    ours = run_program(with_our_import(filled) + told_by)
    assert ours.stdout == theirs.stdout == f"True {os.environ['MILVUS_TEST_AUTH']} default\n"


@pytest.mark.parametrize("page", [ADD_CONNECTION_PAGE, CONNECTIONS_PAGE])
def test_the_pages_say_what_they_said(page: str) -> None:
    """Only the import is changed: the rest is compared with the pages, where they are at hand."""
    name = "add_connection.md" if "add_connection" in page else "connections.md"
    path = os.path.join(os.path.dirname(__file__), "../../../shared/seeds", name)
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            assert page in file.read()
    compile(page, name, "exec")
