"""Every kind of dataset gives the table that the same rows give as CSV, some rows at a time or whole."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from friendlyfl.tasks import formats


@pytest.mark.parametrize(("groups", "rows"), [(3, 4), (4, 3), (5, 5), (100, 7), (1, 100)])
def test_parquet_batches_have_the_same_rows_whatever_the_row_groups(tmp_path, groups, rows):
    table = pa.table({"n": pa.array([*range(16), None]), "word": [f"w{i % 5}" for i in range(17)]})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=groups)
    found = list(formats.batches(tmp_path / "t.parquet", rows=rows))
    assert [len(frame) for frame in found[:-1]] == [rows] * (len(found) - 1)
    whole = pd.concat(found)
    assert whole.index.tolist() == list(range(17))
    assert whole["n"].tolist()[:16] == list(range(16)) and whole["n"].isna().tolist()[16]
    assert whole["word"].tolist() == table["word"].to_pylist()
