"""Stand-ins for CTK's buttons and boxes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

from SlicerHost.faces import stands_for
from SlicerHost.plain_property import plain

_NO_LIMIT = 16777215  # QWIDGETSIZE_MAX
_LEFT = QtCore.Qt.AlignmentFlag.AlignLeft | QtCore.Qt.AlignmentFlag.AlignVCenter


class _Contents:
    """The child widgets of a box that can be folded away; those a panel has hidden itself stay hidden."""

    def __init__(self, box: QtWidgets.QWidget) -> None:
        self._box = box
        self._hidden_by_us: list[QtWidgets.QWidget] = []

    def fold(self) -> None:
        for child in self._box.children():
            if isinstance(child, QtWidgets.QWidget) and not child.isHidden():
                child.hide()
                self._hidden_by_us.append(child)

    def unfold(self) -> None:
        for child in self._hidden_by_us:
            child.show()
        self._hidden_by_us.clear()


@stands_for("ctk.ctkCollapsibleButton")
class ctkCollapsibleButton(QtWidgets.QAbstractButton):
    """A header to click and, below it, the widgets of its layout."""

    contentsCollapsed = QtCore.Signal(bool)
    _contents: _Contents

    def __init__(self, text: Any = "", parent: QtWidgets.QWidget | None = None) -> None:
        given = text if isinstance(text, str) else ""
        super().__init__(parent if isinstance(text, str) else text)
        self._contents = _Contents(self)
        self.text = given
        self.checkable = True
        self.checked = True
        self.setSizePolicy(QtWidgets.QSizePolicy.Preferred, QtWidgets.QSizePolicy.Preferred)
        self.setContentsMargins(0, self._header_height(), 0, 0)
        self.toggled.connect(self._fold)

    def _header_height(self) -> int:
        return int(self.fontMetrics().height()) + 8

    def _fold(self, unfolded: bool) -> None:
        if unfolded:
            self._contents.unfold()
        else:
            self._contents.fold()
        self.setMaximumHeight(_NO_LIMIT if unfolded else self._header_height())
        self.updateGeometry()
        self.contentsCollapsed.emit(not unfolded)

    def _is_collapsed(self) -> bool:
        return not self.checked

    def _set_collapsed(self, collapsed: bool) -> None:
        self.checked = not collapsed

    collapsed = QtCore.Property(bool, _is_collapsed, _set_collapsed)
    collapsedHeight = plain(int, 10)
    contentsFrameShape = plain(object, QtWidgets.QFrame.Shape.NoFrame)
    contentsFrameShadow = plain(object, QtWidgets.QFrame.Shadow.Plain)
    contentsLineWidth = plain(int, 1)
    contentsMidLineWidth = plain(int, 0)
    flat = plain(bool, False, lambda self: self.update())
    buttonTextAlignment = plain(object, _LEFT)
    indicatorAlignment = plain(object, _LEFT)

    def sizeHint(self) -> QtCore.QSize:
        """Return the header's size, or with the contents where they are shown."""
        return self._with_contents(QtWidgets.QLayout.totalSizeHint)

    def minimumSizeHint(self) -> QtCore.QSize:
        """Return the least size at which the contents fit."""
        return self._with_contents(QtWidgets.QLayout.totalMinimumSize)

    def _with_contents(self, size_of: Callable[[QtWidgets.QLayout], QtCore.QSize]) -> QtCore.QSize:
        header = QtCore.QSize(self.fontMetrics().horizontalAdvance(self.text) + 32, self._header_height())
        layout = self.layout()
        return header.expandedTo(size_of(layout)) if layout is not None and self.checked else header

    def childEvent(self, event: QtCore.QChildEvent) -> None:
        """Fold away what a .ui file adds after it has set ``collapsed``."""
        if event.added() and not self.checked:
            QtCore.QTimer.singleShot(0, self._contents.fold)

    def hitButton(self, position: QtCore.QPoint) -> bool:
        """Only the header is the button."""
        return bool(position.y() < self._header_height())

    def paintEvent(self, _event: QtGui.QPaintEvent) -> None:
        """Draw the header: an arrow and the text."""
        painter = QtWidgets.QStylePainter(self)
        header = QtCore.QRect(0, 0, self.width, self._header_height())
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect = header
        painter.drawControl(QtWidgets.QStyle.CE_PushButtonBevel, option)
        arrow = QtWidgets.QStyle.PE_IndicatorArrowDown if self.checked else QtWidgets.QStyle.PE_IndicatorArrowRight
        option.rect = QtCore.QRect(8, (header.height() - 10) // 2, 10, 10)
        painter.drawPrimitive(arrow, option)
        role = QtGui.QPalette.ColorRole.ButtonText
        text_box = header.adjusted(26, 0, -6, 0)
        self.style().drawItemText(painter, text_box, int(_LEFT.value), self.palette, self.isEnabled(), self.text, role)


@stands_for("ctk.ctkCollapsibleGroupBox")
class ctkCollapsibleGroupBox(QtWidgets.QGroupBox):
    """A group box whose check mark folds it."""

    _contents: _Contents

    def __init__(self, title: Any = "", parent: QtWidgets.QWidget | None = None) -> None:
        given = title if isinstance(title, str) else ""
        super().__init__(given, parent if isinstance(title, str) else title)
        self._contents = _Contents(self)
        self.checkable = True
        self.checked = True
        self.toggled.connect(self._fold)

    def _fold(self, unfolded: bool) -> None:
        if unfolded:
            self._contents.unfold()
        else:
            self._contents.fold()
        self.setMaximumHeight(_NO_LIMIT if unfolded else int(self.fontMetrics().height()) + 8)

    def childEvent(self, event: QtCore.QChildEvent) -> None:
        """Fold away what a .ui file adds after it has set ``collapsed``."""
        if event.added() and not self.checked:
            QtCore.QTimer.singleShot(0, self._contents.fold)

    def _is_collapsed(self) -> bool:
        return not self.checked

    def _set_collapsed(self, collapsed: bool) -> None:
        self.checked = not collapsed

    collapsed = QtCore.Property(bool, _is_collapsed, _set_collapsed)
    collapsedHeight = plain(int, 14)


@stands_for("ctk.ctkPushButton")
class ctkPushButton(QtWidgets.QPushButton):
    """A push button that can elide its text."""

    buttonTextAlignment = plain(object, QtCore.Qt.AlignmentFlag.AlignCenter)
    iconAlignment = plain(object, _LEFT)
    elideMode = plain(object, QtCore.Qt.TextElideMode.ElideNone)


@stands_for("ctk.ctkCheckablePushButton")
class ctkCheckablePushButton(ctkPushButton):
    """A push button with a check box inside; the box is a value here, it is not drawn."""

    checkBoxToggled = QtCore.Signal(bool)
    checkStateChanged = QtCore.Signal(object)

    def _state_changed(self) -> None:
        self.checkStateChanged.emit(self.checkState)
        self.checkBoxToggled.emit(self.checkState == QtCore.Qt.CheckState.Checked)

    checkState = plain(object, QtCore.Qt.CheckState.Unchecked, _state_changed)
    checkBoxControlsButton = plain(bool, True)
    checkBoxControlsButtonToggleState = plain(bool, True)
    checkBoxUserCheckable = plain(bool, True)
    indicatorAlignment = plain(object, _LEFT)


@stands_for("ctk.ctkCheckBox")
class ctkCheckBox(QtWidgets.QCheckBox):
    """A check box whose mark can be an icon."""

    indicatorIcon = plain(object, QtGui.QIcon())
    indicatorIconSize = plain(object, QtCore.QSize())


@stands_for("ctk.ctkMenuButton")
class ctkMenuButton(QtWidgets.QPushButton):
    """A push button with a menu at its side."""


@stands_for("ctk.ctkExpandButton")
class ctkExpandButton(QtWidgets.QToolButton):
    """A small arrow that folds or unfolds something else."""

    mirrorOnExpand = plain(bool, False)
    orientation = plain(object, QtCore.Qt.Orientation.Horizontal)
