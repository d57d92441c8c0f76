"""1 MiB changed in place inside a large file: from close() until the other side has it; the rest need not be sent."""

import os
import random
import time

from bench.outcome import Outcome, Size
from bench.works import upload
from bench.works.site import Late, Site, until

WITHIN = 60.0


def prepare(site: Site, size: Size) -> None:
    if not upload.same(site, upload.NAME):
        upload.write(site, size)
        site.msk.carry()
        if until(lambda: upload.same(site, upload.NAME), time.perf_counter(), upload.WITHIN) is None:
            raise Late(upload.NAME)
        site.msk.carried()


def run(site: Site, size: Size) -> Outcome:
    rng = random.Random(time.time_ns())
    new, at = rng.randbytes(upload.MIB), rng.randrange((size.mib - 1) * upload.MIB)
    with (site.msk.root / upload.NAME).open("r+b", buffering=0) as file:
        os.pwrite(file.fileno(), new, at)
    since = time.perf_counter()
    site.msk.carry()

    def there() -> bool:
        try:
            with (site.ams.root / upload.NAME).open("rb", buffering=0) as file:
                return os.pread(file.fileno(), upload.MIB, at) == new
        except OSError:
            return False

    seconds = until(there, since, WITHIN, 0.005)
    if seconds is not None and not upload.same(site, upload.NAME):
        seconds = until(lambda: upload.same(site, upload.NAME), since, WITHIN)
    return Outcome(seconds=seconds)
