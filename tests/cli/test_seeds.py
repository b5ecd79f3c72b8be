"""The short form `ensemble.seeds=N` is a sweep."""

from __future__ import annotations

import pytest

from agfrun import ConfigError
from agfrun.cli.seeds import as_sweep


@pytest.mark.parametrize(("short", "long"), [
    ("model=relu", "model=relu"),
    ("model=relu ensemble.seeds=4", "--multirun model=relu seed=range(0,4)"),
    ("ensemble.seeds=4 seed=3 plots=false", "--multirun plots=false seed=range(3,7)"),
    ("seed=1 ensemble.seeds=2 seed=3", "--multirun seed=range(3,5)"),  # the last of a key counts
    ("ensemble.seeds=1", "--multirun seed=0"),
    ("ensemble.seeds=2 ensemble.seeds=3", "--multirun seed=range(0,3)"),
    ("-m init.scale=1e-2,1e-3 ensemble.seeds=2", "-m init.scale=1e-2,1e-3 seed=range(0,2)"),
    ("--multirun ensemble.seeds=2 model.width=3,4", "--multirun model.width=3,4 seed=range(0,2)"),
    ("ensemble.scales=[1e-2,1e-3]", "--multirun init.scale=1e-2,1e-3"),
    ("init.scale=0.5 ensemble.scales=[1e-2] ensemble.seeds=2", "--multirun seed=range(0,2) init.scale=1e-2"),
    ("ensemble.scales=null ensemble.seeds=2", "--multirun seed=range(0,2)"),
    ("ensemble.other=2", "ensemble.other=2"),  # no key, which the configuration says
])
def test_the_short_form_is_written_out(short: str, long: str) -> None:
    assert as_sweep(short.split()) == long.split()


@pytest.mark.parametrize(("arguments", "line"), [
    (["ensemble.seeds=0"], "ensemble.seeds=0 is not allowed: must be an integer from 1 to 100000; it is short for "),
    (["ensemble.seeds=100001"], "ensemble.seeds=100001 is not allowed: must be an integer from 1 to 100000; "),
    (["ensemble.seeds=1,2"], "ensemble.seeds=1,2 is not allowed"), (["ensemble.seeds="], 'ensemble.seeds="" is not'),
    (["ensemble.seeds=2.0"], "ensemble.seeds=2.0 is not allowed"),
    (["ensemble.seeds=2", "seed=0,1"], "seed=0,1 is not allowed: must be an integer of at least 0 beside "),
    (["ensemble.seeds=2", "seed=-1"], "seed=-1 is not allowed"),
    (["ensemble.scales=[]"], "ensemble.scales=[] is not allowed: must be a list such as [1e-2,1e-3]; it is short for "),
    (["ensemble.scales=1e-2"], "ensemble.scales=1e-2 is not allowed"),
])
def test_what_is_no_number_of_seeds_is_refused(arguments: list[str], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        as_sweep(arguments)
    assert str(caught.value).startswith(line)
