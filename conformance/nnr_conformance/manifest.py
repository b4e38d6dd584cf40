# SPDX-License-Identifier: Apache-2.0
"""The manifest: one JSON file per suite, the declaration behind ``schema/manifest.schema.json``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nnr_conformance.record import item
from nnr_conformance.vector import Vector

MANIFEST_FORMAT: Literal["nnr-conformance-manifest/1"] = "nnr-conformance-manifest/1"
SEMVER = r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A conformance suite: what it is for, its version and its vectors."""

    schema: str = item("For editors.", key="$schema", default="../../schema/manifest.schema.json")
    format: Literal["nnr-conformance-manifest/1"] = item("The format of this file.")
    suite: str = item("Name of the suite and of its folder.", pattern=r"^[a-z][a-z0-9-]*$")
    version: str = item(
        "Semantic version: a changed or removed expectation is major, new vectors minor, wording a patch.",
        pattern=SEMVER,
    )
    title: str = item("One line.", pattern=r"\S")
    vectors: tuple[Vector, ...] = item("The cases.")
