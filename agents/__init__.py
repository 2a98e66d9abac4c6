"""Who talks: proposer, solver, critic, evaluator; their domains and engines."""
