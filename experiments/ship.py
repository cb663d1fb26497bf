"""The network in the box: from a finished run to the shipped file, its numbers and its model card.

    python experiments/ship.py --run runs/nano --test shards/test

Writes `data_samples/nano.safetensors` (kernels in float16), `experiments/results/nano_training.json` (the
run's log) and `experiments/results/nano.json` (what `hemlets eval` says of the shipped file on the drawn
test subjects, and with the flip test). Then run `experiments/real_motion.py` on the shipped file, and

    python experiments/ship.py --card

which makes `data_samples/nano.md`, the model card, and its curve out of these results.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hemlets_lib.checkpoint import load_checkpoint, save_checkpoint
from hemlets_lib.console import format_seconds
from hemlets_lib.data.shards import ShardDataset
from hemlets_lib.evaluate import evaluate
from hemlets_lib.results import provenance, read_json, write_json
from hemlets_lib.run_folder import RunFolder
from hemlets_lib.viz import png_bytes
from hemlets_lib.viz_training import training_figure

SAMPLES, RESULTS = Path("data_samples"), Path("experiments/results")
CURVE_ROWS = 10


def ship(run: RunFolder, test: Path) -> None:
    """The shipped file and its numbers."""
    config, data = run.read_config()
    model, info = load_checkpoint(run.model_path, expected=config.model)
    if info.metadata["step"] < config.steps:
        raise SystemExit(f"{run.root}: at step {info.metadata['step']} of {config.steps}. Finish it first.")
    name, here = config.model.name, provenance(Path(__file__).parent)
    weights = SAMPLES / f"{name}.safetensors"
    save_checkpoint(weights, model, metadata=info.metadata, dtype="float16")
    write_json(
        RESULTS / f"{name}_training.json",
        {
            "recipe": config.to_dict(),
            "data": data,
            "records": run.read_log(),
            "run": read_json(run.root / "config.json")["git"],
            **here,
        },
    )
    model, samples = load_checkpoint(weights).model, ShardDataset(test)
    found = {flip: evaluate(model, samples, protocol="h36m", flip_test=flip) for flip in (False, True)}
    write_json(
        RESULTS / f"{name}.json",
        {
            "evaluation": found[False].to_dict(),
            "evaluation_flip_test": found[True].to_dict(),
            "data": dict(samples.config),
            "weights": {
                "file": weights.as_posix(),
                "bytes": weights.stat().st_size,
                "metadata": info.metadata,
            },
            **here,
        },
    )


def markdown_table(rows: Sequence[Sequence[Any]]) -> str:
    """The first row is the heading; numbers to one digit, right-aligned."""

    def cell(value: Any) -> str:
        return (
            f"{value:.1f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else value
        )

    head, *body = rows
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *body]
    return "\n".join(f"| {' | '.join(map(cell, line))} |" for line in lines)


def card(name: str) -> str:
    """The model card, out of committed results alone."""
    result, training = read_json(RESULTS / f"{name}.json"), read_json(RESULTS / f"{name}_training.json")
    recipe, metadata = training["recipe"], result["weights"]["metadata"]
    evaluation, source = result["evaluation"], training["data"]["sources"][0]
    rows, polarity = evaluation["rows"], evaluation["polarity_percent"]
    first = next(iter(rows))

    tried = [record for record in training["records"] if record["kind"] == "validation"]
    tried = [tried[round(i * (len(tried) - 1) / (CURVE_ROWS - 1))] for i in range(CURVE_ROWS)]
    curve = [["images seen", "MPJPE, mm", "PA-MPJPE, mm", "states right, %"]]
    curve += [[f"{r['images']:,}", r["mpjpe_mm"], r["pa_mpjpe_mm"], r["polarity_percent"]] for r in tried]

    actions = [["mm", *rows]]
    actions += [
        [action, *(row["columns"][action] for row in rows.values())] for action in rows[first]["columns"]
    ]
    actions.append(["**mean of actions**", *(row["mean_of_columns"] for row in rows.values())])

    parts = [["part", *polarity]]
    parts += [
        [part, *(of["parts"][part] for of in polarity.values())]
        for part in next(iter(polarity.values()))["parts"]
    ]
    parts.append(["**all**", *(of["overall"] for of in polarity.values())])

    measured = ("mpjpe_mm", "mpjpe_limbs_mm", "pa_mpjpe_mm", "polarity_percent")
    real = [["", "samples", "MPJPE, mm", "of the 12 limb joints", "PA-MPJPE, mm", "states right, %"]]
    real += [
        [what, row["samples"], *(row[column] for column in measured)]
        for what, row in read_json(RESULTS / "real_motion.json")["sets"].items()
    ]
    return (
        Path(__file__)
        .with_name("card_template.md")
        .read_text(encoding="utf-8")
        .format(
            **recipe,
            name=name,
            megabytes=result["weights"]["bytes"] / 1e6,
            image_size=recipe["model"]["image_size"],
            heatmap_size=recipe["model"]["heatmap_size"],
            samples=source["samples"],
            outfits=source["outfits"],
            subjects=", ".join(source["subjects"]),
            data_seed=source["seed"],
            images=metadata["images"],
            epochs=metadata["images"] / source["samples"],
            duration=format_seconds(metadata["seconds"]),
            device=result["device"]["name"],
            counted=evaluation["counts"]["samples counted"],
            looked_at=evaluation["counts"]["samples looked at"],
            test_seed=result["data"]["seed"],
            mpjpe=rows[first]["mean_of_columns"],
            mpjpe_flip=result["evaluation_flip_test"]["rows"][first]["mean_of_columns"],
            curve=markdown_table(curve),
            actions=markdown_table(actions),
            parts=markdown_table(parts),
            real_motion=markdown_table(real),
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, default=Path("runs/nano"))
    parser.add_argument("--test", type=Path, default=Path("shards/test"))
    parser.add_argument("--card", action="store_true", help="only write the card")
    args = parser.parse_args()
    if not args.card:
        ship(RunFolder(args.run), args.test)
        return
    records = read_json(RESULTS / "nano_training.json")["records"]
    (SAMPLES / "nano_curve.png").write_bytes(png_bytes(training_figure(records)))
    (SAMPLES / "nano.md").write_text(card("nano"), encoding="utf-8")


if __name__ == "__main__":
    main()
