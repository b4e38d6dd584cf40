# SPDX-License-Identifier: Apache-2.0
"""A vector: one or more streams, why they exist, and what a decoder owes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from nnr_conformance.expectation import Expectation, SuiteFile
from nnr_conformance.features import FEATURES
from nnr_conformance.record import item

ID = r"^[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*)*$"
SizeClass = Literal["tiny", "small", "medium", "large"]
SIZE_CLASSES: tuple[SizeClass, ...] = ("tiny", "small", "medium", "large")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to make the streams again, bit for bit."""

    tool: str = item("The program, by its path in the repository or its name.")
    version: str = item("Its version, where it is not this repository's.", default="")
    seed: int | None = item("Seed of its random choices.", default=None, minimum=0)
    options: dict[str, Any] = item("Everything else it was told.", default=None)


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What a decoder may spend on the vector."""

    seconds: float = item("Wall-clock seconds.", minimum=0)
    memory_bytes: int = item("Peak resident memory of all its processes together.", minimum=1)


@dataclass(frozen=True, kw_only=True)
class Derivation:
    """How an invalid vector was made from a valid one: one fault each."""

    parent: str = item("Id of the valid vector.", pattern=ID)
    mutation: str = item("The one change, in words or as `path=value`.")


@dataclass(frozen=True, kw_only=True)
class Vector:
    """One permanent conformance case."""

    id: str = item("Permanent: never reused, never renamed.", pattern=ID)
    purpose: str = item("One sentence: what a decoder that fails here has got wrong.", pattern=r"\S.*\.$")
    profile: Literal[0, 1] = item("general_profile_idc.")
    features: tuple[str, ...] = item("Registered features.", choices=tuple(FEATURES), min_items=1)
    clauses: tuple[str, ...] = item(
        "Clauses of the specification that it exercises.", pattern=r"^[0-9A-Z]+(\.[0-9]+)*$", min_items=1
    )
    elements: tuple[str, ...] = item(
        "Syntax elements that it exercises, in the standard's spelling.",
        pattern=r"^[a-z][a-z0-9_]*$",
        min_items=1,
    )
    requirement: Literal["shall", "should"] = item("`shall` decides conformance; `should` is reported.")
    size_class: SizeClass = item(
        "tiny < 1 kB <= small < 16 kB <= medium < 256 kB <= large, all streams together."
    )
    recipe: Recipe = item("How it was made.")
    agreed_by: tuple[str, ...] = item(
        "The independent implementations that give this expectation.", min_items=1
    )
    streams: tuple[SuiteFile, ...] = item("In decoding order; several make a sequence.", min_items=1)
    expect: Expectation = item("What a decoder owes, in layers.")
    derived_from: Derivation | None = item("Where an invalid vector comes from.", default=None)
    bounds: Bounds | None = item("Time and memory bound, for resource attacks.", default=None)
    comment: str = item("Anything a reader wants to know when it fails.", default="")

    @property
    def is_sequence(self) -> bool:
        """Whether a decoder has to keep state over several streams."""
        return len(self.streams) > 1


def size_class(size_bytes: int) -> SizeClass:
    """The class of a vector whose streams have so many bytes together."""
    for limit, name in (
        (1 << 10, SIZE_CLASSES[0]),
        (16 << 10, SIZE_CLASSES[1]),
        (256 << 10, SIZE_CLASSES[2]),
    ):
        if size_bytes < limit:
            return name
    return SIZE_CLASSES[3]
