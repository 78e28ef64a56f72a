"""A server that speaks enough of Milvus's protocol to be connected to, counts calls, and hangs on demand.

Prints its address. Reads commands from standard input, and ends with it:

``calls RPC``               how many calls have arrived
``hang RPC``                from now on such calls hang until their client goes away
``wait arrived RPC N``      answers ``yes`` once N have arrived
``wait cancelled RPC N``    answers ``yes`` once N have been cancelled by the client
"""

from __future__ import annotations

import base64
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import grpc
from pymilvus.grpc_gen import common_pb2, milvus_pb2, milvus_pb2_grpc, schema_pb2

arrived: Counter[str] = Counter()
cancelled: Counter[str] = Counter()
hanging: set[str] = set()
changed = threading.Condition()


def count(counter: Counter[str], rpc: str) -> None:
    with changed:
        counter[rpc] += 1
        changed.notify_all()


class Count(grpc.ServerInterceptor):
    def __init__(self, credentials: str | None) -> None:
        self.expected = None if credentials is None else base64.b64encode(credentials.encode()).decode()

    def intercept_service(self, continuation, details):  # type: ignore[no-untyped-def]
        rpc = details.method.rsplit("/", 1)[-1]
        if rpc not in hanging:
            count(arrived, rpc)
        given = dict(details.invocation_metadata).get("authorization")
        if self.expected is not None and given != self.expected:

            def refuse(_request: object, context: grpc.ServicerContext) -> None:
                context.abort(
                    grpc.StatusCode.UNAUTHENTICATED,
                    "auth check failure, please check username and password are correct",
                )

            return grpc.unary_unary_rpc_method_handler(refuse)
        handler = continuation(details)
        if rpc not in hanging:
            return handler

        def hang(_request: object, context: grpc.ServicerContext) -> None:
            # Counted here: a call that is cancelled before its handler runs never gets to it.
            gone = threading.Event()
            is_there = context.add_callback(gone.set)
            count(arrived, rpc)
            if is_there:
                gone.wait()
            count(cancelled, rpc)

        return grpc.unary_unary_rpc_method_handler(
            hang, request_deserializer=handler.request_deserializer, response_serializer=lambda _: b""
        )


class Milvus(milvus_pb2_grpc.MilvusServiceServicer):
    def Connect(self, request, context):  # type: ignore[no-untyped-def]
        return milvus_pb2.ConnectResponse(
            status=common_pb2.Status(),
            identifier=arrived["Connect"],
            server_info=common_pb2.ServerInfo(build_tags="v2.6.0-stand-in", deploy_mode="STANDALONE"),
        )

    def GetVersion(self, request, context):  # type: ignore[no-untyped-def]
        return milvus_pb2.GetVersionResponse(status=common_pb2.Status(), version="v2.6.0-stand-in")

    def ListDatabases(self, request, context):  # type: ignore[no-untyped-def]
        return milvus_pb2.ListDatabasesResponse(status=common_pb2.Status(), db_names=["default", "books"])

    def ShowCollections(self, request, context):  # type: ignore[no-untyped-def]
        return milvus_pb2.ShowCollectionsResponse(status=common_pb2.Status())

    def DescribeCollection(self, request, context):  # type: ignore[no-untyped-def]
        key = schema_pb2.FieldSchema(
            fieldID=100, name="id", data_type=schema_pb2.DataType.Int64, is_primary_key=True
        )
        vector = schema_pb2.FieldSchema(
            fieldID=101,
            name="vector",
            data_type=schema_pb2.DataType.FloatVector,
            type_params=[common_pb2.KeyValuePair(key="dim", value="2")],
        )
        return milvus_pb2.DescribeCollectionResponse(
            status=common_pb2.Status(),
            collection_name=request.collection_name,
            schema=schema_pb2.CollectionSchema(name=request.collection_name, fields=[key, vector]),
        )


def main() -> None:
    credentials = sys.argv[2] if sys.argv[1:2] == ["--credentials"] else None
    server = grpc.server(ThreadPoolExecutor(64), interceptors=[Count(credentials)])
    milvus_pb2_grpc.add_MilvusServiceServicer_to_server(Milvus(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"127.0.0.1:{port}", flush=True)
    for line in sys.stdin:
        command, *arguments = line.split()
        if command == "calls":
            print(arrived[arguments[0]], flush=True)
        elif command == "hang":
            hanging.add(arguments[0])
            print("yes", flush=True)
        else:
            kind, rpc, number = arguments
            counter = arrived if kind == "arrived" else cancelled
            with changed:
                reached = changed.wait_for(lambda: counter[rpc] >= int(number), timeout=50)
            print("yes" if reached else f"no: {counter[rpc]}", flush=True)
    server.stop(0)


if __name__ == "__main__":
    main()
