# SPDX-License-Identifier: Apache-2.0
"""NNCodec's coding of updates with the steps and the error feedback of this codec."""

from __future__ import annotations

import math

import numpy as np

from conformance.peers.client import Arrays, Peer

_DENSITY = 2


class PeerFeedback:
    """Encoder of updates with NNCodec, in the place of `nnr_codec.updates.FeedbackEncoder`.

    Parameters
    ----------
    peer : Peer
    change_error : float
        Error of each difference as a fraction of its root mean square; a quarter of it for vectors. The step is that of uniform
        quantisation with this error, as in `FeedbackEncoder`.
    rdo_lambda : float
        NNCodec's parameter of rate-distortion optimisation; 0 is off.
    """

    def __init__(self, peer: Peer, *, change_error: float, rdo_lambda: float = 0.0) -> None:
        self._peer, self._change_error, self._lambda = peer, change_error, rdo_lambda
        self.residuals: Arrays = {}

    def encode(self, model: Arrays, base: Arrays) -> tuple[bytes, Arrays]:
        """Encode a model as an update of a base; return the stream and the receiver's model."""
        changes = {
            name: array - base[name] + self.residuals.get(name, np.float32(0))
            for name, array in model.items()
        }
        stream = self._peer.encode(
            changes,
            qp_density=_DENSITY,
            qp_per_tensor={name: self._qp(change) for name, change in changes.items()},
            rdo_lambda=self._lambda,
        )
        decoded = self._peer.decode(stream, levels=False).values
        received = {name: change.reshape(changes[name].shape) for name, change in decoded.items()}
        self.residuals = {name: change - received[name] for name, change in changes.items()}
        return stream, {name: array + received[name] for name, array in base.items()}

    def _qp(self, change: np.ndarray) -> int:
        scale = float(np.sqrt(np.mean(np.square(change, dtype=np.float64))))
        share = 1.0 if sum(extent > 1 for extent in change.shape) > 1 else 0.25
        return math.floor(
            math.log2(max(scale, 2.0**-40) * share * self._change_error * math.sqrt(12)) * (1 << _DENSITY)
        )
