"""Courses of training: recipes, methods, thresholds, goals, and what came of them."""
