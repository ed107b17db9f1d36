"""Stand-in for the plot view: draws the chart's series as lines and points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets

from SlicerHost.faces import stands_for
from SlicerHost.plain_property import plain
from SlicerHost.qmrml_base import Watcher, qSlicerWidget

_MARGIN = 46  # pixels for axis titles and numbers


@dataclass(frozen=True)
class _Curve:
    name: str
    color: QtGui.QColor
    points: list[tuple[float, float]]
    has_line: bool


def _curve(series: Any) -> _Curve | None:
    table = series.GetTableNode().GetTable() if series.GetTableNode() is not None else None
    y = table.GetColumnByName(series.GetYColumnName()) if table is not None and series.GetYColumnName() else None
    if y is None:
        return None
    x = table.GetColumnByName(series.GetXColumnName()) if series.GetXColumnName() else None
    rows = range(table.GetNumberOfRows())
    points = [
        (x.GetVariantValue(row).ToDouble() if x else float(row), y.GetVariantValue(row).ToDouble()) for row in rows
    ]
    has_line = series.GetPlotType() == series.PlotTypeLine or series.GetLineStyle() != series.LineStyleNone
    return _Curve(series.GetName() or "", QtGui.QColor.fromRgbF(*series.GetColor()), points, has_line)


@stands_for("slicer.qMRMLPlotView")
class qMRMLPlotView(qSlicerWidget):
    """Shows the chart of a vtkMRMLPlotViewNode."""

    dataSelected = QtCore.Signal(object, object)
    _view_node: Any = None
    _chart: Any = None
    _watcher: Watcher
    _chart_watcher: Watcher

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._watcher, self._chart_watcher = Watcher(self), Watcher(self)
        self.setMinimumSize(120, 100)

    def setMRMLPlotViewNode(self, node: Any) -> None:
        """Show what a plot view node shows."""
        self._watcher.stop()
        self._view_node = node
        if node is not None:
            self._watcher.watch(node, vtk.vtkCommand.ModifiedEvent, self._follow_chart)
            self._watcher.watch(node, slicer.vtkMRMLPlotViewNode.PlotChartNodeChangedEvent, self._follow_chart)
        self._follow_chart()

    def _follow_chart(self) -> None:
        self._chart_watcher.stop()
        self._chart = self._view_node.GetPlotChartNode() if self._view_node is not None else None
        if self._chart is not None:
            self._chart_watcher.watch(self._chart, vtk.vtkCommand.ModifiedEvent, self.update)
        self.title = (self._chart.GetTitle() or "") if self._chart is not None else ""
        self.update()

    def fitToContent(self) -> None:
        """Show all of the data: always so here."""
        self.update()

    def sizeHint(self) -> QtCore.QSize:
        """Return a usable size."""
        return QtCore.QSize(360, 220)

    def _curves(self) -> list[_Curve]:
        if self._chart is None:
            return []
        count = self._chart.GetNumberOfPlotSeriesNodes()
        every = (self._chart.GetNthPlotSeriesNode(index) for index in range(count))
        return [curve for series in every if series is not None and (curve := _curve(series)) is not None]

    def paintEvent(self, _event: QtGui.QPaintEvent) -> None:
        """Draw frame, curves, axis titles and legend."""
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect, QtCore.Qt.GlobalColor.white)
        painter.setPen(QtCore.Qt.GlobalColor.black)
        frame = QtCore.QRectF(self.rect).adjusted(_MARGIN, 24, -10, -_MARGIN + 8)
        painter.drawRect(frame)
        curves = [curve for curve in self._curves() if curve.points]
        if curves:
            self._draw_curves(painter, frame, curves)
        self._draw_titles(painter, frame)

    def _draw_curves(self, painter: QtGui.QPainter, frame: QtCore.QRectF, curves: list[_Curve]) -> None:
        xs = [x for curve in curves for x, _ in curve.points]
        ys = [y for curve in curves for _, y in curve.points]
        (left, right), (low, high) = (min(xs), max(xs)), (min(ys), max(ys))

        def at(x: float, y: float) -> QtCore.QPointF:
            across = (x - left) / ((right - left) or 1.0)
            up = (y - low) / ((high - low) or 1.0)
            return QtCore.QPointF(frame.left() + across * frame.width(), frame.bottom() - up * frame.height())

        for row, curve in enumerate(curves):
            painter.setPen(QtGui.QPen(curve.color, 1.5))
            points = [at(x, y) for x, y in curve.points]
            if curve.has_line:
                painter.drawPolyline(points)
            for point in points:
                painter.drawEllipse(point, 2, 2)
            painter.drawText(frame.topRight() + QtCore.QPointF(-110, 14 + 13 * row), curve.name[:18])
        painter.setPen(QtCore.Qt.GlobalColor.black)
        for text, where in (
            (f"{low:.3g}", QtCore.QPointF(4, frame.bottom())),
            (f"{high:.3g}", QtCore.QPointF(4, frame.top() + 10)),
            (f"{left:.3g}", QtCore.QPointF(frame.left(), frame.bottom() + 14)),
            (f"{right:.3g}", QtCore.QPointF(frame.right() - 24, frame.bottom() + 14)),
        ):
            painter.drawText(where, text)

    def _draw_titles(self, painter: QtGui.QPainter, frame: QtCore.QRectF) -> None:
        center = QtCore.Qt.AlignmentFlag.AlignHCenter
        painter.drawText(QtCore.QRectF(0, 4, self.width, 18), center, self.title)
        if self._chart is None:
            return
        painter.drawText(
            QtCore.QRectF(0, frame.bottom() + 16, self.width, 18), center, self._chart.GetXAxisTitle() or ""
        )
        painter.save()
        painter.translate(14, frame.center().y())
        painter.rotate(-90)
        painter.drawText(QtCore.QRectF(-100, -12, 200, 18), center, self._chart.GetYAxisTitle() or "")
        painter.restore()

    title = plain(str, "")
