# SPDX-License-Identifier: Apache-2.0
"""The checker's own version; suites and protocol have theirs."""

CHECKER_VERSION = "1.0.0"
