"""Schemas of collections: fields, struct fields, functions.

>>> schema = CollectionSchema([], enable_dynamic_field=True, check_fields=False)
>>> _ = schema.add_field("id", DataType.INT64, is_primary=True)
>>> _ = schema.add_field("vector", DataType.FLOAT_VECTOR, dim=8)
>>> [field.name for field in schema.fields]
['id', 'vector']
"""

from __future__ import annotations

import copy
import json
from typing import Any, Mapping, Sequence

from .exceptions import (
    AutoIDException,
    ClusteringKeyException,
    DataTypeNotSupportException,
    FieldsTypeException,
    FieldTypeException,
    FunctionsTypeException,
    ParamError,
    PartitionKeyException,
    PrimaryKeyException,
    SchemaNotReadyException,
)
from .functions import Function
from .types import VECTOR_TYPES, DataType

__all__ = ["CollectionSchema", "FieldSchema", "StructFieldSchema"]

# Parameters of a field that travel with its type.
_TYPE_PARAMETERS = (
    "max_length",
    "dim",
    "max_capacity",
    "enable_match",
    "enable_analyzer",
    "analyzer_params",
    "multi_analyzer_params",
)
_TYPES_WITH_PARAMETERS = VECTOR_TYPES | {
    DataType.VARCHAR,
    DataType.TEXT,
    DataType.ARRAY,
    DataType._ARRAY_OF_VECTOR,
}
_CLUSTERING_TYPES = (
    DataType.INT8,
    DataType.INT16,
    DataType.INT32,
    DataType.INT64,
    DataType.FLOAT,
    DataType.DOUBLE,
    DataType.VARCHAR,
    DataType.FLOAT_VECTOR,
)


class FieldSchema:
    """One field of a collection.

    ``dim``, ``max_length``, ``max_capacity``, ``element_type``, ``enable_analyzer`` and the other parameters of Milvus are
    keyword arguments, as are ``is_primary``, ``auto_id``, ``nullable``, ``default_value``, ``is_partition_key`` and
    ``is_clustering_key``.

    >>> FieldSchema("title", DataType.VARCHAR, max_length=200, nullable=True)
    {'name': 'title', 'description': '', 'type': <DataType.VARCHAR: 21>, 'params': {'max_length': 200}, 'nullable': True}
    """

    def __init__(self, name: str, dtype: DataType | int, description: str = "", **kwargs: Any) -> None:
        try:
            self._dtype = DataType(dtype)
        except ValueError:
            raise DataTypeNotSupportException(message="Field dtype must be of DataType") from None
        if self._dtype == DataType.UNKNOWN:
            raise DataTypeNotSupportException(message="Field dtype must be of DataType")
        self.name = name
        self._description = description
        self._check(kwargs)
        self.is_primary: bool = kwargs.get("is_primary", False)
        self.is_dynamic: bool = kwargs.get("is_dynamic", False)
        self.nullable: bool = kwargs.get("nullable", False)
        self.auto_id: bool = kwargs.get("auto_id", False)
        self.is_partition_key: bool = kwargs.get("is_partition_key", False)
        self.is_clustering_key: bool = kwargs.get("is_clustering_key", False)
        self.default_value: Any = kwargs.get("default_value")
        if "default_value" in kwargs and self.default_value is None and not self.nullable:
            raise ParamError(message="Default value cannot be None for a field that is defined as nullable == false.")
        self.element_type: DataType | None = kwargs.get("element_type")
        self.is_function_output = False
        self.external_field: str = kwargs.get("external_field", "")
        self._type_params = _type_parameters(self._dtype, kwargs)

    @staticmethod
    def _check(given: Mapping[str, Any]) -> None:
        if not isinstance(given.get("is_primary", False), bool):
            raise PrimaryKeyException(message="Param is_primary must be bool type.")
        if not isinstance(given.get("auto_id", False), bool):
            raise AutoIDException(message="Param auto_id must be bool type.")
        if given.get("auto_id", False) and not given.get("is_primary", False):
            raise PrimaryKeyException(message="The auto_id can only be specified on the primary key field")
        if not isinstance(given.get("is_partition_key", False), bool):
            raise PartitionKeyException(message="Param is_partition_key must be bool type.")
        if not isinstance(given.get("is_clustering_key", False), bool):
            raise ClusteringKeyException(message="Param is_clustering_key must be bool type.")

    @property
    def description(self) -> str:
        """What the field is for."""
        return self._description

    @property
    def params(self) -> dict[str, Any]:
        """The parameters of the type, such as ``dim``."""
        return self._type_params

    @property
    def dtype(self) -> DataType:
        """The type."""
        return self._dtype

    def __getattr__(self, name: str) -> Any:
        # Parameters of the type are attributes; any other name is None, as existing code expects.
        if name.startswith("__"):
            raise AttributeError(name)
        return self.__dict__.get("_type_params", {}).get(name)

    def to_dict(self) -> dict[str, Any]:
        """The field as a dict, without what is not set."""
        described: dict[str, Any] = {"name": self.name, "description": self._description, "type": self._dtype}
        if self._type_params:
            described["params"] = copy.deepcopy(self._type_params)
        if self.is_primary:
            described["is_primary"] = True
            described["auto_id"] = self.auto_id
        if self.is_partition_key:
            described["is_partition_key"] = True
        if self.default_value is not None:
            described["default_value"] = self.default_value
        if self.is_dynamic:
            described["is_dynamic"] = self.is_dynamic
        if self.nullable:
            described["nullable"] = self.nullable
        if self._dtype in (DataType.ARRAY, DataType._ARRAY_OF_VECTOR) and self.element_type:
            described["element_type"] = self.element_type
        if self.is_clustering_key:
            described["is_clustering_key"] = True
        if self.is_function_output:
            described["is_function_output"] = True
        if self.external_field:
            described["external_field"] = self.external_field
        return described

    @classmethod
    def construct_from_dict(cls, raw: Mapping[str, Any]) -> FieldSchema:
        """The field that ``to_dict`` or ``describe_collection`` described."""
        names = ("is_primary", "auto_id", "is_partition_key", "is_clustering_key", "is_dynamic", "nullable")
        given: dict[str, Any] = {**raw.get("params", {}), "element_type": raw.get("element_type")}
        given.update({name: raw[name] for name in names if raw.get(name) is not None})
        for name in ("default_value", "external_field"):
            if raw.get(name):
                given[name] = raw[name]
        field = cls(raw["name"], raw["type"], raw.get("description", ""), **given)
        field.is_function_output = raw.get("is_function_output", False)
        return field

    def __deepcopy__(self, memo: Any) -> FieldSchema:
        return self.construct_from_dict(self.to_dict())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FieldSchema) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return str(self.to_dict())

    def _native(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "data_type": int(self._dtype),
            "element_type": None if self.element_type is None else int(self.element_type),
            "description": self._description,
            "is_primary": self.is_primary,
            "auto_id": self.auto_id,
            "is_partition_key": self.is_partition_key,
            "is_clustering_key": self.is_clustering_key,
            "is_dynamic": self.is_dynamic,
            "nullable": self.nullable,
            "default_value": self.default_value,
            "params": self._type_params,
        }


def _type_parameters(dtype: DataType, given: Mapping[str, Any]) -> dict[str, Any]:
    parameters = {name: given[name] for name in ("mmap_enabled", "warmup") if name in given}
    if dtype not in _TYPES_WITH_PARAMETERS:
        return parameters
    for name in _TYPE_PARAMETERS:
        if name not in given:
            continue
        value = given[name]
        if isinstance(value, dict):
            value = json.dumps(value, separators=(",", ":"))
        elif isinstance(value, str) and value.lower() in ("true", "false"):
            value = value.lower() == "true"
        parameters[name] = value
    return parameters


class StructFieldSchema:
    """A field whose values are lists of structs.

    >>> part = StructFieldSchema()
    >>> part.add_field("vector", DataType.FLOAT_VECTOR, dim=4).fields[0].dim
    4
    """

    def __init__(self, nullable: bool = False, description: str = "") -> None:
        if not isinstance(nullable, bool):
            raise ParamError(message="nullable must be boolean")
        if not isinstance(description, str):
            raise ParamError(message="description must be string")
        self.name = ""
        self.max_capacity: int | None = None
        self._fields: list[FieldSchema] = []
        self._description = description
        self._nullable = nullable
        self._type_params: dict[str, Any] = {}

    def add_field(self, field_name: str, datatype: DataType, **kwargs: Any) -> StructFieldSchema:
        """Adds a field to the struct; returns the struct."""
        if datatype in (DataType.ARRAY, DataType._ARRAY_OF_VECTOR, DataType.STRUCT):
            raise ParamError(message="Struct field schema does not support Array, ArrayOfVector or Struct")
        self._fields.append(FieldSchema(field_name, datatype, **kwargs))
        return self

    @property
    def fields(self) -> list[FieldSchema]:
        """The fields of a struct."""
        return self._fields

    @property
    def description(self) -> str:
        """What the field is for."""
        return self._description

    @property
    def nullable(self) -> bool:
        """Whether a row may have none."""
        return self._nullable

    @property
    def params(self) -> dict[str, Any]:
        """Parameters such as ``mmap_enabled``."""
        return self._type_params

    @property
    def dtype(self) -> DataType:
        """``DataType.STRUCT``."""
        return DataType.STRUCT

    @classmethod
    def construct_from_dict(cls, raw: Mapping[str, Any]) -> StructFieldSchema:
        """The field that ``to_dict`` or ``describe_collection`` described."""
        params = dict(raw.get("params") or {})
        capacity = raw.get("max_capacity", params.pop("max_capacity", None))
        struct = cls(raw.get("nullable", False), raw.get("description", ""))
        struct.name = raw["name"]
        struct.max_capacity = capacity
        struct._type_params.update(params)
        for field in raw.get("struct_fields") or raw.get("fields") or []:
            struct._fields.append(FieldSchema.construct_from_dict(field))
        return struct

    def to_dict(self) -> dict[str, Any]:
        """The field as a dict, without what is not set."""
        described: dict[str, Any] = {
            "name": self.name,
            "description": self._description,
            "fields": [field.to_dict() for field in self._fields],
        }
        if self._nullable:
            described["nullable"] = True
        if self.max_capacity is not None:
            described["max_capacity"] = self.max_capacity
        if self._type_params:
            described["params"] = dict(self._type_params)
        return described

    def _check(self) -> None:
        if self.max_capacity is None:
            raise ParamError(message=f"max_capacity not set for struct field: {self.name}")
        if not self._fields:
            raise ParamError(message="Struct field must have at least one field")
        for field in self._fields:
            for role in ("is_primary", "is_partition_key", "is_clustering_key", "is_dynamic", "nullable", "auto_id"):
                if getattr(field, role):
                    raise ParamError(message=f"Field '{field.name}' in struct '{self.name}' cannot be {role}")

    def _native(self) -> dict[str, Any]:
        self._check()
        return {
            "name": self.name,
            "description": self._description,
            "nullable": self._nullable,
            "max_capacity": self.max_capacity,
            "params": self._type_params,
            "fields": [field._native() for field in self._fields],
        }


class CollectionSchema:
    """The fields and functions of a collection."""

    def __init__(
        self,
        fields: list[FieldSchema],
        description: str = "",
        struct_fields: list[StructFieldSchema] | None = None,
        functions: list[Function] | None = None,
        **kwargs: Any,
    ) -> None:
        self._kwargs = dict(kwargs)
        self._description = description
        self._enable_dynamic_field = kwargs.get("enable_dynamic_field")
        self._primary_field: FieldSchema | None = None
        self._partition_key_field: FieldSchema | None = None
        self._clustering_key_field: FieldSchema | None = None
        if functions and not isinstance(functions, list):
            raise FunctionsTypeException(message="The functions of collection must be type list.")
        if not all(isinstance(function, Function) for function in functions or []):
            raise SchemaNotReadyException(message="The function of schema type must be Function.")
        if not isinstance(fields, list):
            raise FieldsTypeException(message="The fields of schema must be type list.")
        if not all(isinstance(field, FieldSchema) for field in fields):
            raise FieldTypeException(message="The field of schema type must be FieldSchema.")
        if not all(isinstance(field, StructFieldSchema) for field in struct_fields or []):
            raise FieldTypeException(message="The field of schema type must be FieldSchema.")
        self._functions = list(functions or [])
        self._fields = [copy.deepcopy(field) for field in fields]
        self._struct_fields = [copy.deepcopy(field) for field in struct_fields or []]
        self._mark_outputs()
        self._check_kwargs()
        if kwargs.get("check_fields", True):
            self._check_fields()

    def _check_kwargs(self) -> None:
        for name, error in (("primary_field", PrimaryKeyException), ("partition_key_field", PartitionKeyException)):
            value = self._kwargs.get(name)
            if value is not None and not isinstance(value, str):
                raise error(message=f"Param {name} must be str type.")
        if not isinstance(self._kwargs.get("auto_id", False), bool):
            raise AutoIDException(message="Param auto_id must be bool type.")

    def _take_roles(self, field: FieldSchema) -> None:
        """Notes a field that is a key; refuses a second one."""
        roles: Sequence[tuple[str, str, type[Exception], str]] = (
            ("is_primary", "primary_field", PrimaryKeyException, "primary"),
            ("is_partition_key", "partition_key_field", PartitionKeyException, "partition"),
            ("is_clustering_key", "clustering_key_field", ClusteringKeyException, "clustering"),
        )
        for attribute, argument, error, word in roles:
            named = self._kwargs.get(argument)
            if named and named == field.name:
                setattr(field, attribute, True)
            if not getattr(field, attribute):
                continue
            known = getattr(self, f"_{argument}")
            first = known.name if known is not None and known is not field else named
            if first and first != field.name:
                text = f"Expected only one {word} key field, got [{first}, {field.name}, ...]."
                raise error(message=text)  # type: ignore[call-arg]
            setattr(self, f"_{argument}", field)
        if field.is_primary and self._kwargs.get("auto_id", False):
            field.auto_id = True

    def _check_fields(self) -> None:
        for field in self._fields:
            self._take_roles(field)
        primary = self._primary_field
        if primary is None:
            raise PrimaryKeyException(message="Schema must have a primary key field.")
        if primary.dtype not in (DataType.INT64, DataType.VARCHAR):
            raise PrimaryKeyException(message="Primary key type must be DataType.INT64 or DataType.VARCHAR.")
        partition, named = self._partition_key_field, self._kwargs.get("partition_key_field")
        if partition is not None and partition.dtype not in (DataType.INT64, DataType.VARCHAR):
            raise PartitionKeyException(message="Partition key field type must be DataType.INT64 or DataType.VARCHAR.")
        if partition is None and named is not None:
            raise PartitionKeyException(message=f"the specified partition key field {{{named}}} not exist")
        clustering = self._clustering_key_field
        if clustering is not None and clustering.dtype not in _CLUSTERING_TYPES:
            raise ClusteringKeyException(message=f"Clustering key field type {clustering.dtype.name} is not supported.")

    def _check_functions(self) -> None:
        fields = {field.name: field for field in self._fields}
        for function in self._functions:
            for name in function.output_field_names:
                field = fields.get(name)
                if field is None:
                    raise ParamError(message=f"Function output field not found in collection schema.: {name}")
                if field.is_primary or field.is_partition_key or field.is_clustering_key:
                    raise ParamError(
                        message="The output field must not be primary key, partition key, clustering key."
                    )
            for name in function.input_field_names:
                if name not in fields:
                    raise ParamError(message=f"Function input field not found in collection schema.: {name}")
            function.verify(self)

    def _mark_outputs(self) -> None:
        outputs = {name for function in self._functions for name in function.output_field_names}
        for field in self._fields:
            if field.name in outputs:
                field.is_function_output = True

    @property
    def fields(self) -> list[FieldSchema]:
        """The fields."""
        return self._fields

    @property
    def struct_fields(self) -> list[StructFieldSchema]:
        """The fields whose values are lists of structs."""
        return self._struct_fields

    @property
    def functions(self) -> list[Function]:
        """The functions."""
        return self._functions

    @property
    def description(self) -> str:
        """What the collection is for."""
        return self._description

    @property
    def primary_field(self) -> FieldSchema | None:
        """The primary key."""
        return self._primary_field

    @property
    def partition_key_field(self) -> FieldSchema | None:
        """The partition key."""
        return self._partition_key_field

    @property
    def auto_id(self) -> bool:
        """Whether the server makes up the primary keys."""
        if self._primary_field is not None:
            return self._primary_field.auto_id
        return bool(self._kwargs.get("auto_id", False))

    @auto_id.setter
    def auto_id(self, value: bool) -> None:
        if self._primary_field is not None:
            self._primary_field.auto_id = bool(value)

    @property
    def enable_dynamic_field(self) -> bool:
        """Whether rows may have fields that the schema does not name."""
        return bool(self._enable_dynamic_field)

    @enable_dynamic_field.setter
    def enable_dynamic_field(self, value: bool) -> None:
        self._enable_dynamic_field = bool(value)

    def add_field(self, field_name: str, datatype: DataType, **kwargs: Any) -> CollectionSchema:
        """Adds a field; returns the schema, so that calls can be chained."""
        if datatype == DataType.ARRAY and kwargs.get("element_type") == DataType.STRUCT:
            return self._add_struct(field_name, kwargs)
        field = FieldSchema(field_name, datatype, **kwargs)
        self._take_roles(field)
        self._fields.append(field)
        self._mark_outputs()
        return self

    def _add_struct(self, name: str, given: dict[str, Any]) -> CollectionSchema:
        for needed in ("struct_schema", "max_capacity"):
            if needed not in given:
                raise ParamError(message=f"Param {needed} is required when datatype is STRUCT")
        struct = copy.deepcopy(given["struct_schema"])
        struct.name = name
        struct.max_capacity = given["max_capacity"]
        struct._nullable = given.get("nullable", False)
        struct._description = given.get("description", struct._description)
        struct._type_params.update({key: given[key] for key in ("mmap_enabled", "warmup") if key in given})
        return self.add_struct_field(struct)

    def add_struct_field(self, struct_field_schema: StructFieldSchema) -> CollectionSchema:
        """Adds a field whose values are lists of structs."""
        self._struct_fields.append(struct_field_schema)
        return self

    def add_function(self, function: Function) -> CollectionSchema:
        """Adds a function; returns the schema."""
        if not isinstance(function, Function):
            raise ParamError(message="The function of schema type must be Function.")
        self._functions.append(function)
        self._mark_outputs()
        return self

    def verify(self) -> None:
        """Checks keys and functions; called before a collection is created."""
        self._check_kwargs()
        self._check_fields()
        self._check_functions()

    def to_dict(self) -> dict[str, Any]:
        """The schema as a dict."""
        described: dict[str, Any] = {
            "auto_id": self.auto_id,
            "description": self._description,
            "fields": [field.to_dict() for field in self._fields],
            "enable_dynamic_field": self.enable_dynamic_field,
            "enable_namespace": bool(self._kwargs.get("enable_namespace", False)),
        }
        if self._functions:
            described["functions"] = [function.to_dict() for function in self._functions]
        if self._struct_fields:
            described["struct_fields"] = [field.to_dict() for field in self._struct_fields]
        return described

    @classmethod
    def construct_from_dict(cls, raw: Mapping[str, Any]) -> CollectionSchema:
        """The schema that ``to_dict`` or ``describe_collection`` described."""
        fields = [FieldSchema.construct_from_dict(field) for field in raw["fields"] if "struct_fields" not in field]
        described = [field for field in raw["fields"] if "struct_fields" in field] + list(raw.get("struct_fields") or [])
        structs = [StructFieldSchema.construct_from_dict(field) for field in described]
        functions = [Function.construct_from_dict(function) for function in raw.get("functions", [])]
        enable = raw.get("enable_dynamic_field", False)
        return cls(
            fields,
            raw.get("description", ""),
            struct_fields=structs,
            functions=functions,
            enable_dynamic_field=enable,
        )

    def __len__(self) -> int:
        return len(self._fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CollectionSchema) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return str(self.to_dict())

    def _native(self) -> dict[str, Any]:
        return {
            "description": self._description,
            "enable_dynamic_field": self.enable_dynamic_field,
            "fields": [field._native() for field in self._fields],
            "struct_fields": [field._native() for field in self._struct_fields],
            "functions": [function._native() for function in self._functions],
        }
