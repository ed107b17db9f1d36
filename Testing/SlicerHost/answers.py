"""What the absent user would have answered, and what was shown to him: dialogs never wait.

A test presets answers; a question without one fails at once instead of hanging the process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from PySide6 import QtGui, QtWidgets


@dataclass
class User:
    """The user of this process.

    Attributes
    ----------
    paths : answers to file dialogs, in order: a path, a list of paths, or "" for Cancel.
    buttons : answers to message boxes, in order: a standard button such as ``qt.QMessageBox.Yes``.
    texts : answers to ``qt.QInputDialog.getText`` and its relatives.
    confirms : answers to ``slicer.util.confirm*Display``; without one these return False, as Slicer does in testing mode.
    messages : (kind, text) of everything shown by ``slicer.util.*Display`` and message boxes.
    opened_urls : what ``qt.QDesktopServices.openUrl`` was asked to open.
    """

    paths: deque[str | list[str]] = field(default_factory=deque)
    buttons: deque[Any] = field(default_factory=deque)
    texts: deque[Any] = field(default_factory=deque)
    confirms: deque[bool] = field(default_factory=deque)
    messages: list[tuple[str, str]] = field(default_factory=list)
    opened_urls: list[str] = field(default_factory=list)

    def forget(self) -> None:
        """Start over, for the next test."""
        for part in vars(self).values():
            part.clear()

    def shown(self, kind: str) -> list[str]:
        """Return the texts of one kind of message: "info", "warning", "error", "confirm", "box" or "status"."""
        return [text for shown_kind, text in self.messages if shown_kind == kind]


user = User()


def _next(answers: deque[Any], question: str) -> Any:
    if not answers:
        raise RuntimeError(f"{question} would wait for the user: preset an answer first (SlicerHost.answers.user)")
    return answers.popleft()


def _file_dialog(name: str) -> Callable[..., Any]:
    def ask(*_arguments: Any, **_options: Any) -> Any:
        return _next(user.paths, f"QFileDialog.{name}")

    return ask


def _message_box(name: str) -> Callable[..., Any]:
    def ask(_parent: Any = None, _title: str = "", text: str = "", *_arguments: Any) -> Any:
        user.messages.append(("box", text))
        return _next(user.buttons, f"QMessageBox.{name}({text!r})")

    return ask


def _input_dialog(name: str) -> Callable[..., Any]:
    def ask(*_arguments: Any, **_options: Any) -> Any:
        return _next(user.texts, f"QInputDialog.{name}")

    return ask


def _exec_message_box(box: QtWidgets.QMessageBox) -> Any:
    user.messages.append(("box", QtWidgets.QMessageBox.text(box)))
    return _next(user.buttons, f"QMessageBox.exec of {QtWidgets.QMessageBox.text(box)!r}")


def _open_url(url: Any) -> bool:
    user.opened_urls.append(url.toString())
    return True


def replace_dialogs() -> None:
    """Make Qt's static dialogs and message boxes take their answers from ``user``."""
    for name in ("getOpenFileName", "getOpenFileNames", "getSaveFileName", "getExistingDirectory"):
        setattr(QtWidgets.QFileDialog, name, staticmethod(_file_dialog(name)))
    for name in ("information", "question", "warning", "critical", "about"):
        setattr(QtWidgets.QMessageBox, name, staticmethod(_message_box(name)))
    for name in ("getText", "getInt", "getDouble", "getItem", "getMultiLineText"):
        setattr(QtWidgets.QInputDialog, name, staticmethod(_input_dialog(name)))
    for name in ("exec", "exec_"):
        setattr(QtWidgets.QMessageBox, name, _exec_message_box)
    QtGui.QDesktopServices.openUrl = staticmethod(_open_url)
