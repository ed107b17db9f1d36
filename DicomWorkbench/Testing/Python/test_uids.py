"""UIDs: same old, same new, at every depth, and never a class."""

from DicomWorkbenchLib.uids import UidMap, new_uid
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

OLD = "1.2.826.0.1.3680043.9.7147.1"


def structure_set() -> Dataset:
    image = Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = CTImageStorage, f"{OLD}.3"
    contour = Dataset()
    contour.ContourImageSequence = [image]
    roi = Dataset()
    roi.ContourSequence = [contour]
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID, ds.FrameOfReferenceUID = CTImageStorage, OLD, f"{OLD}.2"
    ds.ROIContourSequence = [roi]
    ds.add_new(0x00091001, "UI", f"{OLD}.3")
    ds.add_new(0x00081167, "UI", [f"{OLD}.3", f"{OLD}.4"])
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPInstanceUID = OLD
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def test_one_old_uid_becomes_one_new_uid_wherever_it_stands():
    uids, ds = UidMap(), structure_set()
    uids.apply(ds)
    image = ds.ROIContourSequence[0].ContourSequence[0].ContourImageSequence[0]
    assert ds.SOPInstanceUID == ds.file_meta.MediaStorageSOPInstanceUID == uids.new(OLD) != OLD
    assert image.ReferencedSOPInstanceUID == ds[0x00091001].value == ds[0x00081167].value[0] == uids.new(f"{OLD}.3")
    assert image.ReferencedSOPClassUID == CTImageStorage
    assert ds.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian


def test_the_same_salt_gives_the_same_uids_in_a_second_run():
    assert UidMap("secret").new(OLD) == UidMap("secret").new(OLD) != UidMap("other").new(OLD)
    assert UidMap().new(OLD) != UidMap().new(OLD)


def test_well_known_uids_stay():
    for uid in ("1.2.840.10008.1.4.1.1", CTImageStorage, ""):
        assert UidMap("s").new(uid) == uid


@given(st.text(alphabet="0123456789.", min_size=1, max_size=64))
def test_new_uids_are_legal(old):
    new = UidMap("salt").new(old)
    if not old.startswith("1.2.840.10008."):
        assert UID(new).is_valid and len(new) <= 44 and new.startswith("2.25.")


def test_fresh_uids_are_legal_and_different():
    assert UID(new_uid()).is_valid and new_uid() != new_uid()


def test_what_is_to_be_kept_is_kept():
    ds = structure_set()
    UidMap().apply(ds, keep=["FrameOfReferenceUID"])
    assert ds.FrameOfReferenceUID == f"{OLD}.2"
    assert ds.SOPInstanceUID != OLD
