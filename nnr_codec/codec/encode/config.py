# SPDX-License-Identifier: Apache-2.0
"""What an encoder is asked to do."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from nnr_codec.codec.encode.effort import EFFORTS, Effort
from nnr_codec.codec.encode.importance import Importance

# Steps of QP per doubling of the step size, as a power of 2: what QPs given by hand mean, and one that meets errors to 1 %.
_GIVEN_DENSITY = 2
_FINE_DENSITY = 6


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Options of the encoder. The defaults lose nothing visible on a model the encoder has never seen.

    Attributes
    ----------
    relative_error : float
        Step sizes are chosen per tensor so that the quantisation error is about this fraction of the tensor's root mean
        square. Scale-free: it asks nothing about how a model's layers are scaled against each other. Used for tensors of two
        dimensions and more when `qp` is None.
    relative_error_1d : float
        Likewise for one-dimensional tensors (biases, batch norm), which are few and which networks are sensitive to.
    qp : int or None
        One quantisation parameter for all tensors of two dimensions and more; the step doubles every ``2**qp_density``.
    qp_1d : int or None
        Likewise for one-dimensional tensors; with `qp` given and this None, -75 at density 2.
    qp_density : int or None
        0..7. None: 2 where quantisation parameters are given or the effort is ``fast``, else 6, fine enough to meet an error.
    qp_by_name : tuple of (pattern, qp), or mapping
        Shell-style patterns against tensor names; the first match wins over everything above.
    bit_depth : int or None
        2..16: per tensor the finest step whose levels fit so many bits, sign included; for integer inference.
    dependent : bool
        Dependent quantisation (an 8-state trellis): about 1.5 dB less error at the same size than scalar.
    codebook : bool
        Code levels as indices into the list of the values that occur. Scalar quantisation only.
    scan_order : int
        0 row-major, 1..4 blocks of 8, 16, 32 or 64. Rows of blocks can be decoded independently, by several threads, for 0.02 to
        0.15 % more bytes.
    unary_length : int or None
        1..256: magnitudes up to this are coded bin by bin with contexts of their own. None: by cost, tensor by tensor; 11
        where nothing is searched.
    effort : str
        ``fast``: the least squared error at the step asked for. ``medium``, ``slow``, ``best``: rate-distortion optimised
        quantisation, with more and more tried (see `nnr_codec.codec.encode.effort`).
    lambda_scale : float
        What a bit is worth, in units of the value that matches the slope of a memoryless source's bound.
    row_skip : bool
        Leave out rows of zeros (profile 1).
    search_initialisations : bool
        Choose each context's initialisation by cost.
    raw_when_smaller : bool
        Send tensors as float32 when coding them takes more. Off, because NNCodec 2.1.3 reads a raw unit only at the end of a
        stream. Tensors with infinities or NaN are always sent so.
    general_profile_idc : int
        0 for edition 1, 1 for edition 2.
    incremental : bool
        Number the tensors, so that each call of `Encoder.encode` after the first codes an update of the one before.
    temporal_context, history_context : bool
        Use the previous update, or all earlier ones, for context modelling in incremental streams.
    leave_out_zeros : bool
        Send nothing for tensors of zeros in incremental streams.
    device_id : int
        0..; who sends, in incremental streams.
    describe_source : bool
        Carry what the format itself cannot (data types, scalars, empty tensors, metadata) in a topology unit of unrecognised
        format, which other decoders ignore. It is only written when there is something to say.
    checksum : bool
        Close the stream with a SHA-256 of itself, in a unit that other decoders ignore.
    importance : mapping of str to float, array or Curvature, or None
        Weights of squared errors for an `encode` that gets none itself; `nnr_codec.importance.allocate` sets it.
    reference_list : bool
        Send the tensors' names once, in a reference list, and refer to them by index. NNCodec 2.1.3 does not read this.
    short_names : bool
        Call tensors "0", "1", ... in their units, and carry the full names deflated. Other decoders give the short names.
    peer_compatible : bool
        Write carried bytes and the topology in a form that NNCodec 2.1.3 skips, for one seventh more; by default it stops at
        them where they are large.

    Clause: format 3, 4
    """

    relative_error: float = 0.02
    relative_error_1d: float = 0.0005
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

    def qp_for_name(self, name: str) -> int | None:
        """Return what `qp_by_name` says of a tensor."""
        return next((qp for pattern, qp in self.qp_by_name if fnmatch.fnmatchcase(name, pattern)), None)

    @property
    def preset(self) -> Effort:
        """What `effort` names."""
        # A bit depth bounds the levels, which only the plain quantisers keep to.
        return EFFORTS["fast" if self.bit_depth is not None else self.effort]

    @property
    def density(self) -> int:
        """`qp_density`, or what stands for it."""
        if self.qp_density is not None:
            return self.qp_density
        explicit = self.qp is not None or self.qp_1d is not None or bool(self.qp_by_name)
        return _GIVEN_DENSITY if explicit or self.preset.passes == 0 else _FINE_DENSITY
