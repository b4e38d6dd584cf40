# SPDX-License-Identifier: Apache-2.0
"""Input and result of one tensor's encoding."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnr_codec.codec.encode.config import EncoderConfig
from nnr_codec.codec.stream.tensor_patch import TensorPatch
from nnr_codec.codec.stream.update_tree import Predecessor
from nnr_codec.codec.tensor_coding import tensor_coding
from nnr_codec.entropy import TensorCoding, TensorToEncode
from nnr_codec.model import DataUnit, DataUnitHeader, ParentNode, Quantization
from nnr_codec.model.unit_layout import PlannedTensor, Role
from nnr_codec.quant import Curvature
from nnr_codec.transform import Block


@dataclass(frozen=True)
class TensorJob:
    """A tensor with all parameters of its encoding; picklable.

    Attributes
    ----------
    name : str
    array : ndarray or Block
    config : EncoderConfig
    quantization : Quantization
        Base and density of the stream's quantisation parameters.
    header : DataUnitHeader
        With node and parent in incremental streams.
    predecessor : Predecessor or None
        Levels of the previous update.
    flexible_parent : ParentNode or None
        Parent for which the encoder decides, by cost, whether its temporal contexts are used.
    importance : float32[shape] or None
        Weights of the squared errors of the elements, with a mean of 1.
    curvature : Curvature or None
        Curvature for error feedback.
    weight : float
        Weight of the tensor's squared error against other tensors.
    error_factor : float
        Relative error of the tensor as a multiple of the configuration's, if it is a matrix.
    can_patch : bool
        Whether the stream may carry patches.
    """

    name: str
    array: NDArray[Any] | Block
    config: EncoderConfig
    quantization: Quantization
    header: DataUnitHeader = DataUnitHeader()
    predecessor: Predecessor | None = None
    flexible_parent: ParentNode | None = None
    importance: NDArray[np.float32] | None = None
    curvature: Curvature | None = None
    weight: float = 1.0
    error_factor: float = 1.0
    can_patch: bool = False

    def coding(self, header: DataUnitHeader) -> TensorCoding:
        """Return the entropy coding parameters of this tensor with a header."""
        planned = PlannedTensor(Role.WEIGHT, 0, header.tensor_dimensions or (1,), True, header.codebook)
        return tensor_coding(header, planned, self.config.general_profile_idc, self.quantization)

    def tensor_to_encode(
        self, header: DataUnitHeader, levels: NDArray[np.int32], qp_value: int, history: bool
    ) -> TensorToEncode:
        """Return the input of the entropy coder for these levels."""
        before = self.predecessor
        temporal = header.parent is not None and header.parent.temporal_context_modeling_flag
        return TensorToEncode(
            self.coding(header),
            levels,
            qp_value,
            history_enabled=history,
            row_skip=self.config.row_skip,
            search_initialisations=self.config.search_initialisations,
            search_sample=self.config.preset.search_sample,
            base=np.require(before.levels, np.int32, ["C", "A"]) if before is not None and temporal else None,
            history=before.history if before is not None else None,
        )

    def parent_choices(self) -> list[tuple[ParentNode | None, bool]]:
        """Return the candidate uses of earlier updates: parent with its temporal flag, and True if the history is used."""
        parent = self.flexible_parent
        if parent is None or self.predecessor is None:
            return [(parent, False)]
        temporal = [False, True] if self.config.temporal_context else [False]
        history = [False, True] if self.config.history_context else [False]
        return [(replace(parent, temporal_context_modeling_flag=t), h) for t in temporal for h in history]


@dataclass(frozen=True)
class EncodedTensor:
    """A data unit ready for the stream.

    Attributes
    ----------
    unit : DataUnit
    levels : int32[n] or None
        Levels for the next update; None for a raw unit.
    patch : TensorPatch or None
        Elements that a carrier unit holds; the data unit has zeros in their positions.
    """

    unit: DataUnit
    levels: NDArray[np.int32] | None
    patch: TensorPatch | None = None
