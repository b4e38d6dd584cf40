# SPDX-License-Identifier: Apache-2.0
"""Rate control: sizes, errors and accuracies to reach, allocation between tensors, and reports."""
