"""Scores over people, their intervals, and predictions that are read back from their file."""

import copy
import csv
import dataclasses
import itertools
import pickle
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from hypothesis import given
from hypothesis import strategies as st

from r3d_helpers import TrainConfig, metrics, sampler, video
from r3d_helpers.apply import evaluation
from r3d_helpers.apply.card import model_card
from r3d_helpers.apply.crops import FaceCrop
from r3d_helpers.checkpoint import Metadata
from r3d_helpers.datasets import Clip, ClipDataset, normalize

DATA = Path(__file__).parent / "data"


def crowd(people=24, each=8, num_classes=3, seed=0):
    """Clips of people of whom some are read well and some are not: predicted, targets, subjects."""
    rng = random.Random(seed)
    rows = []
    for person in range(people):
        skill = rng.random()
        for _ in range(each):
            target = rng.randrange(num_classes)
            wrong = (target + rng.randrange(1, num_classes)) % num_classes
            rows.append((target if rng.random() < skill else wrong, target, f"p{person}"))
    predicted, targets, subjects = zip(*rows, strict=True)
    return torch.tensor(predicted), torch.tensor(targets), list(subjects)


def slowly(predicted, targets, subjects, level, draws=2000):
    """The same intervals, person by person and clip by clip."""
    rng, uars, wars, of = random.Random(1), [], [], {}
    for row in zip(predicted.tolist(), targets.tolist(), subjects, strict=True):
        of.setdefault(row[2], []).append((row[0] == row[1], row[1]))
    for _ in range(draws):
        drawn = [clip for _ in of for clip in of[rng.choice(list(of))]]
        by_class = {target: [] for _, target in drawn}
        for right, target in drawn:
            by_class[target].append(right)
        uars.append(np.mean([np.mean(found) for found in by_class.values()]))
        wars.append(np.mean([right for right, _ in drawn]))
    return [np.quantile(values, [(1 - level) / 2, (1 + level) / 2]) for values in (uars, wars)]


def width(low_high):
    return low_high[1] - low_high[0]


# --- intervals over people ------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_it_is_what_drawing_people_one_by_one_gives(level):
    clips = crowd()
    found = evaluation.interval(*clips, level=level)
    for low_high, slow in zip(found, slowly(*clips, level), strict=True):
        assert low_high == pytest.approx(tuple(slow), abs=0.015)


def test_clips_that_agree_within_a_person_count_as_one():
    right = [person % 3 > 0 for person in range(12)]
    one = torch.tensor(right).long(), torch.ones(12, dtype=torch.long), list("abcdefghijkl")
    ten = one[0].repeat(10), one[1].repeat(10), one[2] * 10
    assert evaluation.interval(*ten) == evaluation.interval(*one)
    as_if_strangers = evaluation.interval(*ten[:2], [str(number) for number in range(120)])
    assert width(evaluation.interval(*ten)[1]) > 2.5 * width(as_if_strangers[1])


@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(1, 5), st.integers(2, 4))
def test_neither_the_order_of_clips_nor_a_second_copy_of_all_matters(seed, people, each, classes):
    predicted, targets, subjects = crowd(people, each, classes, seed)
    expected = evaluation.interval(predicted, targets, subjects, draws=50)
    order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(seed)).tolist()
    mixed = predicted[order], targets[order], [subjects[i] for i in order]
    assert evaluation.interval(*mixed, draws=50) == expected
    twice = predicted.repeat(2), targets.repeat(2), subjects * 2
    assert evaluation.interval(*twice, draws=50) == expected


def test_uar_and_war_lie_within_their_intervals():
    predicted, targets, subjects = crowd()
    scores = metrics.score(torch.eye(3)[predicted], targets)
    uar, war = evaluation.interval(predicted, targets, subjects)
    assert uar[0] < scores.uar < uar[1]
    assert war[0] < scores.war < war[1]


def test_a_rare_class_counts_in_uar_as_much_as_a_common_one():
    # Of everybody, nine common clips are right and one rare clip is wrong.
    targets = torch.tensor(([0] * 9 + [1]) * 4)
    subjects = [name for name in "abcd" for _ in range(10)]
    uar, war = evaluation.interval(torch.zeros_like(targets), targets, subjects)
    assert uar == (0.5, 0.5)
    assert war == pytest.approx((0.9, 0.9))


def test_a_higher_level_is_wider():
    clips = crowd()
    levels = [evaluation.interval(*clips, level=level) for level in (0.5, 0.8, 0.95, 0.99)]
    for narrow, wide in itertools.pairwise(levels):
        for inner, outer in zip(narrow, wide, strict=True):
            assert outer[0] < inner[0] < inner[1] < outer[1]


def test_a_single_draw_has_no_width():
    uar, war = evaluation.interval(*crowd(), draws=1)
    assert width(uar) == width(war) == 0
    assert width(evaluation.interval(*crowd(), draws=2)[0]) > 0


def test_a_class_that_a_draw_lacks_is_left_out_of_it():
    # One person has only class 0, all right; the other only class 1, all wrong.
    predicted, targets = torch.tensor([0, 0, 2]), torch.tensor([0, 0, 1])
    uar, war = evaluation.interval(predicted, targets, ["a", "a", "b"], level=0.9)
    assert uar == war == (0, 1)
    uars = evaluation.interval(predicted, targets, ["a", "a", "b"], level=0.01)[0]
    assert uars == (0.5, 0.5)


def test_the_seed_decides_the_draws_and_nothing_else_does():
    clips = crowd()
    torch.manual_seed(0)
    state = torch.get_rng_state()
    found = [evaluation.interval(*clips, seed=seed) for seed in (0, 0, 1, 2)]
    assert torch.get_rng_state().equal(state)
    assert found[0] == found[1] == evaluation.interval(*clips)
    assert len({uar for uar, _ in found}) == 3


def test_one_subject_gives_no_interval():
    with pytest.raises(ValueError, match=r"needs 2 subjects or more, got \['anna'\]"):
        evaluation.interval(torch.tensor([0, 1]), torch.tensor([0, 1]), ["anna", "anna"])


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"level": level}, rf"level .* \(0, 1\), got {level!r}")
        for level in (0, 1, -0.5, 1.5, float("nan"))
    ]
    + [({"draws": draws}, f"draws .* 1 or more, got {draws}") for draws in (0, -1)],
)
def test_a_level_or_number_of_draws_out_of_range_is_named(options, named):
    with pytest.raises(ValueError, match=named):
        evaluation.interval(*crowd(), **options)


# --- several clips of one video -------------------------------------------------------------


@given(st.integers(1, 500), st.integers(1, 40), st.integers(1, 9))
def test_all_views_together_are_one_long_uniform_clip(num_frames, clip_len, num_views):
    clips = [view(num_frames, clip_len) for view in evaluation.views(num_views)]
    assert [len(clip) for clip in clips] == [clip_len] * num_views
    assert all(clip == sorted(clip) for clip in clips)
    together = sorted(index for clip in clips for index in clip)
    assert together == sampler.uniform(num_frames, num_views * clip_len)
    if num_frames >= num_views * clip_len:
        assert len(set(together)) == len(together)


@given(st.integers(1, 500), st.integers(1, 40), st.sampled_from([1, 3, 5, 7]))
def test_the_middle_of_an_odd_number_of_views_is_uniform(num_frames, clip_len, num_views):
    middle = evaluation.views(num_views)[num_views // 2]
    assert middle(num_frames, clip_len) == sampler.uniform(num_frames, clip_len)


@pytest.mark.parametrize("num_views", [0, -3])
def test_no_views_are_refused(num_views):
    with pytest.raises(ValueError, match=f"num_views must be 1 or more, got {num_views}"):
        evaluation.views(num_views)


def test_the_average_is_one_of_probabilities():
    parts = [torch.randn(5, 4, generator=torch.Generator().manual_seed(i)) * 4 for i in range(3)]
    exps = [np.exp(part.double().numpy()) for part in parts]
    expected = np.mean([exp / exp.sum(1, keepdims=True) for exp in exps], 0)
    np.testing.assert_allclose(evaluation.average(parts).exp(), expected, atol=1e-6)
    assert torch.allclose(evaluation.average(parts[:1]), parts[0].log_softmax(1), atol=1e-6)


class Seer:
    """A trainer whose answers are computed from the videos that it is shown, in their order."""

    def predict(self, dataset):
        items = [dataset[index] for index in range(len(dataset))]
        return torch.stack([answer(v) for v, _ in items]), torch.tensor([t for _, t in items])


def answer(clip):
    """Logits of ``[T, C, H, W]`` that change with every frame."""
    frames = clip.mean((1, 2, 3)) * (1 + torch.arange(len(clip)))
    return 9 * torch.stack([frames.sum(), clip.std(), clip[-1].mean()])


def own(num_frames, clip_len):
    """A sampler that only the data set's owner asked for."""
    return [0] * clip_len


@pytest.fixture
def dataset():
    names = [("vfr.mp4", "sad", "b"), ("h264.mp4", "angry", "a"), ("late_face.mp4", "sad", "b")]
    clips = [Clip(DATA / name, label, subject) for name, label, subject in names]
    return ClipDataset(clips, 2, 8, own, classes=["sad", "calm", "angry"])


@pytest.mark.parametrize("num_views", [1, 2, 3])
def test_every_view_of_every_clip_is_asked_in_order(dataset, num_views):
    logits, targets = evaluation.predict(Seer(), dataset, num_views)
    assert targets.tolist() == [0, 2, 0]
    for row, clip in zip(logits, dataset.clips, strict=True):
        frames = normalize(video.read(clip.path, size=(8, 8)))
        long = sampler.uniform(len(frames), 2 * num_views)
        views = [answer(frames[long[number::num_views]]).softmax(0) for number in range(num_views)]
        torch.testing.assert_close(row.exp(), sum(views) / num_views)


def test_a_data_set_keeps_its_own_sampler(dataset):
    before = copy.copy(vars(dataset))
    evaluation.predict(Seer(), dataset, 3)
    evaluation.evaluate(Seer(), dataset, 3)
    assert vars(dataset) == before


def test_evaluation_reports_what_is_predicted_of_whom(dataset):
    logits, targets = evaluation.predict(Seer(), dataset, 3)
    found = evaluation.evaluate(Seer(), dataset, 3)
    expected = evaluation.report(logits, targets, ["b", "a", "b"], ["sad", "calm", "angry"], 3)
    assert 0 < found.scores.war < 1  # so that it matters whose clip is right
    assert str(found) == str(expected)
    assert (found.uar, found.war, found.num_views) == (expected.uar, expected.war, 3)


# --- a report -------------------------------------------------------------------------------

CLASSES = ["calm", "happy", "fearful"]


def reported(subjects, num_views=1):
    predicted, targets = torch.tensor([0, 1, 1, 0]), torch.tensor([0, 1, 0, 0])  # none is fearful
    return evaluation.report(torch.eye(3)[predicted], targets, subjects, CLASSES, num_views)


def test_a_report_has_the_scores_and_the_intervals():
    found = reported(["a", "a", "b", "c"], 5)
    predicted, targets = torch.tensor([0, 1, 1, 0]), torch.tensor([0, 1, 0, 0])
    assert (found.scores.war, found.scores.uar) == pytest.approx((3 / 4, (2 / 3 + 1) / 2))
    assert (found.uar, found.war) == evaluation.interval(predicted, targets, ["a", "a", "b", "c"])
    assert (found.clips, found.subjects, found.num_views) == (4, 3, 5)


def test_it_prints_counts_scores_and_the_confusion_matrix():
    found = reported(["a", "a", "b", "c"])
    first, chance, *rows, last = str(found).splitlines()
    assert chance == "by chance: UAR 0.333"
    (a, b), (c, d) = found.uar, found.war
    assert last == "no clip of fearful: UAR leaves it out"
    assert first == (
        f"4 clips of 3 subjects: UAR 0.833 ({a:.3f} to {b:.3f}), WAR 0.750 ({c:.3f} to {d:.3f}), "
        "F1 0.733"
    )
    assert [row.split() for row in rows] == [
        ["said:", "calm", "happy", "fearful"],
        ["calm", "2", "1", "0"],
        ["happy", "0", "1", "0"],
        ["fearful", "0", "0", "0"],
    ]
    assert len({len(row) for row in rows}) == 1


def test_one_subject_is_reported_without_brackets():
    found = reported(["a"] * 4)
    assert (found.uar, found.war) == (None, None)
    assert str(found).startswith("4 clips of 1 subject: UAR 0.833, WAR 0.750, F1 0.733\n")
    assert str(found).endswith("one subject, so no interval; --folds tests every subject")
    assert "no interval" not in str(reported(list("aabc")))


# --- predictions on disk --------------------------------------------------------------------


@pytest.fixture
def odd():
    """Names with commas, quotes and other letters."""
    clips = [
        Clip(Path('Zoë, Ōsaka/a "b", c.mp4'), "überrascht, sehr", "Müller, Jr."),
        Clip(Path("x;y/喜.mp4"), "calm", "007"),
        Clip(Path("line\nbreak.mp4"), "calm", "Müller, Jr."),
    ]
    return ClipDataset(clips, classes=["überrascht, sehr", "sad", "calm"])


def test_predictions_come_back(tmp_path, odd):
    logits = 5 * torch.randn(3, 3, generator=torch.Generator().manual_seed(0))
    evaluation.write_predictions(tmp_path / "p.csv", odd, logits)
    read, targets, subjects, classes = evaluation.read_predictions(tmp_path / "p.csv")
    torch.testing.assert_close(read.exp(), logits.softmax(1), atol=1e-6, rtol=0)
    assert targets.tolist() == odd.targets == [0, 2, 2]
    assert subjects == ["Müller, Jr.", "007", "Müller, Jr."]
    assert classes == odd.classes
    assert [path.name for path in tmp_path.iterdir()] == ["p.csv"]


def test_a_row_says_which_clip_and_which_label_won(tmp_path, odd):
    logits = torch.tensor([[0.0, 3.0, 1.0], [9.0, 0.0, 1.0], [0.0, 1.0, 2.0]])
    evaluation.write_predictions(tmp_path / "p.csv", odd, logits)
    with (tmp_path / "p.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [Path(row["path"]) for row in rows] == [clip.path for clip in odd.clips]
    assert [row["predicted"] for row in rows] == ["sad", "überrascht, sehr", "calm"]
    assert [row["label"] for row in rows] == [clip.label for clip in odd.clips]


# --- a model card ---------------------------------------------------------------------------

CROP = dataclasses.asdict(FaceCrop(margin=0.45, no_face="centre"))


def said(**changes):
    """The metadata of a checkpoint."""
    losses = [(0.25, 0.9), (0.625, 0.8), (0.625, 0.7), (0.5, 0.1)]
    metadata = Metadata(
        model={"num_classes": 3, "clip_len": 7, "se": "residual", "se_init": "identity"},
        train=TrainConfig(epochs=9, lr=0.0123, mix="cutmix"),
        classes=CLASSES,
        size=96,
        subjects=["01", "02", "05", "09"],
        clips=(81, 27),
        history=[
            {"epoch": epoch, "val_uar": uar, "val_loss": loss}
            for epoch, (uar, loss) in enumerate(losses, 1)
        ],
    )
    return dataclasses.replace(metadata, **changes)


@pytest.mark.parametrize("tested", [None, reported(list("aabc"))])
def test_the_hub_reads_the_header(tested):
    card = ModelCard(model_card(said(), tested))
    assert card.data.library_name == "r3d_helpers"
    assert card.data.pipeline_tag == "video-classification"
    assert "emotion-recognition" in card.data.tags
    assert card.text.strip().startswith("# ")


@pytest.mark.parametrize(
    "words",
    [
        "one of 3 labels: calm, happy, fearful.",
        "T = 7 frames",
        "96 x 96 pixels",
        "Data: RAVDESS speech; 81 clips to train and 27 to choose the epoch by, of 4 subjects.",
        "before each addition, identity start",
        "The model of epoch 3 of 9 was kept, with validation UAR 0.625.",
    ],
)
def test_it_says_what_the_model_is_and_was_trained_on(words):
    assert words in model_card(said(), data="RAVDESS speech")


def test_it_lists_every_setting_but_the_progress_bar():
    told = model_card(said())
    settings = dataclasses.asdict(said().train)
    assert settings.pop("progress")
    rows = [f"| {name} | {value} |" for name, value in settings.items()]
    assert "\n".join(["|---|---|", *rows, ""]) in told
    assert "| progress |" not in told


def test_it_tells_the_score_and_the_recall_of_each_class():
    tested = dataclasses.replace(reported(list("aabc"), 5), uar=(0.25, 0.875))
    told = model_card(said(), tested).splitlines()
    for row in (
        "| UAR | 0.833 (0.250 to 0.875) |",
        "| F1 | 0.733 |",
        "| recall of calm | 0.667 |",
        "| recall of happy | 1.000 |",
        "| recall of fearful | no clips |",
        "| chance | 0.333 |",
    ):
        assert row in told
    (head,) = [line for line in told if line.startswith("On 4 clips of 3 subjects")]
    assert "5 clip(s) per video" in head
    assert not any("Not measured" in line for line in told)


def test_it_says_that_nothing_was_measured():
    told = model_card(said())
    assert "Not measured on people that the model has not seen." in told
    assert not any(word in told for word in ("| UAR |", "recall", "chance"))
    assert "Data: not stated;" in told


@pytest.mark.parametrize(
    ("crop", "words"),
    [
        ({}, "the whole frame, cut to a square around its centre"),
        ({"crop": CROP}, "cut to the face (margin 0.45, without a face: centre)"),
    ],
)
def test_it_says_whether_the_face_is_cut_out(crop, words):
    told = model_card(said(**crop))
    assert words in told
    assert ("whole frame" in told) != ("the face" in told)


def test_labels_without_names_are_numbered():
    told = model_card(said(classes=None))
    assert "3 labels: class 0, class 1, class 2." in told


def test_views_can_go_to_workers_that_are_spawned():
    view = pickle.loads(pickle.dumps(evaluation.views(3)[0]))
    assert view(30, 4) == evaluation.views(3)[0](30, 4)


def test_very_sure_answers_have_a_finite_loss():
    logits = torch.tensor([[0.0, 120.0]])
    assert metrics.score(evaluation.average([logits]), torch.tensor([0])).loss == pytest.approx(120)


def test_a_card_says_what_is_not_known(tmp_path):
    assert "of a size that is not stated" in model_card(said(size=None))
    text = model_card(said(), reported(["a"] * 4))
    assert "one subject, so no interval" in text
    assert "95 %" not in text


def test_a_bar_in_a_label_does_not_break_the_table():
    tested = evaluation.report(torch.eye(2), torch.tensor([0, 1]), ["a", "b"], ["a|b", "c"])
    (row,) = [line for line in model_card(said(), tested).splitlines() if "recall of a" in line]
    assert row.count("|") == 3


def test_a_path_that_is_no_valid_text_is_written_and_read(tmp_path):
    dataset = ClipDataset([Clip(Path("b\udcffd.mp4"), "x", "1")])
    evaluation.write_predictions(tmp_path / "p.csv", dataset, torch.zeros(1, 1))
    assert evaluation.read_predictions(tmp_path / "p.csv")[2] == ["1"]


def test_a_class_that_no_clip_shows_is_named():
    logits = torch.eye(3)[[0, 1, 1]]
    targets = torch.tensor([0, 1, 0])
    found = evaluation.report(logits, targets, list("abc"), ["calm", "happy", "j\udcf6rg"])
    assert str(found).splitlines()[-1] == r"no clip of j\udcf6rg: UAR leaves it out"
    found = evaluation.report(
        logits, torch.tensor([0, 1, 2]), list("abc"), ["calm", "happy", "sad"]
    )
    assert "no clip of" not in str(found)
