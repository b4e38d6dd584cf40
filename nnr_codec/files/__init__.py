# SPDX-License-Identifier: Apache-2.0
"""Model files to stream files and back: all that the commands ``nnr encode`` and ``nnr decode`` do, as functions."""
