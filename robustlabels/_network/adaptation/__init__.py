"""``adapt=True``: hyperparameters of the loss that are learned while a network trains."""
