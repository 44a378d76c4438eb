"""How the rows of one query are built: decided once, then looked up."""
