"""What can be trained: tasks by name, a module each with its ``TASK``, and one's own recordings."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from golden.errors import refusal
from golden.recordings import SUFFIXES
from train.course.recipe import Task

TASKS = (
    "japanese_vowels",
    "digits",
    "strings",
    "wake_words",
    "wake_words_pdm",
    "command_words",
    "comma2k19",
    "kitti",
    "gestures",
)


def find_task(name: str) -> Task:
    """The task of that name, or that of the recordings in a file or folder.

    Raises
    ------
    ValueError
        Where there is none, or the recordings do for none (train/tasks/own.py).
    ModuleNotFoundError
        Where a package that it needs is not installed.
    """
    path = Path(name)
    if name not in TASKS and (path.suffix in SUFFIXES or path.is_dir()):
        return import_module("train.tasks.own").own_task(path)
    if name not in TASKS:
        expected = f"{' or '.join(TASKS)}, or recordings: {', '.join(SUFFIXES)} or a folder"
        raise refusal("task", repr(name), expected)
    task: Task = import_module(f"train.tasks.{name}").TASK
    return task


def resized(task: Task, epochs: int | None = None, **sizes: Any) -> Task:
    """The same task with another network: ``units``, ``layers``, ``cell``; None leaves them.

    ``epochs`` is for the float network, and as many again for the delta network.
    """
    recipe = replace(task.recipe, **{k: size for k, size in sizes.items() if size is not None})
    if epochs is not None:
        fit, tune = (replace(part, epochs=epochs) for part in (recipe.fit, recipe.tune))
        recipe = replace(recipe, fit=fit, tune=tune)
    return replace(task, recipe=recipe)
