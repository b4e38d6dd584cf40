# SPDX-License-Identifier: Apache-2.0
"""Generator of the conformance suites: ``python -m conformance.generators.generate``.

``--check`` writes nothing: it generates the suites in a temporary folder and compares them byte by byte. ``--choose``
draws random streams and keeps a covering subset; ``--capture`` stores streams of other encoders; ``--peer`` records the
vectors that NNCodec decodes identically. All three write files beside this module, which the next run reads.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import sys
import tempfile
from pathlib import Path

from nnr_conformance.manifest import Manifest
from nnr_conformance.suite import Suite

from conformance.generators.campaign_cases import add_recommended_minimum
from conformance.generators.captured import add_captured, capture, nncodec_cases, own_cases
from conformance.generators.case import VERSION, Case, Collection
from conformance.generators.core_cases import add_shared
from conformance.generators.deflate_cases import add_inflation
from conformance.generators.dimension_cases import add_external_dimensions
from conformance.generators.edge_cases import add_edges
from conformance.generators.entry_point_cases import add_entry_points
from conformance.generators.extended_cases import add_extended
from conformance.generators.golden import Disagreement, vector_of
from conformance.generators.invalid_cases import add_invalid
from conformance.generators.random_streams import draw_streams
from conformance.generators.recomposition_cases import add_recompositions
from conformance.generators.resource_cases import add_resource

ROOT = Path(__file__).resolve().parents[2]

HERE = Path(__file__).parent
SUITES = ROOT / "conformance" / "suites"
CHOSEN = HERE / "chosen.json"
AGREEMENTS = HERE / "agreements.json"
TITLES = {
    "core": "Profile 0: edition 1",
    "extended": "Profile 1: edition 2, with incremental updates",
    "invalid": "One fault each",
    "resource": "Few bytes that ask for much",
}


def all_cases(folder: Path = SUITES) -> dict[str, Collection]:
    """Declare the cases of all suites; captured streams are read from ``folder``."""
    suites = {name: Collection(name, 1 if name == "extended" else 0) for name in TITLES}
    add_shared(suites["core"])
    add_extended(suites["extended"])
    add_edges(suites)
    for name, profile in (("core", 0), ("extended", 1)):
        add_recommended_minimum(suites[name], profile)
        add_entry_points(suites[name], profile)
        add_external_dimensions(suites[name], profile)
        add_recompositions(suites[name], profile)
    add_inflation(suites["core"], 0)
    for profile, n_streams, seed in json.loads(CHOSEN.read_text()) if CHOSEN.exists() else ():
        suite = suites["extended" if profile else "core"]
        suite.add(
            f"random/{n_streams}-{seed:05}", "Anything: its choices are random, and it was kept for what it reaches.",
            "float-payload" + " incremental temporal-context" * (n_streams > 1), draw_streams(seed, profile, n_streams),
            profile=profile, seed=seed, options={"profile": profile, "streams": n_streams},
        )  # fmt: skip
    add_captured(suites, folder)
    add_invalid(suites["invalid"], {**suites["core"].by_id, **suites["extended"].by_id})
    add_resource(suites["resource"])
    return suites


def write_suites(target: Path, *, quiet: bool = False) -> int:
    """Write all suites below ``target``; returns the number of cases without agreement."""
    agreements = json.loads(AGREEMENTS.read_text()) if AGREEMENTS.exists() else {}
    suites = all_cases()
    faults = 0
    for name, collection in suites.items():
        folder = target / name
        folder.mkdir(parents=True, exist_ok=True)
        vectors = []
        for case in collection.cases:
            try:
                vectors.append(vector_of(case, folder, agreements))
            except Disagreement as error:
                faults += 1
                print(error, file=sys.stderr)
        vectors.sort(key=lambda vector: vector.id)
        named = {"manifest.json"}
        for vector in vectors:
            named |= {
                file.file
                for file in (*vector.streams, *(vector.expect.traces or ()), *(vector.expect.bins or ()))
            }
            named |= {vector.expect.arrays.file} if vector.expect.arrays else set()
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.relative_to(folder).as_posix() not in named:
                path.unlink()
        manifest = Manifest(
            format="nnr-conformance-manifest/1",
            suite=name,
            version=VERSION,
            title=TITLES[name],
            vectors=tuple(vectors),
        )
        Suite(folder, manifest).save()
        if not quiet:
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            streams = sum(file.size_bytes for vector in vectors for file in vector.streams)
            print(f"{name}: {len(vectors)} vectors, {streams} bytes of streams, {size} bytes in all")
    return faults


def check() -> int:
    """Generate the suites elsewhere and compare; returns the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder)
        faults = write_suites(target, quiet=True)
        stored = {path.relative_to(SUITES) for path in SUITES.rglob("*") if path.is_file()}
        generated = {path.relative_to(target) for path in target.rglob("*") if path.is_file()}
        for name in sorted(stored ^ generated):
            print(f"{name}: {'not generated any more' if name in stored else 'new'}")
            faults += 1
        for name in sorted(stored & generated):
            if not filecmp.cmp(SUITES / name, target / name, shallow=False):
                print(f"{name}: differs")
                faults += 1
    print(f"{len(stored)} files, {faults} differ")
    return int(faults > 0)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    parser.add_argument(
        "--choose", type=int, metavar="N", help="draw N random streams of each kind and choose among them"
    )
    parser.add_argument(
        "--capture", type=Path, metavar="DIR", help="store the streams of DIR/index.json and of this encoder"
    )
    parser.add_argument(
        "--peer",
        type=Path,
        metavar="LOG",
        help="record the vectors that NNCodec decodes identically, from the log of a run",
    )
    options = parser.parse_args(arguments)
    if options.check:
        return check()
    if options.capture:
        captured: list[Case] = [*nncodec_cases(options.capture), *own_cases()]
        for case in captured:
            capture(case, SUITES)
    if options.choose:
        from conformance.generators.choose import choose

        CHOSEN.write_text(json.dumps(choose(options.choose), indent=None) + "\n")
    if options.peer:
        from conformance.generators.peer_agreement import agreements_of

        known = json.loads(AGREEMENTS.read_text()) if AGREEMENTS.exists() else {}
        known |= agreements_of(options.peer)
        AGREEMENTS.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    SUITES.mkdir(exist_ok=True)
    return int(write_suites(SUITES) > 0)


if __name__ == "__main__":
    sys.exit(main())
