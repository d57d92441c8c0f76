"""What is never replicated: patterns as rsync and lsyncd write them, compiled by pathspec into one expression.

`/x` is anchored at the web root, `a/b` matches at the end of any path, `x/` matches directories only, `*` and `?` stop
at a slash, `**` does not, `[...]` is a class. What lies in an excluded directory is excluded with it.
"""

import re
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from pathspec.patterns.gitignore import GitIgnorePatternError
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from sidecar.core import paths
from sidecar.core.paths import RelPath
from sidecar.errors import ConfigError

Excluded: TypeAlias = Callable[[RelPath, bool], bool]
"""(path, is a directory) -> is it never replicated?"""

_RANDOM: Final = ("[A-Z]?????", "?[A-Z]????", "??[A-Z]???", "???[A-Z]??", "????[A-Z]?", "?????[A-Z]")

DEFAULTS: Final = (
    ".*.sw[a-p]",
    ".sw[a-p]",
    "*~",
    ".#*",
    ".nfs*",
    ".DS_Store",
    "._.DS_Store",
    "/lost+found/",
    *(f".?*.{end}" for end in _RANDOM),
    ".~tmp~/",
)
"""What editors (vim, emacs, nano), file systems and rsync leave for a moment. rsync's temporaries are `.name.XXXXXX`; a
capital letter among the six tells 24 of 25 of them from a name such as `.env.sample`. vim's `4913` is left out: it is
gone before it is looked at, and may be the number of somebody's page."""


def excluder(patterns: Iterable[str]) -> Excluded:
    """Compile patterns.

    Raises:
        ConfigError: one is no pattern, or re-includes (`!x`, `+ x`), which is not offered.
    """
    parts = [_compiled(pattern) for pattern in patterns]
    if not parts:
        return lambda *_: False
    matches = re.compile(b"|".join(b"(?:%s)" % part for part in parts), re.DOTALL).match

    def excluded(path: RelPath, is_dir: bool) -> bool:
        return matches(path + b"/" if is_dir else path) is not None

    return excluded


def within_excluded(excluded: Excluded, path: RelPath, is_dir: bool) -> bool:
    """The same for a path of which nothing is known about the directories above it."""
    return excluded(path, is_dir) or any(excluded(above, True) for above in paths.ancestors(path))


def _compiled(pattern: str) -> bytes:
    text = pattern.removeprefix("- ")
    if not text.strip("/") or text.startswith(("!", "+ ")):
        raise ConfigError("exclude", f"{pattern!r} is no pattern that excludes", "write a name or path, as for rsync")
    if text.startswith("#"):
        text = "\\" + text
    if not text.startswith("/") and "/" in text.rstrip("/"):
        text = "**/" + text
    try:
        regex, _ = GitIgnoreSpecPattern.pattern_to_regex(text.encode("utf-8", "surrogateescape"))
    except GitIgnorePatternError as error:
        raise ConfigError("exclude", f"{pattern!r}: {error}", "write a name or path, as for rsync") from error
    if not isinstance(regex, bytes):
        raise ConfigError("exclude", f"{pattern!r} matches nothing", "write a name or path, as for rsync")
    # `$` would also match before a newline that ends a name
    return re.sub(rb"\(\?P<\w+>", b"(?:", regex).replace(b"|$)", b"|\\Z)")
