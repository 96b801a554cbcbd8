"""Files that appear whole or not at all, and sources that are read twice."""

from __future__ import annotations

import gzip
import io
import os
import sys
import threading
from pathlib import Path

import pytest

from aiomemdb import FormatError
from aiomemdb.formats.files import opened_twice, replace_file, writing


def test_a_file_is_replaced_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(0o640)
    replace_file(path, ["néw", "\n"])
    assert path.read_bytes() == "néw\n".encode()
    assert path.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_file_is_as_it_was_where_its_writer_fails(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), writing(path, overwrite=True) as write:
        write("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_file_that_is_there_is_not_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(FileExistsError, match="overwrite"), writing(path, overwrite=False):
        raise AssertionError("it begins")


def test_a_file_that_appears_meanwhile_is_not_overwritten_either(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with pytest.raises(FileExistsError, match="overwrite"), writing(path, overwrite=False) as write:
        write("ours")
        path.write_text("theirs")
    assert path.read_text() == "theirs"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    replace_file(tmp_path / "link.txt", ["new"])
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


def test_a_compressed_file_is_read_twice_and_its_bytes_tell_no_time(tmp_path: Path) -> None:
    for name in ("a.gz", "b.gz"):
        replace_file(tmp_path / name, ["one\n", "two\n"])
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.gz").read_bytes()) == b"one\ntwo\n"
    with opened_twice(tmp_path / "a.gz") as file:
        assert list(file) == [b"one\n", b"two\n"]
        file.seek(0)
        assert file.read() == b"one\ntwo\n"


@pytest.mark.parametrize("cut", [0, 5, -3])
def test_a_cut_compressed_file_is_an_error(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(os.urandom(5000))[: cut or None] if cut else b"no gzip at all")
    with pytest.raises(FormatError, match=r"a\.gz"), opened_twice(path) as file:
        file.read()


def test_a_compressed_file_with_other_bytes_in_it_is_an_error(tmp_path: Path) -> None:
    whole = gzip.compress(os.urandom(500) + b"text " * 5000)
    for place in range(10, len(whole), 7):  # in each of its parts, behind its head
        (tmp_path / "a.gz").write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        with pytest.raises(FormatError, match=r"a\.gz is no whole \.gz file"), opened_twice(tmp_path / "a.gz") as file:
            file.read()


def test_a_suffix_that_this_python_lacks_is_an_error_at_once(tmp_path: Path) -> None:
    if sys.version_info >= (3, 14):
        replace_file(tmp_path / "a.zst", ["one\n"])
        with opened_twice(tmp_path / "a.zst") as file:
            assert file.read() == b"one\n"
        whole = (tmp_path / "a.zst").read_bytes()
        for broken in (b"", b"no zst at all", whole[:-3], whole[:8] + b"xxxx" + whole[12:]):
            (tmp_path / "a.zst").write_bytes(broken)
            with pytest.raises(FormatError, match=r"no whole \.zst file"), opened_twice(tmp_path / "a.zst") as file:
                file.read()
        return
    with pytest.raises(ValueError, match=r"3\.14"):
        replace_file(tmp_path / "a.zst", ["one\n"])
    assert os.listdir(tmp_path) == []


def test_a_pipe_and_an_open_file_are_read_twice(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    text = "line\n" * 2_000_000  # more than is kept in memory
    writer = threading.Thread(target=lambda: fifo.write_text(text))
    writer.start()
    with opened_twice(fifo) as file:
        assert file.read() == text.encode()
        file.seek(0)
        assert file.readline() == b"line\n"
    writer.join()
    for given in (io.StringIO("é\n"), io.BytesIO("é\n".encode())):
        with opened_twice(given) as file:
            assert file.read() == "é\n".encode()


def test_an_open_file_is_written_as_text_or_bytes() -> None:
    for given, written in ((io.StringIO(), "é\n"), (io.BytesIO(), "é\n".encode())):
        with writing(given, overwrite=False) as write:
            write("é\n")
        assert given.getvalue() == written
