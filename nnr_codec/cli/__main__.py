# SPDX-License-Identifier: Apache-2.0
"""Entry point of ``python -m nnr_codec.cli``."""

import sys

from nnr_codec.cli import main

sys.exit(main())
