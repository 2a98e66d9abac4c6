"""Who talks: proposer, solver, critic, evaluator, and the blocks they are made of."""
