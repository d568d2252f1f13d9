"""All that an error, or a log, lets a reader see."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Walk all that a traceback would show."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return iter(seen)


def story(error: BaseException) -> str:
    """Return all that can be shown of an error and of its causes."""
    return "\n".join(
        f"{link}\n{link!r}\n{link.args}\n{getattr(link, 'hint', '')}\n{getattr(link, 'details', '')}\n"
        f"{getattr(link, '__notes__', '')}"
        for link in chain(error)
    )


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the messages that are shown by default."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
