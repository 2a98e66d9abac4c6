"""The proof that nothing was lost or learned twice."""
