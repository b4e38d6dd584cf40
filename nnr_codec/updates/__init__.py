# SPDX-License-Identifier: Apache-2.0
"""Updates of models: a fine-tuned model, a checkpoint or a client's contribution as differences to a base model."""
