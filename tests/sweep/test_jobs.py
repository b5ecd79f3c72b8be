from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from agfrun.files.sweep_folder import SweepFolder
from agfrun.files.sweep_jobs import Batch, Job, batches_of, in_common, job_of, jobs_of, swept_keys
from agfrun.sweep.splitting import covering

# What `compare` says of itself.
TOGETHER = ("seed", "init.scale", "init.log10_scale")
OVERRIDES = st.fixed_dictionaries({
    "seed": st.integers(0, 5).map(str), "init.scale": st.sampled_from(["0.1", "0.01"]),
    "model.width": st.sampled_from(["3", "4", "5"]),
}).map(lambda values: [f"{key}={value}" for key, value in values.items()])


@given(st.lists(OVERRIDES, min_size=1, max_size=60), st.integers(1, 12), st.none() | st.integers(1, 5),
       st.sampled_from([(), ("seed",), TOGETHER]))
def test_batches_hold_every_job_once(overrides: list[list[str]], size: int, workers: int | None,
                                     together: tuple[str, ...]) -> None:
    jobs = jobs_of(overrides)
    batches = batches_of(jobs, size, workers, together)
    assert sorted(job.folder for batch in batches for job in batch.jobs) == sorted({job.folder for job in jobs})
    assert all(1 <= len(batch.jobs) <= size for batch in batches)
    assert {batch.together for batch in batches} == {together}


def test_every_worker_has_something_to_do() -> None:
    jobs = jobs_of([[f"seed={seed}"] for seed in range(8)])
    assert len(batches_of(jobs, 32, 2, together=TOGETHER)) == 2
    assert len(batches_of(jobs, 32, 2, together=())) == 8
    assert len(batches_of(jobs, 32, None, together=TOGETHER)) == 1


def test_jobs_that_can_be_trained_together_share_batches() -> None:
    jobs = jobs_of([[f"model.width={width}", f"seed={seed}"] for seed in range(4) for width in (3, 4)])
    for batch in batches_of(jobs, 4, 2, together=TOGETHER):
        assert len({in_common(job, TOGETHER) for job in batch.jobs}) == 1


def test_a_study_says_which_keys_only_change_numbers() -> None:
    jobs = jobs_of([[f"model.degree={degree}", f"seed={seed}", f"init.scale={scale}"] for degree in (2, 3)
                    for seed in range(2) for scale in ("0.1", "0.01")])
    sizes = {together: [len(batch.jobs) for batch in batches_of(jobs, 32, None, together)]
             for together in ((), ("seed",), TOGETHER, ("model.degree", *TOGETHER))}
    # Without a number of workers, neighbours are put together up to the size of a batch.
    assert set(map(tuple, sizes.values())) == {(8,)}
    assert [len(batch.jobs) for batch in batches_of(jobs, 32, 2, TOGETHER)] == [4, 4]
    assert [len(batch.jobs) for batch in batches_of(jobs, 32, 1, ("model.degree", *TOGETHER))] == [8]


def test_a_batch_survives_its_file(tmp_path: Path) -> None:
    batch = Batch((job_of(["seed=1"]), job_of(["seed=2", "init.scale=0.1"])), TOGETHER, ("mine.py",), ("mine",))
    sweep = SweepFolder(tmp_path)
    with sweep.claimed():
        assert sweep.write_batches([batch, Batch(batch.jobs)]) == [0, 1]
    assert [sweep.read_batch(number) for number in (0, 1)] == [batch, Batch(batch.jobs)]


def test_a_folder_is_named_by_what_decides_the_numbers() -> None:
    job = job_of(["seed=3", "sweep.resume=there", "plots=false", "init.scale=0.1", "overwrite=true"])
    assert job == Job(("seed=3", "plots=false", "init.scale=0.1", "overwrite=true"), "init.scale=0.1,seed=3")
    assert job_of(["init.scale=0.1", "seed=3"]).folder == job.folder


def test_swept_keys() -> None:
    jobs = jobs_of([["model=relu", "seed=0", "agf=decoupled"], ["model=relu", "seed=1"]])
    assert swept_keys(jobs) == ["seed", "agf"]
    assert swept_keys(jobs[:1]) == []


def test_every_key_and_choice_is_looked_at_before_anything_runs() -> None:
    jobs = [[f"model={model}", f"seed={seed}", *(["hydra/launcher=ray"] if seed == 7 else [])]
            for model in ("relu", "foo") for seed in range(50)]
    assert list(covering(jobs)) == [jobs[0], jobs[7], jobs[50]]
