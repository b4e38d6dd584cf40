# SPDX-License-Identifier: Apache-2.0
"""Choice of random streams: a greedy cover of all coverage items that any of them reaches."""

from __future__ import annotations

import sys

from conformance.generators.coverage import reached_by
from conformance.generators.grammar_map import GrammarMap, Item
from conformance.generators.random_streams import draw_streams

KINDS = ((0, 1), (1, 1), (1, 3))
_LARGEST_BYTES = 4000


def choose(n_seeds: int) -> list[tuple[int, int, int]]:
    """Draw random streams and choose a covering subset.

    Returns
    -------
    list of (profile, number of streams, seed)
    """
    grammar = GrammarMap()
    reached: dict[tuple[int, int, int], set[Item]] = {}
    sizes: dict[tuple[int, int, int], int] = {}
    for seed in range(n_seeds):
        for profile, n_streams in KINDS:
            streams = draw_streams(seed, profile, n_streams)
            size = sum(map(len, streams))
            if size <= _LARGEST_BYTES:
                key = profile, n_streams, seed
                reached[key], sizes[key] = set(reached_by(grammar, streams)), size
        if seed % 20 == 0:
            print(
                f"{seed} seeds drawn, {len(set().union(*reached.values()))} items reached",
                file=sys.stderr,
                flush=True,
            )
    open_items = set().union(*reached.values())
    chosen = []
    while open_items:
        # Prefer small streams at similar gain: people read the chosen ones.
        candidate = max(
            reached, key=lambda key: (len(reached[key] & open_items) / (sizes[key] + 200), -key[2])
        )
        chosen.append(candidate)
        open_items -= reached.pop(candidate)
    return sorted(chosen)
