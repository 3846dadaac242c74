"""Each finding of lessons 06 and 07 about the published fix has a cell and a test.

If one of these tests fails, the package has the fault that the
cell shows.
"""

import importlib

import lessons
import pytest

WEIGHTS, CLIPS = NAMES = lessons.named("review")

# By lesson, tags of its cells, and the tests that fail if the package has that flaw.
FINDINGS = {
    WEIGHTS: {
        "finding-copy": "test_model.test_a_copy_does_not_follow_the_original",
        "finding-copy-gradient": "test_model.test_a_copy_trains_its_own_gates",
        "finding-ema": "test_model.test_an_average_of_the_weights_does_not_follow_the_live_model",
        "finding-pickle": "test_model.test_a_pickled_model_comes_back_whole",
        "finding-export": "test_model.test_an_export_of_a_copy_freezes_no_gate",
        "finding-twice": "test_model.test_no_module_carries_a_hook",
        "acquitted-trace": "test_model.test_tracing_and_compiling_keep_the_gates",
        "finding-no-hook": "test_model.test_every_gate_matters",
        "finding-strict": "test_model.test_weights_of_another_architecture_are_refused",
        "finding-state": "test_model.test_identity_weights_mean_the_same_in_a_default_model",
    },
    CLIPS: {
        "finding-tail": "test_sampler.test_uniform_loses_no_frame_of_a_short_video",
        "finding-tail-cost": "test_sampler.test_uniform_loses_no_frame_of_a_short_video",
        "finding-uneven": "test_sampler."
        "test_uniform_repeats_the_frames_of_a_short_video_equally_often",
        "acquitted-long": "test_sampler.test_document_rounds_rightly_for_sixteen_frames",
        "finding-half-gates": "test_model.test_identity_start_is_the_plain_backbone",
        "finding-place": "test_model.test_shut_gates_cut_only_what_they_gate",
        "finding-small": "test_trainer.test_one_tiny_clip_is_no_batch",
    },
}
ALSO = {  # what else "finding-small" says
    "test_sampler.test_a_default_dtype_changes_no_index",
    "test_model.test_gates_fit_other_blocks_too",
    "test_model.test_a_bad_argument_is_named",
}
BETWEEN = ("finding-", "acquitted-")
TESTS = sorted({test for found in FINDINGS.values() for test in found.values()} | ALSO)

MESSAGES = (  # of what is small, and mostly loud
    "linspace, 16 frames: 0 lengths",
    "linspace, 64 frames: 21 lengths",
    "index 300 is out of bounds",
    "to have 256 channels, but got 1024 channels",
    "weight to be at least 1 at dimension 0",
    "Expected more than 1 value per channel when training",
)


@pytest.mark.parametrize("name", NAMES)
def test_every_finding_has_its_cell(name):
    found = [t for cell in lessons.load(name).cells for t in lessons.tags(cell)]
    assert [t for t in found if t.startswith(BETWEEN)] == list(FINDINGS[name])


@pytest.mark.parametrize("name", TESTS)
def test_every_finding_has_a_test_of_the_package(name):
    """Without it: the package has a fault that the review criticises."""
    module, _, test = name.partition(".")
    assert callable(getattr(importlib.import_module(module), test))


@pytest.mark.parametrize("words", MESSAGES)
def test_the_page_shows_the_message(words):
    assert words in " ".join(lessons.stored_text(CLIPS, "finding-small").split())


@pytest.mark.parametrize(("name", "verdicts"), [(WEIGHTS, 2), (CLIPS, 3)])
def test_every_finding_says_what_to_do_and_how_to_notice(name, verdicts):
    text = "".join(c.source for c in lessons.load(name).cells if c.cell_type == "markdown")
    assert text.count("**Verdict:") == verdicts
    for words in ("- *Remedy:*", "- *In the package:*", "- *You would notice:*"):
        assert text.count(words) == verdicts
    assert "**flaw" in text
    assert "cquitted" in text  # whoever only ever finds faults is soon not read
