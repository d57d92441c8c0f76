"""What people and programs do to a web root, and what two-way lsyncd made of it; run beside both regions.

The standard library alone: it runs inside a container, by its source: CASE MSK AMS, the two directories of a test;
SCALE in the environment says how much of the whole it does. Each is quick for its size: many paths at once, each with a
timing of its own. It prints, as JSON, the hashes of what must be kept.
"""

import functools
import hashlib
import itertools
import json
import mmap
import os
import shutil
import sys
import time
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SCALE = float(os.environ.get("SCALE") or "1")
OFFSETS = [number * 5 / 59 for number in range(60)][:: round(1 / SCALE)]
"""Seconds between what the peer has heard of and the next step: S3 and S4."""
TIMINGS = (0.0, 0.02, 0.5)[: 3 if SCALE == 1 else 1]
"""Seconds by which one side is ahead: S5."""
WITHIN = 240.0
SAVES = round(100 * SCALE)
REUSES = round(1000 * SCALE)
MOVES = round(250 * SCALE)
FULL = round(21_000 * SCALE)


def wait_for(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WITHIN
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {WITHIN} s: {what}")
        time.sleep(0.005)


def sized(path: Path, size: int) -> bool:
    return path.exists() and path.stat().st_size == size


def at_every_offset(work: Callable[[int, float], None]) -> None:
    with ThreadPoolExecutor(len(OFFSETS)) as all_of_them:
        list(all_of_them.map(work, range(len(OFFSETS)), OFFSETS))


def recreated(msk: Path, ams: Path) -> None:
    """E3: a file is deleted, and made again so long after the peer has lost it."""

    def work(number: int, offset: float) -> None:
        here, there = msk / f"f{number}", ams / f"f{number}"
        here.write_text("first")
        wait_for(there.exists, f"{there} is there")
        here.unlink()
        wait_for(lambda: not there.exists(), f"{there} has gone")
        time.sleep(offset)
        here.write_text(f"second {number}")

    at_every_offset(work)


def renamed(msk: Path, ams: Path) -> None:
    """E4: a file is renamed, and its name written anew so long after the peer has heard of the rename."""

    def work(number: int, offset: float) -> None:
        here, there = msk / f"d{number}", ams / f"d{number}"
        here.mkdir()
        (here / "index.html").write_text(f"old {number}")
        if number % 2:
            (here / "index.bak").write_text("older")  # a rename onto what is there
        wait_for((there / "index.html").exists, f"{there} is there")
        (here / "index.html").rename(here / "index.bak")
        wait_for(lambda: not (there / "index.html").exists(), f"{there}/index.html has gone")
        time.sleep(offset)
        (here / "index.html").write_text(f"new {number}")

    at_every_offset(work)


def deleted_and_edited(msk: Path, ams: Path) -> None:
    """E5: one side deletes what the other edits in the same moment."""
    for number in range(60):
        (msk / f"f{number}").write_text("first")
    wait_for(lambda: len(os.listdir(ams)) == 60, "all are there")
    for number in range(60):
        wait_for((ams / f"f{number}").exists, "it is there")
        edit = functools.partial((ams / f"f{number}").write_text, f"edited {number}")
        if number % 2:
            edit()
        (msk / f"f{number}").unlink()
        if not number % 2:
            edit()


def edited_twice(msk: Path, ams: Path) -> None:
    """E6: both sides edit a file, one second apart, or at once."""
    (msk / "apart").write_text("first")
    (msk / "at once").write_text("first")
    wait_for(lambda: len(os.listdir(ams)) == 2, "both are there")
    (msk / "at once").write_text("from msk, at once")
    (ams / "at once").write_text("from ams, at once")
    (msk / "apart").write_text("from msk, before")
    time.sleep(1)
    (ams / "apart").write_text("from ams, after")


def uploaded(msk: Path, ams: Path) -> None:
    """E9: a file comes slowly, 1 KiB each half second; the peer shows the old one until it is whole."""
    (msk / "upload").write_bytes(b"old" * 1000)
    wait_for(lambda: sized(ams / "upload", 3000), "the old one is there")
    with open(msk / "upload", "wb", buffering=0) as file:
        for _ in range(26):
            file.write(b"n" * 1024)
            until = time.monotonic() + 0.5
            while time.monotonic() < until:
                assert (ams / "upload").read_bytes() == b"old" * 1000
                time.sleep(0.01)


def pairs(msk: Path, ams: Path) -> None:
    """S5: every pair of operations on one path, one on each side, the second so long after the first."""
    operations = (create, edit, delete, move_file, move_directory, chmod, link)
    cases = [(f"{ours.__name__}-{theirs.__name__}", ours, theirs) for ours in operations for theirs in operations]
    for timing, (name, _, _) in itertools.product(TIMINGS, cases):
        directory = msk / f"{timing}" / name
        (directory / "d").mkdir(parents=True)
        (directory / "f").write_text(f"first {timing} {name}")
        (directory / "d" / "g").write_text(f"inner {timing} {name}")
    wait_for(lambda: sum(len(names) for _, _, names in os.walk(ams)) == 2 * len(TIMINGS) * len(cases), "all are there")
    for timing in TIMINGS:
        for name, ours, _ in cases:
            ours(msk / f"{timing}" / name, f"msk {timing} {name}")
        time.sleep(timing)
        for name, _, theirs in cases:
            try:
                theirs(ams / f"{timing}" / name, f"ams {timing} {name}")
            except OSError:
                continue  # it has heard of the other one's by now


def create(where: Path, text: str) -> None:
    keep(where / "new", text)


def edit(where: Path, text: str) -> None:
    keep(where / "f", text)
    keep(where / "d" / "g", f"{text} in d")


def delete(where: Path, _text: str) -> None:
    (where / "f").unlink()
    shutil.rmtree(where / "d")


def move_file(where: Path, text: str) -> None:
    (where / "f").rename(where / "new")
    (where / "d" / "g").rename(where / text[:3])


def move_directory(where: Path, text: str) -> None:
    (where / "d").rename(where / "new")
    keep(where / "new" / "h", f"{text} moved")


def chmod(where: Path, _text: str) -> None:
    (where / "f").chmod(0o600)
    (where / "d").chmod(0o700)


def link(where: Path, text: str) -> None:
    os.symlink(text, where / "new")
    (where / "f").unlink()
    os.symlink("d", where / "f")


def directories(msk: Path, ams: Path) -> None:
    """S11: directories that come back, deep ones, ones that change while they are outside; a thousand of these."""
    outside = msk.parent.parent / f"outside-{msk.name}"
    outside.mkdir()
    for number in range(MOVES):
        again = msk / f"again{number % 20}"
        shutil.rmtree(again, ignore_errors=True)
        again.mkdir()
        (again / "page").write_text(f"again {number}")
        deep = msk / f"deep{number}" / "/".join("123456789")
        deep.mkdir(parents=True)
        (deep / "page").write_text(f"deep {number}")
        (outside / "full" / "in").mkdir(parents=True)
        (outside / "full" / "in" / "page").write_text(f"full {number}")
        (outside / "full").rename(msk / f"full{number}")
        back = msk / f"full{number // 2}"
        back.rename(outside / "back")
        (outside / "back" / "in" / "page").write_text(f"changed outside {number}")
        (outside / "back" / "more").write_text(f"made outside {number}")
        (outside / "back").rename(back)
    outside.rmdir()


def names(msk: Path, ams: Path) -> None:
    """S12: names of any bytes, twins that differ in case or in how an accent is written, and a full directory."""
    accent = "caf\u00e9"
    found = [
        *(
            b"n" * 255,
            b"new\nline",
            b"quote\"'",
            b"back\\slash",
            b"- dash",
            b"# hash",
            b"; semicolon",
            b". dot",
            b"...",
        ),
        *(b"trailing  ", b"  leading", b"tab\t", b"\xff\xfe", b"\xc3\x28", b"star*?[x]", b"$HOME`id`", b"%41", b":x"),
        *(unicodedata.normalize(form, accent).encode() for form in ("NFC", "NFD")),
        *(b"Case", b"case", b"CASE"),
    ]
    for region, name in itertools.product((msk, ams), found):
        directory = os.path.join(os.fsencode(region), region.parent.parent.name.encode(), name)
        os.makedirs(directory)
        for leaf in found:
            with open(os.path.join(directory, leaf), "wb") as file:
                file.write(leaf)
    (msk / "full").mkdir()
    for number in range(FULL):
        (msk / "full" / f"{number:085}").touch()


def programs(msk: Path, ams: Path) -> None:
    """S13: how programs save: mapped, without a name at first, aside and renamed."""
    for number in range(20):
        page = msk / f"mapped{number}"
        page.write_bytes(b"a" * 9000)
        with open(page, "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
            mapped[:9000] = (b"%09d" % number) * 1000
            mapped.flush()
        fd = os.open(msk, os.O_TMPFILE | os.O_WRONLY, 0o644)
        os.write(fd, b"nameless %d" % number)
        os.link(f"/proc/self/fd/{fd}", msk / f"linked{number}", src_dir_fd=fd)  # so that it follows
        os.close(fd)
        for turn in range(3):
            (msk / f"aside{number}.tmp").write_text(f"{turn} {number}")
            (msk / f"aside{number}.tmp").rename(msk / f"aside{number}")


def logged(msk: Path, ams: Path) -> None:
    """S13: a log that nobody ever closes arrives all the same, after `open_wait`."""
    with open(msk / "log", "wb", buffering=0) as file:
        file.write(b"a line\n")
        wait_for(lambda: sized(ams / "log", 7), "the line is there")


def checksummed(msk: Path, ams: Path) -> None:
    """S14: a file with its checksum in its body is saved again and again, in place or aside; a reader sees it whole."""
    read, torn = 0, list[str]()

    def save(turn: int) -> int:
        body = os.urandom(4096) * (16 + turn * 37 % 2545)  # 64 KiB to 10 MiB
        data = hashlib.sha256(body).digest() + body
        where = msk / ("aside" if turn % 2 else "page")
        where.write_bytes(data)
        if turn % 2:
            where.rename(msk / "page")
        return len(data)

    save(0)
    wait_for((ams / "page").exists, "the first is there")
    with ThreadPoolExecutor() as aside:
        saving = aside.submit(lambda: list(map(save, range(1, SAVES))))
        while not saving.done():
            data = (ams / "page").read_bytes()
            read += 1
            if hashlib.sha256(data[32:]).digest() != data[:32]:
                torn.append(f"read {read}: {len(data)} bytes")
        saving.result()
    assert read > 10 and not torn, (read, torn)


def reused(msk: Path, ams: Path) -> None:
    """S21: a file is deleted and made again at once, with the same size: most file systems give it the same inode."""
    for number in range(REUSES):
        page = msk / f"page{number % 40}"
        page.unlink(missing_ok=True)
        page.write_text(f"{number:06}")
        if number % 40 == 39:
            time.sleep(0.01)


def keep(path: Path, text: str) -> None:
    """Write, and remember that these bytes may not get lost."""
    path.write_text(text)
    KEPT.append(text)


KEPT: list[str] = []
ALL: tuple[Callable[[Path, Path], None], ...] = (
    *(recreated, renamed, deleted_and_edited, edited_twice, uploaded, pairs),
    *(directories, names, programs, logged, checksummed, reused),
)
CASES = {work.__name__: work for work in ALL}


if __name__ == "__main__":
    os.umask(0o022)
    CASES[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
    json.dump([hashlib.sha256(text.encode()).hexdigest() for text in KEPT], sys.stdout)
