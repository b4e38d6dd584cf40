# SPDX-License-Identifier: Apache-2.0
"""Cases of both profiles on entropy coding: contexts, binarisation, scans, codebooks."""

from __future__ import annotations

from conformance.generators import draft as d
from conformance.generators.case import Collection, rng_of
from conformance.generators.plain import one
from conformance.generators.script import (
    TensorScript,
    constant_initialisation,
    drawn_initialisations,
    drawn_values,
)


def add_entropy(suite: Collection, p: int) -> None:
    """Add cases of initialisations, binarisation, the trellis and the arithmetic engine."""
    add = suite.add
    for which in range(9):
        rng = rng_of(f"initialisation {which}")
        unit = d.data_unit("w", (12, 20), TensorScript(drawn_values(rng, 0.6, 30), initialisations=constant_initialisation(which)),
                           profile=p, unary=4, dq=1)  # fmt: skip
        add(f"contexts/initialisation-{which}", "A wrong row in the table of initialisations, or a wrong adaptation shift.",
            "context-initialization dependent-quantization", one(unit, profile=p))  # fmt: skip
    for unary in (1, 2, 3, 10, 64, 256):
        rng = rng_of(f"unary {unary}")
        unit = d.data_unit("w", (15, 20), TensorScript(drawn_values(rng, 0.7, 2 * unary + 9), initialisations=drawn_initialisations(rng, 0.2)),
                           profile=p, unary=unary)  # fmt: skip
        add(f"binarisation/unary-{unary}", "A decoder that counts the greater-than flags wrongly, or gives them the wrong contexts.",
            "greater-flags cabac-unary-length", one(unit, profile=p))  # fmt: skip
    default = d.data_unit("w", (2,), TensorScript([25, -11]), profile=p, input_parameters=True)
    add("binarisation/unary-default", "A decoder whose default unary length is not 10.", "greater-flags", one(default, profile=p))  # fmt: skip
    for unary in (1, 3):
        for k in range(31 if p == 0 else 0):
            low = unary + (1 << k)
            high = unary + (1 << (k + 1)) - 1
            values = [low, -low, -high, high] if high < 1 << 31 else [low, -low, -(1 << 31), (1 << 31) - 1]
            if k == 30:
                values = [low, -low, (1 << 31) - 1, -(1 << 31)]
            unit = d.data_unit("n", (4,), TensorScript(values), kind=d.INT, profile=p, unary=unary)
            if unary == 1 or k in (0, 1, 7, 30):
                add(f"binarisation/escape-{k:02}-unary-{unary}", "A decoder whose escapes of this length are wrong at their smallest or largest value.",
                    "exp-golomb integer-payload", one(unit, profile=p))  # fmt: skip
    for state_seed in range(3):
        rng = rng_of(f"trellis {state_seed}")
        unit = d.data_unit("w", (16, 24), TensorScript(drawn_values(rng, (0.2, 0.6, 0.95)[state_seed], 3), initialisations=drawn_initialisations(rng, 0.3)),
                           profile=p, dq=1)  # fmt: skip
        add(f"trellis/dense-{state_seed}", "A wrong transition of the eight states, or a mapping that is wrong in odd states.",
            "dependent-quantization", one(unit, profile=p))  # fmt: skip
    skewed = d.data_unit("w", (24, 40), TensorScript(lambda at: int(at % 97 == 96)), profile=p)
    add("engine/skewed", "An estimator that leaves its range when one bin value dominates.", "arithmetic-engine", one(skewed, profile=p))  # fmt: skip
    ones = d.data_unit(
        "w", (10, 40), TensorScript([1] * 400, initialisations=constant_initialisation(2)), profile=p
    )
    add("engine/all-ones", "An estimator that leaves its range at the other end.", "arithmetic-engine", one(ones, profile=p))  # fmt: skip
    negative = d.data_unit(
        "w", (10, 40), TensorScript([-2] * 400, initialisations=constant_initialisation(6)), profile=p
    )
    add("engine/all-minus-two", "An estimator that leaves its range, for signs.", "arithmetic-engine", one(negative, profile=p))  # fmt: skip
    for n in range(1, 9):
        unit = d.data_unit(
            "w", (n,), TensorScript([(-1) ** k * (3 * k + n) for k in range(n)], qp_value=-n), profile=p
        )
        add(f"engine/end-{n}", "A decoder that ends a codeword at the wrong bit: stop bit and padding differ with its length.",
            "arithmetic-engine", one(unit, profile=p), clauses=("5.1.7",))  # fmt: skip


def add_scans(suite: Collection, p: int) -> None:
    """Add cases of scan orders 1 to 4."""
    shapes = ((8, 8), (9, 8), (8, 9), (17, 20), (33, 5), (3, 70))
    for scan in (1, 2, 3, 4):
        side = 4 << scan
        for index, shape in enumerate((*shapes, (side + 1, side + 1)) if scan > 1 else shapes):
            for dq in (0, 1):
                if shape[0] * shape[1] > 700 and dq == 0:
                    continue
                rng = rng_of(f"scan {scan} {shape} {dq}")
                script = TensorScript(
                    drawn_values(rng, 0.5, 5), initialisations=drawn_initialisations(rng, 0.3), qp_value=index
                )
                unit = d.data_unit("w", shape, script, profile=p, scan=scan, dq=dq)
                suite.add(f"scan/{scan}-{shape[0]}x{shape[1]}{'-dq' if dq else ''}",
                          "A decoder with the wrong order of positions, a missing reset at a block row, or one too many.",
                          "block-scan" + (" entry-points" if shape[0] > side else "") + (" dependent-quantization" if dq else ""),
                          one(unit, profile=p))  # fmt: skip
    deep = d.data_unit(
        "w", (10, 2, 5), TensorScript(drawn_values(rng_of("deep"), 0.6, 5)), profile=p, scan=1, dq=1
    )
    suite.add("scan/three-dimensions", "A decoder that takes the second dimension for the width.", "block-scan", one(deep, profile=p))  # fmt: skip


def add_codebooks(suite: Collection, p: int) -> None:
    """Add cases of codebooks, with and without dependent quantisation."""
    add = suite.add
    tables = {
        "one-entry": ([7], 0), "two-left": ([-3, 4], 1), "two-right": ([-3, 4], 0), "three": ([-9, 0, 2], 1),
        "one-sided-right": ([0, 1, 5, 6, 900], 0), "one-sided-left": ([-70, -8, -7, -1, 0], 4),
        "seven": ([-40, -3, -2, 0, 1, 7, 8], 3), "lopsided": ([-5, 0, 1, 2, 3, 9, 10, 11, 12], 1),
        "lopsided-left": ([-50, -40, -30, -20, -9, -8, 0, 1], 6),
        "forty": (list(range(-60, 60, 3)), 20), "int32": ([-(1 << 31), -5, 0, (1 << 31) - 1], 2),
    }  # fmt: skip
    for name, (values, zero) in tables.items():
        for dq in (0, 1):
            rng = rng_of(f"codebook {name}")
            largest, smallest = len(values) - 1 - zero, -zero
            if dq:
                largest, smallest = largest // 2, -(-smallest // 2)
            for unary, egk in ((10, 0), (1, 3)):
                if name == "int32" and egk:
                    egk = 15
                script = TensorScript(
                    drawn_values(rng, 0.7, largest, smallest=smallest),
                    initialisations=drawn_initialisations(rng, 0.5),
                    qp_value=2,
                )
                unit = d.data_unit(
                    "w", (9, 8), script, profile=p, book=d.codebook(values, zero, egk), dq=dq, unary=unary
                )
                one_sided = " codebook-one-sided" if zero in (0, len(values) - 1) else ""
                add(f"codebook/{name}{'-dq' if dq else ''}-unary-{unary}",
                    "A decoder that bounds magnitudes or contexts by the codebook in the wrong profile, or reads its entries wrongly.",
                    "codebook" + one_sided, one(unit, d.mps(p, methods=2), profile=p), comment="Decision 0017." if dq else "",
                    elements=("codebook_egk", "codebook_delta_left", "codebook_delta_right"))  # fmt: skip
