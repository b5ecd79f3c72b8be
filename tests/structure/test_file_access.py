"""Nothing but the few modules made for it opens, writes, makes or removes files of folders that anybody may have made.

Read from the source: every call by a name that opens or changes a file. What is left is listed with the reason.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from import_graph import modules

# The modules that all others go through.
THROUGH = {"agfrun.files.inside", "agfrun.files.reading", "agfrun.files.writing", "agfrun.files.locking"}
CALLS = {
    "open", "fdopen", "open_code", "read_text", "read_bytes", "write_text", "write_bytes", "touch", "unlink",
    "rmdir", "removedirs", "rmtree", "mkdir", "makedirs", "renames", "symlink_to", "hardlink_to", "link",
    "symlink", "truncate", "ftruncate", "mkfifo", "chmod", "utime", "copy2", "copyfile", "copytree",
    "read_csv", "read_parquet", "read_json", "to_csv", "to_parquet", "to_json", "loadtxt", "genfromtxt",
    "fromfile", "memmap", "savez", "savetxt", "tofile", "open_csv", "ParquetWriter", "ParquetFile", "read_table",
    "load_file", "save_file", "safe_open", "safe_load", "imread", "imsave", "savefig", "ZipFile", "NamedTemporaryFile",
    "TemporaryFile", "mkstemp", "copyfileobj", "file_digest", "FileIO",
}
# Lists, arrays and tables have such methods too.
OF_MODULES = {
    ("os", "remove"), ("os", "rename"), ("os", "replace"), ("shutil", "copy"), ("shutil", "move"), ("np", "load"),
    ("numpy", "load"), ("torch", "load"), ("OmegaConf", "load"), ("json", "load"), ("yaml", "load"), ("np", "save"),
    ("torch", "save"), ("OmegaConf", "save"), ("json", "dump"), ("pickle", "load"), ("numpy", "save"),
}
# Of objects that are no files, or by a module that takes what was opened.
HARMLESS = {
    ("agfrun.files.parsing", "load"): "from a text that was read",
    ("agfrun.files.tables", "read_csv"): "of an open table",
    ("agfrun.runner.provenance", "file_digest"): "of an open file",
    ("agfrun.sweep.stacking", "copyfileobj"): "between open files",
    ("agfrun.sweep.parquet", "open_csv"): "of an open table",
    ("agfrun.sweep.parquet", "ParquetWriter"): "into an open file",
    ("agfrun.report.figures.style", "savefig"): "into memory",
    ("agfrun.files.array_files", "ZipFile"): "of an open file",
    ("agfrun.files.array_files", "open"): "a member of an open archive",
    ("agfrun.files.array_files", "loadtxt"): "of a text that was read",
}
# What is no folder of a run or a sweep, and nothing that the user names.
ELSEWHERE = {
    ("agfrun.cli.main", "open"): "standard streams",
    ("agfrun.labs.neuromanifolds.landscape.msolve", "write_text"): "a temporary file, for another program",
    ("agfrun.labs.neuromanifolds.landscape.msolve", "read_text"): "a temporary file, of another program",
    ("agfrun.cli.help", "read_text"): "configurations that the user has put on the search path",
    ("agfrun.cli.help", "safe_load"): "configurations that the user has put on the search path",
    ("agfrun.configuration.hydra_errors", "read_text"): "shipped configurations",
    ("agfrun.configuration.hydra_folders", "mkdir"): "a new folder, where the user says",
    ("agfrun.configuration.hydra_folders", "rmdir"): "empty folders that it has made",
    ("agfrun.configuration.hydra_folders", "unlink"): "the record of a sweep of which nothing came, in such a folder",
    ("agfrun.configuration.preset_files", "read_bytes"): "configurations that the user has put on the search path",
    ("agfrun.configuration.preset_files", "safe_load"): "configurations that the user has put on the search path",
    ("agfrun.report.html.page", "read_text"): "this package's own templates",
    ("agfrun.study.config_tree", "open"): "shipped configurations",
    ("agfrun.study.config_tree", "read_text"): "shipped configurations",
    ("agfrun.study.config_tree", "safe_load"): "shipped configurations",
    ("agfrun.study.memory", "read_text"): "the system's",
    ("agfrun.study.paper_claim", "read_text"): "this package's own modules",
    ("agfrun.tracking.mlflow_store", "mkdir"): "the folder of a store that the user names",
    ("agfrun.tracking.tensorboard_files", "mkdir"): "a folder of events that the user names",
    ("agfrun.tracking.tensorboard_files", "unlink"): "our own event files there",
    ("agfrun.labs.stitching.datasets.emoji", "read_bytes"): "this package's own texts",
    ("agfrun.files.machine_code", "mkdir"): "the compiler's cache",
    ("agfrun.files.machine_code", "read_bytes"): "this package's own modules",
}


def calls() -> Iterator[tuple[str, str, int]]:
    """Module, name and line of every call by such a name."""
    for module, path in modules().items():
        if module in THROUGH:
            continue
        ours = _of_ours(tree := ast.parse(path.read_text(encoding="utf-8")))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                name = _called(node.func)
                if _is_of_files(node.func) and name not in ours:
                    yield module, name, node.lineno


def _called(function: ast.expr) -> str:
    if isinstance(function, ast.Name):
        return function.id
    return function.attr if isinstance(function, ast.Attribute) else ""


def _is_of_files(function: ast.expr) -> bool:
    name = _called(function)
    return name in CALLS or (isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)
                             and (function.value.id, name) in OF_MODULES)


def _of_ours(tree: ast.Module) -> set[str]:
    """Names that a module has from this package, where the functions are called as they are."""
    return {alias.asname or alias.name for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("agfrun.") for alias in node.names}


FOUND = list(calls())


def test_everything_goes_through_the_modules_that_were_made_for_it() -> None:
    known = {*HARMLESS, *ELSEWHERE}
    assert [f"{module}:{line}: {name}" for module, name, line in FOUND if (module, name) not in known] == []


def test_the_lists_of_exceptions_are_no_longer_than_they_have_to_be() -> None:
    assert {*HARMLESS, *ELSEWHERE} - {(module, name) for module, name, _ in FOUND} == set()


@pytest.mark.parametrize("line", ["open(path)", "path.read_text()", "np.load(path)", "shutil.rmtree(folder)",
                                  "pd.read_csv(path)", "io.open(path)", "os.unlink(path)", "os.remove(path)",
                                  "os.replace(a, b)"])
def test_such_calls_are_found(line: str) -> None:
    call = next(node for node in ast.walk(ast.parse(line)) if isinstance(node, ast.Call))
    assert _is_of_files(call.func)
