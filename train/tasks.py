"""The tasks that can be trained by name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from golden.errors import refusal

Task = Callable[[Path, int, bool], dict[str, Any]]


def japanese_vowels(output: Path, seed: int, progress: bool) -> dict[str, Any]:
    """Which of nine speakers said /ae/; see train/japanese_vowels.py.

    Trains, quantises, calibrates and writes the model to ``output``, some held-out recordings
    beside it; returns scores, formats, thresholds and versions, ready for JSON.
    """
    # Imported here so that the tasks can be listed without the optional packages.
    try:
        from train.classifier import SPEAKERS, train_classifier
        from train.japanese_vowels import load

        data = load()
    except ModuleNotFoundError as error:
        raise refusal(
            "training", f"no package '{error.name}'", "the optional packages: deltarnn[train]"
        ) from None
    return train_classifier(data, SPEAKERS, output, seed, progress)


TASKS: dict[str, Task] = {"japanese_vowels": japanese_vowels}
