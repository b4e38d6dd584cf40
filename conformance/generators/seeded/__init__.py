# SPDX-License-Identifier: Apache-2.0
"""Suites that are generated from seeds: the repository holds seeds and digests only."""
