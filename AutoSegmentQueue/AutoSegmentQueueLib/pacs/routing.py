"""Routing rules: what is done with a received series, decided by one readable file, ``routing.toml`` in the home.

Rules are tried from the top; the first whose conditions all hold decides. See `routing_example.EXAMPLE` for every key.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, get_args

from DicomWorkbenchLib.errors import SettingsError

from AutoSegmentQueueLib.pacs.facts import SeriesFacts
from AutoSegmentQueueLib.pacs.peers import parse_peer
from AutoSegmentQueueLib.settings import Quality, QueueSettings

FILE = "routing.toml"
VOLUME_MODALITIES = ("CT", "MR", "PT", "NM")
TEXT_CONDITIONS = ("modality", "series_description", "study_description", "body_part", "calling_ae")
CONDITIONS = (*TEXT_CONDITIONS, "minimal_slices")
ACTIONS = ("engine", "task", "quality", "structures", "priority", "destinations", "ignore")


@dataclass(frozen=True)
class Action:
    """What is done with a series; what is None or empty is as the queue's settings have it."""

    ignore: bool = False
    engine: str | None = None
    task: str | None = None
    quality: Quality | None = None
    structures: tuple[str, ...] = ()
    priority: int = 0
    destinations: tuple[str, ...] = ()

    def settings(self, settings: QueueSettings) -> QueueSettings:
        """Return the queue's settings with what the action says."""
        changes: dict[str, Any] = {"task": self.task, "quality": self.quality, "structures": self.structures}
        given = {name: value for name, value in changes.items() if value}
        segmentation = replace(settings.segmentation, **given)
        return replace(settings, engine=self.engine or settings.engine, segmentation=segmentation)


@dataclass(frozen=True)
class Rule:
    """Conditions, all of which must hold, and an action; texts are patterns with * and ?, small and capital letters alike."""

    name: str
    action: Action
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    minimal_slices: int = 0

    def failing(self, facts: SeriesFacts) -> str:
        """Return the first condition that does not hold, with what it met; empty if all hold."""
        for name, patterns in self.texts.items():
            value = str(getattr(facts, name))
            if not any(fnmatchcase(value.casefold(), pattern.casefold()) for pattern in patterns):
                return f"{name} is {value!r}, not {' or '.join(map(repr, patterns))}"
        if facts.slices < self.minimal_slices:
            return f"it has {facts.slices} slices, fewer than {self.minimal_slices}"
        return ""


@dataclass(frozen=True)
class Decision:
    """What was decided for a series and why: each rule that was passed over with its reason, then the one that took it."""

    rule: str
    action: Action
    why: tuple[str, ...]


BUILT_IN = (
    Rule("built-in: volumes", Action(), {"modality": VOLUME_MODALITIES}),
    Rule("built-in: everything else", Action(ignore=True)),
)


@dataclass(frozen=True)
class Routing:
    """All rules, the last of which holds always."""

    rules: tuple[Rule, ...] = BUILT_IN

    @staticmethod
    def load(home_root: Path) -> Routing:
        """Read the rules of a home; without a file CT, MR, PET and NM are segmented as the settings say, the rest is ignored.

        Raises
        ------
        SettingsError : the file cannot work; the message names file, rule and key.
        """
        path = home_root / FILE
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return Routing()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{path} cannot be read: {error}") from error
        return parse_routing(text, str(path))

    def decide(self, facts: SeriesFacts) -> Decision:
        """Return the first rule that holds."""
        passed: list[str] = []
        for rule in self.rules:
            reason = rule.failing(facts)
            if not reason:
                held = list(rule.texts) + (["minimal_slices"] if rule.minimal_slices else [])
                return Decision(
                    rule.name, rule.action, (*passed, f"{rule.name}: taken ({', '.join(held) or 'always'})")
                )
            passed.append(f"{rule.name}: passed over, {reason}")
        raise AssertionError("the last rule has no conditions")


def parse_routing(text: str, where: str) -> Routing:
    """Read the text of a routing file.

    Parameters
    ----------
    where : name of the file, for messages.

    Raises
    ------
    SettingsError : it cannot work.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{where} is no valid TOML: {error}") from error
    _known(data, ("rule", "default"), where)
    entries = data.get("rule", [])
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        raise SettingsError(f"{where}: rules are written [[rule]], with two brackets")
    rules = [_rule(entry, f"{where}, rule {_title(entry, number)}") for number, entry in enumerate(entries, 1)]
    if "default" not in data:
        return Routing((*rules, *BUILT_IN))
    action = _action(_table(data["default"], f"{where}, default"), f"{where}, default")
    return Routing((*rules, Rule("default", action)))


def _title(entry: dict[str, Any], number: int) -> str:
    return f"{number} ({entry['name']})" if isinstance(entry.get("name"), str) else str(number)


def _rule(entry: dict[str, Any], where: str) -> Rule:
    _known(entry, ("name", "match", "do"), where)
    name = _typed(entry, "name", str, where)
    match = _table(entry.get("match", {}), f"{where}, match")
    _known(match, CONDITIONS, f"{where}, match")
    texts = {key: _texts(match, key, f"{where}, match") for key in TEXT_CONDITIONS if key in match}
    minimal = _typed(match, "minimal_slices", int, f"{where}, match") or 0
    if "do" not in entry:
        raise SettingsError(f"{where}: it has no [rule.do], which says what is done")
    return Rule(
        name or where.rpartition(", ")[2], _action(_table(entry["do"], f"{where}, do"), f"{where}, do"), texts, minimal
    )


def _action(values: dict[str, Any], where: str) -> Action:
    _known(values, ACTIONS, where)
    action = Action(
        ignore=bool(_typed(values, "ignore", bool, where)),
        engine=_typed(values, "engine", str, where),
        task=_typed(values, "task", str, where),
        quality=_typed(values, "quality", str, where),
        structures=_texts(values, "structures", where) if "structures" in values else (),
        priority=_typed(values, "priority", int, where) or 0,
        destinations=_texts(values, "destinations", where) if "destinations" in values else (),
    )
    _check(action, where)
    return action


def _check(action: Action, where: str) -> None:
    from AutoSegmentQueueLib import engines

    if action.engine is not None and action.engine not in engines.names():
        raise SettingsError(
            f"{where}, engine: there is no engine {action.engine!r}; there are {', '.join(engines.names())}"
        )
    if action.quality is not None and action.quality not in get_args(Quality):
        raise SettingsError(f"{where}, quality: it is one of {', '.join(get_args(Quality))}, got {action.quality!r}")
    for destination in action.destinations:
        try:
            parse_peer(destination)
        except SettingsError as error:
            raise SettingsError(f"{where}, destinations: {error}") from error
    if action.ignore and action != Action(ignore=True):
        raise SettingsError(f"{where}, ignore: a series that is ignored needs no other key")


def _known(values: dict[str, Any], keys: tuple[str, ...], where: str) -> None:
    for key in values:
        if key not in keys:
            raise SettingsError(f"{where}: there is no key {key!r}; there are {', '.join(keys)}")


def _table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SettingsError(f"{where} must be a table of keys and values, got {value!r}")
    return value


def _typed(values: dict[str, Any], key: str, kind: type, where: str) -> Any:
    value = values.get(key)
    if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
        word = {str: "a text in quotes", int: "a whole number", bool: "true or false"}[kind]
        raise SettingsError(f"{where}, {key}: it must be {word}, got {value!r}")
    return value


def _texts(values: dict[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = values[key]
    several = [value] if isinstance(value, str) else value
    if not isinstance(several, list) or not several or not all(isinstance(one, str) and one for one in several):
        raise SettingsError(f"{where}, {key}: it must be a text in quotes or a list of them, got {value!r}")
    return tuple(several)
