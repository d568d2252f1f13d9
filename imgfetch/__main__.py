"""``python -m imgfetch``."""

from __future__ import annotations

import sys

from imgfetch.cli import main

sys.exit(main())
