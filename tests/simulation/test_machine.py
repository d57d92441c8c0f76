"""The same nodes as a Hypothesis state machine: slower than seeded histories, but it shrinks to the very steps.

.venv/bin/python -m pytest tests/simulation/test_machine.py --hypothesis-seed=1
"""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from sidecar.core import version as versions
from sidecar.core.entry import Version
from tests.support.simnode import Wrong
from tests.support.simworld import Setting, Step, World

NODE = st.integers(0, 2)
PEER = st.integers(0, 1)
SALT = st.integers(0, 1 << 16)


class Nodes(RuleBasedStateMachine):
    """Three nodes; at the end everything comes to rest and is checked."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(Setting((0.0, 3600.0, -3600.0), 4_000_000))

    @rule(node=NODE, salt=SALT)
    def write(self, node: int, salt: int) -> None:
        self.world.apply(Step("write", node, 0, salt))

    @rule(node=NODE, salt=SALT)
    def race(self, node: int, salt: int) -> None:
        self.world.apply(Step("race", node, 0, salt))

    @rule(node=NODE, salt=SALT)
    def absorb(self, node: int, salt: int) -> None:
        self.world.apply(Step("absorb", node, 0, salt))

    @rule(node=NODE, peer=PEER, salt=SALT, what=st.sampled_from(("connect", "cut", "tear", "move", "flow")))
    def link(self, node: int, peer: int, salt: int, what: str) -> None:
        self.world.apply(Step(what, node, peer, salt))

    @rule(node=NODE, salt=SALT)
    def kill(self, node: int, salt: int) -> None:
        self.world.apply(Step("kill", node, 0, salt))

    @rule(node=NODE, what=st.sampled_from(("start", "scan", "wait", "twice", "full")), salt=SALT)
    def carry_on(self, node: int, what: str, salt: int) -> None:
        self.world.apply(Step(what, node, 0, salt))

    @rule(node=NODE, salt=SALT)
    def solo(self, node: int, salt: int) -> None:
        self.world.apply(Step("solo", node, 0, salt))

    def teardown(self) -> None:
        self.world.apply(Step("calm"))


TestNodes = Nodes.TestCase
TestNodes.settings = settings(
    max_examples=150,
    stateful_step_count=30,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


def test_the_machine_finds_plain_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    def merge(a: Version, b: Version) -> Version:
        merged = real(a, b)
        best = versions.winner(merged)
        return Version(merged.vector, (best,) if best is not None else ())

    real = versions.merge
    monkeypatch.setattr(versions, "merge", merge)
    quick = settings(TestNodes.settings, phases=(Phase.generate,), report_multiple_bugs=False)
    with pytest.raises(Wrong, match="has the heads"):
        run_state_machine_as_test(Nodes, settings=quick)
