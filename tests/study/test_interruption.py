from __future__ import annotations

import os
import signal

import pytest

from agfrun.study.interruption import Interruption


def test_an_interruption_waits_for_the_end_of_a_step() -> None:
    done = []
    with Interruption() as interruption:
        while not interruption.asked:
            os.kill(os.getpid(), signal.SIGINT)
            done.append("whole step")
    assert done == ["whole step"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_interruption_does_not_wait() -> None:
    def asked_twice() -> None:
        with Interruption():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            raise AssertionError("not reached")

    with pytest.raises(KeyboardInterrupt):
        asked_twice()
