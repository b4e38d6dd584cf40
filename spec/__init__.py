# SPDX-License-Identifier: Apache-2.0
"""The specification in our own words, and ``spec.model``, the executable reading of it."""
