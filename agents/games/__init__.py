"""Games of two, exact: rules, what a player sees, how far a policy is from equilibrium."""
