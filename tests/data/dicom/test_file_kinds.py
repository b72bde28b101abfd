"""What lies among mammograms and is none is told apart; bare files are read as what they are."""

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from pydicom import uid
from pydicom.data import get_testdata_file

from mammogan.config.source_settings import Source
from mammogan.data.dicom.decode import decode
from mammogan.data.dicom.header import UnreadableError
from mammogan.data.shards.archive import Archive

GREY = np.arange(64, dtype=np.uint8).reshape(8, 8)


def zipped(*names):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, b"content")
    return stream.getvalue()


def tarred():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.dcm"))
    return stream.getvalue()


def encoded(suffix):
    return cv2.imencode(suffix, GREY)[1].tobytes()


def bare(order="<", implicit=False, **attributes):
    """Write a data set without preamble and file meta information, as some exports are."""
    dicom = pydicom.Dataset()
    dicom.SOPClassUID = uid.DigitalMammographyXRayImageStorageForPresentation
    dicom.SOPInstanceUID = "1.2.3"
    dicom.Modality, dicom.PatientID = "MG", "p"
    dicom.Rows, dicom.Columns = GREY.shape
    dicom.BitsAllocated = dicom.BitsStored = 8
    dicom.PixelRepresentation, dicom.SamplesPerPixel = 0, 1
    dicom.PhotometricInterpretation = "MONOCHROME2"
    dicom.PixelData = GREY.tobytes()
    dicom["PixelData"].VR = "OW" if implicit else "OB"
    dicom.update(attributes)
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dicom, implicit_vr=implicit, little_endian=order == "<")
    return stream.getvalue()


def reason(path, content, **source):
    path.write_bytes(content)
    with pytest.raises(UnreadableError) as raised:
        Archive(Source(**source), path.parent, None).header(path)
    return str(raised.value)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.zip", zipped("1.dcm"), "archive-file"),
        ("empty.zip", zipped(), "archive-file"),
        ("a.dcm.gz", gzip.compress(b"x"), "archive-file"),
        ("a.tar", tarred(), "archive-file"),
        ("a.7z", b"7z\xbc\xaf\x27\x1c" + bytes(40), "archive-file"),
        ("no-suffix", zipped("1.dcm"), "archive-file"),
        ("list.xlsx", zipped("xl/workbook.xml"), "document-file"),
        ("old.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "document-file"),
        ("report.pdf", b"%PDF-1.7\n" + bytes(600), "document-file"),
        ("a.png", encoded(".png"), "image-file"),
        ("thumb.jpg", encoded(".jpg"), "image-file"),
        ("a.tif", encoded(".tif"), "image-file"),
        ("film.pgm", encoded(".pgm"), "image-file"),
        ("named.dcm", encoded(".png"), "image-file"),
        ("notes.txt", b"Index of the export\n" * 30, "text-file"),
        ("Thumbs.db", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "system-file"),
        (".DS_Store", b"\x00\x00\x00\x01Bud1" + bytes(600), "system-file"),
        ("._P1_L_CC.dcm", b"\x00\x05\x16\x07" + bytes(600), "system-file"),
        ("noise.txt", bytes(range(256)) * 4, "not-dicom"),
        ("two.txt", b"\x08\x00 some text that begins as an element does" * 30, "not-dicom"),
        ("short", b"\x08\x00\x05", "not-dicom"),
    ],
)
def test_what_is_no_dicom_is_named_for_what_it_is(tmp_path, name, content, kind):
    assert reason(tmp_path / name, content) == kind


def test_a_directory_of_dicoms_is_no_image(tmp_path):
    content = Path(get_testdata_file("DICOMDIR")).read_bytes()
    assert reason(tmp_path / "DICOMDIR", content) == "dicomdir"


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.dcm", bytes(128) + b"DICM" + bytes(200), "dicom-file"),
        ("a.zip", zipped("1.png"), "archive-file"),
        ("a.pdf", b"%PDF-1.4" + bytes(100), "document-file"),
        ("half.png", b"\x89PNG\r\n\x1a\n half", "not-an-image"),
        ("a.gif", b"GIF89a" + bytes(100), "not-an-image"),
    ],
)
def test_among_pictures_other_files_are_named_too(tmp_path, name, content, kind):
    origins = {"view": ("path:(CC)",), "laterality": ("path:(L)",), "patient": ("path:(p)",)}
    assert reason(tmp_path / name, content, kind="images", **origins) == kind


@pytest.mark.parametrize(("order", "implicit"), [("<", False), ("<", True), (">", False)])
def test_a_file_without_preamble_and_transfer_syntax_is_read_with_flags(tmp_path, order, implicit):
    path = tmp_path / "bare.dcm"
    path.write_bytes(bare(order, implicit))
    archive = Archive(Source(), tmp_path, None)
    header = archive.header(path)
    assert (header.modality, header.sop_instance_uid, header.rows) == ("MG", "1.2.3", 8)
    assert {"no-preamble", "no-transfer-syntax"} <= {*header.flags}
    assert np.array_equal(decode(archive.dicom(path)), GREY)


def test_a_file_with_preamble_that_lacks_only_the_transfer_syntax_is_read(tmp_path):
    path = tmp_path / "meta.dcm"
    path.write_bytes(bytes(128) + b"DICM" + bare())
    archive = Archive(Source(), tmp_path, None)
    assert archive.header(path).flags == ("no-transfer-syntax",)
    assert np.array_equal(decode(archive.dicom(path)), GREY)


def test_a_whole_file_has_none_of_these_flags(tmp_path):
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    dicom = pydicom.dcmread(io.BytesIO(bare()), force=True)
    dicom.file_meta = meta
    dicom.save_as(tmp_path / "whole.dcm", enforce_file_format=True)
    assert Archive(Source(), tmp_path, None).header(tmp_path / "whole.dcm").flags == ()
