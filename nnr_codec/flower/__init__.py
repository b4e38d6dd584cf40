# SPDX-License-Identifier: Apache-2.0
"""Compression of federated learning with Flower: a mod for clients, and a grid for servers.

On the client, ``ClientApp(mods=[nnr_codec.flower.compression_mod()])``. On the server, the strategy starts with
``nnr_codec.flower.CompressedGrid(grid)`` in place of ``grid``. Apps and strategies see ordinary arrays. It needs
`flwr`: ``pip install nnr_codec[flower]``.
"""

from nnr_codec.flower.client_mod import compression_mod
from nnr_codec.flower.server_grid import CompressedGrid, RoundTraffic

__all__ = ["CompressedGrid", "RoundTraffic", "compression_mod"]
