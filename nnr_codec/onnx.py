# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime sessions from NNR streams, without a model file in between.

>>> import nnr_codec.onnx                                               # doctest: +SKIP
>>> session = nnr_codec.onnx.inference_session("model.nnr")             # doctest: +SKIP
>>> session.run(None, {"x": array})                                     # doctest: +SKIP

onnxruntime is imported when a session is made.
"""

from nnr_codec.frameworks.onnx import inference_session, session_from_tensors

__all__ = ["inference_session", "session_from_tensors"]
