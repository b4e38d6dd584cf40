# SPDX-License-Identifier: Apache-2.0
"""PyTorch files: state dicts, checkpoints, pickled modules and TorchScript archives.

The reader needs no torch and executes nothing of a file: its unpickler knows tensors and containers, and
replaces every other class by an inert placeholder.
"""

from nnr_codec.frameworks.pytorch.reader import PytorchFile
from nnr_codec.frameworks.pytorch.writer import write_pytorch

__all__ = ["PytorchFile", "write_pytorch"]
