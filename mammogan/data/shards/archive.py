"""What one source folder says of its files: headers, paths and tables joined, in every worker process."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydicom.dataset import Dataset as Dicom

from mammogan.config.source_settings import Source
from mammogan.data.dicom import decode, image_files
from mammogan.data.dicom.fields import Origins, text
from mammogan.data.dicom.header import Header, UnreadableError, facts, read_dicom, reading
from mammogan.data.shards import image_lists, zip_members
from mammogan.data.shards.metadata_tables import Row, Tables, Verdict, index_tables, own_files
from mammogan.errors import DataError

__all__ = ["Archive", "index_tables"]


@dataclass(frozen=True)
class Examined:
    """What is known of a file without its pixels.

    `relative` is its path below the source's folder, and `column` gives the value of a column of tables.
    `pixels_at` is the byte where their value begins, 0 if there are none or the whole file is a picture.
    """

    header: Header
    dicom: Dicom = field(repr=False)
    relative: str = field(repr=False)
    column: Callable[[str], str] = field(repr=False)
    verdict: Verdict = field(repr=False)
    pixels_at: int = 0


class Archive:
    """A source as its recipe reads it; without an index of tables it gives pixels only.

    Parameters
    ----------
    folder
        What paths are relative to; of a single file, the folder that it lies in.
    index
        What `index_tables` wrote.
    """

    def __init__(self, source: Source, folder: Path, index: Path | None) -> None:
        self._source, self._folder = source, folder.resolve()
        if self._folder.is_file():
            self._folder = self._folder.parent
        self._tables = Tables(source, index) if index else None
        self._own = {(self._folder / name).resolve() for name in own_files(source)}
        self._own_names = {path.name for path in self._own}

    def header(self, path: Path) -> Header:
        """Read the facts about the file at `path`; see `examine`."""
        return self.examine(path).header

    def examine(self, path: Path) -> Examined:
        """Read all that is to be known about the file at `path` without decoding its pixels.

        Raises
        ------
        UnreadableError
            With the reason's name, if the file is empty, damaged, or no image of the source's kind.
        DataError
            If the recipe leaves out what its files can't say.
        """
        if path.name in self._own_names and path.resolve() in self._own:
            raise UnreadableError("own-list")
        with self._on_disk(path) as real, reading(real):
            try:
                if self._source.kind == "images":
                    dicom, has_pixels, at = image_files.dressed_header(real, self._source.images), True, 0
                    dicom.SOPInstanceUID = self._relative(path)
                else:
                    dicom, at = read_dicom(real)
                    has_pixels = at > 0
                return self._joined(dicom, path, at, has_pixels=has_pixels)
            except (UnreadableError, DataError, OSError):
                raise
            except MemoryError:
                raise UnreadableError("memory-limit") from None
            except Exception:  # noqa: BLE001  (a damaged header can raise anything from inside the parser)
                raise UnreadableError("broken-header") from None

    def dicom(self, path: Path) -> Dicom:
        """Open the whole file, its pixels still on the disk; an image file comes dressed as a DICOM data set.

        Raises
        ------
        UnreadableError
            If the file is damaged.
        OSError
            If the file can't be read.
        """
        with self._on_disk(path) as real:
            if self._source.kind == "images":
                dicom = image_files.dressed(real, self._source.images)
            else:
                dicom = decode.read(real)
                if real != path:
                    list(dicom)  # values that were left on the disk are lost with it
        if self._source.kind == "dicom":
            return dicom
        spacing = self._spacing_mm(dicom, path)
        if spacing:
            dicom.ImagerPixelSpacing = [spacing] * 2
        return dicom

    def size(self, path: Path) -> int:
        """Bytes of the file at `path`."""
        with self._on_disk(path) as real:
            return real.stat().st_size

    def _on_disk(self, path: Path) -> AbstractContextManager[Path]:
        return zip_members.on_disk(path) if self._source.read_zips else nullcontext(path)

    def _relative(self, path: Path) -> str:
        try:
            return path.relative_to(self._folder).as_posix()
        except ValueError:
            return path.resolve().relative_to(self._folder).as_posix()

    def listed(self, path: Path) -> tuple[tuple[str, str], ...]:
        """Find the entries of lists that name the file at `path` by its place, whatever is in it."""
        names = image_lists.names("", "", self._relative(path))
        return tuple((name, value) for name, value, _ in self._tables.listed(names)) if self._tables else ()

    def _joined(self, dicom: Dicom, path: Path, at: int, *, has_pixels: bool) -> Examined:
        relative = self._relative(path)
        rows = self._rows(dicom, relative)
        column, verdict = _column(rows), Verdict((), ())
        found = facts(dicom, Origins(self._source, dicom, relative, column), has_pixels=has_pixels)
        if self._tables is not None:
            names = image_lists.names(found.sop_instance_uid, text(dicom, "AccessionNumber"), relative)
            verdict = self._tables.judge(rows, names)
            refused, flags = (*found.refused, *verdict.refused), (*found.flags, *verdict.flags)
            found = replace(found, refused=refused, flags=flags)
        return Examined(found, dicom, relative, column, verdict, at)

    def _rows(self, dicom: Dicom, relative: str) -> list[list[Row]]:
        """Find the rows of every table that belong to the image; one table may lead to the next."""
        if self._tables is None:
            assert not (self._source.tables or self._source.include_list or self._source.exclude_list)
            return []
        found: list[list[Row]] = []
        for number, table in enumerate(self._source.tables):
            so_far = Origins(self._source, dicom, relative, _column(found))
            key = tuple(so_far.key(origin) for origin in table.match.values())
            found.append(self._tables.rows(number, key) if all(key) else [])
        return found

    def _spacing_mm(self, dicom: Dicom, path: Path) -> float:
        origins = self._source.images.spacing
        if not origins or (self._tables is None and self._source.columns):
            return 0
        relative = self._relative(path)
        rows = self._rows(dicom, relative) if self._tables else []
        try:
            return float(Origins(self._source, dicom, relative, _column(rows)).first(origins))
        except ValueError:
            return 0


def _column(rows: list[list[Row]]) -> Callable[[str], str]:
    """Give the first value of a column in the rows that were found, in the order of the tables."""
    flat = [row for found in rows for row in found]
    return lambda column: next((row[column] for row in flat if row.get(column)), "")
