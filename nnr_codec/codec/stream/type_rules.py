# SPDX-License-Identifier: Apache-2.0
"""Rules that give the data types of a model's tensors by name.

Most tensors of a model have the same type, and the exceptions have common suffixes: every ``num_batches_tracked`` is an int64
scalar, every ``norm.weight`` float32. A rule maps a name, or the last components of a name, to a label. A label is a data type in
safetensors' spelling. It is empty for float32 and int32, which the payload type distinguishes. ``()`` at its end marks a scalar,
which a unit stores with one dimension.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from nnr_codec import _native

_PLAIN = {"F32", "I32"}
_SCALAR = "()"
#: Components of the longest suffix of a rule; other exceptions are listed by whole name.
_MAX_COMPONENTS = 3


class TypeRules(Mapping[str, str]):
    """Mapping of tensor name to data type, for names whose type is neither F32 nor I32.

    Lookup works for any name. Iteration yields the names recorded by `note`, which a decoder calls for each tensor.

    Parameters
    ----------
    rules : native TypeRules, optional
        A default label, labels by the last one to three components of a name, of which the longest match applies, and labels
        by whole name, which take precedence. By default there are none.
    """

    def __init__(self, rules: _native.TypeRules | None = None) -> None:
        self._rules = _native.TypeRules() if rules is None else rules
        self._noted: dict[str, str] = {}

    @classmethod
    def of(cls, tensors: Mapping[str, tuple[str, tuple[int, ...]]]) -> TypeRules:
        """Return the rules for tensors given as name to (data type, shape)."""
        labels = {name: _label(dtype, shape) for name, (dtype, shape) in tensors.items()}
        if not labels:
            return cls()
        rules = _native.TypeRules()
        rules.set_default(_majority(labels.values()))
        wrong = _wrong(rules, labels)
        for n_components in range(1, _MAX_COMPONENTS + 1):
            if not wrong:
                break
            groups: dict[str, list[str]] = {}
            touched = {_suffix(name, n_components) for name in wrong}
            for name in labels:
                suffix = _suffix(name, n_components)
                if suffix in touched:
                    groups.setdefault(suffix, []).append(name)
            for suffix, members in groups.items():
                label = _majority(labels[name] for name in members)
                if any(rules.label(name) != label for name in members):
                    rules.add_suffix(suffix, label)
            wrong = _wrong(rules, labels)
        for name, label in wrong.items():
            rules.add_name(name, label)
        return cls(rules)

    @property
    def n_names(self) -> int:
        """Number of rules on whole names."""
        return len(self._rules.names)

    def is_scalar(self, name: str) -> bool:
        """Return True for a tensor without dimensions."""
        return self._rules.label(name).endswith(_SCALAR)

    def is_trivial(self) -> bool:
        """Return True when every tensor is a float32 or int32 array."""
        return self._rules.is_empty

    def note(self, name: str, tag: str) -> None:
        """Record a name of the stream, with its data type."""
        if tag not in _PLAIN:
            self._noted[name] = tag

    def __getitem__(self, name: str) -> str:
        tag = self._noted.get(name) or self._rules.tag(name)
        if not tag:
            raise KeyError(name)
        return tag

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self._noted.get(name) or self._rules.tag(name))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TypeRules):
            return NotImplemented
        return self.to_json() == other.to_json() and self._noted == other._noted

    def __repr__(self) -> str:
        return f"TypeRules({self.to_json()})"

    def __iter__(self) -> Iterator[str]:
        return iter(self._noted)

    def __len__(self) -> int:
        return len(self._noted)

    def to_json(self) -> dict[str, object]:
        """Return the rules for the source description, without empty members."""
        rules = self._rules
        content: dict[str, object] = {"type": rules.default} if rules.default else {}
        for key, labels in (("suffixes", rules.suffixes), ("names", rules.names)):
            by_label: dict[str, list[str]] = {}
            for text, label in labels.items():
                by_label.setdefault(label, []).append(text)
            if by_label:
                content[key] = by_label
        return content


def _wrong(rules: _native.TypeRules, labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels that the rules do not give."""
    return {name: label for name, label in labels.items() if rules.label(name) != label}


def _label(dtype: str, shape: tuple[int, ...]) -> str:
    return ("" if dtype in _PLAIN else dtype) + (_SCALAR if shape == () else "")


def _suffix(name: str, n_components: int) -> str:
    """Return the last components of a name, which dots or slashes separate."""
    parts = name.replace("/", ".").rsplit(".", n_components)
    return ".".join(parts[-n_components:])


def _majority(labels: Iterable[str]) -> str:
    # Counter returns the first of equally frequent labels, so the rules are deterministic.
    return Counter(labels).most_common(1)[0][0]
