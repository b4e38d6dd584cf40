# SPDX-License-Identifier: Apache-2.0
"""Scales of channels move without changing what a network computes."""

from typing import Any

import numpy as np
import pytest

from nnr_codec import decode, encode
from nnr_codec.transform import ScaleMove, channel_scales, move_scales, transformer_moves

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


def llama() -> Any:
    torch.manual_seed(1)
    config = transformers.LlamaConfig(
        vocab_size=64, hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=6,
        num_key_value_heads=2, attention_bias=True,
    )  # fmt: skip
    return randomised(transformers.LlamaForCausalLM(config).eval()), config.head_dim, 3


def bert() -> Any:
    torch.manual_seed(2)
    config = transformers.BertConfig(
        vocab_size=64, hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4
    )
    return randomised(transformers.BertModel(config).eval()), 12, 1


def randomised(model: Any) -> Any:
    """Give norms and biases values that matter."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize(("make", "n_moves"), [(llama, 8), (bert, 2)])
def test_scaled_networks_compute_the_same(make: Any, n_moves: int) -> None:
    model, head_size, groups = make()
    tensors = {name: value.numpy() for name, value in model.state_dict().items()}
    moves = list(transformer_moves(tensors, head_size, groups))
    assert len(moves) == n_moves
    rng = np.random.default_rng(3)
    scales = {
        move: channel_scales(
            move, {move.consumers[0]: np.exp(2 * rng.standard_normal(tensors[move.consumers[0]].shape[1]))}
        )
        for move in moves
    }
    ids = torch.arange(24)[None]
    with torch.no_grad():
        before = model(ids)[0]
        scaled = move_scales(tensors, scales)
        changed = [name for name in tensors if not np.array_equal(scaled[name], tensors[name])]
        assert set(changed) >= {name for move in moves for name in (*move.producers, *move.consumers)}
        model.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in scaled.items()})
        after = model(ids)[0]
    np.testing.assert_allclose(after.numpy(), before.numpy(), rtol=0, atol=2e-5 * float(before.abs().max()))


def test_scales_lessen_the_error_of_outputs() -> None:
    rng = np.random.default_rng(4)
    sizes = np.exp(1.2 * rng.standard_normal(128))
    x = rng.standard_normal((4000, 128)) * sizes
    norm, weight = sizes.astype(np.float32), rng.standard_normal((96, 128)).astype(np.float32)
    tensors = {"norm": norm, "weight": weight}
    move = ScaleMove(("norm",), ("weight",))
    scales = channel_scales(move, {"weight": np.square(x).mean(0)})
    normal = x / sizes

    def size_and_error(parameters: dict[str, Any]) -> tuple[int, float]:
        stream = encode({"weight": parameters["weight"]}, relative_error=0.05, effort="fast")
        error = (normal * parameters["norm"]) @ (decode(stream)["weight"] - parameters["weight"]).T
        return len(stream), float(np.square(error).mean())

    plain, scaled = size_and_error(tensors), size_and_error(move_scales(tensors, {move: scales}))
    assert scaled[0] < 1.06 * plain[0]
    assert scaled[1] < 0.75 * plain[1]


def test_a_move_needs_inputs_of_a_consumer() -> None:
    move = ScaleMove(("norm",), ("weight",))
    with pytest.raises(KeyError):
        channel_scales(move, {})
    np.testing.assert_array_equal(channel_scales(move, {"weight": np.array([0.0, 4.0, 4.0])}), [1, 1, 1])
