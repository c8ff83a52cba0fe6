"""A file is written whole or not at all."""

import os
import stat

import pytest

from jensen.data.atomic import atomic_write
from jensen.errors import InputError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_file_appears_only_when_complete(tmp_path):
    target = tmp_path / "model"
    with atomic_write(target) as stream:
        stream.write(b"new")
        assert not target.exists()
    assert target.read_bytes() == b"new"
    assert names(tmp_path) == ["model"]


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_failure_keeps_the_old_file_and_leaves_no_litter(tmp_path, failure):
    target = tmp_path / "model"
    target.write_bytes(b"old")
    with pytest.raises(failure), atomic_write(target) as stream:
        stream.write(b"half")
        raise failure
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["model"]


def test_full_disk_is_an_error_that_says_so(tmp_path):
    with pytest.raises(InputError, match="No space left"), atomic_write(tmp_path / "model"):
        raise OSError(28, "No space left on device")
    assert names(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="permissions and links of POSIX")
def test_permissions_and_links_survive(tmp_path):
    target, link = tmp_path / "real", tmp_path / "link"
    target.write_bytes(b"old")
    target.chmod(0o640)
    link.symlink_to(target)
    with atomic_write(link) as stream:
        stream.write(b"new")
    assert link.is_symlink() and target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_new_file_has_the_permissions_of_any_other(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    with atomic_write(tmp_path / "model") as stream:
        stream.write(b"new")
    assert (tmp_path / "model").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_impossible_targets_are_refused(tmp_path):
    with pytest.raises(InputError, match="no folder"), atomic_write(tmp_path / "none" / "model"):
        pass
    with pytest.raises(InputError, match="is a folder"), atomic_write(tmp_path):
        pass
    if os.path.exists(os.devnull) and os.name == "posix":
        with pytest.raises(InputError, match="no regular file"), atomic_write(os.devnull):
            pass
