"""``python -m imgfetch``."""

from __future__ import annotations

import sys

from imgfetch.cli.main import main

sys.exit(main())
