"""What is written is read again, bit for bit; what was damaged is not read at all."""

import io
import json
import resource
import struct
import tarfile

import numpy as np
import pytest
import webdataset as wds
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from webdataset.autodecode import DecodingError

from mammogan.data.store.image_encoding import (
    SUFFIX,
    decode,
    decode_png,
    encode,
    encode_png,
    webdataset_decoder,
)

IMAGE = np.random.default_rng(0).integers(0, 65536, (80, 64)).astype(np.uint16)
SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40))


@given(arrays(np.uint16, SHAPES))
def test_every_picture_comes_back(image):
    for write, read in ((encode, decode), (encode_png, decode_png)):
        back = read(write(image))
        assert back.dtype == np.uint16
        assert np.array_equal(back, image)


def test_equal_pictures_have_equal_bytes_wherever_they_lie_in_memory():
    wide = np.zeros((80, 128), np.uint16)
    wide[:, ::2] = IMAGE
    assert encode(wide[:, ::2]) == encode(IMAGE) == encode(np.asfortranarray(IMAGE))


def test_smooth_pictures_take_less_room_than_as_png():
    y, x = np.mgrid[:640, :512]
    grain = np.random.default_rng(0).normal(0, 40, x.shape)
    smooth = (20000 + 8000 * np.sin(x / 90) * np.cos(y / 70) + grain).astype(np.uint16)
    assert len(encode(smooth)) < len(encode_png(smooth))


@pytest.mark.parametrize("cut", [0, 1, 3, 4, 5, 100, -1])
def test_a_cut_member_is_not_read(cut):
    content = encode(IMAGE)
    assert decode(content[:cut], IMAGE.shape) is None
    assert decode_png(encode_png(IMAGE)[: min(cut, 100)]) is None


def test_another_size_than_expected_is_not_read():
    assert decode(encode(IMAGE), (64, 80)) is None
    assert decode(b"\x51" + encode(IMAGE)[1:], IMAGE.shape) is None  # says 81 rows
    for rows in (79, 81):  # of the box
        content = bytearray(encode(IMAGE))
        content[8] = rows
        assert decode(bytes(content)) is None


def test_what_is_black_around_a_picture_is_not_written():
    framed = np.zeros((320, 256), np.uint16)
    framed[100:180, 30:94] = IMAGE
    content = encode(framed)
    assert len(content) == len(encode(IMAGE))
    assert np.array_equal(decode(content, framed.shape), framed)
    black = np.zeros((320, 256), np.uint16)
    assert np.array_equal(decode(encode(black)), black)
    assert len(encode(black)) < 30


def test_a_frame_that_inflates_beyond_its_size_is_not_read():
    bomb = encode(np.ones((4000, 4000), np.uint16))
    assert decode(encode(IMAGE)[:12] + bomb[12:]) is None


@pytest.mark.parametrize("height", [1025, 65535])
def test_a_head_that_asks_for_more_than_any_picture_takes_no_memory(height):
    head = struct.pack("<6H", height, 65535, 0, 0, height, 65535)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match="is damaged, or none of MammoGAN's"):
        webdataset_decoder(".grey", head + encode(IMAGE)[12:])
    png = bytearray(encode_png(IMAGE))
    png[16:24] = struct.pack(">2I", 65535, height)
    assert decode_png(bytes(png)) is None
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


@given(st.integers(0, 2**32))
def test_damage_never_raises(seed):
    random = np.random.default_rng(seed)
    content = bytearray(encode(IMAGE[:9, :7]))
    content[int(random.integers(4, len(content)))] ^= int(random.integers(1, 256))
    image = decode(bytes(content), (9, 7))
    assert image is None or image.shape == (9, 7)


def saved(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def tar(path, members):
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as file:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return str(path)


def test_webdataset_reads_members_with_our_decoder(tmp_path):
    note = {"view": "CC"}
    path = tar(
        tmp_path / "a.tar",
        {
            f"a.{SUFFIX}": encode(IMAGE),
            "a.json": json.dumps(note).encode(),
            "b.png": encode_png(IMAGE),
            "c.npy": saved(IMAGE[None]),
        },
    )
    samples = list(wds.WebDataset(path, shardshuffle=False).decode(webdataset_decoder))
    assert np.array_equal(samples[0][SUFFIX], IMAGE)
    assert samples[0]["json"] == note
    assert np.array_equal(samples[1]["png"], IMAGE)
    assert np.array_equal(samples[2]["npy"][0], IMAGE)


@pytest.mark.parametrize("suffix", ["pyd", "pickle", "pth", "txt", SUFFIX])
def test_what_is_not_ours_is_refused_and_never_unpickled(tmp_path, suffix):
    marker = tmp_path / "unpickled"
    evil = f"cposix\nsystem\n(S'touch {marker}'\ntR.".encode()
    path = tar(tmp_path / "a.tar", {f"a.{suffix}": evil})
    with pytest.raises(DecodingError) as caught:
        list(wds.WebDataset(path, shardshuffle=False).decode(webdataset_decoder))
    assert f"the member '.{suffix}' is damaged, or none of MammoGAN's" in str(caught.value.__cause__)
    assert not marker.exists()


def test_pickled_arrays_are_refused(tmp_path):
    with pytest.raises(ValueError, match="allow_pickle"):
        webdataset_decoder(".npy", saved(np.array([{}], dtype=object)))
