"""Stand-ins for CTK's number widgets."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

from SlicerHost.faces import stands_for
from SlicerHost.plain_property import plain

_STEPS = 10_000  # positions of the integer slider that stands for a range of real numbers


def _row(owner: QtWidgets.QWidget, *widgets: QtWidgets.QWidget) -> None:
    layout = QtWidgets.QHBoxLayout(owner)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget)


@stands_for("ctk.ctkDoubleSpinBox")
class ctkDoubleSpinBox(QtWidgets.QDoubleSpinBox):
    """A spin box for real numbers."""

    decimalsChanged = QtCore.Signal(int)
    decimalsOption = plain(object)
    isSettingValue = QtCore.Property(bool, lambda _self: False)
    invertedControls = plain(bool, False)
    setMode = plain(object)
    sizeHintPolicy = plain(object)

    def setDecimals(self, decimals: int) -> None:
        """Set how many digits follow the point."""
        super().setDecimals(decimals)
        self.decimalsChanged.emit(decimals)

    def setValueIfDifferent(self, value: float) -> None:
        """Set the value."""
        self.setValue(value)

    setValueAlways = setValueIfDifferent


@stands_for("ctk.ctkDoubleSlider")
class ctkDoubleSlider(QtWidgets.QWidget):
    """A slider over real numbers."""

    valueChanged = QtCore.Signal(float)
    sliderMoved = QtCore.Signal(float)
    sliderPressed = QtCore.Signal()
    sliderReleased = QtCore.Signal()
    rangeChanged = QtCore.Signal(float, float)
    _slider: QtWidgets.QSlider
    _value = 0.0
    _range = (0.0, 99.0)

    def __init__(self, orientation: Any = None, parent: QtWidgets.QWidget | None = None) -> None:
        is_orientation = isinstance(orientation, QtCore.Qt.Orientation)
        super().__init__(parent if is_orientation or orientation is None else orientation)
        self._slider = QtWidgets.QSlider(orientation if is_orientation else QtCore.Qt.Orientation.Horizontal)
        self._slider.setRange(0, _STEPS)
        _row(self, self._slider)
        self._slider.valueChanged.connect(self._moved)
        self._slider.sliderPressed.connect(self.sliderPressed.emit)
        self._slider.sliderReleased.connect(self.sliderReleased.emit)

    def _moved(self, position: int) -> None:
        self._assign(self._range[0] + (self._range[1] - self._range[0]) * position / _STEPS)
        self.sliderMoved.emit(self._value)

    def _assign(self, value: float) -> None:
        bounded = min(max(value, self._range[0]), self._range[1])
        if bounded != self._value:
            self._value = bounded
            self.valueChanged.emit(bounded)

    def setValue(self, value: float) -> None:
        """Move to ``value``, within the range."""
        self._assign(value)
        blocked = self._slider.blockSignals(True)
        span = self._range[1] - self._range[0]
        self._slider.value = round(_STEPS * (self._value - self._range[0]) / span) if span else 0
        self._slider.blockSignals(blocked)

    def _set_range(self, low: float, high: float) -> None:
        self._range = (low, max(low, high))
        self.rangeChanged.emit(*self._range)
        self.setValue(self._value)

    def setOrientation(self, orientation: QtCore.Qt.Orientation) -> None:
        """Lay the slider flat or upright."""
        self._slider.setOrientation(orientation)

    value = QtCore.Property(float, lambda self: self._value, setValue)
    sliderPosition = QtCore.Property(float, lambda self: self._value, setValue)
    minimum = QtCore.Property(float, lambda s: s._range[0], lambda s, low: s._set_range(low, s._range[1]))
    maximum = QtCore.Property(float, lambda s: s._range[1], lambda s, high: s._set_range(s._range[0], high))
    orientation = QtCore.Property(object, lambda self: self._slider.orientation, setOrientation)
    singleStep = plain(float, 1.0)
    pageStep = plain(float, 10.0)
    tracking = plain(bool, True)
    tickInterval = plain(float, 0.0)
    tickPosition = plain(object, QtWidgets.QSlider.TickPosition.NoTicks)
    handleToolTip = plain(str, "")
    invertedAppearance = plain(bool, False)
    invertedControls = plain(bool, False)


def _of_spin_box(kind: Any, name: str) -> Any:
    def write(self: Any, value: Any) -> None:
        setattr(self._spin, name, value)

    return QtCore.Property(kind, lambda self: getattr(self._spin, name), write)


@stands_for("ctk.ctkSliderWidget")
class ctkSliderWidget(QtWidgets.QWidget):
    """A slider and a spin box for the same real number."""

    valueChanged = QtCore.Signal(float)
    valueIsChanging = QtCore.Signal(float)
    decimalsChanged = QtCore.Signal(int)
    _spin: QtWidgets.QDoubleSpinBox
    _slider: ctkDoubleSlider

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._slider = ctkDoubleSlider()
        self._spin = QtWidgets.QDoubleSpinBox()
        _row(self, self._slider, self._spin)
        self.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Fixed)
        self._slider.sliderMoved.connect(lambda value: setattr(self._spin, "value", value))
        self._spin.valueChanged.connect(self._changed)
        self._set_range(0.0, 99.0)

    def _changed(self, value: float) -> None:
        self._slider.value = value
        self.valueChanged.emit(value)

    def _set_range(self, low: float, high: float) -> None:
        self._spin.setRange(low, max(low, high))
        self._slider._set_range(low, max(low, high))

    def setValue(self, value: float) -> None:
        """Set the value, within the range."""
        self._spin.value = value

    def setDecimals(self, decimals: int) -> None:
        """Set how many digits follow the point."""
        self._spin.setDecimals(decimals)
        self.decimalsChanged.emit(decimals)

    def setSpinBoxVisible(self, visible: bool) -> None:
        """Show or hide the spin box."""
        self._spin.setVisible(visible)

    def reset(self) -> None:
        """Go back to 0, or the nearest value of the range."""
        self._spin.value = 0.0

    value = _of_spin_box(float, "value")
    minimum = QtCore.Property(float, lambda s: s._spin.minimum, lambda s, low: s._set_range(low, s._spin.maximum))
    maximum = QtCore.Property(float, lambda s: s._spin.maximum, lambda s, high: s._set_range(s._spin.minimum, high))
    singleStep = _of_spin_box(float, "singleStep")
    decimals = QtCore.Property(int, lambda self: self._spin.decimals, setDecimals)
    prefix = _of_spin_box(str, "prefix")
    suffix = _of_spin_box(str, "suffix")
    spinBoxAlignment = _of_spin_box(object, "alignment")
    spinBoxVisible = QtCore.Property(bool, lambda self: not self._spin.isHidden(), setSpinBoxVisible)
    pageStep = plain(float, 10.0)
    tracking = plain(bool, True)
    tickInterval = plain(float, 0.0)
    tickPosition = plain(object, QtWidgets.QSlider.TickPosition.NoTicks)
    popupSlider = plain(bool, False)
    synchronizeSiblings = plain(object)
    invertedAppearance = plain(bool, False)
    invertedControls = plain(bool, False)


class _RangeBar(QtWidgets.QWidget):
    """Shows which part of the range lies between the two values."""

    def __init__(self) -> None:
        super().__init__()
        self.fractions = (0.0, 1.0)
        self.setMinimumSize(40, 12)
        self.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Fixed)

    def paintEvent(self, _event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        groove = QtCore.QRect(0, self.height // 2 - 2, self.width, 4)
        painter.fillRect(groove, self.palette.color(QtGui.QPalette.ColorRole.Mid))
        left, right = (round(part * self.width) for part in self.fractions)
        chosen = QtCore.QRect(left, groove.y(), max(right - left, 2), groove.height())
        painter.fillRect(chosen, self.palette.color(QtGui.QPalette.ColorRole.Highlight))


@stands_for("ctk.ctkRangeWidget")
class ctkRangeWidget(QtWidgets.QWidget):
    """Two spin boxes for a lower and an upper real number, with a bar between them."""

    minimumValueChanged = QtCore.Signal(float)
    maximumValueChanged = QtCore.Signal(float)
    minimumValueIsChanging = QtCore.Signal(float)
    maximumValueIsChanging = QtCore.Signal(float)
    valuesChanged = QtCore.Signal(float, float)
    rangeChanged = QtCore.Signal(float, float)
    _low: QtWidgets.QDoubleSpinBox
    _high: QtWidgets.QDoubleSpinBox
    _bar: _RangeBar

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._low, self._high, self._bar = QtWidgets.QDoubleSpinBox(), QtWidgets.QDoubleSpinBox(), _RangeBar()
        _row(self, self._low, self._bar, self._high)
        self.setRange(0.0, 99.0)
        self._high.value = 99.0
        self._low.valueChanged.connect(self._low_changed)
        self._high.valueChanged.connect(self._high_changed)

    def _low_changed(self, value: float) -> None:
        self._high.value = max(value, self._high.value)
        self.minimumValueChanged.emit(value)
        self._both_changed()

    def _high_changed(self, value: float) -> None:
        self._low.value = min(value, self._low.value)
        self.maximumValueChanged.emit(value)
        self._both_changed()

    def _both_changed(self) -> None:
        span = (self.maximum - self.minimum) or 1.0
        ends = (self._low.value, self._high.value)
        self._bar.fractions = tuple((end - self.minimum) / span for end in ends)
        self._bar.update()
        self.valuesChanged.emit(*ends)

    def setRange(self, low: float, high: float) -> None:
        """Set the limits of both values."""
        for spin in (self._low, self._high):
            spin.setRange(low, high)
        self.rangeChanged.emit(low, high)

    def setValues(self, low: float, high: float) -> None:
        """Set both values."""
        self._high.value = high
        self._low.value = low

    def setMinimumValue(self, value: float) -> None:
        """Set the lower value."""
        self._low.value = value

    def setMaximumValue(self, value: float) -> None:
        """Set the upper value."""
        self._high.value = value

    def setDecimals(self, decimals: int) -> None:
        """Set how many digits follow the point."""
        for spin in (self._low, self._high):
            spin.setDecimals(decimals)

    def reset(self) -> None:
        """Let the values span the whole range."""
        self.setValues(self.minimum, self.maximum)

    def _set_both(self, name: str, value: Any) -> None:
        for spin in (self._low, self._high):
            setattr(spin, name, value)

    minimum = QtCore.Property(float, lambda s: s._low.minimum, lambda s, low: s.setRange(low, s._low.maximum))
    maximum = QtCore.Property(float, lambda s: s._low.maximum, lambda s, high: s.setRange(s._low.minimum, high))
    minimumValue = QtCore.Property(float, lambda self: self._low.value, setMinimumValue)
    maximumValue = QtCore.Property(float, lambda self: self._high.value, setMaximumValue)
    decimals = QtCore.Property(int, lambda self: self._low.decimals, setDecimals)
    singleStep = QtCore.Property(float, lambda s: s._low.singleStep, lambda s, v: s._set_both("singleStep", v))
    prefix = QtCore.Property(str, lambda s: s._low.prefix, lambda s, v: s._set_both("prefix", v))
    suffix = QtCore.Property(str, lambda s: s._low.suffix, lambda s, v: s._set_both("suffix", v))
    customSpinBoxesLimitsMin = QtCore.Property(float, lambda self: self._low.minimum)
    customSpinBoxesLimitsMax = QtCore.Property(float, lambda self: self._low.maximum)
    autoSpinBoxWidth = plain(bool, True)
    spinBoxAlignment = plain(object, QtCore.Qt.AlignmentFlag.AlignVCenter)
    spinBoxTextAlignment = plain(object, QtCore.Qt.AlignmentFlag.AlignLeft)
    symmetricMoves = plain(bool, False)
    tickInterval = plain(float, 0.0)
    tracking = plain(bool, True)
