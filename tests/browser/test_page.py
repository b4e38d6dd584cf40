# SPDX-License-Identifier: Apache-2.0
"""Click through the HTML page in a real browser, over the DevTools protocol."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import socket
import struct
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnr_codec
from nnr_codec.inspect import Dump, Paint, Survey

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium to show the page in")


class Browser:
    """One page of a headless chromium."""

    def __init__(self, port: int) -> None:
        for _ in range(300):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=5) as reply:
                    pages = [page for page in json.load(reply) if page["type"] == "page"]
                if pages:
                    break
            except OSError:
                pass
            time.sleep(0.1)
        path = pages[0]["webSocketDebuggerUrl"].partition(str(port))[2]
        self._socket = socket.create_connection(("127.0.0.1", port), 60)
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        head = (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        )
        self._socket.sendall(f"{head}Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        while self._line():
            pass  # the answer's head
        self._number = 0
        self.events: list[dict[str, Any]] = []

    def _line(self) -> bytes:
        line = b""
        while not line.endswith(b"\r\n"):
            line += self._socket.recv(1)
        return line[:-2]

    def _read(self, n_bytes: int) -> bytes:
        octets = b""
        while len(octets) < n_bytes:
            octets += self._socket.recv(n_bytes - len(octets))
        return octets

    def _message(self) -> dict[str, Any]:
        text = b""
        while True:
            first, second = self._read(2)
            size = second & 127
            if size > 125:
                size = int.from_bytes(self._read(2 if size == 126 else 8), "big")
            text += self._read(size)
            if first & 0x80:
                message: dict[str, Any] = json.loads(text)
                return message

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        text = json.dumps({"id": self._number, "method": method, "params": parameters}).encode()
        size = struct.pack(">BBH", 0x81, 0xFE, len(text))
        self._socket.sendall(size + b"\0\0\0\0" + text)  # a mask of zeros
        while True:
            message = self._message()
            if message.get("id") == self._number:
                assert "error" not in message, message
                return message["result"]
            self.events.append(message)

    def run(self, script: str) -> Any:
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def key(self, name: str) -> None:
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name)

    def open(self, page: Path, width: int) -> None:
        mobile = width < 600
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=mobile
        )
        self.call("Runtime.enable")
        self.call("Network.enable")
        self.call("Page.enable")
        self.call("Page.navigate", url=page.as_uri())
        for _ in range(300):
            if self.run("document.readyState === 'complete' && !!document.querySelector('#tree li')"):
                return
            time.sleep(0.1)
        pytest.fail("the page did not come up")


def _debugging_port(profile: Path) -> int:
    """Port that chromium has chosen and written into its profile; no other process can take it in between."""
    place = profile / "DevToolsActivePort"
    for _ in range(300):
        if place.exists() and (lines := place.read_text().splitlines()):
            return int(lines[0])
        time.sleep(0.1)
    pytest.fail("chromium has not opened its debugging port")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    profile = tmp_path_factory.mktemp("profile")
    command = [str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    process = subprocess.Popen(
        [*command, "--remote-debugging-port=0", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "DBUS_SESSION_BUS_ADDRESS": "disabled:"},
    )
    page = Browser(_debugging_port(profile))
    yield page
    page._socket.close()
    process.terminate()
    process.wait(30)


def write_page(folder: Path, octets: bytes) -> Path:
    path = folder / "page.html"
    path.write_text("\n".join(Dump(Survey(octets), "model.nnr", Paint()).lines("html", "text")), "utf-8")
    return path


def model() -> bytes:
    random = np.random.default_rng(3)
    shapes = {
        "conv.weight": (24, 8, 3, 3),
        "conv.bias": (24,),
        "dense.weight": (40, 96),
        "<b>odd</b>": (5, 5),
    }
    return nnr_codec.encode(
        {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    )


@pytest.mark.parametrize("width", [1400, 390])
def test_click_through(browser: Browser, tmp_path: Path, width: int) -> None:
    browser.events.clear()
    browser.open(write_page(tmp_path, model()), width)
    run = browser.run
    assert "sound" in run("document.querySelector('#verdict').textContent")
    assert run("document.documentElement.scrollWidth") <= width
    # Tensors: the treemap, the table and the card agree.
    assert run("document.querySelectorAll('#treemap button').length") == 4
    run("document.querySelector('#treemap button:nth-child(2)').click()")
    name = run("document.querySelector('#tensor .tensorname').textContent")
    assert run("document.querySelector('#table tr.on td').textContent") == name
    assert run("document.querySelectorAll('#tensor svg rect').length") > 3
    run("document.querySelector('#find').value = 'odd'; tensorTable()")
    assert run("document.querySelector('#table tbody').textContent").startswith("<b>odd</b>")
    assert run("document.querySelectorAll('#table tbody tr').length") == 1
    run(
        "document.querySelector('#find').value = ''; tensorTable();"
        "document.querySelectorAll('#table th button')[3].click()"
    )
    assert run("document.querySelector('#table th[aria-sort]').textContent") == "size ↓"
    # Units to elements to bytes, and back.
    run("document.querySelector('#unit-0').click()")
    assert run("document.querySelector('#treehead b').textContent") == "nnr_unit[0] NNR_STR"
    run(
        "[...document.querySelectorAll('#tree li')]"
        ".find(li => /^general_profile/.test(li.textContent)).click()"
    )
    assert run("[...document.querySelectorAll('#hex .on')].map(s => s.dataset.byte).join()") == "3"
    assert run("document.querySelector('#detail .bits mark').textContent") == "00000001"
    run("document.querySelector('#hex [data-byte=\"0\"]').click()")
    assert run("document.querySelector('#tree [aria-selected=true]').textContent").startswith("nnr_unit_size")
    # The keyboard alone.
    run("document.querySelector('#unit-0').focus()")
    browser.key("ArrowDown")
    assert run("document.querySelector('#treehead b').textContent") == "nnr_unit[1] NNR_MPS"
    browser.key("ArrowRight")
    browser.key("ArrowDown")
    assert run("document.activeElement.textContent").startswith("nnr_unit_size ")
    # Light and dark.
    before = run("getComputedStyle(document.body).backgroundColor")
    run("document.querySelector('#theme').click()")
    assert run("getComputedStyle(document.body).backgroundColor") != before
    faults = [event for event in browser.events if event["method"] == "Runtime.exceptionThrown"]
    assert not faults
    requests = [
        e["params"]["request"]["url"] for e in browser.events if e["method"] == "Network.requestWillBeSent"
    ]
    assert all(url.startswith(("file:", "data:")) for url in requests)


def test_faults_lead_to_their_bits(browser: Browser, tmp_path: Path) -> None:
    octets = model()
    browser.open(write_page(tmp_path, octets[: len(octets) - 200]), 1400)
    assert "malformed" in browser.run("document.querySelector('#verdict').textContent")
    browser.run("document.querySelector('.fault').click()")
    assert browser.run("document.querySelector('#tree [aria-selected=true]').textContent").startswith(
        "nnr_unit_size "
    )
