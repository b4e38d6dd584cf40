# SPDX-License-Identifier: Apache-2.0
"""Hypothesis profiles: a quick one by default, a long one for `tools/dev.py fuzz`."""

from hypothesis import settings

# No deadline: the machines that run this are shared, and a slow moment is no defect.
settings.register_profile("default", deadline=None)
settings.register_profile("fuzz", deadline=None, max_examples=5000)
settings.load_profile("default")
