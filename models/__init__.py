"""Small trained models with some held-out recordings each, so that everything runs offline."""
