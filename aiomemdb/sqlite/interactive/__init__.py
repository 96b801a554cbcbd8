"""Interactive transactions: programs begin them, leave them open while they wait for a model, and end them."""
