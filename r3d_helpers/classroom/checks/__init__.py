"""Checks of the exercises and quizzes: a file for each lesson."""

from .augmentation import one_draw, quiz_label
from .clip_size import frames_needed, quiz_clip
from .explanations import quiz_map, weigh
from .hooks_and_weights import comes_back, stands_alone
from .meet_the_clip import green, keep_all
from .own_videos import over_people, quiz_faces
from .permute import from_frames, quiz_permute, to_tokens
from .redundant_lstm import keep_time, quiz_lstm, voice
from .scale_out import gather, quiz_scale
from .se_access import gate_layer, gated_unet, quiz_se
from .short_clips_and_gates import even, loses, quiz_review
from .train import by_hand, leaks
from .tuning import honest, quiz_tuning

__all__ = [
    "by_hand",
    "comes_back",
    "even",
    "frames_needed",
    "from_frames",
    "gate_layer",
    "gated_unet",
    "gather",
    "green",
    "honest",
    "keep_all",
    "keep_time",
    "leaks",
    "loses",
    "one_draw",
    "over_people",
    "quiz_clip",
    "quiz_faces",
    "quiz_label",
    "quiz_lstm",
    "quiz_map",
    "quiz_permute",
    "quiz_review",
    "quiz_scale",
    "quiz_se",
    "quiz_tuning",
    "stands_alone",
    "to_tokens",
    "voice",
    "weigh",
]
