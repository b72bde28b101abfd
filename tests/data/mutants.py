"""DICOM files as a bad disk, a broken transfer, a careless exporter or a forger leaves them, from a seed."""

import random
import struct
import zlib
from collections.abc import Callable
from io import BytesIO

import pydicom
from pydicom import uid
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.uid import UID_dictionary

Change = Callable[[random.Random, bytes], bytes]

LONG = ("OB", "OW", "OF", "OD", "OL", "SQ", "UC", "UN", "UR", "UT")  # with four bytes of length, PS3.5 7.1.2
NUMBERS = (0, 1, 2, 3, 7, 8, 12, 15, 16, 17, 32, 64, 255, 4096, 32767, 32768, 65535)
TEXTS = (
    b"", b" ", b"0", b"-1", b"1", b"1e308", b"-1e308", b"1e999", b"1e-308", b"NaN", b"inf", b"-inf",
    b"1\\2\\3", b"\\", b"\\\\\\", b"abc", b"99999999999999999999", b"\0\0", b"\xff\xfe", b"1,5", b"A" * 70000,
    b"\x1b$B0l", b"YES", b"SIGMOID", b"LINEAR_EXACT", b"INVERSE", b"RGB", b"PALETTE COLOR", b"YBR_FULL_422",
    b"MONOCHROME1", b"ISO 2022 IR 87", b"ISO_IR 192", b"nonsense", b"1.2.840.10008.1.2.1.99",
)  # fmt: skip
KEYWORDS = (
    "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel",
    "PlanarConfiguration", "NumberOfFrames", "PhotometricInterpretation", "PresentationLUTShape",
    "WindowCenter", "WindowWidth", "VOILUTFunction", "RescaleSlope", "RescaleIntercept", "PixelPaddingValue",
    "PixelPaddingRangeLimit", "ImagerPixelSpacing", "EstimatedRadiographicMagnificationFactor",
    "FieldOfViewDimensions", "SpecificCharacterSet", "Modality", "SOPClassUID", "SOPInstanceUID", "ImageType",
    "ViewPosition", "ImageLaterality", "PatientID", "PatientName", "PatientAge", "Manufacturer", "PixelData",
    "SeriesDescription", "PresentationIntentType", "BreastImplantPresent", "PartialView",
)  # fmt: skip
LETTERS = (
    b"A",
    b"P",
    b"L",
    b"R",
    b"H",
    b"F",
    b"FR",
    b"FL",
    b"HL",
    b"PR",
    b"AF",
    b"CC",
    b"a",
    b"",
    b"ANTERIOR",
)
TABLES = ("VOILUTSequence", "ModalityLUTSequence")
SEQUENCES = (
    "ViewCodeSequence",
    "ViewModifierCodeSequence",
    "SharedFunctionalGroupsSequence",
    "IconImageSequence",
    *TABLES,
)
WINDOWS = (
    b"", b"\\", b"\\2048", b"2048\\", b"0", b"0\\0", b"-4096", b"1", b"0.5", b"1e-9", b"1e308", b"NaN",
    b"inf", b"2047,5", b"2,048", b"4096 ", b"x\\2048", b"2048\\1024\\512", b"-0", b"0x10", b"NORMAL",
)  # fmt: skip
FUNCTIONS = (
    b"",
    b"LINEAR",
    b"LINEAR_EXACT",
    b"SIGMOID",
    b"sigmoid",
    b"LOG",
    b"LINEAR\\SIGMOID",
    b"\\",
    b"\0",
)
WORDS = (
    "L MLO ID", "LMLOSPOT", "C VIEW", "no implants", "IMPLANT", "Wireless", "6 months post biopsy follow up",
    "Vergrößerung", "prothèse", "cilinderbiopsie", "*", "(", "\\d+", "+", " ", "-_-", "L" * 64, "mlo " * 16,
    "no " * 20, "ID ID ID", "乳腺", "ﬀﬁ", "İ", "ß", "\u0301", "QC", "Test", "NONE", "yes",
)  # fmt: skip
DESCRIBED = (
    "StudyDescription", "SeriesDescription", "ProtocolName", "PerformedProcedureStepDescription",
    "AcquisitionDeviceProcessingDescription", "ViewPosition", "PaddleDescription", "DerivationDescription",
    "ContrastBolusAgent", "ImageType", "PresentationIntentType", "ImageLaterality", "Laterality",
)  # fmt: skip
REPRESENTATIONS = (b"DS", b"US", b"SQ", b"OB", b"UN", b"FD", b"AT", b"??", b"\0\0")


def mutant(rng: random.Random, original: bytes) -> tuple[bytes, str]:
    """Change `original` in one to three ways, and name them."""
    names = rng.choices([*CHANGES], k=rng.choice((1, 1, 1, 2, 3)))
    names.sort(key=lambda name: name == "deflate")  # a bomb is a bomb to those who mutate it, too
    for name in names[: names.index("deflate") + 1] if "deflate" in names else names:
        original = CHANGES[name](rng, original)
    return original, "+".join(names)


def _somewhere(rng: random.Random, data: bytes) -> int:
    """Choose a place: as often in the header as in the pixels, whatever their lengths."""
    return rng.randrange(min(len(data), rng.choice((1500, len(data)))) or 1)


def flip(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 2, 8, 64))):
        if changed:
            changed[_somewhere(rng, data)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def block(replacement: Callable[[random.Random, bytes], bytes]) -> Change:
    """Put something else in the place of up to 4096 bytes."""

    def change(rng: random.Random, data: bytes) -> bytes:
        start = _somewhere(rng, data)
        end = start + rng.choice((1, 2, 8, 64, 512, 4096))
        return data[:start] + replacement(rng, data[start:end]) + data[end:]

    return change


def truncate(rng: random.Random, data: bytes) -> bytes:
    return data[: _somewhere(rng, data)]


class Elements:
    """The top level of a file's data elements, where they lie; none if it can't be parsed any more."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.found: list[RawDataElement] = []
        self.implicit, self.order = False, "<"
        try:
            dicom = pydicom.dcmread(BytesIO(data), force=True)
            elements = [dicom.get_item(tag) for tag in sorted(dicom.keys())]
            self.found = [e for e in elements if isinstance(e, RawDataElement) and 0 < e.length < len(data)]
            self.implicit, little = dicom.original_encoding
            self.order = "<" if little else ">"
        except Exception:  # noqa: BLE001
            pass

    def start(self, element: RawDataElement) -> int:
        return element.value_tell - (12 if not self.implicit and element.VR in LONG else 8)

    def spelt(self, keyword: str, value: bytes, vr: str = "", length: int | None = None) -> bytes:
        """Spell an element, as false as it may be."""
        tag, vr = tag_for_keyword(keyword), vr or dictionary_VR(keyword)[:2]
        length = len(value) if length is None else length
        head = struct.pack(f"{self.order}HH", tag >> 16, tag & 0xFFFF)
        if self.implicit:
            return head + struct.pack(f"{self.order}I", length) + value
        if vr in LONG:
            return head + vr.encode() + struct.pack(f"{self.order}HI", 0, length) + value
        return head + vr.encode() + struct.pack(f"{self.order}H", length & 0xFFFF) + value

    def put(self, keyword: str, spelt: bytes) -> bytes:
        """Put `spelt` in the place of the element, or where it would belong."""
        tag = tag_for_keyword(keyword)
        for element in self.found:
            if element.tag >= tag:
                there = element.tag == tag
                end = element.value_tell + element.length if there else self.start(element)
                return self.data[: self.start(element)] + spelt + self.data[end:]
        return self.data

    def number(self, value: int) -> bytes:
        return struct.pack(f"{self.order}H", value & 0xFFFF)


def value(rng: random.Random, data: bytes) -> bytes:
    of, keyword = Elements(data), rng.choice(KEYWORDS)
    if dictionary_VR(keyword) == "US" and rng.random() < 0.8:
        new = b"".join(of.number(rng.choice(NUMBERS)) for _ in range(rng.choice((1, 1, 1, 1, 2, 0))))
    else:
        new = rng.choice(TEXTS)
    return of.put(keyword, of.spelt(keyword, new))


def missing(rng: random.Random, data: bytes) -> bytes:
    return Elements(data).put(rng.choice(KEYWORDS), b"")


def representation(rng: random.Random, data: bytes) -> bytes:
    """Give an element another value representation, or none that there is."""
    of = Elements(data)
    if not of.found or of.implicit:
        return data
    place = of.start(rng.choice(of.found)) + 4
    return data[:place] + rng.choice(REPRESENTATIONS) + data[place + 2 :]


def length(rng: random.Random, data: bytes) -> bytes:
    of = Elements(data)
    if not of.found:
        return data
    element = rng.choice(of.found)
    wide = of.implicit or element.VR in LONG
    absurd = rng.choice((0, 1, 3, element.length + 1, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF))
    new = struct.pack(f"{of.order}I", absurd) if wide else struct.pack(f"{of.order}H", absurd & 0xFFFF)
    return data[: element.value_tell - len(new)] + new + data[element.value_tell :]


def window(rng: random.Random, data: bytes) -> bytes:
    """Say what is black and what is white in ways that make little sense."""
    for keyword in ("WindowCenter", "WindowWidth", "RescaleIntercept", "RescaleSlope"):
        if rng.random() < 0.6:
            of = Elements(data)
            data = of.put(keyword, of.spelt(keyword, rng.choice(WINDOWS)))
    of = Elements(data)
    return of.put("VOILUTFunction", of.spelt("VOILUTFunction", rng.choice(FUNCTIONS)))


def words(rng: random.Random, data: bytes) -> bytes:
    """Describe the picture in other words."""
    for keyword in rng.sample(DESCRIBED, 2):
        of, text = Elements(data), " ".join(rng.choices(WORDS, k=rng.choice((1, 1, 2, 3))))
        encoded = text.encode(rng.choice(("latin-1", "utf-8")), "replace")
        data = of.put(keyword, of.spelt(keyword, encoded + b" " * (len(encoded) % 2)))
    return data


def nested(rng: random.Random, data: bytes) -> bytes:
    """Put sequences of undefined length into each other, ended or not."""
    of, keyword = Elements(data), rng.choice(SEQUENCES)
    depth = rng.choice((1, 10, 300, 5000))
    opened = of.spelt(keyword, struct.pack(f"{of.order}HHI", 0xFFFE, 0xE000, 0xFFFFFFFF), length=0xFFFFFFFF)
    ended = struct.pack(f"{of.order}HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    return of.put(keyword, opened * depth + ended * rng.choice((depth, depth, depth - 1, 0)))


def table(rng: random.Random, data: bytes) -> bytes:
    """Add a look-up table that makes little sense."""
    of, keyword = Elements(data), rng.choice(TABLES)
    described = b"".join(of.number(rng.choice(NUMBERS)) for _ in range(rng.choice((3, 3, 3, 2, 0))))
    held = bytes(rng.choice((0, 1, 2, 512, 8192, 131072)))
    item = of.spelt("LUTDescriptor", described, "US") + of.spelt("LUTData", held, rng.choice(("OW", "US")))
    head = struct.pack(f"{of.order}HHI", 0xFFFE, 0xE000, len(item))
    return of.put(keyword, of.spelt(keyword, (head + item) * rng.choice((1, 1, 3))))


def orientation(rng: random.Random, data: bytes) -> bytes:
    """Say that the frame lies another way than it does, or nothing that a frame could do."""
    letters = [rng.choice(LETTERS) for _ in range(rng.choice((2, 2, 2, 2, 1, 3)))]
    of, value = Elements(data), b"\\".join(letters)
    return of.put("PatientOrientation", of.spelt("PatientOrientation", value + b" " * (len(value) % 2)))


def depth(rng: random.Random, data: bytes) -> bytes:
    """Say that values have more or fewer bits than they have, or that high bits hold an overlay."""
    bits = rng.choice((1, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16))
    high = rng.choice((bits - 1, bits - 1, bits - 1, 7, 11, 15, 16))
    for keyword, number in (("BitsStored", bits), ("HighBit", high)):
        of = Elements(data)
        data = of.put(keyword, of.spelt(keyword, of.number(number)))
    return data


def lut(rng: random.Random, data: bytes) -> bytes:
    """Add a VOI LUT that makes sense, but for the bits of its entries."""
    of, true, said = Elements(data), rng.choice((8, 10, 12, 14, 16)), rng.choice((8, 10, 12, 14, 16))
    values = [value * (2**true - 1) // 4095 for value in range(4096)]
    wide = true > 8 or rng.random() < 0.5
    held = struct.pack(f"{of.order}4096{'H' if wide else 'B'}", *values)
    described = b"".join(map(of.number, (4096, 0, said)))
    item = of.spelt("LUTDescriptor", described, "US") + of.spelt("LUTData", held, "OW")
    head = struct.pack(f"{of.order}HHI", 0xFFFE, 0xE000, len(item))
    return of.put("VOILUTSequence", of.spelt("VOILUTSequence", head + item))


def syntax(rng: random.Random, data: bytes) -> bytes:
    """Say that the file is in another transfer syntax than it is, or in one that nobody knows."""
    known = [name for name, facts in UID_dictionary.items() if facts[1] == "Transfer Syntax"]
    return _renamed(data, rng.choice((*known, "1.2.3.4", "", "x")))


def _renamed(data: bytes, name: str) -> bytes:
    tag = b"\x02\x00\x10\x00UI"
    start = data.find(tag)
    if start < 0 or len(data) < start + 8:
        return data
    end = start + 8 + struct.unpack_from("<H", data, start + 6)[0]
    value = name.encode() + b"\0" * (len(name) % 2)
    return data[:start] + tag + struct.pack("<H", len(value)) + value + data[end:]


def fragments(rng: random.Random, data: bytes) -> bytes:
    """Break the items that encapsulated pixels lie in: offset table, lengths, order, end."""
    item, end = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
    start = data.find(item, max(data.find(b"\xe0\x7f\x10\x00"), 0))
    if start < 0:
        return data
    head, items = data[:start], data[start:]
    offsets = struct.pack("<I", rng.choice((0, 1, 7, 0x7FFFFFFF, 0xFFFFFFFF))) * rng.choice((1, 2, 100))
    return head + rng.choice((
        item + struct.pack("<I", len(offsets)) + offsets + items[8:],
        items[8:],
        items[:8] + item + b"\0\0\0\0" + items[8:],
        items[:8] + items[8:] + items[8:],
        items[:12] + struct.pack("<I", rng.choice((0, 1, 0xFFFF, 0x7FFFFFFE, 0xFFFFFFFF))) + items[16:],
        items.replace(end, b""),
        items[:8] + end + b"\0\0\0\0",
        items[: len(items) // 2] + item + struct.pack("<I", 64) + items[len(items) // 2 :],
    ))  # fmt: skip


def deflate(rng: random.Random, data: bytes) -> bytes:
    """Compress all behind the file meta information; now and then it is a bomb."""
    return deflated(data, rng.choice((0,) * 70 + (16, 256) * 5 + (8192,)), whole=rng.random() < 0.5)


def deflated(data: bytes, more_mb: int, *, whole: bool = True) -> bytes:
    """Compress a file, and let it inflate to so many megabytes more; an implicit one stays as it is."""
    of = Elements(data)
    if not of.found or of.implicit:
        return data
    start = of.start(of.found[0])
    packer = zlib.compressobj(1, wbits=-15)
    body = packer.compress(data[start:]) + packer.flush(zlib.Z_FULL_FLUSH)
    megabyte = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    body += megabyte * more_mb  # what follows a full flush may follow itself
    end = packer.flush() if whole else b""
    return _renamed(data[:start], uid.DeflatedExplicitVRLittleEndian) + body + end


CHANGES: dict[str, Change] = {
    "flip": flip,
    "zero": block(lambda rng, part: bytes(len(part))),
    "repeat": block(lambda rng, part: part * rng.choice((2, 3))),
    "insert": block(lambda rng, part: part + rng.randbytes(rng.choice((1, 2, 64, 1024)))),
    "drop": block(lambda rng, part: b""),
    "noise": block(lambda rng, part: rng.randbytes(len(part))),
    "truncate": truncate,
    "value": value,
    "values": lambda rng, data: value(rng, value(rng, value(rng, data))),
    "missing": missing,
    "representation": representation,
    "length": length,
    "window": window,
    "words": words,
    "nested": nested,
    "table": table,
    "orientation": orientation,
    "depth": depth,
    "lut": lut,
    "syntax": syntax,
    "fragments": fragments,
    "deflate": deflate,
}
