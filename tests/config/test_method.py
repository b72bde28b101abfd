import pytest

from mammogan import schedule
from mammogan.config.method import load_method, methods
from mammogan.errors import ConfigError


def test_the_shipped_methods_are_there():
    assert "tour" in methods()


@pytest.mark.parametrize("name", methods())
def test_a_shipped_method_loads_under_its_files_name_and_can_be_planned(name):
    method = load_method(name)
    assert method.method.name == name
    assert method.method.summary
    stages = schedule.plan(method)
    assert len(stages) == method.ladder.stages
    for stage in stages:
        schedule.split_batch(stage.batch, stage.micro_batch, 1, method.network.stddev_group)


def test_a_method_can_be_given_by_its_path(tmp_path):
    path = tmp_path / "ours.toml"
    path.write_text(methods()["tour"].read_text().replace('name = "tour"', 'name = "ours"'))
    assert load_method(str(path)).method.name == "ours"


def test_overrides_change_a_method():
    method = load_method("tour", ("ladder.stages=2", "schedule.batch=[8]"))
    assert (method.ladder.stages, method.schedule.batch) == (2, (8,))


def test_pggan_has_the_originals_schedule():
    """Karras et al.'s preset for eight GPUs: 12 million images, the rate raised from 128 pixels on."""
    stages = schedule.plan(load_method("pggan"))
    assert sum(stage.images for stage in stages) == pytest.approx(12_000_000, rel=1e-3)
    assert [stage.batch for stage in stages] == [512, 256, 128, 64, 32, 32, 32, 32, 32]
    assert [stage.learning_rate for stage in stages] == [0.001] * 5 + [0.0015, 0.002, 0.003, 0.003]


def test_the_papers_method_has_a_rate_lowered_by_a_quarter_and_a_larger_one_has_one_stage_more():
    stages, larger = (schedule.plan(load_method(name)) for name in ("mammogan", "mammogan-2560"))
    assert {stage.learning_rate for stage in (*stages, *larger)} == {0.75 * 0.001}
    assert (stages[-1].height_px, stages[-1].width_px) == (1280, 1024)
    assert (larger[-1].height_px, larger[-1].width_px) == (2560, 2048)


def test_an_unknown_method_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match=r"no method 'tuor'\. Did you mean 'tour'\?.*path of a TOML file"):
        load_method("tuor")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("schedule.batch=[32, 6]", r"schedule.batch 6 is not a multiple of network.stddev_group 4: a group"),
        ("engine.micro_batch=[2]", r"engine.micro_batch 2 is not a multiple of network.stddev_group 4"),
        ("network.stddev_group=5", r"schedule.batch 32 is not a multiple of network.stddev_group 5"),
        ("schedule.batch=[]", r"key 'schedule.batch' is '\[\]': .*at least 1 item"),
        ("schedule.stable_kimg=[0]", r"key 'schedule.stable_kimg.0' is '0': input should be greater than 0"),
        (
            "engine.precision=fp8",
            r"key 'engine.precision' is 'fp8': input should be 'fp32', 'bf16'",
        ),
        ('supervision.fields=["view", "view"]', r"supervision: fields names one label twice: view, view"),
        ("ema.decay=1", r"key 'ema.decay' is '1': input should be less than 1"),
        ("ladder.stages=13", r"key 'ladder.stages' is '13': input should be less than or equal to 12"),
        ("optimizer.beta1=0", r"unknown key 'optimizer'\. Did you mean 'optimiser'\?"),
    ],
)
def test_a_wrong_value_is_named(override, message):
    with pytest.raises(ConfigError, match=message):
        load_method("tour", (override,))


@pytest.mark.parametrize("zero", [0, 1, 2])
def test_gradients_are_reduced_during_the_backward_pass_but_by_zero_1(zero):
    overrides = ("engine.overlap_communication=true", f"engine.zero_stage={zero}")
    if zero != 1:
        assert load_method("mammogan", overrides).engine.overlap_communication
        return
    with pytest.raises(ConfigError, match=r"engine: overlap_communication needs zero_stage 0 or 2"):
        load_method("mammogan", overrides)


def test_what_concerns_gpus_changes_no_identity_at_its_default():
    engine = load_method("tour").model_dump(mode="json")["engine"]
    assert not {"deterministic", "tf32", "copy_stream", "decode_threads"} & set(engine)
    changed = load_method("tour", ("engine.tf32=false", "sampling.tf32=true")).model_dump(mode="json")
    assert (changed["engine"]["tf32"], changed["sampling"]["tf32"]) == (False, True)


def test_moments_that_zero_divides_are_not_kept_from_stage_to_stage():
    with pytest.raises(ConfigError, match=r"optimiser.keep_moments needs engine.zero_stage 0"):
        load_method("tour", ("optimiser.keep_moments=true", "engine.zero_stage=1"))


def test_an_average_by_half_life_spans_as_many_images_whatever_the_batch():
    def left(batch, images):
        part = 1.0
        ema = load_method("tour", ("ema.half_life_kimg=2", "ema.ramp=0.1")).ema
        for shown in range(100_000 + batch, 100_000 + images + 1, batch):  # where the ramp is over
            part *= 1 - ema.weight(batch, shown)
        return part

    assert [left(batch, 2000) for batch in (8, 40, 400)] == pytest.approx([0.5] * 3)


def test_an_average_begins_with_the_newest_weights_and_lengthens_with_the_stage():
    ema = load_method("tour", ("ema.half_life_kimg=2", "ema.ramp=0.1")).ema
    assert ema.weight(16, 0) == 1
    assert ema.weight(100, 1000) == pytest.approx(0.5)  # a half-life of a tenth of 1,000 images
    weights = [ema.weight(16, images) for images in range(16, 40_000, 16)]
    assert weights == sorted(weights, reverse=True)
    assert weights[-1] == pytest.approx(1 - 0.5 ** (16 / 2000))


def test_an_average_by_steps_is_what_it_was():
    ema = load_method("pggan").ema
    assert {ema.weight(batch, images) for batch in (8, 512) for images in (0, 10**6)} == {1 - 0.999}


def test_scoring_and_selection_are_written_as_earlier_versions_wrote_them_unless_changed():
    """So that a run keeps its id."""
    tree = load_method("tour").model_dump()
    assert tree["selection"] == {"rule": "lowest-swd", "tie_sd": 2.0}
    assert not {"splits", "measured"} & tree["scoring"].keys()
    changed = load_method("tour", ('selection.measures=["coverage", "swd"]', "scoring.splits=8")).model_dump()
    assert changed["selection"]["measures"] == ("coverage", "swd")
    assert changed["scoring"]["splits"] == 8


def test_a_measure_that_there_is_not_is_answered_with_those_that_are():
    with pytest.raises(
        ConfigError, match=r"'selection.measures.0' is 'fid': input should be 'swd', 'band-power'"
    ):
        load_method("tour", ('selection.measures=["fid"]',))
