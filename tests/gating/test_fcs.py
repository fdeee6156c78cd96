"""FCS files: sound, compensated, broken."""

from __future__ import annotations

from io import BytesIO

import flowio
import numpy as np
import pandas as pd
import pytest

from bayesdecov.errors import InputError
from bayesdecov.gating.fcs import Channel, Raw, read_raw, spillover


def write(path, values, names, **keywords):
    with path.open("wb") as handle:
        flowio.create_fcs(handle, np.ravel(values).tolist(), names, None, keywords)
    return path


def test_values_and_channels(cytometry):
    cohort, paths = cytometry
    raw = read_raw(paths[0])
    assert np.allclose(raw.values, cohort.samples["donor01"].to_numpy(), rtol=1e-6)
    assert raw.channels[3] == Channel("FITC-A", "CD4", 262144.0)
    assert [c.kind for c in raw.channels[2:4]] == ["scatter", "fluorescence"]
    assert raw.channels[-1].kind == "time"
    assert not raw.integer
    assert not raw.notes


def test_spillover_of_the_file(cytometry):
    cohort, paths = cytometry
    matrix, index = spillover(read_raw(paths[0]), "file")
    assert np.allclose(matrix, cohort.spillover)
    assert index == list(range(3, 11))


def raw(text=None, names=("A", "B"), markers=("", "")):
    channels = [Channel(n, m, 1024.0) for n, m in zip(names, markers, strict=True)]
    keywords = {} if text is None else {"spillover": text}
    return Raw(np.zeros((3, len(names))), channels, keywords, "3.1", False, [])


def test_why_there_is_no_matrix():
    assert "not asked for" in spillover(raw("2,A,B,1,0.1,0,1"), "none")
    assert "no spillover" in spillover(raw(), "file")
    assert "identity" in spillover(raw("2,A,B,1,0,0,1"), "file")
    done = raw("2,Comp-A,Comp-B,1,.1,0,1", names=("Comp-A", "Comp-B"))
    assert "compensated already" in spillover(done, "file")


def test_dyes_by_marker_and_by_number():
    for text in ("2,x,y,1,0.1,0,1", "2,1,2,1,0.1,0,1"):
        matrix, index = spillover(raw(text, markers=("x", "y")), "file")
        assert index == [0, 1]
        assert matrix[0, 1] == 0.1


@pytest.mark.parametrize(("text", "said"), [
    ("2,A,C,1,0.1,0,1", "no 'C'"), ("2,A,B,1,1,1,1", "invertible"), ("two,A", "cannot be read"),
    ("2,A,B,1,0.1,0", "cannot be read"),
])  # fmt: skip
def test_bad_matrices(text, said):
    with pytest.raises(InputError, match=said):
        spillover(raw(text), "file")


def test_matrix_of_a_table(tmp_path):
    path = tmp_path / "m.csv"
    pd.DataFrame([[1, 0.2], [0, 1]], ["B", "A"], ["B", "A"]).to_csv(path)
    matrix, index = spillover(raw(), str(path))
    assert index == [1, 0]
    assert matrix[0, 1] == 0.2
    pd.DataFrame([[1, 0.2], [0, 1]], ["B", "C"], ["B", "A"]).to_csv(path)
    with pytest.raises(InputError, match="same channels"):
        spillover(raw(), str(path))


def test_broken_files(tmp_path, cytometry):
    whole = cytometry[1][0].read_bytes()
    cases = {
        "empty.fcs": b"", "text.fcs": b"FCS3.1    garbage garbage garbage garbage garbage",
        "cut.fcs": whole[: len(whole) // 2], "header.fcs": whole[:40],
        "zip.fcs": b"PK\x03\x04" + bytes(300),
    }  # fmt: skip
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name}.*no readable FCS file"):
            read_raw(tmp_path / name)
    with pytest.raises(InputError, match="does not exist"):
        read_raw(tmp_path / "none.fcs")


def test_several_data_sets(tmp_path):
    buffer = BytesIO()
    flowio.create_fcs(buffer, [1.0, 2.0, 3.0, 4.0], ["A", "B"], None, {})
    content = buffer.getvalue()
    assert b"$NEXTDATA" in content
    at = content.index(b"$NEXTDATA") + len("$NEXTDATA") + 1
    (tmp_path / "two.fcs").write_bytes(content[:at] + b"9" + content[at + 1 :])
    with pytest.raises(InputError, match="several data sets"):
        read_raw(tmp_path / "two.fcs")


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "said"), [
    ("SG_2014-09-26_Duplicate_Names.fcs", "ignore_offset_error"),
    ("data_start_offset_discrepancy_example.fcs", "ignore_offset_discrepancy"),
    ("data_stop_offset_discrepancy_example.fcs", "ignore_offset_discrepancy"),
])  # fmt: skip
def test_files_that_break_the_standard_are_read_with_a_note(real_data, name, said):
    found = read_raw(real_data / "fcs" / name)
    assert len(found.values)
    assert name in found.notes[0]
    assert said in found.notes[0]


@pytest.mark.real_data
def test_old_and_integer_files(real_data):
    found = read_raw(real_data / "fcs" / "Sample_Well_A02.fcs")
    assert (found.version, found.integer) == ("2.0", True)
    assert found.values.max() <= 1023  # raw channels, without log amplification undone
    with pytest.raises(InputError, match="no valid header"):
        read_raw(real_data / "fcs" / "corrupted.fcs")
