# SPDX-License-Identifier: Apache-2.0
"""The adapters that come with the checker; only these know a decoder by name."""
