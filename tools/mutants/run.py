# SPDX-License-Identifier: Apache-2.0
"""Mutation score of the suites: ``nice python -m tools.mutants.run``.

A mutant is the model with one change of ``operators.py``. It decodes the vectors that reach the change until one
exposes it: first the vector of an earlier run (``caught.json`` speeds up and resumes runs, and decides nothing), then the
vectors of neighbouring mutants, then fast vectors. Survivors must be in ``survivors.json`` with the reason why no stream
can distinguish them from the model. The exit code is 1 for any other survivor and for a listed mutant that is caught.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import resource
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from nnr_conformance.suite import find_suites

from tools.mutants.harness import Case, Sources, run, statements_of, verdict_on
from tools.mutants.operators import MODULES, Mutant, all_mutants

SURVIVORS = Path(__file__).with_name("survivors.json")
CAUGHT = Path(__file__).with_name("caught.json")
ON_IMPORT = "(on import)"
_NEIGHBOURS, _CHEAP, _TRIED = 12, 8, 260
_LARGEST_BYTES = 6000
_MEMORY_BYTES = 4 << 30


def load_cases(suites: Path | None = None) -> list[Case]:
    """Load the vectors that are small enough to be decoded hundreds of times."""
    cases = []
    for suite in find_suites(suites):
        if suite.name == "resource":
            continue
        for vector in suite.manifest.vectors:
            streams = [suite.read(file) for file in vector.streams]
            if sum(map(len, streams)) > _LARGEST_BYTES:
                continue
            error = vector.expect.error
            bits = None if error is None or error.bits is None else (error.bits[0], error.bits[1])
            cases.append(
                Case(
                    vector.id,
                    streams,
                    vector.expect.verdict,
                    error.classes if error else (),
                    bits,
                    alone=vector.entry_points == "true",
                    dimensions=vector.dimensions,
                )
            )
    return cases


def prepare(sources: Sources, cases: list[Case]) -> None:
    """Record the outcome, the time and the executed statements of the original model."""
    with sources.model() as model:
        for case in cases:
            start_time = time.process_time()
            case.expected = run(model, case)
            case.seconds = time.process_time() - start_time
    statements_of(sources, cases, MODULES)


class Catchers:
    """Vectors that exposed mutants, for ordering later runs."""

    def __init__(self, of_mutant: dict[str, str] | None = None) -> None:
        self.of_mutant = dict(of_mutant or {})
        self.of_function: dict[str, Counter[str]] = {}

    def note(self, mutant: Mutant, vector: str) -> None:
        """Record a caught mutant."""
        self.of_mutant[mutant.key] = vector
        self.of_function.setdefault(f"{mutant.module}.{mutant.function}", Counter())[vector] += 1

    def likely(self, mutant: Mutant) -> list[str]:
        """Ids of vectors to try first."""
        near = self.of_function.get(f"{mutant.module}.{mutant.function}", Counter[str]())
        earlier = self.of_mutant.get(mutant.key)
        return ([earlier] if earlier else []) + [vector for vector, _ in near.most_common(_NEIGHBOURS)]


def judged(
    sources: Sources, cases: list[Case], mutant: Mutant, catchers: Catchers, quick: bool = False
) -> tuple[str, str, int]:
    """Run a mutant on vectors until one exposes it.

    Returns
    -------
    tuple
        Kind of difference (empty for a survivor), id of the vector, number of vectors run.
    """
    place = MODULES.index(mutant.module) << 16 | mutant.line
    table = mutant.module == "tables" or mutant.function == "module"
    # Module constants are used anywhere, so every case may expose the mutant.
    reaching = cases if table else [case for case in cases if place in case.statements]
    if not reaching and not table:
        reaching = _nearest(cases, place)
    by_id = {case.id: case for case in reaching}
    first = [by_id.pop(vector) for vector in dict.fromkeys(catchers.likely(mutant)) if vector in by_id]
    ordered = sorted(by_id.values(), key=lambda case: (case.seconds, case.id))
    rest = ordered[_CHEAP:]
    random.Random(mutant.key).shuffle(rest)
    rest.sort(key=lambda case: case.seconds > 0.05)
    if quick:
        rest = rest[:_TRIED]
    with _model(sources, mutant) as model:
        if model is None:
            return "crash on import", "", 0
        for number, case in enumerate([*first, *ordered[:_CHEAP], *rest], 1):
            difference = verdict_on(model, case)
            if difference:
                catchers.note(mutant, case.id)
                return difference, case.id, number
    return "", "", len(reaching)


def _nearest(cases: list[Case], place: int) -> list[Case]:
    """Find the cases that run the first line of a multi-line statement."""
    for back in range(1, 30):
        reaching = [case for case in cases if place - back in case.statements]
        if reaching:
            return reaching
    return cases


class _model:  # noqa: N801 - used as a function
    def __init__(self, sources: Sources, mutant: Mutant) -> None:
        self.context = sources.model({mutant.module: mutant.source})

    def __enter__(self) -> Any:
        try:
            return self.context.__enter__()
        except Exception:
            return None

    def __exit__(self, *error: object) -> None:
        try:
            self.context.__exit__(None, None, None)
        except RuntimeError:
            return


_STATE: dict[str, Any] = {}


def _work(index: int) -> tuple[int, tuple[str, str, int]]:
    state = _STATE
    return index, judged(
        state["sources"], state["cases"], state["mutants"][index], state["catchers"], state["quick"]
    )


def load_caught() -> dict[str, str]:
    """Read the exposing vector of every caught mutant, by key."""
    if not CAUGHT.exists():
        return {}
    by_vector: dict[str, list[str]] = json.loads(CAUGHT.read_text(encoding="utf-8"))
    return {key: vector for vector, keys in by_vector.items() for key in keys}


def save_caught(caught: dict[str, str]) -> None:
    """Write the exposing vectors atomically."""
    by_vector: dict[str, list[str]] = {}
    for key in sorted(caught):
        by_vector.setdefault(caught[key], []).append(key)
    beside = CAUGHT.with_suffix(".new")
    beside.write_text(json.dumps(by_vector, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    beside.replace(CAUGHT)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--only", default="", help="select mutants by a substring of the key")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="run every N-th mutant only")
    parser.add_argument(
        "--offset", type=int, default=0, metavar="K", help="with --every: start at the K-th mutant"
    )
    parser.add_argument("--quick", action="store_true", help="stop after some hundred vectors per mutant")
    parser.add_argument("--list", action="store_true", help="list the mutants and exit")
    parser.add_argument("--log", type=Path, help="write the result of every mutant")
    options = parser.parse_args(arguments)
    mutants = [mutant for mutant in all_mutants() if options.only in mutant.key][
        options.offset :: options.every
    ]
    if options.list:
        print("\n".join(mutant.key for mutant in mutants))
        return 0
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    sources, cases = Sources(), load_cases()
    prepare(sources, cases)
    _STATE.update(sources=sources, cases=cases, mutants=mutants, quick=options.quick)
    caught = load_caught()
    _STATE["catchers"] = Catchers(caught)
    results: dict[int, tuple[str, str, int]] = {}
    with multiprocessing.get_context("fork").Pool(options.jobs) as pool:
        for done, (index, result) in enumerate(pool.imap_unordered(_work, range(len(mutants)), 8), 1):
            results[index] = result
            if result[0]:
                caught[mutants[index].key] = result[1] or ON_IMPORT
            else:
                caught.pop(mutants[index].key, None)
            if done % 100 == 0:
                save_caught(caught)
                print(f"{done} of {len(mutants)}", file=sys.stderr, flush=True)
    complete = not options.only and options.every == 1
    keys = {mutant.key for mutant in mutants}
    save_caught({key: vector for key, vector in caught.items() if key in keys or not complete})
    return report(mutants, results, options.log, complete=complete)


def report(
    mutants: list[Mutant], results: dict[int, tuple[str, str, int]], log: Path | None, *, complete: bool
) -> int:
    """Print the score and the survivors; returns the exit code."""
    reasons: dict[str, str] = json.loads(SURVIVORS.read_text(encoding="utf-8")) if SURVIVORS.exists() else {}
    survivors = [mutants[index] for index in sorted(results) if not results[index][0]]
    caught_by = Counter(result[0].partition(" ")[0] for result in results.values() if result[0])
    by_operator: dict[str, list[int]] = {}
    for index, mutant in enumerate(mutants):
        counts = by_operator.setdefault(mutant.operator, [0, 0])
        counts[0] += bool(results[index][0])
        counts[1] += 1
    equivalent = [mutant for mutant in survivors if mutant.key in reasons]
    open_ones = [mutant for mutant in survivors if mutant.key not in reasons]
    for operator, (caught, of) in sorted(by_operator.items()):
        print(f"{operator:18} {caught:5} of {of:5}")
    print(f"caught by: {', '.join(f'{name} {number}' for name, number in caught_by.most_common())}")
    total = len(mutants) - len(equivalent)
    print(
        f"{len(mutants)} mutants, {len(mutants) - len(survivors)} caught, {len(equivalent)} equivalent, {len(open_ones)} open"
    )
    print(f"score {100 * (len(mutants) - len(survivors)) / max(1, total):.2f} %")
    for mutant in equivalent:
        print(f"equivalent  {mutant.key}\n            {reasons[mutant.key]}")
    for mutant in open_ones:
        print(f"SURVIVES    line {mutant.line}: {mutant.key}")
    keys = {mutant.key for mutant in survivors}
    stale = [key for key in reasons if complete and key not in keys]
    for key in stale:
        print(f"STALE       {key}: caught or removed")
    if log is not None:
        rows = [[mutants[index].key, *results[index]] for index in sorted(results)]
        log.write_text(json.dumps(rows, indent=0) + "\n", encoding="utf-8")
    return int(bool(open_ones or stale))


if __name__ == "__main__":
    sys.exit(main())
