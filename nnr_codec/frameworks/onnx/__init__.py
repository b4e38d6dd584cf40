# SPDX-License-Identifier: Apache-2.0
"""ONNX models: read tensor by tensor, written from a topology and tensors, run from a stream.

The wire format is read and written here, so that weights never pass through a protocol-buffer library and neither
``onnx`` nor ``protobuf`` is needed.
"""

from nnr_codec.frameworks.onnx.reader import OnnxFile
from nnr_codec.frameworks.onnx.session import inference_session, session_from_tensors
from nnr_codec.frameworks.onnx.writer import save_onnx

__all__ = ["OnnxFile", "inference_session", "save_onnx", "session_from_tensors"]
