# SPDX-License-Identifier: Apache-2.0
"""Updates of models: what is sent, what comes back, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

import nnr_codec
from nnr_codec.cli import main
from nnr_codec.errors import MalformedBitstream
from nnr_codec.updates import FeedbackEncoder, apply_update, encode_update
from nnr_codec.updates.low_rank import low_rank_block, product
from nnr_codec.updates.typed_tensors import ArrayTensors, model_digest
from nnr_codec.updates.update_description import KEY, UpdateDescription

Arrays = dict[str, NDArray[Any]]


def model(seed: int = 0) -> Arrays:
    """Return a small network with floats, halves, integers and a scalar."""
    random = np.random.default_rng(seed)
    return {
        "dense.weight": random.standard_normal((64, 48)).astype(np.float32),
        "dense.bias": random.standard_normal(64).astype(np.float32),
        "half": random.standard_normal((32, 16)).astype(np.float16),
        "steps": np.arange(20, dtype=np.int64),
        "scale": np.array(3.5, np.float32),
    }


def tuned(base: Arrays, seed: int = 1, scale: float = 0.01) -> Arrays:
    """Return the model after a small change of its floating-point matrices and vectors."""
    random = np.random.default_rng(seed)
    return {
        name: (array + scale * random.standard_normal(array.shape)).astype(array.dtype)
        if array.dtype.kind == "f" and array.ndim
        else array
        for name, array in base.items()
    }


def save(path: Path, arrays: Arrays) -> str:
    save_file(arrays, path)
    return str(path)


@pytest.fixture
def base(tmp_path: Path) -> str:
    return save(tmp_path / "base.safetensors", model())


def relative_error(decoded: NDArray[Any], wanted: NDArray[Any], reference: NDArray[Any]) -> float:
    """Return the error of a decoded tensor over the size of its change."""
    change = np.float64(wanted) - np.float64(reference)
    return float(np.linalg.norm(np.float64(decoded) - wanted) / np.linalg.norm(change))


def test_an_update_restores_the_new_model(tmp_path: Path, base: str) -> None:
    new = tuned(model())
    new_path = save(tmp_path / "new.safetensors", new)
    report = nnr_codec.encode_file(new_path, tmp_path / "update.nnr", base=base)
    nnr_codec.decode_file(tmp_path / "update.nnr", tmp_path / "out.safetensors", base=base)

    decoded = load_file(tmp_path / "out.safetensors")

    assert {name: (a.dtype, a.shape) for name, a in decoded.items()} == {
        name: (a.dtype, a.shape) for name, a in new.items()
    }
    for name in ("dense.weight", "half"):
        assert relative_error(decoded[name], new[name], model()[name]) < 0.35
    np.testing.assert_array_equal(decoded["steps"], new["steps"])
    assert report.stream_bytes < nnr_codec.encode_file(new_path, tmp_path / "alone.nnr").stream_bytes / 2


def test_tensors_that_did_not_change_cost_nothing(tmp_path: Path, base: str) -> None:
    new = {**model(), "dense.bias": model(5)["dense.bias"]}
    nnr_codec.encode_file(save(tmp_path / "new.safetensors", new), tmp_path / "update.nnr", base=base)

    with nnr_codec.open(tmp_path / "update.nnr") as stream:
        assert list(stream) == ["dense.bias"]


def test_new_reshaped_retyped_and_removed_tensors(tmp_path: Path, base: str) -> None:
    new = tuned(model())
    del new["steps"]
    new["dense.bias"] = new["dense.bias"].reshape(8, 8)
    new["half"] = new["half"].astype(np.float32)
    new = {"first": np.ones((3, 3), np.float32), **new}
    nnr_codec.encode_file(save(tmp_path / "new.safetensors", new), tmp_path / "u.nnr", base=base, verify=True)
    nnr_codec.decode_file(tmp_path / "u.nnr", tmp_path / "out.safetensors", base=base)

    decoded = load_file(tmp_path / "out.safetensors")

    assert {name: (a.dtype, a.shape) for name, a in decoded.items()} == {
        name: (a.dtype, a.shape) for name, a in new.items()
    }
    np.testing.assert_array_equal(decoded["first"], 1.0)


def test_large_changes_have_the_error_of_the_typical_one_and_small_changes_are_kept() -> None:
    random = np.random.default_rng(4)
    sizes = {"typical": (1.0, (64, 64)), "large": (30.0, (16, 16)), "small": (0.1, (16, 16))}
    base = {name: np.zeros(shape, np.float32) for name, (_, shape) in sizes.items()}
    new = {
        name: (scale * random.standard_normal(shape)).astype(np.float32)
        for name, (scale, shape) in sizes.items()
    }

    decoded = apply_update(encode_update(new, base, change_error=0.2), base)

    errors = {name: float(np.sqrt(np.mean(np.square(decoded[name] - new[name])))) for name in sizes}
    assert errors["large"] == pytest.approx(errors["typical"], rel=0.4)
    assert errors["small"] < 0.5 * sizes["small"][0]


def test_errors_do_not_accumulate_along_a_chain(tmp_path: Path, base: str) -> None:
    stream = tmp_path / "base.nnr"
    nnr_codec.encode_file(base, stream)
    chain, current = [stream], model()
    for step in range(4):
        current = tuned(current, seed=step + 10)
        path = save(tmp_path / f"{step}.safetensors", current)
        nnr_codec.encode_file(path, tmp_path / f"{step}.nnr", base=chain)
        chain.append(tmp_path / f"{step}.nnr")

    nnr_codec.decode_file(chain[-1], tmp_path / "out.safetensors", base=chain[:-1])

    decoded = load_file(tmp_path / "out.safetensors")["dense.weight"]
    assert np.sqrt(np.mean(np.square(decoded - current["dense.weight"]))) < 0.005


class TestProducts:
    """Differences of matrices as products of a low rank."""

    @staticmethod
    def after(base: Arrays, rank: int, noise: float = 0.0) -> Arrays:
        """Return the base after a change of its dense matrix of a rank, and noise."""
        random = np.random.default_rng(2)
        rows, width = base["dense.weight"].shape
        change = random.standard_normal((rows, rank)) @ random.standard_normal((rank, width))
        change += noise * random.standard_normal((rows, width))
        return {**base, "dense.weight": base["dense.weight"] + (0.01 * change).astype(np.float32)}

    def test_a_change_of_low_rank_costs_less_at_a_smaller_error(self) -> None:
        base = {"dense.weight": np.zeros((256, 192), np.float32)}
        after = self.after(base, 4)
        streams = encode_update(after, base, rank=4), encode_update(after, base, change_error=0.4)

        errors = [
            relative_error(apply_update(stream, base)["dense.weight"], *after.values(), *base.values())
            for stream in streams
        ]

        assert errors[0] < errors[1]
        assert len(streams[0]) < 0.3 * len(streams[1])

    def test_feedback_reaches_a_change_of_full_rank(self) -> None:
        base = model()
        after = self.after(base, 2, noise=0.3)
        encoder, received = FeedbackEncoder(rank=4), base
        errors = []
        for _ in range(12):
            # The sender stays at its model, so that each update sends what is left.
            received = encoder.encode(received if errors else after, received)[1]
            errors.append(
                relative_error(received["dense.weight"], after["dense.weight"], base["dense.weight"])
            )

        assert errors[0] > 0.3
        assert errors[-1] < 0.5 * errors[0]

    def test_the_best_product_of_the_rank(self) -> None:
        matrix = np.random.default_rng(3).standard_normal((80, 60)).astype(np.float32)
        s = np.linalg.svd(matrix, compute_uv=False)

        block = low_rank_block(matrix, 8)

        assert block.factors is not None
        error = np.linalg.norm(matrix - product(*block.factors))
        assert error < 1.03 * np.linalg.norm(s[8:])
        assert np.linalg.norm(block.factors[0]) == pytest.approx(np.linalg.norm(block.factors[1]), rel=1e-3)

    def test_files(self, tmp_path: Path, base: str) -> None:
        after = self.after(model(), 4)
        stream = encode_update(after, model(), rank=4)
        (tmp_path / "u.nnr").write_bytes(stream)

        nnr_codec.decode_file(tmp_path / "u.nnr", tmp_path / "out.safetensors", base=[base])

        wanted = apply_update(stream, model())
        restored = load_file(tmp_path / "out.safetensors")
        assert restored.keys() == wanted.keys()
        assert all(np.array_equal(restored[name], wanted[name]) for name in wanted)

    def test_small_tensors_and_taken_names_are_sent_as_differences(self) -> None:
        base = {**model(), "dense.weight_G": np.zeros(3, np.float32)}
        after = self.after(base, 4)
        by_rank = [apply_update(encode_update(after, base, rank=rank), base) for rank in (4, 30)]

        for decoded in by_rank:
            error = relative_error(decoded["dense.weight"], after["dense.weight"], base["dense.weight"])
            assert error < 0.35

    def test_a_rank_is_positive(self) -> None:
        with pytest.raises(ValueError, match="a rank is positive"):
            encode_update(model(), model(), rank=0)

    @pytest.mark.parametrize(
        ("products", "tensors"),
        [
            (["dense.weight"], {"dense.weight_G": (64, 3)}),
            (["dense.weight"], {"dense.weight_G": (64, 3), "dense.weight_H": (4, 48)}),
            (["dense.weight"], {"dense.weight_G": (48, 3), "dense.weight_H": (3, 64)}),
            (["other"], {"other_G": (64, 3), "other_H": (3, 48)}),
            (["dense.bias"], {"dense.bias_G": (64, 3), "dense.bias_H": (3, 1)}),
        ],
        ids=["no H", "other rank", "other shape", "not in the base", "vector"],
    )
    def test_products_that_do_not_fit(self, products: list[str], tensors: dict[str, tuple[int, ...]]) -> None:
        digest = model_digest(ArrayTensors(model()))
        description = UpdateDescription(digest, products=frozenset(products))
        arrays = {name: np.ones(shape, np.float32) for name, shape in tensors.items()}
        stream = nnr_codec.encode(arrays, metadata=description.to_metadata())

        with pytest.raises(MalformedBitstream, match="the difference"):
            apply_update(stream, model())


class TestRefusals:
    """Lost, repeated, reordered, foreign and damaged updates."""

    @pytest.fixture
    def chain(self, tmp_path: Path, base: str) -> list[Path | str]:
        chain: list[Path | str] = [base]
        for step in range(3):
            path = save(tmp_path / f"{step}.safetensors", tuned(model(), seed=step))
            nnr_codec.encode_file(path, tmp_path / f"{step}.nnr", base=chain)
            chain.append(tmp_path / f"{step}.nnr")
        return chain

    @pytest.mark.parametrize(
        "order",
        [(0, 2), (0, 1), (0, 2, 1), (0, 1, 1), (0, 1, 2, 2)],
        ids=lambda order: "-".join(map(str, order)),
    )
    def test_lost_repeated_and_reordered(
        self, tmp_path: Path, chain: list[Path | str], order: tuple[int, ...]
    ) -> None:
        with pytest.raises(nnr_codec.MalformedBitstream) as caught:
            nnr_codec.decode_file(chain[3], tmp_path / "out.safetensors", base=[chain[i] for i in order])

        assert caught.value.path is not None
        assert KEY in caught.value.path
        assert not (tmp_path / "out.safetensors").exists()

    def test_a_foreign_base(self, tmp_path: Path, chain: list[Path | str]) -> None:
        foreign = save(tmp_path / "foreign.safetensors", model(7))
        with pytest.raises(nnr_codec.MalformedBitstream):
            nnr_codec.decode_file(chain[1], tmp_path / "out.safetensors", base=foreign)

    def test_no_base(self, tmp_path: Path, chain: list[Path | str]) -> None:
        with pytest.raises(nnr_codec.NotEncodable):
            nnr_codec.decode_file(chain[1], tmp_path / "out.safetensors")

    def test_an_update_first(self, tmp_path: Path, chain: list[Path | str]) -> None:
        with pytest.raises(nnr_codec.MalformedBitstream):
            nnr_codec.decode_file(chain[2], tmp_path / "out.safetensors", base=[chain[1]])

    def test_a_whole_model_is_no_update(self, tmp_path: Path, base: str) -> None:
        nnr_codec.encode_file(base, tmp_path / "base.nnr")
        with pytest.raises(nnr_codec.MalformedBitstream):
            nnr_codec.decode_file(tmp_path / "base.nnr", tmp_path / "out.safetensors", base=base)

    def test_damage(self, tmp_path: Path, base: str) -> None:
        path = save(tmp_path / "new.safetensors", tuned(model()))
        nnr_codec.encode_file(path, tmp_path / "u.nnr", base=base, checksum=True)
        octets = bytearray((tmp_path / "u.nnr").read_bytes())
        octets[len(octets) // 2] ^= 1
        (tmp_path / "u.nnr").write_bytes(octets)
        with pytest.raises(nnr_codec.BitstreamError):
            nnr_codec.decode_file(
                tmp_path / "u.nnr", tmp_path / "out.safetensors", base=base, require_checksum=True
            )
        assert not (tmp_path / "out.safetensors").exists()

    @pytest.mark.parametrize(
        "text", ["", "[]", '{"base":"00"}', '{"base":1}', '{"base":"%s","whole":[1]}' % ("00" * 32)]
    )
    def test_a_damaged_description(self, text: str) -> None:
        with pytest.raises(nnr_codec.MalformedBitstream):
            UpdateDescription.from_metadata({KEY: text})


def test_the_digest_depends_on_content_and_not_on_the_file(tmp_path: Path, base: str) -> None:
    arrays = model()
    digest = model_digest(ArrayTensors(arrays))
    assert digest == model_digest(ArrayTensors(dict(reversed(arrays.items()))))
    arrays["dense.bias"][3] += 1
    assert digest != model_digest(ArrayTensors(arrays))
    arrays = model()
    np.savez(tmp_path / "base.npz", **arrays)  # type: ignore[arg-type]  # NumPy declares an option among the names
    nnr_codec.encode_file(tmp_path / "base.npz", tmp_path / "same.nnr", base=base)
    with nnr_codec.open(tmp_path / "same.nnr") as stream:
        assert not list(stream)


def test_the_commands(tmp_path: Path, base: str) -> None:
    new = save(tmp_path / "new.safetensors", tuned(model()))
    update, out = str(tmp_path / "u.nnr"), str(tmp_path / "out.safetensors")

    assert main(["encode", new, update, "--base", base, "--change-error", "0.1", "--verify"]) == 0
    assert main(["decode", update, out]) == 1
    assert main(["decode", update, out, "--base", base]) == 0
    assert relative_error(load_file(out)["half"], load_file(new)["half"], model()["half"]) < 0.2
    assert main(["encode", new, update, "--change-error", "0.1"]) == 2


def test_kept_tensors_are_no_products() -> None:
    before = {"w": np.zeros((64, 64), np.float32)}
    after = {"w": np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)}
    stream = encode_update(after, before, nnr_codec.EncoderConfig(keep=("w",)), rank=4)
    assert np.array_equal(apply_update(stream, before)["w"], after["w"])


def test_a_model_that_was_not_finite_once_leaves_no_trace() -> None:
    encoder = FeedbackEncoder(change_error=0.2)
    base = {"w": np.ones((20, 30), np.float32)}
    spoilt = {"w": base["w"].copy()}
    spoilt["w"][3, 4] = np.nan
    encoder.encode(spoilt, base)
    _, decoded = encoder.encode({"w": base["w"] * 2}, base)
    assert np.allclose(decoded["w"], 2, atol=0.5)


@pytest.mark.parametrize(
    ("names", "shapes", "reason"),
    [
        (["x"], {"x": (64, 48), "x_G": (3,)}, "has the name of a tensor"),
        (["x"], {"x": (64, 48)}, "larger than an update's may be"),
    ],
)
def test_products_that_cost_more_than_they_save_are_refused(
    names: list[str], shapes: dict[str, tuple[int, ...]], reason: str
) -> None:
    base = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    description = UpdateDescription(model_digest(ArrayTensors(base)), products=frozenset(names))
    factors = {"x_G": np.zeros((64, 40), np.float32), "x_H": np.zeros((40, 48), np.float32)}
    stream = nnr_codec.encode(factors, metadata=description.to_metadata())
    with pytest.raises(MalformedBitstream, match=reason):
        apply_update(stream, base)
