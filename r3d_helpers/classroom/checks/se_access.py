"""Lesson 02: Reaching into the block."""

import copy

import torch
from torch import Tensor, nn
from torchvision.models.video import r3d_18

from ...model import SqueezeExcitation3d
from .grading import Wrong, check, expect_module, expect_tensor, grade, run_answer


@check
def quiz_se(answer: object) -> str:
    """What does training show when SE modules are attached but never called?"""
    reasons = {
        "a": "nothing raises: a module that is never called is only a name with weights.",
        "b": "the loss falls as it would without SE; the backbone learns without the gates.",
        "c": "the number of parameters went up, because they are registered. So a higher number "
        "does not prove that they are used.",
        "d": "the gradients of the gates stay None, and setting the gates to zero changes no "
        "output. You see it only if you look.",
        "e": "the same program saves and loads the same names: a state dict holds what is "
        "attached, used or not. (A checkpoint from before they were attached would lack their "
        "keys.)",
        "f": "an optimizer skips a parameter without a gradient, and says nothing.",
    }
    return grade(answer, "d", reasons)


@check
def gate_layer(answer: object) -> str:
    """``answer(layer)`` must give a module that runs SE after every block of a layer."""
    for name, channels in (("layer2", 64), ("layer3", 128)):
        layer = getattr(r3d_18(), name).eval()
        blocks = copy.deepcopy(list(layer))  # hooks would gate the reference, too
        gated = run_answer(answer, layer)
        if not isinstance(gated, nn.Module):
            raise Wrong(f"expected a module, got a {type(gated).__name__}.")
        features = torch.rand(2, channels, 2, 6, 4)
        result = run_answer(gated.eval(), features)
        gates = [m for m in gated.modules() if isinstance(m, SqueezeExcitation3d)]
        _explain_gates(name, gated, blocks, gates, features, result)
    return "two gates in each layer, as wide as their blocks; each learns and each matters."


def _explain_gates(
    name: str,
    gated: nn.Module,
    blocks: list[nn.Module],
    gates: list[SqueezeExcitation3d],
    features: Tensor,
    result: Tensor,
) -> None:
    if len(gates) != len(blocks):
        raise Wrong(
            f"{name} has {len(blocks)} blocks and your module holds {len(gates)} different "
            "SqueezeExcitation3d. Each block needs one, in a Sequential or as an attribute."
        )
    result.square().mean().backward()
    for number, gate in enumerate(gates):
        if any(parameter.grad is None for parameter in gate.parameters()):
            raise Wrong(
                f"gate {number} of {name} is attached, but its parameters got no gradient: it is "
                "never called, what it returns is thrown away, or its result is detached. (A hook "
                "written in a loop sees the loop's last variable, not its own.)"
            )
    with torch.no_grad():
        right = features
        for number, (block, gate) in enumerate(zip(blocks, gates, strict=True)):
            right = block(right)
            if right.shape[1] != gate.reduce.in_channels:
                raise Wrong(
                    f"gate {number} of {name} is {gate.reduce.in_channels} channels wide, and its "
                    f"block gives {right.shape[1]}. Does the gate come before the block?"
                )
            right = right * gate.gate(right)
        for number, gate in enumerate(gates):
            before, gate.scale = gate.scale, torch.zeros(())
            changed = not gated(features).allclose(result)
            gate.scale = before
            if not changed:
                raise Wrong(f"gate {number} of {name} set to zero changes nothing in the output.")
    if not result.allclose(right, atol=1e-6):
        raise Wrong(
            f"the gates of {name} work, but not once each, after each block: the result is not "
            "gate1(block1(gate0(block0(features)))). Do they act inside the block, or twice?"
        )


@check
def gated_unet(answer: object) -> str:
    """A fixed ``GatedUNet`` must scale the skip connection, and only that, by its gate."""
    unet = expect_module(answer, "down", "gate", "bottom", "up", "head")
    image = torch.rand(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    result = expect_tensor(run_answer(unet, image), {"B": 2, "C": 1, "H": 8, "W": 12})
    skip = unet.down(image)
    below = unet.up(unet.bottom(skip))
    gate = unet.gate(skip)

    def decode(skip: Tensor, below: Tensor) -> Tensor:
        return unet.head(torch.cat([skip, below], 1))

    if result.allclose(decode(skip, below), atol=1e-6):
        raise Wrong(
            "the result is the same as without any gate: its output is thrown away, multiplied by "
            "zero, or never computed. The program as you found it had this bug."
        )
    if result.allclose(decode(skip, below * gate), atol=1e-6):
        raise Wrong("the gate scales what comes from below; it belongs to the skip connection.")
    if result.allclose(decode(skip * gate, unet.up(unet.bottom(skip * gate))), atol=1e-6):
        raise Wrong("the way down gets the gated features, too; only the skip should.")
    if result.allclose(decode(skip * gate * gate, below), atol=1e-6):
        raise Wrong("the gate is applied twice.")
    if result.allclose(decode(skip + gate, below), atol=1e-6):
        raise Wrong("the gate is added. A gate is a factor: 0 closes it, 1 changes nothing.")
    if not result.allclose(decode(skip * gate, below), atol=1e-6):
        raise Wrong(
            "the gate has an effect, but it must be computed from the skip and multiply only the "
            "skip. The rest of the program was right, also the order in `cat`."
        )
    unet.zero_grad()
    result.mean().backward()
    # pyrefly: ignore[missing-attribute]
    if any(parameter.grad is None for parameter in unet.gate.parameters()):
        raise Wrong(
            "the output is right, but the gate got no gradient and can never learn: is there a "
            "`detach`, `item` or `no_grad` between the gate and the output?"
        )
    return "the skip is scaled, the gate learns, and nothing else has changed."
