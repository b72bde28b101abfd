"""What a pool is: its parts, who makes which, and that no pool is taken for another."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammogan.data.synthetic.pool_writer import AHEAD, write_parts
from mammogan.data.synthetic.synthetic_pool import (
    MANIFEST,
    POOL,
    DicomForm,
    Image,
    Pool,
    built,
    claim,
    finish,
    load_manifest,
    load_pool,
    read_image,
)
from mammogan.errors import ConfigError, DataError

VIEWS = ("CC", "MLO")


def make_pool(**named):
    settings = {"checkpoint": "c" * 64, "seed": 1, "views": VIEWS, "images_per_view": 20, "height_px": 10}
    settings |= {"width_px": 8, "images_per_shard": 8}
    return Pool(**settings | named)


def drawn(pool, parts=None):
    """Draw grey pictures, each of a value of its own."""
    for part in pool.parts if parts is None else parts:
        for view, number in part.order:
            yield (
                part,
                Image(view, number, np.full(pool.size_px, 100 * number + VIEWS.index(view), np.uint16)),
            )


@given(
    st.integers(1, 300),
    st.integers(1, 70),
    st.integers(1, 40),
    st.booleans(),
    st.sampled_from([("CC",), ("CC", "MLO"), ("any",)]),
    st.integers(0, 50),
)
def test_the_shares_of_any_number_of_tasks_are_the_pool_and_no_image_is_drawn_twice(
    images, size, tasks, pairs, views, first
):
    pool = make_pool(images_per_view=images, images_per_shard=size, pairs=pairs, views=views, first=first)
    shares = [pool.share(task, tasks) for task in range(tasks)]
    assert sum(shares, ()) == pool.parts
    lengths = [len(share) for share in shares]
    assert max(lengths) - min(lengths) <= 1
    images_made = [image for part in pool.parts for image in part.order]
    assert len(images_made) == pool.images == len(set(images_made))
    assert set(images_made) == {(view, number) for view in views for number in range(first, first + images)}
    assert all(len(list(part.order)) <= max(size, len(views)) for part in pool.parts)


def test_pairs_lie_side_by_side_and_else_views_follow_each_other():
    pairs, plain = make_pool(pairs=True), make_pool()
    assert list(pairs.parts[0].order)[:4] == [("CC", 0), ("MLO", 0), ("CC", 1), ("MLO", 1)]
    assert [part.views for part in plain.parts] == [("CC",)] * 3 + [("MLO",)] * 3


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"seed": 2}, "seed is '1', not '2'"),
        ({"checkpoint": "d" * 64}, f"checkpoint is '{'c' * 64}', not '{'d' * 64}'"),
        ({"mammogan": "9"}, "not '9'"),
        ({"pairs": True}, "pairs is 'False', not 'True'"),
        ({"images_per_view": 21}, "images_per_view is '20', not '21'"),
    ],
)
def test_another_pool_is_refused_and_left_as_it_was(tmp_path, other, told):
    claim(tmp_path, make_pool())
    claim(tmp_path, make_pool())
    was = (tmp_path / POOL).read_bytes()
    with pytest.raises(ConfigError, match="holds another pool") as error:
        claim(tmp_path, make_pool(**other))
    assert told in str(error.value)
    assert (tmp_path / POOL).read_bytes() == was


def test_a_folder_of_something_else_is_refused_but_not_for_a_task_that_starts_beside(tmp_path):
    (tmp_path / f".{POOL}.123.tmp").write_text("{")
    claim(tmp_path, make_pool())
    (tmp_path / POOL).unlink()
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"neither empty nor a pool \(it has no pool.json\)"):
        claim(tmp_path, make_pool())


def test_a_damaged_or_missing_record_is_told_with_its_file(tmp_path):
    with pytest.raises(DataError, match=r"has no pool\.json\. `mammogan sample` makes one"):
        load_pool(tmp_path)
    (tmp_path / POOL).write_text("{")
    with pytest.raises(DataError, match=r"pool\.json' is damaged"):
        load_pool(tmp_path)
    (tmp_path / POOL).write_text("[]")
    with pytest.raises(DataError, match="it holds no table"):
        load_pool(tmp_path)
    (tmp_path / POOL).write_text(make_pool().model_dump_json().replace('"seed"', '"sead"'))
    with pytest.raises(ConfigError, match="sead"):
        load_pool(tmp_path)


def test_what_was_written_is_what_was_drawn_and_the_manifest_lists_it(tmp_path):
    pool, told = make_pool(formats=("shards", "png")), []
    claim(tmp_path, pool)
    write_parts(tmp_path, pool, drawn(pool, pool.parts[:2]), lambda: told.append(1))
    assert not finish(tmp_path, pool) and not (tmp_path / MANIFEST).exists()
    write_parts(tmp_path, pool, drawn(pool, pool.parts[2:]), lambda: told.append(1))
    assert len(told) == 40 and finish(tmp_path, pool)
    assert sum(part.images for part in load_manifest(tmp_path).parts) == 40
    assert (read_image(tmp_path / "png" / "mlo-0000019.png") == 1901).all()
    assert not list(tmp_path.rglob(".*"))


def test_a_part_with_a_damaged_or_missing_file_is_not_there(tmp_path):
    pool = make_pool(formats=("shards", "png"))
    write_parts(tmp_path, pool, drawn(pool), lambda: None)
    first, second, third = pool.parts[:3]
    (tmp_path / "png" / "cc-0000000.png").write_bytes(b"half")
    (tmp_path / "10x8" / "pool-00001.tar").unlink()
    assert built(tmp_path, first) is None and built(tmp_path, second) is None
    assert built(tmp_path, third) is not None


def test_drawing_that_fails_leaves_whole_parts_only_and_its_own_error(tmp_path):
    pool = make_pool()

    def failing():
        for number, item in enumerate(drawn(pool)):
            if number == 12:
                raise ZeroDivisionError
            yield item

    with pytest.raises(ZeroDivisionError):
        write_parts(tmp_path, pool, failing(), lambda: None)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [
        "pool-00000.index.json",
        "pool-00000.json",
        "pool-00000.tar",
    ]


def test_writing_that_fails_stops_the_drawing(tmp_path):
    pool, taken = make_pool(images_per_view=2000), 0

    def counted():
        nonlocal taken
        for item in drawn(pool):
            taken += 1
            yield item

    def full():
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        write_parts(tmp_path, pool, counted(), full)
    assert taken <= AHEAD + 16
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_form_of_dicoms_has_a_size(tmp_path):
    with pytest.raises(ValueError, match="greater than 0"):
        DicomForm(pixel_mm=0)
