"""A picture of the report: each row's ratio with its quartiles, by class, against the line of the best peer.

Belongs here: drawing.
Does not belong here: numbers that the table has not.
"""

from pathlib import Path
from typing import Any

from bench import rows
from bench.rows import Row

COLORS = {"lstm": "tab:red", "gru": "tab:blue", "simple_rnn": "tab:green"}


def draw(records: dict[Row, dict[str, Any]], facts: dict[str, Any], folder: Path) -> None:
    """Save report.png and report.svg; raises ImportError without matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = {row: found for row, found in records.items() if found["counts"] and "ratio" in found}
    if not shown:
        return
    panels = sorted({(row.threads, row.trains) for row in shown}, key=lambda panel: (-panel[0], panel[1]))
    classes = [kind for kind in rows.CLASSES if any(rows.class_of(row) == kind for row in shown)]
    figure, axes = pyplot.subplots(
        1, len(panels), figsize=(1 + 4.5 * len(panels), 1.5 + 0.6 * len(classes)), sharey=True, squeeze=False
    )
    for axis, (threads, trains) in zip(axes[0], panels, strict=True):
        for place, kind in enumerate(classes):
            own = [
                row
                for row in shown
                if (row.threads, row.trains) == (threads, trains) and rows.class_of(row) == kind
            ]
            own.sort(key=lambda row: shown[row]["ratio"][1])
            for index, row in enumerate(own):
                low, middle, high = shown[row]["ratio"]
                height = place + 0.7 * ((index + 0.5) / len(own) - 0.5)
                axis.plot([low, high], [height, height], color=COLORS[row.cell], alpha=0.4, linewidth=1)
                axis.plot(middle, height, ".", color=COLORS[row.cell], markersize=5)
            target = kind.training if trains else kind.inference
            if own:
                axis.plot([target, target], [place - 0.4, place + 0.4], color="black", linewidth=1.5)
        axis.axvline(1, color="0.6", linewidth=1)
        axis.set_xscale("log", base=2)
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        mode = "forward + backward" if trains else "inference"
        axis.set(
            xlabel="time of the best peer / ours", title=f"{mode}, {threads} thread{'s' * (threads > 1)}"
        )
    axes[0][0].set_yticks(range(len(classes)), [kind.name for kind in classes])
    axes[0][0].invert_yaxis()
    handles = [
        pyplot.Line2D([], [], color=color, marker=".", label=cell)
        for cell, color in COLORS.items()
        if any(row.cell == cell for row in shown)
    ]
    handles.append(pyplot.Line2D([], [], color="black", label="target"))
    axes[0][-1].legend(handles=handles, loc="best", fontsize=8)
    figure.suptitle(f"{facts['cpu']}, {facts['isa']}, timeloom {facts['commit']}", fontsize=9)
    figure.tight_layout()
    figure.savefig(folder / "report.png", dpi=130)
    figure.savefig(folder / "report.svg")
    pyplot.close(figure)
