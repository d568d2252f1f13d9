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


class Log:
    """All that imgfetch logs, also within fixtures, down to what only a developer reads."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        self._caplog = caplog

    @property
    def _records(self) -> list[logging.LogRecord]:
        return [*self._caplog.get_records("setup"), *self._caplog.get_records("call")]

    @property
    def warnings(self) -> list[str]:
        """The messages that are shown by default."""
        return [record.getMessage() for record in self._records if record.levelno >= logging.WARNING]

    @property
    def text(self) -> str:
        """Every message, with its level before and its traceback behind it."""
        formatter = logging.Formatter("%(levelname)s %(message)s")
        return "\n".join(formatter.format(record) for record in self._records if record.name.startswith("imgfetch"))
