"""The Tab key leads through every panel as it is read: from top to bottom, in a row from left to right."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from SlicerHost.testing import panel_test

TAB_FOCUS = 1  # Qt.TabFocus


def plain(value: Any) -> Any:
    """Return what a property or a getter gives."""
    return value() if callable(value) else value


def stops(panel: Any) -> Iterator[Any]:
    """Yield the widgets at which the Tab key stops, in its order, at the panel's usual width."""
    panel.resize()
    widget = panel.outer.nextInFocusChain()
    while widget is not panel.outer:
        takes_it = int(getattr(plain(widget.focusPolicy), "value", 0)) & TAB_FOCUS
        if takes_it and widget.isVisible() and plain(widget.focusProxy) is None and panel.outer.isAncestorOf(widget):
            yield widget
        widget = widget.nextInFocusChain()


def place(panel: Any, widget: Any) -> tuple[int, int, int]:
    """Return top, bottom and left of a widget in the panel, pixels."""
    area = plain(widget.rect)
    corner = widget.mapTo(panel.outer, area.topLeft())
    return corner.y(), corner.y() + area.height(), corner.x()


def out_of_order(panel: Any) -> list[str]:
    """Return the steps of the Tab key that go up, or back within a row."""
    found, wrong = list(stops(panel)), []
    assert len(found) >= 4, "a panel has fields and buttons"
    for one, other in itertools.pairwise(found):
        top, bottom, left = place(panel, one)
        next_top, next_bottom, next_left = place(panel, other)
        goes_up = next_bottom <= top
        goes_back = next_top < bottom and top < next_bottom and next_left < left
        if goes_up or goes_back:
            wrong.append(f"{plain(one.objectName)} -> {plain(other.objectName)}")
    return wrong


@panel_test("DicomOptimizer")
def test_tab_leads_down_the_optimizers_panel(panel: Any) -> None:
    assert out_of_order(panel) == []


@panel_test("TumorAnalysis")
def test_tab_leads_down_the_panel_of_tumors(panel: Any) -> None:
    assert out_of_order(panel) == []


@panel_test("SphereVOI")
def test_tab_leads_down_the_panel_of_spheres(panel: Any) -> None:
    assert out_of_order(panel) == []


@panel_test("AutoSegmentQueue")
def test_tab_leads_down_the_panel_of_the_queue(panel: Any) -> None:
    assert out_of_order(panel) == []


@panel_test("MultiframeStreamer")
def test_tab_leads_down_the_panel_of_the_streamer(panel: Any) -> None:
    assert out_of_order(panel) == []


@panel_test("MultiframeStreamer")
def test_a_step_upwards_would_be_noticed(panel: Any) -> None:
    from PySide6 import QtWidgets

    found = list(stops(panel))
    QtWidgets.QWidget.setTabOrder(found[-1], found[0])
    assert out_of_order(panel) != []
