"""The composition root: settings become a running node, every task of it has a name, and its end is an error."""

import asyncio
import contextlib
import secrets
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Final

import structlog

from sidecar import VERSION, log
from sidecar.core.backoff import Backoff
from sidecar.engine.ageing import Ageing
from sidecar.engine.commands import Commands
from sidecar.engine.draining import drain
from sidecar.engine.link import delay
from sidecar.engine.links import Links
from sidecar.engine.node import Node, now_us
from sidecar.engine.options import Options, Setup
from sidecar.engine.orders import Pending, Synced
from sidecar.engine.patience import Patience
from sidecar.engine.report import Reporter
from sidecar.engine.status import Status
from sidecar.errors import GeorootError, NeedsHelp, Retryable
from sidecar.fs.root import WebRoot, partial_path
from sidecar.index import files
from sidecar.index.faults import IndexDamaged
from sidecar.index.store import Index
from sidecar.link import identity, keys
from sidecar.link.listener import Listener
from sidecar.link.selftest import NoRoom, selftest
from sidecar.link.sshd import Sshd, SshdOptions
from sidecar.metrics import Metrics
from sidecar.web.server import serve
from sidecar.web.starting import Starting
from sidecar.web.statusfile import write_status

logger = structlog.get_logger(__name__)

RESTART: Final = Backoff(first=0.2, limit=30.0)
"""Of an sshd that ended."""
NOT_FLUSHED: Final = 4
"""The exit code of a node that was told to stop and could not send everything that was pending."""
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
TRIAL_BYTES: Final = 8 << 20
"""What the trial of rsync and gate needs at most, ten times over."""
Errand = Callable[[Commands], Awaitable[None]]
REBUILT_BEFORE: Final = 60.0
"""A new index that is damaged within so many seconds is not built once more."""


def run(setup: Setup) -> int:
    """Run a node until it is told to stop; its exit code.

    Raises:
        GeorootError: it cannot start, or what it stands on has gone.
    """
    log.configure(setup.log_level, setup.log_format, setup.log_file)
    logger.info("starting", version=VERSION, **setup.shown)
    aside = ""
    while True:
        began = time.monotonic()
        try:
            return asyncio.run(_run(setup, aside=aside))
        except* IndexDamaged as errors:
            if aside and time.monotonic() - began < REBUILT_BEFORE:
                raise  # the disk fails: another new index would not last either
            aside = set_aside(setup.options.state, _first(errors))


def sync_once(setup: Setup, within: float) -> tuple[Synced | None, int]:
    """Run a node until it and the regions have everything of each other; what is not, None if it was told to stop
    before, and its exit code. It logs what is at least a warning.

    Raises:
        GeorootError: as `run`.
    """
    done: list[Synced] = []

    async def errand(commands: Commands) -> None:
        done.append(await commands.sync(within))

    _log_quietly(setup)
    code = asyncio.run(_run(setup, errand))
    return (done[0] if done else None), code


def pending(setup: Setup, within: float) -> Pending:
    """What each region has not confirmed: a node that sends and receives nothing takes up what has changed, and asks.

    Raises:
        GeorootError: as `run`; it was told to stop before.
    """
    done: list[Pending] = []

    async def errand(commands: Commands) -> None:
        done.append(await commands.look(within))

    _log_quietly(setup)
    asyncio.run(_run(setup, errand, sends=False))
    if not done:
        raise GeorootError("it was told to stop")
    return done[0]


def _log_quietly(setup: Setup) -> None:
    log.configure("warning" if setup.log_level == "info" else setup.log_level, setup.log_format, setup.log_file)


def _first(errors: BaseExceptionGroup[IndexDamaged]) -> IndexDamaged:
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def open_index(state: str) -> Index:
    """The index of this volume, with a new run begun; a damaged one is set aside and begun anew.

    Raises:
        EnvironmentFault: it is a newer release's, another sidecar has it open, or it cannot be opened.
        IndexFull, IndexBusy: it cannot be written just now.
    """
    path = Path(state) / "index.db"
    try:
        return _begun(path)
    except IndexDamaged as error:
        aside = set_aside(state, error)
        index = _begun(path)
        index.set_aside = aside
        return index


def set_aside(state: str, damage: IndexDamaged) -> str:
    """Give the damaged index of this volume another name; which."""
    aside = files.quarantine(Path(state) / "index.db", now_us())
    logger.error("the index is damaged and set aside; a new one is built", problem=damage.problem, aside=str(aside))
    return str(aside)


def _begun(path: Path) -> Index:
    index = Index.open(path, lambda: secrets.randbits(63))
    try:
        boot_id = _BOOT_ID.read_text("ascii").strip()
        before = index.start_run(boot_id, now_us())
        if not before.clean:
            index.check()
    except BaseException:
        index.close()
        raise
    return index


async def _opened(setup: Setup, options: Options, root: WebRoot, metrics: Metrics) -> Index:
    """The same on a full disk too: when there is space again. Whoever asks meanwhile is told what it waits for."""

    async def opened() -> Index:
        return open_index(options.state)

    try:
        return await opened()
    except IndexDamaged:
        raise
    except (Retryable, NeedsHelp):
        patience = Patience("the index")
    said = Starting(options, setup.layout, root.free_bytes, patience, metrics.registry)
    async with _web(setup, said, None):
        return await patience.through(opened)


async def tried(room: bool, state: str, run_dir: str, env: dict[str, str]) -> str:
    """The version of rsync, tried where content arrives, or, if there is no room or a full quota, in `run_dir`."""
    if room:
        with contextlib.suppress(NoRoom):
            return await selftest(state, env)
    return await selftest(run_dir, env)


class Reported:
    """What the web side asks."""

    def __init__(self, reporter: Reporter, metrics: Metrics) -> None:
        self._reporter = reporter
        self.registry = metrics.registry

    def status(self) -> Status:
        """The node as it is now."""
        return self._reporter.status()


async def _run(setup: Setup, errand: Errand | None = None, *, sends: bool = True, aside: str = "") -> int:
    """A node until it is told to stop, or until its errand is done; `aside`: the index that was set aside before."""
    options = setup.options
    with contextlib.ExitStack() as held:
        root = held.enter_context(WebRoot(options.root, options.state, options.inbox))
        installed = keys.install(options.keys_dir, options.run_dir, [peer.region for peer in options.peers])
        env = identity.environment(options.run_dir)
        rsync = await tried(root.free_bytes() > TRIAL_BYTES, options.state, options.run_dir, env)
        metrics = Metrics()
        index = await _opened(setup, options, root, metrics)
        index.set_aside = index.set_aside or aside
        held.callback(index.close)
        name_of(index, options.node)
        node = Node(options, root, index, metrics, rsync)
        node.metrics.index_damaged.inc(bool(index.set_aside))
        held.callback(node.watcher.close)
        if node.rootwatch.uid_mismatch:
            logger.warning(node.rootwatch.uid_mismatch)
        links = Links(node, installed, env)
        sshd = _sshd(options, installed, env)
        await sshd.check()
        reporter = Reporter(node, links, sshd, setup.layout)
        commands, told = Commands(node, links), asyncio.Event()
        # a session of sshd may outlive its sshd: without a listener nobody is let in
        hears = _listening(options, links, node) if sends else contextlib.nullcontext()
        async with hears, _web(setup, Reported(reporter, metrics), commands):
            tasks = _tasks(setup, node, links, sshd, reporter) if sends else _looking(node, links)
            if errand is not None:
                tasks["errand"] = _done(errand(commands), told)
            code = await _until_told(tasks, node, links, reporter, told)
        try:
            index.stop()
        except Retryable as error:  # the next start looks at all of it, as after a kill
            logger.warning("the index could not be ended in order", problem=str(error))
        logger.info("stopped", flushed=code == 0)
        return code


def name_of(index: Index, name: str) -> None:
    """Keep the node's name in its index; another one than before is a new name for the same node."""
    if index.node and index.node != name:
        logger.warning("this volume's node was called otherwise", before=index.node, now=name)
    if index.node != name:
        index.set_node(name)


def _sshd(options: Options, installed: keys.InstalledKeys, env: dict[str, str]) -> Sshd:
    partial = partial_path(options.state)
    where = SshdOptions(options.ssh_listen, options.ssh_port, options.run_dir, options.inbox, options.root, partial)
    return Sshd(
        where, installed, env, delays=lambda attempt: delay(RESTART, attempt), changed=lambda _listens, _problem: None
    )


@contextlib.asynccontextmanager
async def _listening(options: Options, links: Links, node: Node) -> AsyncIterator[None]:
    regions, partial = [peer.region for peer in options.peers], node.partials.ready
    listener = Listener(options.run_dir, regions, links.arrived, links.refused, partial)
    await listener.start()
    try:
        yield
    finally:
        await listener.close()


def _web(setup: Setup, said: Reported | Starting, commands: Commands | None) -> AbstractAsyncContextManager[int]:
    return serve(said, commands, listen=setup.http_listen, port=setup.http_port, run_dir=setup.options.run_dir)


def _tasks(
    setup: Setup, node: Node, links: Links, sshd: Sshd, reporter: Reporter
) -> dict[str, Coroutine[Any, Any, None]]:
    tasks: dict[str, Coroutine[Any, Any, None]] = {
        "root": node.rootwatch.run(),
        "scan": node.scan(),
        "poll": node.polling.run(),
        "found": node.find(),
        "watch": node.watch(),
        "sshd": sshd.run(),
        **node.housekeeping.tasks(),
        **links.tasks(),
        "ageing": _ageing(node, links).run(),
    }
    if setup.status_file:
        tasks["status file"] = write_status(setup.status_file, setup.status_interval, reporter.status)
    return tasks


def _ageing(node: Node, links: Links) -> Ageing:
    keep, forget = node.options.tombstone_keep, node.options.forget_after
    return Ageing(node.index, links.links.values(), links.links, keep=keep, forget=forget, now_us=node.me.now_us)


def _looking(node: Node, links: Links) -> dict[str, Coroutine[Any, Any, None]]:
    """What runs in a node that sends and receives nothing."""
    masters = {f"master {region}": link.master.run() for region, link in links.links.items()}
    return {"scan": node.scan(), "watch": node.watch(), **masters}


async def _done(errand: Awaitable[None], told: asyncio.Event) -> None:
    await errand
    told.set()
    await asyncio.Event().wait()


async def _until_told(
    work: dict[str, Coroutine[Any, Any, None]], node: Node, links: Links, reporter: Reporter, told: asyncio.Event
) -> int:
    """Run all of `work` until a signal, or `told`, asks for the end; then flush, and end it.

    Raises:
        GeorootError: one of them ended by itself.
    """
    loop = asyncio.get_running_loop()
    for sig in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sig, told.set)
    loop.add_signal_handler(signal.SIGHUP, log.reopen)
    running = [loop.create_task(one, name=name) for name, one in work.items()]
    stop = loop.create_task(told.wait(), name="stop")
    try:
        await asyncio.wait((*running, stop), return_when=asyncio.FIRST_COMPLETED)
        _raise_ended(running)
        reporter.draining = True
        flushed = await drain(node, links)
        links.end()
        return 0 if flushed else NOT_FLUSHED
    finally:
        node.events.stop()
        for task in (*running, stop):
            task.cancel()
        await asyncio.gather(*running, stop, return_exceptions=True)


def _raise_ended(running: list[asyncio.Task[None]]) -> None:
    for task in running:
        if task.done():
            error = task.exception()
            raise error if error is not None else GeorootError(f"{task.get_name()} ended")
