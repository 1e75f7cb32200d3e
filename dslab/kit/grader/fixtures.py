"""What a check may ask for by naming it as a parameter."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING

import pytest

from dslab.kit.grader.request import derived_seed

if TYPE_CHECKING:
    from dslab.kit.grader.session import GradingSession
    from dslab.kit.topology.running import Topology


class Fixtures:
    """The fixtures of a graded run."""

    def __init__(self, session: GradingSession) -> None:
        self._session = session

    @pytest.fixture
    def topology(self, request: pytest.FixtureRequest) -> Iterator[Topology]:
        """The lab's topology, fresh for this check, with the services named by `step` up and ready."""
        with self._session.topology(request.node) as topology:
            yield topology

    @pytest.fixture
    def seed(self) -> int:
        """The run's seed."""
        return self._session.request.seed

    @pytest.fixture
    def rng(self, request: pytest.FixtureRequest) -> Random:
        """Random numbers that depend on the run's seed and the check's name, and on nothing else."""
        return Random(derived_seed(self._session.request.seed, request.node.name))
