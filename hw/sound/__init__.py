"""From a microphone's bits to a core's frames, and from its results to words: docs/sound.md."""
