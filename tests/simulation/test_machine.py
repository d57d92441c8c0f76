"""The same nodes as a Hypothesis state machine: slower than seeded histories, but it shrinks to the very steps.

.venv/bin/python -m pytest tests/simulation/test_machine.py --hypothesis-seed=1
"""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

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

    @rule(node=NODE, what=st.sampled_from(("start", "scan", "wait")), salt=SALT)
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
