"""What is trained for the results, and kept: a model file for each run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from golden.errors import refusal
from golden.files import make_folder
from golden.model import Model, load_model
from train.methods import LADDER as METHODS
from train.pipeline import checkpoint_path, finish, pretrain
from train.recipe import Task
from train.tasks import TASKS, find_task
from train.tasks.digits import SPEAKERS, unseen

SEEDS = (0, 1, 2)
LADDER = "digits"  # the task that climbs all of it
COMPARED = ("plain", "sparse")  # elsewhere: the naive threshold, and all that training can do


@dataclass(frozen=True)
class Study:
    """One task by some methods and seeds."""

    name: str
    task: Callable[[], Task]
    methods: tuple[str, ...]
    seeds: tuple[int, ...] = SEEDS

    def path(self, folder: Path, method: str, seed: int) -> Path:
        return folder / f"{self.name}.{method}.{seed}.safetensors"


def studies() -> dict[str, Study]:
    """All of them: each task, then digits without each of their speakers."""
    found = {
        name: Study(
            name,
            lambda name=name: find_task(name),
            tuple(METHODS) if name == LADDER else COMPARED,
        )
        for name in TASKS
    }
    for speaker in SPEAKERS:
        name = f"{LADDER}_unseen_{speaker}"
        found[name] = Study(name, lambda speaker=speaker: unseen(speaker), ("sparse",), SEEDS[:1])
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
        missing = {
            seed: [m for m in study.methods if not study.path(folder, m, seed).exists()]
            for seed in study.seeds
        }
        if not any(missing.values()):
            continue
        task = study.task()
        data = task.load()
        for seed, methods in missing.items():
            if not methods:
                continue
            kept = checkpoint_path(folder / f"{study.name}.{seed}.safetensors", "float")
            pretrained = pretrain(task, data, seed, progress, kept)
            for method in methods:
                path = study.path(folder, method, seed)
                checkpoint = checkpoint_path(path, "tune")
                finish(task, data, pretrained, method, path, seed, progress, checkpoint)
                checkpoint.unlink(missing_ok=True)
            kept.unlink(missing_ok=True)


def models(study: Study, folder: Path, method: str) -> list[Model]:
    """The models of one method, a seed each."""
    return [load_model(study.path(folder, method, seed)) for seed in study.seeds]
