# SPDX-License-Identifier: Apache-2.0
"""Random trees of syntax elements, drawn by a walk over the construct declarations."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Mapping
from enum import EnumMeta
from typing import Any

from nnr_codec.syntax.descriptors import bs, byte_alignment, flt, i, ie, st, u, ue, unsupported
from nnr_codec.syntax.element import Element
from nnr_codec.syntax.expressions import Expression
from nnr_codec.syntax.grammar import Check, Choice, Derived, IfPresent, Repeat, Syntax, Tree

Forced = Callable[[str, Mapping[str, Any]], Any]
_TEXTS = ("", "a", "accuracy", "größe", "模型", "x" * 200)
_TRIES = 1000

# Upper bounds of counts; every other element takes any valid value.
_CAPS = {
    "spm_count_thresholds": 3, "ppm_count_pruning_ratios": 3, "upm_count_thresholds": 3, "dpm_count_thresholds": 3,
    "spm_count_classes": 2, "ppm_count_classes": 2, "upm_count_classes": 2, "dpm_count_classes": 2,
    "count_reshaped_tensor_dimension": 4, "count_super_block_dimension": 3, "count_block_dimension": 3,
    "count_topology_elements_minus2": 3, "codebook_size": 9, "count_tensor_dimensions": 4,
}  # fmt: skip


class Walker:
    """Generator of random syntax trees.

    Parameters
    ----------
    rng : random.Random
    forced : callable, optional
        ``forced(element, scope)`` returns the value of an element, or None to draw it.
    """

    def __init__(self, rng: random.Random, forced: Forced | None = None) -> None:
        self.rng = rng
        self.forced = forced or (lambda _element, _scope: None)

    def tree(self, table: Syntax, variables: Mapping[str, Any]) -> Tree:
        """Draw the elements of a syntax table."""
        scope: dict[str, Any] = dict(variables)
        tree: Tree = {}
        self._fill(table, tree, scope)
        return tree

    def _fill(self, table: Syntax, tree: Tree, scope: dict[str, Any]) -> None:
        scope.update(table.inferred)
        for member in table.members:
            if isinstance(member, IfPresent):
                chosen = member.members if member.condition(scope) else member.otherwise
                if chosen is not None:
                    self._fill(chosen, tree, scope)
            elif isinstance(member, Choice):
                self._fill(member.cases.get(member.selector(scope), member.default), tree, scope)
            elif isinstance(member, Derived):
                scope[member.name] = member.formula(scope)
            elif isinstance(member, Repeat):
                tree[member.key or ""] = self._repeated(member, scope)
                scope[member.name or ""] = tree[member.key or ""]
            elif isinstance(member, Syntax):
                inside: Tree = {}
                self._fill(member, inside, scope)
                tree[member.key or ""] = inside
            elif isinstance(member, Check):
                member.demand(scope)
            elif not member.fixed:
                value = self._value(member, scope)
                tree[member.key or ""] = scope[member.name] = value

    def _repeated(self, member: Repeat, scope: dict[str, Any]) -> list[Any]:
        forced = self.forced(member.name or "", scope)
        if forced is not None:
            return list(forced)
        entries: list[Any] = []
        for index in range(max(0, member.count(scope))):
            if member.index is not None:
                scope[member.index] = index
            if isinstance(member.subcon, Syntax):
                inside: Tree = {}
                self._fill(member.subcon, inside, scope)
                entries.append(inside)
            else:
                entries.append(self._value(member.subcon, scope))
        return entries

    def _value(self, element: Element, scope: dict[str, Any]) -> Any:
        forced = self.forced(element.name or "", scope)
        if forced is not None:
            return forced
        if isinstance(element, unsupported):
            raise TypeError(f"{element.name} cannot be drawn")
        for _ in range(_TRIES):
            value = self._draw(element, scope)
            if element.rule is None or element.rule({**scope, element.name or "": value}):
                return value
        raise ValueError(f"no value of {element.name} meets its rule")

    def _draw(self, element: Element, scope: dict[str, Any]) -> Any:
        rng = self.rng
        cap = _CAPS.get(element.name or "")
        if cap is not None:
            return rng.randint(0, cap)
        if isinstance(element.values, EnumMeta) and element.allowed is not None:
            return rng.choice(sorted(element.allowed))
        if isinstance(element.values, range):
            return rng.choice(element.values)
        if isinstance(element, u):
            n_bits = element.n_bits(scope) if isinstance(element.n_bits, Expression) else element.n_bits
            return rng.choice((0, (1 << n_bits) - 1, rng.getrandbits(n_bits), rng.getrandbits(n_bits)))
        if isinstance(element, i):
            half = 1 << (element.n_bits - 1)
            return rng.choice((-half, 0, half - 1, rng.randint(-half, half - 1)))
        if element.name in ("codebook_delta_left", "codebook_delta_right"):
            return rng.choice((0, rng.getrandbits(3), rng.getrandbits(24)))
        if isinstance(element, ue):
            largest = min(element.maximum.bit_length(), 200)
            return rng.choice(
                (0, rng.getrandbits(3), rng.getrandbits(12), rng.getrandbits(rng.randint(1, largest)))
            )
        if isinstance(element, ie):
            return rng.choice((0, rng.randint(-4, 4), rng.randint(-1000, 1000)))
        if isinstance(element, flt):
            return self._float()
        if isinstance(element, st):
            return rng.choice(_TEXTS)
        if isinstance(element, bs):
            return rng.randbytes(rng.randint(0, 20))
        if isinstance(element, byte_alignment):
            raise TypeError("an alignment has one value")
        raise TypeError(type(element).__name__)

    def _float(self) -> float | bytes:
        octets: bytes = self.rng.choice(
            (
                bytes(4),
                struct.pack("<f", 0.75),
                struct.pack("<f", -1e-40),
                b"\0\0\x80\x7f",
                b"\x01\0\x80\x7f",
                self.rng.randbytes(4),
            )
        )
        value: float = struct.unpack("<f", octets)[0]
        return value if struct.pack("<f", value) == octets else octets
