"""The harness with which the conformance suite runs TensorFlow: eagerly, in graphs, with XLA."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import tensorflow as tf

from polyrnn import Backend
from polyrnn_conformance.harness import Capability, Function, Harness
from polyrnn_tensorflow.backend import BLOCK


class TensorFlowHarness(Harness):
    """Runs functions eagerly, in graphs with known and with unknown shapes, and under XLA.

    Unless TensorFlow is already initialized, the CPU is split into two logical devices.

    Args:
        backend: The backend under test.
    """

    limitations: ClassVar[Mapping[Capability, str]] = {}
    handwritten: ClassVar[str | None] = "polyrnn_tensorflow.handwritten:TensorflowFramework"

    modes: ClassVar = ("eager", "function", "unknown", "xla")
    unknown_shape_modes: ClassVar = ("unknown",)
    follows_devices: ClassVar = False
    block_sizes: ClassVar = {"eager": (BLOCK,)}

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        cpu = tf.config.list_physical_devices("CPU")[0]
        halves = [tf.config.LogicalDeviceConfiguration()] * 2
        try:
            tf.config.set_logical_device_configuration(cpu, halves)
        except RuntimeError:  # TensorFlow is already initialized
            devices = tf.config.list_logical_devices("CPU")
            self.devices = tuple(device.name.removeprefix("/device:") for device in devices)
        else:
            # To ask for them would initialize TensorFlow, after which no setting can change.
            self.devices = ("CPU:0", "CPU:1")

    def on_device(self, tensor: Any, device: str) -> Any:
        with tf.device(device):
            return tf.identity(tensor)

    def device_of(self, tensor: Any) -> str:
        return str(tensor.device.rpartition("device:")[2])

    def to_numpy(self, tensor: Any) -> Any:
        return tensor.numpy()

    def run(self, mode: str, function: Function, tensors: Sequence[Any]) -> list[Any]:
        return list(_in_mode(mode, function, tensors)(*tensors))

    def gradients(
        self, mode: str, function: Callable[..., Any], tensors: Sequence[Any]
    ) -> list[Any]:
        def differentiate(*tensors: Any) -> list[Any]:
            with tf.GradientTape() as tape:
                tape.watch(tensors)
                result = function(*tensors)
            gradients = tape.gradient(
                result, tensors, unconnected_gradients=tf.UnconnectedGradients.ZERO
            )
            return [tf.convert_to_tensor(gradient) for gradient in gradients]

        return list(_in_mode(mode, differentiate, tensors)(*tensors))


def _in_mode(mode: str, function: Function, tensors: Sequence[Any]) -> Function:
    if mode == "eager":
        return function
    specs = tensors
    if mode == "unknown":
        specs = [tf.TensorSpec(_forget(tensor.shape), tensor.dtype) for tensor in tensors]
    graph = tf.function(function, jit_compile=mode == "xla", autograph=False)
    # Calling the concrete function avoids TensorFlow's warnings about frequent retracing.
    concrete: Function = graph.get_concrete_function(*specs)
    return concrete


def _forget(shape: tf.TensorShape) -> tf.TensorShape:
    """Return a shape with unknown batch and time sizes, as the shapes within a model have."""
    return tf.TensorShape([None] * min(2, len(shape))).concatenate(shape[2:])
