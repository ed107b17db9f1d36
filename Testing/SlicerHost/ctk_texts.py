"""Stand-ins for CTK's message box, search field and text browser."""

from __future__ import annotations

from PySide6 import QtCore, QtGui, QtWidgets

from SlicerHost.faces import stands_for
from SlicerHost.plain_property import plain


@stands_for("ctk.ctkMessageBox")
class ctkMessageBox(QtWidgets.QMessageBox):
    """A message box with "Don't show this again"; ``exec_`` takes its answer from ``SlicerHost.answers.user``."""

    dontShowAgain = plain(bool, False)
    dontShowAgainVisible = plain(bool, False)
    dontShowAgainSettingsKey = plain(str, "")
    dontShowAgainButtonRoles = plain(object)

    def setDontShowAgain(self, hidden: bool) -> None:
        """Tick or clear the check box."""
        self.dontShowAgain = hidden


@stands_for("ctk.ctkSearchBox")
class ctkSearchBox(QtWidgets.QLineEdit):
    """A line to search with."""

    clearIcon = plain(object, QtGui.QIcon())
    searchIcon = plain(object, QtGui.QIcon())
    showSearchIcon = plain(bool, True)


@stands_for("ctk.ctkFittedTextBrowser")
class ctkFittedTextBrowser(QtWidgets.QTextBrowser):
    """A text as high as its contents; a long one is folded behind a link."""

    _long = ""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Fixed)
        self.setVerticalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.textChanged.connect(self._fit)
        self.anchorClicked.connect(self._follow)

    def _fit(self) -> None:
        height = self.document.documentLayout().documentSize().height()
        self.setFixedHeight(int(height) + 2 * self.frameWidth)

    def _follow(self, url: QtCore.QUrl) -> None:
        if url.toString() == "#":
            self.collapsed = not self.collapsed

    def resizeEvent(self, event: QtGui.QResizeEvent) -> None:
        """Follow the width: narrower is higher."""
        QtWidgets.QTextBrowser.resizeEvent(self, event)
        self._fit()

    def setCollapsibleText(self, text: str) -> None:
        """Show the first paragraph with a link that unfolds the rest."""
        self._long = text
        self._show()

    setCollapsibleHtml = setCollapsiblePlainText = setCollapsibleText

    def collapsibleText(self) -> str:
        """Return the whole text."""
        return self._long

    def _show(self) -> None:
        if self._long:
            first = self._long.partition("\n")[0]
            self.setHtml(f'{first} <a href="#">{self.showDetailsText}</a>' if self.collapsed else self._long)

    collapsed = plain(bool, True, _show)
    disableMouseScroll = plain(bool, True)
    showDetailsText = plain(str, "Show details...")
    hideDetailsText = plain(str, "Hide details.")
