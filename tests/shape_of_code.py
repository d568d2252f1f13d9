"""Print the shape of the code of a checkout: ``python tests/shape_of_code.py [CHECKOUT]``.

The figures are about `imgfetch/`: its top level, the floors of its imports, its length, and the modules and stack
frames of the simplest save, which runs against a registry on the loopback.
"""

from __future__ import annotations

import ast
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PACKAGE = "imgfetch"
ROOF = {"__init__", "__main__"}
"""Modules above all floors: the public names, and the start."""
Graph = Mapping[str, set[str]]

TRACED = """
import json, runpy, sys, threading
from pathlib import Path
package = str(Path(sys.argv[1], "imgfetch").resolve())
ran, frames = set(), []

def profile(frame, event, _):
    if event == "call" and frame.f_code.co_filename.startswith(package) and frame.f_code.co_name[0] != "<":
        ran.add(frame.f_code.co_filename)

from requests.adapters import HTTPAdapter
send = HTTPAdapter.send

def counted(self, request, **options):
    if "/manifests/" in request.url and not frames:
        frame = sys._getframe(1)
        while frame:
            if frame.f_code.co_filename.startswith(package) and frame.f_code.co_name != "<module>":
                frames.append(f"{Path(frame.f_code.co_filename).relative_to(package)}:{frame.f_code.co_qualname}")
            frame = frame.f_back
    return send(self, request, **options)

HTTPAdapter.send = counted
sys.argv[:] = ["imgfetch", *sys.argv[2:]]
threading.setprofile(profile)
sys.setprofile(profile)
try:
    runpy.run_module("imgfetch", run_name="__main__")
except SystemExit as error:
    status = error.code
sys.setprofile(None)
print(json.dumps({"status": status, "ran": len(ran), "frames": frames}))
"""


def main(arguments: list[str]) -> int:
    checkout = Path(arguments[0] if arguments else Path(__file__).parents[1]).resolve()
    package = checkout / PACKAGE
    modules = {module_name(path, package): path for path in package.rglob("*.py")}
    graph = {name: imports(path, modules) for name, path in modules.items() if name not in ROOF}
    folders: dict[str, set[str]] = {}
    for name, targets in graph.items():
        folders.setdefault(folder(name), set()).update({folder(target) for target in targets} - {folder(name)})
    top = [path for path in package.iterdir() if path.name != "__pycache__"]
    traced = simplest_save(checkout)
    longest = max(modules.values(), key=line_count)
    size, function = max(function for path in modules.values() for function in functions(path, package))
    rows = {
        "files at the top level": sum(path.is_file() for path in top),
        "folders at the top level": sum(path.is_dir() for path in top),
        "modules": len(modules),
        "floors of modules": floors(graph),
        "floors of folders": floors(folders) if len(folders) > 1 else 1,
        f"lines of {PACKAGE}/": sum(map(line_count, modules.values())),
        "lines of tests/": sum(map(line_count, (checkout / "tests").rglob("*.py"))),
        "modules run by the simplest save": traced["ran"],
        "frames at the first request for a manifest": len(traced["frames"]),
        "longest module": f"{line_count(longest)} lines, {longest.relative_to(package)}",
        "longest function": f"{size} lines, {function}",
    }
    for label, value in rows.items():
        print(f"{label:44} {value}")
    if "-v" in arguments:
        print(*traced["frames"][::-1], sep="\n")
    return 0


def module_name(path: Path, package: Path) -> str:
    """Return a dotted name below the package; that of a folder is its own."""
    parts = path.relative_to(package).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


def folder(name: str) -> str:
    """Return the folder of a module; all modules at the top level are one."""
    return name.partition(".")[0] if "." in name else ""


def imports(path: Path, modules: Mapping[str, Path]) -> set[str]:
    """Return the modules of the package that one imports, in a function or for types too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names] + [node.module]
        for name in names:
            short = name.removeprefix(f"{PACKAGE}.")
            if short != name and short in modules and modules[short].name != "__init__.py":
                found.add(short)
    return found


def floors(graph: Graph) -> int | str:
    """Return the length of the longest chain of imports, or a cycle."""
    known: dict[str, int] = {}

    def height(name: str, above: tuple[str, ...] = ()) -> int:
        if name in above:
            raise ValueError(f"a cycle of imports: {' → '.join([*above, name])}")
        if name not in known:
            below = graph.get(name, set()) - {name}
            known[name] = 1 + max((height(other, (*above, name)) for other in below), default=0)
        return known[name]

    try:
        return max(map(height, graph))
    except ValueError as error:
        return str(error)


def line_count(path: Path) -> int:
    return len(path.read_text().splitlines())


def functions(path: Path, package: Path) -> Iterator[tuple[int, str]]:
    """Yield the length and the name of every function, with its docstring."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            yield (node.end_lineno or node.lineno) - node.lineno + 1, f"{node.name} in {path.relative_to(package)}"


def simplest_save(checkout: Path) -> dict[str, Any]:
    """Save an image of one layer with the command, and return the traced figures."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), registry())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as directory:
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(checkout), "HOME": directory}
        reference = f"127.0.0.1:{server.server_port}/team/app:v1"
        arguments = ["save", "-q", reference, "-o", "app.tar", "--platform", "linux/amd64"]
        done = subprocess.run(
            [sys.executable, "-c", TRACED, str(checkout), *arguments],
            cwd=directory,
            env=environment,
            stdout=subprocess.PIPE,
            check=True,
        )
        server.shutdown()
        traced: dict[str, Any] = json.loads(done.stdout)
        if traced["status"] or not Path(directory, "app.tar").is_file():
            raise SystemExit(f"the save failed with status {traced['status']}")
    return traced


def registry() -> type[BaseHTTPRequestHandler]:
    """Return the handler of a registry with one image of one layer."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("file"))
    layer = out.getvalue()
    config = json.dumps(
        {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [digest(layer)]}}
    ).encode()
    kind = "application/vnd.oci.image"
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": f"{kind}.manifest.v1+json",
            "config": {"mediaType": f"{kind}.config.v1+json", "digest": digest(config), "size": len(config)},
            "layers": [{"mediaType": f"{kind}.layer.v1.tar", "digest": digest(layer), "size": len(layer)}],
        }
    ).encode()
    content = {digest(blob): blob for blob in (layer, config, manifest)} | {"v1": manifest}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = content.get(self.path.rpartition("/")[2], b"{}")
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", f"{kind}.manifest.v1+json" if body == manifest else "application/json")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
