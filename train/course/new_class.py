"""A device that is in use learns one class more, from a few recordings of it and of the others.

The others are learned from scratch first, in integers as a core learns: the read-out has a row for
the class to come, which takes no part. Of each class that is known some recordings are kept beside
those of the new one, or it forgets them.
"""

from dataclasses import dataclass, replace

import numpy as np

from golden.fixed import quantize
from golden.learn.sequence import LearningNetwork, Settings, order
from golden.model import Model
from train.course import integer_training
from train.course.integer_training import Course, InIntegers
from train.data.recordings import Dataset, Sequences
from train.quantised.float_network import FloatNetwork


@dataclass(frozen=True)
class NewClass:
    """How the last class of the data is learned.

    Parameters
    ----------
    recordings, replay
        Those of the new class, and of each of the others.
    epochs, rate
        How often all of them are learned, with register RATE.
    """

    recordings: int = 10
    replay: int = 3
    epochs: int = 8
    rate: int = 6


@dataclass(frozen=True)
class Beginning:
    """What a device has when it is given the recordings of the new class.

    Attributes
    ----------
    model
        It knows all classes but the last one.
    lessons, test
        What is to be learned, and what that is judged by, as int8 frames in activation LSBs.
    """

    model: Model
    lessons: Sequences
    test: Sequences


def last(data: Dataset, label: int) -> Dataset:
    """The same data with class ``label`` as the last one."""
    classes = [*(n for n in range(len(data.labels or ())) if n != label), label]
    place = np.argsort(classes)

    def part(of: Sequences) -> Sequences:
        return Sequences(of.frames, place[np.asarray(of.labels)])

    assert data.labels is not None
    return replace(
        data,
        labels=tuple(data.labels[n] for n in classes),
        train=part(data.train),
        validation=part(data.validation),
        test=part(data.test),
    )


def beginning(data: Dataset, how: NewClass, seed: int) -> Beginning:
    """Learns all classes but the last one, and draws what is to be learned then."""
    course, labels, learners = Course(), data.labels, list[InIntegers]()
    assert labels is not None
    known = len(labels) - 1
    old = replace(data, train=_below(data.train, known), validation=_below(data.validation, known))

    def make(network: FloatNetwork) -> InIntegers:
        learners.append(InIntegers(network, course, "hinge", known=known))
        return learners[-1]

    integer_training.learn(old, course, seed, make)
    taught = Sequences(
        (*data.train.frames, *data.validation.frames),
        np.concatenate([np.asarray(data.train.labels), np.asarray(data.validation.labels)]),
    )
    mean, std = _below(taught, known).moments()  # nobody has heard the new one

    def part(of: Sequences) -> Sequences:
        activation = course.formats.activation
        frames = of.standardized(mean, std).frames
        return Sequences(tuple(quantize(x, activation).astype(np.int8) for x in frames), of.labels)

    rng = np.random.default_rng(seed)
    chosen = [
        rng.choice(np.flatnonzero(taught.labels == label), count, replace=False)
        for label, count in [*((n, how.replay) for n in range(known)), (known, how.recordings)]
    ]
    model = learners[0].network.model(data.name)
    extra = {
        "input_scale": (1 / std).tolist(),
        "input_offset": mean.tolist(),
        "readout": "sum",
        "source": data.source,
        "licence": data.licence,
    }
    return Beginning(
        replace(model, labels=labels, extra=extra),
        part(taught.pick(np.concatenate(chosen))),
        part(data.test),
    )


def learn(begun: Beginning, how: NewClass, seed: int) -> LearningNetwork:
    """Golden's word on what a core learns."""
    network = LearningNetwork.of(begun.model)
    settings = Settings(how.rate, len(begun.model.labels or ()))
    lessons = begun.lessons
    for n in order(len(lessons), how.epochs, seed):
        network.learn(lessons.frames[n].astype(np.int64), settings, int(lessons.labels[n]))
    return network


def wrong(network: LearningNetwork, test: Sequences, known: int) -> np.ndarray:
    """bool [n]: which sequences are taken for another one of the ``known`` classes."""
    sums = [network.infer(x.astype(np.int64))[0].sum(axis=0) for x in test.frames]
    return np.array([s[:known].argmax() for s in sums]) != np.asarray(test.labels)


def _below(part: Sequences, known: int) -> Sequences:
    return part.pick(np.flatnonzero(np.asarray(part.labels) < known))
