# SPDX-License-Identifier: Apache-2.0
"""Cases in which two rules of the specification apply together."""

from __future__ import annotations

from collections.abc import Mapping

from conformance.generators import draft as d
from conformance.generators.case import Collection, rng_of
from conformance.generators.extended_cases import Updates
from conformance.generators.plain import one, ramp
from conformance.generators.script import TensorScript, drawn_values


def add_edges(suites: Mapping[str, Collection]) -> None:
    """Add the edge cases to the suites of valid streams."""
    for name, profile in (("core", 0), ("extended", 1)):
        _block_rows_without_bins(suites[name], profile)
        _two_rows_or_columns(suites[name], profile)
        _factors(suites[name], profile)
    _parameter_sets(suites["core"])
    _nothing_to_code(suites["extended"])
    _updates(suites["extended"])


def _block_rows_without_bins(suite: Collection, profile: int) -> None:
    unit = d.data_unit(["w", "ls"], (20, 0), [TensorScript(), TensorScript(drawn_values(rng_of("no columns"), 0.7, 5))][::-1],
                       kind=d.BLOCK, types=2, scan=1, profile=profile)  # fmt: skip
    suite.add("shape/20x0-scan", "A decoder that starts block rows in a tensor without columns.",
              "block-payload local-scaling block-scan entry-points", one(unit, d.mps(profile), profile=profile),
              clauses=("5.5",), comment="Decision 0020.")  # fmt: skip


def _two_rows_or_columns(suite: Collection, profile: int) -> None:
    for shape in ((2, 20), (20, 2)):
        script = TensorScript(drawn_values(rng_of(f"narrow {shape}"), 0.7, 5))
        suite.add(f"scan/1-{shape[0]}x{shape[1]}-dq", "A decoder that scans a tensor of two rows or columns row-major.",
                  "block-scan entry-points dependent-quantization",
                  one(d.data_unit("w", shape, script, scan=1, dq=1, profile=profile), profile=profile), clauses=("5.5",))  # fmt: skip


def _factors(suite: Collection, p: int) -> None:
    rng = rng_of("edges of factors")
    for name, kind, scripts in (
        ("raw", d.RAW, rng.randbytes(48)),
        ("int", d.INT, TensorScript(drawn_values(rng, 0.7, 6))),
    ):
        unit = d.data_unit("w_G", (4, 5), scripts, kind=kind, profile=p, types=1, rank=3, g_rows=4)
        suite.add(f"low-rank/outside-a-block-{name}", "A decoder that takes only quantised tensors for factors.",
                  "low-rank " + ("raw-float" if kind == d.RAW else "integer-payload"), one(unit, profile=p), clauses=("3.4",))  # fmt: skip
    for name, entries, zero in (("w_G", [-9, -4, 0, 1], 2), ("w_H", [0, 2, 3, 11], 0)):
        factor = TensorScript(
            drawn_values(rng_of(f"codebook of {name}"), 0.7, len(entries) - 1 - zero, smallest=-zero)
        )
        unit = d.data_unit(
            name, (6, 10), factor, profile=p, types=1, rank=3, g_rows=4, book=d.codebook(entries, zero)
        )
        suite.add(f"low-rank/outside-a-block-codebook-{name[-1].lower()}",
                  "A decoder that wants a second codebook for a factor outside of a block.", "low-rank codebook",
                  one(unit, d.mps(p, methods=2), profile=p), clauses=("3.4",))  # fmt: skip
    for name in ("w_G", "w_H"):
        unit = d.data_unit(name, (36, 4), TensorScript(drawn_values(rng_of(f"blocks of {name}"), 0.7, 6)), profile=p,
                           types=1, rank=9, g_rows=18, scan=1, dq=1)  # fmt: skip
        suite.add(f"low-rank/outside-a-block-{name[-1].lower()}-scan-1",
                  "A decoder that counts the entry points of the weight, or of both factors, where a unit carries one of them.",
                  "low-rank block-scan entry-points dependent-quantization", one(unit, profile=p),
                  clauses=("3.2.4", "5.5"), comment="Decision 0011.")  # fmt: skip
    for rank, g_rows in ((1, 18), (9, 18), (20, 1)):
        factors = [TensorScript(drawn_values(rng, 0.7, 6), qp_value=k) for k in (1, 2)]
        unit = d.data_unit(["w_G", "w_H"], (9, 2), factors, kind=d.BLOCK, profile=p, types=1, rank=rank, g_rows=g_rows,
                           scan=1, dq=1)  # fmt: skip
        suite.add(f"block/factors-rank-{rank}-rows-{g_rows}-scan-1",
                  "A decoder that gives a factor of one row or one column block rows, or its entry points to the other factor.",
                  "block-payload low-rank block-scan entry-points dependent-quantization", one(unit, profile=p),
                  clauses=("3.2.4", "5.5"), comment="Decision 0011.")  # fmt: skip
    books = d.codebook([-9, -4, 0, 1], 2), d.codebook([0, 2, 3, 11], 0)
    factors = [TensorScript(drawn_values(rng, 0.7, 1, smallest=-2)), TensorScript(drawn_values(rng, 0.7, 3, smallest=0)),
               TensorScript(drawn_values(rng, 0.7, 9))]  # fmt: skip
    unit = d.data_unit(["w_G", "w_H", "b"], (6, 10), [factors[2], *factors[:2]], kind=d.BLOCK, profile=p, types=9, rank=3,
                       g_rows=4, book=books[0], second_book=books[1])  # fmt: skip
    suite.add("block/factors-with-two-codebooks", "A decoder that uses one codebook for both factors, or one for a bias.",
              "block-payload low-rank bias codebook", one(unit, d.mps(p, methods=3), profile=p), clauses=("3.2.3", "3.4"))  # fmt: skip

    factors = [TensorScript(drawn_values(rng, 0.7, 6)) for _ in range(2)]
    unit = d.data_unit(["a", "b"], (6, 10), factors, kind=d.BLOCK, profile=p, types=1, rank=3, g_rows=4)
    suite.add("block/factors-named-freely", "A decoder that knows the factors of a block by the endings of their names.",
              "block-payload low-rank", one(unit, profile=p), clauses=("3.4",))  # fmt: skip


def _parameter_sets(suite: Collection) -> None:
    for density in range(8):
        largest = (1 << (5 + density)) - 1
        unit = d.data_unit("w", (3, 4), ramp(qp_value=largest), profile=0)
        suite.add(f"qp/density-{density}-largest", "A decoder that takes large positive values of qp_value for negative ones.",
                  "qp-density uniform", one(unit, d.mps(0, density=density, qp=-largest)), clauses=("4.1",))  # fmt: skip
    unit = d.data_unit("w", (3, 4), ramp(), profile=0)
    for name, methods in (("brings", 1), ("silent", 0)):
        suite.add(f"lps/before-a-model-set-that-{'is-' if not methods else ''}{name}",
                  "A decoder that holds a layer parameter set above a model parameter set behind it, or forgets it there.",
                  "layer-parameter-set model-parameter-set",
                  d.write_stream([d.start(0), d.lps(density=3, qp=5), d.mps(0, methods=methods), unit]),
                  clauses=("4.1",), comment="Decision 0006.")  # fmt: skip


def _nothing_to_code(suite: Collection) -> None:
    book = d.codebook([3], 0)
    for dq in (0, 1):
        unit = d.data_unit("w", (20, 9), TensorScript(qp_value=2), book=book, scan=1, dq=dq)
        suite.add(f"codebook/one-entry-scan-1{'-dq' if dq else ''}",
                  "A decoder that starts no block rows where a codebook of one entry leaves nothing to code.",
                  "codebook block-scan entry-points", one(unit, d.mps(1, methods=2), profile=1), clauses=("5.5.1",))  # fmt: skip
    skipped = TensorScript(
        drawn_values(rng_of("skipped block row"), 0.6, 4), row_skip=True, skipped_rows=range(8, 16)
    )
    suite.add("row-skip/a-whole-block-row", "A decoder that starts no block row where every row of it is skipped.",
              "row-skip block-scan entry-points dependent-quantization",
              one(d.data_unit("w", (20, 9), skipped, scan=1, dq=1), profile=1), clauses=("5.5.1",))  # fmt: skip


def _updates(suite: Collection) -> None:
    made = Updates("a node again", dq=1)
    made.update(1)
    made.update(1, parent=False)
    made.update(2, history=True)
    suite.add("parent/node-sent-twice", "A decoder that builds on the earlier of two updates with one node identifier.",
              "parent-node incremental temporal-context", made.streams, clauses=("5.6.1",))  # fmt: skip
    made = Updates("ancestors", (9, 7))
    for depth, temporal in ((1, 0), (2, 0), (3, 1)):
        made.update(depth, drawn_values(made.rng, 0.2, 3), history=depth == 3, temporal=temporal)
    suite.add("incremental/history-of-ancestors", "A decoder that keeps the history only of updates coded with a temporal context.",
              "incremental history-context parent-node", made.streams, clauses=("5.6.3",))  # fmt: skip
    made = Updates("renamed", (6, 5))
    made.update(1)
    unit = d.data_unit("v", made.shape, TensorScript(drawn_values(made.rng, 0.5, 4)), node=(0, 4, 2), parents=1,
                       parent=d.child_of())  # fmt: skip
    made.streams.append(d.write_stream([d.start(), d.mps(parents=1), unit], made.streams))
    suite.add("parent/of-another-name", "A decoder that looks for the previous update by the tensor's name.",
              "parent-node incremental temporal-context", made.streams, clauses=("5.6.1",))  # fmt: skip
    made = Updates("raw between", (3, 4))
    made.update(1)
    raw = d.data_unit("r", (2,), bytes(range(8)), kind=d.RAW, node=(0, 9, 1), parents=1)
    again = d.data_unit("w", made.shape, ramp(), node=(0, 4, 2), parents=1, parent=d.child_of())
    made.streams.append(d.write_stream([d.start(), d.mps(parents=1), raw, again], made.streams))
    suite.add("parent/raw-unit-between", "A decoder whose record of updates fails on a raw unit.",
              "parent-node incremental raw-float", made.streams, clauses=("5.6.1",))  # fmt: skip
    made = Updates("a unit without node", (4, 5))
    unit = d.data_unit("v", (3, 4), ramp(), parents=1)
    made.streams.append(d.write_stream([d.start(), d.mps(parents=1), unit]))
    made.update(1, temporal=0)
    suite.add("parent/unit-without-node-before", "A decoder that files a unit without node identifier under one.",
              "parent-node incremental", made.streams, clauses=("5.6.1",))  # fmt: skip
    made = Updates("model without signalling")
    first = d.data_unit("w", made.shape, TensorScript(drawn_values(made.rng, 0.5, 4)), node=(0, 4, 0))
    made.streams.append(d.write_stream([d.start(), d.mps(), first]))
    made.update(1, history=True)
    suite.add("parent/in-a-stream-without-signalling", "A decoder that remembers units of streams that signal no parents.",
              "parent-node incremental temporal-context", made.streams, clauses=("5.6.1",), comment="Decision 0021.")  # fmt: skip
