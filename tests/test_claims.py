"""Test which backend gets the tensors of a module that several plug-ins claim."""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from fake_distributions import FRAMEWORK, PLUGIN, FakeDistributions, status

import polyrnn
from polyrnn import registry as registry_module
from polyrnn.backend_info import BackendInfo
from polyrnn.claims import Claims, Contested
from polyrnn.registry import Registry
from polyrnn.selection import choose
from polyrnn_benchmark.contest import DisagreementError
from polyrnn_benchmark.launch import WorkerError

ONES = np.ones((2, 3, 4))


def claiming(*modules: str) -> str:
    """Return the source of a plug-in that claims modules."""
    return PLUGIN.replace('("{name}",)', repr(modules))


def info(name: str, *modules: str) -> BackendInfo:
    return BackendInfo(name=name, modules=modules, implementation="a:B", install="a")


def kind(module: str) -> type:
    return type("Tensor", (), {"__module__": module})


class TestClaims:
    def test_polyrnn_comes_before_others_whatever_their_names(
        self, fakes: FakeDistributions
    ) -> None:
        fakes.framework("aardvark", plugin=claiming("aardvark", "torch", "jax"))
        registry = fakes.registry()
        assert registry.framework_of(kind("torch")) == "torch"
        assert registry.framework_of(kind("jax.numpy")) == "jax"
        assert registry.framework_of(type(fakes.tensor("aardvark", 0))) == "aardvark"

    def test_a_plugin_that_claims_numpy_affects_no_call(self, fakes: FakeDistributions) -> None:
        fakes.framework("bad", plugin=claiming("numpy", "bad"), backend="1 / 0")
        last, _, _ = polyrnn.rnn(lambda x, states: (x, states), ONES, [])
        assert type(last) is np.ndarray
        with pytest.raises(polyrnn.BackendBrokenError, match="'numpy' belongs to the numpy"):
            polyrnn.rnn(lambda x, states: (x, states), ONES, [], backend="bad")
        found = {entry.name: entry.state for entry in polyrnn.backends()}
        assert (found["bad"], found["numpy"]) == ("broken", "installed")

    def test_a_second_claim_is_reported_with_both_distributions(
        self, fakes: FakeDistributions
    ) -> None:
        fakes.framework("abacus")
        fakes.framework("bead", plugin=claiming("bead", "abacus", "torch.fx"))
        registry = fakes.registry()
        assert status(registry, "abacus").problem == ""
        found = status(registry, "bead")
        assert (found.state, found.distribution) == ("installed", "polyrnn-bead 1.0")
        assert found.problem == (
            "the tensors of abacus choose the backend 'abacus' of polyrnn-abacus 1.0, and this "
            "one only by its name; the tensors of torch.fx choose the backend 'torch' of polyrnn "
            f"{polyrnn.__version__}, and this one only by its name"
        )

    def test_a_backend_with_a_second_claim_can_be_chosen_by_name(
        self, fakes: FakeDistributions
    ) -> None:
        fakes.framework("abacus")
        fakes.framework("bead", plugin=claiming("bead", "abacus"))
        by_name, _, _ = polyrnn.rnn(lambda x, s: (x, s), ONES, [], backend="bead")
        assert type(by_name) is type(fakes.tensor("bead", 0))
        by_tensor, _, _ = polyrnn.rnn(lambda x, s: (x, s), fakes.tensor("abacus", ONES), [])
        assert type(by_tensor) is type(fakes.tensor("abacus", 0))

    def test_among_plugins_the_first_distribution_wins(self) -> None:
        claims = Claims([info("z", "beads"), info("a", "beads")], lambda name: False)
        assert claims.owner_of(kind("beads.core")) == "z"
        assert claims.contested == {"a": [Contested("beads", "z")]}

    @pytest.mark.parametrize("order", [1, -1])
    def test_the_longest_claim_counts(self, order: int) -> None:
        infos = [info("whole", "beads"), info("part", "beads.core")][::order]
        claims = Claims(infos, lambda name: False)
        assert claims.owner_of(kind("beads.core.array")) == "part"
        assert claims.owner_of(kind("beads.corer")) == "whole"
        assert claims.owner_of(kind("beads")) == "whole"
        assert claims.contested == {}

    def test_a_claim_to_a_submodule_covers_only_that(self) -> None:
        claims = Claims([info("part", "beads.core")], lambda name: False)
        assert claims.owner_of(kind("beads.core")) == "part"
        assert claims.owner_of(kind("beads")) is None
        assert claims.owner_of(kind("core")) is None

    def test_a_module_that_one_backend_lists_twice_is_not_contested(self) -> None:
        assert Claims([info("a", "beads", "beads")], lambda name: True).contested == {}

    def test_of_two_backends_of_one_distribution_the_first_by_name_has_it(
        self, fakes: FakeDistributions
    ) -> None:
        for name in ("zig", "zag"):
            fakes.write(f"polyrnn_{name}", claiming("abacus").replace("{name}", name))
        fakes.distribute("both", zig="polyrnn_zig", zag="polyrnn_zag")
        assert fakes.registry().framework_of(kind("abacus")) == "zag"

    def test_a_second_claim_is_not_asked_about_nests(
        self, fakes: FakeDistributions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "torch", sys.modules.get("torch", ModuleType("torch")))
        fakes.framework("bad", plugin=claiming("torch"))
        assert "bad" not in fakes.registry().imported()
        assert choose(None, {"inputs": [ONES, object()]}).name == "numpy"
        assert "polyrnn_bad_backend" not in sys.modules

    def test_what_is_missing_is_told_before_a_second_claim(self, fakes: FakeDistributions) -> None:
        fakes.framework("bad", framework=None, plugin=claiming("abacus", "torch"))
        found = status(fakes.registry(), "bad")
        assert found.state == "missing"
        assert found.problem.startswith("abacus is not installed; the tensors of torch choose ")

    @pytest.mark.parametrize("module", [None, 1, property()])
    def test_a_type_whose_module_is_no_name_is_nobodys(self, module: Any) -> None:
        odd = type("Odd", (), {})
        odd.__module__ = module
        assert Claims([info("a", "beads")], lambda name: True).owner_of(odd) is None


FAULTS: list[tuple[str, Any, str, Callable[[Any], Any], str]] = [
    (
        "The alphabet decides alone.",
        Registry,
        "_precedence_of",
        lambda _: lambda self, name: (False, name, name),
        "test_polyrnn_comes_before_others_whatever_their_names",
    ),
    (
        "Any module may be claimed.",
        registry_module,
        "check_modules",
        lambda _: lambda info: None,
        "test_a_plugin_that_claims_numpy_affects_no_call",
    ),
    (
        "A second claim is no problem.",
        Claims,
        "__init__",
        lambda right: lambda self, *given: (right(self, *given), self.contested.clear())[0],
        "test_a_second_claim_is_reported_with_both_distributions",
    ),
    (
        "Whoever claims the module of an import is asked about nests.",
        Registry,
        "imported",
        lambda right: (
            lambda self: [n for n in self.names() if self.info(n).modules[0] in sys.modules]
        ),
        "test_a_second_claim_is_not_asked_about_nests",
    ),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault[0])
def test_a_planted_fault_is_noticed(
    fakes: FakeDistributions, monkeypatch: pytest.MonkeyPatch, fault: tuple[Any, ...]
) -> None:
    _, where, attribute, mutate, test = fault
    monkeypatch.setattr(where, attribute, mutate(getattr(where, attribute)))
    given = {"monkeypatch": monkeypatch} if "nests" in test else {}
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        getattr(TestClaims(), test)(fakes, **given)


class TestNamespacePackages:
    """A package without ``__init__.py``, like MLX, and an unrelated folder that looks like one."""

    @staticmethod
    def namespace_package(fakes: FakeDistributions, *, modules: Any, distributed: bool) -> None:
        fakes.framework("abacus", framework=None, plugin=claiming(*modules))
        (fakes.folder / "abacus").mkdir()
        (fakes.folder / "abacus" / "core.py").write_text(FRAMEWORK)
        if distributed:
            fakes.distribute("abacus", "3.1")

    def test_its_distribution_makes_it_installed(self, fakes: FakeDistributions) -> None:
        self.namespace_package(fakes, modules=["abacus"], distributed=True)
        found = status(fakes.registry(), "abacus")
        assert (found.state, found.version) == ("installed", "3.1")

    def test_without_one_it_is_a_stray_folder(self, fakes: FakeDistributions) -> None:
        self.namespace_package(fakes, modules=["abacus"], distributed=False)
        assert status(fakes.registry(), "abacus").state == "missing"

    @pytest.mark.parametrize(("module", "state"), [("core", "installed"), ("beads", "missing")])
    def test_a_claimed_submodule_must_exist(
        self, fakes: FakeDistributions, module: str, state: str
    ) -> None:
        self.namespace_package(fakes, modules=[f"abacus.{module}"], distributed=False)
        assert status(fakes.registry(), "abacus").state == state

    def test_it_is_loaded_and_chosen_by_its_tensors(self, fakes: FakeDistributions) -> None:
        fakes.framework(
            "counter",
            framework=None,
            plugin=claiming("beads.core"),
            backend="import beads.core\nfrom wrapped import WrappedBackend\n"
            "class FakeBackend(WrappedBackend): tensor_type = beads.core.Array",
        )
        (fakes.folder / "beads").mkdir()
        (fakes.folder / "beads" / "core.py").write_text(FRAMEWORK)
        x = fakes.tensor("beads.core", ONES)
        assert type(polyrnn.rnn(lambda x, states: (x, states), x, [])[0]) is type(x)

    def test_the_error_for_a_missing_one_has_the_install_command(
        self, fakes: FakeDistributions
    ) -> None:
        fakes.framework(
            "abacus",
            framework=None,
            plugin=claiming("abacus.core"),
            backend="import abacus.core",
        )
        with pytest.raises(polyrnn.BackendNotInstalledError, match="pip install polyrnn-abacus"):
            fakes.registry().load("abacus")

    def test_a_stray_folder_of_tests_gives_that_command_too(self, fakes: FakeDistributions) -> None:
        fakes.framework("abacus", framework=None)
        (fakes.folder / "abacus").mkdir()
        fakes.write("abacus/test_abacus", "")
        registry = fakes.registry()
        with pytest.raises(polyrnn.BackendNotInstalledError, match="pip install polyrnn-abacus"):
            registry.load("abacus")
        # By now the folder is imported.
        assert status(registry, "abacus").state == "missing"

    def test_folders_in_folders_are_not_imported(self, fakes: FakeDistributions) -> None:
        fakes.framework("abacus", framework=None, plugin=claiming("abacus.deep.beads"))
        (fakes.folder / "abacus" / "deep").mkdir(parents=True)
        assert status(fakes.registry(), "abacus").state == "missing"
        fakes.write("abacus/deep/beads", "raise AssertionError('not to be imported')")
        assert status(fakes.registry(), "abacus").state == "installed"
        assert "abacus" not in sys.modules

    def test_a_submodule_of_a_module_is_none(self, fakes: FakeDistributions) -> None:
        fakes.framework("abacus", plugin=claiming("abacus.beads"))
        assert status(fakes.registry(), "abacus").state == "missing"

    def test_a_module_made_by_hand_is_installed(
        self, fakes: FakeDistributions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fakes.framework("abacus", framework=None)
        monkeypatch.setitem(sys.modules, "abacus", ModuleType("abacus"))
        assert status(fakes.registry(), "abacus").state == "installed"


def test_every_error_of_polyrnn_has_one_base() -> None:
    for error in (
        polyrnn.UnknownBackendError,
        polyrnn.BackendNotInstalledError,
        polyrnn.BackendBrokenError,
        DisagreementError,
        WorkerError,
    ):
        assert issubclass(error, polyrnn.PolyrnnError)
    with pytest.raises(polyrnn.PolyrnnError):
        polyrnn.rnn(lambda x, states: (x, states), ONES, [], backend="Numpy")
