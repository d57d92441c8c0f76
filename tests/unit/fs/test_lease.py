"""A lease tells whether anyone has a file open or mapped for writing."""

import fcntl
import mmap
import os
import signal
import subprocess
import sys

import pytest

from sidecar.core.paths import RelPath
from sidecar.fs import lease
from sidecar.fs.faults import Missing
from tests.unit.fs.conftest import Site


def test_a_closed_file_is_not_open_for_writing(site: Site) -> None:
    assert site.root.is_open_for_writing(site.write("f")) is False


def test_a_file_open_for_writing_is_told_until_it_is_closed(site: Site) -> None:
    path = site.write("f")
    with open(site.html / "f", "a"):
        assert site.root.is_open_for_writing(path) is True
    assert site.root.is_open_for_writing(path) is False


def test_a_reader_does_not_count(site: Site) -> None:
    path = site.write("f")
    with open(site.html / "f"):
        assert site.root.is_open_for_writing(path) is False


def test_a_shared_writable_mapping_counts_after_its_descriptor_is_closed(site: Site) -> None:
    path = site.write("f", "data")
    with open(site.html / "f", "r+") as file:
        mapping = mmap.mmap(file.fileno(), 4)
    assert site.root.is_open_for_writing(path) is True
    mapping.close()
    assert site.root.is_open_for_writing(path) is False


def test_another_process_counts(site: Site) -> None:
    path = site.write("f")
    program = "import sys; f = open(sys.argv[1], 'a'); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        (sys.executable, "-c", program, str(site.html / "f")), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None and writer.stdin is not None
        assert b"open\n" == writer.stdout.readline()
        assert site.root.is_open_for_writing(path) is True
        writer.stdin.close()
    assert site.root.is_open_for_writing(path) is False


def test_no_lease_is_left_behind(site: Site) -> None:
    path = site.write("f")
    site.root.is_open_for_writing(path)
    os.close(os.open(site.html / "f", os.O_WRONLY | os.O_NONBLOCK))


def test_the_signal_that_breaks_a_lease_does_not_kill(site: Site) -> None:
    site.write("f")
    assert signal.SIG_IGN == signal.getsignal(signal.SIGIO)
    fd = os.open(site.html / "f", os.O_RDONLY)
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    with pytest.raises(BlockingIOError):
        os.open(site.html / "f", os.O_WRONLY | os.O_NONBLOCK)
    os.close(fd)


def test_what_is_no_file_cannot_be_told(site: Site) -> None:
    (site.html / "d").mkdir()
    assert site.root.is_open_for_writing(RelPath(b"d")) is None
    reader, writer = os.pipe()
    assert lease.open_for_writing(reader) is None
    os.close(reader)
    os.close(writer)


def test_a_file_that_is_gone_is_missing(site: Site) -> None:
    with pytest.raises(Missing):
        site.root.is_open_for_writing(RelPath(b"gone"))
