"""Rules 16, 20 and 21: the choice of the backend, neutral values and tensors of others."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import polyrnn
from polyrnn import registry
from polyrnn.statuses import statuses
from polyrnn_conformance.calls import wave
from polyrnn_conformance.comparing import DisagreementError
from polyrnn_conformance.rows import Check
from polyrnn_conformance.subject import Subject
from polyrnn_conformance.trees import Pair

ISOLATION = """
import importlib, sys
import polyrnn
name, framework, frameworks = sys.argv[1], sys.argv[2], set(sys.argv[3].split())
at_import = frameworks & set(sys.modules)
importlib.import_module(framework)
by_framework = set(sys.modules)
polyrnn.use_backend(name)
by_choice = frameworks & set(sys.modules) - by_framework - {"numpy"}
print(sorted(at_import), sorted(by_choice))
"""


def _namespace_has_functions(subject: Subject, mode: str) -> None:
    found: list[Any] = []

    def function(x: Any) -> list[Any]:
        found.append(polyrnn.namespace(x))
        return [x + x]

    subject.harness.run(mode, function, [subject.tensor(wave(2, 3))])
    _assert_equal("polyrnn.namespace", found[-1], subject.backend.namespace)
    for name in ("tanh", "exp", "matmul", "where"):
        if not hasattr(found[-1], name):
            raise DisagreementError(f"polyrnn.namespace: has no {name}")


def _rnn(subject: Subject, mode: str, array: Any, **arguments: Any) -> type:
    """Return the tensor type of the output of a call with the given arguments."""

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        return x, [states[0] + x]

    last, _, _ = polyrnn.rnn(step, array, [np.zeros((2, 3), "float32")], **arguments)
    return type(last)


def _is_of(subject: Subject, kind: type) -> None:
    if not issubclass(kind, subject.backend.tensor_type):
        raise DisagreementError(
            f"last_output: got a {kind.__name__}, no tensor of {subject.called}"
        )


def _by_argument(subject: Subject, mode: str) -> None:
    with _environment("no_such_backend"), polyrnn.use_backend("numpy"):
        _is_of(subject, _rnn(subject, mode, wave(2, 4, 3), backend=subject.choice))


def _by_context(subject: Subject, mode: str) -> None:
    with _environment("no_such_backend"), polyrnn.use_backend(subject.choice):
        _is_of(subject, _rnn(subject, mode, wave(2, 4, 3)))
        with polyrnn.use_backend("numpy"):
            inner = _rnn(subject, mode, wave(2, 4, 3))
        _is_of(subject, _rnn(subject, mode, wave(2, 4, 3)))
    if not issubclass(inner, np.ndarray | np.generic):
        raise DisagreementError(f"last_output: got a {inner.__name__} in use_backend('numpy')")


def _by_environment(subject: Subject, mode: str) -> None:
    with _environment(str(subject.name)):
        _is_of(subject, _rnn(subject, mode, wave(2, 4, 3)))


def _by_tensors(subject: Subject, mode: str) -> None:
    with _environment(""):
        _is_of(subject, _rnn(subject, mode, subject.tensor(wave(2, 4, 3))))


def _by_tensors_in_a_node(subject: Subject, mode: str) -> None:
    kinds: list[type] = []

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        (pair,) = states
        return x, [Pair(pair.left + x, pair.right)]

    def function(left: Any, right: Any) -> list[Any]:
        _, _, (pair,) = polyrnn.rnn(step, inputs, [Pair(left, right)])
        kinds.append(type(pair))
        return [pair.left, pair.right]

    # Made outside the function: a compiler may not support making NumPy arrays.
    inputs, state = wave(2, 4, 3), subject.tensor(wave(2, 3))
    with _environment(""):
        results = subject.harness.run(mode, function, [state, state])
    _assert_equal("type of the state", kinds[-1], Pair)
    _is_of(subject, type(results[0]))


def _by_default(subject: Subject, mode: str) -> None:
    with _environment(""):
        kind = _rnn(subject, mode, wave(2, 4, 3))
    if not issubclass(kind, np.ndarray | np.generic):
        raise DisagreementError(f"last_output: got a {kind.__name__} of NumPy arrays alone")


def _unknown_name(subject: Subject, mode: str) -> None:
    name = str(subject.name)
    typed = name[0] + name[2:]
    expected = f"no backend is named {typed!r}; did you mean {name!r}? There are: "
    try:
        _rnn(subject, mode, wave(2, 4, 3), backend=typed)
    except ValueError as error:
        if not str(error).startswith(expected):
            raise DisagreementError(f"unknown name: got {error}, expected {expected}...") from error
    else:
        raise DisagreementError(f"unknown name: {typed!r} was taken")


def _exact_name(subject: Subject, mode: str) -> None:
    for name in (f" {subject.name} ", f"{subject.name}\n", str(subject.name).upper()):
        with _environment(name):
            try:
                _rnn(subject, mode, wave(2, 4, 3))
            except ValueError as error:
                if f"no backend is named {name!r}; did you mean {subject.name!r}?" in str(error):
                    continue
                raise DisagreementError(f"environment: got {error} for {name!r}") from error
        raise DisagreementError(f"environment: {name!r} was taken")


def _described(known: registry.Registry) -> list[str]:
    """Return the names of the backends whose plug-ins can be imported."""
    return [status.name for status in statuses(known) if status.state in ("installed", "missing")]


def _foreign(subject: Subject) -> Any:
    """Return an object that looks like a tensor of a framework other than that of the subject."""
    known = registry.installed()
    own = ("numpy", subject.framework, subject.name)
    for other in _described(known):
        kind = type("Tensor", (), {"__module__": known.info(other).modules[0]})
        # Of a module that two plug-ins claim one has the tensors.
        if other not in own and known.framework_of(kind) == other:
            return kind()
    raise DisagreementError("no other backend is installed whose tensors could be refused")


def _foreign_tensor(subject: Subject, mode: str) -> None:
    tensor = _foreign(subject)
    spelled = repr(subject.name) if subject.name else type(subject.backend).__name__
    _assert_refused(
        f"initial_states[0]['h']: expected a tensor of {subject.called} (the backend was chosen by "
        f"backend={spelled}), got {type(tensor).__module__}.Tensor",
        subject.tensor(wave(2, 4, 3)),
        [{"h": tensor}],
        backend=subject.choice,
    )


def _two_frameworks(subject: Subject, mode: str) -> None:
    tensor = _foreign(subject)
    with _environment(""):
        _assert_refused(
            f"initial_states[0]: expected a tensor of {subject.called} (the backend was chosen by "
            f"the {subject.called} tensor inputs['a']), got {type(tensor).__module__}.Tensor",
            {"a": subject.tensor(wave(2, 4, 3))},
            [tensor],
        )


def _number_as_constant(subject: Subject, mode: str) -> None:
    handed: list[Any] = []

    def step(x: Any, states: list[Any]) -> tuple[Any, Any]:
        handed.append(states[1])
        return x, states[:1]

    tensor = subject.tensor(wave(2, 4, 3))
    polyrnn.rnn(step, tensor, [tensor[:, 0, :]], constants=2.5, backend=subject.choice)
    _is_of(subject, type(handed[0]))
    # Each framework chooses the dtype of a Python number.
    shape = subject.backend.shape(handed[0])
    _assert_equal("shape of the constant", shape, ())


def _imports_alone(subject: Subject, mode: str) -> None:
    known = registry.installed()
    info = known.info(str(subject.name))
    frameworks = {module for other in _described(known) for module in known.info(other).modules}
    printed = subprocess.run(
        [sys.executable, "-c", ISOLATION, info.name, info.modules[0], " ".join(frameworks)],
        capture_output=True,
        text=True,
        check=True,
    )
    _assert_equal("frameworks imported, at import and by choice", printed.stdout, "[] []\n")


def _assert_refused(text: str, inputs: Any, states: Any, **arguments: Any) -> None:
    try:
        polyrnn.rnn(lambda x, states: (x, states), inputs, states, **arguments)
    except TypeError as error:
        _assert_equal("error", str(error), text)
    else:
        raise DisagreementError(f"error: got none, expected {text}")


def _assert_equal(what: str, got: Any, expected: Any) -> None:
    if got != expected:
        raise DisagreementError(f"{what}: got {got!r}, expected {expected!r}")


@contextmanager
def _environment(name: str) -> Iterator[None]:
    before = os.environ.get("POLYRNN_BACKEND")
    os.environ["POLYRNN_BACKEND"] = name
    try:
        yield
    finally:
        if before is None:
            del os.environ["POLYRNN_BACKEND"]
        else:
            os.environ["POLYRNN_BACKEND"] = before


ROWS = (
    Check(
        name="namespace-of-tensors",
        rules=(20,),
        title="polyrnn.namespace returns the module of the framework, for traced tensors too.",
        check=_namespace_has_functions,
        every_mode=True,
        needs_name=True,
    ),
    Check(
        name="choice-by-argument",
        rules=(20,),
        title="The argument takes precedence over use_backend and the environment variable.",
        check=_by_argument,
    ),
    Check(
        name="choice-by-context",
        rules=(20,),
        title="use_backend takes precedence over the environment; the innermost block counts.",
        check=_by_context,
    ),
    Check(
        name="choice-by-environment",
        rules=(20,),
        title="POLYRNN_BACKEND takes precedence over the tensors, and is read at each call.",
        check=_by_environment,
        needs_name=True,
    ),
    Check(
        name="choice-by-tensors",
        rules=(20,),
        title="The tensors choose if nothing else does.",
        check=_by_tensors,
        needs_name=True,
    ),
    Check(
        name="choice-by-tensors-in-a-node",
        rules=(1, 2, 20),
        title="Tensors choose the backend even within a class that only the framework knows.",
        check=_by_tensors_in_a_node,
        every_mode=True,
        needs_name=True,
    ),
    Check(
        name="choice-by-default",
        rules=(20,),
        title="A call with only NumPy arrays runs on numpy.",
        check=_by_default,
    ),
    Check(
        name="refuses-unknown-name",
        rules=(21,),
        title="The error for an unknown name suggests the closest name and lists all.",
        check=_unknown_name,
        needs_name=True,
    ),
    Check(
        name="refuses-inexact-name",
        rules=(20, 21),
        title="A name in the environment is taken as it stands, and its nearest is suggested.",
        check=_exact_name,
        needs_name=True,
    ),
    Check(
        name="neutral-number-constant",
        rules=(16,),
        title="A Python number as a constant becomes a tensor of the backend.",
        check=_number_as_constant,
    ),
    Check(
        name="refuses-foreign-tensor",
        rules=(16,),
        title="The error for a tensor of another framework names its path and what chose.",
        check=_foreign_tensor,
    ),
    Check(
        name="refuses-two-frameworks",
        rules=(16, 20),
        title="The error for tensors of two frameworks names the paths of both.",
        check=_two_frameworks,
        needs_name=True,
        needs_own_tensors=True,
    ),
    Check(
        name="imports-alone",
        rules=(21,),
        title="import polyrnn imports no framework, and choosing one imports no other.",
        check=_imports_alone,
        needs_name=True,
    ),
)
