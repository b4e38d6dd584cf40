# SPDX-License-Identifier: Apache-2.0
"""Entropy coding parameters of a data unit's tensors."""

from __future__ import annotations

from nnr_codec.entropy import TensorCoding
from nnr_codec.model import DataUnitHeader, PayloadType, Quantization
from nnr_codec.model.unit_layout import PlannedTensor


def tensor_coding(
    header: DataUnitHeader,
    planned: PlannedTensor,
    general_profile_idc: int,
    quantization: Quantization | None,
) -> TensorCoding:
    """Return the entropy coding parameters of a tensor.

    Clause: format 5.2, 5.3
    """
    # Profile 0 codes codebook indices as if there were no codebook.
    book = planned.codebook if general_profile_idc == 1 else None
    quantized = header.payload_type is not PayloadType.NNR_PT_INT
    # NNCodec writes dq_flag with integer payloads too, and applies it to quantised payloads only.
    return TensorCoding(
        rows=planned.rows,
        width=planned.width,
        scan_order=header.scan_order if planned.scanned else 0,
        unary_length=header.cabac_unary_length,
        dependent=header.dq_flag and quantized,
        profile1=general_profile_idc == 1,
        parent_present=header.parent is not None,
        qp_bits=6 + quantization.qp_density if quantized and quantization is not None else 0,
        codebook_size=len(book.values) if book else 0,
        codebook_zero=book.zero_offset if book else 0,
    )
