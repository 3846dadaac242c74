"""The model card of a run: model, training data, score, and what it must not be used for."""

import math
from collections.abc import Mapping
from dataclasses import asdict

from ..checkpoint import Metadata
from ..metrics import best_epoch
from ..names import printable
from .evaluation import Report, between


def model_card(metadata: Metadata, tested: Report | None = None, data: str = "") -> str:
    """Write a model card: the model, its training data and score, and what it is not for.

    Args:
        metadata: of a checkpoint.
        tested: the score on subjects of neither the training nor the validation set.
        data: the name of the data.

    Returns:
        Markdown with the header that the Hugging Face hub reads.

    Source: Mitchell et al. 2019, "Model Cards for Model Reporting".
    """
    model = metadata.model
    classes = metadata.classes or [f"class {i}" for i in range(model["num_classes"])]
    classes = [printable(name) for name in classes]
    settings = asdict(metadata.train)
    best = best_epoch(metadata.history)
    gates = {None: "no gates", "output": "after each block", "residual": "before each addition"}
    lines = [
        "---",
        "library_name: r3d_helpers",
        "pipeline_tag: video-classification",
        "license: unknown",
        "tags: [emotion-recognition, r3d-18, squeeze-and-excitation]",
        "---",
        "",
        "# Acted emotion from video: R3D-18 with Squeeze-and-Excitation",
        "",
        f"Answers with one of {len(classes)} labels: {', '.join(classes)}. They name what actors "
        "were asked to show, not what anybody feels.",
        "",
        "## Input",
        "",
        f"`[B, T, C, H, W]` with T = {model['clip_len']} frames spread evenly over a video, RGB, "
        f"{_pixels(metadata.size)}, normalised as `datasets.normalize` does; "
        f"{_cropped(metadata.crop)}.",
        "",
        "## Training",
        "",
        f"Data: {data or 'not stated'}; {metadata.clips[0]} clips to train and "
        f"{metadata.clips[1]} to choose the epoch by, of {len(metadata.subjects)} subjects. "
        f"Gates: {gates[model['se']]}, {model['se_init']} start. The model of epoch "
        f"{best['epoch']} of {metadata.train.epochs} was kept, with validation UAR "
        f"{best['val_uar']:.3f}.",
        "",
        "| setting | value |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in settings.items() if name != "progress"),
        "",
        "## Score",
        "",
        *_scored(tested),
        "",
        "## Not for",
        "",
        "Decisions about people: hiring, schooling, policing, health, insurance, border control, "
        "watching at work. A face does not show a feeling reliably, actors exaggerate, and nobody "
        "has measured which mistakes the model makes on people unlike those in its training data.",
        "",
        "The licence of the training data may also apply to these weights.",
        "",
    ]
    return "\n".join(lines)


def _scored(tested: Report | None) -> list[str]:
    if tested is None:
        return ["Not measured on people that the model has not seen."]
    by_class = tested.scores.confusion.diagonal() / tested.scores.confusion.sum(1)
    return [
        f"On {tested.clips} clips of {tested.subjects} subjects that the model has never seen, "
        f"{tested.num_views} clip(s) per video; "
        + ("95 % intervals by drawing subjects:" if tested.uar else "one subject, so no interval:"),
        "",
        "| score | value |",
        "|---|---|",
        f"| UAR | {tested.scores.uar:.3f}{between(tested.uar)} |",
        f"| WAR | {tested.scores.war:.3f}{between(tested.war)} |",
        f"| F1 | {tested.scores.f1:.3f} |",
        *(
            f"| recall of {printable(name).replace('|', '/')} | {_share(share)} |"
            for name, share in zip(tested.classes, by_class.tolist(), strict=True)
        ),
        f"| chance | {tested.chance:.3f} |",
    ]


def _share(value: float) -> str:
    return "no clips" if math.isnan(value) else f"{value:.3f}"


def _pixels(size: int | None) -> str:
    return "of a size that is not stated" if size is None else f"{size} x {size} pixels"


def _cropped(crop: Mapping | None) -> str:
    if crop is None:
        return "the whole frame, cut to a square around its centre"
    return f"cut to the face (margin {crop['margin']}, without a face: {crop['no_face']})"
