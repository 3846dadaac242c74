"""A run computes as its configuration says, on any machine."""

import os

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, DistributedType, GradientState, PartialState
from torch import nn
from torch.utils.data import TensorDataset

from r3d_helpers import R3DEmotion, TrainConfig, Trainer, doctor, parallel
from r3d_helpers import model as model_module

CONFIGURED = {  # what `accelerate config` may have been answered with
    "ACCELERATE_MIXED_PRECISION": "bf16",
    "ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "4",
    "ACCELERATE_DYNAMO_BACKEND": "INDUCTOR",
    "ACCELERATE_USE_DEEPSPEED": "true",
    "ACCELERATE_USE_FSDP": "true",
    "ACCELERATE_USE_MEGATRON_LM": "true",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "true",
}


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """A process in which nobody has used Accelerate yet."""
    for state in (AcceleratorState, GradientState, PartialState):
        monkeypatch.setattr(state, "_shared_state", {})


@pytest.fixture
def configured(monkeypatch):
    for name, value in CONFIGURED.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A trainer of a network of a few weights, and what it is to train on."""

    def backbone():
        layers = [nn.Conv3d(3, 4, 1), nn.AdaptiveAvgPool3d(1), nn.Flatten()]
        net = nn.Sequential(*layers)
        net.fc = nn.Linear(4, 400)
        return net

    monkeypatch.setattr(model_module, "r3d_18", backbone)
    torch.manual_seed(0)
    data = TensorDataset(torch.randn(4, 2, 3, 4, 4), torch.tensor([0, 1, 0, 1]))

    def run(folder="run", **options):
        torch.manual_seed(1)
        model = R3DEmotion(2, clip_len=2, se=None, dropout=0.0)
        config = TrainConfig(epochs=1, batch_size=2, **{"progress": False, **options})
        return Trainer(model, config, tmp_path / folder), data

    return run


@pytest.mark.parametrize("name", CONFIGURED)
def test_what_accelerate_was_configured_with_changes_nothing(monkeypatch, name):
    """Without it: a run uses bfloat16 because of an old answer to `accelerate config`."""
    monkeypatch.setenv(name, CONFIGURED[name])
    found = parallel.accelerator()
    assert found.mixed_precision == "no"
    assert found.gradient_accumulation_steps == 1
    assert found.distributed_type == DistributedType.NO
    assert found.state.dynamo_plugin.backend.value == "NO"
    assert found.parallelism_config is None
    assert os.environ[name] == CONFIGURED[name]  # not ours to change


@pytest.mark.parametrize("make", ["process", "accelerator"])
def test_accelerate_is_not_told_of_sharding(configured, monkeypatch, make):
    """It looks at these where several processes meet."""
    told, names = {}, [name for name in CONFIGURED if "USE" in name]
    for kind in ("PartialState", "Accelerator"):
        monkeypatch.setattr(
            parallel, kind, lambda **_: told.update({name: os.environ[name] for name in names})
        )
    getattr(parallel, make)()
    assert told == dict.fromkeys(names, "false")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_configured_run_computes_in_its_own_precision(configured, run, precision):
    trainer, data = run(precision=precision)
    computed = set()
    trainer.model.backbone[0].register_forward_hook(lambda *_: computed.add(_[2].dtype))
    trainer.fit(data, data)
    assert (torch.bfloat16 in computed) == (precision == "bfloat16")


def test_a_configured_run_ends_as_another(monkeypatch, run):
    ended = []
    for folder in ("plain", "configured"):
        trainer, data = run(folder)
        ended.append(trainer.fit(data, data)[0]["train_loss"])
        ended.append([p.clone() for p in trainer.model.parameters()])
        fresh.__wrapped__(monkeypatch)
        for name, value in CONFIGURED.items():
            monkeypatch.setenv(name, value)
    assert ended[0] == ended[2]
    assert all(torch.equal(one, other) for one, other in zip(ended[1], ended[3], strict=True))


def test_an_accelerator_of_another_precision_is_refused():
    Accelerator(cpu=True, mixed_precision="bf16")
    with pytest.raises(ValueError, match="mixed_precision='no'"):
        parallel.accelerator()


@pytest.fixture
def apple(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)


def test_apples_gpu_is_left_alone_and_named(apple, run, capsys):
    """Without it: a run on a Mac is slow, and no message says that its GPU is not used."""
    trainer, data = run(progress=True)
    assert trainer.accelerator.device.type == parallel.process().device.type == "cpu"
    trainer.fit(data, data)
    assert "on the CPU: Apple's GPU is not used" in capsys.readouterr().err


def test_the_doctor_names_apples_gpu(apple):
    (torchs,) = [check for check in doctor.checks() if check.name == "torch"]
    assert torchs.ok
    assert torchs.detail.endswith("threads; Apple's GPU is not used")


@pytest.mark.parametrize(("cuda", "mps"), [(False, False), (True, False), (True, True)])
def test_there_is_nothing_to_say_elsewhere(monkeypatch, cuda, mps):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert parallel.device_note() is None
    assert parallel.use_cpu() is not cuda
