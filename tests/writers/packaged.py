"""Writers that run, of the machine and of the tree of newer engines."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.engines import output
from tests.writers import (
    BY_CONTAINERD,
    BY_CRANE,
    BY_CRANE_LEGACY,
    BY_SKOPEO,
    DOCKER_10,
    DOCKER_25,
    LAYOUT,
    Lab,
    Write,
    Writer,
    run,
)
from tests.writers.packing import PACKERS, of_layout

_SKOPEO = ("skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false")
_ALL = ("app", "zstd", "multi", "chart")
_IMAGES = ("app", "zstd", "multi")
_NO_ZSTD = ("app", "multi")
_REFERENCE = ("{reference}",)
_TYPED = ("docker.io/verify/{image}:v1",)


def _engine(name: str, *command: str, pull: tuple[str, ...] = ("pull",)) -> Write:
    """Save from an engine, which has no other image."""

    def write(lab: Lab, reference: str, target: Path) -> None:
        engine = lab.started(name)
        engine.forget()
        output(*engine.command, *pull, reference)
        output(*engine.command, *_filled(command, reference, target))

    return write


def _docker_family(lab: Lab, reference: str, target: Path) -> None:
    """Save an image and its child, which docker's manifest.json then links to it."""
    engine, context = lab.started("docker-20.10"), target.with_suffix(".context")
    context.mkdir(exist_ok=True)
    (context / "Dockerfile").write_text(f"FROM {reference}\nLABEL a=b\n")
    engine.forget()
    engine.run("pull", reference)
    output("env", "DOCKER_BUILDKIT=0", *engine.command, "build", "-t", "child:1", context)
    engine.run("save", "-o", target, reference, "child:1")


def _copier(*command: str, modern: bool = True) -> Write:
    """Copy from the registry."""
    program, *arguments = command
    return lambda lab, reference, target: run(lab, program, *_filled(arguments, reference, target), modern=modern)


def _filled(command: tuple[str, ...] | list[str], reference: str, target: Path) -> list[str]:
    image = reference.rpartition("/")[2].partition(":")[0]
    return [part.format(reference=reference, target=target, image=image) for part in command]


def _buildkit(*options: str, form: str = "oci", dockerfile: str = "FROM {reference}\n") -> Write:
    """Build an image that adds nothing."""

    def write(lab: Lab, reference: str, target: Path) -> None:
        context = target.with_suffix(".context")
        context.mkdir(exist_ok=True)
        (context / "Dockerfile").write_text(dockerfile.format(reference=reference))
        where = f"type={form},dest={target}"
        engine = lab.started("docker-28.5-containerd-store")
        arguments = _filled(options, reference, target)
        output(*engine.command, "buildx", "build", *arguments, "--output", where, context)

    return write


def _buildah(destination: str) -> Write:
    def write(lab: Lab, reference: str, target: Path) -> None:
        storage = ("--root", lab.directory / "bah", "--runroot", lab.directory / "bahrun", "--storage-driver", "vfs")
        run(lab, "buildah", *storage, "pull", "--tls-verify=false", reference)
        run(lab, "buildah", *storage, "push", reference, *_filled((destination,), reference, target))

    return write


def _umoci(*, collects_garbage: bool) -> Write:
    def write(lab: Lab, reference: str, target: Path) -> None:
        run(lab, *_SKOPEO, f"docker://{reference}", f"oci:{target}:old")
        run(lab, "umoci", "config", "--image", f"{target}:old", "--tag", "v1", "--author", "another")
        run(lab, "umoci", "rm", "--image", f"{target}:old")
        if collects_garbage:
            run(lab, "umoci", "gc", "--layout", target)

    return write


def _cosign(lab: Lab, reference: str, target: Path) -> None:
    """Sign an image as cosign 2 did, and save it with the signature."""
    host, key = reference.partition("/")[0], target.with_suffix(".key")
    own = f"{host}/verify/signed:v1"
    run(lab, *_SKOPEO, "--dest-tls-verify=false", f"docker://{reference}", f"docker://{own}")
    over_http = ("--allow-insecure-registry", "--allow-http-registry")
    command = [*lab.modern.program("env"), "COSIGN_PASSWORD=", "cosign"]
    shutil.rmtree(key.parent / "keys", ignore_errors=True)
    (key.parent / "keys").mkdir()
    prefix = key.parent / "keys/cosign"
    output(*command, "generate-key-pair", "--output-key-prefix", prefix)
    offline = ("--tlog-upload=false", "--use-signing-config=false", "--new-bundle-format=false", "-y")
    output(*command, "sign", "--key", f"{prefix}.key", *offline, *over_http, own)
    output(*command, "save", "--dir", target, *over_http, own)


def _oras_with_referrers(lab: Lab, reference: str, target: Path) -> None:
    """Save an image with an SBOM that refers to it."""
    own = f"{reference.partition('/')[0]}/verify/described:v1"
    run(lab, *_SKOPEO, "--dest-tls-verify=false", f"docker://{reference}", f"docker://{own}")
    bill = target.with_suffix(".json")
    bill.write_text("{}")
    plain = ("--disable-path-validation", "--plain-http", "--artifact-type", "application/vnd.example.sbom")
    run(lab, "oras", "attach", *plain, own, f"{bill}:application/json")
    run(lab, "oras", "backup", "--plain-http", "--include-referrers", "--output", target, own)


def _skopeo(destination: str, *options: str, modern: bool) -> Write:
    return _copier(*_SKOPEO, *options, "docker://{reference}", destination, modern=modern)


def _podman(name: str, form: str) -> Write:
    return _engine(name, "save", "--format", form, "-o", "{target}", "{reference}", pull=("pull", "--tls-verify=false"))


def _ctr(name: str, *options: str) -> Write:
    fetch = ("content", "fetch", "--plain-http", "--all-platforms")
    return _engine(name, "images", "export", *options, "{target}", "{reference}", pull=fetch)


def _crane(form: str) -> Write:
    return _copier("crane", "pull", "--insecure", "--format", form, "{reference}", "{target}")


_DOCKER = ("save", "-o", "{target}", "{reference}")
_OCI_22 = _skopeo("oci:{target}:v1", modern=True)
_ORAS_COPY = _copier("oras", "copy", "--from-plain-http", "--to-oci-layout", "{reference}", "{target}:v1")
_STORE, _LOCAL = "docker-28.5-containerd-store", ("--local",)

WRITERS: Mapping[str, Writer] = {
    "docker-20.10": Writer(_engine("docker-20.10", *_DOCKER), DOCKER_10, _REFERENCE, (*_NO_ZSTD, "schema2")),
    "docker-20.10-with-a-child": Writer(
        _docker_family, DOCKER_10, (*_REFERENCE, "docker.io/library/child:1"), keeps_config=False
    ),
    "docker-28.5": Writer(_engine("docker-28.5", *_DOCKER), DOCKER_25, _REFERENCE, _IMAGES),
    _STORE: Writer(_engine(_STORE, *_DOCKER), BY_CONTAINERD, _REFERENCE, (*_IMAGES, "schema2")),
    "podman-4.3-docker-archive": Writer(
        _podman("podman-4.3", "docker-archive"), BY_SKOPEO, _REFERENCE, (*_NO_ZSTD, "schema2")
    ),
    "podman-4.3-oci-archive": Writer(_podman("podman-4.3", "oci-archive"), LAYOUT, _REFERENCE, _NO_ZSTD),
    "podman-4.3-oci-dir": Writer(of_layout(_podman("podman-4.3", "oci-dir")), LAYOUT, _REFERENCE, ("app",)),
    "podman-5.8-docker-archive": Writer(_podman("podman-5.8", "docker-archive"), BY_SKOPEO, _REFERENCE, _IMAGES),
    "podman-5.8-oci-archive": Writer(_podman("podman-5.8", "oci-archive"), LAYOUT, _REFERENCE, _IMAGES),
    "podman-5.8-oci-dir": Writer(of_layout(_podman("podman-5.8", "oci-dir")), LAYOUT, _REFERENCE, ("app",)),
    **{
        f"skopeo-{version}-{form}": writer
        for version, modern in (("1.9", False), ("1.22", True))
        for form, writer in {
            "docker-archive": Writer(
                _skopeo("docker-archive:{target}:verify/{image}:v1", modern=modern), BY_SKOPEO, _TYPED, _NO_ZSTD
            ),
            "docker-archive-nameless": Writer(_skopeo("docker-archive:{target}", modern=modern), BY_SKOPEO),
            "oci-archive": Writer(_skopeo("oci-archive:{target}:v1", "--all", modern=modern), LAYOUT, ("v1",), _ALL),
            "oci-archive-nameless": Writer(_skopeo("oci-archive:{target}", modern=modern), LAYOUT),
            "oci": Writer(of_layout(_skopeo("oci:{target}:v1", modern=modern)), LAYOUT, ("v1",), ("app", "chart")),
        }.items()
    },
    "crane-0.20": Writer(_crane("tarball"), BY_CRANE, _REFERENCE, _IMAGES),
    "crane-0.20-legacy": Writer(_crane("legacy"), BY_CRANE_LEGACY, _REFERENCE, _IMAGES),
    "crane-0.20-oci": Writer(of_layout(_crane("oci")), LAYOUT, (), _ALL),
    "oras-1.3-backup": Writer(
        _copier("oras", "backup", "--plain-http", "--output", "{target}", "{reference}"), LAYOUT, ("v1",), _ALL
    ),
    "oras-1.3-backup-with-referrers": Writer(_oras_with_referrers, LAYOUT, ("v1",)),
    "oras-1.3-copy": Writer(of_layout(_ORAS_COPY), LAYOUT, ("v1",), _ALL),
    "umoci-0.6": Writer(of_layout(_umoci(collects_garbage=True)), LAYOUT, ("v1",), keeps_config=False),
    "umoci-0.6-before-gc": Writer(of_layout(_umoci(collects_garbage=False)), LAYOUT, ("v1",), keeps_config=False),
    "cosign-3.1": Writer(of_layout(_cosign), LAYOUT),
    "ctr-1.6": Writer(_ctr("ctr-1.6"), BY_CONTAINERD, _REFERENCE, _ALL),
    "ctr-1.6-all-platforms": Writer(_ctr("ctr-1.6", "--all-platforms"), BY_CONTAINERD, _REFERENCE, ("multi",)),
    "ctr-2.1": Writer(_ctr("ctr-2.1"), BY_CONTAINERD, _REFERENCE, _ALL),
    "ctr-2.1-local": Writer(_ctr("ctr-2.1-local", *_LOCAL), BY_CONTAINERD, _REFERENCE, (*_ALL, "schema2")),
    "ctr-2.1-local-platform": Writer(
        _ctr("ctr-2.1-local", *_LOCAL, "--platform", "linux/amd64"), BY_CONTAINERD, _REFERENCE, ("app", "multi")
    ),
    "ctr-2.1-local-all-platforms": Writer(
        _ctr("ctr-2.1-local", *_LOCAL, "--all-platforms"), BY_CONTAINERD, _REFERENCE, ("multi",)
    ),
    "ctr-2.1-local-layout": Writer(
        _ctr("ctr-2.1-local", *_LOCAL, "--skip-manifest-json"), LAYOUT, _REFERENCE, ("app",)
    ),
    "buildah-1.43-docker-archive": Writer(_buildah("docker-archive:{target}"), BY_SKOPEO, _REFERENCE, _IMAGES),
    "buildah-1.43-oci-archive": Writer(_buildah("oci-archive:{target}:v1"), LAYOUT, ("v1",), _IMAGES),
    "buildkit-0.25-oci": Writer(_buildkit("-t", "verify/{image}:v1"), LAYOUT, _TYPED, _IMAGES, keeps_config=False),
    "buildkit-0.25-oci-zstd": Writer(
        _buildkit("-t", "verify/{image}:v1", form="oci,compression=zstd,force-compression=true"),
        LAYOUT,
        _TYPED,
        keeps_config=False,
    ),
    "buildkit-0.25-oci-platforms": Writer(
        _buildkit("-t", "verify/{image}:v1", "--platform", "linux/amd64,linux/arm64"),
        LAYOUT,
        _TYPED,
        ("multi",),
        keeps_config=False,
    ),
    "buildkit-0.25-docker": Writer(
        _buildkit("-t", "verify/{image}:v1", form="docker"), BY_CONTAINERD, _TYPED, _NO_ZSTD, keeps_config=False
    ),
    **{f"{name}-of-a-layout": Writer(of_layout(_OCI_22, pack), LAYOUT, ("v1",)) for name, pack in PACKERS.items()},
}
