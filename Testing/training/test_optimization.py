"""The cascade and SRReCNN."""

import pytest
import torch
from torch import nn

from SegSRGANLib.models.card import ModelCard
from SegSRGANLib.models.checkpoint import load_checkpoint, save_checkpoint
from SegSRGANLib.networks.cascade import Cascade, CascadeConfig, to_cells, to_voxels
from SegSRGANLib.networks.srrecnn import SRReCNN, SRReCNNConfig
from SegSRGANLib.training.optimization import start_as_interpolation


def _trained_looking(network):
    """A network whose zero-initialised layers are not zero."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() == 5:
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    return network.eval()


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_cascade_keeps_the_size_of_every_allowed_input(levels):
    network = _trained_looking(Cascade(CascadeConfig(4, 1, levels)))
    side = network.multiple
    for shape in ((2 * side, 2 * side, 2 * side), (4 * side, 2 * side, 3 * side)):
        y = network(torch.rand(2, 1, *shape))
        assert y.shape == (2, 2, *shape)
        assert y[:, 1].min() >= 0 and y[:, 1].max() <= 1


def test_cascade_intensity_follows_the_scale_of_the_input():
    network = _trained_looking(Cascade(CascadeConfig(4, 2, 2)))
    x = torch.rand(1, 1, 16, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(network(3 * x)[:, 0], 3 * network(x)[:, 0], rtol=1e-4, atol=1e-5)
        assert not torch.allclose(network(x)[:, 0], x[:, 0], atol=1e-3)


def test_cascade_segmentation_does_not_depend_on_the_scale_of_the_input():
    network = _trained_looking(Cascade(CascadeConfig(4, 2, 2)))
    x = torch.rand(1, 1, 16, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(network(3 * x)[:, 1], network(x)[:, 1], rtol=0, atol=5e-3)


def test_cascade_intensity_does_not_depend_on_distant_voxels():
    """Without normalization a voxel's value depends on its surroundings alone."""
    network = _trained_looking(Cascade(CascadeConfig(4, 1, 1)))
    x = torch.rand(1, 1, 16, 16, 64)
    other = x.clone()
    other[..., 40:] = torch.rand(1, 1, 16, 16, 24)
    with torch.no_grad():
        assert torch.equal(network(x)[:, 0, ..., :8], network(other)[:, 0, ..., :8])
        assert not torch.equal(network(x)[:, 0, ..., 36:40], network(other)[:, 0, ..., 36:40])


def test_cascade_segmentation_leaves_the_intensity_alone():
    """No weight of the super-resolving part learns from the segmentation."""
    network = _trained_looking(Cascade(CascadeConfig(4, 1, 2)))
    network(torch.rand(1, 1, 16, 16, 16))[:, 1].square().sum().backward()
    learning = {name.split(".")[0] for name, p in network.named_parameters() if p.grad.abs().max() > 0}
    assert learning == {"segmentation"}


def test_cascade_uses_all_its_weights():
    network = _trained_looking(Cascade(CascadeConfig(4, 2, 3)))
    network(torch.rand(1, 1, 16, 16, 16)).square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in network.parameters())


def test_cells_put_neighbours_side_by_side():
    """Moving a bright voxel within its cell moves it between channels; the way back is exact."""
    x = torch.zeros(1, 1, 4, 4, 4)
    x[0, 0, 2, 1, 3] = 1
    assert to_cells(x).nonzero().tolist() == [[0, 4 * 0 + 2 * 1 + 1, 1, 0, 1]]
    volume = torch.rand(2, 1, 4, 6, 8)
    assert torch.equal(to_voxels(to_cells(volume)), volume)


def test_cascade_of_three_classes_has_eight_filters_for_each():
    """What it shares with the cascade of one class gives the same; a class of its own weights gives its own."""
    one, three = _trained_looking(Cascade(CascadeConfig(4, 1, 2))), Cascade(CascadeConfig(4, 1, 2, classes=3)).eval()
    shared, head = one.state_dict(), {}
    for kind in ("weight", "bias"):
        key = f"segmentation.head.{kind}"
        head[key] = torch.cat([shared[key], torch.randn(16, *shared[key].shape[1:])])
    three.load_state_dict({**shared, **head})
    x = torch.rand(1, 1, 16, 8, 24)
    with torch.no_grad():
        y = three(x)
        assert y.shape == (1, 4, 16, 8, 24)
        torch.testing.assert_close(y[:, :2], one(x), rtol=0, atol=1e-5)
        one.load_state_dict({**shared, **{key: values[16:] for key, values in head.items()}})
        torch.testing.assert_close(y[:, [0, 3]], one(x), rtol=0, atol=1e-5)


def test_srrecnn_is_the_papers():
    network = SRReCNN()
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv3d)]
    assert len(convolutions) == 20
    assert all(c.kernel_size == (3, 3, 3) for c in convolutions)
    assert {c.out_channels for c in convolutions[:-1]} == {64} and convolutions[-1].out_channels == 1
    assert sum(p.numel() for p in network.parameters()) == 27 * 64 + 18 * 27 * 64 * 64 + 27 * 64 + 19 * 64 + 1
    assert network.segments is False


def test_srrecnn_begins_nearly_linear_and_keeps_the_scale():
    torch.manual_seed(0)
    features = SRReCNN(SRReCNNConfig(12, 16)).layers
    x, y = torch.rand(2, 1, 1, 12, 12, 12)
    with torch.no_grad():
        both, first, second = features(x + y), features(x), features(y)
    odd = [f[:, :8] - f[:, 8:] for f in (both, first, second)]  # relu(a) - relu(-a) = a
    assert (odd[0] - odd[1] - odd[2]).norm() < 1e-4 * odd[0].norm()
    assert 0.1 < odd[0].std() / (x + y).std() < 10  # neither blown up nor gone after eleven layers


def test_srrecnn_predicts_intensity_alone_and_sees_its_surroundings():
    network = _trained_looking(SRReCNN(SRReCNNConfig(3, 4)))
    x = torch.rand(1, 1, 12, 12, 12)
    changed = x.clone()
    changed[0, 0, 3, 6, 6] += 1  # three layers of 3^3 reach three voxels
    with torch.no_grad():
        difference = (network(changed) - network(x))[0, 0].abs().amax((1, 2))
    assert network(x).shape == x.shape
    assert difference[6] > 0 and difference[7:].max() == 0


@pytest.mark.parametrize("network", [Cascade(CascadeConfig(4, 1, 2)), SRReCNN(SRReCNNConfig(3, 4))])
def test_untrained_networks_return_nearly_their_input(network):
    start_as_interpolation(network)
    x = torch.rand(1, 1, 8, 8, 8)
    assert (network(x)[:, :1] - x).abs().max() < 0.05


@pytest.mark.parametrize("network", [Cascade(CascadeConfig(4, 1, 2)), SRReCNN(SRReCNNConfig(3, 4))])
def test_model_files_bring_the_network_back(tmp_path, network):
    save_checkpoint(tmp_path / "model.safetensors", network, ModelCard(title="t"))
    loaded = load_checkpoint(tmp_path / "model.safetensors").network
    x = torch.rand(1, 1, 8, 8, 8)
    assert loaded.config == network.config and loaded.multiple == network.multiple
    assert torch.equal(loaded(x), network.eval()(x))


@pytest.mark.parametrize("values", [{"filters": 1}, {"levels": 0}, {"blocks": 0}, {"classes": 0}])
def test_impossible_cascades_are_refused(values):
    with pytest.raises(ValueError, match="cascade (has|segments)"):
        CascadeConfig(**values)


@pytest.mark.parametrize("values", [{"filters": 0}, {"layers": 1}])
def test_impossible_srrecnns_are_refused(values):
    with pytest.raises(ValueError, match="SRReCNN has"):
        SRReCNNConfig(**values)
