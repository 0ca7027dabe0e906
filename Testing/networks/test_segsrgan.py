"""Each layer equals the textbook formula; the networks have the paper's shapes."""

import pytest
import torch
import torch.nn.functional as F

from SegSRGANLib.inference.forms.fast_forward import FastGenerator
from SegSRGANLib.networks.layers import InstanceNorm, OutputConv, ReflectConv, ResidualBlock, UpsampleConv
from SegSRGANLib.networks.segsrgan import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def _reflect(x, width):
    return F.pad(x, (width,) * 6, mode="reflect")


def test_upsample_conv_is_nearest_upsampling_then_convolution():
    layer, x = UpsampleConv(5, 3), torch.randn(2, 5, 4, 5, 6, requires_grad=True)
    plain = F.conv3d(_reflect(F.interpolate(x, scale_factor=2, mode="nearest"), 1), layer.weight)
    assert torch.allclose(layer(x), plain, atol=1e-5)
    gradients = [torch.autograd.grad(y.square().sum(), (x, layer.weight)) for y in (layer(x), plain)]
    assert all(torch.allclose(a, b, atol=1e-3, rtol=1e-4) for a, b in zip(*gradients, strict=True))


def test_output_conv_is_a_convolution():
    layer, x = OutputConv(4, 2, 7), torch.randn(2, 4, 8, 9, 10)
    assert torch.allclose(layer(x), F.conv3d(_reflect(x, 3), layer.weight), atol=1e-5)


def test_instance_norm_is_instance_norm():
    layer, x = InstanceNorm(4), torch.randn(2, 4, 5, 6, 7) * 3 + 1
    torch.nn.init.normal_(layer.weight)
    torch.nn.init.normal_(layer.bias)
    assert torch.allclose(layer(x), F.instance_norm(x, weight=layer.weight, bias=layer.bias), atol=1e-5)


def test_generator_is_the_papers_layer_list():
    """The whole network against the list of the paper, written with plain functions."""
    network = Generator(GeneratorConfig(filters=3, blocks=2))
    weights = dict(network.named_parameters())

    def unit(x, conv, norm, stride=1):
        y = F.conv3d(_reflect(x, weights[f"{conv}.weight"].shape[-1] // 2), weights[f"{conv}.weight"], stride=stride)
        return F.instance_norm(y, weight=weights[f"{norm}.weight"], bias=weights[f"{norm}.bias"])

    x = torch.rand(2, 1, 16, 12, 20)
    y = F.relu(unit(x, "conv1", "norm1"))
    y = F.relu(unit(y, "conv2", "norm2", stride=2))
    y = F.relu(unit(y, "conv3", "norm3", stride=2))
    for k in range(2):
        block = f"blocks.{k}"
        y = y + unit(F.relu(unit(y, f"{block}.conv_a", f"{block}.norm_a")), f"{block}.conv_b", f"{block}.norm_b")
    for k in (1, 2):
        y = F.relu(unit(F.interpolate(y, scale_factor=2, mode="nearest"), f"up{k}", f"norm_up{k}"))
    y = F.conv3d(_reflect(y, 3), weights["output.weight"])
    expected = torch.cat([x + y[:, :1], torch.sigmoid(y[:, 1:])], dim=1)
    assert torch.allclose(network(x), expected, atol=2e-5)


def test_generator_of_the_paper():
    network = Generator()
    assert [b for b in network.children() if isinstance(b, ReflectConv)][0].weight.shape == (16, 1, 7, 7, 7)
    assert sum(isinstance(m, ResidualBlock) for m in network.modules()) == 5
    assert all(m.bias is None for m in network.modules() if isinstance(m, ReflectConv))
    assert network.blocks[0].conv_a.weight.shape == (64, 64, 3, 3, 3)
    assert network.output.weight.shape == (2, 16, 7, 7, 7)


def test_discriminator_scores_a_patch_with_one_number():
    critic = Discriminator()
    kernels = [m.weight.shape for m in critic.modules() if isinstance(m, torch.nn.Conv3d)]
    assert [k[0] for k in kernels] == [32, 64, 128, 256, 512, 1]
    assert critic(torch.rand(1, 2, 64, 64, 64)).shape == (1, 1, 1, 1, 1)


def test_generator_of_three_classes_has_a_filter_for_each():
    """What it shares with the generator of one class gives the same; a class of its own weights gives its own."""
    one, three = Generator(GeneratorConfig(3, 1)), Generator(GeneratorConfig(3, 1, classes=3))
    shared = one.state_dict()
    filters = torch.cat([shared["output.weight"], torch.randn(2, 3, 7, 7, 7)])
    three.load_state_dict({**shared, "output.weight": filters})
    x = torch.rand(1, 1, 16, 12, 8)
    y = three(x)
    assert y.shape == (1, 4, 16, 12, 8)
    torch.testing.assert_close(y[:, :2], one(x), rtol=0, atol=1e-5)
    one.load_state_dict({**shared, "output.weight": filters[[0, 3]]})
    torch.testing.assert_close(y[:, [0, 3]], one(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "values", [{"filters": 0}, {"blocks": 1000}, {"classes": 0}, {"classes": 256}], ids=lambda values: str(*values)
)
def test_impossible_generators(values):
    with pytest.raises(ValueError, match="not"):
        GeneratorConfig(**values)


def test_impossible_discriminator():
    with pytest.raises(ValueError, match="filters"):
        DiscriminatorConfig(filters=0)


def test_calibration_shifts_the_log_odds_alone():
    plain = Generator(GeneratorConfig(2, 1))
    shifted = Generator(GeneratorConfig(2, 1, calibration=-0.8473))
    shifted.load_state_dict(plain.state_dict())
    x = torch.rand(1, 1, 16, 16, 16)
    with torch.no_grad():
        before, after, fast = plain(x), shifted(x), FastGenerator(shifted)(x)
    assert torch.equal(before[:, 0], after[:, 0])
    assert torch.allclose(torch.logit(after[:, 1]), torch.logit(before[:, 1]) - 0.8473, atol=1e-4)
    sure = (before[:, 1] - 0.7).abs() > 1e-4
    assert torch.equal((after[:, 1] >= 0.5)[sure], (before[:, 1] >= 0.7)[sure])
    assert torch.allclose(fast, after, atol=1e-4)
