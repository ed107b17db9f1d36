"""Models: names, hierarchy, linear colours, transparency, metres with Y up; checked with our reader, with VTK's, and by the bytes.

Truth: a sphere with its own radius and centre, the sRGB transfer function, the glTF 2.0 specification.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from AutoSegmentQueueLib import export_gltf
from AutoSegmentQueueLib.export_mesh import Mesh, enclosed_volume_ml, file_name, write_obj, write_stl
from AutoSegmentQueueLib.export_parts import read_parts
from DicomWorkbenchLib.errors import FileError

CENTER_LPS_MM = (30.0, -120.0, 250.0)
RADIUS_MM = 20.0


def sphere(name: str = "liver", group: str = "Organs", opacity: float = 1.0) -> Mesh:
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    source = vtk.vtkSphereSource()
    source.SetRadius(RADIUS_MM)
    source.SetCenter(*CENTER_LPS_MM)
    source.SetThetaResolution(48)
    source.SetPhiResolution(48)
    source.Update()
    surface = source.GetOutput()
    points = vtk_to_numpy(surface.GetPoints().GetData())
    normals = vtk_to_numpy(surface.GetPointData().GetNormals())
    triangles = vtk_to_numpy(surface.GetPolys().GetConnectivityArray()).reshape(-1, 3).astype(np.uint32)
    return Mesh(name, group, (0.5, 0.04, 1.0), opacity, points, normals, triangles)


pytestmark = pytest.mark.needs("module:vtk")


@pytest.fixture(params=["gltf", "glb"])
def model(request: Any, tmp_path: Path) -> Path:
    document, blob = export_gltf.build([sphere(), sphere("tumour", "", 0.4)], "case")
    path = tmp_path / f"model.{request.param}"
    pack = export_gltf.as_gltf if request.param == "gltf" else export_gltf.as_glb
    path.write_bytes(pack(document, blob))
    return path


def test_parts_are_named_grouped_coloured_and_in_metres(model: Path) -> None:
    liver, tumour = read_parts(model)
    assert (liver.name, liver.path, liver.opacity) == ("liver", ("case", "Organs"), 1.0)
    assert (tumour.name, tumour.path, tumour.opacity) == ("tumour", ("case",), 0.4)
    assert liver.color == pytest.approx((0.5, 0.04, 1.0), abs=1e-4)
    left, posterior, superior = CENTER_LPS_MM
    assert liver.points_m.mean(axis=0) == pytest.approx(np.array([left, superior, -posterior]) / 1000, abs=1e-3)
    assert np.linalg.norm(liver.points_lps_mm - CENTER_LPS_MM, axis=1) == pytest.approx(RADIUS_MM, abs=1e-3)


def test_vtk_reads_the_same_and_shows_linear_colours(model: Path) -> None:
    import vtk

    importer = vtk.vtkGLTFImporter()
    importer.SetFileName(str(model))
    window, renderer = vtk.vtkRenderWindow(), vtk.vtkRenderer()
    window.SetOffScreenRendering(1)
    window.AddRenderer(renderer)
    importer.SetRenderWindow(window)
    importer.Update()
    actors = renderer.GetActors()
    assert actors.GetNumberOfItems() == 2
    actors.InitTraversal()
    color = actors.GetNextActor().GetProperty().GetColor()
    assert color == pytest.approx((0.2140, 0.0031, 1.0), abs=1e-3)  # of sRGB 0.5 and 0.04, IEC 61966-2-1
    low, high = np.array(renderer.ComputeVisiblePropBounds()).reshape(3, 2).T
    assert (high - low) == pytest.approx(2 * RADIUS_MM / 1000, rel=0.01)


def test_the_document_keeps_to_the_specification(model: Path) -> None:
    document, blob = export_gltf.read(model)
    assert document["asset"]["version"] == "2.0"
    opaque, clear = document["materials"]
    assert "alphaMode" not in opaque
    assert clear["alphaMode"] == "BLEND"
    for view in document["bufferViews"]:
        assert view["byteOffset"] % 4 == 0
        assert view["byteOffset"] + view["byteLength"] <= len(blob)
    for accessor in document["accessors"]:
        if "max" in accessor:  # POSITION must tell its bounds (3.7.2.1)
            view = document["bufferViews"][accessor["bufferView"]]
            values = np.frombuffer(blob, "<f4", accessor["count"] * 3, view["byteOffset"]).reshape(-1, 3)
            assert values.max(axis=0).tolist() == accessor["max"]


def test_a_glb_is_laid_out_in_aligned_chunks() -> None:
    content = export_gltf.as_glb(*export_gltf.build([sphere()], "case"))
    magic, version, length = struct.unpack_from("<4sII", content)
    assert (magic, version, length) == (b"glTF", 2, len(content))
    size, kind = struct.unpack_from("<I4s", content, 12)
    assert (size % 4, kind) == (0, b"JSON")
    json.loads(content[20 : 20 + size])
    size2, kind2 = struct.unpack_from("<I4s", content, 20 + size)
    assert (size2 % 4, kind2) == (0, b"BIN\0")
    assert 28 + size + size2 == length


@pytest.mark.parametrize("keep", [0, 3, 11, 40, 5000])
def test_a_cut_model_is_an_error_that_names_the_file(tmp_path: Path, keep: int) -> None:
    for name, pack in (("a.gltf", export_gltf.as_gltf), ("a.glb", export_gltf.as_glb)):
        (tmp_path / name).write_bytes(pack(*export_gltf.build([sphere()], "case"))[:keep])
        with pytest.raises(FileError, match=name):
            read_parts(tmp_path / name)


def test_surfaces_point_outwards_and_enclose_their_volume() -> None:
    mesh = sphere()
    truth_ml = 4 / 3 * np.pi * RADIUS_MM**3 / 1000
    assert enclosed_volume_ml(mesh.points_lps_mm, mesh.triangles) == pytest.approx(truth_ml, rel=0.01)


def test_stl_and_obj_hold_the_same_sphere_for_other_readers(tmp_path: Path) -> None:
    import vtk

    mesh = sphere("left lung/upper")
    write_stl(tmp_path / "a.stl", mesh)
    obj, materials = write_obj(tmp_path / "a.obj", [mesh, sphere("b", opacity=0.5)])
    for reader, path in ((vtk.vtkSTLReader(), tmp_path / "a.stl"), (vtk.vtkOBJReader(), obj)):
        reader.SetFileName(str(path))
        reader.Update()
        bounds = np.array(reader.GetOutput().GetBounds()).reshape(3, 2)
        assert bounds.mean(axis=1) == pytest.approx(CENTER_LPS_MM, abs=0.1)
    assert b"SPACE=LPS" in (tmp_path / "a.stl").read_bytes()[:80]
    assert "newmtl left_lung_upper\n" in materials.read_text()
    assert "d 0.500" in materials.read_text()


@pytest.mark.parametrize(
    ("name", "expected"), [("a/b", "a_b"), ("..", "structure"), ("Über", "_ber"), ("rib_left_1", "rib_left_1")]
)
def test_file_names_are_safe(name: str, expected: str) -> None:
    assert file_name(name) == expected


@pytest.mark.parametrize("value", [0.0, 0.02, 0.0405, 0.2, 0.5, 1.0])
def test_srgb_and_linear_are_inverses(value: float) -> None:
    assert export_gltf.srgb_of_linear(export_gltf.linear_of_srgb(value)) == pytest.approx(value, abs=1e-6)
