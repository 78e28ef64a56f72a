"""``DefaultConfig``: what PyMilvus's class of that name says, read from the same environment variables."""

from __future__ import annotations

import os

__all__ = ["DefaultConfig"]


class DefaultConfig:
    """The defaults of a process, as they were when this module was imported.

    >>> DefaultConfig.DEFAULT_HOST, DefaultConfig.DEFAULT_PORT
    ('localhost', '19530')
    """

    LEGACY_URI: str = os.getenv("MILVUS_DEFAULT_CONNECTION", "")
    MILVUS_URI: str = os.getenv("MILVUS_URI", LEGACY_URI)

    MILVUS_CONN_ALIAS: str = os.getenv("MILVUS_CONN_ALIAS", "default")
    MILVUS_CONN_TIMEOUT: float = float(os.getenv("MILVUS_CONN_TIMEOUT", "10.0"))

    DEFAULT_USING: str = MILVUS_CONN_ALIAS
    DEFAULT_CONNECT_TIMEOUT: float = MILVUS_CONN_TIMEOUT

    GRPC_PORT: str = "19530"
    GRPC_ADDRESS: str = "127.0.0.1:19530"
    GRPC_URI: str = f"tcp://{GRPC_ADDRESS}"

    DEFAULT_HOST: str = "localhost"
    DEFAULT_PORT: str = "19530"

    WaitTimeDurationWhenLoad: float = 0.2
    MaxVarCharLengthKey: str = "max_length"
    MaxVarCharLength: int = 65535
    EncodeProtocol: str = "utf-8"
    IndexName: str = ""
