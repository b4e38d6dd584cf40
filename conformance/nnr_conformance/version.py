# SPDX-License-Identifier: Apache-2.0
"""The checker's own version; suites and protocol have theirs."""

__version__ = "1.0.0"
