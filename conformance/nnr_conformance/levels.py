# SPDX-License-Identifier: Apache-2.0
"""Levels: named sets of capabilities, declared in ``levels.json`` beside the folder of the suites."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nnr_conformance.errors import UsageError
from nnr_conformance.json_schema import json_field, load_json

if TYPE_CHECKING:
    from nnr_conformance.vector import Vector


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """Counts that a vector requires, or that a decoder of a level handles at least.

    Clause: 7.3, 7.5
    """

    streams: int = json_field("Streams of a sequence; more than 1: updates.", default=1, minimum=1)
    tensor_elements: int = json_field("Elements of one tensor.", default=0, minimum=0)
    stream_elements: int = json_field("Elements of all tensors of a stream.", default=0, minimum=0)
    dimensions: int = json_field("Dimensions of a tensor.", default=0, minimum=0)
    names: int = json_field("Names in a list, or of a data unit.", default=1, minimum=1)
    string_bytes: int = json_field("Bytes of a string, without its zero byte.", default=0, minimum=0)
    codebook_entries: int = json_field("Entries of a codebook; 0: no codebooks.", default=0, minimum=0)
    scan_order: int = json_field("Highest scan_order; 0: no block scan.", default=0, minimum=0)
    entry_points: int = json_field("Entry points of a unit.", default=0, minimum=0)
    parts: int = json_field("Parts of a unit.", default=1, minimum=1)
    inflated_bytes: int = json_field(
        "Bytes of inflated topology_data or quantization_data; 0: no deflate.", default=0, minimum=0
    )

    def beyond(self, required: Capabilities) -> str:
        """First requirement above these capabilities, as ``dimensions 5 > 4``; empty if there is none."""
        for field in fields(self):
            needed, limit = getattr(required, field.name), getattr(self, field.name)
            if needed > limit:
                return f"{field.name} {needed} > {limit}"
        return ""


@dataclass(frozen=True, kw_only=True)
class Level:
    """Named set of capabilities."""

    name: str = json_field("Name of the level.", pattern=r"^[a-z][a-z0-9-]*$")
    title: str = json_field("One-line description.", pattern=r"\S")
    profile: Literal[0, 1] = json_field("Highest general_profile_idc.")
    capabilities: Capabilities = json_field("Counts that a decoder of the level handles at least.")

    def beyond(self, vector: Vector) -> str:
        """Reason why a vector is beyond the level; empty if a decoder of the level must decode it."""
        if vector.profile > self.profile:
            return f"profile {vector.profile} > {self.profile}"
        return self.capabilities.beyond(vector.requires)


@dataclass(frozen=True, kw_only=True)
class Levels:
    """All levels, from the smallest to the largest."""

    schema: str = json_field(
        "Schema of this file, for editors.", key="$schema", default="schema/levels.schema.json"
    )
    format: Literal["nnr-conformance-levels/1"] = json_field("Name and version of the file format.")
    levels: tuple[Level, ...] = json_field("Levels, each within the next.", min_items=1)


def find_level(name: str, suites_folder: Path) -> Level:
    """Load a level by name.

    Raises
    ------
    UsageError
        If there is no such level.
    """
    levels = load_levels(suites_folder)
    for level in levels:
        if level.name == name:
            return level
    raise UsageError(f"no level {name!r}; known: {', '.join(level.name for level in levels)}")


def load_levels(suites_folder: Path) -> tuple[Level, ...]:
    """Load the levels that stand beside the folder of the suites; the folder may also be that of one suite."""
    for folder in list(suites_folder.absolute().parents)[:2]:
        if (folder / "levels.json").is_file():
            return load_json(Levels, folder / "levels.json").levels
    raise UsageError(f"no levels.json beside {suites_folder}")
