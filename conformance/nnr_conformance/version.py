# SPDX-License-Identifier: Apache-2.0
"""Version of the checker; suites and protocol have their own."""

__version__ = "1.0.0"
