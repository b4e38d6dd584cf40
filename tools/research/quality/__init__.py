# SPDX-License-Identifier: Apache-2.0
"""Bytes at equal quality on real models: sizes are compared where the outputs diverge equally."""
