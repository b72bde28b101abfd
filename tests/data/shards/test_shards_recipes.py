"""Miniatures of the layouts that the recipes are for, with the real names of columns and files."""

from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from mammogan.config.dataset import About, Packing, Splits, load_recipe
from mammogan.config.pixel_settings import Pixels
from mammogan.config.screening_settings import Screening
from mammogan.config.source_settings import Images, Refusal, Source, Table
from mammogan.data.dicom.header import UnreadableError
from mammogan.data.screening.header_rules import HEADER_RULES, screen_header
from mammogan.data.shards.archive import Archive, index_tables

FRAME = np.zeros((1280, 1024), np.uint8)
STRIPPED = {  # what de-identification by an allow-list leaves away
    "SOPClassUID": None, "Modality": None, "ImageType": None, "PresentationIntentType": None,
    "ViewPosition": None, "ImageLaterality": None, "PatientID": None,
}  # fmt: skip
STUDY, IMAGES = "a" * 32, [digit * 32 for digit in "0123456789"]


@pytest.fixture
def coded():
    def view(value):
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator = value, "SCT" if value.isdigit() else "SRT"
        return [item]

    return view


@pytest.fixture
def screened(tmp_path, dicom):
    """Lay out files (tags of a DICOM, pixels of an image, or text) and say what a recipe makes of them."""

    def run(recipe, files):
        recipe = load_recipe(recipe)
        for name, content in files.items():
            path = tmp_path / "source" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                path.write_text(content, encoding="utf-8")
            elif isinstance(content, np.ndarray):
                assert cv2.imwrite(str(path), content)
            else:
                made = dicom(FRAME, **content)
                made.file_meta.MediaStorageSOPClassUID = made.get("SOPClassUID", "1.2.3.4")
                made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
                pydicom.dcmwrite(path, made, enforce_file_format=True)
        index_tables(recipe.source, tmp_path / "source", tmp_path / "index")
        archive = Archive(recipe.source, tmp_path / "source", tmp_path / "index")
        return {name: outcome(archive, tmp_path / "source" / name, recipe) for name in files}

    return run


def outcome(archive, path, recipe):
    try:
        header = archive.header(path)
    except UnreadableError as error:
        return str(error)
    reason, flags = screen_header(header, recipe.screening)
    return reason or (
        header.view,
        header.laterality,
        header.patient,
        header.labels["age_band"],
        header.labels["density"],
        *flags,
    )


def test_inbreast(screened):
    tags = {"PatientID": "removed", "ViewPosition": None, "ImageLaterality": None}
    found = screened(
        "inbreast",
        {
            "INbreast.csv": "Patient ID;Patient age;Laterality;View;Acquisition date;File Name;ACR;Bi-Rads\n"
            "removed;removed;R;CC;201001;20586908;3;2\n"
            "removed;removed;L;MLO;201001;20586934;     ;4a\n",
            "AllDICOMs/20586908_6c613a14b80a8591_MG_R_CC_ANON.dcm": tags,
            "AllDICOMs/20586934_6c613a14b80a8591_MG_L_ML_ANON.dcm": tags,
            "AllDICOMs/20586960_6c613a14b80a8592_MG_L_ML_ANON.dcm": tags,
            "AllXML/20586908.xml": "<plist/>" * 100,
        },
    )
    assert list(found.values()) == [
        "own-list",
        ("CC", "R", "6c613a14b80a8591", "", "c"),
        ("MLO", "L", "6c613a14b80a8591", "", ""),
        ("MLO", "L", "6c613a14b80a8592", "", ""),
        "text-file",
    ]


def test_vindr_mammo(screened):
    head = "study_id,series_id,image_id,laterality,view_position,height,width,breast_birads,breast_density,"
    head += "split\n"
    rows = [
        (IMAGES[0], "L", "CC", "DENSITY C"),
        (IMAGES[1], "R", "MLO", "DENSITY A"),
        (IMAGES[2], "R", "MLO", "DENSITY B"),
    ]
    line = "{study},s,{0},{1},{2},3518,2800,BI-RADS 1,{3},training\n"
    kept = {"SOPClassUID": None, "PatientID": None, "ImageType": None, "PatientAge": "000Y"}
    silent = {**kept, "ViewPosition": None, "ImageLaterality": None, "PatientAge": "053Y"}
    found = screened(
        "vindr-mammo",
        {
            "breast-level_annotations.csv": head + "".join(line.format(*row, study=STUDY) for row in rows),
            f"images/{STUDY}/{IMAGES[0]}.dicom": kept,
            f"images/{STUDY}/{IMAGES[1]}.dicom": silent,
            f"images/{STUDY}/{IMAGES[2]}.dicom": kept,
            f"images/{STUDY}/{IMAGES[3]}.dicom": kept,
        },
    )
    assert list(found.values())[1:] == [
        ("CC", "L", STUDY, "", "c"),
        ("MLO", "R", STUDY, "50-59", "a"),
        ("CC", "L", STUDY, "", "b", "view-conflict", "laterality-conflict"),
        "not-in-table",
    ]


def test_cmmd(screened, coded):
    tags = {"PatientID": "D1-0001", "PatientAge": "044Y", "ViewPosition": None, "WindowCenter": None}
    found = screened(
        "cmmd",
        {
            "CMMD/D1-0001/07-18-2010-NA-NA-79377/1.000000-NA-70244/1-1.dcm": {
                **tags, "ViewCodeSequence": coded("399162004"),
            },
            "CMMD/D1-0001/07-18-2010-NA-NA-79377/1.000000-NA-70244/1-2.dcm": {
                **tags, "ViewCodeSequence": coded("399368009"), "ImageLaterality": "R",
            },
            "CMMD/Other/1-1.dcm": {**tags, "PatientID": "someone", "ViewCodeSequence": coded("399162004")},
        },
    )  # fmt: skip
    assert list(found.values()) == [
        ("CC", "L", "D1-0001", "40-49", ""),
        ("MLO", "R", "D1-0001", "40-49", ""),
        "patient-unknown",
    ]


def test_embed(screened):
    path = "/mnt/NAS2/mammo/anon_dicom/cohort_1/10/1.2/{}.dcm"
    images = [  # name, exam, type, special view
        ("1.1", 1, "2D", 0), ("1.2", 1, "2D", 0), ("1.3", 2, "2D", 0), ("1.4", 3, "2D", 0),
        ("1.5", 4, "2D", 0), ("1.6", 5, "2D", 1), ("1.7", 5, "cview", 0), ("1.8", 5, "2D", 0),
        ("1.9", 5, "2D", 0),
    ]  # fmt: skip
    metadata = (
        "anon_dicom_path,empi_anon,acc_anon,FinalImageType,ImageLateralityFinal,ViewPosition,spot_mag,"
        "BreastImplantPresent\n"
    )
    implants = {"1.9": "YES", "1.1": "NO"}
    metadata += "".join(
        f"{path.format(n)},10.0,{acc},{kind},L,MLO,{spot},{implants.get(n, '')}\n"
        for n, acc, kind, spot in images
    )
    clinical = "empi_anon,acc_anon,side,tissueden,implanfind,otherfind,consistent,vtype,age_at_study\n"
    clinical += (
        "10,1.0,L,2.0,,,,S,61.4\n"  # nothing on the left
        "10,1.0,R,2.0,,P,,S,61.4\n"  # surgery on the right of the same exam
        "10,2.0,B,3.0,N,,,S,62\n"  # implants, both sides
        "10,3.0,L,3.0,,,,S,63\n10,3.0,L,3.0,,W,,S,63\n"  # the second finding is a clip
        "10,4.0,,3.0,,,,N,64\n"  # a specimen's visit, side not said
    )
    found = screened(
        "embed",
        {
            "tables/EMBED_OpenData_metadata.csv": metadata,
            "tables/EMBED_OpenData_clinical.csv": clinical,
            **{f"images/cohort_1/10/1.2/{name}.dcm": {} for name, *_ in images if name != "1.2"},
            "images/cohort_1/10/1.2/1.2.dcm": {"ImageLaterality": "R"},
            "images/cohort_1/10/1.2/9.9.dcm": {},
        },
    )
    found = {path.rsplit("/", 1)[-1]: result for path, result in found.items() if path.endswith(".dcm")}
    conflict = ("view-conflict",)  # the header says CC, the table MLO
    assert found == {
        "1.1.dcm": ("CC", "L", "10", "60-69", "b", *conflict),
        "1.2.dcm": "post-surgical",
        "1.3.dcm": "implant",
        "1.4.dcm": "biopsy-clip",
        "1.5.dcm": "visit-type",
        "1.6.dcm": "spot-or-magnification",
        "1.7.dcm": "synthetic-2d",
        "1.8.dcm": ("CC", "L", "10", "", "", *conflict),
        "1.9.dcm": "implant",
        "9.9.dcm": "not-in-table",
    }


def test_rsna(screened):
    head = (
        "site_id,patient_id,image_id,laterality,view,age,cancer,biopsy,invasive,BIRADS,implant,density,"
        "machine_id,difficult_negative_case\n"
    )
    rows = (
        "2,10006,462822612,L,CC,61.0,0,0,0,,0,C,29,False\n"
        "2,10006,1459541791,R,MLO,61.0,0,0,0,0.0,0,,29,False\n"
        "1,10011,220375232,L,CC,55.0,0,0,0,0.0,1,,21,True\n"
        "1,10025,562340703,L,AT,75.0,0,0,0,,0,B,21,False\n"
    )
    found = screened(
        "rsna",
        {
            "train.csv": head + rows,
            "train_images/10006/462822612.dcm": STRIPPED,
            "train_images/10006/1459541791.dcm": STRIPPED,
            "train_images/10011/220375232.dcm": STRIPPED,
            "train_images/10025/562340703.dcm": STRIPPED,
            "test_images/10008/736471439.dcm": STRIPPED,
        },
    )
    assert list(found.values())[1:] == [
        ("CC", "L", "10006", "60-69", "c"),
        ("MLO", "R", "10006", "60-69", ""),
        "implant",
        "view-other",
        "not-in-table",
    ]


def test_omi_db(screened, coded):
    found = screened(
        "omi-db",
        {
            "optm1/1.2.826.288/1.2.826.291.dcm": {"ViewCodeSequence": coded("R-10226")},
            "optm1/1.2.826.288/1.2.826.292.dcm": {
                "SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.2.1", "PresentationIntentType": "FOR PROCESSING",
            },
            "demd12/1.2.826.3/1.2.826.4.dcm": {"BreastImplantPresent": "YES"},
            "1.2.826.3/1.2.826.4.dcm": {},
        },
    )  # fmt: skip
    assert list(found.values()) == [
        ("MLO", "L", "optm1", "", "", "view-conflict"), "for-processing", "implant", "patient-unknown",
    ]  # fmt: skip


def test_images(screened):
    grey = np.tile(np.arange(600, dtype=np.uint8), (1280, 1))
    found = screened(
        "images",
        {
            "P12_L_CC.png": grey,
            "deep/p12-right-mlo.pgm": grey,
            "P13 R MLO (2).tif": grey,
            "P13_R_MLO_small.png": grey[:100],
            "P13_R_XCCL.png": grey,
            "overview.png": grey,
            "list.csv": "a,b\n",
        },
    )
    assert list(found.values()) == [
        ("CC", "L", "P12", "", ""), ("MLO", "R", "p12", "", ""), ("MLO", "R", "P13", "", ""),
        "frame-size", "view-unknown", "view-unknown", "text-file",
    ]  # fmt: skip


def test_cbis_ddsm(screened):
    film = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "PresentationIntentType": None, "ImageLaterality": None,
        "ViewPosition": None, "Laterality": "L", "PatientOrientation": "MLO",
        "PatientID": "Mass-Test_P_00820_LEFT_MLO", "PatientName": "Mass-Test_P_00820_LEFT_MLO",
    }  # fmt: skip
    assert screened("cbis-ddsm", {"1-281.dcm": film}) == {"1-281.dcm": ("MLO", "L", "P_00820", "", "")}
    assert screened("folder", {"1-281.dcm": film}) == {"1-281.dcm": "secondary-capture"}


@pytest.mark.parametrize("name", ["embed", "inbreast", "omi-db"])
def test_where_terms_forbid_it_or_are_to_be_read_models_are_not_released(name):
    assert not load_recipe(name).dataset.release_models


def test_the_eight_films_are_four_cc_and_four_mlo_of_two_patients(films, tmp_path):
    found = list(real_outcomes("cbis-ddsm", films, tmp_path).values())
    four = [("CC", "L"), ("CC", "R"), ("MLO", "L"), ("MLO", "R")]
    assert sorted((view, side) for view, side, *_ in found) == sorted(2 * four)
    assert {patient for _, _, patient, *_ in found} == {"P_00173", "P_00820"}
    assert set(real_outcomes("folder", films, tmp_path).values()) == {"secondary-capture"}


def test_of_the_real_files_each_has_its_own_reason(real, tmp_path):
    found = {path.name: result for path, result in real_outcomes("folder", real, tmp_path).items()}
    assert found.pop("GH133_scrubbed.dcm")[:2] == ("MLO", "R")
    assert found == {
        "OutOfBoundsOverlay_scrubbed.dcm": "stereo-or-biopsy",
        "jpeg2k_3d.dcm": "tomosynthesis",
        "MG1_J2KI.dcm": "modality",
        "MG1_JPLY.dcm": "modality",
        "MG_Explicit_Little.dcm": "phantom-or-qc",
    }


def real_outcomes(name, folder, tmp_path):
    recipe = load_recipe(name)
    index_tables(recipe.source, folder, tmp_path / "index")
    archive = Archive(recipe.source, folder, tmp_path / "index")
    return {path: outcome(archive, path, recipe) for path in sorted(folder.rglob("*.dcm"))}


def test_every_key_of_a_recipe_and_every_header_rule_is_documented():
    docs = Path(__file__).parents[3] / "docs"
    told = (docs / "recipes.md").read_text(encoding="utf-8")
    tables = [About, Source, Table, Refusal, Images, Screening, Pixels, Splits, Packing]
    keys = {key for table in tables for key in table.model_fields} - {"tables", "images"}
    assert [key for key in sorted(keys) if f"`{key}`" not in told] == []
    rules = (docs / "screening.md").read_text(encoding="utf-8")
    assert [rule for rule in HEADER_RULES if f"`{rule}`" not in rules] == []
