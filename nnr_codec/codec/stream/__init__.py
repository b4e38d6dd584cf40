# SPDX-License-Identifier: Apache-2.0
"""Units of a stream in order: input, reading, source description, index, summary, checksum, updates."""
