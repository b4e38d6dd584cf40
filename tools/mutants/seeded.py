# SPDX-License-Identifier: Apache-2.0
"""Score of the hand-seeded faults: ``nice python -m tools.mutants.seeded``.

``faults.json`` has faults that an implementer of the pages nearly makes: a kind, which names the rule that is misread, a name,
and the texts that it replaces in modules of the model. Each fault decodes all vectors with the
requirement ``shall``. The exit code is 1 if one passes them all. ``layers`` marks a fault that only a decoder with optional
layers, such as topology, shows.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nnr_conformance.suite import find_suites

from tools.mutants.harness import Case, Sources, verdict_on
from tools.mutants.operators import MODEL
from tools.mutants.run import load_cases, prepare

FAULTS = Path(__file__).with_name("faults.json")


@dataclass(frozen=True)
class SeededFault:
    """Fault of the model; every occurrence of the text ``before`` of an edit is replaced."""

    kind: str
    name: str
    edits: list[dict[str, str]]

    def sources(self) -> dict[str, str]:
        """Return the changed sources, by module.

        Raises
        ------
        ValueError
            If the model does not have the text that an edit replaces.
        """
        sources: dict[str, str] = {}
        for edit in self.edits:
            module = edit["module"]
            text = sources.get(module) or (MODEL / f"{module}.py").read_text(encoding="utf-8")
            if edit["before"] not in text:
                raise ValueError(f"{self.name}: {module} has no {edit['before']!r}")
            sources[module] = text.replace(edit["before"], edit["after"])
        return sources


def load_faults() -> list[SeededFault]:
    """Read the faults."""
    return [SeededFault(**entry) for entry in json.loads(FAULTS.read_text(encoding="utf-8"))]


def required_cases() -> list[Case]:
    """Load the vectors that decide conformance, with the outcome of the model."""
    required = {
        vector.id
        for suite in find_suites(None)
        for vector in suite.manifest.vectors
        if vector.requirement == "shall"
    }
    return [case for case in load_cases() if case.id in required]


def catchers_of(
    sources: Sources, cases: Sequence[Case], fault: SeededFault, *, all_of_them: bool
) -> list[str]:
    """Return ids of the vectors that a fault fails with the kind of difference; the first one unless ``all_of_them``."""
    caught = []
    with sources.model(fault.sources()) as model:
        for case in cases:
            difference = verdict_on(model, case)
            if difference:
                caught.append(f"{case.id} ({difference})")
                if not all_of_them:
                    break
    return caught


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--only", default="", help="select faults by a substring of kind or name")
    parser.add_argument("--all", action="store_true", help="list every vector that a fault fails")
    options = parser.parse_args(arguments)
    sources, cases = Sources(), required_cases()
    prepare(sources, cases)
    cases.sort(key=lambda case: case.seconds)
    survivors = 0
    for fault in load_faults():
        if options.only not in f"{fault.kind}: {fault.name}":
            continue
        caught = catchers_of(sources, cases, fault, all_of_them=options.all)
        survivors += not caught
        print(
            f"{'caught  ' if caught else 'SURVIVES'} {fault.kind}: {fault.name}   {', '.join(caught)}",
            flush=True,
        )
    print(f"{survivors} survive")
    return int(survivors > 0)


if __name__ == "__main__":
    sys.exit(main())
