"""Models that are learned over rounds: `FedAvg`, and what makes scikit-learn's and PyTorch's models travel.

Authors of tasks import from here. scikit-learn and PyTorch are loaded when a model is made, never before.
"""

from friendlyfl.tasks.ml.fedavg import FedAvg

__all__ = ["FedAvg"]
