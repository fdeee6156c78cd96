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
        "empty.fcs": b"",
        "text.fcs": b"FCS3.1    garbage garbage garbage garbage garbage",
        "cut.fcs": whole[: len(whole) // 2],
        "header.fcs": whole[:40],
        "zip.fcs": b"PK\x03\x04" + bytes(300),
    }
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name}.*cannot be read as an FCS file"):
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
    ("SG_2014-09-26_Duplicate_Names.fcs", "end of data off by one byte"),
    ("data_start_offset_discrepancy_example.fcs", "offsets of the text segment"),
    ("data_stop_offset_discrepancy_example.fcs", "offsets of the text segment"),
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


def old(text, names, **more):
    channels = [Channel(n, "", 1024.0) for n in names]
    return Raw(np.zeros((3, len(names))), channels, {"comp": text} | more, "3.0", False, [])


def test_spillover_of_old_and_of_compensated_files():
    matrix, index = spillover(old("2,1,0.2,0.1,1", ("FSC", "A", "B")), "file")  # no names
    assert index == [1, 2]
    assert matrix[0, 1] == 0.2
    matrix, _ = spillover(old("2,1,0.2,0.1,1", ("A", "B"), spillover="0", spill=""), "file")
    assert matrix[1, 0] == 0.1
    for names in (("Comp-A", "Comp-B"), ("<A>", "<B>")):
        done = raw("2,A,B,1,.1,0,1", names=names)
        assert "compensated already" in spillover(done, "file")


@pytest.mark.parametrize(("matrix", "said"), [
    ([[100, 20], [0, 100]], "ones on its diagonal; found 100. Divide percentages"),
    ([[1, -0.2], [0, 1]], "must not be negative"),
])  # fmt: skip
def test_tables_that_are_no_spillover(tmp_path, matrix, said):
    pd.DataFrame(matrix, ["A", "B"], ["A", "B"]).to_csv(tmp_path / "m.csv")
    with pytest.raises(InputError, match=said):
        spillover(raw(), str(tmp_path / "m.csv"))


def test_integers_on_a_linear_scale_are_intensities():
    log = Channel("FL1", "", 1024.0, decades=4.0)
    wide = Channel("FL1", "", 1048576.0)
    for channel, displayed in ((log, True), (wide, False), (wide._replace(top=1024.0), True)):
        found = Raw(np.zeros((1, 2)), [Channel("FSC", "", 1024.0), channel], {}, "3.0", True, [])
        assert found.displayed == displayed
        assert not found._replace(integer=False).displayed
    flag = Channel("DOUBLET", "", 255.0)
    mixed = Raw(np.zeros((1, 2)), [wide, flag], {}, "3.0", True, [])
    assert not mixed.displayed
