"""Turn plain data (TOML, JSON) into frozen dataclasses and back, refusing what does not fit.

The dataclass is the schema: its field names are the permitted keys, its annotations the types.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from contain_python.errors import RecipeError, UsageError

T = TypeVar("T")

_NAMES = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}


def structure(kind: type[T], data: object, where: str) -> T:
    """Return `data` as a `kind`; `where` names the place in messages. Raises RecipeError."""
    value: T = _build(kind, data, where)
    return value


def unstructure(value: object) -> Any:  # noqa: ANN401  JSON data has no narrower type
    """Return a frozen dataclass (or a container of them) as JSON-ready data."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {field.name: unstructure(getattr(value, field.name)) for field in fields}
    if isinstance(value, dict):
        return {str(key): unstructure(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [unstructure(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return value


def suggestion(word: str, known: list[str]) -> str:
    """Return "did you mean …?" for a mistyped word, or the list of what is known."""
    near = difflib.get_close_matches(word, known, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return "known here: " + ", ".join(sorted(known))


def one_of(option: str, value: str, choices: Iterable[str]) -> Any:  # noqa: ANN401  a Literal
    """Return a value that an option may have. Raises UsageError with a suggestion for others."""
    known = list(choices)
    if value in known:
        return value
    raise UsageError(
        f"{option} cannot be {value!r}",
        expected="one of " + ", ".join(known),
        remedy=suggestion(value, known),
    )


def _build(kind: Any, data: object, where: str) -> Any:  # noqa: ANN401  kind is an annotation
    origin = get_origin(kind)
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, data, where)
    if origin is Literal:
        return _choice(get_args(kind), data, where)
    if origin is tuple:
        return _tuple(get_args(kind)[0], data, where)
    if origin is dict:
        return _mapping(get_args(kind)[1], data, where)
    if origin in (Union, types.UnionType):
        return _optional(kind, data, where)
    return _scalar(kind, data, where)


def _dataclass(kind: Any, data: object, where: str) -> object:  # noqa: ANN401
    if not isinstance(data, dict):
        raise _mismatch(where, "a table", data)
    hints = get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for key in data:
        if key not in fields:
            raise RecipeError(
                f"unknown key {key!r} in {where}", remedy=suggestion(str(key), list(fields))
            )
    for name, field in fields.items():
        required = (
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        )
        if required and name not in data:
            raise RecipeError(f"missing key {name!r} in {where}", remedy=f"add {name} = …")
    return kind(**{key: _build(hints[key], item, f"{where}.{key}") for key, item in data.items()})


def _choice(choices: tuple[object, ...], data: object, where: str) -> object:
    if any(data == choice and type(data) is type(choice) for choice in choices):
        return data
    names = [str(choice) for choice in choices]
    raise RecipeError(
        f"{where} cannot be {data!r}",
        expected="one of " + ", ".join(name or '""' for name in names),
        remedy=suggestion(str(data), names),
    )


def _tuple(item: Any, data: object, where: str) -> tuple[object, ...]:  # noqa: ANN401
    if not isinstance(data, (list, tuple)):
        raise _mismatch(where, "an array", data)
    return tuple(_build(item, entry, f"{where}[{index}]") for index, entry in enumerate(data))


def _mapping(item: Any, data: object, where: str) -> dict[str, object]:  # noqa: ANN401
    if not isinstance(data, dict):
        raise _mismatch(where, "a table", data)
    return {str(key): _build(item, entry, f"{where}.{key}") for key, entry in data.items()}


def _optional(kind: Any, data: object, where: str) -> object:  # noqa: ANN401
    if data is None:
        return None
    (inner,) = [argument for argument in get_args(kind) if argument is not type(None)]
    return _build(inner, data, where)


def _scalar(kind: Any, data: object, where: str) -> object:  # noqa: ANN401
    if kind is Path and isinstance(data, str):
        return Path(data)
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if isinstance(data, kind) and (kind is bool or not isinstance(data, bool)):
        return data
    raise _mismatch(where, _NAMES.get(kind, kind.__name__), data)


def _mismatch(where: str, expected: str, data: object) -> RecipeError:
    return RecipeError(
        f"{where} has the wrong type", expected=expected, found=f"{type(data).__name__}: {data!r}"
    )
