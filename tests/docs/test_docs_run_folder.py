"""The page of the run folder is understood; the main job's tests compare a real run with it."""

from docs.hooks.run_folder_page import ENDS_BEFORE, PAGE, described, undescribed


def touch(run, *names):
    for name in names:
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).touch()


def test_paths_of_the_page_are_recognised(tmp_path):
    touch(
        tmp_path,
        "run.json",
        "jobs.jsonl",
        "done/train-3/0.json",
        "stages/8/001200000/average.safetensors",
        "samples/1280x1024/pool-00000.tar",
        "samples/1280x1024/pool-00000.index.json",
        "spans/123_4_0_0.json",
        "tracking/pictures/train-0/samples-000000016.png",
        "assess-0123456789ab/images-real-cc-0000.npz",
    )
    assert undescribed(tmp_path) == []


def test_anything_else_is_found(tmp_path):
    touch(tmp_path, "run.json", "notes.txt", "done/train-3/more/0.json", "stages/8/001200000/other.bin")
    assert undescribed(tmp_path) == ["done/train-3/more/0.json", "notes.txt", "stages/8/001200000/other.bin"]


def test_the_page_names_who_writes_each_path_and_when_it_may_be_deleted():
    assert {"run.json", "jobs.jsonl", "selection.json", "stop/NODE.JOB"} <= described().keys()
    text = PAGE.read_text(encoding="utf-8").partition(ENDS_BEFORE)[0]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    assert all(len(row) == 5 and all(cell.strip() for cell in row) for row in rows)
