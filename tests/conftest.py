# SPDX-License-Identifier: Apache-2.0
"""Hypothesis profiles: `default`, and `fuzz` for long runs."""

from hypothesis import settings

# No deadline: tests run side by side on shared machines.
settings.register_profile("default", deadline=None)
settings.register_profile("fuzz", deadline=None, max_examples=5000)
settings.load_profile("default")
