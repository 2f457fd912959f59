"""Rows on disk. While a sweep is at work each row is a line of FILE.rows as soon as it is done; in the end FILE has all of
them in the order of the points, and FILE.rows is gone. A row is known again by its point, the model and the version."""

import csv
import hashlib
import io
import json
import os
from pathlib import Path

from .. import _native
from .measure import COLUMNS
from .points import AXES

FORMATS = (".csv", ".json", ".parquet")
KEYS = ("model", "version")
_NUMBERS = {"seconds", "estimated", "hard_bound", "floor_bound", "wires_bound"}
_TEXTS = {"target", "region", "stages", "chunk", "precision", "objective", "options", "outcome", "reason", *KEYS}


def digest(model):
    """Says which model a row is of."""
    with open(model, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def parquet():
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ImportError("a Parquet file needs the extra 'parquet': pip install 'waferloom[parquet]'; .csv and .json need "
                          "nothing") from None
    return pyarrow


def number(text):
    """What a cell of a CSV file stands for."""
    try:
        return int(text)
    except ValueError:
        return float(text)


def normal(row):
    """Types do not depend on the format or on how a row came to be; texts stay texts."""
    row = {name: row.get(name) for name in (*KEYS, *COLUMNS)}
    for name, value in row.items():
        if value in (None, ""):
            row[name] = None
        elif name in _TEXTS:
            row[name] = str(value)
        else:
            value = number(value) if isinstance(value, str) else value
            row[name] = float(value) if name in _NUMBERS else int(value)
    return row


def read(path):
    """The rows of a file that a sweep wrote."""
    path = Path(path)
    if path.suffix == ".csv":
        with open(path, newline="") as file:
            return [normal(row) for row in csv.DictReader(file)]
    if path.suffix == ".json":
        return [normal(row) for row in json.loads(path.read_text())]
    return [normal(row) for row in parquet().parquet.read_table(path).to_pylist()]


def content(rows, suffix):
    """The bytes of a file."""
    if suffix == ".csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, (*KEYS, *COLUMNS), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue().encode()
    if suffix == ".json":
        return ("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n").encode()
    pyarrow = parquet()
    types = {name: pyarrow.string() if name in _TEXTS else pyarrow.float64() if name in _NUMBERS else pyarrow.int64()
             for name in (*KEYS, *COLUMNS)}
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, pyarrow.schema(types.items())), sink)
    return sink.getvalue().to_pybytes()


class Rows:
    """The file of a sweep; without a path the rows are kept in memory alone."""

    def __init__(self, path, keys):
        self._keys = keys
        self._known = {}
        self._path = path and Path(path)
        if not path:
            return
        if self._path.suffix not in FORMATS:
            raise ValueError(f"a sweep writes {', '.join(FORMATS)}, not '{path}'")
        if self._path.suffix == ".parquet":
            parquet()
        self._journal = Path(f"{path}.rows")
        if self._path.exists():
            self._keep(read(self._path))
        if self._journal.exists():
            # The last line may be half of one.
            text = self._journal.read_text()
            self._keep(normal(json.loads(line)) for line in text[:text.rfind("\n") + 1].splitlines())
            self._journal.write_text(text[:text.rfind("\n") + 1])
        self._file = open(self._journal, "a")  # an error of the folder is one now

    def _keep(self, rows):
        for row in rows:
            if any(row[name] != value for name, value in self._keys.items()):
                raise ValueError(f"'{self._path}' has rows of another model, or of version {row['version']} of Waferloom; choose "
                                 "another output")
            self._known[self._name(row)] = row

    @staticmethod
    def _name(row):
        """What tells points apart."""
        return json.dumps([row[name] for name in (*AXES, "options")])

    def find(self, point):
        """The row of a point; None: it is not known yet. `point`: as `measure.named` gives it."""
        return self._known.get(self._name(normal(point)))

    def add(self, row):
        row = normal(self._keys | row)
        self._known[self._name(row)] = row
        if self._path:
            print(json.dumps(row), file=self._file, flush=True)
            os.fsync(self._file.fileno())
        return row

    def finish(self, rows):
        """Writes the file, whole or not at all; rows of other points that it had stay behind them."""
        if not self._path:
            return
        self._file.close()
        names = {self._name(row) for row in rows}
        rows = [*rows, *(row for name, row in self._known.items() if name not in names)]
        try:
            _native.write_text(os.fsencode(self._path), content(rows, self._path.suffix))
        except _native.Failure as error:
            raise OSError(str(error)) from None
        self._journal.unlink()

    def close(self):
        """Leaves what is done for the next time."""
        if self._path and not self._file.closed:
            self._file.close()
