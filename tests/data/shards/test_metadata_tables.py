import sqlite3
import stat
import tracemalloc

import pytest

from mammogan.config.source_settings import Refusal, Source, Table
from mammogan.data.shards.archive import Archive, index_tables
from mammogan.errors import DataError

SIDED = Table(
    file="findings.csv",
    match={"accession": "AccessionNumber", "side": "laterality"},
    both_sides=("B", ""),
    refuse=(
        Refusal(reason="implant", column="implant", values=("*",)),
        Refusal(reason="post-surgical", column="finding", values=("P", "U")),
        Refusal(reason="marker", column="finding", values=("K",), only_flag=True),
    ),
)


@pytest.fixture
def headers(tmp_path, saved, dicom):
    """Read the headers of images with these tags as a source says that has these tables."""

    def read(source, tables, *images):
        folder = tmp_path / "source"
        for name, text in tables.items():
            folder.mkdir(exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        index_tables(source, folder, tmp_path / "index.sqlite")
        archive = Archive(source, folder, tmp_path / "index.sqlite")
        paths = [saved(dicom(**tags), folder / f"{n}.dcm") for n, tags in enumerate(images)]
        return [archive.header(path) for path in paths]

    return read


def test_rows_are_joined_by_accession_and_side(headers):
    table = "accession,side,implant,finding\nA1,L,,\nA1,L,,P\nA1,R,,V\nA2,B,Y,\nA3,,,U\n"
    found = headers(
        Source(tables=(SIDED,)),
        {"findings.csv": table},
        {"AccessionNumber": "A1", "ImageLaterality": "L"},
        {"AccessionNumber": "A1", "ImageLaterality": "R"},
        {"AccessionNumber": "A2", "ImageLaterality": "R"},
        {"AccessionNumber": "A3", "ImageLaterality": "L"},
        {"AccessionNumber": "A4"},
        {},
    )
    assert [header.refused for header in found] == [
        ("post-surgical",), (), ("implant",), ("post-surgical",), (), (),
    ]  # fmt: skip


def test_cells_that_list_codes_and_rows_that_only_flag(headers):
    table = 'accession,side,implant,finding\nA1,Left,,"V, K"\nA2,left,,"K;P"\n'
    found = headers(
        Source(tables=(SIDED,)), {"findings.csv": table}, {"AccessionNumber": "A1"}, {"AccessionNumber": "A2"}
    )
    assert [(header.refused, header.flags) for header in found] == [
        ((), ("marker",)),
        (("post-surgical",), ("marker",)),
    ]


def test_facts_come_from_columns_and_one_table_leads_to_the_next(headers):
    source = Source(
        patient=("table:person",),
        density=("table:density",),
        tables=(
            Table(
                file="images.csv",
                match={"path": r"path:([^/]+)\.dcm$"},
                extract={"path": r"([^/]+)\.dcm$"},
                required=True,
            ),
            Table(file="persons.csv", match={"id": "table:person", "side": "laterality"}),
        ),
    )
    tables = {
        "images.csv": "path,person\n/their/disk/0.dcm,17.0\n/their/disk/1.dcm,18\n",
        "persons.csv": "id,side,density\n17,R,4\n17,L,\n17,L,2.0\n",
    }
    found = headers(source, tables, {}, {}, {})
    assert [(header.patient, header.labels["density"], header.refused) for header in found] == [
        ("17", "b", ()),
        ("18", "", ()),
        ("", "", ("not-in-table",)),
    ]


def test_lists_hold_instances_or_accessions(headers):
    lists = {"in.txt": "# agreed in May\n1.2.3\n\nA2\n1.2.5\n", "out.txt": "1.2.5\n"}
    found = headers(
        Source(include_list="in.txt", exclude_list="out.txt"),
        lists,
        {"SOPInstanceUID": "1.2.3"},
        {"SOPInstanceUID": "1.2.4", "AccessionNumber": "A2"},
        {"SOPInstanceUID": "1.2.5"},
        {"SOPInstanceUID": "1.2.6"},
    )
    assert [header.refused for header in found] == [(), (), ("exclude-list",), ("include-list",)]


def test_an_index_is_written_without_tables_too_and_is_private(tmp_path):
    index_tables(Source(), tmp_path, tmp_path / "deep" / "index")
    assert stat.S_IMODE((tmp_path / "deep" / "index").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["index"]
    Archive(Source(), tmp_path, tmp_path / "deep" / "index")


def test_the_index_keeps_no_column_that_nobody_asked_for(tmp_path):
    (tmp_path / "findings.csv").write_text("accession,side,implant,finding,name\nA1,L,,,CANARY\n")
    index_tables(Source(tables=(SIDED,)), tmp_path, tmp_path / "index")
    assert b"CANARY" not in (tmp_path / "index").read_bytes()


def test_the_index_is_read_where_nothing_can_be_written(tmp_path, saved, dicom):
    (tmp_path / "findings.csv").write_text("accession,side,implant,finding\nA1,L,,P\n")
    index_tables(Source(tables=(SIDED,)), tmp_path, tmp_path / "locked" / "index ?#.sqlite")
    path = saved(dicom(AccessionNumber="A1"), tmp_path / "a.dcm")
    (tmp_path / "locked").chmod(0o500)
    try:
        archive = Archive(Source(tables=(SIDED,)), tmp_path, tmp_path / "locked" / "index ?#.sqlite")
        assert archive.header(path).refused == ("post-surgical",)
        assert [path.name for path in (tmp_path / "locked").iterdir()] == ["index ?#.sqlite"]
    finally:
        (tmp_path / "locked").chmod(0o700)


def test_thousands_of_rows_are_not_held_in_memory(tmp_path):
    with (tmp_path / "findings.csv").open("w") as stream:
        stream.write("accession,side,implant,finding\n")
        stream.writelines(f"A{n},B,,V\n" for n in range(20_000))
    tracemalloc.start()
    index_tables(Source(tables=(SIDED,)), tmp_path, tmp_path / "index")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_500_000
    count = sqlite3.connect(tmp_path / "index").execute("SELECT count(*) FROM rows").fetchone()
    assert count == (40_000,), "each row serves both sides"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (None, r"findings\.csv', named by the recipe's \[\[source\.tables\]\] file, can't be read"),
        ("", "is empty"),
        ("accession,side,implant,Finding\n", "has no column 'finding'.*Did you mean 'Finding'"),
        ("accession;side;implant;finding\n", "has no column 'accession'.*delimiter ','"),
        ("accession,side,side,implant,finding\n", "has 2 columns 'side'"),
        ("accession,side,implant,finding\nA1,L,,\nA2,L\n", "line 3, has 2 values, but the head has 4"),
        ('accession,side,implant,finding\nA1,"L,,\n', "is no CSV in the encoding 'utf-8-sig'"),
    ],
)
def test_a_table_that_is_not_as_the_recipe_says_is_an_error_with_a_way_out(tmp_path, table, message):
    if table is not None:
        (tmp_path / "findings.csv").write_text(table)
    with pytest.raises(DataError, match=message):
        index_tables(Source(tables=(SIDED,)), tmp_path, tmp_path / "index")
    assert not (tmp_path / "index").exists()


def test_the_encoding_can_be_told(tmp_path):
    (tmp_path / "findings.csv").write_bytes(
        "accession,side,implant,finding\nA1,L,,Zürich\n".encode("latin-1")
    )
    with pytest.raises(DataError, match=r"no CSV in the encoding 'utf-8-sig'.*Set the recipe's encoding"):
        index_tables(Source(tables=(SIDED,)), tmp_path, tmp_path / "index")
    told = SIDED.model_copy(update={"encoding": "latin-1"})
    index_tables(Source(tables=(told,)), tmp_path, tmp_path / "index")


def test_a_missing_list_or_column_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"out\.txt', named by the recipe's source\.exclude_list"):
        index_tables(Source(exclude_list="out.txt"), tmp_path, tmp_path / "index")
    (tmp_path / "findings.csv").write_text("accession,side,implant,finding\n")
    with pytest.raises(
        DataError, match="'table:densty' stands in the recipe, but no table has such a column"
    ):
        index_tables(Source(tables=(SIDED,), density=("table:densty",)), tmp_path, tmp_path / "index")


def test_a_broken_index_is_not_taken_for_silence(tmp_path):
    (tmp_path / "index").write_bytes(b"no database" * 100)
    with pytest.raises(DataError, match=r"can't be read.*Plan the set anew"):
        Archive(Source(), tmp_path, tmp_path / "index")
