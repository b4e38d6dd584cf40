# SPDX-License-Identifier: Apache-2.0
"""Take a stream apart and put it together with other headers, to see how the peer takes it.

Independent of nnr_codec on purpose: it can write what the codec's builders refuse. Names are the format's
own, and so are the methods' (its descriptors).
"""

from __future__ import annotations

from typing import Any


class Bits:
    """A string of bits under construction."""

    def __init__(self) -> None:
        self.text = ""

    def u(self, n: int, value: int) -> Bits:
        """N bits, most significant first."""
        if n:
            self.text += format(value & ((1 << n) - 1), f"0{n}b")
        return self

    def ue(self, k: int, value: int) -> Bits:
        """Exp-Golomb of order k."""
        while value >= 1 << k:
            self.text += "0"
            value -= 1 << k
            k += 1
        self.text += "1"
        return self.u(k, value)

    def ie(self, k: int, value: int) -> Bits:
        """Signed Exp-Golomb."""
        return self.ue(k, 2 * value - 1 if value > 0 else -2 * value)

    def st(self, value: str) -> Bits:
        """UTF-8 and a zero byte."""
        for byte in value.encode() + b"\0":
            self.u(8, byte)
        return self

    def align(self) -> Bits:
        """byte_alignment()."""
        self.text += "1"
        self.text += "0" * (-len(self.text) % 8)
        return self

    def to_bytes(self) -> bytes:
        """The finished bytes."""
        if len(self.text) % 8:
            raise ValueError(f"{len(self.text)} bits are not whole bytes")
        return int("1" + self.text, 2).to_bytes(len(self.text) // 8 + 1, "big")[1:]


class Reader:
    """The reading side of Bits."""

    def __init__(self, content: bytes) -> None:
        self.text = format(int.from_bytes(b"\1" + content, "big"), "b")[1:]
        self.position = 0

    def u(self, n: int) -> int:
        """N bits."""
        self.position += n
        return int(self.text[self.position - n : self.position] or "0", 2)

    def ue(self, k: int) -> int:
        """Exp-Golomb of order k."""
        value = 0
        while self.u(1) == 0:
            value += 1 << k
            k += 1
        return value + self.u(k)

    def ie(self, k: int) -> int:
        """Signed Exp-Golomb."""
        value = self.ue(k)
        return (value + 1) // 2 if value % 2 else -(value // 2)

    def st(self) -> str:
        """Text up to a zero byte."""
        found = bytearray()
        while byte := self.u(8):
            found.append(byte)
        return found.decode()

    def align(self) -> None:
        """byte_alignment()."""
        self.u(1)
        self.position += -self.position % 8


def unit(
    nnr_unit_type: int, body: bytes, *, flags: int = 2, counter: int | None = None, long: bool = False
) -> bytes:
    """One unit: size, type, ``independently_decodable_flag`` (bit 1 of flags) and the rest."""
    head = Bits().u(6, nnr_unit_type).u(2, flags | (counter is not None))
    if counter is not None:
        head.u(8, counter)
    content = head.to_bytes() + body
    if long or len(content) + 2 >= 1 << 15:
        return Bits().u(1, 1).u(31, len(content) + 4).to_bytes() + content
    return Bits().u(16, len(content) + 2).to_bytes() + content


def split(stream: bytes) -> list[bytes]:
    """The units of a stream, whole."""
    units, start = [], 0
    while start < len(stream):
        long = stream[start] >> 7
        mask = 0x7FFFFFFF if long else 0x7FFF
        size = int.from_bytes(stream[start : start + (4 if long else 2)], "big") & mask
        if size == 0:
            raise ValueError("a unit of size 0")
        units.append(stream[start : start + size])
        start += size
    return units


def unit_type(whole: bytes) -> int:
    """A whole unit's nnr_unit_type."""
    return whole[4 if whole[0] >> 7 else 2] >> 2


def unit_body(whole: bytes) -> bytes:
    """What follows the unit's type and flags (no partial data counter)."""
    return whole[5 if whole[0] >> 7 else 3 :]


def start(general_profile_idc: int = 1) -> bytes:
    """A start unit."""
    return unit(0, bytes([general_profile_idc]))


def mps(
    profile: int = 1,
    *,
    method: int = 1,
    density: int = 2,
    qp: int = 0,
    indexed: int = 0,
    topology: int = 0,
    parent: int = 0,
    pre: int = 0,
    base_model_id: str | None = None,
    metric: str | None = None,
) -> bytes:
    bits = Bits().u(1, topology).u(4, 0).u(3, method).u(1, indexed)
    if profile == 1:
        bits.u(1, base_model_id is not None).u(1, metric is not None).u(1, 0).u(1, parent).u(1, pre).u(2, 0)
        if base_model_id is not None:
            bits.st(base_model_id)
        if metric is not None:
            bits.st(metric)
    else:
        bits.u(7, 0)
    if method & 3:
        bits.u(3, density).u(13, qp)
    if metric is not None:
        bits.u(32, 0)
    return unit(1, bits.align().to_bytes())


def lps(*, method: int = 1, density: int = 2, qp: int = 0, self_contained: int = 0) -> bytes:
    """A layer parameter set."""
    bits = Bits().u(1, self_contained).u(7, 0).u(4, 0).u(3, method).u(1, 0)
    if method & 3:
        bits.u(3, density).u(13, qp)
    return unit(2, bits.align().to_bytes())


def tpl(storage: int, body: bytes = b"\0", compression: int = 0) -> bytes:
    return unit(3, bytes([storage, compression]) + body)


def reflist(names: list[str]) -> bytes:
    bits = Bits().ue(7, len(names) - 2).align()
    for name in names:
        bits.st(name)
    return tpl(6, bits.to_bytes())


NDU_DEFAULTS: dict[str, Any] = {
    "type": 1, "names": None, "multiple": 0, "index": None, "node": None, "parent_flag": None, "parent": None,
    "codebook": None, "dq_flag": 0, "format": None, "input": 1, "dims": None, "unary": None, "cpt": 0,
    "dc": (0, 0), "shift": 0, "scan": 0, "entry": "", "flags": 2,
}  # fmt: skip


def ndu(payload: bytes, profile: int = 1, **given: Any) -> bytes:
    """A data unit. ``names`` a list (two or more when ``multiple``); ``dims`` None leaves them out."""
    f = NDU_DEFAULTS | given
    unknown = set(given) - set(NDU_DEFAULTS)
    if unknown:
        raise ValueError(f"unknown fields {unknown}")
    bits = Bits().u(5, f["type"]).u(1, f["multiple"]).u(1, f["format"] is not None).u(1, f["input"])
    if f["multiple"]:
        count = len(f["names"] or f["index"])
        bits.ue(7, count - 2)
        if f["names"]:
            bits.align()
            for name in f["names"]:
                bits.st(name)
        else:
            for index in f["index"]:
                bits.ue(7, index)
            bits.align()
    elif f["names"]:
        bits.st(f["names"][0])
    else:
        bits.ue(7, f["index"][0])
    if profile == 1:
        bits.u(1, f["node"] is not None)
        if f["node"] is not None:
            device_id, parameter_id, depth = f["node"]
            bits.ue(1, device_id).ue(5, parameter_id).ue(4, depth)
        if f["parent_flag"] is not None:
            bits.u(1, f["parent_flag"])
            if f["parent_flag"]:
                kind, temporal, value = f["parent"]
                bits.u(2, kind).u(1, temporal)
                if kind == 0:
                    bits.ue(1, value)
                else:
                    bits.u(256 * kind, value)
    if f["type"] in (1, 3):
        bits.u(1, f["codebook"] is not None)
        if f["codebook"] is not None:
            _codebook(bits, *f["codebook"])
    if f["type"] in (0, 1, 3):
        bits.u(1, f["dq_flag"])
    if f["format"] is not None:
        bits.u(7, f["format"])
    if f["input"]:
        bits.u(1, f["dims"] is not None).u(1, f["unary"] is not None).u(4, f["cpt"])
        if f["cpt"] & 1:
            bits.ue(3, f["dc"][0]).ue(3, f["dc"][1])
        if f["dims"] is not None:
            bits.ue(1, len(f["dims"]))
            for size in f["dims"]:
                bits.ue(7, size)
        if f["unary"] is not None:
            bits.u(8, f["unary"] - 1)
    if f["dims"] is not None and len(f["dims"]) > 1:
        if profile == 1:
            bits.ue(1, f["shift"])
        bits.u(4, f["scan"])
        bits.text += f["entry"]
    return unit(5, bits.align().to_bytes() + payload, flags=f["flags"])


def _codebook(bits: Bits, egk: int, values: list[int], zero: int) -> None:
    bits.u(4, egk).ue(2, len(values)).ie(2, zero - (len(values) >> 1)).ie(7, values[zero])
    for j in range(zero - 1, -1, -1):
        bits.ue(egk, values[j + 1] - values[j] - 1)
    for j in range(zero + 1, len(values)):
        bits.ue(egk, values[j] - values[j - 1] - 1)


def read_ndu(whole: bytes, profile: int = 1) -> tuple[dict[str, Any], bytes]:
    """Fields and payload of a plain data unit (one name, no parent, no codebook, scan order 0)."""
    body = unit_body(whole)
    r = Reader(body)
    f = dict(NDU_DEFAULTS, type=r.u(5))
    multiple, has_format, f["input"] = r.u(1), r.u(1), r.u(1)
    if multiple:
        raise ValueError("multiple names are not read")
    f["names"] = [r.st()]
    if profile == 1 and r.u(1):
        f["node"] = (r.ue(1), r.ue(5), r.ue(4))
    if f["type"] == 1 and r.u(1):
        raise ValueError("codebooks are not read")
    if f["type"] in (0, 1):
        f["dq_flag"] = r.u(1)
    if has_format:
        f["format"] = r.u(7)
    if f["input"]:
        has_dims, has_unary, f["cpt"] = r.u(1), r.u(1), r.u(4)
        if has_dims:
            f["dims"] = tuple(r.ue(7) for _ in range(r.ue(1)))
        if has_unary:
            f["unary"] = r.u(8) + 1
    if f["dims"] is not None and len(f["dims"]) > 1:
        if profile == 1:
            f["shift"] = r.ue(1)
        f["scan"] = r.u(4)
    r.align()
    return f, body[r.position // 8 :]
