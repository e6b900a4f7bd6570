"""Test which backend gets the tensors of a module that several plug-ins claim."""

from typing import Any

import numpy as np
import pytest
from fake_distributions import FRAMEWORK, PLUGIN, FakeDistributions, status

import polyrnn
from polyrnn.backend_info import BackendInfo
from polyrnn.claims import Claims, Contested

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


def test_every_error_of_polyrnn_has_one_base() -> None:
    for error in (
        polyrnn.UnknownBackendError,
        polyrnn.BackendNotInstalledError,
        polyrnn.BackendBrokenError,
    ):
        assert issubclass(error, polyrnn.PolyrnnError)
    with pytest.raises(polyrnn.PolyrnnError):
        polyrnn.rnn(lambda x, states: (x, states), ONES, [], backend="Numpy")
