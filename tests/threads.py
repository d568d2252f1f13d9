"""Several threads at once."""

from __future__ import annotations

import threading
from collections.abc import Callable


def together(*tasks: Callable[[], object]) -> list[BaseException]:
    """Run each task in a thread of its own, and return what they raised."""
    failures: list[BaseException] = []

    def run(task: Callable[[], object]) -> None:
        try:
            task()
        except BaseException as error:  # noqa: BLE001  # it is shown by the test
            failures.append(error)

    threads = [threading.Thread(target=run, args=(task,), daemon=True) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    return failures
