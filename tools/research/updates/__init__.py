# SPDX-License-Identifier: Apache-2.0
"""Measurements of updates: federated training, checkpoints of a training run, fine-tuned models and adapters."""
