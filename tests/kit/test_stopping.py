"""Signals as an event, and what becomes of them afterwards."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

import pytest
import uvloop

from dslab.kit.stopping import STOPS, stop_event

LOOPS = pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
NewLoop = Callable[[], asyncio.AbstractEventLoop]


@LOOPS
@pytest.mark.parametrize("stop", STOPS)
def test_a_signal_sets_it(new_loop: NewLoop, stop: signal.Signals) -> None:
    async def serve() -> bool:
        with stop_event() as stopped:
            os.kill(os.getpid(), stop)
            return await asyncio.wait_for(stopped.wait(), 30)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(serve())


@LOOPS
def test_afterwards_ctrl_c_is_what_it_was(new_loop: NewLoop) -> None:
    async def serve() -> None:
        with stop_event():
            raise LookupError

    with asyncio.Runner(loop_factory=new_loop) as runner, pytest.raises(LookupError):
        runner.run(serve())
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
