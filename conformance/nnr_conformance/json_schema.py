# SPDX-License-Identifier: Apache-2.0
"""JSON formats declared once as dataclasses, with a reader, a writer and a JSON Schema derived from the declaration.

A format is a frozen dataclass whose fields are made with `json_field`. Reading is strict: an unknown key, a missing
key, a wrong type or a value outside its bounds raises `SchemaError` with its path.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import types
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from nnr_conformance.errors import SchemaError

T = TypeVar("T")
_SCALARS: dict[type, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}
_MISSING = dataclasses.MISSING
_LINE_LENGTH = 110


def json_field(
    description: str,
    *,
    default: Any = _MISSING,
    key: str | None = None,
    pattern: str | None = None,
    choices: tuple[str, ...] | None = None,
    minimum: float | None = None,
    min_items: int | None = None,
    max_items: int | None = None,
) -> Any:
    """Declare one field of a JSON object.

    Parameters
    ----------
    description : str
        Meaning of the field; the description in the schema.
    default : object, optional
        Value of an absent key; a field without default is required. A field that equals its default
        is not written.
    key : str, optional
        JSON key, where it is no Python name (``class``, ``$schema``).
    pattern, choices, minimum
        Bounds of a scalar, or of every element of a list of scalars.
    min_items, max_items : int, optional
        Bounds of a list's length.
    """
    bounds = {"pattern": pattern, "enum": choices, "minimum": minimum}
    lengths = {"minItems": min_items, "maxItems": max_items}
    metadata = {
        "description": description,
        "key": key,
        "bounds": {name: bound for name, bound in bounds.items() if bound is not None},
        "lengths": {name: bound for name, bound in lengths.items() if bound is not None},
    }
    return dataclasses.field(default=default, metadata=metadata)


def _key(field: dataclasses.Field[Any]) -> str:
    return str(field.metadata.get("key") or field.name)


def _without_none(hint: Any) -> Any:
    """Strip None from a type: an optional field is absent, never null."""
    if get_origin(hint) in (Union, types.UnionType):
        return next(part for part in get_args(hint) if part is not type(None))
    return hint


# --- read -----------------------------------------------------------------------------------------


def from_json(cls: type[T], value: Any, path: str = "$") -> T:
    """Turn parsed JSON into a dataclass, or raise `SchemaError` at the first departure."""
    if not isinstance(value, dict):
        raise SchemaError(path, f"expected an object, found {type(value).__name__}")
    fields = {_key(field): field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]  # a dataclass
    for key in value:
        if key not in fields:
            raise SchemaError(f"{path}.{key}", "unknown key")
    hints = get_type_hints(cls)
    arguments: dict[str, Any] = {}
    for key, field in fields.items():
        if key in value:
            hint = _without_none(hints[field.name])
            arguments[field.name] = _read(hint, value[key], f"{path}.{key}", field.metadata)
        elif field.default is _MISSING:
            raise SchemaError(f"{path}.{key}", "missing")
    return cls(**arguments)


def _read(hint: Any, value: Any, path: str, metadata: Any) -> Any:
    if dataclasses.is_dataclass(hint):
        return from_json(hint, value, path)  # type: ignore[arg-type]  # a dataclass, as checked above
    origin = get_origin(hint)
    if origin is tuple:
        if not isinstance(value, list):
            raise SchemaError(path, f"expected a list, found {type(value).__name__}")
        lengths = metadata.get("lengths", {})
        if len(value) < lengths.get("minItems", 0) or len(value) > lengths.get("maxItems", math.inf):
            raise SchemaError(path, f"a list of {len(value)} items is outside {lengths}")
        inner = get_args(hint)[0]
        return tuple(_read(inner, part, f"{path}[{i}]", metadata) for i, part in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise SchemaError(path, f"expected an object, found {type(value).__name__}")
        inner = get_args(hint)[1]
        return {name: _read(inner, part, f"{path}.{name}", metadata) for name, part in value.items()}
    if hint is Any:
        return value
    return _read_scalar(hint, value, path, metadata.get("bounds", {}))


def _read_scalar(hint: Any, value: Any, path: str, bounds: dict[str, Any]) -> Any:
    if get_origin(hint) is Literal:
        allowed = get_args(hint)
        # 1 == True in Python, but not in JSON.
        if not any(value == choice and type(value) is type(choice) for choice in allowed):
            raise SchemaError(path, f"{value!r} is not one of {', '.join(map(repr, allowed))}")
        return value
    accepted = (int, float) if hint is float else hint
    if not isinstance(value, accepted) or (isinstance(value, bool) and hint is not bool):
        raise SchemaError(path, f"expected {_SCALARS[hint]}, found {type(value).__name__}")
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        raise SchemaError(path, "text with half of a surrogate pair")
    if "pattern" in bounds and re.search(bounds["pattern"], str(value)) is None:
        raise SchemaError(path, f"{value!r} does not match {bounds['pattern']}")
    if "enum" in bounds and value not in bounds["enum"]:
        raise SchemaError(path, f"{value!r} is not registered")
    if "minimum" in bounds and value < bounds["minimum"]:
        raise SchemaError(path, f"{value} is below {bounds['minimum']}")
    return value


# --- write ----------------------------------------------------------------------------------------


def to_json(record: Any) -> Any:
    """Turn a dataclass into plain JSON values: keys in declared order, defaults omitted."""
    if dataclasses.is_dataclass(record):
        return {
            _key(field): to_json(getattr(record, field.name))
            for field in dataclasses.fields(record)
            if field.default is _MISSING or getattr(record, field.name) != field.default
        }
    if isinstance(record, (list, tuple)):
        return [to_json(part) for part in record]
    if isinstance(record, dict):
        return {str(name): to_json(part) for name, part in record.items()}
    return record


def read_json(path: Path) -> Any:
    """Read a JSON file; a file that cannot be read or has a syntax error raises `SchemaError`."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SchemaError(str(path), str(error)) from error
    except json.JSONDecodeError as error:
        raise SchemaError(str(path), f"not JSON: {error}") from error


def load_json(cls: type[T], path: Path) -> T:
    """Read a dataclass from a JSON file."""
    value = read_json(path)
    try:
        return from_json(cls, value)
    except SchemaError as error:
        raise SchemaError(f"{path}: {error.path}", error.message) from None


def save_json(record: Any, path: Path) -> None:
    """Write a dataclass to a JSON file reproducibly."""
    path.write_text(_laid_out(to_json(record), "\n") + "\n", encoding="utf-8")


def _laid_out(value: Any, newline: str) -> str:
    """Format JSON; a value longer than a line gets one line per part."""
    line = json.dumps(value, ensure_ascii=False)
    if len(line) <= _LINE_LENGTH or not isinstance(value, dict | list):
        return line
    inner = newline + " "
    if isinstance(value, list):
        return f"[{inner}{f',{inner}'.join(_laid_out(part, inner) for part in value)}{newline}]"
    parts = [
        f"{json.dumps(key, ensure_ascii=False)}: {_laid_out(part, inner)}" for key, part in value.items()
    ]
    return f"{{{inner}{f',{inner}'.join(parts)}{newline}}}"


# --- schema ---------------------------------------------------------------------------------------


def schema_of(cls: type[Any], title: str) -> dict[str, Any]:
    """Build the JSON Schema (2020-12) of a dataclass; no object admits extra properties."""
    definitions: dict[str, Any] = {}
    top = _object_schema(cls, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **top,
        "$defs": dict(sorted(definitions.items())),
    }


def _object_schema(cls: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    hints = get_type_hints(cls)
    properties: dict[str, Any] = {}
    required: list[str] = []
    for field in dataclasses.fields(cls):
        schema = _schema(_without_none(hints[field.name]), field.metadata, definitions)
        properties[_key(field)] = {"description": field.metadata["description"], **schema}
        if field.default is _MISSING:
            required.append(_key(field))
    return {
        "description": (cls.__doc__ or "").strip().splitlines()[0],
        "type": "object",
        "additionalProperties": False,
        "required": required,
        "properties": properties,
    }


def _schema(hint: Any, metadata: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if dataclasses.is_dataclass(hint):
        name = hint.__name__  # type: ignore[union-attr]  # a class
        if name not in definitions:
            definitions[name] = {}
            definitions[name] = _object_schema(hint, definitions)
        return {"$ref": f"#/$defs/{name}"}
    origin = get_origin(hint)
    if origin is tuple:
        items = _schema(get_args(hint)[0], metadata, definitions)
        return {"type": "array", "items": items, **metadata.get("lengths", {})}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(get_args(hint)[1], metadata, definitions)}
    if origin is Literal:
        return {"enum": list(get_args(hint))}
    if hint is Any:
        return {}
    bounds = {name: list(b) if isinstance(b, tuple) else b for name, b in metadata.get("bounds", {}).items()}
    return {"type": _SCALARS[hint], **bounds}
