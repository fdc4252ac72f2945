"""Training for the delta accelerator: from recordings to a model file, in PyTorch.

An optional extra. It imports golden/, whose integer network is the judge of every result here;
nothing imports it at module load.
"""
