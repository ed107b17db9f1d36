"""``slicer.packaging`` of the host: answers what is installed, and never installs."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import Requirement

# What a panel asked to be installed: (function, requirements).
requests: list[tuple[str, list[str]]] = []

Requirements = str | Requirement | list[str | Requirement]


def load_requirements(path: str | Path) -> list[Requirement]:
    """Read a requirements.txt."""
    lines = (line.partition("#")[0].strip() for line in Path(path).read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def load_pyproject_dependencies(path: str | Path) -> list[Requirement]:
    """Read the dependencies of a pyproject.toml."""
    content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    return [Requirement(line) for line in content.get("project", {}).get("dependencies", [])]


def _as_list(requirements: Requirements) -> list[Requirement]:
    given = [requirements] if isinstance(requirements, str | Requirement) else requirements
    return [item if isinstance(item, Requirement) else Requirement(item) for item in given]


def _is_satisfied(requirement: Requirement) -> bool:
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True
    try:
        return requirement.specifier.contains(version(requirement.name), prereleases=True)
    except PackageNotFoundError:
        return False


def pip_check(req: Requirements, _seen: set[tuple[str, frozenset[str]]] | None = None) -> bool:
    """Say whether everything is installed in a fitting version."""
    return all(_is_satisfied(requirement) for requirement in _as_list(req))


def pip_ensure(
    requirements: Requirements,
    constraints: str | Path | None = None,
    skip_packages: list[str] | None = None,
    prompt_install: bool = True,
    prompt_restart: bool = True,
    requester: str | None = None,
    skip_in_testing: bool = True,
    show_progress: bool = True,
) -> list[str] | None:
    """Note what is missing; in testing mode Slicer installs nothing either."""
    missing = [str(requirement) for requirement in _as_list(requirements) if not _is_satisfied(requirement)]
    requests.append(("pip_ensure", missing))
    return None


def pip_install(
    requirements: str | list[str],
    constraints: str | Path | None = None,
    no_deps_requirements: str | list[str] | None = None,
    skip_packages: list[str] | None = None,
    blocking: bool = True,
    show_progress: bool = True,
    requester: str | None = None,
    logCallback: Callable[[str], None] | None = None,
    completedCallback: Callable[[int], None] | None = None,
) -> list[str] | None:
    """Note what would be installed."""
    requests.append(("pip_install", [str(item) for item in _as_list(requirements)]))
    return None


def pip_uninstall(
    requirements: str | list[str],
    blocking: bool = True,
    logCallback: Callable[[str], None] | None = None,
    completedCallback: Callable[[int], None] | None = None,
) -> None:
    """Note what would be removed."""
    requests.append(("pip_uninstall", [str(item) for item in _as_list(requirements)]))


def isPipInstallInProgress() -> bool:
    """Say that nothing is being installed."""
    return False
