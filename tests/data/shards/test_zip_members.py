"""Zip archives of DICOMs, where the recipe wants them read."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from mammogan.config.source_settings import Source
from mammogan.data.dicom.decode import decode
from mammogan.data.dicom.header import UnreadableError
from mammogan.data.shards import zip_members
from mammogan.data.shards.archive import Archive
from mammogan.data.shards.file_listing import _unzipped, walk
from tests.data.dicom.test_file_kinds import GREY, bare

WANTED = Source(read_zips=True)


@pytest.fixture
def export(tmp_path):
    path = tmp_path / "export.ZIP"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("study")
        archive.writestr("study/1.dcm", bare())
        archive.writestr("study/a/2", bare())
        archive.writestr("readme.txt", b"An export.\n" * 9)
    return path


def listed(folder, wanted):
    return sorted(path.removeprefix(f"{folder}/") for path, _ in _unzipped(walk(folder), wanted))


def test_members_are_listed_as_files_of_a_folder_where_they_are_wanted(tmp_path, export):
    (tmp_path / "torn.zip").write_bytes(export.read_bytes()[:60])
    members = ["export.ZIP/readme.txt", "export.ZIP/study/1.dcm", "export.ZIP/study/a/2"]
    assert listed(tmp_path, True) == [*members, "torn.zip"]
    assert listed(tmp_path, False) == ["export.ZIP", "torn.zip"]


def test_a_member_is_read_as_the_file_that_it_is(tmp_path, export):
    archive, path = Archive(WANTED, tmp_path, None), export / "study" / "a" / "2"
    assert archive.header(path).modality == "MG"
    assert archive.size(path) == len(bare())
    dicom = archive.dicom(path)
    assert np.array_equal(decode(dicom), GREY)
    with pytest.raises(UnreadableError, match="not-dicom"):
        archive.header(export / "readme.txt")


def test_paths_inside_an_archive_serve_as_origins(tmp_path, export):
    source = WANTED.model_copy(update={"patient": (r"path:export.ZIP/([^/]+)/",)})
    assert Archive(source, tmp_path, None).header(export / "study" / "1.dcm").patient == "study"


def test_without_the_setting_an_archive_is_an_archive(tmp_path, export):
    with pytest.raises(UnreadableError, match="archive-file"):
        Archive(Source(), tmp_path, None).header(export)


def test_large_pixels_outlive_the_unpacked_file(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (1200, 1000), np.uint8)
    content = bare(Rows=1200, Columns=1000, PixelData=pixels.tobytes())
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("1.dcm", content)
    dicom = Archive(WANTED, tmp_path, None).dicom(tmp_path / "a.zip" / "1.dcm")
    assert np.array_equal(decode(dicom), pixels)


def test_a_member_larger_than_any_mammogram_is_not_unpacked(tmp_path, export, monkeypatch):
    monkeypatch.setattr(zip_members, "LARGEST_BYTES", 100)
    with pytest.raises(UnreadableError, match="too-large"):
        Archive(WANTED, tmp_path, None).header(export / "study" / "1.dcm")


def test_a_member_that_grows_beyond_its_declared_size_is_cut_and_refused(tmp_path, export):
    content = bytearray(export.read_bytes())
    size = len(bare()).to_bytes(4, "little")
    at = content.rfind(size, 0, content.rfind(b"study/1.dcm"))  # in the archive's directory
    content[at : at + 4] = (8).to_bytes(4, "little")
    export.write_bytes(content)
    with pytest.raises(UnreadableError):
        Archive(WANTED, tmp_path, None).header(export / "study" / "1.dcm")


def test_an_encrypted_member_says_so(tmp_path, export):
    content = bytearray(export.read_bytes())
    at = content.rfind(b"PK\x01\x02", 0, content.rfind(b"study/1.dcm"))
    content[at + 8] |= 1
    export.write_bytes(content)
    with pytest.raises(UnreadableError, match="archive-locked"):
        Archive(WANTED, tmp_path, None).header(export / "study" / "1.dcm")


def test_a_file_that_is_gone_can_not_be_reached(tmp_path, export):
    with pytest.raises(UnreadableError, match="no-access"):
        Archive(WANTED, tmp_path, None).header(Path(tmp_path / "gone" / "1.dcm"))
    with pytest.raises(UnreadableError, match="damaged"):
        Archive(WANTED, tmp_path, None).header(export / "gone.dcm")


def test_a_member_whose_stream_is_damaged_costs_no_other_its_place(tmp_path, export):
    content = bytearray(export.read_bytes())
    at = content.find(b"study/1.dcm") + len(b"study/1.dcm")
    content[at : at + 40] = b"\xff" * 40
    export.write_bytes(content)
    archive = Archive(WANTED, tmp_path, None)
    with pytest.raises(UnreadableError, match="damaged"):
        archive.header(export / "study" / "1.dcm")
    assert archive.header(export / "study" / "a" / "2").modality == "MG"


def test_an_archive_whose_directory_is_damaged_is_an_archive(tmp_path, export):
    content = bytearray(export.read_bytes())
    at = content.rfind(b"PK\x01\x02", 0, content.rfind(b"PK\x01\x02"))
    content[at : at + 4] = bytes(4)
    export.write_bytes(content)
    assert listed(tmp_path, True) == ["export.ZIP"]
    with pytest.raises(UnreadableError, match="archive-file"):
        Archive(WANTED, tmp_path, None).header(export)


def test_a_member_is_unpacked_once_for_header_size_and_pixels(tmp_path, export, monkeypatch):
    opened, archive = [], Archive(WANTED, tmp_path, None)
    unpack = zipfile.ZipFile.open
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *rest: opened.append(rest) or unpack(*rest))
    path = export / "study" / "1.dcm"
    archive.header(path), archive.size(path), archive.dicom(path)
    assert len(opened) == 1
