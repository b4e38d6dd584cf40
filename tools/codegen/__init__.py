# SPDX-License-Identifier: Apache-2.0
"""C++ code generation from the syntax tables: ``python -m tools.codegen [--check]``."""
