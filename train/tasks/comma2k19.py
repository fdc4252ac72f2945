"""Driving, eighty-three frames a second: the steering wheel's angle from the car's motion.

comma2k19, Example_1 (H. Schafer, E. Santana, A. Haden and R. Biasini, arXiv:1812.05752), MIT: a
minute on a motorway, as ``comma2k19/{CAN,IMU}/...`` with arrays ``t`` and ``value``. The paper's
comma.ai drives predicted the angle from pictures; here the gyroscope, the accelerometer, the
speed and the wheels say how the car moves, the network how the wheel was turned for it. In time:
the first 48 % train, then 12 % validate, the last 30 % test.
"""

from pathlib import Path

import numpy as np

from golden.errors import refusal
from golden.fixed import Q
from golden.formats import Formats
from train.course.fit import FitParameters
from train.course.goals import Value
from train.course.recipe import Recipe, Task
from train.data.places import folder
from train.data.recordings import Dataset, Floats, Sequences
from train.quantised.thresholds import Budget
from train.tasks.kitti import cuts, in_pieces

PARTS = {"train": (0.0, 0.48), "validation": (0.48, 0.6), "test": (0.7, 1.0)}
SETTLING = 0.25  # seconds: time constant of the low pass on what the sensors say
PIECES = 128  # of an epoch

RECIPE = Recipe(
    units=32,
    fit=FitParameters(
        epochs=8, batch=16, learning_rate=3e-3, sequence_noise=0.0, frame_noise=0.1, crop=300
    ),
    tune=FitParameters(
        epochs=12, batch=16, learning_rate=5e-4, sequence_noise=0.0, frame_noise=0.1, crop=300
    ),
    theta_x=4,
    theta_h=2,
    noise=1.5,
    delta_cost=0.02,
    formats=(
        Formats(),
        Formats(activation=Q(2, 5), state=Q(2, 5)),
        Formats(state=Q(1, 14)),
        Formats(activation=Q(2, 5), state=Q(1, 14)),
    ),
    format_tolerance=0.002,
    budget=Budget(error=0.003, loss=0.003),
)


def load() -> Dataset:
    """One drive, cut in time; the angle in degrees in every frame."""
    place = folder("comma2k19")
    times, angle = _signal(place, "CAN/steering_angle")

    def at_frames(name: str) -> Floats:
        own, values = _signal(place, name)
        values = values.reshape(len(own), -1)
        return np.stack([np.interp(times, own, column) for column in values.T], axis=1)

    speed = at_frames("CAN/speed")[:, 0]
    gyro, acceleration = at_frames("IMU/gyro"), at_frames("IMU/accelerometer")
    wheels = at_frames("CAN/wheel_speed")
    turning = gyro[:, 2]  # about the vertical
    features = np.stack(
        [
            speed,
            turning,
            turning / speed,
            acceleration[:, 1],
            (wheels[:, 0] - wheels[:, 1]) / speed,
            (wheels[:, 2] - wheels[:, 3]) / speed,
        ],
        axis=1,
    )
    features = _low_pass(features, float(np.median(np.diff(times))) / SETTLING)
    parts = {
        part: Sequences((features[slice(*cut)],), (angle[slice(*cut)],))
        for part, cut in cuts(len(times), PARTS).items()
    }
    parts["train"] = in_pieces(parts["train"], PIECES)
    return Dataset("comma2k19", None, "comma2k19, Example_1 (comma.ai)", "MIT", **parts)


def _signal(place: Path, name: str) -> tuple[Floats, Floats]:
    """Times in seconds and values of one signal."""
    found = []
    for part in ("t", "value"):
        path = place / name / part
        try:
            found.append(np.load(path, allow_pickle=False).astype(np.float64))
        except (OSError, ValueError):
            raise refusal(
                str(path), "no array", "a NumPy array, as in the set's processed_log"
            ) from None
    return found[0], found[1]


def _low_pass(features: Floats, step: float) -> Floats:
    """One pole: y += step * (x - y), from the first frame on."""
    smooth = np.empty_like(features)
    y = features[0]
    for t, x in enumerate(features):
        y = smooth[t] = y + step * (x - y)
    return smooth


TASK = Task(load, Value(output_scale=1.0, unit="degrees RMSE", second=83), RECIPE)
