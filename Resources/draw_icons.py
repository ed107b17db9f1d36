"""Draw the icons of the extension and its modules (128 x 128 PNG); run it after changing a shape.

Usage: .venv/bin/python Resources/draw_icons.py (needs the packages of ``make dev``)
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QGuiApplication, QImage, QLinearGradient, QPainter, QPainterPath, QPen, QPolygonF

ROOT = Path(__file__).resolve().parent.parent
SIZE = 128
WHITE, ORANGE, RED, INK = QColor("#ffffff"), QColor("#ffb74d"), QColor("#e53935"), QColor("#0d2137")
Draw = Callable[[QPainter], None]


def pen(color: QColor, width: float) -> QPen:
    return QPen(color, width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin)


def polygon(painter: QPainter, *points: tuple[float, float]) -> None:
    painter.drawPolygon(QPolygonF([QPointF(*p) for p in points]))


def slice_stack(painter: QPainter) -> None:
    for step, alpha in ((26, 120), (10, 180), (-6, 255)):
        painter.setPen(pen(INK, 3))
        painter.setBrush(QColor(255, 255, 255, alpha))
        polygon(painter, (64, 40 + step), (108, 62 + step), (64, 84 + step), (20, 62 + step))
    painter.setBrush(QColor("#80cbc4"))
    painter.drawEllipse(QRectF(44, 44, 40, 24))
    painter.setBrush(ORANGE)
    painter.drawEllipse(QRectF(60, 48, 14, 9))


def optimizer(painter: QPainter) -> None:
    painter.setPen(pen(INK, 3))
    painter.setBrush(QColor(255, 255, 255, 110))
    painter.drawRoundedRect(QRectF(16, 16, 62, 62), 6, 6)
    painter.setPen(pen(INK, 1.5))
    for line in range(1, 4):
        painter.drawLine(QPointF(16 + 15.5 * line, 16), QPointF(16 + 15.5 * line, 78))
        painter.drawLine(QPointF(16, 16 + 15.5 * line), QPointF(78, 16 + 15.5 * line))
    painter.setPen(pen(INK, 3))
    painter.setBrush(WHITE)
    painter.drawRoundedRect(QRectF(78, 78, 34, 34), 5, 5)
    painter.setBrush(ORANGE)
    painter.drawEllipse(QRectF(86, 86, 18, 18))
    painter.setPen(pen(WHITE, 7))
    painter.drawLine(QPointF(38, 38), QPointF(66, 66))
    painter.drawLine(QPointF(66, 66), QPointF(66, 46))
    painter.drawLine(QPointF(66, 66), QPointF(46, 66))


def tumor(painter: QPainter) -> None:
    liver = QPainterPath(QPointF(14, 62))
    liver.cubicTo(14, 24, 58, 18, 88, 26)
    liver.cubicTo(112, 32, 120, 44, 112, 54)
    liver.cubicTo(100, 66, 84, 62, 72, 80)
    liver.cubicTo(62, 104, 22, 114, 14, 62)
    painter.setPen(pen(INK, 3))
    painter.setBrush(QColor("#c8735a"))
    painter.drawPath(liver)
    painter.setBrush(QColor("#ffe082"))
    painter.drawEllipse(QRectF(28, 46, 36, 30))
    painter.setPen(pen(WHITE, 4.5))
    painter.drawLine(QPointF(30, 67), QPointF(62, 53))
    painter.setPen(pen(RED, 4))
    painter.drawLine(QPointF(40, 48), QPointF(51, 74))


def spheres(painter: QPainter) -> None:
    painter.setPen(pen(INK, 3))
    painter.setBrush(QColor("#37474f"))
    painter.drawEllipse(QRectF(10, 18, 108, 92))
    for number, radius in enumerate((5.0, 6.5, 8.0, 10.0, 12.5, 15.5)):
        angle = math.radians(-150 + 60 * number)
        centre = QPointF(64 + 31 * math.cos(angle), 64 + 28 * math.sin(angle))
        painter.setPen(pen(INK, 1.5))
        painter.setBrush(ORANGE if number < 5 else WHITE)
        painter.drawEllipse(centre, radius, radius)
    centre = QPointF(64 + 31 * math.cos(math.radians(150)), 64 + 28 * math.sin(math.radians(150)))
    painter.setPen(pen(RED, 3))
    painter.drawLine(centre - QPointF(11, 0), centre + QPointF(11, 0))
    painter.drawLine(centre - QPointF(0, 11), centre + QPointF(0, 11))


def segment_queue(painter: QPainter) -> None:
    painter.setPen(pen(INK, 3))
    for row, (color, share) in enumerate(((QColor("#66bb6a"), 1.0), (ORANGE, 0.55), (WHITE, 0.0))):
        top = 20 + 32 * row
        painter.setBrush(QColor(255, 255, 255, 130))
        painter.drawRoundedRect(QRectF(16, top, 70, 22), 6, 6)
        if share:
            painter.setBrush(color)
            painter.drawRoundedRect(QRectF(16, top, 70 * share, 22), 6, 6)
    painter.setBrush(QColor("#ef9a9a"))
    organ = QPainterPath(QPointF(92, 74))
    organ.cubicTo(84, 40, 122, 34, 116, 66)
    organ.cubicTo(112, 76, 120, 84, 114, 100)
    organ.cubicTo(108, 118, 82, 108, 92, 74)
    painter.drawPath(organ)
    painter.setPen(pen(WHITE, 5))
    painter.drawPolyline(QPolygonF([QPointF(38, 31), QPointF(47, 38), QPointF(62, 24)]))


def streamer(painter: QPainter) -> None:
    painter.setPen(pen(INK, 3))
    painter.setBrush(QColor("#263238"))
    painter.drawRoundedRect(QRectF(12, 26, 104, 76), 8, 8)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(WHITE)
    for hole in range(7):
        for top in (31, 89):
            painter.drawRoundedRect(QRectF(18 + 14 * hole, top, 8, 8), 2, 2)
    painter.setBrush(ORANGE)
    painter.setPen(pen(ORANGE, 5))
    polygon(painter, (52, 48), (52, 80), (80, 64))


def draw(path: Path, top: str, bottom: str, shape: Draw) -> None:
    image = QImage(SIZE, SIZE, QImage.Format.Format_ARGB32)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    gradient = QLinearGradient(0, 0, 0, SIZE)
    gradient.setColorAt(0, QColor(top))
    gradient.setColorAt(1, QColor(bottom))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(gradient)
    painter.drawRoundedRect(QRectF(2, 2, SIZE - 4, SIZE - 4), 22, 22)
    shape(painter)
    painter.end()
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(str(path))


def main() -> None:
    _application = QGuiApplication([])
    draw(ROOT / "Resources" / "DicomWorkbench.png", "#4fc3f7", "#01579b", slice_stack)
    for module, top, bottom, shape in (
        ("DicomWorkbench", "#4fc3f7", "#01579b", slice_stack),
        ("DicomOptimizer", "#81c784", "#1b5e20", optimizer),
        ("TumorAnalysis", "#b39ddb", "#4527a0", tumor),
        ("SphereVOI", "#90a4ae", "#455a64", spheres),
        ("AutoSegmentQueue", "#4dd0e1", "#006064", segment_queue),
        ("MultiframeStreamer", "#f48fb1", "#880e4f", streamer),
    ):
        draw(ROOT / module / "Resources" / "Icons" / f"{module}.png", top, bottom, shape)


if __name__ == "__main__":
    main()
