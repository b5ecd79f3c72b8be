"""The gathered loss as Parquet, which reads ten times faster than CSV: with the extra `agfrun[parquet]`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from agfrun.files.inside import is_there
from agfrun.files.reading import open_inside
from agfrun.files.writing import replacing
from agfrun.study.errors import OutputError, UsageError

LARGE = 50 * 2**20
# Block by block: no more of it is in memory.
MOST_TO_CONVERT = 2**40


def write_parquet(table: Path, asked: bool | None) -> list[Path]:
    """Write a CSV table as Parquet beside it, block by block.

    Args:
        table: the CSV file.
        asked: None: where the file is large and pyarrow is installed.

    Returns:
        The file, or nothing if none was written.

    Raises:
        UsageError: it is asked for and pyarrow is not installed.
        OutputError: the file cannot be written.
    """
    if asked is False or not is_there(table) or (asked is None and table.lstat().st_size < LARGE):
        return []
    if find_spec("pyarrow") is None:
        if asked:
            raise UsageError("sweep.parquet=true needs pyarrow: pip install 'agfrun[parquet]'")
        return []
    import pyarrow
    import pyarrow.csv
    import pyarrow.parquet

    path = table.with_suffix(".parquet")
    try:
        with (open_inside(table, MOST_TO_CONVERT) as source, replacing(path) as target,
              pyarrow.csv.open_csv(source) as reader,
              pyarrow.parquet.ParquetWriter(target, reader.schema) as writer):
            for block in reader:
                writer.write_batch(block)
    except (OSError, pyarrow.ArrowException) as error:
        raise OutputError(f"cannot write {path}: {' '.join(str(error).split())}") from error
    return [path]
