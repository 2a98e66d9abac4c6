"""Who learns: batches, filters, updates, the learner, checkpoints."""
