"""Draw the README's picture, for `make picture`: a real run on a terminal, as SVG.

The commands run on a pseudoterminal, against a registry on the loopback that is slow enough to show the bars. The
picture has a background of its own, so that it can be read on light and on dark pages.
"""

from __future__ import annotations

import fcntl
import os
import pty
import random
import re
import struct
import sys
import tempfile
import termios
from collections.abc import Iterator, Mapping
from html import escape, unescape
from pathlib import Path

from tests.images import image, layer, tar
from tests.throttled import Throttled

PICTURE = Path(__file__).parents[1] / "docs" / "terminal.svg"
COMMANDS = ("imgfetch save registry.example/team/app:1.4 -o app.tar", "imgfetch verify app.tar")

_COLUMNS = 92
_RATE = 1_500_000.0  # bytes a second for each layer
_LAYERS = (3_400_000, 1_200_000, 40_000)

_CHARACTER, _LINE, _MARGIN = 8.4, 20, 16  # pixels, for 14 pixels of type
_STYLE = """\
text { font: 14px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #d8dee9; white-space: pre }
.prompt { fill: #a3be8c; font-weight: bold }"""


def run(directory: Path, rate: float = _RATE) -> list[str]:
    """Run the commands on a terminal, and return the lines that it shows at the end."""
    content = random.Random(1)
    built = image(*(layer(tar({"file": content.randbytes(size)})) for size in _LAYERS))
    screen = Screen()
    with Throttled(rate) as registry:
        registry.add("team/app", "1.4", built)
        environment = {
            **os.environ,
            "DOCKER_DEFAULT_PLATFORM": "linux/amd64",
            "IMGFETCH_CACHE_DIR": str(directory / "cache"),
            "IMGFETCH_MIRROR": f"registry.example=http://{registry.host}",
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "TERM": "xterm-256color",
        }
        for command in COMMANDS:
            screen.feed(f"$ {command}\r\n")
            said = on_a_terminal(command.split(), directory, environment)
            # The registry is a mirror in truth, which is of no interest here.
            screen.feed(re.sub(r"imgfetch: received [^\n]*\n", "", said))
    return screen.lines()


def on_a_terminal(command: list[str], directory: Path, environment: Mapping[str, str]) -> str:
    """Run imgfetch on a pseudoterminal, and return what it writes there."""
    child, terminal = pty.fork()
    if not child:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, _COLUMNS, 0, 0))
        os.chdir(directory)
        os.execve(sys.executable, [sys.executable, "-m", *command], environment)
    output = b"".join(read(terminal))
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    if status:
        raise RuntimeError(f"{command} fails: {output.decode()}")
    return output.decode()


def read(terminal: int) -> Iterator[bytes]:
    """Yield what a terminal is sent until nobody has it open any more, which Linux reports as an error."""
    while True:
        try:
            yield os.read(terminal, 65536)
        except OSError:
            return


class Screen:
    """The few control sequences that imgfetch uses: return, new line, cursor up, and erase; colours are dropped."""

    def __init__(self) -> None:
        self._rows: list[list[str]] = [[]]
        self._row = self._column = 0

    def feed(self, text: str) -> None:
        for piece in re.findall(r"\x1b\[[\d;?]*[A-Za-z]|.", text, re.DOTALL):
            if piece == "\r":
                self._column = 0
            elif piece == "\n":
                self._down()
            elif piece.startswith("\x1b"):
                self._control(piece)
            else:
                self._put(piece)

    def lines(self) -> list[str]:
        """Return the rows without the blank ones at the end."""
        return "\n".join("".join(row).rstrip() for row in self._rows).rstrip().split("\n")

    def _down(self) -> None:
        self._row += 1
        if self._row == len(self._rows):
            self._rows.append([])

    def _put(self, character: str) -> None:
        if self._column == _COLUMNS:
            self._column = 0
            self._down()
        row = self._rows[self._row]
        row += " " * (self._column + 1 - len(row))
        row[self._column] = character
        self._column += 1

    def _control(self, sequence: str) -> None:
        if sequence.endswith("A"):
            self._row = max(0, self._row - int(sequence[2:-1] or 1))
        elif sequence.endswith("K"):
            del self._rows[self._row][self._column :]
        elif sequence.endswith("J"):
            del self._rows[self._row + 1 :]
            del self._rows[self._row][self._column :]


def shown(picture: str) -> list[str]:
    """Return the lines that a picture shows."""
    texts = re.findall(r"<text [^>]*>(.*)</text>", picture)
    return [unescape(re.sub(r"</?tspan[^>]*>", "", text)) for text in texts]


def draw(lines: list[str]) -> str:
    """Return a picture of a terminal with these lines."""
    width, height = round(_COLUMNS * _CHARACTER + 2 * _MARGIN), len(lines) * _LINE + 2 * _MARGIN - 6
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
    head += f'role="img">\n<title>{escape("; ".join(COMMANDS))}</title>\n<style>\n{_STYLE}\n</style>\n'
    head += f'<rect width="{width}" height="{height}" rx="8" fill="#2e3440"/>\n'
    return head + "".join(map(_text, range(len(lines)), lines)) + "</svg>\n"


def _text(number: int, line: str) -> str:
    if not line:
        return ""
    place = f'x="{_MARGIN}" y="{_MARGIN + 12 + number * _LINE}" textLength="{len(line) * _CHARACTER:.1f}"'
    shown = escape(line, quote=False)
    if line.startswith("$ "):
        shown = f'<tspan class="prompt">$</tspan>{shown[1:]}'
    return f'<text xml:space="preserve" {place}>{shown}</text>\n'


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="imgfetch-picture-") as directory:
        PICTURE.write_text(draw(run(Path(directory))))
    print(f"wrote {PICTURE.relative_to(PICTURE.parents[1])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
