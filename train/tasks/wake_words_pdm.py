"""The same wake words, heard by the front end on the chip: from a microphone's bits to a word."""

from dataclasses import replace
from functools import partial

from train.data.microphone import Microphone
from train.tasks import wake_words

TASK = replace(wake_words.TASK, load=partial(wake_words.load, "wake_words_pdm", Microphone().of))
