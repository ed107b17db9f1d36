"""Stand-ins for CTK's combo boxes, path fields and texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

from SlicerHost.api import class_entry
from SlicerHost.faces import stands_for
from SlicerHost.plain_property import plain

_Filter = QtCore.QDir.Filter
_Option = QtWidgets.QFileDialog.Option
_Adjust = QtWidgets.QComboBox.SizeAdjustPolicy


@stands_for("ctk.ctkComboBox")
class ctkComboBox(QtWidgets.QComboBox):
    """A combo box with a text for "nothing chosen"."""

    defaultText = plain(str, "", lambda self: self.setPlaceholderText(self.defaultText))
    defaultIcon = plain(object, QtGui.QIcon())
    elideMode = plain(object, QtCore.Qt.TextElideMode.ElideNone)
    forceDefault = plain(bool, False)
    scrollWheelEffect = plain(object)

    def setCurrentUserDataAsString(self, text: str) -> None:
        """Choose the item whose user data is ``text``."""
        self.setCurrentIndex(self.findData(text))

    currentUserDataAsString = QtCore.Property(str, lambda self: str(self.currentData or ""), setCurrentUserDataAsString)


@stands_for("ctk.ctkCheckableComboBox")
class ctkCheckableComboBox(QtWidgets.QComboBox):
    """A combo box whose items carry check marks; it shows the checked ones."""

    checkedIndexesChanged = QtCore.Signal()

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        model = self.model()
        model.rowsInserted.connect(self._make_checkable)
        model.itemChanged.connect(lambda _item: self.checkedIndexesChanged.emit())

    def _make_checkable(self, _parent: QtCore.QModelIndex, first: int, last: int) -> None:
        for row in range(first, last + 1):
            item = self.model().item(row)
            item.setCheckable(True)
            item.setCheckState(QtCore.Qt.CheckState.Unchecked)

    def _items(self) -> list[QtGui.QStandardItem]:
        return [self.model().item(row) for row in range(self.count)]

    def checkedIndexes(self) -> tuple[QtCore.QModelIndex, ...]:
        """Return the model indexes of the checked items."""
        return tuple(item.index() for item in self._items() if item.checkState() == QtCore.Qt.CheckState.Checked)

    def checkState(self, index: QtCore.QModelIndex) -> QtCore.Qt.CheckState:
        """Return whether the item is checked."""
        return self.model().itemFromIndex(index).checkState()

    def setCheckState(self, index: QtCore.QModelIndex, state: QtCore.Qt.CheckState) -> None:
        """Check or clear an item."""
        self.model().itemFromIndex(index).setCheckState(state)

    def checkableModel(self) -> Any:
        """Return the model of the items."""
        return self.model()

    def allChecked(self) -> bool:
        """Say whether every item is checked."""
        return len(self.checkedIndexes()) == self.count

    def noneChecked(self) -> bool:
        """Say whether no item is checked."""
        return not self.checkedIndexes()

    def paintEvent(self, _event: QtGui.QPaintEvent) -> None:
        """Draw the box with the names of the checked items."""
        painter = QtWidgets.QStylePainter(self)
        option = QtWidgets.QStyleOptionComboBox()
        self.initStyleOption(option)
        option.currentText = ", ".join(index.data() for index in self.checkedIndexes())
        painter.drawComplexControl(QtWidgets.QStyle.CC_ComboBox, option)
        painter.drawControl(QtWidgets.QStyle.CE_ComboBoxLabel, option)


@stands_for("ctk.ctkPathLineEdit")
class ctkPathLineEdit(QtWidgets.QWidget):
    """A path to type, to choose from former ones, or to browse for."""

    currentPathChanged = QtCore.Signal(str)
    validInputChanged = QtCore.Signal(bool)
    _box: QtWidgets.QComboBox
    _button: QtWidgets.QToolButton
    _was_valid = False

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._box = QtWidgets.QComboBox()
        self._box.editable = True
        self._box.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Fixed)
        self._box.minimumContentsLength = 8
        self._box.setInsertPolicy(QtWidgets.QComboBox.InsertPolicy.NoInsert)
        self._button = QtWidgets.QToolButton()
        self._button.text = "..."
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        layout.addWidget(self._button)
        self._box.editTextChanged.connect(self._changed)
        self._button.clicked.connect(lambda: self.browse())

    def _changed(self, path: str) -> None:
        self.currentPathChanged.emit(path)
        if self._is_valid(path) != self._was_valid:
            self._was_valid = not self._was_valid
            self.validInputChanged.emit(self._was_valid)

    def _is_valid(self, path: str) -> bool:
        if not path:
            return False
        wants_file, wants_folder = _Filter.Files in self.filters, _Filter.Dirs in self.filters
        there = Path(path)
        return (wants_file and there.is_file()) or (wants_folder and there.is_dir()) or _Filter.Writable in self.filters

    def browse(self) -> None:
        """Ask for a path with the dialog that fits ``filters``."""
        if _Filter.Files not in self.filters:
            chosen = QtWidgets.QFileDialog.getExistingDirectory(self)
        elif _Filter.Writable in self.filters:
            chosen = QtWidgets.QFileDialog.getSaveFileName(self)
        else:
            chosen = QtWidgets.QFileDialog.getOpenFileName(self)
        if chosen:
            self.setCurrentPath(chosen)

    def comboBox(self) -> QtWidgets.QComboBox:
        """Return the field itself."""
        return self._box

    def setCurrentPath(self, path: str) -> None:
        """Show a path."""
        self._box.setEditText(path)

    def addCurrentPathToHistory(self) -> None:
        """Remember the path for the next time, under ``settingKey``."""
        path = self.currentPath
        if path and self._box.findText(path) < 0:
            self._box.addItem(path)
            self._box.setEditText(path)
            if self.settingKey:
                paths = [self._box.itemText(index) for index in range(self._box.count)]
                QtCore.QSettings().setValue(self.settingKey, paths)

    def retrieveHistory(self) -> None:
        """Offer the paths remembered under ``settingKey``; the newest becomes the current one, as in CTK."""
        stored = QtCore.QSettings().value(self.settingKey) if self.settingKey else None
        paths = [stored] if isinstance(stored, str) else list(stored or ())
        self._box.clear()
        self._box.addItems(paths)
        self._box.setEditText(paths[-1] if paths else "")

    def _button_shown(self) -> bool:
        return not self._button.isHidden()

    def _show_button(self, shown: bool) -> None:
        self._button.setVisible(shown)

    currentPath = QtCore.Property(str, lambda self: self._box.currentText, setCurrentPath)
    filters = plain(object, _Filter.AllEntries | _Filter.NoDotAndDotDot | _Filter.Readable)
    nameFilters = plain("QStringList", [])
    options = plain(object, _Option(0))
    label = plain(str, "")
    settingKey = plain(str, "", lambda self: self.retrieveHistory())
    minimumContentsLength = plain(int, 0)
    sizeAdjustPolicy = plain(object, _Adjust.AdjustToContents)
    showBrowseButton = QtCore.Property(bool, _button_shown, _show_button)
    showHistoryButton = plain(bool, True)


def _give_enums(cls: Any, *enums: Any) -> None:
    """Give a class the flat enumerators it has in Slicer: CTK repeats those of QDir and QFileDialog."""
    entry = class_entry(cls._stands_for)
    for name, member in (pair for kind in enums for pair in kind.__members__.items()):
        if entry is not None and name in entry.enums:
            setattr(cls, name, member)


_give_enums(ctkPathLineEdit, _Filter, _Option, _Adjust)


@stands_for("ctk.ctkDirectoryButton")
class ctkDirectoryButton(QtWidgets.QWidget):
    """A button that shows a folder and asks for another."""

    directoryChanged = QtCore.Signal(str)
    directorySelected = QtCore.Signal(str)
    _button: QtWidgets.QPushButton

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._button = QtWidgets.QPushButton()
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._button)
        self._button.clicked.connect(lambda: self.browse())
        self._show()

    def _show(self) -> None:
        self._button.text = self.text or self.directory

    def _changed(self) -> None:
        self._show()
        self.directoryChanged.emit(self.directory)

    def browse(self) -> None:
        """Ask for a folder."""
        chosen = QtWidgets.QFileDialog.getExistingDirectory(self)
        if chosen:
            self.directory = chosen
            self.directorySelected.emit(chosen)

    directory = plain(str, ".", _changed)
    text = plain(str, "", _show)
    caption = plain(str, "")
    acceptMode = plain(object, QtWidgets.QFileDialog.AcceptMode.AcceptOpen)
    elideMode = plain(object, QtCore.Qt.TextElideMode.ElideMiddle)
    icon = plain(object, QtGui.QIcon(), lambda self: self._button.setIcon(self.icon))
    options = plain(object, _Option.ShowDirsOnly)


_give_enums(ctkDirectoryButton, _Option)
