# SPDX-License-Identifier: Apache-2.0
"""Rate-distortion curves of this codec, the Shannon bound, an ideal trellis and NNCodec: ``python -m tools.research.curves``."""
