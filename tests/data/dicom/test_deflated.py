"""A deflated file may not ask for more memory than a mammogram needs."""

import resource
import zlib

import numpy as np
import pytest
from pydicom import uid

from mammogan.config.source_settings import Source
from mammogan.data.dicom import deflated as bound
from mammogan.data.dicom.decode import decode, read
from mammogan.data.dicom.deflated import not_a_bomb
from mammogan.data.dicom.header import UnreadableError, reason_of
from mammogan.data.shards.archive import Archive
from tests.data.conftest import half_disc
from tests.data.forms import uncompressed
from tests.data.mutants import deflated


def bomb(dicom, saved, folder, *, whole):
    path = saved(dicom(), folder / "a.dcm")
    path.write_bytes(deflated(path.read_bytes(), 1024, whole=whole))
    return path


@pytest.mark.parametrize("whole", [True, False])
def test_a_bomb_is_refused_by_header_and_file_and_takes_no_memory(tmp_path, dicom, saved, whole):
    path = bomb(dicom, saved, tmp_path, whole=whole)
    assert path.stat().st_size < 6 << 20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UnreadableError, match=r"^memory-limit$"):
        Archive(Source(), tmp_path, None).header(path)
    with pytest.raises(MemoryError) as raised:
        read(path)
    assert reason_of(raised.value) == "memory-limit"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


def test_a_deflated_mammogram_is_read(tmp_path, dicom, saved, monkeypatch):
    pixels = half_disc()
    made = uncompressed(dicom(pixels), uid.DeflatedExplicitVRLittleEndian, pixels)
    monkeypatch.setattr(bound, "GREATEST_RATIO", 1 << 30)  # so that it is inflated on trial
    assert np.array_equal(decode(read(saved(made, tmp_path / "a.dcm"))), pixels)


def test_what_is_damaged_is_left_to_whoever_inflates_it(monkeypatch):
    monkeypatch.setattr(bound, "MOST_BYTES", 1 << 20)
    packer = zlib.compressobj(9, wbits=-15)
    small = packer.compress(bytes(1 << 20)) + packer.flush()
    for zipped in (small, small[:-5], b"\xff" * 3000, small + b"more", b""):
        assert not_a_bomb(zipped) is zipped
    packer = zlib.compressobj(9, wbits=-15)
    with pytest.raises(MemoryError):
        not_a_bomb(packer.compress(bytes((1 << 20) + 1)) + packer.flush())
