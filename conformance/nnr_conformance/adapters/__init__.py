# SPDX-License-Identifier: Apache-2.0
"""Shipped adapters: the only modules of the checker that import a decoder."""
