# SPDX-License-Identifier: Apache-2.0
"""Selection of vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase

from nnr_conformance.errors import UsageError
from nnr_conformance.suite import Suite
from nnr_conformance.vector import SIZE_CLASSES, Vector


@dataclass(frozen=True)
class Selection:
    """Criteria of a selection. A vector must match all non-empty criteria; any value of a criterion matches.

    Parameters
    ----------
    suites : tuple of str
        Names; the caller has loaded only these.
    ids : tuple of str
        Globs over ids; ``*`` crosses ``/``.
    clauses : tuple of str
        A clause selects its subclauses: ``5`` selects ``5.3``.
    shard : tuple of int, optional
        ``(i, n)``: every n-th selected vector, starting with the i-th, counted from 1.
    """

    suites: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    clauses: tuple[str, ...] = ()
    elements: tuple[str, ...] = ()
    profiles: tuple[int, ...] = ()
    requirement: str = ""
    max_size: str = ""
    shard: tuple[int, int] | None = None

    def choose(self, suites: Sequence[Suite]) -> list[tuple[Suite, Vector]]:
        """Select vectors, in the order of the manifests.

        Raises
        ------
        UsageError
            If a glob matches no vector; a misspelt id must not pass as success.
        """
        candidates = [(suite, vector) for suite in suites for vector in suite.manifest.vectors]
        for glob in self.ids:
            if not any(fnmatchcase(vector.id, glob) for _, vector in candidates):
                raise UsageError(f"no vector matches {glob!r}")
        chosen = [(suite, vector) for suite, vector in candidates if self.matches(vector)]
        if self.shard is not None:
            chosen = chosen[self.shard[0] - 1 :: self.shard[1]]
        return chosen

    def matches(self, vector: Vector) -> bool:
        """True if the vector matches every criterion but the shard."""
        sizes: list[str] = [*SIZE_CLASSES]
        if self.max_size and sizes.index(vector.size_class) > sizes.index(self.max_size):
            return False
        return (
            (not self.ids or any(fnmatchcase(vector.id, glob) for glob in self.ids))
            and (not self.features or any(feature in self.features for feature in vector.features))
            and (
                not self.clauses or any(_within(c, wanted) for c in vector.clauses for wanted in self.clauses)
            )
            and (not self.elements or any(element in self.elements for element in vector.elements))
            and (not self.profiles or vector.profile in self.profiles)
            and (not self.requirement or vector.requirement == self.requirement)
        )

    def expression(self) -> str:
        """Text of the criteria for the log; empty if everything is selected."""
        criteria = [(field.name, getattr(self, field.name)) for field in fields(self)]
        return "; ".join(
            f"{name} {' '.join(map(str, v)) if isinstance(v, tuple) else v}" for name, v in criteria if v
        )


def _within(clause: str, wanted: str) -> bool:
    return clause == wanted or clause.startswith(f"{wanted}.")


def parse_shard(text: str) -> tuple[int, int]:
    """Parse a shard: ``2/4`` is the second of four."""
    index, slash, count = text.partition("/")
    if not (slash and index.isdigit() and count.isdigit() and 1 <= int(index) <= int(count)):
        raise UsageError(f"a shard is i/n with 1 <= i <= n, not {text!r}")
    return int(index), int(count)
