# SPDX-License-Identifier: Apache-2.0
"""``python -m nnr_codec.cli`` is ``nnr``."""

import sys

from nnr_codec.cli import main

sys.exit(main())
