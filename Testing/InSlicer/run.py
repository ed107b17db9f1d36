"""Runs in Slicer: all self-tests, every panel opened and photographed, and a report. How to start it: docs/in-slicer.md.

Nothing is downloaded or installed. The exit code is 0 if every self-test passed and every panel opened.
"""

from __future__ import annotations

import html
import importlib
import importlib.metadata
import json
import re
import sys
import time
import traceback
import unittest
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import slicer

MODULES = ("DicomOptimizer", "TumorAnalysis", "SphereVOI", "AutoSegmentQueue", "MultiframeStreamer")
STYLES = {"light": "Light Slicer", "dark": "Dark Slicer"}  # as in Edit > Application Settings > Appearance
PANEL_WIDTHS = (300, 420)  # pixels: at its narrowest, and as most people have it
SETTLE_S = 0.3  # for views and timers of a panel before its picture


def main(output: Path) -> int:
    """Write ``report.json``, ``report.html`` and pictures into ``output``; return the exit code."""
    output.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    uncaught = record_uncaught()
    modules = [check_module(name, output) for name in MODULES]
    report = {
        "application": f"{slicer.app.applicationName} {slicer.app.applicationVersion}",
        "python": sys.version.split()[0],
        "main_window": slicer.util.mainWindow() is not None,
        "modules": modules,
        "uncaught": uncaught,
        "seconds": round(time.monotonic() - began, 1),
    }
    report["passed"] = not uncaught and all(module["passed"] for module in modules)
    (output / "report.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
    (output / "report.html").write_text(page(report), encoding="utf-8")
    print(
        f"{'passed' if report['passed'] else 'FAILED'} in {report['seconds']} s: {output / 'report.html'}", flush=True
    )
    return 0 if report["passed"] else 1


def record_uncaught() -> list[str]:
    """Keep what code behind buttons and timers raises: nobody else sees it."""
    found: list[str] = []

    def hook(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        found.append(f"{kind.__name__}: {error}")
        sys.__excepthook__(kind, error, trace)

    sys.excepthook = hook
    return found


def check_module(name: str, output: Path) -> dict[str, Any]:
    """Run a module's self-test and photograph its panel."""
    print(f"{name} ...", flush=True)
    if not hasattr(slicer.modules, name.lower()):
        return {
            "name": name,
            "passed": False,
            "error": "not loaded: give the module's folder with --additional-module-paths",
        }
    module = getattr(slicer.modules, name.lower())
    result: dict[str, Any] = {"name": name, "title": module.title, "missing_packages": missing_packages(module)}
    result["tests"], result["tests_seconds"] = timed(lambda: self_test(name))
    slicer.mrmlScene.Clear(0)
    try:
        result["pictures"], result["pictures_seconds"] = timed(lambda: list(photograph(name, module, output)))
    except Exception:  # noqa: BLE001 - whatever a panel raises belongs into the report
        result["error"] = traceback.format_exc(limit=5)
    failed = [test["name"] for test in result["tests"] if test["problem"]]
    result["passed"] = bool(result["tests"]) and not failed and "error" not in result
    return result


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return what ``work`` returns, and its seconds."""
    began = time.monotonic()
    return work(), round(time.monotonic() - began, 1)


def missing_packages(module: Any) -> list[str]:
    """Return the Python packages that the module would offer to install."""
    path = Path(module.path).parent / "Resources" / f"{module.name}-requirements.txt"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    names = [match.group() for line in lines if (match := re.match(r"[A-Za-z0-9._-]+", line))]
    return [name for name in names if not is_installed(name)]


def is_installed(name: str) -> bool:
    """Say whether a Python package is there."""
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def self_test(name: str) -> list[dict[str, Any]]:
    """Run the module's test class; return name, seconds and problem (empty if passed) of each test."""
    suite = unittest.TestLoader().loadTestsFromTestCase(getattr(importlib.import_module(name), f"{name}Test"))
    return [run_test(test) for test in suite if "test" in test.id().rpartition(".")[2]]


def run_test(test: unittest.TestCase) -> dict[str, Any]:
    """Run one test."""
    result = unittest.TestResult()
    _, seconds = timed(lambda: test.run(result))
    problems = [text for _, text in [*result.failures, *result.errors]]
    return {"name": test.id().rpartition(".")[2], "seconds": seconds, "problem": "\n".join(problems)}


def photograph(name: str, module: Any, output: Path) -> Iterator[str]:
    """Open the panel, light and dark, at both widths; yield the names of the pictures."""
    widget = module.widgetRepresentation()
    window = slicer.util.mainWindow()
    if window is None:
        widget.show()
        widget.enter()
    else:
        slicer.util.selectModule(name)
    for look, style in STYLES.items():
        wear(style)
        for width in PANEL_WIDTHS if window is None else ():
            widget.resize(width, max(widget.sizeHint.height(), widget.heightForWidth(width)))
            settle()
            yield saved(widget, output / f"{name}-{look}-{width}.png")
        settle()
        yield saved(widget, output / f"{name}-{look}.png")
        if window is not None:
            yield saved(window, output / f"{name}-{look}-window.png")
    wear(STYLES["light"])
    if window is None:
        widget.exit()
        widget.hide()


def wear(style: str) -> None:
    """Give the application one of Slicer's styles."""
    slicer.app.setStyle(style)
    slicer.app.setPalette(slicer.app.style().standardPalette())


def settle() -> None:
    """Let timers, views and processes of a panel go on for a moment."""
    end = time.monotonic() + SETTLE_S
    while time.monotonic() < end:
        slicer.app.processEvents()
        time.sleep(0.02)


def saved(widget: Any, path: Path) -> str:
    """Photograph a widget and return the picture's name."""
    if not widget.grab().save(str(path)):
        raise RuntimeError(f"the picture cannot be written: {path.name}")
    return path.name


def page(report: dict[str, Any]) -> str:
    """Return the report as a page."""
    parts = [
        "<!DOCTYPE html><html lang='en'><meta charset='utf-8'><title>DicomWorkbench in Slicer</title><style>"
        "body{font:15px/1.5 sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}"
        "img{max-width:100%;border:1px solid #999;margin:.3rem}"
        "pre{overflow:auto;background:#eee;color:#222;padding:.6rem}.bad{color:#b00020}.good{color:#0a6b2d}"
        "@media(prefers-color-scheme:dark){body{background:#1e1e1e;color:#eee}.bad{color:#ff8a80}.good{color:#7bd88f}}</style>",
        f"<h1>DicomWorkbench in {html.escape(report['application'])}</h1>",
        f"<p>{verdict(report['passed'])} in {report['seconds']} s, Python {report['python']}, "
        f"{'with' if report['main_window'] else 'without'} a main window.</p>",
        *(f"<p class='bad'>{html.escape(text)}</p>" for text in report["uncaught"]),
        *(section(module) for module in report["modules"]),
    ]
    return "\n".join(parts)


def section(module: dict[str, Any]) -> str:
    """Return one module's part of the page."""
    lines = [f"<h2>{html.escape(module.get('title') or module['name'])}: {verdict(module['passed'])}</h2>"]
    if module.get("missing_packages"):
        lines.append(f"<p>Packages that are not installed: {html.escape(', '.join(module['missing_packages']))}</p>")
    if module.get("error"):
        lines.append(f"<pre>{html.escape(module['error'])}</pre>")
    for test in module.get("tests", []):
        lines.append(f"<p>{verdict(not test['problem'])}: {html.escape(test['name'])}, {test['seconds']} s</p>")
        if test["problem"]:
            lines.append(f"<pre>{html.escape(test['problem'])}</pre>")
    lines += [f"<img src='{name}' alt='{name}'>" for name in module.get("pictures", [])]
    return "\n".join(lines)


def verdict(passed: bool) -> str:
    """Return the word for an outcome."""
    return "<span class='good'>passed</span>" if passed else "<span class='bad'>failed</span>"


if __name__ == "__main__":
    try:
        code = main(Path(sys.argv[-1]).absolute())
    except Exception:  # noqa: BLE001 - Slicer needs an exit code whatever happened
        traceback.print_exc()
        code = 1
    slicer.util.exit(code)
