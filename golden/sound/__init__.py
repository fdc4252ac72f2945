"""From a microphone's bits to a network's frames, and from its results to a word: docs/sound.md."""
