"""What lesson 06 finds in the published fix: each finding has its cell, and a test of the package.

Taken the other way round: if one of these tests turns red, the package has got the flaw that the
cell shows.
"""

import importlib

import lessons
import pytest

NAME = "06_review_hooks_and_weights"

# Tags of the lesson's cells, and the tests that fail if the package has that flaw.
FINDINGS = {
    "finding-copy": "test_model.test_a_copy_does_not_follow_the_original",
    "finding-copy-gradient": "test_model.test_a_copy_trains_its_own_gates",
    "finding-ema": "test_model.test_an_average_of_the_weights_does_not_follow_the_live_model",
    "finding-pickle": "test_model.test_a_pickled_model_comes_back_whole",
    "finding-export": "test_model.test_an_export_of_a_copy_freezes_no_gate",
    "finding-twice": "test_model.test_no_module_carries_a_hook",
    "acquitted-trace": "test_model.test_tracing_and_compiling_keep_the_gates",
    "finding-strict": "test_model.test_weights_of_another_architecture_are_refused",
    "finding-no-hook": "test_model.test_every_gate_matters",
    "finding-state": "test_model.test_identity_weights_mean_the_same_in_a_default_model",
    "finding-tail": "test_sampler.test_uniform_loses_no_frame_of_a_short_video",
    "finding-tail-cost": "test_sampler.test_uniform_loses_no_frame_of_a_short_video",
    "finding-uneven": "test_sampler.test_uniform_repeats_the_frames_of_a_short_video_equally_often",
    "acquitted-linspace": "test_sampler.test_document_rounds_rightly_for_sixteen_frames",
    "finding-half": "test_sampler.test_a_default_dtype_changes_no_index",
    "finding-half-error": "test_sampler.test_a_default_dtype_changes_no_index",
    "finding-half-gates": "test_model.test_identity_start_is_the_plain_backbone",
    "finding-train-mode": "test_model.test_identity_start_is_the_plain_backbone",
    "finding-place": "test_model.test_shut_gates_cut_only_what_they_gate",
    "finding-table": "test_model.test_gates_fit_other_blocks_too",
    "finding-zero": "test_model.test_a_bad_argument_is_named",
    "finding-zero-error": "test_model.test_a_bad_argument_is_named",
    "finding-zero-package": "test_model.test_a_bad_argument_is_named",
    "finding-batch": "test_trainer.test_one_tiny_clip_is_no_batch",
    "acquitted-bfloat16": "test_trainer.test_bfloat16_trains_where_its_gradients_are_right",
    "finding-bfloat16": "test_trainer.test_bfloat16_is_refused_where_a_gradient_is_wrong",
    "finding-bfloat16-refused": "test_trainer.test_bfloat16_is_refused_where_a_gradient_is_wrong",
}

MESSAGES = {
    "finding-table": "to have 256 channels, but got 1024 channels",
    "finding-zero-error": "weight to be at least 1 at dimension 0",
    "finding-batch": "Expected more than 1 value per channel when training",
}


def test_every_finding_has_its_cell():
    found = [t for cell in lessons.load(NAME).cells for t in lessons.tags(cell)]
    assert [t for t in found if t.startswith(("finding-", "acquitted-"))] == list(FINDINGS)


@pytest.mark.parametrize("tag", FINDINGS)
def test_every_finding_has_a_test_of_the_package(tag):
    """Without it: lesson 06 accuses others of what the package does itself."""
    module, _, test = FINDINGS[tag].partition(".")
    assert callable(getattr(importlib.import_module(module), test))


@pytest.mark.parametrize("tag", MESSAGES)
def test_the_page_shows_the_message(tag):
    assert MESSAGES[tag] in lessons.stored_text(NAME, tag)


def test_an_index_behind_the_end_is_an_error():
    ename, text = lessons.stored_error(NAME, "finding-half-error")
    assert ename == "IndexError"
    assert "index 300 is out of bounds" in text


def test_every_finding_says_what_to_do_and_how_to_notice():
    text = "".join(c.source for c in lessons.load(NAME).cells if c.cell_type == "markdown")
    verdicts = text.count("**Verdict:")
    assert verdicts == 7
    for words in ("- *Remedy:*", "- *In the package:*", "- *You would notice:*"):
        assert text.count(words) == verdicts
