"""Which store a run uses: the cache, or one of its own."""

from __future__ import annotations

import errno
import logging
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

from imgfetch.errors import StorageError
from imgfetch.files import storing
from imgfetch.store.blobs import BlobStore
from imgfetch.store.workspace import STORE

_NOT_WRITABLE = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})

_logger = logging.getLogger(__name__)


def opened(stack: ExitStack, cache_dir: str | os.PathLike[str] | None, workspace: Path | None = None) -> BlobStore:
    """Return the cache where it can be used, or else a store of this run's own.

    Args:
        stack: closes it.
        cache_dir: the cache, if one is wanted.
        workspace: where a file stands until it is whole, if one is written; the store may stand there too.

    Raises:
        StorageError: the directory is not to be trusted, or there is none to write to.
    """
    if cache_dir is not None:
        store = BlobStore(Path(cache_dir))
        stack.callback(store.close)
        try:
            store.prepare()
        except StorageError as error:
            if not (isinstance(error.__cause__, OSError) and error.__cause__.errno in _NOT_WRITABLE):
                raise
            _logger.warning("%s; going on without a cache", error)
        else:
            return store
    directory = workspace / STORE if workspace else None
    if directory is None:
        with storing(Path(tempfile.gettempdir()), "write to"):
            temporary = tempfile.TemporaryDirectory(prefix="imgfetch-", ignore_cleanup_errors=True)
        directory = Path(stack.enter_context(temporary))
    store = BlobStore(directory)
    stack.callback(store.close)
    store.prepare()
    return store
