# SPDX-License-Identifier: Apache-2.0
"""Vector: one or more streams with purpose, provenance and expected result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from nnr_conformance.expectation import Expectation, SuiteFile
from nnr_conformance.features import FEATURES
from nnr_conformance.json_schema import json_field
from nnr_conformance.levels import Capabilities

ID = r"^[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*)*$"
SizeClass = Literal["tiny", "small", "medium", "large"]
SIZE_CLASSES: tuple[SizeClass, ...] = ("tiny", "small", "medium", "large")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Recipe that regenerates the streams bit-exactly."""

    tool: str = json_field("Generator: path in the repository, or name of a program.")
    version: str = json_field("Version of the generator, if it is not part of this repository.", default="")
    seed: int | None = json_field("Seed of random choices.", default=None, minimum=0)
    options: dict[str, Any] | None = json_field("Other options of the generator.", default=None)


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Bounds of time and memory of the vector."""

    seconds: float = json_field("Wall-clock seconds.", minimum=0)
    memory_bytes: int = json_field(
        "Peak resident memory in bytes, over all processes of the decoder.", minimum=1
    )


@dataclass(frozen=True, kw_only=True)
class Derivation:
    """Derivation of an invalid vector from a valid one by one change."""

    parent: str = json_field("Id of the valid vector.", pattern=ID)
    mutation: str = json_field("Change, in words or as `path=value`.")


@dataclass(frozen=True, kw_only=True)
class Vector:
    """Permanent conformance case."""

    id: str = json_field("Permanent id: never reused, never renamed.", pattern=ID)
    purpose: str = json_field("One sentence on the error of a decoder that fails here.", pattern=r"\S.*\.$")
    profile: Literal[0, 1] = json_field("general_profile_idc.")
    features: tuple[str, ...] = json_field("Registered features.", choices=tuple(FEATURES), min_items=1)
    clauses: tuple[str, ...] = json_field(
        "Clauses of the specification that the vector exercises.",
        pattern=r"^[0-9A-Z]+(\.[0-9]+)*$",
        min_items=1,
    )
    elements: tuple[str, ...] = json_field(
        "Syntax elements that the vector exercises, in the spelling of the standard.",
        pattern=r"^[a-z][a-z0-9_]*$",
        min_items=1,
    )
    requirement: Literal["shall", "should"] = json_field("`shall` decides conformance; `should` is reported.")
    size_class: SizeClass = json_field(
        "tiny < 1 kB <= small < 16 kB <= medium < 256 kB <= large, all streams together."
    )
    recipe: Recipe = json_field("Recipe of the streams.")
    agreed_by: tuple[str, ...] = json_field(
        "Independent implementations that agree on the expectation.", min_items=1
    )
    streams: tuple[SuiteFile, ...] = json_field(
        "Streams in decoding order; several make a sequence.", min_items=1
    )
    requires: Capabilities = json_field(
        "Capabilities that the streams require, up to a fault; they assign the vector to levels.",
        default=Capabilities(),
    )
    expect: Expectation = json_field("Expected result, in layers.")
    derived_from: Derivation | None = json_field("Derivation of an invalid vector.", default=None)
    bounds: Bounds | None = json_field("Bounds of time and memory, for resource attacks.", default=None)
    dimensions: dict[str, tuple[int, ...]] | None = json_field(
        "Shapes that the application supplies (clause 3.3), by the first name of the unit.", default=None
    )
    entry_points: Literal["true", "false"] | None = json_field(
        "Whether block rows decoded from their entry points give the expected levels; absent without entry points.",
        default=None,
    )
    n_elements: int | None = json_field(
        "Elements of all tensors, for a vector that measures speed.", default=None, minimum=1
    )
    comment: str = json_field("Remarks for readers of a failure.", default="")


def size_class(size_bytes: int) -> SizeClass:
    """Size class of a total number of stream bytes."""
    for limit, name in (
        (1 << 10, SIZE_CLASSES[0]),
        (16 << 10, SIZE_CLASSES[1]),
        (256 << 10, SIZE_CLASSES[2]),
    ):
        if size_bytes < limit:
            return name
    return SIZE_CLASSES[3]
