# SPDX-License-Identifier: Apache-2.0
"""Entry point of ``python -m nnr_conformance``."""

import sys

from nnr_conformance.cli import main

sys.exit(main(sys.argv[1:]))
