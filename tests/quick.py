"""Weights that are quick to draw, for tests that need the real network but not its start."""

import torch


def few_draws(draw):
    """An initialiser that draws eight filters; the others are copies of them."""

    def eight(weight, *args, **options):
        drawn = draw(weight[:8].clone(), *args, **options)
        if options.get("mode") == "fan_out":  # as small as among all filters
            drawn *= (len(drawn) / len(weight)) ** 0.5
        with torch.no_grad():
            for rows in weight.split(8):
                rows.copy_(drawn[: len(rows)])
        return weight

    return eight


def draw_few(setattr=setattr):
    """Make every convolution and linear layer so from now on."""
    for name in ("kaiming_normal_", "kaiming_uniform_"):
        setattr(torch.nn.init, name, few_draws(getattr(torch.nn.init, name)))
