# SPDX-License-Identifier: Apache-2.0
"""Error feedback: an update also sends what quantisation left out of the updates before it.

With it, coarse updates reach the same model in the end. Source: Seide et al., 1-Bit Stochastic Gradient Descent, 2014.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnr_codec.codec.encode.config import EncoderConfig
from nnr_codec.updates.apply_update import apply_update
from nnr_codec.updates.encode_update import CHANGE_ERROR, encode_update
from nnr_codec.updates.typed_tensors import Array, ArrayTensors, model_digest


class FeedbackEncoder:
    """Encoder of updates that keeps the errors it made, and adds them to the next update.

    Parameters
    ----------
    config : EncoderConfig, optional
    change_error : float
        Error of each difference as a fraction of its root mean square. From about 0.7 on, most elements are sent as zero.
    rank : int, optional
        Rank of differences of matrices, as in `encode_update`.

    Attributes
    ----------
    residuals : dict of str to float32[shape]
        What the updates so far left out.
    """

    def __init__(
        self,
        config: EncoderConfig | None = None,
        *,
        change_error: float = CHANGE_ERROR,
        rank: int | None = None,
    ) -> None:
        self._config, self._change_error, self._rank = config, change_error, rank
        self.residuals: dict[str, Array] = {}

    def encode(self, model: Mapping[str, Array], base: Mapping[str, Array]) -> tuple[bytes, dict[str, Array]]:
        """Encode a model as an update of a base.

        Parameters
        ----------
        model, base : mapping of str to array
            Arrays of the same names, shapes and types.

        Returns
        -------
        stream : bytes
        decoded : dict of str to array
            The model that the receiver gets.

        Raises
        ------
        NotEncodable
            A tensor the format cannot hold. The residuals stay as they were.
        """
        wanted = {name: self._with_residual(name, array) for name, array in model.items()}
        digest = model_digest(ArrayTensors(base))
        stream = encode_update(
            wanted,
            base,
            self._config,
            base_digest=digest,
            change_error=self._change_error,
            rank=self._rank,
            threads=1,
        )
        decoded = apply_update(stream, base, base_digest=digest)
        self.residuals = {
            name: _finite(array, decoded[name]) for name, array in wanted.items() if array.dtype == np.float32
        }
        return stream, decoded

    def _with_residual(self, name: str, array: Array) -> Array:
        residual = self.residuals.get(name)
        return array if residual is None or residual.shape != array.shape else np.asarray(array + residual)


def _finite(wanted: Array, decoded: Array) -> Array:
    """Return what an update left out, and zero where that is no finite number."""
    with np.errstate(invalid="ignore", over="ignore"):
        residual = np.asarray(wanted - decoded)
    return np.where(np.isfinite(residual), residual, np.float32(0))
