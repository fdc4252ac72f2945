"""What is trained for the results, and kept: a model file for each run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from golden.errors import refusal
from golden.files import make_folder
from golden.model import Model
from golden.model_file import load_model
from train.course.increments import train_in_increments
from train.course.methods import LADDER, SCRATCH
from train.course.pipeline import checkpoint_path, finish, pretrain
from train.course.recipe import Task
from train.course.scratch import train_from_scratch
from train.data.recordings import Dataset
from train.tasks import TASKS, find_task
from train.tasks.command_words import INCREMENTS
from train.tasks.digits import SPEAKERS, unseen

SEEDS = (0, 1, 2)
CLIMBER = "digits"  # the task that climbs all of the ladder
TRAINED_SPARSELY = "command_words"  # the one that a delta network learns from scratch
COMPARED = ("plain", "sparse")  # elsewhere: the naive threshold, and all that training can do


@dataclass(frozen=True)
class Study:
    """One task by some methods and seeds, each from the float network of its seed."""

    name: str
    task: Callable[[], Task]
    methods: tuple[str, ...]
    seeds: tuple[int, ...] = SEEDS

    def path(self, folder: Path, method: str, seed: int) -> Path:
        return folder / f"{self.name}.{method}.{seed}.safetensors"

    def models(self, folder: Path, method: str) -> list[Model]:
        """The models of one method, a seed each."""
        return [load_model(self.path(folder, method, seed)) for seed in self.seeds]

    def complete(self, folder: Path, progress: bool) -> None:
        """Trains what is not in ``folder`` yet."""
        missing = {
            seed: [m for m in self.methods if not self.path(folder, m, seed).exists()]
            for seed in self.seeds
        }
        if not any(missing.values()):
            return
        task = self.task()
        data = task.load()
        for seed, methods in missing.items():
            if methods:
                self._train(task, data, methods, folder, seed, progress)

    def _train(
        self,
        task: Task,
        data: Dataset,
        methods: list[str],
        folder: Path,
        seed: int,
        progress: bool,
    ) -> None:
        kept = checkpoint_path(folder / f"{self.name}.{seed}.safetensors", "float")
        pretrained = pretrain(task, data, seed, progress, kept)
        for method in methods:
            path = self.path(folder, method, seed)
            checkpoint = checkpoint_path(path, "tune")
            finish(task, data, pretrained, method, path, seed, progress, checkpoint)
            checkpoint.unlink(missing_ok=True)
        kept.unlink(missing_ok=True)


class ScratchStudy(Study):
    """One task from scratch (train/course/scratch.py), dense and as a delta network."""

    def _train(
        self,
        task: Task,
        data: Dataset,
        methods: list[str],
        folder: Path,
        seed: int,
        progress: bool,
    ) -> None:
        for method in methods:
            path = self.path(folder, method, seed)
            checkpoint = checkpoint_path(path, "tune")
            train_from_scratch(task, data, method, path, seed, progress, checkpoint)
            checkpoint.unlink(missing_ok=True)


class IncrementalStudy(Study):
    """Command words learned a few at a time (train/course/increments.py)."""

    def _train(
        self,
        task: Task,
        data: Dataset,
        methods: list[str],
        folder: Path,
        seed: int,
        progress: bool,
    ) -> None:
        for method in methods:
            path = self.path(folder, method, seed)
            train_in_increments(task, INCREMENTS, data, method, path, seed, progress)


def studies() -> dict[str, Study]:
    """All: each task, digits without each of their speakers, a delta network from scratch."""
    found = {
        name: Study(
            name,
            lambda name=name: find_task(name),
            tuple(LADDER) if name == CLIMBER else COMPARED,
        )
        for name in TASKS
    }
    for speaker in SPEAKERS:
        name = f"{CLIMBER}_unseen_{speaker}"
        found[name] = Study(name, lambda speaker=speaker: unseen(speaker), ("sparse",), SEEDS[:1])
    for kind, what in ((ScratchStudy, "scratch"), (IncrementalStudy, "increments")):
        name = f"{TRAINED_SPARSELY}_{what}"
        found[name] = kind(name, lambda: find_task(TRAINED_SPARSELY), tuple(SCRATCH))
    return found


def chosen(names: Sequence[str]) -> dict[str, Study]:
    """Those called for, or all; ValueError where there is none of that name."""
    known = studies()
    for name in names:
        if name not in known:
            raise refusal("study", repr(name), " or ".join(known))
    return {name: study for name, study in known.items() if not names or name in names}


def complete(wanted: dict[str, Study], folder: Path, progress: bool) -> None:
    """Trains what is not in ``folder`` yet. What an interrupt leaves is gone on with later."""
    make_folder(folder)
    for study in wanted.values():
        study.complete(folder, progress)
