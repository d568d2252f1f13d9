"""The examples of docs/scale.md run: make, shards, Dask with a worker that is killed, and a Kubernetes Job."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import random
import re
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from imgfetch.archive.verify import verify
from imgfetch.oci.reference import Reference
from tests.engines import free_port
from tests.images import OCI_TAR, Built, hello, image, layer, tar
from tests.loopback import Answer, Loopback, Request
from tests.tools import missing, tool
from tests.waiting import until

PROJECT = Path(__file__).parents[2]
DOCUMENT = (PROJECT / "docs" / "scale.md").read_text()
BASE = layer(tar({"base": random.Random(1).randbytes(2_000_000)}), OCI_TAR)
IMAGES = {name: image(BASE, hello(name)) for name in ("base", "app", "web", "job", "cli")}
TAGS = {"base": "1", "app": "1.4", "web": "stable", "job": "1", "cli": "1"}
_LONGEST = 100.0


def blocks(heading: str, language: str) -> list[str]:
    """Return the blocks of code in one language of a section."""
    section = DOCUMENT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


def commands(heading: str) -> list[str]:
    return [
        command for block in blocks(heading, "console") for command in re.findall(r"^\$ (.+)$", block, re.MULTILINE)
    ]


@pytest.fixture
def registry(loopback: Loopback, tmp_path: Path) -> Loopback:
    """Serve the images, and write a list of them."""
    for name, built in IMAGES.items():
        loopback.add(f"team/{name}", TAGS[name], built)
    pinned = [f"{loopback.host}/team/{name}:{TAGS[name]}@{built.digest}" for name, built in IMAGES.items()]
    (tmp_path / "images.lock").write_text("\n".join(pinned) + "\n")
    return loopback


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a host on which imgfetch is installed."""
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / "imgfetch"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={PROJECT} exec {sys.executable} -m imgfetch "$@"\n')
    program.chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    return {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(home), "DOCKER_DEFAULT_PLATFORM": "linux/amd64"}


def run(command: str, directory: Path, environment: dict[str, str]) -> None:
    shell = [tool("bash"), "-euo", "pipefail", "-c", command]
    done = subprocess.run(
        shell, capture_output=True, check=False, text=True, timeout=_LONGEST, cwd=directory, env=environment
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def saved(directory: Path) -> dict[str, str]:
    """Verify all archives below a directory, and return the digests of their images by repository."""
    found: dict[str, str] = {}
    for path in directory.rglob("*.tar"):
        archive = verify(path)
        assert archive.findings == ()
        for each in archive.images:
            (name,) = {Reference.parse(name).repository.rpartition("/")[2] for name in each.names}
            assert each.manifest is not None
            assert name not in found, f"two archives have {name}"
            found[name] = str(each.manifest.descriptor.digest)
    return found


def all_of(images: dict[str, Built]) -> dict[str, str]:
    return {name: built.digest for name, built in images.items()}


def fetched(registry: Loopback) -> Counter[str]:
    return Counter(path.rpartition("/blobs/")[2] for path in registry.paths if "/blobs/" in path)


# ---- one host, and shards ----


def test_one_host_saves_a_list_and_make_starts_several_processes_that_fetch_each_blob_once(
    registry: Loopback, environment: dict[str, str], tmp_path: Path
) -> None:
    (makefile,) = blocks("One host", "make")
    (tmp_path / "make").mkdir()
    (tmp_path / "make" / "Makefile").write_text(makefile.replace("registry.example", registry.host))
    list_command, *make_commands = commands("One host")
    for command in make_commands:
        run(command, tmp_path / "make", environment)
    assert saved(tmp_path / "make").keys() == {"base", "app", "web"}
    run(list_command, tmp_path, environment)
    assert saved(tmp_path / "images") == all_of(IMAGES)
    assert set(fetched(registry).values()) == {1}


@pytest.mark.usefixtures("registry")
def test_the_shards_of_all_hosts_are_the_list(environment: dict[str, str], tmp_path: Path) -> None:
    for command in commands("Several hosts without an engine"):
        run(command, tmp_path, environment)
    assert saved(tmp_path / "images") == all_of(IMAGES)


# ---- Dask ----


class Hosts:
    """Two hosts as the registry sees them: each has credentials of its own.

    The base layer stops in the middle for host ``one`` until that was killed, and is late for ``two`` until ``one``
    has resumed it, so that there is work left for both.

    Attributes:
        asked: the first bytes of all requests for a blob, by host and digest.
    """

    def __init__(self, registry: Loopback) -> None:
        self.asked: dict[tuple[str, str], list[int]] = defaultdict(list)
        self.is_killed, self.is_resumed = threading.Event(), threading.Event()
        for path, answer in list(registry.answers.items()):
            assert isinstance(answer, Answer)
            registry.answers[path] = self._guarded(path, answer)

    def _guarded(self, path: str, answer: Answer) -> Callable[[Request], Answer]:
        def respond(request: Request) -> Answer:
            login = base64.b64decode(request.headers.get("Authorization", "").removeprefix("Basic "))
            if not login:
                return Answer(b"{}", 401, {"WWW-Authenticate": 'Basic realm="registry"'})
            host, digest = login.decode().partition(":")[0], path.rpartition("/blobs/")[2]
            return self._blob(host, digest, request, answer.body) if "/blobs/" in path else answer

        return respond

    def _blob(self, host: str, digest: str, request: Request, content: bytes) -> Answer:
        match = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        start = int(match[1]) if match else 0
        self.asked[host, digest].append(start)
        if digest == BASE.digest and host == "one" and not start:
            return Answer(content, hold=self.is_killed)
        if digest == BASE.digest and host == "one":
            self.is_resumed.set()
        elif digest == BASE.digest:
            self.is_resumed.wait(50.0)  # less than the timeout
        place = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        return Answer(content[start:], 206 if start else 200, place)


@pytest.fixture
def hosts(registry: Loopback) -> Iterator[Hosts]:
    hosts = Hosts(registry)
    yield hosts
    hosts.is_killed.set()
    hosts.is_resumed.set()


class Cluster:
    """A scheduler of Dask, and workers with a home of their own, as on two hosts."""

    def __init__(self, stack: ExitStack, directory: Path, registry: str) -> None:
        if importlib.util.find_spec("distributed") is None:
            missing("distributed is not installed")
        self.address = f"tcp://127.0.0.1:{free_port()}"
        self._stack = stack
        self._directory = directory
        self._registry = registry
        self._start("scheduler", "--host", "127.0.0.1", "--port", self.address.rpartition(":")[2])

    def worker(self, host: str) -> subprocess.Popen[bytes]:
        """Start a worker, perhaps again."""
        options = ("--host", "127.0.0.1", "--nthreads", "1", "--no-nanny", "--name", host)
        login = {"auths": {self._registry: {"auth": base64.b64encode(f"{host}:secret".encode()).decode()}}}
        return self._start("worker", self.address, *options, host=host, DOCKER_AUTH_CONFIG=json.dumps(login))

    def cache(self, host: str) -> Path:
        return self._directory / host / ".cache" / "imgfetch"

    def _start(self, *arguments: str, host: str = "scheduler", **variables: str) -> subprocess.Popen[bytes]:
        home = self._directory / host
        home.mkdir(exist_ok=True)
        log = self._stack.enter_context((self._directory / f"{host}.log").open("ab"))
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments, "--no-dashboard"],
            env={"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), **variables},
            cwd=home,
            stdout=log,
            stderr=log,
        )
        self._stack.callback(process.wait, 30)
        self._stack.callback(process.kill)
        return process


def test_after_a_worker_was_killed_all_images_are_saved_and_no_host_fetches_a_complete_blob_twice(
    registry: Loopback, hosts: Hosts, tmp_path: Path
) -> None:
    (program,) = blocks("Dask", "python")
    (tmp_path / "fetch_all.py").write_text(program)
    with ExitStack() as stack:
        cluster = Cluster(stack, tmp_path, registry.host)
        one, _two = cluster.worker("one"), cluster.worker("two")
        log = stack.enter_context((tmp_path / "client.log").open("w+"))
        arguments = [cluster.address, "images.lock", str(tmp_path / "archives")]
        (tmp_path / "archives").mkdir()
        client = subprocess.Popen(
            [sys.executable, "fetch_all.py", *arguments], cwd=tmp_path, stdout=log, stderr=subprocess.STDOUT
        )
        stack.callback(client.wait, 30)
        stack.callback(client.kill)
        until(lambda: is_half_way(cluster.cache("one")) and bool(hosts.asked["two", BASE.digest]))
        one.kill()
        one.wait()
        hosts.is_killed.set()
        cluster.worker("one")
        assert client.wait(_LONGEST) == 0, (tmp_path / "client.log").read_text()
    assert saved(tmp_path / "archives") == all_of(IMAGES)
    assert sorted(path.suffix for path in (tmp_path / "archives").iterdir()) == [".tar"] * len(IMAGES)
    first, resumed = hosts.asked.pop(("one", BASE.digest))
    assert first == 0
    assert resumed > 0
    assert set(map(tuple, hosts.asked.values())) == {(0,)}


def is_half_way(cache: Path) -> bool:
    """Return whether a cache has one image's config and own layer, and half of the base layer."""
    sizes = {}
    for path in cache.glob("*/sha256/*"):
        with suppress(FileNotFoundError):  # a download that is complete gets another name meanwhile
            sizes[path] = path.stat().st_size
    return len(sizes) >= 2 and max(sizes.values()) >= len(BASE.content) // 2


# ---- Kubernetes ----


@pytest.fixture(scope="module")
def job() -> dict[str, Any]:
    (manifest,) = blocks("Kubernetes", "yaml")
    found: dict[str, Any] = yaml.safe_load(manifest)
    return found


def container(job: dict[str, Any]) -> dict[str, Any]:
    (found,) = job["spec"]["template"]["spec"]["containers"]
    return dict(found)


def test_the_job_is_an_indexed_one_that_retries_each_index_alone(job: dict[str, Any]) -> None:
    spec = job["spec"]
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    assert re.fullmatch("[a-z0-9]([-a-z0-9]*[a-z0-9])?", job["metadata"]["name"])
    assert (spec["completionMode"], spec["template"]["spec"]["restartPolicy"]) == ("Indexed", "Never")
    assert 1 <= spec["parallelism"] <= spec["completions"]
    assert spec["backoffLimitPerIndex"] >= 1
    (rule,) = spec["podFailurePolicy"]["rules"]
    assert (rule["action"], rule["onExitCodes"]["operator"]) == ("FailIndex", "In")
    assert rule["onExitCodes"]["values"] == [1, 2, 3, 4, 6]  # in order, as the API demands; not 5, 7 and signals


def test_each_volume_of_the_job_is_mounted_and_each_directory_of_its_script_is_a_volume(job: dict[str, Any]) -> None:
    mounts = {mount["name"]: mount["mountPath"] for mount in container(job)["volumeMounts"]}
    assert mounts.keys() == {volume["name"] for volume in job["spec"]["template"]["spec"]["volumes"]}
    values = [variable["value"] for variable in container(job)["env"]]
    used = re.findall(r"(?<!\S)/[a-z]+", " ".join([*values, *container(job)["args"]]).replace('"', " "))
    assert sorted(set(used)) == sorted(mounts.values())


@pytest.mark.usefixtures("registry")
def test_the_pods_of_the_job_together_save_the_list(
    environment: dict[str, str], job: dict[str, Any], tmp_path: Path
) -> None:
    (script,) = container(job)["args"]
    count = job["spec"]["completions"]
    assert f"/{count}" in script
    volumes = {"/lists": tmp_path, "/archives": tmp_path / "archives", "/credentials": tmp_path / "credentials"}
    for directory in volumes.values():
        directory.mkdir(exist_ok=True)

    def pod(index: int) -> subprocess.CompletedProcess[str]:
        cache = tmp_path / f"cache-{index}"
        cache.mkdir()
        cache.chmod(0o777)  # as an emptyDir
        local = script
        for mount, directory in volumes.items():
            local = re.sub(rf"{mount}\b", str(directory), local)
        variables = {each["name"]: each["value"].replace("/cache", str(cache)) for each in container(job)["env"]}
        return subprocess.run(
            [*container(job)["command"], local],
            env={**environment, **variables, "JOB_COMPLETION_INDEX": str(index)},
            capture_output=True,
            check=False,
            text=True,
            timeout=_LONGEST,
        )

    with ThreadPoolExecutor(job["spec"]["parallelism"]) as nodes:
        pods = list(nodes.map(pod, range(count)))
    assert [done.returncode for done in pods] == [0] * count, pods
    sizes = [len(saved(tmp_path / "archives" / str(index))) for index in range(count)]
    assert [size == 0 for size in sizes] == ["is empty" in done.stderr for done in pods]
    assert saved(tmp_path / "archives") == all_of(IMAGES)
