# SPDX-License-Identifier: Apache-2.0
"""Models that run are compressed by what they put out, without a script."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnr_codec import NotEncodable, compress_file, decode, decode_file
from nnr_codec.cli import main
from nnr_codec.frameworks import open_model
from nnr_codec.frameworks.onnx.calibration.graph import Graph, GraphInput, with_outputs
from nnr_codec.frameworks.onnx.calibration.model import RunnableOnnx
from nnr_codec.frameworks.onnx.calibration.sample_inputs import made_inputs
from nnr_codec.quant import Curvature
from nnr_codec.rate_control.calibrated import GIVEN_DAMPING, UNIFORM_DAMPING
from nnr_codec.rate_control.divergence import Divergence

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
helper, numpy_helper = onnx.helper, onnx.numpy_helper

CHANNELS, HIDDEN, CLASSES = 6, 32, 10


def recogniser(path: Path) -> Path:
    """Write a network with an embedding, both layouts of products, three kinds of convolution and an LSTM."""
    rng = np.random.default_rng(7)

    def weight(name: str, *shape: int) -> Any:
        fan_in = max(int(np.prod(shape[1:])), 1)
        return numpy_helper.from_array(
            (3 * rng.standard_normal(shape) / np.sqrt(fan_in)).astype(np.float32), name
        )

    weights = [
        weight("table", 64, 12), weight("conv.weight", CHANNELS * 4, 12, 3), weight("depthwise.weight", CHANNELS * 4, 1, 5),
        weight("lstm.w", 1, 4 * HIDDEN, CHANNELS * 4), weight("lstm.r", 1, 4 * HIDDEN, HIDDEN),
        weight("hidden.weight", HIDDEN, 48),
        weight("head.weight", CLASSES, 48), weight("head.bias", CLASSES),
    ]  # fmt: skip
    nodes = [
        helper.make_node("Gather", ["table", "tokens"], ["rows"]),
        helper.make_node("Transpose", ["rows"], ["planes"], perm=[0, 2, 1]),
        helper.make_node("Conv", ["planes", "conv.weight"], ["wide"], pads=[1, 1], strides=[2]),
        helper.make_node("Relu", ["wide"], ["positive"]),
        helper.make_node("Conv", ["positive", "depthwise.weight"], ["smooth"], group=CHANNELS * 4, auto_pad="SAME_UPPER"),
        helper.make_node("Transpose", ["smooth"], ["steps"], perm=[2, 0, 1]),
        helper.make_node("LSTM", ["steps", "lstm.w", "lstm.r"], ["states", "last"], hidden_size=HIDDEN),
        helper.make_node("Squeeze", ["last"], ["state"]),
        helper.make_node("MatMul", ["state", "hidden.weight"], ["inner"]),
        helper.make_node("Tanh", ["inner"], ["bounded"]),
        helper.make_node("Gemm", ["bounded", "head.weight", "head.bias"], ["logits"], transB=1),
        helper.make_node("Softmax", ["logits"], ["classes"], axis=-1),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes, "recogniser",
        [helper.make_tensor_value_info("tokens", onnx.TensorProto.INT64, ["n", 40])],
        [helper.make_tensor_value_info("classes", onnx.TensorProto.FLOAT, ["n", CLASSES])],
        weights,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8)
    onnx.save(model, path)
    return path


def samples(path: Path) -> Path:
    np.savez(path, tokens=np.random.default_rng(8).integers(0, 64, (48, 40)))
    return path


def test_inputs_of_every_kind_of_weight_are_measured(tmp_path: Path) -> None:
    with open_model(recogniser(tmp_path / "m.onnx")) as model:
        runnable = RunnableOnnx(model, samples(tmp_path / "x.npz"))
        moments = dict(runnable.moments())
        assert runnable.divergence({}) == 0
        assert runnable.divergence({"hidden.weight": 1.5 * model["hidden.weight"]}) > 0
    assert set(moments) == {
        "table", "conv.weight", "depthwise.weight", "lstm.w", "lstm.r", "hidden.weight", "head.weight"
    }  # fmt: skip
    assert moments["table"].shape == (64, 1)
    assert moments["depthwise.weight"].shape == (CHANNELS * 4, 1, 5)
    widths = {name: value.width for name, value in moments.items() if isinstance(value, Curvature)}
    assert widths == {
        "conv.weight": 36, "lstm.w": 24, "lstm.r": HIDDEN, "hidden.weight": HIDDEN, "head.weight": 48
    }  # fmt: skip
    assert moments["hidden.weight"].inputs_first
    assert not moments["head.weight"].inputs_first


def test_moments_of_a_convolution_are_those_of_its_patches(tmp_path: Path) -> None:
    path = recogniser(tmp_path / "m.onnx")
    with np.load(samples(tmp_path / "x.npz")) as archive:
        tokens = archive["tokens"][:32]  # the last third is held out
    with open_model(path) as model:
        moments = dict(RunnableOnnx(model, tmp_path / "x.npz").moments())
        planes = model["table"][tokens].transpose(0, 2, 1)
    padded = np.pad(planes, [(0, 0), (0, 0), (1, 1)])
    rows = np.concatenate([padded[:, :, i : i + 3].reshape(len(planes), -1) for i in range(0, 40, 2)])
    expected, share = rows.T @ rows / len(rows), 36 / (36 + len(rows))
    expected = (1 - share) * expected + share * np.diag(np.diagonal(expected))
    np.testing.assert_allclose(moments["conv.weight"].matrix, expected, rtol=1e-4, atol=1e-4 * expected.max())


@pytest.mark.parametrize("has_inputs", [True, False])
def test_a_divergence_is_met_with_fewer_bytes_than_by_default(tmp_path: Path, has_inputs: bool) -> None:
    path = recogniser(tmp_path / "m.onnx")
    inputs = samples(tmp_path / "x.npz") if has_inputs else None
    report = compress_file(path, tmp_path / "m.nnr", divergence=1e-3, inputs=inputs, effort="fast", threads=1)
    assert 0.5e-3 < report.divergence <= 1.05e-3
    assert report.n_measured == 7
    decode_file(tmp_path / "m.nnr", tmp_path / "back.onnx")
    with open_model(tmp_path / "back.onnx") as back, open_model(path) as model:
        decoded = {name: back[name] for name in back.names()}
        measured = RunnableOnnx(model, inputs).divergence(decoded)
    assert measured == pytest.approx(report.divergence, rel=1e-3)
    front = report.search.pareto()
    assert [point.score for point in front] == sorted((point.score for point in front), reverse=True)


def test_a_size_is_met_and_the_journal_resumes(tmp_path: Path) -> None:
    path = recogniser(tmp_path / "m.onnx")
    options: dict[str, Any] = {"size_bytes": 4500, "inputs": samples(tmp_path / "x.npz"), "effort": "fast"}
    computed = []
    first = compress_file(path, tmp_path / "a.nnr", journal=tmp_path / "j", threads=1, **options)
    assert 0.97 * 4500 < first.stream_bytes <= 1.01 * 4500
    journal = (tmp_path / "j").read_bytes()
    second = compress_file(
        path, tmp_path / "b.nnr", journal=tmp_path / "j", threads=2,
        on_point=lambda point, _: computed.append(point), **options,
    )  # fmt: skip
    assert (tmp_path / "a.nnr").read_bytes() == (tmp_path / "b.nnr").read_bytes()
    assert (tmp_path / "j").read_bytes() == journal
    assert second.divergence == first.divergence
    assert len(computed) == len(first.search.points)


def test_the_command_compresses_without_a_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = recogniser(tmp_path / "m.onnx")
    stream = tmp_path / "m.nnr"
    arguments = ["compress", str(path), "--to", str(stream), "--ratio", "8", "--effort", "fast", "--checksum"]
    assert main(arguments) == 0
    assert abs(path.stat().st_size / stream.stat().st_size - 8) < 0.3
    assert "allocation" in capsys.readouterr().out
    assert main([*arguments, "--divergence", "1", "-f"]) == 2
    assert main(["compress", str(path), str(tmp_path / "n.nnr")]) == 2
    assert main(["compress", str(path), str(tmp_path / "n.nnr"), "--size", "few"]) == 2
    assert main(["compress", str(path), str(tmp_path / "n.nnr"), "--ratio", "8", "--lower-is-better"]) == 2
    assert not (tmp_path / "n.nnr").exists()


def test_inputs_that_do_not_suit_are_refused(tmp_path: Path) -> None:
    path = recogniser(tmp_path / "m.onnx")
    np.savez(tmp_path / "other.npz", words=np.zeros((4, 40)))
    np.savez(tmp_path / "short.npz", tokens=np.zeros((4, 39), np.int64))
    np.savez(tmp_path / "flat.npz", tokens=np.zeros(4, np.int64))
    for name in ("other.npz", "short.npz", "flat.npz"):
        with pytest.raises(NotEncodable) as caught:
            compress_file(path, tmp_path / "m.nnr", ratio=8, inputs=tmp_path / name)
        assert caught.value.path in (str(tmp_path / name), str(path))
    with pytest.raises(NotEncodable, match="Llama"):
        compress_file(path, tmp_path / "m.nnr", ratio=8, reparametrise=True)
    np.savez(tmp_path / "arrays.npz", w=np.ones((8, 8), np.float32))
    with pytest.raises(NotEncodable) as caught:
        compress_file(tmp_path / "arrays.npz", tmp_path / "m.nnr", ratio=8)
    assert caught.value.path == str(tmp_path / "arrays.npz")
    assert not (tmp_path / "m.nnr").exists()


def test_outputs_are_added_to_the_graph_alone(tmp_path: Path) -> None:
    model = recogniser(tmp_path / "m.onnx").read_bytes()
    parsed = onnx.load_from_string(with_outputs(model, ["wide", "inner"]))
    assert [value.name for value in parsed.graph.output] == ["classes", "wide", "inner"]
    del parsed.graph.output[1:]
    assert parsed == onnx.load_from_string(model)
    graph = Graph.of(model)
    assert [(value.name, value.data_type, value.shape) for value in graph.inputs] == [
        ("tokens", 7, (None, 40))
    ]
    assert [node.op_type for node in graph.nodes] == [node.op_type for node in parsed.graph.node]
    assert graph.nodes[2].attributes == {"pads": (1, 1), "strides": (2,)}


def test_made_inputs_have_declared_types_and_shapes(tmp_path: Path) -> None:
    graph = Graph.of(recogniser(tmp_path / "m.onnx").read_bytes())
    batches = made_inputs(graph.inputs, 10)
    assert sum(len(batch["tokens"]) for batch in batches) >= 10
    assert all(batch["tokens"].dtype == np.int64 and batch["tokens"].shape[1:] == (40,) for batch in batches)
    for batch, again in zip(batches, made_inputs(graph.inputs, 10), strict=True):
        np.testing.assert_array_equal(batch["tokens"], again["tokens"])


def test_correlations_of_made_integers_count_less(tmp_path: Path) -> None:
    with open_model(recogniser(tmp_path / "m.onnx")) as model:
        from_samples, from_made = (
            dict(RunnableOnnx(model, inputs).moments())["head.weight"]
            for inputs in (samples(tmp_path / "x.npz"), None)
        )
    assert isinstance(from_samples, Curvature)
    assert isinstance(from_made, Curvature)
    assert (from_samples.damping, from_made.damping) == (GIVEN_DAMPING, UNIFORM_DAMPING)


def test_half_of_made_signals_are_tones() -> None:
    batches = made_inputs([GraphInput("clips", onnx.TensorProto.FLOAT, (4, 1, 4096))], 64)
    clips = np.concatenate([batch["clips"] for batch in batches])[:, 0]
    spectra = np.abs(np.fft.rfft(clips))
    # A tone has most of its amplitude in few frequencies.
    flatness = np.exp(np.log(spectra + 1e-9).mean(1)) / spectra.mean(1)
    assert 0.25 < (flatness < 0.5).mean() < 0.75
    (short,) = made_inputs([GraphInput("x", onnx.TensorProto.FLOAT, (4, 64))], 4)
    assert short["x"].shape == (4, 64)


def test_divergence_is_that_of_distributions_or_relative() -> None:
    p, q = np.array([[0.5, 0.5]]), np.array([[0.25, 0.75]])
    kl = 0.5 * np.log(2) + 0.5 * np.log(0.5 / 0.75)
    assert Divergence([[p]]).of([[q]]) == pytest.approx(kl)
    assert Divergence([[np.log(p)]], logits=True).of([[np.log(q) + 3]]) == pytest.approx(kl)
    x = np.array([3.0, 4.0])
    assert Divergence([[x]]).of([[x + np.array([0, 1])]]) == pytest.approx(1 / 25)
    assert Divergence([[x, p]]).of([[x, q]]) == pytest.approx(kl / 2)
    assert Divergence([[x]]).of([[x * np.nan]]) == np.inf
    assert Divergence([[np.array([1, 2])]]).of([[np.array([3, 4])]]) == 0


def test_a_language_model_folder_is_compressed_with_and_without_moved_scales(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # threads that wait for one another are slow on a busy machine
    request.addfinalizer(lambda: torch.set_num_threads(threads))
    torch.manual_seed(3)
    config = transformers.LlamaConfig(
        vocab_size=96, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        tie_word_embeddings=True, initializer_range=0.2,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config).eval()
    folder = tmp_path / "folder"
    model.save_pretrained(folder)
    for reparametrise in (False, True):
        stream = tmp_path / f"{reparametrise}.nnr"
        report = compress_file(
            folder, stream, divergence=0.02, reparametrise=reparametrise, effort="fast", threads=1
        )
        assert report.divergence <= 0.022
        assert report.n_measured == 15
        decoded = decode(stream)
        restored = transformers.LlamaForCausalLM(config).eval()
        restored.load_state_dict(
            {name: torch.from_numpy(np.array(array)) for name, array in decoded.items()}, strict=False
        )
        ids = torch.randint(0, 96, (4, 64), generator=torch.Generator().manual_seed(5))
        with torch.no_grad():
            p, q = (torch.log_softmax(m(ids).logits, -1) for m in (model, restored))
        assert float((p.exp() * (p - q)).sum(-1).mean()) < 0.1
        norm = decoded["model.layers.0.input_layernorm.weight"]
        assert np.allclose(norm, 1, atol=0.02) != reparametrise
