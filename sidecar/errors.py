"""Everything that can go wrong by name, and the exit code of each.

GeorootError                1
├── ConfigError             2   a setting is wrong
├── EnvironmentFault        3   what the node stands on is not as it must be
├── Retryable               1   it may work later: back off
├── NeedsHelp               1   it will not work until somebody does something; the rest goes on
└── ProtocolViolation       1   a peer said what no node says: the link is cut
"""


class GeorootError(Exception):
    """The root of the tree."""

    exit_code = 1


class ConfigError(GeorootError):
    """A setting is wrong: `setting` names it, `hint` says what to do."""

    exit_code = 2

    def __init__(self, setting: str, problem: str, hint: str) -> None:
        super().__init__(f"{setting}: {problem}; {hint}")
        self.setting, self.problem, self.hint = setting, problem, hint


class EnvironmentFault(GeorootError):
    """What the node stands on is not as it must be: `what` names it, `hint` says what to do."""

    exit_code = 3

    def __init__(self, what: str, problem: str, hint: str) -> None:
        super().__init__(f"{what}: {problem}; {hint}")
        self.what, self.problem, self.hint = what, problem, hint


class Retryable(GeorootError):
    """It may work later."""


class NeedsHelp(GeorootError):
    """It will not work until somebody does something: `hint` says what."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(f"{problem}; {hint}")
        self.problem, self.hint = problem, hint


class ProtocolViolation(GeorootError):
    """A peer said what no node says."""
