"""Test the errors for a broken plug-in or framework, and that others are unaffected."""

import importlib

import numpy as np
import pytest
from fake_distributions import BACKEND, PLUGIN, FakeDistributions, status

import polyrnn
from polyrnn import registry
from polyrnn.selection import choose
from polyrnn.statuses import statuses

BROKEN_PLUGINS = {
    "syntax": ("def", "SyntaxError"),
    "exception": ("1 / 0", "ZeroDivisionError: division by zero"),
    "absent import": ("import beads", "ModuleNotFoundError: No module named 'beads'"),
    "no hook": ("", "TypeError: the hook polyrnn_backends() gave [], not one BackendInfo"),
    "not an info": (
        "import polyrnn\n@polyrnn.hookimpl\ndef polyrnn_backends(): return 'abacus'",
        "TypeError: the hook polyrnn_backends() gave ['abacus'], not one BackendInfo",
    ),
    "wrong arguments": (
        "import polyrnn\n@polyrnn.hookimpl\ndef polyrnn_backends(name): return name",
        "PluginValidationError",
    ),
    "another name": (
        PLUGIN.replace('name="{name}"', 'name="counter"'),
        "ValueError: the entry point is named 'abacus', its backend 'counter'",
    ),
    "modules in a string": (
        PLUGIN.replace('("{name}",)', '"{name}"'),
        "TypeError: modules: expected a tuple of names, got 'abacus'",
    ),
    "exits": ("import sys\nsys.exit(3)", "SystemExit: 3"),
    "a base exception of its own": (
        "class Stop(BaseException): pass\nraise Stop('enough')",
        "Stop: enough",
    ),
    "exits in the hook": (
        "import polyrnn\n@polyrnn.hookimpl\ndef polyrnn_backends(): raise SystemExit",
        "SystemExit",
    ),
    "modules that are no names": (
        PLUGIN.replace('("{name}",)', "(1, None)"),
        "TypeError: modules: expected a tuple of names, got (1, None)",
    ),
    "a module of no name": (
        PLUGIN.replace('("{name}",)', '("{name}", "")'),
        "TypeError: modules: expected a tuple of names, got ('abacus', '')",
    ),
    "nothing to install": (
        PLUGIN.replace('"polyrnn-{name}"', "None"),
        "TypeError: install: expected a string, got None",
    ),
    "no name": (
        PLUGIN.replace('name="{name}"', "name=None"),
        "TypeError: name: expected a string, got None",
    ),
    "an implementation without a colon": (
        PLUGIN.replace("_backend:FakeBackend", "_backend.FakeBackend"),
        'TypeError: implementation: expected "package.module:Class", got '
        "'polyrnn_abacus_backend.FakeBackend'",
    ),
    "a harness without a colon": (
        PLUGIN.replace('"polyrnn-{name}",', '"polyrnn-{name}", harness="FakeHarness",'),
        "TypeError: harness: expected \"package.module:Class\", got 'FakeHarness'",
    ),
    "a distribution that is no name": (
        PLUGIN.replace('"polyrnn-{name}",', '"polyrnn-{name}", distribution=3,'),
        "TypeError: distribution: expected a string or None, got 3",
    ),
    "the end of a generator": ("raise GeneratorExit", "GeneratorExit"),
    "an exception that cannot be shown": (
        "class Odd(Exception):\n    def __str__(self): raise SystemExit\nraise Odd",
        "Odd",
    ),
    "an answer that cannot be shown": (
        "import polyrnn\nclass Odd:\n    def __repr__(self): raise ZeroDivisionError\n"
        "@polyrnn.hookimpl\ndef polyrnn_backends(): return Odd()",
        "ZeroDivisionError",
    ),
    "claims a part of numpy": (
        PLUGIN.replace('("{name}",)', '("{name}", "numpy.ma")'),
        "ValueError: modules: expected the modules of a framework; 'numpy.ma' belongs to the numpy",
    ),
    "claims the bases of all types": (
        PLUGIN.replace('("{name}",)', '("{name}", "builtins")'),
        "ValueError: modules: expected the modules of a framework; 'builtins' belongs to Python",
    ),
    "claims the bases of generic types": (
        PLUGIN.replace('("{name}",)', '("{name}", "typing")'),
        "ValueError: modules: expected the modules of a framework; 'typing' belongs to Python",
    ),
    "claims the program": (
        PLUGIN.replace('("{name}",)', '("{name}", "__main__")'),
        "ValueError: modules: expected the modules of a framework; '__main__' belongs to Python",
    ),
    "claims numpy": (
        PLUGIN.replace('("{name}",)', '("{name}", "numpy")'),
        "ValueError: modules: expected the modules of a framework; 'numpy' belongs to the numpy",
    ),
    "no modules": (
        PLUGIN.replace('("{name}",)', "()"),
        "TypeError: modules: expected a tuple of names, got ()",
    ),
}

BROKEN_BACKENDS = {
    "exception": ("1 / 0", "ZeroDivisionError: division by zero"),
    "absent import": ("import beads", "ModuleNotFoundError: No module named 'beads'"),
    "absent submodule": (
        "import abacus.beads",
        "ModuleNotFoundError: No module named 'abacus.beads'; 'abacus' is not a package",
    ),
    "no class": ("", "AttributeError: module 'polyrnn_abacus_backend' has no attribute"),
    "a primitive is missing": (
        "from polyrnn import Backend\nclass FakeBackend(Backend): pass",
        "TypeError: Can't instantiate abstract class FakeBackend",
    ),
    "not a backend": (
        "class FakeBackend: pass",
        "TypeError: expected a subclass of polyrnn.Backend",
    ),
    "exits": ("raise SystemExit('not today')", "SystemExit: not today"),
    "no types of tensors": (
        "from wrapped import WrappedBackend\nclass FakeBackend(WrappedBackend): tensor_type = ()",
        "TypeError: tensor_type: expected a type or a tuple of types, got ()",
    ),
    "no type of tensors": (
        "from wrapped import WrappedBackend\n"
        "class FakeBackend(WrappedBackend):\n    tensor_type = None",
        "TypeError: tensor_type: expected a type or a tuple of types, got None",
    ),
    "constructor fails": (
        "from wrapped import WrappedBackend\n"
        "class FakeBackend(WrappedBackend):\n    def __init__(self): 1 / 0",
        "ZeroDivisionError: division by zero",
    ),
}


class TestBroken:
    @pytest.mark.parametrize("fault", BROKEN_PLUGINS)
    def test_plugin(self, fakes: FakeDistributions, fault: str) -> None:
        source, summary = BROKEN_PLUGINS[fault]
        fakes.framework("abacus", plugin=source)
        fakes.framework("quipu")
        registry = fakes.registry()
        for _ in range(2):  # the second call raises the same error
            with pytest.raises(polyrnn.BackendBrokenError) as caught:
                registry.load("abacus")
            assert str(caught.value).startswith(
                "the backend 'abacus' of polyrnn-abacus 1.0 is broken: its plug-in "
                f"'polyrnn_abacus' fails with {summary}"
            )
            assert isinstance(caught.value.__cause__, BaseException)
        assert registry.load("quipu").tensor_type is type(fakes.tensor("quipu", 0))
        assert {entry.name: entry.state for entry in statuses(registry)}["abacus"] == "broken"
        assert summary in status(registry, "abacus").problem
        assert registry.framework_of(np.ndarray) == "numpy"
        assert registry.framework_of(type(fakes.tensor("quipu", 0))) == "quipu"

    @pytest.mark.parametrize("fault", BROKEN_BACKENDS)
    def test_backend(self, fakes: FakeDistributions, fault: str) -> None:
        source, summary = BROKEN_BACKENDS[fault]
        fakes.framework("abacus", backend=source)
        fakes.framework("quipu")
        registry = fakes.registry()
        assert status(registry, "abacus").state == "installed"
        with pytest.raises(polyrnn.BackendBrokenError) as caught:
            registry.load("abacus")
        assert str(caught.value).startswith(
            "the backend 'abacus' of polyrnn-abacus 1.0 is broken: importing "
            f"'polyrnn_abacus_backend:FakeBackend' fails with {summary}"
        )
        assert isinstance(caught.value.__cause__, BaseException)
        assert status(registry, "abacus").state == "broken"
        assert summary in status(registry, "abacus").problem
        assert registry.load("quipu").tensor_type is type(fakes.tensor("quipu", 0))

    @pytest.mark.parametrize("where", ["plugin", "backend"])
    def test_a_keyboard_interrupt_is_not_caught(self, fakes: FakeDistributions, where: str) -> None:
        fakes.framework("abacus", **{where: "raise KeyboardInterrupt"})
        registry = fakes.registry()
        with pytest.raises(KeyboardInterrupt):
            registry.load("abacus")
        fakes.forget()
        fakes.write("polyrnn_abacus", PLUGIN.replace("{name}", "abacus"))
        fakes.write("polyrnn_abacus_backend", BACKEND.replace("{name}", "abacus"))
        importlib.invalidate_caches()
        assert registry.load("abacus").tensor_type is type(fakes.tensor("abacus", 0))

    def test_framework_that_fails_inside(self, fakes: FakeDistributions) -> None:
        fakes.framework("abacus", framework="import beads")
        with pytest.raises(polyrnn.BackendBrokenError, match="No module named 'beads'") as caught:
            fakes.registry().load("abacus")
        assert isinstance(caught.value.__cause__, ModuleNotFoundError)

    def test_a_repaired_plugin_loads(self, fakes: FakeDistributions) -> None:
        fakes.framework("abacus", backend="1 / 0")
        registry = fakes.registry()
        with pytest.raises(polyrnn.BackendBrokenError):
            registry.load("abacus")
        fakes.write(
            "polyrnn_abacus_backend", "from wrapped import WrappedBackend as FakeBackend  # mended"
        )
        fakes.registry()
        registry.load("abacus")
        assert status(registry, "abacus").state == "installed"

    def test_is_listed(self, fakes: FakeDistributions) -> None:
        fakes.framework("abacus", plugin="1 / 0")
        assert next((entry.name, entry.state) for entry in polyrnn.backends()) == (
            "abacus",
            "broken",
        )


class TestHarmless:
    @pytest.mark.parametrize("fault", BROKEN_PLUGINS)
    def test_plain_calls_run(self, fakes: FakeDistributions, fault: str) -> None:
        fakes.framework("abacus", plugin=BROKEN_PLUGINS[fault][0])
        output = polyrnn.rnn(lambda x, states: (x, []), np.ones((1, 2, 3)), [])[1]
        assert type(output) is np.ndarray

    @pytest.mark.parametrize("flatten", ["raise RuntimeError", "return None", "return [], None"])
    def test_one_that_takes_no_nest_apart(self, fakes: FakeDistributions, flatten: str) -> None:
        backend = BACKEND + f"    def flatten(self, tree): {flatten}\n"
        fakes.framework("abacus", backend=backend)
        fakes.tensor("abacus", 1)

        assert "abacus" in registry.installed().imported()
        arguments = {"inputs": np.ones((1, 2, 3)), "initial_states": [object()]}
        assert choose(None, arguments).name == "numpy"

    def test_metadata_that_are_gone(self, fakes: FakeDistributions) -> None:
        fakes.framework("abacus")
        (fakes.folder / "polyrnn_abacus-1.0.dist-info" / "METADATA").unlink()
        assert status(fakes.registry(), "abacus").distribution == "an unnamed distribution"
        assert polyrnn.rnn(lambda x, states: (x, []), np.ones((1, 2, 3)), [])[1].shape == (1, 2, 3)

    def test_one_repaired_has_its_tensors(self, fakes: FakeDistributions) -> None:
        fakes.framework("abacus", plugin="raise SystemExit")
        registry = fakes.registry()
        kind = type(fakes.tensor("abacus", 0))
        assert registry.framework_of(kind) != "abacus"
        fakes.write("polyrnn_abacus", "# mended" + PLUGIN.replace("{name}", "abacus"))
        fakes.registry()
        registry.load("abacus")
        assert registry.framework_of(kind) == "abacus"
        assert status(registry, "abacus").state == "installed"
