# SPDX-License-Identifier: Apache-2.0
"""A codec for ISO/IEC 15938-17 (NNC/NNR) bitstreams of neural networks."""

from nnr_codec._version import __version__

__all__ = ["__version__"]
