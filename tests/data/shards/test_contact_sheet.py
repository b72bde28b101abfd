"""Contact sheets show as many images as asked, in their own shape, and no view that nobody has."""

import cv2
import numpy as np
import pytest

from mammogan.config.dataset import load_recipe
from mammogan.data.shards.build_set import build
from mammogan.data.shards.contact_sheet import CAPTION_PX, MARGIN_PX, contact_sheet
from mammogan.data.shards.shard_plan import plan
from mammogan.data.shards.shard_reader import ShardSet


@pytest.fixture(scope="module")
def oblique(tmp_path_factory):
    """A built set of square oblique views alone, of round breasts, beside the user's own table."""
    root = tmp_path_factory.mktemp("oblique")
    (root / "pictures").mkdir()
    y, x = np.mgrid[:256, :256]
    for number in range(20):
        rng = np.random.default_rng(number)
        breast = np.hypot(y - 128, x) < 100 + number
        tissue = cv2.resize(rng.normal(130, 9, (16, 16)).astype(np.float32), (256, 256))
        picture = np.where(breast, tissue, 0).astype(np.uint8)
        cv2.imwrite(str(root / "pictures" / f"P{number}_L_MLO.png"), picture)
    (root / "pictures" / "mine.csv").write_text("file,view\n")
    (root / "pictures" / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100))
    settings = ("packing.top_px=[64,64]", "packing.base_px=[4,4]")
    splits = ("splits.train=0.9", "splits.validation=0.1")
    plan(root / "set", [(load_recipe("images", settings + splits), root / "pictures")], workers=0)
    build(root / "set", workers=0)
    return root / "set"


@pytest.mark.parametrize(("count", "rows"), [(3, 1), (16, 2), (50, 3)])
def test_square_images_stay_square_and_as_many_as_asked_are_shown(oblique, tmp_path, count, rows):
    shown = contact_sheet(ShardSet(oblique), tmp_path / "sheet.png", "train", count)
    assert shown == min(count, 18)
    sheet = cv2.imread(str(tmp_path / "sheet.png"), cv2.IMREAD_UNCHANGED)
    side = 256
    # One caption, which is the oblique views': there is no empty one of CC.
    assert sheet.shape == (
        CAPTION_PX + rows * (side + MARGIN_PX),
        min(count, 8) * (side + MARGIN_PX) + MARGIN_PX,
    )
    tile = sheet[CAPTION_PX : CAPTION_PX + side, MARGIN_PX : MARGIN_PX + side] > 60
    heights, widths = tile.any(axis=1).sum(), tile.any(axis=0).sum()
    assert heights == pytest.approx(2 * widths, rel=0.05)  # half a disc


def test_tables_and_what_systems_leave_are_no_images_that_were_refused(oblique):
    [tally] = ShardSet(oblique).manifest.tallies
    assert (tally.accepted, tally.refused) == (20, {})
    assert tally.unreadable == {"system-file": 1, "text-file": 1}
