"""The network of a bundle on OpenVINO; imports neither TensorFlow nor Keras."""

import queue
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from skin_lesion.labels import LABELS, NUM_CLASSES
from skin_lesion.modeling.bundle import Contract, ModelBundle

if TYPE_CHECKING:
    from openvino import CompiledModel, InferRequest

Precision = Literal["float32", "bfloat16"]

_HINTS: dict[Precision, str] = {"float32": "f32", "bfloat16": "bf16"}
# Passes that may be under way at once. A pass has every core to itself, so more would only take
# more memory; the second one copies its pictures while the first computes.
_REQUESTS = 2


@dataclass(frozen=True)
class Outputs:
    """What the serving export says of N pictures.

    Attributes:
        logits: Shape (N, 7), not yet calibrated.
        pooled: Last feature map averaged over its positions, shape (N, C): what the classification
            layer sees.
        features: Last feature map, shape (N, h, w, C); None where it was not asked for.
    """

    logits: NDArray[np.float32]
    pooled: NDArray[np.float32]
    features: NDArray[np.float32] | None = None


class ServingModel:
    """The OpenVINO export of a bundle, compiled once; may be called from many threads at a time."""

    def __init__(
        self, compiled: "CompiledModel", kernel: NDArray[np.float32], contract: Contract
    ) -> None:
        """Wrap a compiled model; use `load` to make one from a bundle.

        Args:
            compiled: Takes uint8 (N, H, W, 3), gives outputs named `logits` and `features`.
            kernel: Weights of the classification layer, shape (C, 7).
            contract: What the model promises.
        """
        self.contract = contract
        self.kernel = kernel
        self._compiled = compiled
        # A request holds the buffers of one forward pass, so no two threads may share one.
        self._free: queue.SimpleQueue[InferRequest] = queue.SimpleQueue()
        for _ in range(_REQUESTS):
            self._free.put(compiled.create_infer_request())

    @classmethod
    def load(
        cls, bundle: ModelBundle, threads: int | None = None, precision: Precision = "float32"
    ) -> "ServingModel":
        """Compile a bundle's export for this CPU.

        Args:
            bundle: The model.
            threads: Threads of a forward pass; None takes every core, which is too many where
                several processes share them.
            precision: Of the computation. Every figure of a model was measured in `float32`;
                `skin_lesion.precision` tells what `bfloat16` changes.

        Raises:
            ValueError: The bundle's labels are not ours, or its export does not keep the contract.
            RuntimeError: This processor has no `bfloat16`.
        """
        from openvino import Core

        contract = bundle.contract
        if contract.labels != LABELS:
            raise ValueError(f"{bundle.path} predicts {contract.labels}; expected {LABELS}")
        if precision == "bfloat16" and not has_bfloat16():
            raise RuntimeError(
                "precision is 'bfloat16', and this processor cannot compute in it; take 'float32'"
            )
        hints: dict[str, str | int] = {
            # It matters: newer CPUs would silently compute in bfloat16 and give other figures.
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            # A thread pinned to a core that another process keeps waits, and the others wait for
            # it. On a free machine pinning gained nothing; on a busy one it doubled the time.
            "ENABLE_CPU_PINNING": False,
        }
        if threads is not None:
            hints["INFERENCE_NUM_THREADS"] = threads
        compiled = Core().compile_model(bundle.serving_path, "CPU", hints)
        names = {name for output in compiled.outputs for name in output.get_names()}
        shape = list(compiled.input(0).get_partial_shape())[1:]
        expected = (contract.input_height, contract.input_width, 3)
        if not {"logits", "features"} <= names or any(
            dimension != size for dimension, size in zip(shape, expected, strict=True)
        ):
            raise ValueError(
                f"{bundle.serving_path} takes (N, {shape}) and gives {sorted(names)}; "
                f"expected (N, {expected}) and outputs logits, features: export the model anew"
            )
        with np.load(bundle.serving_path.with_name("head.npz"), allow_pickle=False) as head:
            kernel = head["kernel"].astype(np.float32)
        if kernel.shape[1:] != (NUM_CLASSES,):
            raise ValueError(f"head.npz holds a kernel {kernel.shape}; expected (C, {NUM_CLASSES})")
        return cls(compiled, kernel, contract)

    def run(
        self, pixels: NDArray[np.uint8], batch_size: int = 16, with_features: bool = False
    ) -> Outputs:
        """One forward pass over N pictures, a batch at a time.

        Args:
            pixels: RGB, shape (N, H, W, 3), 0 to 255, H and W as in the contract. A memory-mapped
                array is read batch by batch.
            batch_size: Pictures at a time; it bounds memory and changes no result. Where the model
                averages over views, each of them counts as a picture.
            with_features: Whether to return the feature maps too, which take much more memory.

        Raises:
            ValueError: Wrong shape or type, or the model gave numbers that are not finite.
        """
        expected = (self.contract.input_height, self.contract.input_width, 3)
        if pixels.dtype != np.uint8 or pixels.shape[1:] != expected:
            raise ValueError(
                f"got {pixels.dtype} pixels of shape {pixels.shape}; expected uint8 (N, "
                f"{', '.join(map(str, expected))}) from skin_lesion.data.images.read_pixels"
            )
        logits = np.empty((len(pixels), NUM_CLASSES), np.float32)
        pooled = np.empty((len(pixels), len(self.kernel)), np.float32)
        maps: list[NDArray[np.float32]] = []
        for rows in batches(len(pixels), max(1, batch_size // self.contract.views)):
            batch = np.ascontiguousarray(pixels[rows])
            request = self._free.get()
            try:
                # Shared: what comes out lies in the request's buffers until its next pass.
                result = request.infer([batch], share_inputs=True, share_outputs=True)
                logits[rows] = result["logits"]
                pooled[rows] = result["features"].mean(axis=(1, 2))
                if with_features:
                    maps.append(result["features"].copy())
            finally:
                self._free.put(request)
        if not np.isfinite(logits).all():
            raise ValueError("the model gave logits that are not finite; its weights are broken")
        if not with_features:
            return Outputs(logits, pooled)
        if not maps:
            raise ValueError("got no pictures; feature maps need at least one")
        return Outputs(logits, pooled, np.concatenate(maps))


def has_bfloat16() -> bool:
    """Whether this processor computes in bfloat16 by itself."""
    from openvino import Core

    return "BF16" in Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def batches(count: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` that cover `count` rows, in order."""
    for start in range(0, count, size):
        yield slice(start, start + size)
