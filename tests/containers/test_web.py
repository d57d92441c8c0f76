"""The web servers of the compose project."""

import contextlib
import http.client
import threading
import time

from tests.support.compose import Site

SIZE = 64 << 20
"""More than all buffers on the way to a visitor hold."""


def test_a_web_server_that_stops_answers_what_it_was_asked_for_and_is_not_killed(site: Site) -> None:
    web, port = site.msk.region.web, site.msk.region.web_port
    site.msk.python(f"open('large', 'wb').truncate({SIZE})")
    stopping = threading.Thread(target=web.stop)
    with contextlib.ExitStack() as visitors:
        answers = []
        for _ in ("one who reads on", "one who never does"):
            visitor = visitors.enter_context(
                contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30))
            )
            visitor.request("GET", f"/{site.name}/large")
            answers.append(visitor.getresponse())
        began = time.monotonic()
        stopping.start()
        try:
            time.sleep(2)
            assert SIZE == len(answers[0].read())
            stopping.join()
            web.reload()
            assert 0 == web.attrs["State"]["ExitCode"]
            assert 5 < time.monotonic() - began < 29
        finally:
            stopping.join()
            web.start()
