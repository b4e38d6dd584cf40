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
        As in `FeedbackEncoder`, with the same steps.
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
            changes, qp_density=_DENSITY, qp_per_tensor=self._qps(changes), rdo_lambda=self._lambda
        )
        decoded = self._peer.decode(stream, levels=False).values
        received = {name: change.reshape(changes[name].shape) for name, change in decoded.items()}
        self.residuals = {name: change - received[name] for name, change in changes.items()}
        return stream, {name: array + received[name] for name, array in base.items()}

    def _qps(self, changes: Arrays) -> dict[str, int]:
        scales = {
            name: max(float(np.sqrt(np.mean(np.square(change, dtype=np.float64)))), 2.0**-40)
            for name, change in changes.items()
        }
        weights = [change.size for change in changes.values()]
        typical = math.exp(np.average([math.log(scale) for scale in scales.values()], weights=weights))
        qps = {}
        for name, scale in scales.items():
            share = 1.0 if sum(extent > 1 for extent in changes[name].shape) > 1 else 0.25
            step = min(scale, typical) * share * self._change_error * math.sqrt(12)
            qps[name] = math.floor(math.log2(step) * (1 << _DENSITY))
        return qps
