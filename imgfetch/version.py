"""The version, and how we introduce ourselves."""

from __future__ import annotations

VERSION = "0.12.0"
USER_AGENT = f"imgfetch/{VERSION}"
