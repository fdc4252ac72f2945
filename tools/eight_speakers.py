"""Writes the shipped model that never heard one of nine speakers, and what it is to learn him from.

Run it as ``python tools/eight_speakers.py``; it needs the extra ``train``. Beside the model lie the
lessons, ten utterances of him and some of each other speaker, and a fifth of the test part.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from golden.model_file import save_model
from train.course.new_class import NewClass, beginning, last
from train.course.writing import HELD_OUT, frames_path
from train.data.recordings import save_recordings
from train.tasks.japanese_vowels import load

MODEL = Path("models/japanese_vowels_eight.safetensors")
SPEAKER, SEED = 0, 0


def main() -> None:
    begun = beginning(last(load(), SPEAKER), NewClass(), SEED)
    every = -(-len(begun.test) // HELD_OUT)
    save_model(replace(begun.model, name=MODEL.stem), MODEL)
    save_recordings(begun.lessons, MODEL.with_suffix(".lessons.npz"))
    held_out = begun.test.pick(np.arange(0, len(begun.test), every))
    save_recordings(held_out, frames_path(MODEL))


if __name__ == "__main__":
    main()
