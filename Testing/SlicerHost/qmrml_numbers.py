"""Stand-ins for the number widgets that follow the scene's units."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtWidgets

from SlicerHost.ctk_numbers import ctkDoubleSpinBox, ctkRangeWidget, ctkSliderWidget
from SlicerHost.faces import stands_for
from SlicerHost.plain_property import plain


class _OfScene:
    """What both have: a scene and the quantity they show."""

    def setMRMLScene(self, scene: Any) -> None:
        """Take a scene, whose units would be shown."""
        vars(self)["_scene"] = scene

    def mrmlScene(self) -> Any:
        """Return the scene."""
        return vars(self).get("_scene")

    def setQuantity(self, quantity: str) -> None:
        """Say what is shown: "length", "time", ..."""
        self.quantity = quantity


@stands_for("slicer.qMRMLSliderWidget")
class qMRMLSliderWidget(ctkSliderWidget):
    """A slider with a spin box."""

    setMRMLScene, mrmlScene, setQuantity = _OfScene.setMRMLScene, _OfScene.mrmlScene, _OfScene.setQuantity
    quantity = plain(str, "")
    orientation = plain(object, QtCore.Qt.Orientation.Horizontal)
    unitAwareProperties = plain(object)


@stands_for("slicer.qMRMLSpinBox")
class qMRMLSpinBox(ctkDoubleSpinBox):
    """A spin box."""

    setMRMLScene, mrmlScene, setQuantity = _OfScene.setMRMLScene, _OfScene.mrmlScene, _OfScene.setQuantity
    quantity = plain(str, "")
    unitAwareProperties = plain(object)


@stands_for("slicer.qMRMLVolumeThresholdWidget")
class qMRMLVolumeThresholdWidget(QtWidgets.QWidget):
    """Two thresholds of a volume."""

    thresholdValuesChanged = QtCore.Signal(float, float)
    autoThresholdValueChanged = QtCore.Signal(int)
    _range: ctkRangeWidget
    _node: Any = None

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._range = ctkRangeWidget()
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._range)
        self._range.valuesChanged.connect(self.thresholdValuesChanged.emit)

    def mrmlVolumeNode(self) -> Any:
        """Return the volume."""
        return self._node

    def setMRMLVolumeNode(self, node: Any) -> None:
        """Choose a volume; its values are the bounds."""
        self._node = node
        if node is not None and node.GetImageData() is not None:
            self._range.setRange(*node.GetImageData().GetScalarRange())
            self._range.reset()

    def setThreshold(self, low: float, high: float) -> None:
        """Set both thresholds."""
        self._range.setValues(low, high)

    def setThresholdBounds(self, low: float, high: float) -> None:
        """Set what the thresholds may be."""
        self._range.setRange(low, high)

    lowerThreshold = QtCore.Property(
        float, lambda s: s._range.minimumValue, lambda s, value: setattr(s._range, "minimumValue", value)
    )
    upperThreshold = QtCore.Property(
        float, lambda s: s._range.maximumValue, lambda s, value: setattr(s._range, "maximumValue", value)
    )
    lowerThresholdBound = QtCore.Property(float, lambda s: s._range.minimum)
    upperThresholdBound = QtCore.Property(float, lambda s: s._range.maximum)
    autoThreshold = plain(int, 0)
