# SPDX-License-Identifier: Apache-2.0
"""Transforms of a model's tensors that reduce the size of its stream.

Each function returns arrays or `Block` values for `nnr_codec.encode`. ``decode(recompose=True)`` inverts the transforms that
have an inverse.
"""

from nnr_codec.transform.batch_norm import BatchNorm, fold_batch_norm, unfold_batch_norm
from nnr_codec.transform.block import Block
from nnr_codec.transform.channel_scales import ScaleMove, channel_scales, move_scales, transformer_moves
from nnr_codec.transform.local_scaling import fit_scaling, scale_rows
from nnr_codec.transform.low_rank import choose_rank, decompose
from nnr_codec.transform.sparsify import prune_rows, sparsify
from nnr_codec.transform.unit_order import sort_units

__all__ = [
    "BatchNorm",
    "Block",
    "ScaleMove",
    "channel_scales",
    "choose_rank",
    "decompose",
    "fit_scaling",
    "fold_batch_norm",
    "move_scales",
    "prune_rows",
    "scale_rows",
    "sort_units",
    "sparsify",
    "transformer_moves",
    "unfold_batch_norm",
]
