# SPDX-License-Identifier: Apache-2.0
"""Data units to tensors."""
