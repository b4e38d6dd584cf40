# SPDX-License-Identifier: Apache-2.0
"""Rate control: bit allocation between tensors, and searches for a size, an error or an accuracy."""
