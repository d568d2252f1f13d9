"""A run with parts that an earlier one may have left, against each fault."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from imgfetch.defaults import RETRIES
from tests.faults import SCENARIOS
from tests.integration.second_runs.conftest import Servers, Visit, forget, return_to, state_of

SHORT: Mapping[str, Callable[[bytes], bytes]] = {
    "half of it": lambda content: content[: len(content) // 2],
    "as many zeros": lambda content: bytes(len(content) // 2),
}
"""Parts of a blob, of which a server is asked for the rest."""
LEFT: Mapping[str, Callable[[bytes], bytes]] = {
    **SHORT,
    "all but a byte": lambda content: content[:-1],
    "nothing": lambda _: b"",
    "all of it but a wrong last byte": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "more than all of it": lambda content: content + b"more",
}
PASSING = [name for name, scenario in SCENARIOS.items() if not scenario.status]


def is_about_blobs(name: str) -> bool:
    """Return whether a scenario breaks the download of a blob, in a way that uses up retries."""
    return not SCENARIOS[name].in_pieces and not {"good", "layer", "data"}.isdisjoint((name, *SCENARIOS[name].replies))


@pytest.mark.parametrize(
    ("name", "retries"), [(name, RETRIES) for name in PASSING] + [(name, 0) for name in PASSING if is_about_blobs(name)]
)
def test_no_run_fails_because_of_what_an_earlier_one_left(
    servers: Servers, visit: Visit, tmp_path: Path, *, name: str, retries: int
) -> None:
    """With retries, the server begins with its faults; without, some are behind it."""
    forget(servers)
    if not retries:
        visit(name, tmp_path / "before", retries)
    state = state_of(servers)
    if not retries and visit(name, tmp_path / "empty", retries):
        return
    is_slow = name.startswith("m0") or SCENARIOS[name].in_pieces or "--timeout" in SCENARIOS[name].arguments
    chosen = LEFT if retries and is_about_blobs(name) and not name.startswith("r-") else SHORT
    for left, part in list(chosen.items())[: 1 if is_slow else None]:
        return_to(state)
        cache = tmp_path / left
        for blob in servers["http"].built(name).blobs:
            plant(cache, blob.digest, part(blob.content))
        assert not (failure := visit(name, cache, retries)), f"{left}: {failure}"
        assert not any(path.is_file() for path in (cache / "parts").rglob("*")), left
        shutil.rmtree(cache)


def plant(cache: Path, digest: str, content: bytes) -> None:
    path = cache / "parts" / digest.replace(":", "/")
    path.parent.mkdir(parents=True, exist_ok=True)
    cache.chmod(0o700)
    path.write_bytes(content)
