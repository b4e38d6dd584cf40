# SPDX-License-Identifier: Apache-2.0
"""Input and result of one tensor's encoding."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnr_codec.codec.decode.unit_decoder import tensor_coding
from nnr_codec.codec.encode.config import EncoderConfig
from nnr_codec.codec.stream.tensor_patch import TensorPatch
from nnr_codec.codec.stream.update_tree import Predecessor
from nnr_codec.entropy import TensorCoding, TensorToEncode
from nnr_codec.model import DataUnit, DataUnitHeader, ParentNode, Quantization
from nnr_codec.model.unit_layout import PlannedTensor, Role
from nnr_codec.quant import Curvature
from nnr_codec.transform import Block


@dataclass(frozen=True)
class TensorJob:
    """A tensor and everything that decides how it is coded; can be pickled."""

    name: str
    array: NDArray[Any] | Block
    config: EncoderConfig
    quantization: Quantization
    header: DataUnitHeader = DataUnitHeader()  # node and parent, in incremental streams
    predecessor: Predecessor | None = None
    flexible_parent: ParentNode | None = (
        None  # the parent whose temporal contexts may be used or not, by cost
    )
    importance: NDArray[np.float32] | None = (
        None  # of each weight's squared error, in the array's shape, around 1
    )
    curvature: Curvature | None = None  # for error feedback
    worth: float = 1.0  # of the whole tensor's squared error, against other tensors
    can_patch: bool = False  # whether the stream carries patches

    def coding(self, header: DataUnitHeader) -> TensorCoding:
        """Return the entropy coder's view of this tensor under a header."""
        planned = PlannedTensor(Role.WEIGHT, 0, header.tensor_dimensions or (1,), True, header.codebook)
        return tensor_coding(header, planned, self.config.general_profile_idc, self.quantization)

    def tensor_to_encode(
        self, header: DataUnitHeader, levels: NDArray[np.int32], qp_value: int, history: bool
    ) -> TensorToEncode:
        """Return these levels as the entropy coder takes them."""
        before = self.predecessor
        temporal = header.parent is not None and header.parent.temporal_context_modeling_flag
        return TensorToEncode(
            self.coding(header),
            levels,
            qp_value,
            history_enabled=history,
            row_skip=self.config.row_skip,
            search_initialisations=self.config.search_initialisations,
            base=np.require(before.levels, np.int32, ["C", "A"]) if before is not None and temporal else None,
            history=before.history if before is not None else None,
        )

    def parent_choices(self) -> list[tuple[ParentNode | None, bool]]:
        """Return the ways to use earlier updates: parent with its temporal flag, and whether the history is used."""
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
        For the updates that follow; None when the unit is raw.
    patch : TensorPatch or None
        Elements to carry beside the unit, which has zeros in their places.
    """

    unit: DataUnit
    levels: NDArray[np.int32] | None
    patch: TensorPatch | None = None
