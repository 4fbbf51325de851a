"""RobustClassifier and its networks, on torch and skorch.

From the bottom up: ``module`` is the built-in network, ``net`` the skorch net with the training
loop, ``adaptation`` learns hyperparameters of the loss. An ``engine`` holds a net with all that
training and prediction need; ``training`` prepares what it learns. ``robust`` is the estimator,
``joint`` trains several at once.
"""
