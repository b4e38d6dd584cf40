# SPDX-License-Identifier: Apache-2.0
"""JSON dumps to streams, with edits; an edit may be invalid, which is how invalid test vectors are made."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from nnr_codec.errors import NotEncodable
from nnr_codec.inspect.rebuild.json_values import from_jsonable
from nnr_codec.inspect.rebuild.unit_builder import UnitBuilder

_STEP = re.compile(r"\.?([A-Za-z_][A-Za-z_0-9]*)|\[(\d+)\]")
_SIZE = ("nnr_unit_size_flag", "nnr_unit_size")


def records_of(text: str) -> list[dict[str, Any]]:
    """Return the unit records of a dump in JSON or JSON lines.

    Raises
    ------
    NotEncodable
        The text is no dump.
    """
    try:
        document = json.loads(text)
        records = document.get("units") if isinstance(document, dict) else None
    except json.JSONDecodeError:
        try:
            records = [json.loads(line) for line in text.splitlines() if line.strip()]
        except json.JSONDecodeError as error:
            raise NotEncodable(f"not JSON: {error}") from None
    if not isinstance(records, list):
        raise NotEncodable("not a dump: the document has no units")
    return [record for record in records if record.get("record") in ("unit", "stray bytes")]


def build_stream(records: Iterable[dict[str, Any]], edits: Iterable[str] = ()) -> Iterator[bytes]:
    """Yield the bytes of each record.

    Parameters
    ----------
    records : iterable of dict
        From `records_of` or `unit_record`.
    edits : iterable of str
        ``path=value``. A value is JSON, ``hex:...`` or text; an empty value removes the element. The edited unit gets
        a new size and new byte alignments unless they are edited too. All other units keep their bytes, even if
        they then read differently.

    Raises
    ------
    NotEncodable
        A record does not build, or an edit names no element.
    """
    parsed_edits = [_parsed_edit(edit) for edit in edits]
    original, edited = UnitBuilder(), UnitBuilder()
    used: set[int] = set()
    for record in records:
        unit_edits = [(n, edit) for n, edit in enumerate(parsed_edits) if edit[0] == record.get("index")]
        used.update(n for n, _ in unit_edits)
        octets = _build_record(record, [], original)
        original.advance(octets)
        if unit_edits:
            octets = _build_record(record, [edit for _, edit in unit_edits], edited)
        if parsed_edits:
            edited.advance(octets)
        yield octets
    for number, (_, _, _, text) in enumerate(parsed_edits):
        if number not in used:
            raise NotEncodable("the stream has no such unit", path=text)


#: Unit index, steps to the element, value (None removes the element), path as text.
Edit = tuple[int, list[str | int], Any, str]


def _parsed_edit(edit: str) -> Edit:
    path, equals, text = edit.partition("=")
    steps: list[str | int] = [
        match[1] if match[1] is not None else int(match[2]) for match in _STEP.finditer(path)
    ]
    if not equals or len(steps) < 3 or steps[0] != "nnr_unit" or not isinstance(steps[1], int):
        raise NotEncodable("an edit has the form nnr_unit[N].element=value", path=edit)
    return steps[1], steps[2:], _parsed_value(text), path


def _parsed_value(text: str) -> Any:
    if not text:
        return None
    if text.startswith("hex:"):
        try:
            return bytes.fromhex(text[4:])
        except ValueError:
            raise NotEncodable(f"{text!r} is not hexadecimal") from None
    try:
        return from_jsonable(json.loads(text))
    except json.JSONDecodeError:
        return text


def _build_record(record: dict[str, Any], edits: list[Edit], builder: UnitBuilder) -> bytes:
    path = f"nnr_unit[{record.get('index', '?')}]"
    try:
        if "syntax" not in record:
            if edits:
                raise NotEncodable(
                    "the unit could not be parsed, so that its elements cannot be edited", path=path
                )
            return bytes.fromhex(record["octets"])
        tree = from_jsonable(record["syntax"])
        trailing = bytes.fromhex(record.get("trailing", ""))
    except (KeyError, ValueError, TypeError) as error:
        raise NotEncodable(f"the record is damaged: {error}", path=path) from None
    if edits:
        faulty = {e["path"] for e in record.get("elements", ()) if e["status"] != "ok"}
        _drop_alignments(tree, path, faulty)
        for key in _SIZE[1:]:
            tree.pop(key, None)
    for _, steps, value, text in edits:
        _apply(tree, steps, value, text)
    return builder.build(tree, trailing)


def _drop_alignments(tree: Any, path: str, faulty: set[str]) -> None:
    """Remove the sound byte alignments from a tree: an edit may move them."""
    if isinstance(tree, list):
        for index, entry in enumerate(tree):
            _drop_alignments(entry, f"{path}[{index}]", faulty)
    elif isinstance(tree, dict):
        for key in list(tree):
            if key == "byte_alignment" and f"{path}.{key}" not in faulty:
                del tree[key]
            else:
                _drop_alignments(tree[key], f"{path}.{key}", faulty)


def _apply(tree: dict[str, Any], steps: list[str | int], value: Any, text: str) -> None:
    place: Any = tree
    try:
        for step in steps[:-1]:
            place = place[step]
        last = steps[-1]
        if value is None:
            del place[last]
        elif isinstance(place, list) and last == len(place):
            place.append(value)
        elif isinstance(place, list) != isinstance(last, int):
            raise KeyError(last)
        else:
            place[last] = value
    except (KeyError, IndexError, TypeError):
        raise NotEncodable("the unit has no such element", path=text) from None
