# SPDX-License-Identifier: Apache-2.0
"""Weights to levels: roles of tensors, error bounds, exact forms, steps, and the searches that keep them."""
