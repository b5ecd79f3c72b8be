"""Command lines and files with something wrong in them, and how agfrun must end whatever it is given.

Everything is drawn from a `random.Random`, so that a case that failed can be made again from its number.
"""

from __future__ import annotations

import dataclasses
import functools
import random
import signal
import string
from collections.abc import Callable, Sequence
from pathlib import Path

from processes import Command, assert_sound

from agfrun import RunConfig, UsageError, load_config
from agfrun.study import registry
from agfrun.study.config_tree import slot_groups
from agfrun.study.conversion import field_types, known_keys

# Seconds after which a command line is ended by Ctrl-C, and a last resort where that does not end it.
LIMIT, PATIENCE = 10.0, 300.0

# Lines that are no errors; the second kind is asked for with hydra.verbose.
ASIDES = ("agfrun: warning: ", "agfrun: DEBUG: ", "agfrun: compiling ", "sweep: ")
OF_ONE_RUN = "agfrun: error: ["
WENT_WRONG = ("agfrun: error: training diverged", "agfrun: error: training stalled")

# Command lines that are right, and whose runs take a moment.
CORRECT: tuple[tuple[str, ...], ...] = (
    ("model=quadratic_modadd", "data.p=4", "data.frequencies=[1]", "data.amplitudes=[4]", "model.width=3",
     "train.horizon=40", "train.tolerance=1e-4", "agf.max_events=2"),
    ("model=quadratic_modadd", "data.p=5", "data.frequencies=[1,2]", "data.amplitudes=[4,2]", "model.width=3",
     "train=gradient_descent", "train.learning_rate=0.02", "train.max_steps=200", "agf.max_events=2"),
    ("model=diagonal_linear", "init.scale=1e-4", "train.tolerance=1e-4"),
    ("model=diagonal_linear", "data=random_regression", "data.dimension=2", "data.samples=20", "init=gaussian",
     "seed=1", "train.horizon=5"),
    ("model=fully_connected_linear", "data.input_dimension=2", "data.output_dimension=2", "model.width=2",
     "init.scale=1e-3", "train.tolerance=1e-4"),
    ("model=linear_attention", "data.dimension=2", "init.scale=1e-2", "train.tolerance=1e-4"),
    ("model=relu", "data=orthogonal_inputs", "data.targets=[1.2,-0.8]", "model.width=2", "train.tolerance=1e-4"),
    ("model=monomial", "data=teacher_student", "data.samples=10", "data.input_dimension=2", "data.teacher_width=1",
     "model.width=2", "init.scale=0.1", "train.horizon=5", "agf.max_events=1"),
    ("model=diagonal_linear", "init=gaussian", "ensemble.seeds=2", "hydra/launcher=serial", "train.tolerance=1e-4"),
    ("study=dimension", "model.widths=[2,2,1]", "model.degree=2"),
    ("study=claims", "study.only=[quadratic_networks_turn_their_last_layer]", "study.seeds=1"),
    ("study=width", "model=quadratic_modadd", "study.widths=[3,4]", "study.seeds=1", "data.p=4",
     "data.frequencies=[1]", "data.amplitudes=[4]",
     "train.horizon=20", "train.tolerance=1e-4", "agf.max_events=1"),
)
ALWAYS = ("plots=false", "report=false", "device=cpu")

# Values of keys: of another type, not finite, beyond every range, half of a list, in Hydra's own language, ...
VALUES = (
    "", "''", "null", "~", "???", "true", "False", "yes", "nan", "inf", "-inf", "NaN", "-1", "0", "-0.0", "1", "2",
    "1.5", "1e400", "1e308", "1e-308", "5e-324", "1e-400", "9" * 40, "-" + "9" * 25, "1e3", "1_000", "0x10", "007",
    "1e", "1.2.3", "[]", "[1]", "[1,2", "]", "[nan]", "[1e400,2]", "[1,1]", "[[1]]", "[a,b]", "['']", "[null]",
    "[true]", "[1,2,3,4,5]", "{}", "{a:1}", "{name:relu}", "{", "}", "{a:{b:{c:1}}}", "'", '"', "'a", "\\", "$", "${",
    "${}", "${seed}", "${init.scale}", "${nothing}", "${model}", "${oc.env:HOME}", "${oc.env:NOTHING,1}", "${now:%Y}",
    "${now:%Q}", "${agfrun.first:null}", "${data.p}", "a b", "'a b'", "  1", "1 ", "é", "\N{PILE OF POO}",
    "\N{ARABIC-INDIC DIGIT ONE}", "\u202e1", "a\tb", "a\nb", "x" * 3000, "../x", "/dev/null", "/etc/passwd", "~/x", ".",
    "a=b", "=", "==1", ",", "1,2", "range(3)", "choice(1,2)", "interval(0,1)", "glob(*)", "int(1)", "str(1)",
    "float(1)", "bool(1)", "sort(3,1)", "shuffle(1,2)", "tag(a,1)", "extend_list(1)", "json_str('1')", "nothing(1)",
    "relu", "cuda", "cuda:7", "mps", "float16", "auto", "png", "[png,gif]", "%s", "{0}", "*", "?", "#", "-", "--help",
    ";", "|", "<b>", "!!python/object/apply:os.system [id]", "&a", "@b",
)
# Whole words, as they come of a slip or a guess.
WORDS = (
    "", " ", "=", "x", "x=1", "model", "model=", "=relu", "model==relu", "model.width", "model.=3", ".width=3",
    "model..width=3", "+seed=1", "++seed=1", "~seed", "~model", "~model.width", "+x=1", "++x=1", "~x", "~x=1",
    "+model=relu", "seed=1=2", "model@x=relu", "model@=relu", "+experiment=nothing", "experiment=../../x",
    "experiment=/etc/passwd", "study=wdith", "hydra=x", "hydra.x=1", "hydra.run.dir=", "hydra.run.dir=null",
    "hydra.run.dir=[1]", "hydra.run.dir=a/b", "hydra.job.name=x", "hydra.job.chdir=true", "hydra.verbose=true",
    "hydra.mode=MULTIRUN", "hydra.mode=x", "hydra/launcher=x", "hydra/sweeper=x", "hydra.output_subdir=null",
    "hydra.output_subdir=x", "--cfg", "--cfg=job", "--cfg=x", "--resolve", "--info", "--info=x", "--package=model",
    "--package=x", "-h", "-x", "--nothing", "--run", "--config-name=x", "--config-path=x", "--config-dir=x",
    "--config-dir", "--import", "--import=x", "--import=/dev/null", "--version", "--shell-completion=x", "--hydra-help",
    "--", "-", "plot", "report", "collect", "resume", "rerun", "claims", "plot x", "sweep.resume=x", "sweep.resume=.",
    "sweep.batch_size=0", "tracking=x", "tracking=mlflow tracking.uri=x", "checkpoint.keep=0", "checkpoint.seconds=-1",
    "checkpoint.seconds=nan", "plots=maybe", "plot_formats=[svg]", "plot_formats=[]", "overwrite=true",
    "ensemble.seeds=0", "ensemble.scales=[]", "ensemble.scales=[1e-2,1e-2]", "init.log10_scale=-400",
    "init.log10_scale=1", "data=samples_file data.path=x.csv", "data=custom_modular_addition data.path=x.npy",
    "device=cuda", "dtype=float32",
)


def mutated_command(draw: random.Random) -> list[str]:
    """A correct command line with one to three things changed in it."""
    words = [*draw.choice(CORRECT), *ALWAYS]
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        words = draw.choice(MUTATIONS)(words, draw)
    return words


def _other_value(words: list[str], draw: random.Random) -> list[str]:
    place = draw.randrange(len(words))
    key = words[place].partition("=")[0]
    return [*words[:place], f"{key}={draw.choice(VALUES)}", *words[place + 1:]]


def _key_with_any_value(words: list[str], draw: random.Random) -> list[str]:
    """Of the study that is asked for, or of the one with the most keys, which others refuse."""
    asked = next((word.partition("=")[2] for word in words if word.startswith("study=")), "compare")
    study = registry.study_type(asked if draw.random() < 0.5 else "compare")
    known = known_keys(study.settings, study.name) if study is not None else {}  # type: ignore[attr-defined]
    return [*words, f"{draw.choice(sorted(known) or ['seed'])}={draw.choice(VALUES)}"]


def _number(words: list[str], draw: random.Random) -> list[str]:
    """A number key that the configuration has, at any size: most pass the checks of the ranges, or nearly do."""
    key, kind = draw.choice(number_keys(draw.choice(CORRECT) if draw.random() < 0.1 else tuple(words[:4])))
    count = draw.choice((0, 1, 1, 2, 2, 3, 6))
    return [*words, f"{key}=" + (f"[{','.join(_drawn(kind, draw) for _ in range(count))}]" if "list" in kind
                                 else _drawn(kind, draw))]


def _drawn(kind: str, draw: random.Random) -> str:
    if "int" in kind and draw.random() < 0.9:
        return str(draw.choice((draw.randint(-2, 9), draw.randint(0, 300), 10 ** draw.randint(2, 30))))
    size = draw.choice((draw.uniform(0.0, 2.0), 10 ** draw.uniform(-6, 4), 10 ** draw.uniform(-323, 308)))
    return f"{-size if draw.random() < 0.1 else size:.3g}"


@functools.cache
def number_keys(words: tuple[str, ...]) -> list[tuple[str, str]]:
    """Keys of numbers and lists of numbers that a correct command line's configuration has, with their types."""
    try:
        config = load_config([word for word in words if word.partition("=")[0] in slot_groups()])
    except UsageError:
        config = RunConfig()
    kinds = {key: kind for key, kind in field_types(type(config)).items() if not dataclasses.is_dataclass(kind)}
    for group in (entry.name for entry in dataclasses.fields(config)):
        if dataclasses.is_dataclass(part := getattr(config, group)):
            kinds |= {f"{group}.{key}": kind for key, kind in field_types(type(part)).items()}  # type: ignore[arg-type]
    return [(key, str(kind)) for key, kind in kinds.items() if "int" in str(kind) or "float" in str(kind)]


def _misspelt(words: list[str], draw: random.Random) -> list[str]:
    place = draw.randrange(len(words))
    return [*words[:place], _with_slip(words[place], draw), *words[place + 1:]]


def _with_slip(text: str, draw: random.Random) -> str:
    """A letter left out, doubled, swapped with the next, replaced or put in."""
    at = draw.randrange(len(text)) if text else 0
    other = draw.choice(string.printable.replace("\x0b", "").replace("\x0c", "") + "éß\N{PILE OF POO}")
    return draw.choice((text[:at] + text[at + 1:], text[:at + 1] + text[at:], text[:at] + other + text[at:],
                        text[:at] + text[at + 1:at + 2] + text[at:at + 1] + text[at + 2:],
                        text[:at] + other + text[at + 1:], text[:at] + text[at:].swapcase()))


def _further_word(words: list[str], draw: random.Random) -> list[str]:
    place = draw.choice((0, len(words), draw.randrange(len(words))))
    return [*words[:place], *draw.choice(WORDS).split(" "), *words[place:]]


def _left_out(words: list[str], draw: random.Random) -> list[str]:
    place = draw.randrange(len(words))
    return words[:place] + words[place + 1:]


def _twice(words: list[str], draw: random.Random) -> list[str]:
    return [*words, draw.choice(words)]


def _of_another(words: list[str], draw: random.Random) -> list[str]:
    return [*words, draw.choice(draw.choice(CORRECT))]


MUTATIONS: tuple[Callable[[list[str], random.Random], list[str]], ...] = (
    _other_value, _other_value, _other_value, _key_with_any_value, _key_with_any_value, _number, _number, _number,
    _misspelt, _misspelt, _further_word, _further_word, _left_out, _twice, _of_another)


def complaint(arguments: Sequence[str], folder: Path, may_differ: bool = False) -> str | None:
    """Run a command line, whatever it is, in an empty folder; what is wrong with how it ended, or None.

    It ends with exit status 0, or 2 and one line, or, where training went wrong, 1 and one line that says how; a sweep
    says as much of each of its runs. It writes no traceback and no half-written file, and nothing at all if it ended
    with 2. What is asked for may take longer than `LIMIT`; Ctrl-C then ends it.

    Args:
        may_differ: exit status 1 without a line is fine too: what was compared is not the same.
    """
    here = folder / "here"
    here.mkdir(parents=True)
    command = Command(arguments, folder, here)
    command.process.join(LIMIT)
    if command.process.is_alive():
        command.kill(signal.SIGINT)
        command.process.join(PATIENCE)
        if command.process.is_alive():
            command.kill()
            command.process.join()
            return f"Ctrl-C did not end it in {PATIENCE:g} s"
    status, errors = command.process.exitcode, command.err.read_text(errors="replace")
    lines = [line for line in errors.splitlines() if line.strip() and not line.startswith(ASIDES)]
    written = [path for path in here.rglob("*") if path.is_file()]
    for failure in (path for path in written if path.name == "failed.json" and "traceback" in path.read_text()):
        return failure.read_text()
    swept = bool(lines) and all(line.startswith(OF_ONE_RUN) for line in lines)
    if "Traceback" in errors or "Traceback" in command.out.read_text(errors="replace"):
        return errors
    if status == 130:  # unless it came to its end by itself at that moment
        if len(lines) != 1:
            return f"Ctrl-C ended it with {len(lines)} lines: {errors}"
    elif status == 2:
        if len(lines) != 1 and not swept:
            return f"status 2 with {len(lines)} lines: {errors}"
        # A sweep keeps a row for each of its runs, refused or not.
        sweeps = {path.parent for path in written if path.name == "multirun.yaml"}
        if any(sweeps.isdisjoint(path.parents) for path in written):
            return f"refused, but wrote {written}: {errors}"
    elif status == 1:
        if not swept and (lines if may_differ else len(lines) != 1 or not lines[0].startswith(WENT_WRONG)):
            return f"status 1: {errors}"
    elif status != 0:
        return f"status {status}: {errors}"
    for done in here.rglob("config.yaml"):
        try:
            assert_sound(done.parent)
        except Exception as error:
            return f"{done.parent.name}: {error!r}"
    return None
