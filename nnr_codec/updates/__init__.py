# SPDX-License-Identifier: Apache-2.0
"""Updates of models: a fine-tuned model, a checkpoint or a client's contribution as differences to a base model."""

from nnr_codec.updates.apply_update import apply_update
from nnr_codec.updates.encode_update import encode_update
from nnr_codec.updates.error_feedback import FeedbackEncoder
from nnr_codec.updates.typed_tensors import ArrayTensors, TypedTensors, model_digest

__all__ = [
    "ArrayTensors",
    "FeedbackEncoder",
    "TypedTensors",
    "apply_update",
    "encode_update",
    "model_digest",
]
