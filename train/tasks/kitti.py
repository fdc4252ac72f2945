"""Driving, ten frames a second: the angle of the front wheels from how the car was seen to move.

KITTI odometry, sequence 00 (A. Geiger, P. Lenz and R. Urtasun, CVPR 2012), CC BY-NC-SA 3.0: the
ground truth and two tracks of real visual odometry (ORB-SLAM, S-PTAM), as the tests of the package
evo 1.38.1 hold them; read from its archive, never copied. Steering is not recorded: it is what the
ground truth's curvature asks of a car of this wheelbase. In time: the first 50 % train, then 17 %
validate, the last 30 % test; both tracks in each part.
"""

import io
import tarfile

import numpy as np

from golden.fixed import Q
from golden.formats import Formats
from train.course.fit import FitParameters
from train.course.goals import Value
from train.course.recipe import Recipe, Task
from train.data.places import package
from train.data.recordings import Dataset, Floats, Sequences
from train.quantised.thresholds import Budget

REQUIREMENT, ARCHIVE = "evo==1.38.1", "evo-1.38.1.tar.gz"
SHA256 = "1d63faeeb37604641db65bdd08b0e83e71884071de368058a9c45bdcac3fc3f7"
TRACKS = ("ORB", "SPTAM")
WHEELBASE = 2.71  # metres
SLOWEST = 1.0  # metres a second, below which a curvature means nothing
PARTS = {"train": (0.0, 0.5), "validation": (0.51, 0.68), "test": (0.7, 1.0)}
PIECES = 256  # of an epoch

RECIPE = Recipe(
    units=48,
    fit=FitParameters(
        epochs=20, batch=16, learning_rate=4e-3, sequence_noise=0.0, frame_noise=0.02, crop=150
    ),
    tune=FitParameters(
        epochs=8, batch=16, learning_rate=3e-4, sequence_noise=0.0, frame_noise=0.02, crop=150
    ),
    theta_x=0,
    theta_h=3,
    noise=1.5,
    delta_cost=0.001,
    formats=(
        Formats(),
        Formats(activation=Q(2, 5), state=Q(2, 5)),
        Formats(state=Q(1, 14)),
        Formats(activation=Q(2, 5), state=Q(1, 14)),
        Formats(activation=Q(1, 6), state=Q(1, 14)),
    ),
    format_tolerance=0.0,
    budget=Budget(error=0.01, loss=0.0005),
)


def load() -> Dataset:
    """Both tracks, cut in time; the steering angle in degrees in every frame."""
    with tarfile.open(package(REQUIREMENT, ARCHIVE, SHA256)) as archive:

        def table(name: str) -> Floats:
            file = archive.extractfile(
                f"{ARCHIVE.removesuffix('.tar.gz')}/test/data/KITTI_00_{name}.txt"
            )
            assert file is not None
            return np.loadtxt(io.TextIOWrapper(file))

        times = table("gt_times")
        truth, *tracks = (_motion(table(name), times) for name in ("gt", *TRACKS))
    speed, turning = truth[:, 0], truth[:, 1]
    angle = np.degrees(np.arctan(WHEELBASE * turning / np.maximum(speed, SLOWEST)))
    parts = {
        part: Sequences(
            tuple(track[slice(*cut)] for track in tracks), (angle[slice(*cut)],) * len(tracks)
        )
        for part, cut in cuts(len(angle), PARTS).items()
    }
    parts["train"] = in_pieces(parts["train"], PIECES)
    return Dataset(
        "kitti",
        None,
        "KITTI odometry, sequence 00 (A. Geiger, P. Lenz, R. Urtasun), tracks of evo 1.38.1",
        "CC BY-NC-SA 3.0 (the data)",
        **parts,
    )


def in_pieces(whole: Sequences, count: int) -> Sequences:
    """The same recordings again and again: ``FitParameters.crop`` takes another piece of each."""
    return whole.pick(np.arange(count) % len(whole))


def cuts(frames: int, parts: dict[str, tuple[float, float]]) -> dict[str, tuple[int, int]]:
    """First and last frame of parts that are given as fractions of a recording."""
    return {part: (int(a * frames), int(b * frames)) for part, (a, b) in parts.items()}


def _motion(poses: Floats, times: Floats) -> Floats:
    """Forward speed, turning rate, their ratio and sideways speed, [T - 1, 4] of poses [T, 12].

    In metres, radians and seconds, in the car's own frame: z is ahead, x to the right.
    """
    matrices = poses.reshape(-1, 3, 4)
    rotation, place = matrices[:, :, :3], matrices[:, :, 3]
    step = np.diff(times)
    turned = np.einsum("nij,nik->njk", rotation[:-1], rotation[1:])
    moved = np.einsum("nij,ni->nj", rotation[:-1], np.diff(place, axis=0)) / step[:, None]
    turning = np.arctan2(turned[:, 0, 2], turned[:, 2, 2]) / step
    ahead = moved[:, 2]
    return np.stack([ahead, turning, turning / np.maximum(ahead, SLOWEST), moved[:, 0]], axis=1)


TASK = Task(load, Value(output_scale=7.0, unit="degrees RMSE", second=10), RECIPE)
