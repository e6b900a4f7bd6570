"""The conformance cases pass under the strictest settings of JAX."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import polyrnn
from polyrnn_conformance.calls import on_host
from polyrnn_conformance.cases import CASES
from polyrnn_conformance.comparing import assert_agrees, assert_gradients_agree, expected_of
from polyrnn_conformance.plugin import register_node
from polyrnn_conformance.rows import Case
from polyrnn_conformance.subject import Subject
from polyrnn_conformance.trees import leaves_of, map_leaves
from polyrnn_jax.backend import JaxBackend
from polyrnn_jax.harness import JaxHarness

SETTINGS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "strict-dtypes": lambda: jax.numpy_dtype_promotion("strict"),
    "no-rank-promotion": lambda: jax.numpy_rank_promotion("raise"),
    "debug-nans": lambda: jax.debug_nans(True),
}
