from __future__ import annotations

import pytest

from imgfetch.errors import VerificationError
from imgfetch.oci.digest import Digest

NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
NOTHING_512 = (
    "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
    "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"
)


@pytest.mark.parametrize(
    ("algorithm", "encoded"), [("sha256", NOTHING), ("sha512", NOTHING_512)], ids=["sha256", "sha512"]
)
def test_a_registered_digest_is_read_and_written_back(algorithm: str, encoded: str) -> None:
    digest = Digest.parse(f"{algorithm}:{encoded}")
    assert (digest.algorithm, digest.encoded) == (algorithm, encoded)
    assert str(digest) == f"{algorithm}:{encoded}"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("sha256", id="algorithm alone"),
        pytest.param("sha256:", id="nothing encoded"),
        pytest.param(NOTHING, id="no algorithm"),
        pytest.param(f"sha256:{NOTHING[1:]}", id="a digit short"),
        pytest.param(f"sha256:{NOTHING}0", id="a digit long"),
        pytest.param(f"sha256:{NOTHING.upper()}", id="upper case"),
        pytest.param(f"SHA256:{NOTHING}", id="upper-case algorithm"),
        pytest.param(f"sha256:{'g' * 64}", id="no hexadecimal digits"),
        pytest.param("sha256:" + "\uff11" * 64, id="wide digits"),
        pytest.param(f"sha256:{NOTHING}\n", id="line break behind"),
        pytest.param(f" sha256:{NOTHING}", id="space before"),
        pytest.param(f"sha256:../../{NOTHING[:58]}", id="path, CVE-2024-3727"),
        pytest.param(f"sha512:{NOTHING}", id="sha512 of sha256's length"),
        pytest.param(f"sha256:{NOTHING_512}", id="sha256 of sha512's length"),
        pytest.param(f"sha384:{NOTHING_512[:96]}", id="unregistered algorithm"),
        pytest.param(f"md5:{NOTHING[:32]}", id="weak algorithm"),
        pytest.param(None, id="null"),
        pytest.param(7, id="number"),
        pytest.param([f"sha256:{NOTHING}"], id="array"),
    ],
)
def test_a_digest_that_is_no_digest_is_refused(text: object) -> None:
    with pytest.raises(VerificationError, match=r"^not a valid digest: expected sha256:<64 hex digits>"):
        Digest.parse(text)


def test_a_refused_digest_is_shown_without_control_characters() -> None:
    with pytest.raises(VerificationError) as caught:
        Digest.parse("sha256:\x1b[2Jfake\n")
    assert str(caught.value).endswith(r"got sha256:\x1b[2Jfake\x0a")


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [("sha256", f"sha256:{NOTHING}"), ("sha512", f"sha512:{NOTHING_512}")],
    ids=["sha256", "sha512"],
)
def test_the_digest_of_nothing_is_the_known_one(algorithm: str, expected: str) -> None:
    assert str(Digest.of(b"", algorithm)) == expected


def test_content_is_hashed_with_sha256_unless_told_otherwise() -> None:
    assert Digest.of(b"") == Digest("sha256", NOTHING)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_digest_matches_its_own_content_only(algorithm: str) -> None:
    digest = Digest.of(b"content", algorithm)
    hasher = digest.hasher()
    hasher.update(b"con")
    assert not digest.matches(hasher)
    hasher.update(b"tent")
    assert digest.matches(hasher)


def test_digests_are_equal_and_sorted_by_value() -> None:
    first, second = Digest("sha256", "1" * 64), Digest("sha256", "2" * 64)
    assert sorted({second, first, Digest("sha256", "1" * 64)}) == [first, second]
