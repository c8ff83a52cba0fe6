"""Write files whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from jensen.errors import InputError


def check_writable(path: str | os.PathLike[str]) -> Path:
    """Refuse a path that cannot be written, before any work is done for it.

    Parameters
    ----------
    path : path-like
        The file to write; it need not exist, its folder must.

    Returns
    -------
    Path
        Where the bytes will go: a symbolic link is followed, so that the link stays.

    Raises
    ------
    InputError
        The folder is missing or closed to us, or the path is a folder, a device or a pipe.
    """
    target = Path(os.path.realpath(path))
    folder = target.parent
    if not folder.is_dir():
        raise InputError(f"{os.fspath(path)}: there is no folder {str(folder)!r}. Create it first.")
    if target.is_dir():
        raise InputError(f"{os.fspath(path)} is a folder; expected the name of a file to write.")
    # Renaming onto /dev/null would replace the device.
    if target.exists() and not target.is_file():
        raise InputError(f"{os.fspath(path)} is no regular file; expected the name of a file to write.")
    if not os.access(folder, os.W_OK):
        raise InputError(f"{os.fspath(path)}: folder {str(folder)!r} is closed to writing. Write elsewhere.")
    return target


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file for writing that takes its name only when it is complete.

    The bytes go to a file beside the target, reach the disk, and are then renamed. When the block raises, or
    the program dies, whatever stood under the name before still stands there.

    Parameters
    ----------
    path : path-like
        The file to write. A file that exists is replaced and keeps its permissions.

    Yields
    ------
    BinaryIO
        Open for binary writing.

    Raises
    ------
    InputError
        The path cannot be written, or the disk is full.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> target = pathlib.Path(tempfile.mkdtemp()) / "note.txt"
    >>> with atomic_write(target) as stream:
    ...     _ = stream.write(b"whole")
    >>> target.read_text()
    'whole'
    """
    target = check_writable(path)
    beside = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}.part")
    try:
        # Exclusive, so that nobody's file is ever overwritten; 0o666 leaves the permissions to the umask.
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    except OSError as error:
        raise InputError(f"{os.fspath(path)} cannot be written: {error.strerror}.") from None
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        if target.exists():
            os.chmod(beside, target.stat().st_mode & 0o7777)
        os.replace(beside, target)
    except BaseException as error:
        with suppress(OSError):
            beside.unlink()
        if isinstance(error, OSError):
            cause = error.strerror or str(error)
            raise InputError(f"{os.fspath(path)} cannot be written: {cause}. Nothing was changed.") from None
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Make the new name itself durable, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
