"""Numbers that steer the networks and that no parameter sets."""

from dataclasses import dataclass


@dataclass(frozen=True)
class NetworkSettings:
    """Numbers of training, calibration and prediction."""

    #: Passes over the data for ``max_epochs="auto"``, and the fewest steps they make. Chosen on
    #: CHOOSE tables of benchmarks/accuracy.py.
    epochs: int = 40
    min_steps: int = 600
    #: Minimum number of folds; each network leaves one of them out.
    min_folds: int = 4
    #: Most samples that fit the temperature: enough for one number, and quick.
    calibration_rows: int = 4096
    #: Weight of the uniform distribution in the probabilities that are pooled, so that no
    #: log-probability is extreme.
    uniform_share: float = 0.01
    #: Samples whose loss before and after shows whether the training helped, and by which share of
    #: it the loss may have grown.
    judged_rows: int = 1024
    tolerance: float = 0.01
    #: Adam divides by the root of its second moment plus this number. Gradients below it do not
    #: move a weight.
    no_gradient: float = 1e-8
    #: A class whose predicted probability never exceeds this is considered lost.
    lost_class: float = 1e-6
    #: Samples that are predicted at once, on the CPU and on a GPU. For speed and memory.
    block: int = 2**10
    block_on_gpu: int = 2**16
    #: Samples times units from which a layer leaves out dropped units. Below, selecting the weights
    #: takes longer than it saves.
    worth_shrinking: int = 2**13
    #: Multiply-adds of a batch up to which torch computes on one thread. Beside another busy
    #: process two threads wait for each other, at many times the cost.
    small_batch: int = 2**30


@dataclass(frozen=True)
class AdaptationSettings:
    """Numbers of ``adapt=True``."""

    #: Steps of the network for each step of the hyperparameters: a step each time would cost more
    #: than the training itself.
    steps: int = 4
    #: Step of the hyperparameters on the unbounded scale. Adam makes steps of about this length
    #: whatever the gradient.
    lr: float = 0.05
    #: Farthest distance from the start on that scale: a factor of 20.
    farthest: float = 3.0
    #: Samples that judge each member in a step of the hyperparameters.
    rows: int = 128
    #: Difference quotient of a float64 loss: about the third root of its precision.
    distance: float = 1e-5
    #: Share of their norm by which the weights move for a difference quotient in float32.
    weight_share: float = 1e-3


NETWORK = NetworkSettings()
ADAPTATION = AdaptationSettings()
