"""Prints the official descriptors as one line of JSON: each file's FileDescriptorProto, base64-coded.

The generated modules are imported without their package's own __init__, which would need all that a
client of Milvus needs.
"""

import base64
import importlib.metadata
import importlib.util
import json
import sys
import types

for name in ("pymilvus", "pymilvus.grpc_gen"):
    package = types.ModuleType(name)
    package.__path__ = importlib.util.find_spec(name).submodule_search_locations
    sys.modules[name] = package

from grpc_health.v1 import health_pb2  # noqa: E402
from pymilvus.grpc_gen import milvus_pb2  # noqa: E402

files = {}


def collect(file):
    if file.name in files or file.package == "google.protobuf":
        return
    for dependency in file.dependencies:
        collect(dependency)
    files[file.name] = base64.b64encode(file.serialized_pb).decode()


collect(milvus_pb2.DESCRIPTOR)
collect(health_pb2.DESCRIPTOR)
versions = {name: importlib.metadata.version(name) for name in ("pymilvus", "grpcio-health-checking")}
print(json.dumps({"versions": versions, "files": list(files.values())}))
