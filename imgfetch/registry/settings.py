"""Reads of files with settings, which are ignored with a warning if they are malformed."""

from __future__ import annotations

import json
import logging
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imgfetch.errors import ImgfetchError, UnsupportedError, VerificationError
from imgfetch.inputs import read_settings
from imgfetch.oci import strictjson
from imgfetch.text import sanitize

MAX_TOML = 1024 * 1024
"""Bytes of a TOML file, of which 100,000 tables take 100 MiB."""

_logger = logging.getLogger(__name__)


@contextmanager
def tolerated(what: str) -> Iterator[None]:
    """Turn any error about ``what`` into one warning."""
    try:
        yield
    except RecursionError:
        _logger.warning("ignoring %s: it is nested too deeply", sanitize(what))
    except (OSError, ValueError, ImgfetchError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        _logger.warning("ignoring %s: %s", sanitize(what), sanitize(reason))


def read_toml(path: Path) -> object:
    """Return a TOML file's content; dates and times are text, because JSON has none."""
    return json.loads(json.dumps(_toml(read_settings(path, MAX_TOML).decode()), default=str))


def note_read(path: Path) -> None:
    """Log that a file's settings are used."""
    _logger.info("using %s", sanitize(str(path)))


def find_files(folder: Path, pattern: str) -> list[Path]:
    """Return the files in a folder whose names match a pattern, sorted."""
    found: list[Path] = []
    with tolerated(str(folder)):
        found += sorted(path for path in folder.glob(pattern) if path.is_file())
    return found


def flag(table: strictjson.Object, key: str) -> bool:
    """Return a boolean member, by default false."""
    value = table.get(key, False)
    if not isinstance(value, bool):
        raise VerificationError(f"{key!r} of {table.what} must be true or false")
    return value


def _toml(text: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except ValueError:  # of `int`
        raise UnsupportedError("it has a number of too many digits") from None
