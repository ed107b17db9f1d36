from __future__ import annotations

from pathlib import Path

import pytest
from DicomOptimizerLib import Compression, ContourRule, OptimizerSettings
from DicomWorkbenchLib.errors import SettingsError
from DicomWorkbenchLib.settings import from_json, to_json
from DicomWorkbenchLib.windowing import Window

HERE = (Path("in"),)


def test_a_job_without_any_technique_is_refused_and_the_message_names_them() -> None:
    with pytest.raises(SettingsError, match=r"nothing to do.*decimate.*deidentify"):
        OptimizerSettings(HERE)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"decimate": 0}, "decimate"),
        ({"resize": 4}, "resize"),
        ({"decimate": 2, "jobs": 0}, "jobs"),
        ({"decimate": 2, "legal_ct": True}, "legal-ct"),
        ({"decimate": 2, "uid_salt": " "}, "salt"),
        ({"decimate": 2, "inputs": ()}, "input"),
    ],
)
def test_values_that_cannot_work_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        OptimizerSettings(**{"inputs": HERE, **wrong})  # type: ignore[arg-type]


def test_the_folder_is_named_by_what_was_done() -> None:
    assert (
        OptimizerSettings(HERE, decimate=2, eight_bit=True, resize=256).folder_name
        == "Optimized_Decimated_8Bit_Resized"
    )
    full = OptimizerSettings(HERE, decimate=2, compress=Compression.HTJ2K, deidentify=True)
    assert full.folder_name == "Optimized_Decimated_HTJ2K_Deidentified"


def test_settings_survive_json() -> None:
    settings = OptimizerSettings(
        HERE, Path("out"), 3, True, True, Window(60, 160), contours=ContourRule.UNION, resize=128
    )
    assert from_json(OptimizerSettings, to_json(settings)) == settings


def test_the_salt_is_not_written_into_reports() -> None:
    assert "secret" not in str(to_json(OptimizerSettings(HERE, decimate=2, uid_salt="secret").for_report()))
