from __future__ import annotations

import pytest

from imgfetch.errors import InvalidPlatformError
from imgfetch.oci import platforms
from imgfetch.oci.platforms import Platform


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        pytest.param("linux/amd64", Platform("linux", "amd64"), id="plain"),
        pytest.param("linux/arm/v7", Platform("linux", "arm", "v7"), id="variant"),
        pytest.param("arm64", Platform("linux", "arm64"), id="an architecture alone"),
        pytest.param("Aarch64", Platform("linux", "arm64"), id="a machine's name alone"),
        pytest.param("arm/v6", Platform("linux", "arm", "v6"), id="an architecture and a variant"),
        pytest.param("linux/arm/7", Platform("linux", "arm", "v7"), id="variant as a number"),
        pytest.param("linux/arm64/v8", Platform("linux", "arm64"), id="a variant that says nothing"),
        pytest.param("linux/arm64/v9", Platform("linux", "arm64", "v9"), id="a variant that says something"),
        pytest.param("linux/amd64/v1", Platform("linux", "amd64"), id="amd64's first variant"),
        pytest.param("Linux/X86_64", Platform("linux", "amd64"), id="machine name in any case"),
        pytest.param("linux/aarch64", Platform("linux", "arm64"), id="aarch64"),
        pytest.param("linux/armhf", Platform("linux", "arm", "v7"), id="armhf"),
        pytest.param("linux/armel", Platform("linux", "arm", "v6"), id="armel"),
        pytest.param("linux/i686", Platform("linux", "386"), id="i686"),
        pytest.param("macos/arm64", Platform("darwin", "arm64"), id="macos"),
        pytest.param("X86_64", Platform("linux", "amd64"), id="a machine name alone"),
        pytest.param("386", Platform("linux", "386"), id="a number alone"),
        pytest.param("armhf", Platform("linux", "arm", "v7"), id="a machine name alone that implies a variant"),
        pytest.param(" linux/s390x\n", Platform("linux", "s390x"), id="space around"),
        pytest.param(
            "windows/amd64:10.0.20348.2227", Platform("windows", "amd64", "", "10.0.20348.2227"), id="Windows' build"
        ),
    ],
)
def test_a_platform_is_read_in_gos_names(text: str, platform: Platform) -> None:
    assert Platform.parse(text) == platform


@pytest.mark.parametrize(
    "text",
    [
        "",
        "linux/",
        "/amd64",
        "arm/",
        "quux",
        "amd64:1:2",
        "am d64",
        "linux amd64",
        "linux/amd64/",
        "linux/arm/v7/x",
        "linux/am d64",
        "linux/amd64:",
        "linux,amd64",
    ],
)
def test_a_platform_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(InvalidPlatformError, match=r"^not a valid platform: ") as caught:
        Platform.parse(text)
    assert isinstance(caught.value, ValueError)
    assert caught.value.hint == "write OS/ARCH[/VARIANT], such as linux/arm64 or linux/arm/v7"


@pytest.mark.parametrize(
    ("text", "os"), [("linux", "linux"), (" Windows ", "windows"), ("macos", "darwin"), ("darwin", "darwin")]
)
def test_an_operating_system_alone_is_for_this_machines_architecture(text: str, os: str) -> None:
    here = platforms.default()
    assert Platform.parse(text) == Platform(os, here.architecture, here.variant)


@pytest.mark.parametrize(
    ("text", "meant"), [("amd46", "amd64"), ("arm46", "arm64"), ("Lnux", "linux"), ("aarch46", "aarch64")]
)
def test_a_misspelt_name_alone_is_refused_with_what_was_meant(text: str, meant: str) -> None:
    with pytest.raises(InvalidPlatformError, match=rf"'{text}'; did you mean '{meant}'\?$"):
        Platform.parse(text)


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("linux/amd46", "; did you mean 'linux/amd64'?"),
        ("linx/arm64", "; did you mean 'linux/arm64'?"),
        ("linux/arm46/v8", "; did you mean 'linux/arm64'?"),
        ("linux/arm", ""),
        ("darwin/arm64", ""),
        ("linux/quux", ""),
    ],
)
def test_another_platform_is_suggested_only_for_a_name_that_nobody_knows(text: str, suggestion: str) -> None:
    assert Platform.parse(text).suggestion(["linux/amd64", "linux/arm64"]) == suggestion


def test_a_refused_platform_is_shown_without_control_characters() -> None:
    with pytest.raises(InvalidPlatformError) as caught:
        Platform.parse("\x1b[2J")
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("platform", "text"),
    [
        (Platform("linux", "amd64"), "linux/amd64"),
        (Platform("linux", "arm", "v7"), "linux/arm/v7"),
        (Platform("windows", "amd64", "", "10.0.20348.2227"), "windows/amd64:10.0.20348.2227"),
    ],
    ids=["plain", "variant", "version"],
)
def test_a_platform_is_written_as_it_is_read(platform: Platform, text: str) -> None:
    assert str(platform) == text
    assert Platform.parse(text) == platform


@pytest.mark.parametrize(
    ("machine", "platform"),
    [
        ("x86_64", Platform("linux", "amd64")),
        ("AMD64", Platform("linux", "amd64")),
        ("aarch64", Platform("linux", "arm64")),
        ("arm64", Platform("linux", "arm64")),
        ("armv6l", Platform("linux", "arm", "v6")),
        ("armv7l", Platform("linux", "arm", "v7")),
        ("ppc64le", Platform("linux", "ppc64le")),
        ("riscv64", Platform("linux", "riscv64")),
        ("loongarch64", Platform("linux", "loong64")),
    ],
)
def test_a_machine_has_gos_name(machine: str, platform: Platform) -> None:
    assert Platform("linux", machine).normalized() == platform


def test_the_default_is_linux_on_a_known_architecture() -> None:
    default = platforms.default()
    assert default.os == "linux"
    assert default.is_known
    assert Platform.parse(str(default)) == default


@pytest.mark.parametrize(
    ("have", "wanted"),
    [
        pytest.param("linux/amd64", "linux/amd64", id="same"),
        pytest.param("linux/arm64/v8", "linux/arm64", id="arm64 is v8"),
        pytest.param("linux/arm64", "linux/aarch64", id="two names of one machine"),
        pytest.param("linux/arm", "linux/arm/v7", id="arm is v7"),
        pytest.param("windows/amd64:10.0.20348.2227", "windows/amd64:10.0.20348", id="a build of the version"),
        pytest.param("windows/amd64:10.0.20348.2227", "windows/amd64", id="any build"),
    ],
)
def test_a_platform_fits_what_means_the_same(have: str, wanted: str) -> None:
    assert Platform.parse(have).fit(Platform.parse(wanted)) == 0


@pytest.mark.parametrize(
    ("better", "worse", "wanted"),
    [
        pytest.param("linux/arm/v7", "linux/arm/v6", "linux/arm/v7", id="arm"),
        pytest.param("linux/arm/v6", "linux/arm/v5", "linux/arm/v7", id="arm, two steps"),
        pytest.param("linux/arm64/v9", "linux/arm64", "linux/arm64/v9.2", id="arm64"),
        pytest.param("linux/amd64/v3", "linux/amd64", "linux/amd64/v3", id="amd64"),
        pytest.param("linux/arm64/v8.2", "linux/arm64/v8.1", "linux/arm64/v8.10", id="minor versions are numbers"),
    ],
)
def test_of_earlier_variants_the_latest_fits_best(better: str, worse: str, wanted: str) -> None:
    machine = Platform.parse(wanted)
    first, second = Platform.parse(better).fit(machine), Platform.parse(worse).fit(machine)
    assert first is not None
    assert second is not None
    assert first < second


@pytest.mark.parametrize(
    ("have", "wanted"),
    [
        pytest.param("linux/arm/v7", "linux/arm/v6", id="later variant"),
        pytest.param("linux/arm", "linux/arm/v6", id="arm is v7"),
        pytest.param("linux/amd64/v2", "linux/amd64", id="later variant of amd64"),
        pytest.param("linux/386", "linux/amd64", id="another architecture, though it would run"),
        pytest.param("linux/arm/v7", "linux/arm64", id="32 and 64 bits"),
        pytest.param("windows/amd64", "linux/amd64", id="another system"),
        pytest.param("windows/amd64:10.0.17763.1", "windows/amd64:10.0.20348", id="another build"),
        pytest.param("windows/amd64:10.0.203480", "windows/amd64:10.0.20348", id="a build that begins alike"),
        pytest.param("windows/amd64", "windows/amd64:10.0.20348", id="no build"),
        pytest.param("linux/arm/hard", "linux/arm/v7", id="a variant that is no version"),
        pytest.param("linux/ppc64le/power8", "linux/ppc64le/power9", id="an architecture without known variants"),
    ],
)
def test_a_platform_does_not_fit_another_one(have: str, wanted: str) -> None:
    assert Platform.parse(have).fit(Platform.parse(wanted)) is None


@pytest.mark.parametrize(
    ("platform", "is_known"),
    [
        (Platform("linux", "amd64"), True),
        (Platform("unknown", "unknown"), False),
        (Platform("linux", "unknown"), False),
    ],
    ids=["machine", "attestation", "half"],
)
def test_unknown_is_no_platform(platform: Platform, *, is_known: bool) -> None:
    assert platform.is_known is is_known
