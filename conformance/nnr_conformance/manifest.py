# SPDX-License-Identifier: Apache-2.0
"""Manifest: the JSON file of a suite, declared for ``schema/manifest.schema.json``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nnr_conformance.json_schema import json_field
from nnr_conformance.vector import Vector

MANIFEST_FORMAT: Literal["nnr-conformance-manifest/1"] = "nnr-conformance-manifest/1"
SEMVER = r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Conformance suite: title, version and vectors."""

    schema: str = json_field(
        "Schema of this file, for editors.", key="$schema", default="../../schema/manifest.schema.json"
    )
    format: Literal["nnr-conformance-manifest/1"] = json_field("Name and version of the file format.")
    suite: str = json_field("Name of the suite and of its folder.", pattern=r"^[a-z][a-z0-9-]*$")
    version: str = json_field(
        "Semantic version: a changed or removed expectation is major, new vectors minor, wording a patch.",
        pattern=SEMVER,
    )
    title: str = json_field("One-line title.", pattern=r"\S")
    vectors: tuple[Vector, ...] = json_field("Vectors of the suite.")
