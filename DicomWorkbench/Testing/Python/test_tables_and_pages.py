"""Workbooks, CSV, figures and pages: units shown, nothing executable, equal results are equal files."""

import math

import openpyxl
import pandas as pd
import pytest
from DicomWorkbenchLib import figures
from DicomWorkbenchLib.pages import Page
from DicomWorkbenchLib.tables import Table, write_csv, write_workbook

ROWS = pd.DataFrame({"lesion": ["S1", "=cmd()"], "volume": [1.25, math.nan], "count": [3, 4]})
TABLE = Table("Lesions: all/of them, with a very long name", ROWS, {"volume": "ml"}, note="Voxel count x voxel volume")


def test_a_sheet_shows_units_freezes_its_header_and_holds_no_formula(tmp_path):
    sheet = openpyxl.load_workbook(write_workbook(tmp_path / "a.xlsx", [TABLE])).worksheets[0]
    assert [c.value for c in sheet[3]] == ["lesion", "volume [ml]", "count"]
    assert sheet.freeze_panes == "A4" and sheet.title == "Lesions- all-of them, with a ve"
    assert sheet["A5"].value == "'=cmd()" and sheet["A5"].data_type == "s"
    assert sheet["B4"].value == 1.25 and sheet["B5"].value is None
    assert sheet.column_dimensions["B"].width > 8


def test_equal_tables_are_equal_files(tmp_path):
    first, second = (write_workbook(tmp_path / name, [TABLE, TABLE]).read_bytes() for name in ("1.xlsx", "2.xlsx"))
    assert first == second


def test_csv_columns_carry_their_units_once(tmp_path):
    frame = pd.DataFrame({"volume_ml": [1.0], "burden": [2.0], "activity": [3.0]})
    table = Table("x", frame, {"volume_ml": "ml", "burden": "%", "activity": "Bq/ml"})
    header = write_csv(tmp_path / "a.csv", table).read_text().splitlines()[0]
    assert header == "volume_ml,burden_percent,activity_bq_per_ml"


def test_a_page_escapes_what_it_is_given_and_needs_no_network():
    page = Page("<b>Title</b>").table(["name", "value"], [["<script>", 1.23456], ["x", None]])
    text = page.image(b"\x89PNG", "caption").warnings(["a & b"]).html()
    assert "<script" not in text and "&lt;script&gt;" in text and "a &amp; b" in text
    assert "http" not in text and "1.235" in text and "–" in text


def test_equal_figures_are_equal_bytes():
    def draw() -> bytes:
        figure, axes = figures.new_figure(8, 5)
        axes.plot([0, 1], [0, 1], label="a")
        axes.set_xlabel("diameter [mm]")
        return figures.png_bytes(figure)

    assert draw() == draw() and draw().startswith(b"\x89PNG")


@pytest.mark.parametrize("value, shown", [(0.12345, "0.1235"), (12345.6, "12,346"), (True, "True")])
def test_numbers_are_shown_as_people_read_them(value, shown):
    assert f">{shown}<" in Page("t").table(["v"], [[value]]).html()
