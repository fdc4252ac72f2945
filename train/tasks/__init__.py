"""The tasks that can be trained by name: a module each, with its ``TASK``."""

from importlib import import_module

from golden.errors import refusal
from train.course.recipe import Task

TASKS = (
    "japanese_vowels",
    "digits",
    "strings",
    "wake_words",
    "command_words",
    "comma2k19",
    "kitti",
    "gestures",
)


def find_task(name: str) -> Task:
    """The task of that name.

    Raises
    ------
    ValueError
        Where there is none.
    ModuleNotFoundError
        Where a package that it needs is not installed.
    """
    if name not in TASKS:
        raise refusal("task", repr(name), " or ".join(TASKS))
    task: Task = import_module(f"train.tasks.{name}").TASK
    return task
