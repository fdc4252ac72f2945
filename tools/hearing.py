"""What a model of wake_words_pdm loses on the way to the chip, and how often it tells a word.

Run it as ``python tools/hearing.py MODEL``, with DELTARNN_DATA set; it needs the extra ``train``.

1. Gains of 8 bits in place of the model's own ``input_scale``: errors on the test part.
2. A microphone's bits in place of samples without its noise: frames and answers of some recordings.
3. Words: the decision's margin is the one with the fewest errors on the validation part. A
   recording is wrong if its keyword is not told, or any other is.
4. Words in a stream: those recordings of 2. one behind the other, without a reset between them.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from golden.features import Features
from golden.model import Model
from golden.model_file import load_model
from golden.network import run_sequences
from golden.sound.decision import NOTHING, Decision
from golden.sound.front_end import FrontEnd
from golden.sound.modulator import modulated
from train.data.microphone import Microphone
from train.data.recordings import Sequences
from train.tasks import wake_words

EVERY = 16  # of the test recordings, one in so many goes through a modulator
SMOOTHING, PAUSE = 5, 100


def results(model: Model, frames: list[np.ndarray]) -> list[np.ndarray]:
    """int64 [T, classes] of each recording."""
    return [trace.outputs for trace in run_sequences(model, frames)]


def answers(outputs: list[np.ndarray]) -> np.ndarray:
    """The class with the largest sum of results, of each recording."""
    return np.array([each.sum(axis=0).argmax() for each in outputs])


def told(decision: Decision, outputs: list[np.ndarray]) -> list[set[int]]:
    """The words that are told in each recording."""
    return [set(decision.words(each).tolist()) - {NOTHING} for each in outputs]


def wrong(words: list[set[int]], labels: np.ndarray, background: int) -> tuple[int, int, int]:
    """Keywords that are not told, other words told in them, and words told in the rest."""
    missed = other = false = 0
    for found, label in zip(words, labels.tolist(), strict=True):
        if label == background:
            false += bool(found)
        else:
            missed += label not in found
            other += bool(found - {label})
    return missed, other, false


def decided(decision: Decision, outputs: list[np.ndarray], labels: np.ndarray) -> int:
    """How many recordings are wrong."""
    words = told(decision, outputs)
    wanted = [set() if n == decision.background else {n} for n in labels.tolist()]
    return sum(found != right for found, right in zip(words, wanted, strict=True))


def heard(part: Sequences, front: FrontEnd) -> list[np.ndarray]:
    """Logarithms of recordings, by samples without noise."""
    floats = Microphone(front).of([samples[:, 0] for samples in part.frames])
    return [np.rint(x * 2**front.log_frac).astype(np.int64) for x in floats]


def main(path: Path) -> None:
    model = load_model(path)
    front = FrontEnd().scaled(Features.of(model).scale)
    data = wake_words.load("recordings", lambda each: [samples[:, None] for samples in each])
    logarithms = {part: heard(getattr(data, part), front) for part in ("validation", "test")}
    labels = {part: np.asarray(getattr(data, part).labels) for part in logarithms}
    scaled = {part: [front.activations(x) for x in each] for part, each in logarithms.items()}
    outputs = {part: results(model, each) for part, each in scaled.items()}

    own = [Features.of(model).frames(x / 2**front.log_frac) for x in logarithms["test"]]
    errors = (answers(results(model, own)) != labels["test"]).mean()
    print(f"test part, {len(own)} recordings: {errors:.2%} wrong by the model's input_scale")
    print(f"by gains of 8 bits: {(answers(outputs['test']) != labels['test']).mean():.2%} wrong")

    chosen = range(0, len(own), EVERY)
    microphone = Microphone(front)
    octaves, frames = [], []
    for n in chosen:
        bits = modulated(microphone.pcm(data.test.frames[n][:, 0]), 96)
        by_bits = front.logarithms(front.envelopes(front.samples(bits)))
        octaves.append(np.abs(by_bits - logarithms["test"][n]) / 2**front.log_frac)
        frames.append(front.activations(by_bits))
    apart = np.concatenate(octaves)
    steps = np.concatenate(
        [np.abs(x - scaled["test"][n]) for x, n in zip(frames, chosen, strict=True)]
    )
    by_bits = answers(results(model, frames))
    by_samples = answers([outputs["test"][n] for n in chosen])
    print(f"{len(chosen)} of them as bits: {apart.mean():.4f} octaves apart in the mean,")
    print(f"99.9 % within {np.quantile(apart, 0.999):.3f}, all within {apart.max():.2f};")
    print(
        f"{(steps > 0).mean():.2%} of the elements differ, {(steps > 1).mean():.3%} by more than 1;"
    )
    print(f"{(by_bits != by_samples).sum()} of {len(chosen)} answers differ")

    background = len(wake_words.KEYWORDS)
    decision = Decision(
        classes=background + 1,
        background=background,
        result_width=model.parameters.output_width,
        smoothing=SMOOTHING,
        pause=PAUSE,
    )
    most = max(np.abs(each).max() for each in outputs["validation"]) << SMOOTHING
    margins = np.linspace(0, most, 65).astype(int).tolist()
    decisions = [replace(decision, margin=margin) for margin in margins]
    best = min(decisions, key=lambda d: decided(d, outputs["validation"], labels["validation"]))
    for part in outputs:
        count = len(labels[part])
        missed, other, false = wrong(told(best, outputs[part]), labels[part], background)
        share = decided(best, outputs[part], labels[part]) / count
        print(f"words, margin {best.margin}, {part}: {share:.2%} of {count} recordings wrong:")
        print(f"{missed} keywords not told, {other} with another told, {false} told in the rest")

    samples = [front.samples_of(microphone.pcm(data.test.frames[n][:, 0]), 2) for n in chosen]
    stream = front.activations(front.logarithms(front.envelopes(np.concatenate(samples))))
    (outputs_of_stream,) = results(model, [stream])
    words = best.words(outputs_of_stream)
    ends = np.cumsum([len(x) for x in samples]) // front.hop
    parts = np.split(words, ends[:-1])
    found = [set(part.tolist()) - {NOTHING} for part in parts]
    missed, other, false = wrong(found, labels["test"][list(chosen)], background)
    print(f"in a stream of {len(found)}, {np.sum(words != NOTHING)} words told:")
    print(f"{missed} keywords not told, {other} with another told, {false} told in the rest")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
