# SPDX-License-Identifier: Apache-2.0
"""Encoder options."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterable, Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any

from nnr_codec.codec.encode.effort import EFFORTS, Effort
from nnr_codec.codec.encode.importance import Importance

# Steps of QP per doubling of the step size, as a power of 2: NNCodec's default for explicit QPs, and one fine enough to meet
# a target error within 1 %.
_EXPLICIT_DENSITY = 2
_FINE_DENSITY = 6

_RECIPE = "nnr_codec.recipe"
_RECIPE_VERSION = 1
# Types of options whose default is None.
_OPTIONAL_TYPES = {"qp": int, "qp_1d": int, "qp_density": int, "bit_depth": int, "unary_length": int}


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Encoder options.

    The defaults bound the error of every tensor:

    - Integers and scalars are exact. So are tensors of few distinct values, unless this costs over a quarter more.
    - In matrices and convolutions the error of a row (first extent above 1) is at most a quarter of the row's root mean square.
      The error of the tensor is about 2 % of its root mean square; if few rows are far larger than the others, it is 3 % of
      the typical row. In a model of several matrices it follows the root of their sizes: small ones get less, down to 1/64 of
      it, and large ones more, up to 4 times, with 2 % as the geometric mean over all weights. Embeddings that may be the last
      matrix too get at most 2 %. Rows below 2^-16 of the typical row get the same absolute error as the others.
    - In vectors ([n], [n, 1], [1, n], ...) the error of an element is at most 1/125 of its magnitude. Magnitudes below a floor
      count as the floor: the lower quartile of the magnitudes, or 2^-20 of it in vectors of one sign, of up to 16 elements, or
      with an element above 256 quartiles. Statistics (running variances, by name) have no floor.
    - In tables (sorted vectors; schedules and frequencies by name) and vectors of up to four elements the error is at most
      2^-31 of the largest element.
    - Depthwise convolutions and stems (a kernel above one element, at most 32 weights per output channel) get a quarter of these
      errors. Tensors of integers and halves are exact; matrices with sorted rows or columns, and block scales by name, keep the
      accuracy of vectors.

    The bounds hold before rounding to the data type of the source. `relative_error` and `relative_error_1d` scale them. Options
    that set a step, a size or an error, and importance, replace the bounds of the tensors to which they apply.

    Attributes
    ----------
    relative_error : float
        Target error of matrices and convolutions when `qp` is None, as a fraction of the tensor's root mean square, and as a mean
        over the model. It does not depend on how the layers of a model are scaled against each other.
    relative_error_1d : float
        The same for vectors (biases, batch norm), which have at most one extent above 1. It is smaller because networks are
        sensitive to vectors, and vectors have few elements.
    exact : tuple of str
        Shell-style patterns of tensor names to code exactly, whatever it costs; as float32 if no integer form holds the values.
    keep : tuple of str
        Shell-style patterns of tensor names to store unchanged.
    qp : int or None
        One quantisation parameter for all matrices and convolutions; the step doubles every ``2**qp_density``.
    qp_1d : int or None
        The same for vectors. None, if `qp` is set: the finer of `relative_error_1d` and the error of `qp`; without a search
        (effort ``fast``), -75 at density 2.
    qp_density : int or None
        0..7. None: 2 if `qp`, `qp_1d` or `qp_by_name` is set or the effort is ``fast``, else 6, which meets a target error.
    qp_by_name : tuple of (pattern, qp), or mapping
        Quantisation parameters by shell-style patterns of tensor names. The first match replaces all options above.
    bit_depth : int or None
        2..16: for each tensor the finest step whose levels fit this many bits, sign included; for integer inference.
    dependent : bool
        Dependent quantisation (an 8-state trellis): about 1.5 dB less error at the same size than scalar.
    codebook : bool
        Code levels as indices into the list of distinct levels. Scalar quantisation only.
    scan_order : int
        0 row-major, 1..4 blocks of 8, 16, 32 or 64. Rows of blocks can be decoded independently, by several threads, for 0.02 to
        0.15 % more bytes.
    unary_length : int or None
        1..256: largest magnitude in unary code, before the escape code. None: chosen by cost for each tensor; 11 without a
        search.
    effort : str
        ``fast``: the least squared error for the step. ``medium``, ``slow``, ``best``: rate-distortion optimised quantisation
        with increasing search (see `nnr_codec.codec.encode.effort`).
    lambda_scale : float
        Lagrangian multiplier, relative to the usual one: the slope of the rate-distortion bound of a memoryless source, and 0.4
        of it for relative errors without importance.
    row_skip : bool
        Skip rows of zeros (profile 1).
    search_initialisations : bool
        Choose each context's initialisation by cost.
    raw_when_smaller : bool
        Store a tensor as float32 if coding takes more bytes. Off by default, because NNCodec 2.1.3 reads a raw unit only at the
        end of a stream.
    general_profile_idc : int
        0 for edition 1, 1 for edition 2.
    incremental : bool
        Make each call of `Encoder.encode` after the first an update of the previous one.
    temporal_context, history_context : bool
        Use the previous update, or all earlier ones, for context modelling in incremental streams.
    leave_out_zeros : bool
        Omit tensors of zeros from updates.
    device_id : int
        Number of the sender in incremental streams, 0 or more.
    describe_source : bool
        Describe data types, scalars, empty tensors and metadata, for which the format has no element, in a topology unit of
        unrecognised format, which other decoders ignore. It is omitted if it would be empty.
    checksum : bool
        End the stream with a SHA-256 of its bytes, in a unit that other decoders ignore.
    importance : mapping of str to float, array or Curvature, or None
        Weights of squared errors if `encode` gets no argument `importance`; `nnr_codec.importance.allocate` sets it.
    reference_list : bool
        Store the names in a reference list, and indices in the units. NNCodec 2.1.3 does not read it.
    short_names : bool
        Name tensors "0", "1", ... in their units, and store the full names deflated. Other decoders return the short names.
    peer_compatible : bool
        Write carrier units and the graph in a form that NNCodec 2.1.3 skips. It takes one seventh more bytes. By default NNCodec
        stops at large carrier units.

    Clause: format 3, 4
    """

    relative_error: float = 0.02
    relative_error_1d: float = 0.0005
    exact: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    qp: int | None = None
    qp_1d: int | None = None
    qp_density: int | None = None
    qp_by_name: tuple[tuple[str, int], ...] = ()
    bit_depth: int | None = None
    dependent: bool = True
    codebook: bool = False
    scan_order: int = 0
    unary_length: int | None = None
    effort: str = "medium"
    lambda_scale: float = 1.0
    row_skip: bool = True
    search_initialisations: bool = True
    raw_when_smaller: bool = False
    general_profile_idc: int = 1
    incremental: bool = False
    temporal_context: bool = True
    history_context: bool = True
    leave_out_zeros: bool = True
    device_id: int = 0
    describe_source: bool = True
    checksum: bool = False
    importance: Mapping[str, Importance] | None = field(default=None, compare=False, repr=False)
    reference_list: bool = False
    short_names: bool = False
    peer_compatible: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.qp_by_name, Mapping):
            object.__setattr__(self, "qp_by_name", tuple(self.qp_by_name.items()))

        def require(condition: bool, message: str) -> None:
            if not condition:
                raise ValueError(message)

        require(
            self.qp_density is None or 0 <= self.qp_density <= 7, f"qp_density is 0..7, not {self.qp_density}"
        )
        require(0 <= self.scan_order <= 4, f"scan_order is 0..4, not {self.scan_order}")
        require(
            self.unary_length is None or 1 <= self.unary_length <= 256,
            f"unary_length is 1..256, not {self.unary_length}",
        )
        require(self.effort in EFFORTS, f"effort is one of {', '.join(EFFORTS)}, not {self.effort!r}")
        require(0 < self.lambda_scale < math.inf, "lambda_scale is positive and finite")
        require(
            self.general_profile_idc in (0, 1),
            f"general_profile_idc is 0 or 1, not {self.general_profile_idc}",
        )
        require(
            self.bit_depth is None or 2 <= self.bit_depth <= 16, f"bit_depth is 2..16, not {self.bit_depth}"
        )
        require(self.device_id >= 0, f"device_id is not negative, unlike {self.device_id}")
        require(
            0 < self.relative_error < math.inf and 0 < self.relative_error_1d < math.inf,
            "relative errors are positive and finite",
        )
        require(
            not (self.reference_list and self.short_names),
            "a reference list has the full names, so they are not short",
        )
        require(
            not (self.incremental and self.general_profile_idc == 0), "incremental streams need profile 1"
        )
        require(
            not (self.codebook and self.dependent),
            "a codebook goes with scalar quantisation: dependent=False",
        )

        for option in ("exact", "keep"):
            patterns = getattr(self, option)
            if isinstance(patterns, str) or not all(isinstance(pattern, str) for pattern in patterns):
                raise TypeError(f"{option} is a tuple of patterns, not {patterns!r}")
            object.__setattr__(self, option, tuple(patterns))

    def is_exact(self, name: str) -> bool:
        """Tell whether a pattern of `exact` matches a tensor's name."""
        return _matches(name, self.exact)

    def is_kept(self, name: str) -> bool:
        """Tell whether a pattern of `keep` matches a tensor's name."""
        return _matches(name, self.keep)

    def to_recipe(self) -> dict[str, Any]:
        """Return the options that differ from the defaults, as a JSON object.

        >>> EncoderConfig(effort="fast", keep=("head.*",)).to_recipe()
        {'nnr_codec.recipe': 1, 'keep': ['head.*'], 'effort': 'fast'}
        """
        recipe: dict[str, Any] = {_RECIPE: _RECIPE_VERSION}
        for option in _recipe_options():
            value = getattr(self, option.name)
            if value != option.default:
                recipe[option.name] = _listed(value)
        return recipe

    @classmethod
    def from_recipe(cls, recipe: Mapping[str, Any]) -> EncoderConfig:
        """Return the options of a recipe, as written by `to_recipe` or by hand.

        Raises
        ------
        ValueError
            It is no recipe, has a later version, or has an unknown option.
        TypeError
            An option's value is of the wrong type.

        >>> EncoderConfig.from_recipe({"nnr_codec.recipe": 1, "effort": "fast"}).effort
        'fast'
        """
        if not isinstance(recipe, Mapping) or _RECIPE not in recipe:
            raise ValueError(f"a recipe is an object with the member {_RECIPE!r}")
        if recipe[_RECIPE] != _RECIPE_VERSION:
            raise ValueError(f"recipes of version {_RECIPE_VERSION} are known, not of {recipe[_RECIPE]!r}")
        defaults = {option.name: option.default for option in _recipe_options()}
        options = {}
        for name, value in recipe.items():
            if name == _RECIPE:
                continue
            if name not in defaults:
                raise ValueError(f"there is no option {name!r}")
            options[name] = _checked_option(name, value, defaults[name])
        return cls(**options)

    def qp_for_name(self, name: str) -> int | None:
        """Return the QP of the first pattern of `qp_by_name` that matches a tensor's name, or None."""
        return next((qp for pattern, qp in self.qp_by_name if fnmatch.fnmatchcase(name, pattern)), None)

    @property
    def preset(self) -> Effort:
        """The preset that `effort` names."""
        # The search does not respect a bit depth, which bounds the levels.
        return EFFORTS["fast" if self.bit_depth is not None else self.effort]

    @property
    def density(self) -> int:
        """`qp_density`, or its default for the other options."""
        if self.qp_density is not None:
            return self.qp_density
        explicit = self.qp is not None or self.qp_1d is not None or bool(self.qp_by_name)
        return _EXPLICIT_DENSITY if explicit or self.preset.passes == 0 else _FINE_DENSITY


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(name == pattern or fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _listed(value: Any) -> Any:
    """Replace tuples by lists, for JSON."""
    return [_listed(item) for item in value] if isinstance(value, tuple) else value


def _checked_option(name: str, value: Any, default: Any) -> Any:
    if name in ("exact", "keep"):
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            raise TypeError(f"{name} is a list of texts, not {value!r}")
        return tuple(value)
    if name == "qp_by_name":
        if not isinstance(value, list | tuple) or not all(_is_pattern_and_qp(item) for item in value):
            raise TypeError(f"{name} is a list of pairs of a text and an integer, not {value!r}")
        return tuple((pattern, qp) for pattern, qp in value)
    kind = _OPTIONAL_TYPES.get(name, type(default))
    if value is None and default is None:
        return None
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind:
        raise TypeError(f"{name} is of type {kind.__name__}, not {value!r}")
    return value


def _is_pattern_and_qp(item: Any) -> bool:
    return isinstance(item, list | tuple) and len(item) == 2 and type(item[0]) is str and type(item[1]) is int


def _recipe_options() -> list[Field[Any]]:
    # Importance belongs to one model.
    return [option for option in fields(EncoderConfig) if option.name != "importance"]
