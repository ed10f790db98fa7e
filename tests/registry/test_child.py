"""A process that answers too late is forgiven; one that is stuck is ended."""

from __future__ import annotations

import time

import pytest

from headset.core.clock import SystemClock
from headset.core.errors import ModelFailed
from headset.registry.child import Child
from headset.registry.child_message import Score, framed

pytestmark = pytest.mark.slow


@pytest.fixture
def child():
    made = Child(SystemClock())
    yield made
    made.close()


def test_a_late_answer_is_thrown_away_and_the_next_question_gets_its_own(child):
    with pytest.raises(ModelFailed, match=r"no answer within 0\.001 s"):  # it is still starting
        child.ask(Score(("a",)), 0.001, patience_s=600)
    with pytest.raises(ModelFailed, match="has no model loaded"):
        child.ask(Score(("b",)), 60, patience_s=600)
    child._write.write(framed(Score(("c",))))  # nothing of the first answer is left over
    with pytest.raises(ModelFailed, match="has no model loaded"):
        child.ask(Score(("d",)), 60)


def test_it_ends_when_its_parent_does_in_the_middle_of_a_message(child):
    child._write.write(framed(Score(("a",)))[:-1])
    child._write.close()
    assert child._process.wait(60) == 0


def test_a_process_that_is_stuck_is_ended(child):
    with pytest.raises(ModelFailed, match="no answer within"):
        child.ask(Score(("a",)), 0.001)
    deadline = time.monotonic() + 20
    while child._process.poll() is None:
        assert time.monotonic() < deadline
