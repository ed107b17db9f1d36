"""How panels look here: Fusion, a readable font, light or dark; and which of their texts do not fit."""

from __future__ import annotations

from PySide6 import QtCore, QtGui, QtWidgets

_Role = QtGui.QPalette.ColorRole
_LIGHT = {
    _Role.Window: "#f0f0f0",
    _Role.WindowText: "#1a1a1a",
    _Role.Base: "#ffffff",
    _Role.AlternateBase: "#f5f5f5",
    _Role.Text: "#1a1a1a",
    _Role.Button: "#e8e8e8",
    _Role.ButtonText: "#1a1a1a",
    _Role.ToolTipBase: "#ffffdc",
    _Role.ToolTipText: "#1a1a1a",
    _Role.PlaceholderText: "#767676",
    _Role.Highlight: "#3076c2",
    _Role.HighlightedText: "#ffffff",
    _Role.Link: "#1f5fa8",
    _Role.Mid: "#b4b4b4",
}
_DARK = _LIGHT | {
    _Role.Window: "#353535",
    _Role.WindowText: "#f0f0f0",
    _Role.Base: "#232323",
    _Role.AlternateBase: "#2d2d2d",
    _Role.Text: "#f0f0f0",
    _Role.Button: "#454545",
    _Role.ButtonText: "#f0f0f0",
    _Role.PlaceholderText: "#9a9a9a",
    _Role.Link: "#7db8f5",
    _Role.Mid: "#5a5a5a",
}
_DISABLED = {False: "#8c8c8c", True: "#8a8a8a"}


def dress(application: QtWidgets.QApplication, *, dark: bool = False) -> None:
    """Give the application its style, font and colours; can be called again to switch."""
    application.setStyle("Fusion")
    application.setFont(QtGui.QFont("DejaVu Sans", 9))
    palette = QtGui.QPalette()
    for role, color in (_DARK if dark else _LIGHT).items():
        palette.setColor(role, QtGui.QColor(color))
    for role in (_Role.WindowText, _Role.Text, _Role.ButtonText):
        palette.setColor(QtGui.QPalette.ColorGroup.Disabled, role, QtGui.QColor(_DISABLED[dark]))
    application.setPalette(palette)


def cut_texts(widget: QtWidgets.QWidget) -> list[str]:
    """Return the visible texts below ``widget`` that have less room than they need, as "name (class): text"."""
    below = [widget, *widget.findChildren(QtWidgets.QWidget)]
    cut = (child for child in below if child.isVisible() and _is_cut(child))
    return [f"{child.objectName} ({child.className()}): {_text_of(child)!r}" for child in cut]


def _text_of(widget: QtWidgets.QWidget) -> str:
    if isinstance(widget, QtWidgets.QLabel | QtWidgets.QAbstractButton):
        return str(widget.text)
    if isinstance(widget, QtWidgets.QComboBox):
        return str(widget.currentText)
    return str(widget.title) if isinstance(widget, QtWidgets.QGroupBox) else ""


def _is_cut(widget: QtWidgets.QWidget) -> bool:
    text = _text_of(widget)
    if not text:
        return False
    if isinstance(widget, QtWidgets.QLabel) and widget.wordWrap:
        return bool(widget.heightForWidth(widget.width) > widget.height)
    if isinstance(widget, QtWidgets.QLabel):
        return bool(widget.sizeHint.width() > widget.width or widget.sizeHint.height() > widget.height)
    needed = widget.fontMetrics().size(QtCore.Qt.TextFlag.TextShowMnemonic, text).width() + _frame(widget)
    return needed > widget.width


def _frame(widget: QtWidgets.QWidget) -> int:
    """Return the width of what stands beside the text: arrow, check mark, icon, borders."""
    if isinstance(widget, QtWidgets.QComboBox):
        return 28
    if isinstance(widget, QtWidgets.QCheckBox | QtWidgets.QRadioButton | QtWidgets.QGroupBox):
        return 22
    has_icon = isinstance(widget, QtWidgets.QAbstractButton) and not widget.icon.isNull()
    return 8 + (20 if has_icon else 0)
