"""The network of RobustClassifier, on torch and skorch.

From the bottom up, each imports only from those above it:

- ``module``: the built-in network;
- ``batches``, ``threads``, ``seeding``: what feeds it, on how many threads, from which seeds;
- ``adaptation``: hyperparameters of the loss that are learned on the way;
- ``callbacks``: the learning rate over a fit, the progress bar;
- ``scores``: what a network says of rows, several members as one;
- ``net``: the skorch net, with the training loop;
- ``storage``: a net as plain arrays, and back;
- ``parameters``: the loss, the device and the net that the estimator's parameters describe.
"""
