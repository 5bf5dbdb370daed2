"""The way to a folder or an object store by URL, and its faults in our own words."""

import errno
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec

from indexstore.errors import IndexStoreError, MissingPackageError, StorageFullError

#: What ``pip install`` must be told for each protocol that needs more than fsspec; s3fs as in
#: requirements.txt, where the tests need it.
PACKAGES: Mapping[str, str] = {
    "s3": "s3fs==2026.9.0", "s3a": "s3fs==2026.9.0", "gs": "gcsfs", "gcs": "gcsfs",
    "az": "adlfs", "abfs": "adlfs", "abfss": "adlfs", "oss": "ossfs", "sftp": "paramiko",
    "hdfs": "pyarrow",
}  # fmt: skip


class BlobsUnavailableError(IndexStoreError):
    """Segments and media cannot be reached."""

    status = 503
    code = "blobs_unavailable"

    def __init__(self, url: str, detail: str) -> None:
        super().__init__(url, detail)
        self.url, self.detail = url, detail

    def __str__(self) -> str:
        return (
            f"the blob store {self.url} cannot be used: {self.detail}; check GNES_BLOB_URL, that "
            "the bucket or folder is there, and the credentials (of S3: AWS_ACCESS_KEY_ID, "
            "AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL)"
        )


def filesystem(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it.

    Listings are not remembered: other processes write and delete there as well.

    Raises:
        MissingPackageError: a library for this protocol is not installed.
        BlobsUnavailableError: nobody knows such a protocol, or the URL is malformed.
    """
    protocol = url.partition("://")[0]
    try:
        found, path = fsspec.core.url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        package = PACKAGES.get(protocol)
        if package is None:
            raise BlobsUnavailableError(url, str(error)) from error
        raise MissingPackageError(package, f"GNES_BLOB_URL={url}") from error
    except ValueError as error:
        raise BlobsUnavailableError(url, str(error)) from error
    return found, str(path)


def look_at(url: str) -> None:
    """Look whether an object store is there, as early as whoever started it still listens.

    Raises:
        MissingPackageError, BlobsUnavailableError: it cannot be used, and why.
    """
    files, path = filesystem(url)
    if "file" in files.protocol:
        return  # made when it is needed
    try:
        with reaching(url):
            files.find(path, maxdepth=1)
    except FileNotFoundError as error:
        raise BlobsUnavailableError(url, str(error)) from error


def sync(path: Path) -> None:
    """Have a file or folder of this machine on its disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def changed_at(info: Mapping[str, Any]) -> float:
    """Return when a file was written (seconds since the epoch), by what its listing says."""
    changed = info.get("mtime") or info.get("LastModified") or info.get("created") or time.time()
    return float(changed) if isinstance(changed, int | float) else float(changed.timestamp())


#: Faults of the store, of which no document is guilty.
STORE_FAULTS = (StorageFullError, BlobsUnavailableError)


@contextmanager
def reaching(url: str) -> Iterator[None]:
    """Tell faults of an object store apart from those of this machine.

    Raises:
        FileNotFoundError: what was asked for is not there.
        StorageFullError: there is no room for it. BlobsUnavailableError: anything else.
    """
    try:
        yield
    except (FileNotFoundError, IndexStoreError):
        raise
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise StorageFullError(url, str(error)) from error
        raise BlobsUnavailableError(url, str(error)) from error
    except Exception as error:
        # Each library has errors of its own for a server that is away or says no.
        raise BlobsUnavailableError(url, f"{type(error).__name__}: {error}") from error
