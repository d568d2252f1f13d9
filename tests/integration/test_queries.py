"""`imgfetch digest` and `imgfetch tags`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgfetch.cli.command_tags import natural
from imgfetch.registry import tags as registry_module
from tests.engines import RealRegistry
from tests.images import ARM64, hello, image, index
from tests.integration.conftest import Command, Save
from tests.loopback import Answer, Loopback, Request

AMD64_IMAGE, ARM64_IMAGE = image(hello("amd64")), image(hello("arm64"), platform=ARM64)
MANY = index(AMD64_IMAGE, ARM64_IMAGE)


def test_a_digest_costs_one_request_and_is_that_of_the_index(loopback: Loopback, command: Command) -> None:
    loopback.add("team/app", "1", MANY)
    done = command("digest", f"{loopback.host}/team/app:1")
    assert (done.status, done.out, done.err) == (0, f"{loopback.host}/team/app@{MANY.digest}\n", "")
    assert loopback.asked == [("HEAD", "/v2/team/app/manifests/1")]


def test_twenty_digests_of_a_registry_that_counts_pulls_cost_none(loopback: Loopback, command: Command) -> None:
    done = command("digest", *limited(loopback, "1;w=21600", *(f"app{number}" for number in range(20))))
    assert (done.status, done.out.count("@sha256:"), done.err) == (0, 20, "")
    assert [method for method, _ in loopback.asked] == ["HEAD"] * 20


def test_digests_of_a_real_registry_cost_one_request_each_on_eight_connections_at_most(
    registry: RealRegistry, command: Command, caplog: pytest.LogCaptureFixture
) -> None:
    references = [registry.push(f"head/{name}", "1", MANY) for name in "abcdefghijkl"]
    caplog.set_level("DEBUG", "urllib3")
    done = command("digest", *references, "-v")
    assert done.out.splitlines() == [f"{name.removesuffix(':1')}@{MANY.digest}" for name in references]
    assert (done.err.count("HEAD http://"), done.err.count("GET http")) == (12, 0), done.err
    assert caplog.text.count("Starting new HTTP connection") <= 8
    assert "Resetting dropped connection" not in caplog.text


def test_strict_verifies_the_digest_that_is_stated(loopback: Loopback, command: Command) -> None:
    reference = loopback.add("a", "1", AMD64_IMAGE)
    headers = {"Docker-Content-Digest": f"sha256:{'0' * 64}"}
    loopback.answers["/v2/a/manifests/1"] = Answer(AMD64_IMAGE.raw, headers=headers)
    assert command("digest", reference).out.endswith(f"@sha256:{'0' * 64}\n")
    done = command("digest", reference, "--strict")
    assert (done.status, done.out) == (6, "")
    assert "a wrong Docker-Content-Digest header" in done.err
    assert loopback.asked[1:] == [("GET", "/v2/a/manifests/1")]


def test_the_default_platform_of_the_environment_does_not_change_a_pin(
    loopback: Loopback, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_DEFAULT_PLATFORM", "linux/arm64")
    done = command("digest", loopback.add("team/app", "1", MANY))
    assert done.out.endswith(f"@{MANY.digest}\n")


def test_a_platforms_digest_is_its_manifests(loopback: Loopback, command: Command) -> None:
    reference = loopback.add("team/app", "1", MANY)
    done = command("digest", reference, "--platform", "linux/arm64")
    assert done.out == f"{loopback.host}/team/app@{ARM64_IMAGE.digest}\n"
    assert command("digest", reference, "--platform", "linux/arm64,linux/amd64").status == 2
    assert command("digest", reference, "--platform", "linux/arm64", "--platform", "linux/amd64").status == 2
    assert command("digest", reference, "--platform", "linux/arm64", "--platform", "linux/arm64").out == done.out
    assert command("digest", reference, "--platform", "linux/s390x").status == 3


def test_several_digests_stand_in_the_order_asked_for_and_keep_their_tags_if_wanted(
    loopback: Loopback, save: Save, command: Command, tmp_path: Path
) -> None:
    one, two = loopback.add("a", "1", AMD64_IMAGE), loopback.add("b", "2", MANY)
    (tmp_path / "images.txt").write_text(f"{two}\n")
    done = command("digest", one, "-i", tmp_path / "images.txt", "--keep-tag")
    assert done.out.splitlines() == [f"{one}@{AMD64_IMAGE.digest}", f"{two}@{MANY.digest}"]
    lock = tmp_path / "images.lock"
    lock.write_text(done.out)
    save("-i", lock)
    assert command("digest", "-i", lock, "--keep-tag").out == done.out


def test_a_platform_of_a_line_is_that_of_its_digest_too(
    loopback: Loopback, save: Save, command: Command, tmp_path: Path
) -> None:
    reference, lock = loopback.add("team/app", "1", MANY), tmp_path / "images.lock"
    lock.write_text(
        f"{reference}\n{reference} --platform linux/arm64\n{reference} --platform linux/arm64,linux/amd64\n"
    )
    done = command("digest", "-i", lock, "--keep-tag", "--platform", "linux/amd64")
    assert done.out.splitlines() == [
        f"{reference}@{AMD64_IMAGE.digest}",
        f"{reference}@{ARM64_IMAGE.digest} --platform linux/arm64",
        f"{reference}@{MANY.digest} --platform linux/arm64,linux/amd64",
    ]
    for line in done.out.splitlines()[1:]:
        lock.write_text(line)
        save("-i", lock)


def test_nothing_is_printed_where_one_of_several_fails(loopback: Loopback, command: Command) -> None:
    done = command("digest", loopback.add("a", "1", AMD64_IMAGE), f"{loopback.host}/missing:1")
    assert (done.status, done.out) == (3, "")
    assert "missing:1" in done.err


def test_a_file_gets_the_digests_only_if_all_images_are_found(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    reference = loopback.add("a", "1", AMD64_IMAGE)
    lock, listed = tmp_path / "images.lock", tmp_path / "images.txt"
    before = f"{reference}@sha256:{'0' * 64}\n"
    lock.write_text(before)
    listed.write_text(f"{reference}\n{loopback.host}/missing:1\n")
    assert command("digest", "--keep-tag", "-i", listed, "-o", lock).status == 3
    assert (lock.read_text(), sorted(path.name for path in tmp_path.iterdir())) == (
        before,
        ["images.lock", "images.txt"],
    )
    listed.write_text(reference)
    done = command("digest", "--keep-tag", "-i", listed, "-o", lock)
    assert (done.status, done.out, done.err) == (0, "", f"imgfetch: wrote 1 digest to {lock}\n")
    assert lock.read_text() == f"{reference}@{AMD64_IMAGE.digest}\n"
    assert command("digest", "-q", reference, "--json", "-o", lock).err == ""
    assert json.loads(lock.read_text())[0]["reference"] == reference


def test_a_lock_may_be_renewed_in_place_while_others_read_it(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    reference = loopback.add("a", "1", AMD64_IMAGE)
    lock = tmp_path / "images.lock"
    before = f"# pinned\n{reference}@{AMD64_IMAGE.digest} # one\n\n"
    lock.write_text(before)
    with lock.open() as reader:
        assert command("digest", "--keep-tag", "-i", lock, "-o", lock).status == 0
        assert reader.read() == before
    assert lock.read_text() == f"{reference}@{AMD64_IMAGE.digest}\n"


@pytest.mark.parametrize("through", ["name", "link", "stdin"])
def test_a_list_without_digests_is_not_replaced(
    loopback: Loopback, command: Command, tmp_path: Path, through: str
) -> None:
    one, listed, link = loopback.add("a", "1", AMD64_IMAGE), tmp_path / "images.txt", tmp_path / "link.txt"
    content = f"{one}@{AMD64_IMAGE.digest}\n{one}  # in use\n"
    listed.write_text(content)
    link.hardlink_to(listed)
    with listed.open() as stdin:
        given = {"name": listed, "link": link, "stdin": f"/dev/fd/{stdin.fileno()}"}[through]
        done = command("digest", "--keep-tag", "-i", given, "-o", listed)
    assert (done.status, loopback.requests, listed.read_text()) == (2, [], content)
    assert f"-o {listed}: the file exists and has other content than digests of images" in done.err


@pytest.mark.parametrize(
    "content",
    [b"\x1f\x8b\x08\0\0", bytes(1024), b"# only\n# comments\n", b"all: ;\n", b"{}", b'[{"name": "x"}]', b"[" * 9999],
    ids=["gzip", "tar", "comments", "makefile", "object", "JSON", "deep"],
)
def test_digests_replace_no_file_of_another_kind(
    loopback: Loopback, command: Command, tmp_path: Path, content: bytes
) -> None:
    target = tmp_path / "hello.tar"
    target.write_bytes(content)
    done = command("digest", "--keep-tag", loopback.add("a", "1", AMD64_IMAGE), "-o", target)
    assert (done.status, loopback.requests, target.read_bytes()) == (2, [], content)


@pytest.mark.parametrize("options", [(), ("--keep-tag",), ("--json",)], ids=["plain", "tag", "JSON"])
def test_a_file_of_digests_is_replaced_and_so_is_an_empty_one(
    loopback: Loopback, command: Command, tmp_path: Path, options: tuple[str, ...]
) -> None:
    reference, lock = loopback.add("a", "1", AMD64_IMAGE), tmp_path / "images.lock"
    lock.write_text("\n")
    assert command("digest", *options, reference, "-o", lock).status == 0
    loopback.add("a", "1", ARM64_IMAGE)
    assert command("digest", *options, reference, "-o", lock).status == 0
    assert str(ARM64_IMAGE.digest) in lock.read_text()


def test_a_place_that_no_digests_can_be_written_to_costs_no_request(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    done = command("digest", loopback.add("a", "1", AMD64_IMAGE), "-o", tmp_path)
    assert (done.status, loopback.requests) == (7, [])
    assert command("digest", f"{loopback.host}/a:1", "-o", "/dev/null").status == 0


def test_a_digest_that_is_asked_for_must_be_what_comes(loopback: Loopback, command: Command) -> None:
    loopback.add("a", "1", AMD64_IMAGE)
    wrong = f"{loopback.host}/a@sha256:{'0' * 64}"
    loopback.answers[f"/v2/a/manifests/sha256:{'0' * 64}"] = Answer(AMD64_IMAGE.raw)
    assert command("digest", wrong).status == 6


def page(*tags: str, link: str = "") -> Answer:
    body = json.dumps({"name": "team/app", "tags": list(tags)}).encode()
    return Answer(body, headers={"Content-Type": "application/json", **({"Link": link} if link else {})})


def test_tags_come_from_all_pages_in_the_registrys_order(loopback: Loopback, command: Command) -> None:
    pages = {
        "/v2/team/app/tags/list": page("1.10", "1.9", link='</v2/team/app/tags/list?last=1.9&n=2>; rel="next"'),
        "/v2/team/app/tags/list?last=1.9&n=2": page(
            "1.9", "latest", link="<http://inside.example/v2/team/app/tags/list?last=latest>;rel=next"
        ),
        "/v2/team/app/tags/list?last=latest": page("edge"),
    }
    loopback.answers["/v2/team/app/tags/list"] = lambda request: pages[request.path]
    done = command("tags", f"{loopback.host}/team/app")
    assert (done.status, done.err) == (0, "")
    assert done.out.split() == ["1.10", "1.9", "latest", "edge"]
    assert loopback.paths == list(pages)
    done = command("tags", f"{loopback.host}/team/app", "--sort", "--json")
    assert json.loads(done.out) == ["1.9", "1.10", "edge", "latest"]


@pytest.mark.parametrize(
    "body", [b'{"name": "x", "tags": null}', b'{"name": "x"}', b'{"name": "x", "tags": []}'], ids=["null", "none", "[]"]
)
def test_a_repository_without_tags_has_none(loopback: Loopback, command: Command, body: bytes) -> None:
    loopback.answers["/v2/x/tags/list"] = Answer(body)
    done = command("tags", f"{loopback.host}/x")
    assert (done.status, done.out) == (0, "")


def test_what_cannot_be_a_tag_is_not_shown(loopback: Loopback, command: Command) -> None:
    loopback.answers["/v2/x/tags/list"] = Answer(json.dumps({"tags": ["1", "\u001b[31m", "a/b", 5, "", "2"]}).encode())
    assert command("tags", f"{loopback.host}/x").out.split() == ["1", "2"]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (Answer(status=404), 3),
        (Answer(b"[]"), 6),
        (Answer(b"{"), 6),
        (Answer(b'{"tags": 5}'), 6),
        (Answer(b"<html>log in</html>"), 1),
        (Answer(status=403), 4),
        (Answer(status=500), 5),
    ],
    ids=["404", "array", "no JSON", "number", "HTML", "403", "500"],
)
def test_a_list_that_cannot_be_had_is_told(loopback: Loopback, command: Command, answer: Answer, status: int) -> None:
    loopback.answers["/v2/x/tags/list"] = answer
    done = command("tags", f"{loopback.host}/x")
    assert (done.status, done.out) == (status, "")
    assert f"the list of tags of {loopback.host}/x" in done.err
    assert "Traceback" not in done.err


def test_pages_in_a_circle_and_pages_without_end_come_to_an_end(
    loopback: Loopback, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    loopback.answers["/v2/x/tags/list"] = page("1", link='</v2/x/tags/list>; rel="next"')
    assert "does not end" in command("tags", f"{loopback.host}/x").err

    def more(request: Request) -> Answer:
        number = int(request.path.partition("=")[2] or "0") + 1
        return page(str(number), link=f'</v2/x/tags/list?last={number}>; rel="next"')

    monkeypatch.setattr(registry_module, "MAX_PAGES", 20)
    loopback.answers["/v2/x/tags/list"] = more
    done = command("tags", f"{loopback.host}/x")
    assert (done.status, done.out) == (1, "")
    assert "20 pages received" in done.err


@pytest.mark.parametrize("name", ["x:1", f"x@sha256:{'0' * 64}", "NO"])
def test_tags_are_those_of_a_repository(command: Command, name: str) -> None:
    assert command("tags", name).status == 2


def test_a_real_registry_lists_its_tags_in_pages(registry: RealRegistry, command: Command) -> None:
    for number in range(1, 13):
        reference = registry.push("queries/app", f"1.{number}", AMD64_IMAGE)
    repository = reference.rpartition(":")[0]
    done = command("tags", repository, "--sort")
    assert done.out.split() == [f"1.{number}" for number in range(1, 13)]
    assert command("digest", reference).out == f"{repository}@{AMD64_IMAGE.digest}\n"


def test_natural_order_takes_numbers_as_numbers() -> None:
    tags = ["v1.10", "v1.9", "1.0", "latest", "1.0-rc1", "01.0", "2", "1.0.1", "v1.9-alpine"]
    assert sorted(tags, key=natural) == [
        "01.0",
        "1.0",
        "1.0-rc1",
        "1.0.1",
        "2",
        "latest",
        "v1.9",
        "v1.9-alpine",
        "v1.10",
    ]


@given(st.lists(st.text("01239aB._-", min_size=1, max_size=8)))
def test_natural_order_is_that_of_numbers_and_texts(tags: list[str]) -> None:
    def parts(tag: str) -> tuple[list[tuple[int, int, str]], str]:
        found = re.findall(r"[0-9]+|[^0-9]+", tag)
        return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in found], tag

    assert sorted(tags, key=natural) == sorted(tags, key=parts)


@pytest.mark.parametrize("count", [0, 1, 2, 25_000])
def test_a_list_of_tags_is_written_as_one_json_array(count: int, loopback: Loopback, command: Command) -> None:
    tags = [f"v{number}" for number in range(count)]
    loopback.answers["/v2/x/tags/list"] = Answer(json.dumps({"tags": tags}).encode())
    assert command("tags", f"{loopback.host}/x", "--json").out == f"{json.dumps(tags, indent=1)}\n"
    assert command("tags", f"{loopback.host}/x").out == "".join(f"{tag}\n" for tag in tags)


def limited(loopback: Loopback, left: str, *names: str) -> list[str]:
    """Serve images by a registry that reports how many pulls are left."""
    references = [loopback.add(name, "1", AMD64_IMAGE) for name in names]
    for name in names:
        answer = loopback.answers[f"/v2/{name}/manifests/1"]
        assert isinstance(answer, Answer)
        headers = {**answer.headers, "RateLimit-Remaining": left}
        loopback.answers[f"/v2/{name}/manifests/1"] = Answer(answer.body, headers=headers)
    return references


@pytest.mark.parametrize("words", [["digest"], ["save", "--dry-run"]], ids=["digest", "save"])
@pytest.mark.parametrize("left", ["1;w=21600", "2", "0"])
def test_a_list_that_the_pull_limit_cuts_short_is_announced_once(
    loopback: Loopback, command: Command, words: list[str], left: str
) -> None:
    done = command(*words, "--platform", "linux/amd64", *limited(loopback, left, "a", "b", "c", "d"))
    assert done.status == 0, done.err
    assert f"the list has 3 more images at {loopback.host}, whose number of pulls left is {left[0]};" in done.err
    assert done.err.count("the list has") == 1


@pytest.mark.parametrize(("left", "names"), [("3", "abcd"), ("1", "ab"), ("0", "a"), ("many", "abcd"), ("", "abcd")])
def test_a_pull_limit_that_suffices_is_not_mentioned(
    loopback: Loopback, command: Command, left: str, names: str
) -> None:
    done = command("digest", "--platform", "linux/amd64", *limited(loopback, left, *names))
    assert (done.status, done.err) == (0, "")


def test_images_at_another_registry_do_not_count_against_a_limit(loopback: Loopback, command: Command) -> None:
    with Loopback() as other:
        free = [other.add(name, "1", AMD64_IMAGE) for name in "abc"]
        references = (*limited(loopback, "1", "a"), *free, *limited(loopback, "1", "b"))
        done = command("digest", "--platform", "linux/amd64", *references)
        assert (done.status, done.err) == (0, "")


def test_the_summary_names_an_image_and_its_digest_once(loopback: Loopback, save: Save) -> None:
    built = image(hello("once"))
    reference = loopback.add("team/once", "1", built)
    pinned = f"{reference}@{built.digest}"
    assert f"saved {reference} {built.digest} linux/amd64 to " in save(reference, reference).err
    assert f"saved {pinned} linux/amd64 to " in save(pinned).err
    assert f"saved {reference}, {pinned} {built.digest} linux/amd64 to " in save(reference, pinned).err
