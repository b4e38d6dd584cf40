# SPDX-License-Identifier: Apache-2.0
"""Calibration of ONNX models: the model runs in ONNX Runtime, and the inputs of its weights are measured."""
