"""The demo: the shipped model on held-out recordings, from the model file to cells on a chip."""

from concurrent.futures import ThreadPoolExecutor
from importlib.resources import as_file, files
from typing import Any

import numpy as np
from rich.console import Console

from boards.family.chip import RESOURCES, UP5K
from boards.family.ice40 import UP5K as UP5K_TARGET
from boards.flow.synthesis import synthesise
from deltarnn.console import fitting_lanes
from golden.model import Model
from golden.model_file import load_model
from golden.parameters import CoreParameters
from golden.predict.inference import delta_cost, dense_cost, occupancy
from golden.readings import by_sum
from golden.recordings import load
from hw.emit.verilog import emit
from sim.simulate import simulate
from sim.simulators import find_simulator

MODEL, FRAMES = "japanese_vowels.safetensors", "japanese_vowels.frames.npz"


def held_out() -> tuple[Model, list[np.ndarray], np.ndarray]:
    """The shipped model, its held-out utterances (int8 [T, I] each) and their labels."""
    with as_file(files("models") / MODEL) as model, as_file(files("models") / FRAMES) as frames:
        recordings = load(frames)
        assert recordings.wanted is not None
        return load_model(model), list(recordings.sequences), np.array(recordings.wanted)


def cells_on_up5k(core: CoreParameters, model: Model) -> dict[str, int] | None:
    """What the core takes of the chip with its weights in SPRAM; None where they do not fit."""
    try:
        emission = emit(core, model, UP5K_TARGET)
    except ValueError:
        return None
    return synthesise(emission, UP5K).area


def run_demo(
    lanes: int, simulator: str, progress: Console
) -> tuple[dict[str, Any], dict[str, str], str]:
    """The report for JSON, the rows of the table, and the line to remember."""
    chosen = find_simulator(simulator)
    model, utterances, labels = held_out()
    network = model.parameters
    lanes = fitting_lanes(network, lanes)
    core = CoreParameters(network, lanes)
    lengths = [len(utterance) for utterance in utterances]
    with progress.status("generating Verilog") as status, ThreadPoolExecutor(1) as background:
        emission = emit(core, model)
        status.update(f"building and running in {simulator}; counting cells with Yosys beside it")
        cells_later = background.submit(cells_on_up5k, core, model)
        result = simulate(core, model, utterances, chosen, emission=emission)
        status.update("counting cells with Yosys")
        cells = cells_later.result()

    each = np.split(result.found.outputs, np.cumsum(lengths)[:-1])
    right = sum(int(by_sum(outputs) == label) for outputs, label in zip(each, labels, strict=True))
    of_x, of_h = occupancy(network, result.found)
    fetched = int(delta_cost(network, result.found).weight_fetches.sum())
    fetched_dense = int(dense_cost(network, sum(lengths)).weight_fetches.sum())
    report = {
        **result.report(),
        "model": model.name,
        "model_sha256": model.sha256,
        "utterances": len(utterances),
        "accuracy": right / len(utterances),
        "whole_test_set": model.extra["scores"],
        "occupancy_x": of_x,
        "occupancy_h": of_h,
        "weight_fetches": fetched,
        "weight_fetches_dense": fetched_dense,
        "cells": {UP5K.name: cells},
    }
    shape = " -> ".join(str(n) for n in [network.inputs, *(k.units for k in network.layers)])
    scores = report["whole_test_set"]
    verdict = "all equal" if report["equal"] else report["mismatch"]
    rows = {
        "model": f"{model.name}: {shape}, {network.weights:,} weights, {lanes} lanes",
        "recordings": f"{len(utterances)} held-out utterances, {report['frames']:,} frames",
        "golden = RTL": f"{report['words_compared']:,} words compared in {simulator}: {verdict}",
        "right": f"{right} of {len(utterances)} ({100 * report['accuracy']:.1f} %)",
        "right, whole test set": f"{100 * (1 - scores['delta']):.2f} % (float GRU "
        f"{100 * (1 - scores['float']):.2f} %), as recorded in the model file",
        "columns that fired": f"{100 * of_x:.1f} % of x, {100 * of_h:.1f} % of h",
        "weights fetched": f"{fetched:,} of {fetched_dense:,} "
        f"({fetched_dense / fetched:.2f} times fewer)",
        "cycles a frame": f"{report['cycles_per_frame']:.1f} "
        f"(bound {report['ideal_cycles_per_frame']:.1f}, dense {report['dense_cycles_per_frame']})",
        "utilisation": f"{report['utilisation']:.3f}",
        f"cells, of an {UP5K.name}'s": "it has too few SPRAM"
        if cells is None
        else ", ".join(
            f"{n:,} of {UP5K.capacity[cell]:,} {RESOURCES[cell]}"
            for cell, n in cells.items()
            if cell in UP5K.capacity
        ),
    }
    closing = (
        f"Every bit equal, {report['speedup_over_dense']:.1f} times fewer cycles than dense, "
        f"{right} of {len(utterances)} speakers right."
        if report["equal"]
        else f"NOT equal: {report['mismatch']}"
    )
    return report, rows, closing
