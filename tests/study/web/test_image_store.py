"""Pictures of both sources are alike in all but what is seen."""

import hashlib

import numpy as np
import pytest

from mammogan.errors import DataError
from mammogan.study.web.image_store import (
    INDEX,
    PIXELS,
    ImageStore,
    Picture,
    Window,
    checksums,
    fill,
    load_index,
)

SHAPE = (12, 10)


def half(image_HW):
    """Take the left half for the breast."""
    mask_HW = np.zeros(image_HW.shape, dtype=bool)
    mask_HW[:, : image_HW.shape[1] // 2] = True
    return mask_HW


def pictures(count=6, shape=SHAPE):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 65536, shape, dtype=np.uint16) for _ in range(count)]
    return [
        (Picture(key=f"k{i}", source=("real", "synthetic")[i % 2], view="CC"), lambda image=image: image)
        for i, image in enumerate(images)
    ]


def filled(folder, **more):
    options = {"outline": half, "window": Window(), "seed": 1, **more}
    return fill(folder, options.pop("pictures", pictures()), **options)


def test_a_picture_is_read_as_the_bytes_of_its_pixels_and_nothing_else(tmp_path):
    filled(tmp_path)
    image_store, made = ImageStore(tmp_path), {picture.key: levels() for picture, levels in pictures()}
    assert {p.key for p in image_store.pictures} == set(made)
    for number, picture in enumerate(image_store.pictures):
        content = image_store.read(number)
        assert len(content) == SHAPE[0] * SHAPE[1] == image_store.bytes_each
        assert hashlib.sha256(content).hexdigest() == picture.sha256
        grey_HW = np.frombuffer(content, np.uint8).reshape(SHAPE)
        expected_HW = np.rint(made[picture.key] / 257).astype(np.uint8)
        assert (grey_HW[:, :5] == expected_HW[:, :5]).all()
        assert not grey_HW[:, 5:].any()
    assert image_store.damaged() == []


@pytest.mark.parametrize("window", [(0, 65535), (1000, 40001), (7, 8), (65534, 65535)])
def test_the_window_rounds_to_the_nearest_grey(window):
    black, white = window
    levels = np.arange(65536, dtype=np.uint16)
    expected = np.clip((levels.astype(np.float64) - black) / (white - black), 0, 1) * 255
    assert np.abs(Window(black=black, white=white).grey(levels) - expected).max() <= 0.5


def test_records_lie_in_an_order_that_tells_nothing_and_that_the_seed_decides(tmp_path):
    orders = []
    for seed in range(30):
        (tmp_path / str(seed)).mkdir()
        index = filled(tmp_path / str(seed), seed=seed)
        orders.append([picture.source for picture in index.pictures])
        assert index == filled(tmp_path / str(seed), seed=seed)
    first = sum(order[0] == "real" for order in orders)
    assert 7 <= first <= 23


def test_other_sizes_and_missing_or_damaged_files_are_told(tmp_path):
    odd = (Picture(key="k7", source="real", view="CC"), lambda: np.zeros((12, 11), np.uint16))
    with pytest.raises(DataError, match="'k7' has 12x11 pixels, and others 12x10"):
        filled(tmp_path, pictures=[*pictures(), odd])
    with pytest.raises(DataError, match=f"holds no pictures: it has no '{INDEX}'"):
        load_index(tmp_path)
    filled(tmp_path)
    content = bytearray((tmp_path / PIXELS).read_bytes())
    content[3] ^= 255
    (tmp_path / PIXELS).write_bytes(content)
    assert len(ImageStore(tmp_path).damaged()) == 1
    (tmp_path / PIXELS).write_bytes(content[:-1])
    with pytest.raises(DataError, match="missing or has not 720 bytes"):
        ImageStore(tmp_path)
    (tmp_path / INDEX).write_text('{"schema_version": 1}')
    with pytest.raises(DataError, match=r"is damaged, or of another version .'height_px': Field required"):
        load_index(tmp_path)
    with pytest.raises(ValueError, match="'black' 5 is not below 'white' 5"):
        Window(black=5, white=5)


def test_checksums_are_in_the_form_of_sha256sum(tmp_path):
    index = filled(tmp_path)
    lines = checksums(index.pictures).splitlines()
    assert [line.split("  ")[1] for line in lines] == ["k0", "k2", "k4", "k1", "k3", "k5"]
    assert all(len(line.split("  ")[0]) == 64 for line in lines)
