"""A hash is that of one version of a file, or there is none."""

import os
from typing import TextIO

import pytest
import xxhash

from sidecar.core.paths import RelPath
from sidecar.fs.faults import Changed, Special
from tests.unit.fs.conftest import Site

BIG = 3 * (1 << 20) + 17


def test_hashing_a_fifo_does_not_wait_for_its_writer(site: Site) -> None:
    os.mkfifo(site.html / "fifo")
    with pytest.raises((Special, Changed)):
        site.root.hash(RelPath(b"fifo"))


@pytest.mark.parametrize("data", [b"", b"x" * 4096, os.urandom(BIG)], ids=["empty", "small", "big"])
def test_the_hash_is_xxh128_of_the_bytes(site: Site, data: bytes) -> None:
    (site.html / "f").write_bytes(data)
    stat, digest = site.root.hash(RelPath(b"f"))
    assert xxhash.xxh3_128_digest(data) == digest
    assert site.root.lstat(RelPath(b"f")) == stat


@pytest.mark.parametrize("size", [10, BIG])
def test_a_file_that_changes_while_it_is_read_has_no_hash(
    site: Site, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = site.html / "f"
    path.write_bytes(b"x" * size)
    real = {name: getattr(os, name) for name in ("pread", "preadv")}

    def touched_meanwhile(name: str) -> object:
        def read(*arguments: object) -> object:
            os.utime(path, ns=(1, 1))
            return real[name](*arguments)

        return read

    for name in real:
        monkeypatch.setattr(os, name, touched_meanwhile(name))
    with pytest.raises(Changed):
        site.root.hash(RelPath(b"f"))


def test_a_directory_has_no_hash(site: Site) -> None:
    (site.html / "d").mkdir()
    with pytest.raises(Changed):
        site.root.hash(RelPath(b"d"))


def test_a_file_that_a_writer_opens_between_the_question_and_the_read_is_not_hashed(site: Site) -> None:
    (site.html / "page").write_text("whole")
    told: list[bool | None] = []

    def is_open(open_now: bool | None) -> None:
        told.append(open_now)
        if len(told) == 1:
            writer.append((site.html / "page").open("w"))  # it truncates, and has not written yet
        elif open_now:
            raise LookupError

    writer: list[TextIO] = []
    with pytest.raises(LookupError):
        site.root.hash(RelPath(b"page"), is_open)
    assert [False, True] == told
    writer[0].close()
