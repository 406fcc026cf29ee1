"""What is read off a network is what the network computes with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers import toy_jets
from torch import nn

from eqviz.data.images import jet_images
from eqviz.errors import ConfigError, UnknownNameError
from eqviz.evaluation.learned import find_layer, initial_model, learned_layers, moved, seeded_model
from eqviz.evaluation.learned.harmonic import read_complex_filter
from eqviz.evaluation.learned.lgn import read_bells
from eqviz.evaluation.learned.lorentznet import read_block
from eqviz.evaluation.learned.pairs import real_pairs
from eqviz.evaluation.learned.pelican import read_encoding, read_formula, read_mixing
from eqviz.evaluation.learned.pfn import phi_maps, real_particles
from eqviz.evaluation.learned.planar import (
    copies,
    departures,
    read_filters,
    symmetric_part,
)
from eqviz.evaluation.learned.spherical import coupled, read_degrees
from eqviz.evaluation.learned.vit import read_attention
from eqviz.evaluation.learned.waves import harmonics
from eqviz.evaluation.learned.waves import read_block as coefficients_of
from eqviz.groups.planar import rotation
from eqviz.layers.events import BEAMS
from eqviz.layers.fields import planar_group
from eqviz.layers.kernels import pixel_grid
from eqviz.layers.turning import turn_image
from eqviz.ops.lorentz_cg.reference import bell_aggregate
from eqviz.ops.minkowski_message.reference import message_reference
from eqviz.ops.pairs import PairLayout
from eqviz.training.experiment import run_experiment

SMALL: dict[str, dict[str, Any]] = {
    "cnn": {"channels": (3, 4), "depth": 1, "n_pixels": 16},
    "resnet": {"channels": (4, 6), "blocks": 1, "n_pixels": 16},
    "groupcnn": {"channels": (8, 16), "depth": 1, "n_pixels": 16, "rule": "channels"},
    "relaxed": {"channels": (8, 16), "depth": 1, "n_pixels": 16},
    "d4cnn": {"fields": (2, 3), "n_pixels": 16},
    "steerable_cnn": {"channels": (4, 4), "depth": 1, "n_pixels": 16},
    "harmonic": {"channels": (2, 3), "depth": 1, "n_pixels": 16},
    "vit": {"width": 8, "n_blocks": 2, "n_heads": 2, "n_pixels": 16},
    "spherical_cg": {"degree": 3, "channels": 4, "n_layers": 2},
    "lgn": {"channels": (2, 3, 4), "n_bells": 3},
    "lorentznet": {"n_blocks": 2, "hidden": 6},
    "pelican": {"hidden": 6, "message": 4, "n_blocks": 2, "label_channels": 2},
    "pelican-irc": {"hidden": 6, "message": 4, "n_blocks": 1},
    "nanopelican": {"hidden": 2},
    "pfn": {"phi": (8, 6), "f": (8,)},
}
FAMILIES = {
    "cnn": {"kernels"}, "resnet": {"kernels"}, "groupcnn": {"group"}, "relaxed": {"group"},
    "d4cnn": {"group"}, "steerable_cnn": {"steerable"}, "harmonic": {"harmonic"},
    "vit": {"patches", "attention"}, "spherical_cg": {"degrees"}, "lgn": {"bells"}, "lorentznet": {"gate"},
    "pelican": {"encoding", "mixing"}, "pelican-irc": {"encoding", "mixing"},
    "nanopelican": {"formula", "mixing"}, "pfn": {"phi"},
}  # fmt: skip
# escnn has rows downwards and reflects x: its r^k is r^-k of ours, its r^k f is our r^(2 - k) f
D4_OF_ESCNN = np.array([0, 3, 2, 1, 6, 5, 4, 7])


def network(name: str, seed: int = 1, **params: Any):
    return seeded_model(name, {**SMALL[name], **params}, seed).eval()


def first(model, family: str):
    return next(layer for layer in learned_layers(model) if layer.family == family)


@pytest.mark.parametrize("name", SMALL)
def test_every_network_shows_its_layers(name: str) -> None:
    layers = learned_layers(network(name))
    assert {layer.family for layer in layers} == FAMILIES[name]
    assert len({layer.key for layer in layers}) == len(layers)
    assert all(layer.channels and layer.sources and layer.title for layer in layers)
    again = find_layer(network(name, seed=2), layers[-1].key)
    assert (again.title, again.channels) == (layers[-1].title, layers[-1].channels)
    with pytest.raises(UnknownNameError, match=layers[0].key.replace(".", r"\.")):
        find_layer(network(name), "nonsense")


@pytest.mark.parametrize("name", ["cnn", "groupcnn", "relaxed", "d4cnn", "steerable_cnn", "harmonic"])
def test_filters_are_what_the_layer_convolves_with(name: str) -> None:
    model = network(name).double()
    layer = learned_layers(model)[1]
    module: Any = layer.module
    if name == "harmonic":
        assert np.shape(module.filter()) == np.shape(read_weights(module))
        assert np.allclose(module.filter().detach(), read_weights(module), atol=1e-12)
        return
    filters = read_filters(module)
    assert len(filters.outputs) == len(layer.channels)
    assert len(filters.inputs) == len(layer.sources)
    x = torch.randn(2, filters.weights.shape[1], 12, 12, dtype=torch.float64)
    if name == "d4cnn":  # escnn counts rows downwards and its elements the other way round
        from eqviz.layers.steerable import load_escnn

        order = [i for f in filters.inputs for i in f.start + D4_OF_ESCNN]
        given = torch.empty_like(x)
        given[:, order] = x
        got = module(load_escnn().nn.GeometricTensor(given, module.in_type)).tensor
        order = [i for f in filters.outputs for i in f.start + D4_OF_ESCNN]
        got = got[:, order]
    else:
        got = module(x)
    size = filters.weights.shape[-1]
    expected = nn.functional.conv2d(x, torch.from_numpy(filters.weights), padding=size // 2)
    assert torch.allclose(got, expected, atol=1e-6 if name == "d4cnn" else 1e-10)


def read_weights(conv: Any) -> np.ndarray:
    """The real filter put together from the complex ones."""
    out, come = sum(conv.out_fields), sum(conv.in_fields)
    blocks = np.zeros((out, 2, come, 2, conv.kernel_size, conv.kernel_size))
    for o in range(out):
        for i in range(come):
            found = read_complex_filter(conv, o, i)
            blocks[o, 0, i, 0] = blocks[o, 1, i, 1] = found.real
            blocks[o, 1, i, 0], blocks[o, 0, i, 1] = found.imaginary, -found.imaginary
    return blocks.reshape(2 * out, 2 * come, conv.kernel_size, conv.kernel_size)


@pytest.mark.parametrize("group", ["C4", "D4", "C8", "D8"])
@pytest.mark.parametrize("name", ["groupcnn", "relaxed", "d4cnn"])
@pytest.mark.parametrize("depth", [0, 1])
def test_copies_are_the_filter_turned(group: str, name: str, depth: int) -> None:
    model = network(name, group=group).double()
    filters = read_filters(learned_layers(model)[depth].module)
    source = filters.inputs[-1]
    for component in {0, source.stop - source.start - 1}:
        found = copies(filters, len(filters.outputs) - 1, len(filters.inputs) - 1, component)
        elements = planar_group(group).elements()
        assert found.names[0] == "e" and len(found.names) == len(elements)
        assert np.array_equal(found.kernels[0], found.base[component])
        exact = 0
        for element, kernel in zip(elements, found.kernels):
            if np.abs(element.matrix - np.rint(element.matrix)).max() > 1e-9:
                continue
            turned = turn_image(torch.from_numpy(found.kernels[:1][:, None]), element.matrix)[0, 0].numpy()
            assert np.allclose(kernel, turned, atol=1e-12)
            exact += 1
        assert exact == (4 if group[0] == "C" else 8)
        assert np.abs(found.kernels).max() > 1e-3


def test_a_relaxed_layer_departs_where_its_weights_do() -> None:
    conv: Any = learned_layers(network("relaxed").double())[1].module
    names, sizes = departures(conv)
    assert names[1] == "r" and names[-1] == "r³ f"
    assert np.abs(sizes).max() < 1e-12
    assert np.allclose(read_filters(conv).weights, symmetric_part(conv).weights, atol=1e-12)
    with torch.no_grad():
        conv.element_weights[:, 2] *= 1.5
    before = conv.element_weights.clone()
    _, sizes = departures(conv)
    assert sizes.argmax() == 2 and sizes[2] > 5 * sizes[0] > 0
    left = read_filters(conv).weights - symmetric_part(conv).weights
    per_element = np.abs(left.reshape(left.shape[0], -1, 8, 3, 3)).max((0, 1, 3, 4))
    assert per_element.argmax() == 2
    assert torch.equal(conv.element_weights, before)


@pytest.mark.parametrize("name", ["steerable_cnn", "groupcnn"])
@pytest.mark.parametrize("options", [{}, {"kernel_size": 7}, {"group": "O(2)"}])
def test_profiles_times_harmonics_are_the_kernel(name: str, options: dict[str, Any]) -> None:
    if name == "groupcnn" and "group" in options:
        options = {"group": "C8"}
    for layer in learned_layers(network(name, **options).double()):
        filters = read_filters(layer.module)
        out, come = filters.outputs[-1], filters.inputs[-1]
        block = filters.block(len(filters.outputs) - 1, len(filters.inputs) - 1)
        read_out, read_in = coefficients_of(out.kind), coefficients_of(come.kind)
        kernels = np.einsum("op,pqyx,iq->oiyx", read_out, block, read_in)
        found = harmonics(kernels)
        x, y = pixel_grid(kernels.shape[-1])
        r, phi = np.hypot(x, y), np.arctan2(y, x)
        rebuilt = np.zeros_like(kernels)
        for k in np.unique(found.frequency):
            cos, sin = found.profile(int(k), r.ravel())
            wave = cos * np.cos(k * phi).ravel() + sin * np.sin(k * phi).ravel()
            rebuilt += np.where((r > 0).ravel() | (k == 0), wave, 0).reshape(kernels.shape)
        assert np.allclose(rebuilt, kernels, atol=1e-9 * np.abs(kernels).max())
        assert found.rest.max() < 1e-12


def test_an_irrep_kernel_has_the_frequencies_that_the_symmetry_allows() -> None:
    model = network("steerable_cnn", fields="irreps", group="O(2)").double()
    filters = read_filters(learned_layers(model)[1].module)
    vectors = [i for i, field in enumerate(filters.outputs) if field.name.endswith("of k = 2")]
    source = next(i for i, field in enumerate(filters.inputs) if field.name.endswith("of k = 1"))
    share = harmonics(filters.block(vectors[0], source)).share
    assert share.shape == (2, 2, 3)
    assert share[..., [0, 2]].max() < 1e-20  # |2 - 1| = 1; 2 + 1 = 3 does not fit on 3 x 3 pixels


def test_other_kernels_are_not_all_harmonics() -> None:
    found = harmonics(np.random.default_rng(0).normal(size=(4, 5, 5)))
    assert np.allclose(found.share.sum(-1) + found.rest, 1)
    assert found.rest.min() > 0.05


def test_a_complex_filter_is_a_profile_times_a_wave() -> None:
    conv: Any = first(network("harmonic").double(), "harmonic").module
    x, y = pixel_grid(conv.kernel_size)
    r, phi = np.hypot(x, y), np.arctan2(y, x)
    for output in range(sum(conv.out_fields)):
        found = read_complex_filter(conv, output, 0)
        radial = np.where((r > 0) | (found.order == 0), found.profile(r.ravel()).reshape(r.shape), 0)
        wave = radial * np.exp(1j * (found.order * phi + found.phase))
        assert np.allclose(wave, found.real + 1j * found.imaginary, atol=1e-12)
        assert np.allclose(found.amplitude, np.abs(radial), atol=1e-12)
        angle = found.angle[np.isfinite(found.angle) & (radial > 1e-3)]
        expected = (found.order * phi + found.phase)[np.isfinite(found.angle) & (radial > 1e-3)]
        assert np.allclose(np.exp(1j * angle), np.exp(1j * expected), atol=1e-9)


def test_attention_adds_up_to_one_and_belongs_to_the_image() -> None:
    model, batch = network("vit"), toy_jets(4).batch.select([2])
    found = read_attention(model, batch, 1)
    assert found.weights.shape == (2, 16, 16)
    assert np.allclose(found.weights.sum(-1), 1, atol=1e-6)
    assert found.map(1, None).sum() == pytest.approx(1, abs=1e-6)
    expected = model.attention_maps(model.images(batch))[1][0, 1, 5].detach().reshape(4, 4)
    assert np.allclose(found.map(1, 5), expected)
    image = jet_images(batch, n_pixels=16, half_width=model.config.half_width)[0]
    assert np.allclose(found.image, image, rtol=1e-6)


def test_weights_of_degrees_are_those_of_the_mixing() -> None:
    layer: Any = first(network("spherical_cg"), "degrees").module
    for l in range(4):  # noqa: E741
        assert len(coupled(3, l)) == layer.counts[l]
    before = read_degrees(layer)
    with torch.no_grad():
        width = layer.mix[2].shape[1] // (layer.counts[2] + 1)
        at = coupled(3, 2).index((1, 3))
        layer.mix[2][:, at * width : (at + 1) * width] *= 10
    after = read_degrees(layer)
    changed = ~np.isclose(after.couplings[2], before.couplings[2], equal_nan=True)
    assert np.argwhere(changed).tolist() == [[1, 3]]
    assert after.couplings[2][1, 3] == pytest.approx(10 * before.couplings[2][1, 3])
    assert np.allclose(np.delete(after.per_degree, 2), np.delete(before.per_degree, 2))


def test_bells_are_the_functions_of_the_level() -> None:
    model = network("lgn").double()
    layer = learned_layers(model)[1]
    radial = read_bells(layer.module, model.config.scale)
    layout, norm = PairLayout.build(torch.tensor([2])), 37.5
    decay, weights = layer.module()
    x = torch.zeros(1, weights.shape[1], 2, dtype=torch.float64)
    x[..., 1] = 1.0  # node 0 hears f(norm) x 1 from node 1
    scaled = torch.full((4,), norm * model.config.scale**2, dtype=torch.float64)
    plain, weighted = bell_aggregate(x, scaled, decay, weights, layout, 1)
    expected = torch.stack([plain[0, :, 0], weighted[0, :, 0]]).detach()
    assert np.allclose(radial(np.array([-norm]))[..., 0], expected, rtol=1e-12)
    constant = radial.weights[1, 0, -1]
    total = radial.terms(1, 0, np.array([norm])).sum(0) + constant
    assert total == pytest.approx(radial(np.array([norm]))[1, 0])


def received(model, block, batch) -> Any:
    """What a block is called with."""
    caught: list[Any] = []
    handle = block.register_forward_pre_hook(lambda module, inputs: caught.append(inputs))
    model(batch)
    handle.remove()
    return caught[0]


def test_the_gate_is_the_one_that_the_layer_computes() -> None:
    model, batch = network("lorentznet").double(), toy_jets(6, seed=4).batch
    for key in ("blocks.0", "blocks.1"):
        seen = read_block(model, key, batch)
        block: Any = model.get_submodule(key)
        h, _, _, features, layout = received(model, block, batch)
        with torch.no_grad():
            receiver, sender, weight = block.edge(h, features, layout)
            slots = layout.to_slots(receiver), layout.to_slots(sender)
            total, _ = message_reference(*slots, features, block._weights(weight), layout)
        gates, messages = seen.messages()
        assert len(gates) == sum((int(n) + 2) * (int(n) + 1) for n in batch.lengths)
        assert np.allclose(messages.sum(0), total.sum(0), rtol=1e-9)
        assert gates.min() > 0 and gates.max() < 1
    first_block = read_block(model, "blocks.0", batch)
    two = first_block.of(0)  # without masses all constituents look the same: the map is the gate itself
    found, _ = first_block.at(first_block.norm[two], first_block.dot[two], 0)
    assert np.allclose(found, first_block.messages()[0][two], rtol=1e-9)
    assert np.allclose(first_block.norm[two], -2 * first_block.dot[two], rtol=1e-6, atol=1e-9)
    pairs, dot = real_pairs(batch, BEAMS), first_block.dot[two]
    assert np.allclose(np.sort(pairs.dot[~pairs.reference]), np.sort(dot), rtol=1e-6, atol=1e-6)


def test_mixings_and_encodings_are_the_layers() -> None:
    model = network("pelican").double()
    for layer in learned_layers(model):
        if layer.family == "mixing":
            found = read_mixing(layer.module)
            assert len(found.names) == len(found.weights) == len(found.powers)
            assert found.norms().shape[1] == len(layer.channels)
            assert found.powers.shape == found.weights.shape[:2]
    mixing: Any = find_layer(model, "pairs.mixings.1").module
    assert np.allclose(read_mixing(mixing).weights, mixing.weights().detach())
    encoding: Any = find_layer(model, "pairs.encoding").module
    d = np.array([0.0, 1e-3, 2.0, 5e4])
    assert np.allclose(read_encoding(encoding)(d).T, encoding(torch.from_numpy(d)).detach(), rtol=1e-9)


@pytest.mark.parametrize("options", [{}, {"encoding": "none", "reference": "time+axis"}, {"hidden": 1}])
def test_the_formula_by_hand_is_the_network(options: dict[str, Any]) -> None:
    model = network("nanopelican", **options).double()
    with torch.no_grad():  # away from the start, where every weight has a sign of its own
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(5)))
    formula, jets = read_formula(model), toy_jets(8, seed=2).batch
    vectors = [(1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0)] if "reference" in options else []
    for index in range(8):
        p = np.concatenate([np.array(vectors).reshape(-1, 4), jets.select([index]).p4.numpy()])
        products = (p * [1, -1, -1, -1]) @ p.T
        np.fill_diagonal(products, [1.0, -1.0][: len(vectors)] + [0.0] * (len(p) - len(vectors)))
        logits = model(jets.select([index]))[0].detach()
        assert formula.evaluate(products) == pytest.approx(float(logits[1] - logits[0]), rel=1e-6, abs=1e-7)


def test_filters_of_pfn_are_what_particles_get() -> None:
    model, batch = network("pfn").double(), toy_jets(3).batch
    inputs, answers = real_particles(model, batch)
    z, eta, phi = inputs[4]
    found = phi_maps(model, np.array([eta, 0.1]), np.array([phi]), z)
    assert found.shape == (6, 2, 1)
    assert np.allclose(found[:, 0, 0], answers[4], atol=1e-12)


def test_what_moved_is_told_by_module() -> None:
    before, after = network("pfn"), network("pfn")
    with torch.no_grad():
        after.phi[0].weight.mul_(1.25)
        after.phi[0].bias.zero_()
    rows = {row.name: row for row in moved(after, before)}
    assert rows["phi.0"].relative == pytest.approx(0.25, rel=1e-5)
    assert rows["phi.0"].n_weights == sum(p.numel() for p in after.phi[0].parameters())
    assert rows["f.0"].relative == 0


@pytest.mark.parametrize("name", ["pfn", "relaxed", "spherical_cg"])
def test_the_start_of_a_training_is_rebuilt(name: str, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    from eqviz.training import loop

    started: dict[str, torch.Tensor] = {}
    fit = loop._fit

    def watched(model, *rest: Any) -> None:
        started.update({key: value.clone() for key, value in model.state_dict().items()})
        fit(model, *rest)

    monkeypatch.setattr(loop, "_fit", watched)
    jets = tmp_path / "jets"
    jets.mkdir()
    for seed, split in enumerate(("train", "val", "test")):
        toy_jets(12, seed=seed).to_parquet(jets / f"{split}.parquet", dtype="float64")
    run = run_experiment(
        {
            "model": {"name": name, "params": SMALL[name]},
            "data": {"name": str(jets)},
            "training": {"epochs": 1, "batch_size": 6, "threads": 1},
            "evaluation": {"n_jets": 4, "gammas": (), "angles": (), "permutations": 0, "n_bootstrap": 0,
                           "timing_jets": 0},
            "seed": 11,
        },
        tmp_path / "runs",
        progress=False,
    )  # fmt: skip
    state = initial_model(run).state_dict()
    assert started and state.keys() == started.keys()
    assert all(torch.equal(value, started[key]) for key, value in state.items())
    assert max(row.relative for row in moved(run.model(), initial_model(run))) > 0
    assert (torch.rand(1) == torch.manual_seed(99) and False) or True


def test_given_weights_have_no_start(tmp_path) -> None:
    from helpers import make_run

    run = make_run(tmp_path, "a")
    run.config["model"]["published"] = "weights.pt"
    with pytest.raises(ConfigError, match="not trained here"):
        initial_model(run)


def test_rotation_names_follow_the_matrices() -> None:
    found = copies(read_filters(learned_layers(network("groupcnn", group="C8"))[0].module), 0, 0)
    assert found.names[:3] == ("e", "r", "r²")
    assert np.allclose(planar_group("C8").elements()[1].matrix, rotation(np.pi / 4))
    assert found.columns == 8


def test_an_unknown_network_shows_nothing() -> None:
    assert learned_layers(nn.Sequential(nn.Linear(2, 2))) == []  # type: ignore[arg-type]
