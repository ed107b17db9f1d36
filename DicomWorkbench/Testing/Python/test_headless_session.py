"""Starting and ending a headless session, each in an interpreter of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

HIDE_SLICER_CORE = """
    import sys
    class Hidden:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in ("slicer", "slicer_core", "vtk", "vtkmodules"):
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    sys.meta_path.insert(0, Hidden())
"""
FAKE_SLICER = """
    import sys, types
    slicer = types.ModuleType("slicer")
    slicer.app = types.SimpleNamespace(applicationVersion="5.12.0", mainWindow=lambda: None)
    sys.modules["slicer"] = slicer
"""


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | environment,
    )


def test_importing_the_package_imports_neither_slicer_nor_vtk() -> None:
    done = run_python(
        "import sys, DicomWorkbenchLib.headless; print({'slicer', 'vtk', 'vtkmodules'} & set(sys.modules))"
    )
    assert (done.stdout.strip(), done.returncode) == ("set()", 0)


def test_without_slicer_core_boot_names_the_extra_to_install() -> None:
    done = run_python(
        textwrap.dedent(HIDE_SLICER_CORE)
        + textwrap.dedent("""
        from DicomWorkbenchLib.errors import DependencyError
        from DicomWorkbenchLib.headless import boot
        try:
            boot()
        except DependencyError as error:
            print(error)
        """)
    )
    assert 'pip install "dicom-workbench[headless]"' in done.stdout
    assert done.returncode == 0


def test_inside_slicer_boot_returns_its_application_and_touches_nothing() -> None:
    done = run_python(
        textwrap.dedent(FAKE_SLICER)
        + textwrap.dedent("""
        from DicomWorkbenchLib.headless import boot, shut_down
        before = dict(vars(slicer)), set(sys.modules), list(sys.path)
        assert boot() is slicer.app
        shut_down()
        assert before == (dict(vars(slicer)), set(sys.modules), list(sys.path))
        """)
    )
    assert (done.stderr, done.returncode) == ("", 0)


@pytest.mark.needs("module:slicer")
def test_a_session_with_data_boots_silently_and_ends_without_a_crash(tmp_path: Path) -> None:
    done = run_python(
        f"""
        import sys
        from pathlib import Path
        path = list(sys.path)
        from DicomWorkbenchLib.headless import boot
        app = boot()
        assert boot() is app and path == sys.path
        import numpy, slicer
        volume = slicer.util.addVolumeFromArray(numpy.zeros((3, 4, 5)), nodeClassName="vtkMRMLScalarVolumeNode")
        assert slicer.util.saveNode(volume, {str(tmp_path / "v.nrrd")!r})
        slicer.mrmlScene.AddObserver("ModifiedEvent", lambda caller, event: None)
        Path({str(tmp_path / "folder.txt")!r}).write_text(app.temporaryPath)
        """
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    assert not Path((tmp_path / "folder.txt").read_text()).exists(), "the session's folder outlived it"


@pytest.mark.needs("module:slicer")
def test_a_process_can_end_a_session_and_start_another() -> None:
    done = run_python(
        """
        from DicomWorkbenchLib.headless import boot, shut_down
        first = boot()
        shut_down()
        import slicer
        assert not hasattr(slicer, "app")
        assert boot() is not first
        assert slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode") is not None
        """
    )
    assert (done.stderr, done.returncode) == ("", 0)


@pytest.mark.needs("module:slicer")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux can be without OpenGL")
def test_without_opengl_a_picture_is_an_error_that_names_the_packages_not_a_crash(tmp_path: Path) -> None:
    done = run_python(
        f"""
        from DicomWorkbenchLib.errors import DependencyError
        from DicomWorkbenchLib.headless import picture_of_3d
        try:
            picture_of_3d({str(tmp_path / "p.png")!r})
        except DependencyError as error:
            print(error)
        """,
        # GLVND then finds no driver: what a machine without Mesa looks like to VTK.
        __EGL_VENDOR_LIBRARY_DIRS="/nonexistent",
        DISPLAY="",
    )
    assert "libegl1" in done.stdout
    assert done.returncode == 0
    assert not (tmp_path / "p.png").exists()
