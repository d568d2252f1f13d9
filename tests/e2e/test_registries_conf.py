"""skopeo reads registries.conf with podman's code: it refuses the files that imgfetch ignores, and no others."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from imgfetch.registry.mirror_rules import read
from tests.stories import warnings
from tests.tools import tool

A = '[[registry]]\nlocation="a.example"\n'
MIRROR = '[[registry.mirror]]\nlocation="m.example"\n'


@pytest.mark.parametrize(
    ("text", "is_refused"),
    [
        pytest.param(A, False, id="a location"),
        pytest.param('[[registry]]\nprefix="a.example"', True, id="a prefix alone"),
        pytest.param('[[registry]]\nprefix="*.a.example"', False, id="a wildcard alone"),
        pytest.param('[[registry]]\nprefix="*.a.example:5000"\nlocation="b.example"', True, id="a wildcard and a port"),
        pytest.param('[[registry]]\nprefix="*.a.example@x"\nlocation="b.example"', True, id="a wildcard and a digest"),
        pytest.param("[[registry]]\ninsecure=true", True, id="neither"),
        pytest.param('[[registry]]\nlocation="https://a.example"', True, id="a URL"),
        pytest.param(A.upper().replace("EXAMPLE", "example"), False, id="capitals"),
        pytest.param(A + A, False, id="twice"),
        pytest.param(A + A + "blocked=true", True, id="blocked and not"),
        pytest.param(A + A.replace('e"', 'e/"') + "blocked=true", True, id="blocked and not, with a slash"),
        pytest.param(A + A + "insecure=true", True, id="insecure and not"),
        pytest.param(A + "pull-from-mirror='all'", True, id="pull-from-mirror outside a mirror"),
        pytest.param(A + MIRROR + "pull-from-mirror='tag-only'", False, id="pull-from-mirror"),
        pytest.param(A + MIRROR + "pull-from-mirror='never'", True, id="an unknown pull-from-mirror"),
        pytest.param(A + "mirror-by-digest-only=true\n" + MIRROR, False, id="mirror-by-digest-only"),
        pytest.param(
            A + "mirror-by-digest-only=true\n" + MIRROR + "pull-from-mirror='all'", True, id="both ways to restrict"
        ),
        pytest.param(A + "[[registry.mirror]]\ninsecure=true", True, id="a mirror without a location"),
        pytest.param(A + "blocked='true'", True, id="a string for a boolean"),
        pytest.param('[registries.block]\nregistries=["a.example"]', False, id="version 1"),
        pytest.param('[registries.block]\nregistries=["b.example"]\n' + A, True, id="both versions"),
        pytest.param("surprise = 1\n" + A + "surprise = 2", False, id="unknown keys"),
    ],
)
def test_skopeo_refuses_exactly_the_files_that_are_ignored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str, *, is_refused: bool
) -> None:
    file = tmp_path / "registries.conf"
    file.write_text(text)
    read(registries_conf=[file])
    assert bool(warnings(caplog)) == is_refused
    command = [tool("skopeo"), "--registries-conf", file, "inspect", "docker://localhost:1/image"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ("loading registries configuration" in done.stderr) == is_refused, done.stderr
