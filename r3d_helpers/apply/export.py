"""Export a trained model: for the Hugging Face hub, as ONNX, or as a torch program."""

import json
import os
import shutil
import sys
import warnings
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from .. import datasets
from .._extras import needed
from ..checkpoint import Metadata, load
from ..model import R3DEmotion
from .card import model_card

TOLERANCE = 1e-4  # of the logits, between the exported program and the model


def hub(checkpoint: str | os.PathLike, folder: str | os.PathLike) -> Path:
    """Write a trained model as a folder for the Hugging Face hub; nothing is uploaded.

    ``model.safetensors`` holds weights and metadata, ``config.json`` the metadata again, and
    ``README.md`` is the model card: the one beside the checkpoint, or else one without a score.
    `checkpoint.load` reads the folder.

    Raises:
        FileExistsError: ``folder`` is not empty.
        FileNotFoundError, ValueError: as `checkpoint.load`.
    """
    checkpoint, folder = Path(checkpoint), Path(folder)
    model, metadata = load(checkpoint)
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty: choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    text = metadata.to_json(indent=2)
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    file = folder / "model.safetensors"
    save_file(weights, file, {"format": "pt", "r3d_helpers": text})
    file.chmod(0o644)  # safetensors lets only the owner read
    (folder / "config.json").write_text(text + "\n", encoding="utf-8")
    card = (checkpoint if checkpoint.is_dir() else checkpoint.parent) / "README.md"
    if card.is_file():
        shutil.copyfile(card, folder / "README.md")
    else:
        (folder / "README.md").write_text(model_card(metadata), encoding="utf-8")
    return folder


def onnx(
    checkpoint: str | os.PathLike, path: str | os.PathLike, *, progress: bool = False
) -> float:
    """Write an ONNX file, and compare its logits in onnxruntime with the model's.

    Its input ``video`` is ``[B, T, C, H, W]`` float32, normalised, of any ``B`` and the trained
    ``T``, ``H`` and ``W``; its output ``logits`` is ``[B, K]``. Labels, mean and standard deviation
    are in the file's metadata.

    Args:
        checkpoint: as in `checkpoint.load`.
        path: the file to write.
        progress: say on stderr when the long part begins.

    Returns:
        The largest difference of a logit, for a batch of another size than in the export.

    Raises:
        FloatingPointError: it is above `TOLERANCE`.
        ValueError: ``path`` does not end in ``.onnx``; or as `checkpoint.load`.
        FileNotFoundError: as `checkpoint.load`.
    """
    with needed("apply"):
        import onnx  # noqa: F401 (what torch's exporter imports)
        import onnxruntime
        import onnxscript  # noqa: F401 (likewise)

    model, metadata, path = _open(checkpoint, path, ".onnx", progress)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # about the exporter's own code
        program = torch.onnx.export(
            model,
            (_example(model, metadata, 2),),
            dynamo=True,
            dynamic_shapes={"video": {0: torch.export.Dim("batch")}},
            input_names=["video"],
            output_names=["logits"],
            verbose=False,
        )
    assert program is not None  # with dynamo=True it is none
    program.model.metadata_props.update(_facts(metadata))
    program.save(path, external_data=False)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return _compare(
        model,
        metadata,
        path,
        lambda video: torch.from_numpy(session.run(None, {"video": video.numpy()})[0]),
    )


def torch_program(
    checkpoint: str | os.PathLike, path: str | os.PathLike, *, progress: bool = False
) -> float:
    """Write a ``torch.export`` program for ``torch.export.load``, and compare its logits.

    Its name ends in ``.pt2``. Arguments, input, output and errors are those of `onnx`; labels,
    mean and standard deviation are extra files in it.
    """
    model, metadata, path = _open(checkpoint, path, ".pt2", progress)
    program = torch.export.export(
        model,
        (_example(model, metadata, 2),),
        dynamic_shapes={"video": {0: torch.export.Dim("batch")}},
    )
    torch.export.save(program, path, extra_files=_facts(metadata))
    return _compare(model, metadata, path, torch.export.load(path).module())


def _facts(metadata: Metadata) -> dict[str, str]:
    """What a program does not contain: labels, mean and standard deviation, as JSON."""
    facts = {"classes": metadata.classes, "mean": datasets.MEAN, "std": datasets.STD}
    return {name: json.dumps(value) for name, value in facts.items()}


def _open(
    checkpoint: str | os.PathLike, path: str | os.PathLike, ending: str, progress: bool
) -> tuple[R3DEmotion, Metadata, Path]:
    path = Path(path)
    if path.suffix != ending:
        raise ValueError(f"{path}: the name must end in {ending}")
    model, metadata = load(checkpoint)
    if not metadata.size:
        raise ValueError(f"{checkpoint}: states no frame size: it was trained without ClipDataset")
    path.parent.mkdir(parents=True, exist_ok=True)
    if progress:
        print("exporting the model, and comparing the exported one with it ...", file=sys.stderr)
    return model, metadata, path


def _example(model: R3DEmotion, metadata: Metadata, batch: int) -> Tensor:
    size = metadata.size
    return torch.randn(
        *(batch, model.clip_len, 3, size, size), generator=torch.Generator().manual_seed(batch)
    )


@torch.no_grad()
def _compare(model: R3DEmotion, metadata: Metadata, path: Path, exported: object) -> float:
    video = _example(model, metadata, 3)
    error = (exported(video) - model(video)).abs().max().item()
    if not error <= TOLERANCE:
        path.unlink()
        raise FloatingPointError(
            f"{path}: logits differ by {error:.2g} from the model's, more than {TOLERANCE:g}"
        )
    return error
