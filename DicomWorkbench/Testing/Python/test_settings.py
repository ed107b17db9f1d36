"""Settings survive the way through JSON and say what is wrong with them."""

import enum
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from DicomWorkbenchLib.errors import SettingsError
from DicomWorkbenchLib.settings import from_json, to_json


class Rule(enum.Enum):
    OWN_FIRST = "own-first"
    UNION = "union"


@dataclass(frozen=True)
class Inner:
    level: float = 40.0


@dataclass(frozen=True)
class Job:
    folder: Path
    rule: Rule = Rule.OWN_FIRST
    step: int = 2
    inner: Inner | None = None
    sizes: tuple[float, ...] = ()
    pair: tuple[int, int] = (1, 2)

    def __post_init__(self) -> None:
        if self.step < 1:
            raise SettingsError(f"step must be at least 1, got {self.step}")


def test_settings_come_back_equal():
    job = Job(Path("a b/ü"), Rule.UNION, 3, Inner(60), (1.5, 2.0), (3, 4))
    assert from_json(Job, json.loads(json.dumps(to_json(job)))) == job
    assert from_json(Job, to_json(Job(Path("x")))) == Job(Path("x"))


@pytest.mark.parametrize(
    "data, message",
    [
        ({"folder": "x", "stepp": 3}, "no setting stepp"),
        ({"folder": "x", "rule": "stack"}, "own-first, union"),
        ({"folder": "x", "step": "two"}, "Job.step must be int"),
        ({"folder": "x", "step": True}, "Job.step must be int"),
        ({"folder": "x", "step": 0}, "at least 1"),
        ({"folder": "x", "pair": [1]}, "2 values"),
        ({"folder": "x", "sizes": 3}, "must be a list"),
        ({"folder": "x", "inner": 3}, "must be an object"),
        ({"folder": "x", "inner": {"level": "high"}}, "Inner.level must be float"),
    ],
)
def test_wrong_settings_are_refused_with_a_reason(data, message):
    with pytest.raises(SettingsError, match=message):
        from_json(Job, data)
