"""Measures timeloom beside every installed peer and prints a table for this machine.

    python -m bench.report --quick
    python -m bench.report --cells lstm --works forward --threads 2 --match 'x128 '
    python -m bench.report --seconds 600        # goes on where the last call stopped

Every row of the grid (bench/shapes.py) is checked against the float64 reference, then ours and the peers are
timed in turns. The ratio of a row is the time of its best peer over ours: the median of the rounds. Rows are
appended to build/bench/rows.jsonl as they come; a row that is there for the same build of the kernels is not
measured again.
A row counts if PyTorch, JAX and, for inference, ONNX Runtime took part; "named" are the ratios beside these
alone. "At peak" is what the ratio would be if ours took no longer than its multiply-adds at the FMA peak of
the same run: a target beyond that is out of reach on this machine, whoever writes the kernel.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

if __package__ in (None, ""):  # python bench/report.py
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from bench import machine, rows, shapes
from bench.chart import draw
from bench.rows import Row, chosen_rows

NAMED = ("PyTorch", "JAX", "ONNX Runtime")  # how the names of those begin whom a row needs
FOLDER = machine.ROOT / "build" / "bench"
Found = dict[str, Any]


def row_of(found: Found) -> Row:
    """The row of a record."""
    cell, work, shape, threads = found["row"]
    return Row(cell, work, shapes.Shape(*shape), threads)


def read(file: Path, build: str) -> dict[Row, Found]:
    """The newest record of each row of this build."""
    if not file.exists():
        return {}
    records = [json.loads(line) for line in file.read_text().splitlines() if line.strip()]
    return {row_of(found): found for found in records if found["build"] == build}


def run(wanted: Sequence[Row], options: argparse.Namespace, build: str) -> None:
    """Measure rows, each number of threads in a process of its own."""
    start = time.perf_counter()
    for threads in dict.fromkeys(row.threads for row in wanted):
        left = None if options.seconds is None else options.seconds - (time.perf_counter() - start)
        if left is not None and left <= 0:
            break
        request = {
            "rows": [
                [row.cell, row.work, list(row.shape), row.threads] for row in wanted if row.threads == threads
            ],
            "file": str(options.output / "rows.jsonl"),
            "rounds": options.rounds,
            "seconds": left,
            "row_seconds": options.row_seconds,
            "compiled": options.compiled,
            "build": build,
        }
        # JAX's CPU client takes its threads from NPROC.
        settings = {"NPROC": str(threads), "OPENBLAS_NUM_THREADS": str(threads), "JAX_PLATFORMS": "cpu"}
        subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "bench.measure"],
            input=json.dumps(request),
            text=True,
            cwd=machine.ROOT,
            env=os.environ | settings | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            check=True,
        )


# ---- tables --------------------------------------------------------------------------------------------


def geometric_mean(values: Sequence[float]) -> float:
    """exp of the mean of logarithms; NaN of none."""
    if not values:
        return float("nan")
    return float(np.exp(np.mean(np.log(values))))


def at_peak(found: Found) -> float:
    """The ratio if ours took no longer than its multiply-adds at the peak."""
    ratio = float(found["ratio"][1])
    return max(ratio, ratio / found["share"])  # a share above 1: the peak was measured in a slow moment


def beside_named(found: Found) -> list[float] | None:
    """Quartiles of the ratio beside the best of those that a row needs; all alike where it had but a trial.

    None if none of them took part under its name.
    """
    ours = np.array(found["seconds"]["timeloom"])
    seconds = {name: np.array(one) for name, one in found["seconds"].items() if name.startswith(NAMED)}
    trials = {name: np.full(1, one) for name, one in found["trials"].items() if name.startswith(NAMED)}
    if not trials and not seconds:
        return None
    best = min((trials | seconds).values(), key=lambda one: float(np.median(one)))
    own = ours if len(best) == len(ours) else np.median(ours)
    return [float(value) for value in np.percentile(best / own, [25, 50, 75])]


def named_of(records: dict[Row, Found]) -> dict[Row, list[float]]:
    """beside_named of the rows that have it."""
    quartiles = {row: beside_named(found) for row, found in records.items()}
    return {row: one for row, one in quartiles.items() if one is not None}


def row_lines(records: dict[Row, Found]) -> list[str]:
    """A line for each row."""
    lines = [
        f"{'cell':10} {'work':17} {'batch x time x features x units':>31} {'threads':>7} {'ours ms':>10} "
        f"{'peer ms':>10} {'ratio':>6} {'quartiles':>14} {'target':>6} {'at peak':>7} {'share':>6}  best peer"
    ]
    for row, found in records.items():
        target = rows.target_of(row)
        line = f"{row.cell:10} {row.work:17} {row.shape!s:>31} {row.threads:7} {1e3 * found['ours']:10.4f} "
        if "ratio" in found:
            low, middle, high = found["ratio"]
            verdict = " " if middle >= target and high >= 1 else "-"
            line += (
                f"{1e3 * found['peer']:10.4f} {middle:6.2f} {low:6.2f} {high:6.2f}{verdict} {target:6.2f} "
                f"{at_peak(found):7.2f} {found['share']:6.0%}  {found['best_peer']}"
            )
        lines.append(line + ("" if found["counts"] else "  (does not count: peers missing)"))
    return lines


def verdict(value: float, target: float, reachable: float = np.inf) -> str:
    """met, missed, or out of reach for any kernel."""
    return "met" if value >= target else "missed" if reachable >= target else "out of reach"


def class_lines(records: dict[Row, Found]) -> list[str]:
    """A line for each class, mode and number of threads, of the rows that count."""
    counted = {row: found for row, found in records.items() if found["counts"] and "ratio" in found}
    lines = [
        f"{'class':42} {'work':19} {'threads':>7} {'rows':>4} {'mean':>6} {'named':>6} {'least':>6} "
        f"{'target':>6} {'at peak':>7}  {'verdict':12} {'row of the least'}"
    ]
    for kind in rows.CLASSES:
        for trains in (False, True):
            for threads in dict.fromkeys(row.threads for row in counted):
                own = {
                    row: record
                    for row, record in counted.items()
                    if rows.class_of(row) == kind and row.trains == trains and row.threads == threads
                }
                if not own:
                    continue
                found = {row: record["ratio"][1] for row, record in own.items()}
                mean, least = geometric_mean(list(found.values())), min(found, key=lambda row: found[row])
                named = geometric_mean([middle for _, middle, _ in named_of(own).values()])
                peak = geometric_mean([at_peak(record) for record in own.values()])
                target = kind.training if trains else kind.inference
                judged = verdict(mean, target, peak)
                mode = "forward + backward" if trains else "inference"
                lines.append(
                    f"{kind.name:42} {mode:19} {threads:7} {len(found):4} {mean:6.2f} {named:6.2f} "
                    f"{found[least]:6.2f} {target:6.2f} {peak:7.2f}  {judged:12} {least.key}"
                )
    return lines


def summary_lines(records: dict[Row, Found]) -> list[str]:
    """The mean of all rows, the worst upper quartile, the shares of the peak."""
    counted = {row: found for row, found in records.items() if found["counts"] and "ratio" in found}
    if not counted:
        return ["No row counts: PyTorch, JAX and ONNX Runtime have to be installed."]
    lines = []
    for threads in dict.fromkeys(row.threads for row in counted):
        some = {row: found for row, found in counted.items() if row.threads == threads}
        mean = geometric_mean([found["ratio"][1] for found in some.values()])
        worst = min(some, key=lambda row: some[row]["ratio"][2])
        highest = some[worst]["ratio"][2]
        slower = sum(found["ratio"][2] < 1 for found in some.values())
        peak = np.median([found["peak"] for found in some.values()]) / 1e9
        reachable = geometric_mean([at_peak(found) for found in some.values()])
        named = named_of(some)
        lines += [
            f"{threads} thread{'s' * (threads > 1)}: {len(some)} rows, FMA peak {peak:.0f} GFLOP/s",
            f"  geometric mean of the ratios {mean:.2f} (target {rows.LEAST_MEAN}: "
            f"{verdict(mean, rows.LEAST_MEAN, reachable)}; at peak {reachable:.2f})",
            f"  worst upper quartile {highest:.2f} (target 1.0: {verdict(highest, 1)}; {slower} rows below): "
            f"{worst.key}",
        ]
        trips = [found["round_trip"] for found in some.values() if found["round_trip"] is not None]
        if trips:
            low, middle, high = np.percentile(trips, [0, 50, 100])
            lines.append(
                f"  cores {middle:.0f} ns apart, there and back ({low:.0f} to {high:.0f} from row to row)"
            )
        if named:
            worst_named = min(named, key=lambda row: named[row][2])
            slower_named = sum(high < 1 for _, _, high in named.values())
            lines.append(
                f"  beside {', '.join(NAMED)} alone: geometric mean "
                f"{geometric_mean([middle for _, middle, _ in named.values()]):.2f}, worst upper quartile "
                f"{named[worst_named][2]:.2f} ({slower_named} rows below): {worst_named.key}"
            )
        for trains in (False, True):
            shares = {
                row: found["share"]
                for row, found in some.items()
                if rows.share_target(row) is not None and row.trains == trains
            }
            if shares:
                least = min(shares, key=lambda row: shares[row])
                target = rows.share_target(least)
                assert target is not None
                middle = float(np.median(list(shares.values())))
                lines.append(
                    f"  share of the peak, units 256 and up, batch 64 and up, "
                    f"{'forward + backward' if trains else 'inference'}: median {middle:.0%}, "
                    f"least {shares[least]:.0%} (target {target:.0%}: {verdict(shares[least], target)}): "
                    f"{least.key}"
                )
    return lines


def named_lines(records: dict[Row, Found]) -> list[str]:
    """The targets beside one peer by name: a step beside ONNX Runtime, fit beside Keras's best backend."""
    lines = []
    for row, found in records.items():
        seconds = found["seconds"]
        kind = rows.class_of(row)
        wanted = {rows.STEP: ("ONNX Runtime", kind.inference), rows.FIT: ("Keras", rows.FIT_KERAS)}
        peer, target = wanted.get(kind, (None, 0))
        for name in seconds:
            if peer is not None and name.startswith(peer):
                ratio = float(np.median(np.array(seconds[name]) / seconds["timeloom"]))
                lines.append(
                    f"{row.key}: {name} / ours {ratio:.2f} (target {target}: {verdict(ratio, target)}), "
                    f"{1e6 * found['ours']:.1f} us beside {1e6 * np.median(seconds[name]):.1f}"
                )
    return lines


def missing_lines(records: dict[Row, Found]) -> list[str]:
    """Which peers could not take part, and why."""
    reasons: dict[str, str] = {}
    for found in records.values():
        reasons |= {name: reason.splitlines()[0] for name, reason in found["left_out"].items()}
    absent = [name for name in machine.PACKAGES if name not in machine.versions() and name != "jaxlib"]
    lines = [f"Not installed: {', '.join(absent)}"] if absent else []
    return lines + [f"Left out of some row: {name}: {reason[:150]}" for name, reason in reasons.items()]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the command line asks for, then print and save what is known of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", nargs="+", default=shapes.CELLS, choices=shapes.CELLS)
    parser.add_argument("--works", nargs="+", default=shapes.WORKS, choices=shapes.WORKS)
    parser.add_argument("--threads", nargs="+", type=int, default=[2, 1])
    parser.add_argument("--match", default="", help="only rows whose name has this regular expression")
    parser.add_argument("--quick", action="store_true", help="a sample of some forty rows, for two threads")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, help="begin no row after so long")
    parser.add_argument("--row-seconds", type=float, default=90, help="end a row early, after three rounds")
    parser.add_argument("--compiled", action="store_true", help="torch.compile too, 20 seconds a row")
    parser.add_argument("--again", action="store_true", help="measure again what is there for this build")
    parser.add_argument("--list", action="store_true", help="print the names of the rows, measure nothing")
    parser.add_argument("--table", action="store_true", help="print what is there, measure nothing")
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder of rows, JSON and chart")
    options = parser.parse_args(arguments)
    options.output = options.output.resolve()
    threads = [2] if options.quick and options.threads == [2, 1] else options.threads
    wanted = chosen_rows(options.cells, options.works, threads, options.match, options.quick)
    if options.list:
        print(*(row.key for row in wanted), sep="\n")
        return
    options.output.mkdir(parents=True, exist_ok=True)
    file = options.output / "rows.jsonl"
    facts = machine.facts()
    known = read(file, facts["build"])
    if not options.table:
        open_rows = [row for row in wanted if options.again or row not in known]
        print(f"{len(open_rows)} of {len(wanted)} rows to measure, {options.rounds} rounds each", flush=True)
        run(open_rows, options, facts["build"])
        known = read(file, facts["build"])
    records = {row: known[row] for row in wanted if row in known}
    text = [
        f"{facts['cpu']}, {facts['cpus']} CPUs, {facts['isa']}; timeloom {facts['timeloom']} "
        f"({facts['commit']}, {facts['compiler']}); "
        + ", ".join(f"{name} {one}" for name, one in facts["versions"].items()),
        *missing_lines(records),
        "",
        *row_lines(records),
        "",
        *class_lines(records),
        "",
        *summary_lines(records),
        "",
        *named_lines(records),
    ]
    print("\n".join(text))
    summary = facts | {"rows": [{k: v for k, v in one.items() if k != "seconds"} for one in records.values()]}
    (options.output / "report.json").write_text(json.dumps(summary, indent=1))
    (options.output / "report.txt").write_text("\n".join(text) + "\n")
    try:
        draw(records, facts, options.output)
    except ImportError:
        print("No chart: matplotlib is not installed.")
    print(f"\nSaved in {options.output}")


if __name__ == "__main__":
    main()
