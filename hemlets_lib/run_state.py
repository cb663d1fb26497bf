"""What a run keeps to be resumed: weights, their average, optimiser, random generators, and where it is."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from hemlets_lib.checkpoint import save_checkpoint
from hemlets_lib.data.mixing import Mixture
from hemlets_lib.model import HEMletsNet
from hemlets_lib.recipes import TrainConfig
from hemlets_lib.run_folder import RunFolder, RunLog

__all__ = ["RunState", "adam", "moving_average"]

_FUSED = {"cpu", "cuda", "mps", "xpu"}  # kinds of devices for which PyTorch has Adam as one kernel
_YOUNG = 10  # the average of weights is over fewer steps at first, or it would remember the random start


def adam(model: nn.Module, learning_rate: float) -> torch.optim.Adam:
    """Adam as one pass over all weights, where PyTorch has that for their device.

    A state that a run saved says how it was updated, and a resumed run goes on that way.

    Args:
        model: Whose weights, on their device already.
        learning_rate: At first.

    Source: 'Implementation details' names Adam.
    """
    kinds = {parameter.device.type for parameter in model.parameters()}
    return torch.optim.Adam(model.parameters(), lr=learning_rate, fused=kinds <= _FUSED)


def moving_average(model: HEMletsNet, decay: float) -> AveragedModel:
    """The weights' average over about 1 / (1 - decay) steps, over fewer in the beginning.

    Args:
        model: Whose; statistics of batch normalisation are averaged too.
        decay: Share of the old average that each step leaves.
    """
    return _MovingAverage(model, decay)


class _MovingAverage(AveragedModel):
    """PyTorch's own takes its counter to the device in each step, which makes the host wait for a GPU."""

    def __init__(self, model: HEMletsNet, decay: float) -> None:
        super().__init__(model, use_buffers=True)
        self._decay = decay

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Takes in the weights and statistics of a step."""
        taken = int(self.n_averaged)  # kept on the CPU, wherever the weights are
        weight = max(1 - self._decay, (_YOUNG - 1) / (_YOUNG + taken)) if taken else 1.0
        (averaged, counts), (current, counted) = _by_kind(self.module), _by_kind(model)
        torch._foreach_lerp_(averaged, current, weight=weight)
        torch._foreach_copy_(counts, counted)  # how many batches a normalisation has seen
        self.n_averaged += 1


def _by_kind(model: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """Weights and buffers: those of real numbers, and those that count."""
    tensors = [tensor.detach() for tensor in itertools.chain(model.parameters(), model.buffers())]
    return (
        [tensor for tensor in tensors if tensor.is_floating_point()],
        [tensor for tensor in tensors if not tensor.is_floating_point()],
    )


def _lay_out_like_weights(optimiser: torch.optim.Optimizer) -> None:
    """Adam in one pass goes through memory in order; a file holds all tensors row by row."""
    for parameter, moments in optimiser.state.items():
        for name, moment in moments.items():
            if moment.shape == parameter.shape and moment.stride() != parameter.stride():
                moments[name] = torch.empty_like(parameter).copy_(moment)


class RunState:
    """All that resuming takes, and the network that is handed over.

    Args:
        folder: Where they are kept.
        config: The recipe.
        data: What is drawn from, for the network's file.
        model, optimiser, average: What is saved, and restored in place.
        processes: How many train.
    """

    def __init__(
        self,
        folder: RunFolder,
        config: TrainConfig,
        data: Mixture,
        model: HEMletsNet,
        optimiser: torch.optim.Optimizer,
        average: AveragedModel | None,
        processes: int,
    ) -> None:
        self._folder, self._config, self._data, self._processes = folder, config, data, processes
        self._model, self._optimiser, self._average = model, optimiser, average

    @property
    def wanted(self) -> HEMletsNet:
        """The average where there is one: it is tried out and handed over."""
        network = self._model if self._average is None else self._average.module
        assert isinstance(network, HEMletsNet)
        return network

    def save_state(self, step: int, log: RunLog) -> None:
        """Replaces the state; the step is the next one to be taken."""
        self._folder.save_state(
            {
                "step": step,
                "seconds": log.seconds,
                "processes": self._processes,
                "model": self._model.state_dict(),
                "optimiser": self._optimiser.state_dict(),
                "average": None if self._average is None else self._average.state_dict(),
                "rng": {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()},
            }
        )

    def save_network(self, step: int, log: RunLog) -> None:
        """Replaces the network's checkpoint."""
        save_checkpoint(self._folder.model_path, self.wanted, metadata=log.summary(step, self._data.config))

    def restore(self) -> tuple[int, float]:
        """Puts the saved state into its places.

        Returns:
            The step that is next, and the seconds spent so far.

        Raises:
            FileNotFoundError: If nothing was saved.
            ValueError: If it is damaged, does not fit, or is of another number of processes.
        """
        state = self._folder.load_state()
        try:
            self._model.load_state_dict(state["model"])
            self._optimiser.load_state_dict(state["optimiser"])
            _lay_out_like_weights(self._optimiser)
            if self._average is not None:
                self._average.load_state_dict(state["average"])
            torch.set_rng_state(state["rng"]["cpu"])
            if len(state["rng"]["cuda"]) == torch.cuda.device_count():
                torch.cuda.set_rng_state_all(state["rng"]["cuda"])
            step, seconds, processes = state["step"], state["seconds"], state["processes"]
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise ValueError(
                f"{self._folder.state_path}: expected the state of this run's network, got another: {error} "
                "It was altered, or written by another version: start the run again elsewhere."
            ) from error
        if processes != self._processes and not self._config.freeze_batch_norm:
            raise ValueError(
                f"training: expected the {processes} processes that this run had, got {self._processes}: "
                "batch normalisation would see other shares of the batch. Resume with as many."
            )
        return step, seconds
