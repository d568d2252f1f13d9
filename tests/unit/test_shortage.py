"""A lack of something is recognized in whatever error it comes, and nothing else is taken for one."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import zlib
from pathlib import Path

import pytest
import requests
import urllib3.exceptions
import zstandard

from imgfetch import shortage
from imgfetch.errors import RegistryError, ResourceError, StorageError
from imgfetch.files import storage_errors
from imgfetch.http.network_errors import mapped
from imgfetch.layers import inflate
from imgfetch.layers.windows import WINDOWS
from imgfetch.layers.zstd import ZstdStream
from imgfetch.shortage import FILES, MEMORY, PROCESSES, SIZE, Lack
from tests.images import zstd

URL = "https://registry.example/v2/"


def system_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def behind(error: Exception, *, is_context: bool = False) -> Exception:
    """Return an error that was raised because of another one, or while it was handled."""
    outer = ValueError("something else")
    outer.__context__ = error
    outer.__cause__ = None if is_context else error
    outer.__suppress_context__ = not is_context
    return outer


@pytest.mark.parametrize(
    ("error", "lack"),
    [
        (MemoryError(), MEMORY),
        (system_error(errno.ENOMEM), MEMORY),
        (ImportError("libz.so.1: failed to map segment from shared object"), MEMORY),
        (ImportError("x.so: cannot create shared object descriptor: Cannot allocate memory"), MEMORY),
        (zstandard.ZstdError("zstd compress error: Allocation error : not enough memory"), MEMORY),
        (ssl.SSLError(1, "[SSL] malloc failure (_ssl.c:1)"), MEMORY),
        (SystemError("<function _find_and_load at 0x7f> returned NULL without setting an exception"), MEMORY),
        (SystemError("error return without exception set"), MEMORY),
        (system_error(errno.EMFILE), FILES),
        (system_error(errno.ENFILE), FILES),
        (ImportError("libssl.so.3: cannot open shared object file: Too many open files"), FILES),
        (RuntimeError("can't start new thread"), PROCESSES),
        (system_error(errno.EFBIG), SIZE),
        (requests.ConnectionError(urllib3.exceptions.NewConnectionError(None, "x")), None),  # type: ignore[arg-type]
        (requests.ConnectionError(behind(system_error(errno.EMFILE))), FILES),
        (behind(behind(MemoryError(), is_context=True)), MEMORY),
        (system_error(errno.ENOSPC), None),
        (system_error(errno.EAGAIN), None),
        (ModuleNotFoundError("No module named 'requests'"), None),
        (RuntimeError("cannot schedule new futures after shutdown"), None),
        (RegistryError("malloc failure, too many open files", url=URL, status=500), None),
        (requests.exceptions.InvalidURL("/too many open files"), None),
        (ZeroDivisionError(), None),
    ],
    ids=lambda value: value.reason if isinstance(value, Lack) else repr(value),
)
def test_a_lack_is_found_behind_an_error(error: Exception, lack: Lack | None) -> None:
    assert shortage.of(error) == lack


def test_an_error_that_is_its_own_cause_has_an_end() -> None:
    one, two = ValueError(), ValueError()
    one.__cause__, two.__cause__ = two, one
    assert shortage.of(one) is None


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EFBIG])
def test_a_file_that_a_limit_keeps_from_being_written_has_a_hint(number: int) -> None:
    message = f"cannot write /x/y: {os.strerror(number)}"
    with pytest.raises(ResourceError, match=message) as caught, storage_errors(Path("/x/y"), "write"):
        raise system_error(number)
    assert caught.value.hint == shortage.of(system_error(number)).hint  # type: ignore[union-attr]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_another_failure_of_a_disk_is_no_lack(number: int) -> None:
    with pytest.raises(StorageError) as caught, storage_errors("stdout", "write"):
        raise system_error(number)
    assert not isinstance(caught.value, ResourceError)


# ---- requests ----

NAME = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
ISSUER = ssl.SSLCertVerificationError(1, "unable to get local issuer certificate")


def no_pipe() -> tuple[int, int]:
    raise system_error(errno.EMFILE)


@pytest.mark.parametrize("error", [system_error(errno.EMFILE), system_error(errno.ENOMEM), behind(MemoryError())])
def test_a_request_that_lacks_something_is_no_fault_of_the_registry(error: Exception) -> None:
    with pytest.raises(ResourceError, match=f"cannot request {URL}: ") as caught, mapped(URL):
        raise requests.ConnectionError(error)
    assert caught.value.tries == 1
    assert "registry" not in str(caught.value.hint)


@pytest.mark.parametrize("error", [NAME, ISSUER])
def test_a_name_or_issuer_that_is_not_found_for_lack_of_descriptors_says_so(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr("imgfetch.http.certificate.fetch", lambda *_: None)
    with pytest.raises(Exception, match=r"does not resolve|cannot verify"), mapped(URL):
        raise requests.ConnectionError(error)
    monkeypatch.setattr(os, "pipe", no_pipe)
    with pytest.raises(ResourceError, match="too many open files"), mapped(URL):
        raise requests.ConnectionError(error)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_the_search_for_descriptors_leaves_none_open(monkeypatch: pytest.MonkeyPatch) -> None:
    before = open_files()
    assert shortage.of_files() is None
    pipe, made = os.pipe, []

    def some() -> tuple[int, int]:
        if len(made) == 2:
            raise system_error(errno.EMFILE)
        made.append(1)
        return pipe()

    monkeypatch.setattr(os, "pipe", some)
    assert shortage.of_files() == FILES
    assert open_files() <= before  # those of other tests may be closed meanwhile


# ---- decompressors ----


class NoMemory:
    """A library that finds no memory."""

    eof, unconsumed_tail, unused_data = False, b"", b""
    error = zlib.error

    def decompressobj(self, _: int) -> NoMemory:
        return self

    def decompress(self, data: bytes, _: int = 0) -> bytes:
        del data
        raise zlib.error("Error -4 while decompressing data")


def test_zlib_without_memory_is_no_damage() -> None:
    stream = inflate.Inflater(NoMemory(), inflate.GZIP)  # type: ignore[arg-type]
    with pytest.raises(MemoryError):
        stream.decompress(b"data", 100)


def test_zstd_without_memory_is_no_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    class Frame:
        def decompress(self, data: bytes) -> bytes:
            del data
            raise zstandard.ZstdError("zstd decompressor error: Allocation error : not enough memory")

    monkeypatch.setattr(ZstdStream, "_opened", lambda *_: Frame())
    with pytest.raises(MemoryError), WINDOWS.lease() as lease:
        list(ZstdStream(lease).feed(zstd(b"data")))
