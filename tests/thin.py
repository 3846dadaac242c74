"""A network like r3d_18 for tests that need its layers, and not its size."""

import sys

from torch import nn

from r3d_helpers.model import VideoResNet

resnet = sys.modules[VideoResNet.__module__]  # of torchvision


class Thin(VideoResNet):
    """An eighth of the channels: the same convolutions in time, in milliseconds."""

    def _make_layer(self, block, conv_builder, planes, blocks, stride=1):
        return super()._make_layer(block, conv_builder, planes // 8, blocks, stride)


def thin_r3d_18(num_classes=400):
    net = Thin(resnet.BasicBlock, [resnet.Conv3DSimple] * 4, [2] * 4, resnet.BasicStem)
    net.fc = nn.Linear(64, num_classes)
    return net
