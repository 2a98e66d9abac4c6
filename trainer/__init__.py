"""Who learns: batches, losses, the learner, checkpoints."""
