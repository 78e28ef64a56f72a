"""Functions that the server runs: on rows as they arrive (BM25, embeddings), or on hits (reranking)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping

from .exceptions import ParamError
from .types import DataType, FunctionType

if TYPE_CHECKING:
    from .schema import CollectionSchema

__all__ = ["Function", "FunctionScore"]


class Function:
    """A function that the server runs on rows (BM25, embeddings) or on hits (reranking).

    >>> Function("bm25", FunctionType.BM25, "text", "terms").output_field_names
    ['terms']
    """

    def __init__(
        self,
        name: str,
        function_type: FunctionType | int,
        input_field_names: str | list[str],
        output_field_names: str | list[str] | None = None,
        description: str = "",
        params: dict[str, Any] | None = None,
    ) -> None:
        if not isinstance(name, str):
            raise ParamError(message=f"The name of the function should be a string, but got {type(name)}")
        if not isinstance(description, str):
            raise ParamError(message=f"The description of the function should be a string, but got {type(description)}")
        self._name = name
        self._description = description
        self._input_field_names = _names("input", input_field_names)
        self._output_field_names = _names("output", [] if output_field_names is None else output_field_names)
        if set(self._input_field_names) & set(self._output_field_names):
            raise ParamError(message="Input and output field names must be different.")
        try:
            self._type = FunctionType(function_type)
        except ValueError as error:
            raise ParamError(message="Unknown function type.") from error
        self._params = {} if params is None else params
        if not isinstance(self._params, dict):
            raise ParamError(message="The parameters of the function should be a dictionary.")

    @property
    def name(self) -> str:
        """The name."""
        return self._name

    @property
    def description(self) -> str:
        """What the function is for."""
        return self._description

    @property
    def type(self) -> FunctionType:
        """What it does."""
        return self._type

    @property
    def input_field_names(self) -> list[str]:
        """The fields it reads."""
        return self._input_field_names

    @property
    def output_field_names(self) -> list[str]:
        """The fields it fills."""
        return self._output_field_names

    @property
    def params(self) -> dict[str, Any]:
        """Its parameters."""
        return self._params

    def verify(self, schema: CollectionSchema) -> None:
        """Checks the function against the fields of a schema."""
        if self._type == FunctionType.UNKNOWN:
            raise ParamError(message="Unknown function type.")
        outputs = {FunctionType.BM25: (DataType.SPARSE_FLOAT_VECTOR,)}
        outputs[FunctionType.TEXTEMBEDDING] = (DataType.FLOAT_VECTOR, DataType.INT8_VECTOR)  # type: ignore[assignment]
        if self._type not in outputs:
            return
        kind = {FunctionType.BM25: "BM25", FunctionType.TEXTEMBEDDING: "TextEmbedding"}[self._type]
        if len(self._input_field_names) != 1 or len(self._output_field_names) != 1:
            raise ParamError(message=f"{kind} function must have exact 1 input and 1 output field.")
        types = {field.name: field.dtype for field in schema.fields}
        if types.get(self._input_field_names[0]) not in (DataType.VARCHAR, DataType.TEXT):
            raise ParamError(message=f"{kind} function input field must be VARCHAR.")
        if types.get(self._output_field_names[0]) not in outputs[self._type]:
            names = " or ".join(found.name for found in outputs[self._type])
            raise ParamError(message=f"{kind} function output field must be {names}.")

    @classmethod
    def construct_from_dict(cls, raw: Mapping[str, Any]) -> Function:
        """The function that ``to_dict`` or ``describe_collection`` described."""
        inputs, outputs = list(raw["input_field_names"]), list(raw["output_field_names"])
        return cls(raw["name"], raw["type"], inputs, outputs, raw["description"], raw["params"])

    def to_dict(self) -> dict[str, Any]:
        """The function as a dict."""
        return {
            "name": self._name,
            "description": self._description,
            "type": self._type,
            "input_field_names": self._input_field_names,
            "output_field_names": self._output_field_names,
            "params": self._params,
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Function) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return str(self.to_dict())

    def _native(self) -> tuple[str, int, str, list[str], list[str], dict[str, Any]]:
        inputs, outputs = self._input_field_names, self._output_field_names
        return self._name, int(self._type), self._description, inputs, outputs, self._params


def _names(kind: str, given: Any) -> list[str]:
    if not isinstance(given, (str, list)):
        raise ParamError(
            message=f"The {kind} field names of the function should be a string or a list of strings, but got {type(given)}"
        )
    names = [given] if isinstance(given, str) else given
    if not all(isinstance(name, str) for name in names):
        raise ParamError(message="The type of function input and output must be str.")
    if len(names) != len(set(names)):
        raise ParamError(message=f"Duplicate {kind} field names are not allowed in function.")
    return names


class FunctionScore:
    """Several reranking functions and how they work together."""

    def __init__(self, functions: Function | list[Function], params: dict[str, Any] | None = None) -> None:
        self._functions = [functions] if isinstance(functions, Function) else functions
        self._params = params

    @property
    def functions(self) -> list[Function]:
        """The functions."""
        return self._functions

    @property
    def params(self) -> dict[str, Any] | None:
        """How they work together."""
        return self._params
