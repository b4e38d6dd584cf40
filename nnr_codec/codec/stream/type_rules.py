# SPDX-License-Identifier: Apache-2.0
"""Data types of a model's tensors by name, as few rules.

Most tensors of a model share one type, and the exceptions share the ends of their names: every ``num_batches_tracked`` is an
int64 scalar, every ``norm.weight`` float32. A rule maps a name, or the last components of a name, to a label. A label is a data
type in safetensors' spelling, empty for float32 and int32, which a unit's payload type tells apart; ``()`` behind it marks a
scalar, which a unit sends with one dimension.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

_PLAIN = {"F32", "I32"}
_SCALAR = "()"
#: Components of the longest suffix with a rule; names beyond it are listed whole.
_MAX_COMPONENTS = 3


@dataclass
class TypeRules(Mapping[str, str]):
    """Mapping of tensor name to data type, for names whose type is neither F32 nor I32.

    Lookup works for any name. Iteration yields the names noted so far: a decoder notes each tensor as it comes.

    Attributes
    ----------
    default : str
        Label of names without a rule.
    suffixes : dict of str to str
        Label by the last one to three components of a name, joined by dots; the longest match holds.
    names : dict of str to str
        Label by whole name, before all suffixes.
    """

    default: str = ""
    suffixes: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    _noted: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, tensors: Mapping[str, tuple[str, tuple[int, ...]]]) -> TypeRules:
        """Return the rules for tensors given as name to (data type, shape)."""
        labels = {name: _label(dtype, shape) for name, (dtype, shape) in tensors.items()}
        rules = cls()
        if not labels:
            return rules
        rules.default = _majority(labels.values())
        wrong = {name: label for name, label in labels.items() if label != rules.default}
        for n_components in range(1, _MAX_COMPONENTS + 1):
            if not wrong:
                return rules
            groups: dict[str, list[str]] = {}
            touched = {_suffix(name, n_components) for name in wrong}
            for name in labels:
                suffix = _suffix(name, n_components)
                if suffix in touched:
                    groups.setdefault(suffix, []).append(name)
            for suffix, members in groups.items():
                label = _majority(labels[name] for name in members)
                if any(rules.label(name) != label for name in members):
                    rules.suffixes[suffix] = label
            wrong = {name: labels[name] for name in labels if rules.label(name) != labels[name]}
        rules.names = wrong
        return rules

    def label(self, name: str) -> str:
        """Return the label of a name."""
        if name in self.names:
            return self.names[name]
        if self.suffixes:
            for n_components in range(_MAX_COMPONENTS, 0, -1):
                label = self.suffixes.get(_suffix(name, n_components))
                if label is not None:
                    return label
        return self.default

    def is_scalar(self, name: str) -> bool:
        """Return True for a tensor without dimensions."""
        return self.label(name).endswith(_SCALAR)

    def is_trivial(self) -> bool:
        """Return True when every tensor is a float32 or int32 array."""
        return not (self.default or self.suffixes or self.names)

    def note(self, name: str, tag: str | None = None) -> None:
        """List a name that the stream holds, with the type that its own unit gives where it gives one."""
        tag = self.get(name) if tag is None else tag
        if tag is not None and tag not in _PLAIN:
            self._noted[name] = tag

    def __getitem__(self, name: str) -> str:
        tag = self._noted.get(name) or self.label(name).removesuffix(_SCALAR)
        if not tag:
            raise KeyError(name)
        return tag

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self._noted.get(name) or self.label(name).removesuffix(_SCALAR))

    def __iter__(self) -> Iterator[str]:
        return iter(self._noted)

    def __len__(self) -> int:
        return len(self._noted)

    def to_json(self) -> dict[str, object]:
        """Return the rules for the source description, without what is empty."""
        content: dict[str, object] = {}
        if self.default:
            content["type"] = self.default
        for key, rules in (("suffixes", self.suffixes), ("names", self.names)):
            by_label: dict[str, list[str]] = {}
            for text, label in rules.items():
                by_label.setdefault(label, []).append(text)
            if by_label:
                content[key] = by_label
        return content

    @classmethod
    def from_json(cls, content: Mapping[str, object]) -> TypeRules:
        """Return the rules in a source description.

        Raises
        ------
        TypeError
            The content has another form.
        """
        return cls(
            as_text(content.get("type", "")),
            _by_text(content.get("suffixes", {})),
            _by_text(content.get("names", {})),
        )


def as_text(value: object) -> str:
    """Return a JSON value that is a text.

    Raises
    ------
    TypeError
        It is none.
    """
    if not isinstance(value, str):
        raise TypeError(f"a {type(value).__name__} is not a text")
    return value


def _by_text(by_label: object) -> dict[str, str]:
    if not isinstance(by_label, dict):
        raise TypeError(f"a {type(by_label).__name__} is no object")
    rules = {}
    for label, texts in by_label.items():
        if not isinstance(texts, list):
            raise TypeError(f"a {type(texts).__name__} is no list")
        rules.update({as_text(text): as_text(label) for text in texts})
    return rules


def _label(dtype: str, shape: tuple[int, ...]) -> str:
    return ("" if dtype in _PLAIN else dtype) + (_SCALAR if shape == () else "")


def _suffix(name: str, n_components: int) -> str:
    """Return the last components of a name, which dots or slashes separate."""
    parts = name.replace("/", ".").rsplit(".", n_components)
    return ".".join(parts[-n_components:])


def _majority(labels: Iterable[str]) -> str:
    # The first of equally frequent labels, so that rules do not depend on hashing.
    return Counter(labels).most_common(1)[0][0]
