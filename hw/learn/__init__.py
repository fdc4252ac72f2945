"""What a core that learns has beside inference (docs/training-core.md)."""
