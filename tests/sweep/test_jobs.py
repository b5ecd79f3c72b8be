from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agfrun.files.sweep_jobs import Job, batches_of, job_of, jobs_of, swept_keys, without_vectorized
from agfrun.sweep.multirun import covering

OVERRIDES = st.fixed_dictionaries({
    "seed": st.integers(0, 5).map(str), "init.scale": st.sampled_from(["0.1", "0.01"]),
    "model.width": st.sampled_from(["3", "4", "5"]),
}).map(lambda values: [f"{key}={value}" for key, value in values.items()])


@given(st.lists(OVERRIDES, min_size=1, max_size=60), st.integers(1, 12), st.none() | st.integers(1, 5), st.booleans())
def test_batches_hold_every_job_once(overrides: list[list[str]], size: int, workers: int | None,
                                     together: bool) -> None:
    jobs = jobs_of(overrides)
    batches = batches_of(jobs, size, workers, together)
    assert sorted(job.folder for batch in batches for job in batch.jobs) == sorted({job.folder for job in jobs})
    assert all(1 <= len(batch.jobs) <= size for batch in batches)


def test_every_worker_has_something_to_do() -> None:
    jobs = jobs_of([[f"seed={seed}"] for seed in range(8)])
    assert len(batches_of(jobs, 32, 2, together=True)) == 2
    assert len(batches_of(jobs, 32, 2, together=False)) == 8
    assert len(batches_of(jobs, 32, None, together=True)) == 1


def test_jobs_that_can_be_trained_together_share_batches() -> None:
    jobs = jobs_of([[f"model.width={width}", f"seed={seed}"] for seed in range(4) for width in (3, 4)])
    for batch in batches_of(jobs, 4, 2, together=True):
        assert len({without_vectorized(job) for job in batch.jobs}) == 1


def test_a_folder_is_named_by_what_decides_the_numbers() -> None:
    job = job_of(["seed=3", "sweep.resume=there", "plots=false", "init.scale=0.1", "overwrite=true"])
    assert job == Job(("seed=3", "plots=false", "init.scale=0.1", "overwrite=true"), "init.scale=0.1,seed=3")
    assert job_of(["init.scale=0.1", "seed=3"]).folder == job.folder


def test_swept_keys() -> None:
    jobs = jobs_of([["model=relu", "seed=0", "agf=timed"], ["model=relu", "seed=1"]])
    assert swept_keys(jobs) == ["seed", "agf"]
    assert swept_keys(jobs[:1]) == []


def test_every_key_and_choice_is_looked_at_before_anything_runs() -> None:
    jobs = [[f"model={model}", f"seed={seed}", *(["hydra/launcher=ray"] if seed == 7 else [])]
            for model in ("relu", "foo") for seed in range(50)]
    assert list(covering(jobs)) == [jobs[0], jobs[7], jobs[50]]
