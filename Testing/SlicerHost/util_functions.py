"""Functions of ``slicer.util`` that ask or tell the user something: here they record it and never wait."""

from __future__ import annotations

import logging
from typing import Any

import slicer

from SlicerHost.answers import user


def _tell(kind: str, level: int, text: str) -> None:
    logging.log(level, text)
    user.messages.append((kind, str(text)))


def infoDisplay(
    text: str, windowTitle: Any = None, parent: Any = None, standardButtons: Any = None, **kwargs: Any
) -> None:
    """Record an information."""
    _tell("info", logging.INFO, text)


def warningDisplay(
    text: str, windowTitle: Any = None, parent: Any = None, standardButtons: Any = None, **kwargs: Any
) -> None:
    """Record a warning."""
    _tell("warning", logging.WARNING, text)


def errorDisplay(
    text: str, windowTitle: Any = None, parent: Any = None, standardButtons: Any = None, **kwargs: Any
) -> None:
    """Record an error."""
    _tell("error", logging.ERROR, text)


def _confirm(text: str) -> bool:
    """Return the preset answer; without one False, which is what Slicer returns in testing mode."""
    _tell("confirm", logging.INFO, text)
    return user.confirms.popleft() if user.confirms else False


def confirmOkCancelDisplay(text: str, windowTitle: Any = None, parent: Any = None, **kwargs: Any) -> bool:
    """Record the question, answer as preset."""
    return _confirm(text)


def confirmYesNoDisplay(text: str, windowTitle: Any = None, parent: Any = None, **kwargs: Any) -> bool:
    """Record the question, answer as preset."""
    return _confirm(text)


def confirmRetryCloseDisplay(text: str, windowTitle: Any = None, parent: Any = None, **kwargs: Any) -> bool:
    """Record the question, answer as preset."""
    return _confirm(text)


def messageBox(text: str, parent: Any = None, **kwargs: Any) -> Any:
    """Record the text; the answer is Ok unless another was preset."""
    from PySide6.QtWidgets import QMessageBox

    _tell("box", logging.INFO, text)
    return user.buttons.popleft() if user.buttons else QMessageBox.StandardButton.Ok


def delayDisplay(message: str, autoCloseMsec: int = 1000, parent: Any = None, **kwargs: Any) -> None:
    """Record the message and handle pending events; nothing is waited for."""
    _tell("info", logging.INFO, message)
    slicer.app.processEvents()


def showStatusMessage(message: str, duration: int = 0) -> bool:
    """Record the message; False without a main window, as in Slicer."""
    user.messages.append(("status", message))
    return slicer.util.mainWindow() is not None


def tidy_slicer() -> None:
    """Put our functions in, and take away what slicer-core has beside ``slicer.util`` and Slicer has not."""
    for function in (
        *(infoDisplay, warningDisplay, errorDisplay, messageBox, delayDisplay, showStatusMessage),
        *(confirmOkCancelDisplay, confirmYesNoDisplay, confirmRetryCloseDisplay),
    ):
        setattr(slicer.util, function.__name__, function)
    for name, value in list(vars(slicer.util).items()):
        if callable(value) and getattr(value, "__module__", "") == "slicer.util" and vars(slicer).get(name) is value:
            delattr(slicer, name)
