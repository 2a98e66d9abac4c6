"""Any version is tried with inputs of your own: by a server that runs, or loaded here."""
