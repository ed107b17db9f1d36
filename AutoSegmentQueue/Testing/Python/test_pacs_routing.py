"""Routing rules: the first that holds decides, a mistake is named by file, rule and key, and a dry run says why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from AutoSegmentQueueLib.pacs.facts import SeriesFacts
from AutoSegmentQueueLib.pacs.routing import FILE, Routing, parse_routing
from AutoSegmentQueueLib.pacs.routing_example import EXAMPLE
from AutoSegmentQueueLib.settings import QueueSettings
from DicomWorkbenchLib.errors import SettingsError
from pacs_testing import small_slices
from queue_testing import run_queue

RULES = """
[[rule]]
name = "scouts"
[rule.match]
series_description = "*scout*"
[rule.do]
ignore = true

[[rule]]
name = "chest of scanner 1"
[rule.match]
modality = ["CT", "PT"]
body_part = "CHEST"
calling_ae = "SCANNER?"
minimal_slices = 20
[rule.do]
engine = "threshold"
task = "lung_vessels"
quality = "fast"
structures = ["lung_left", "lung_right"]
priority = 7
destinations = ["PACS@127.0.0.1:11112", "https://pacs.example/dicom-web"]

[default]
ignore = true
"""

CHEST = SeriesFacts("CT", "Thorax 2.0", "", "Chest", "SCANNER1", 40)


def decide(facts: SeriesFacts, text: str = RULES) -> str:
    return parse_routing(text, FILE).decide(facts).rule


def test_the_first_rule_whose_conditions_all_hold_decides() -> None:
    assert decide(CHEST) == "chest of scanner 1"
    assert decide(SeriesFacts("CT", "Chest SCOUT", "", "CHEST", "SCANNER1", 40)) == "scouts"
    for other in (
        SeriesFacts("MR", "", "", "CHEST", "SCANNER1", 40),
        SeriesFacts("CT", "", "", "HEAD", "SCANNER1", 40),
        SeriesFacts("CT", "", "", "CHEST", "SCANNER11", 40),
        SeriesFacts("CT", "", "", "CHEST", "SCANNER1", 19),
    ):
        assert decide(other) == "default"


def test_an_action_changes_the_queues_settings_only_where_it_says_so() -> None:
    action = parse_routing(RULES, FILE).decide(CHEST).action
    settings = action.settings(QueueSettings())
    assert (settings.engine, settings.segmentation.task, settings.segmentation.quality) == (
        "threshold", "lung_vessels", "fast",
    )  # fmt: skip
    assert settings.segmentation.structures == ("lung_left", "lung_right")
    assert settings.segmentation.device == QueueSettings().segmentation.device
    assert action.priority == 7 and len(action.destinations) == 2


def test_the_reasons_name_each_rule_that_was_passed_over_and_what_it_met() -> None:
    why = parse_routing(RULES, FILE).decide(SeriesFacts("MR", slices=3)).why
    assert why[0] == "scouts: passed over, series_description is '', not '*scout*'"
    assert why[1] == "chest of scanner 1: passed over, modality is 'MR', not 'CT' or 'PT'"
    assert why[2] == "default: taken (always)"


def test_without_a_file_volumes_are_segmented_and_reports_and_segmentations_ignored(tmp_path: Path) -> None:
    routing = Routing.load(tmp_path)
    assert not routing.decide(SeriesFacts("CT", slices=2)).action.ignore
    assert all(routing.decide(SeriesFacts(one)).action.ignore for one in ("SR", "SEG", "RTSTRUCT", "US", ""))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[rule]\n", "is no valid TOML"),
        ("[rule]\nname='x'\n", "with two brackets"),
        ("[[rules]]\n", "no key 'rules'"),
        ("[[rule]]\nname='a'\n", "rule 1 (a): it has no [rule.do]"),
        ("[[rule]]\n[rule.do]\n[[rule]]\nname='b'\n[rule.match]\nmodalty='CT'\n[rule.do]\n", "(b), match: there is no key 'modalty'"),
        ("[[rule]]\n[rule.match]\nminimal_slices='many'\n[rule.do]\n", "rule 1, match, minimal_slices: it must be a whole number"),
        ("[[rule]]\n[rule.match]\nmodality=5\n[rule.do]\n", "rule 1, match, modality: it must be a text"),
        ("[[rule]]\n[rule.do]\nengine='magic'\n", "rule 1, do, engine: there is no engine 'magic'"),
        ("[[rule]]\n[rule.do]\nquality='best'\n", "rule 1, do, quality: it is one of"),
        ("[[rule]]\n[rule.do]\ndestinations='PACS'\n", "rule 1, do, destinations: a peer is written AET@HOST:PORT"),
        ("[[rule]]\n[rule.do]\nignore=true\ntask='total'\n", "rule 1, do, ignore: a series that is ignored"),
        ("[default]\nignore='yes'\n", "default, ignore: it must be true or false"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_by_file_rule_and_key(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(SettingsError) as caught:
        Routing.load(tmp_path)
    assert str(tmp_path / FILE) in str(caught.value) and said in str(caught.value)


def test_the_example_is_valid_and_every_key_of_it_is_one_that_is_read() -> None:
    routing = parse_routing(
        EXAMPLE.replace("# [default]", "[default]").replace("# ignore = true", "ignore = true"), FILE
    )
    assert [rule.name for rule in routing.rules] == ["localizers", "chest CT", "default"]
    assert decide(SeriesFacts("CT", "", "", "THORAX", "", 30), EXAMPLE) == "chest CT"


def test_the_command_writes_the_example_once_and_says_which_rule_takes_a_folder(tmp_path: Path) -> None:
    home = str(tmp_path / "home")
    assert run_queue("route", "--home", home, "--init").returncode == 0
    again = run_queue("route", "--home", home, "--init")
    assert again.returncode == 2 and "exists already" in again.stderr
    small_slices(tmp_path / "ct", 3)
    said = run_queue("route", "--home", home, str(tmp_path / "ct"), "--dry-run")
    assert "CT, 3 slices -> built-in: volumes" in said.stdout and "chest CT: passed over" in said.stdout, said.stderr
    shown = run_queue("route", "--home", home, "--modality", "CT", "--body-part", "chest", "--slices", "20", "--json")
    row = json.loads(shown.stdout)["series"][0]
    assert row["rule"] == "chest CT" and row["quality"] == "fast" and row["priority"] == 5
