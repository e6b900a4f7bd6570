"""Test the registry: listing backends without imports, loading one, and claims to names."""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from fake_distributions import PLUGIN, FakeDistributions, status
from wrapped import WrappedArray

import polyrnn
from polyrnn.registry import Registry
from polyrnn.statuses import BackendStatus, statuses


def run(source: str, *path: Path) -> str:
    """Run a program in a new interpreter with the folders on its path; return its output."""
    environment = {name: value for name, value in os.environ.items() if name != "POLYRNN_BACKEND"}
    environment["PYTHONPATH"] = os.pathsep.join([*map(str, path), *filter(None, sys.path)])
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", source],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.strip()


FRAMEWORKS = "{'numpy', 'torch', 'jax', 'jaxlib', 'tensorflow', 'abacus'}"


class TestImportsNothing:
    def test_import_polyrnn_imports_no_framework(self) -> None:
        assert run(f"import sys, polyrnn; print({FRAMEWORKS} & set(sys.modules))") == "set()"

    def test_listing_imports_no_framework(self, fakes: FakeDistributions) -> None:
        fakes.framework("abacus")
        listing = (
            "import sys, polyrnn; print([status.name for status in polyrnn.backends()],"
            f" {FRAMEWORKS} & set(sys.modules))"
        )
        assert (
            run(listing, fakes.folder) == "['abacus', 'jax', 'numpy', 'tensorflow', 'torch'] set()"
        )

    def test_names_imports_no_plugin(self, fakes: FakeDistributions) -> None:
        fakes.framework("abacus")
        names = (
            "import sys; from polyrnn import registry; registry.installed().names();"
            "print([name for name in sys.modules if name.startswith('polyrnn_')])"
        )
        assert run(names, fakes.folder) == "[]"

    def test_a_call_imports_its_framework_only(self, fakes: FakeDistributions) -> None:
        fakes.framework("abacus")
        fakes.framework("quipu")
        call = (
            "import sys, polyrnn, numpy;"
            "polyrnn.rnn(lambda x, s: (x, s), numpy.ones((1, 2, 3)), [], backend='abacus');"
            "print(sorted({'abacus', 'quipu', 'torch', 'jax', 'tensorflow'} & set(sys.modules)))"
        )
        assert run(call, fakes.folder) == "['abacus']"


class TestLoading:
    def test_once(self, fakes: FakeDistributions) -> None:
        fakes.framework("abacus")
        registry = fakes.registry()
        assert registry.load("abacus") is registry.load("abacus")

    def test_status_of_an_installed_one(self, fakes: FakeDistributions) -> None:
        fakes.framework("abacus")
        fakes.distribute("abacus", "3.1")
        assert status(fakes.registry(), "abacus") == BackendStatus(
            name="abacus",
            state="installed",
            version="3.1",
            distribution="polyrnn-abacus 1.0",
            install="pip install polyrnn-abacus",
        )

    def test_version_is_that_of_the_distribution_that_is_named(
        self, fakes: FakeDistributions
    ) -> None:
        plugin = PLUGIN.replace('install="', 'distribution="abacus-cpu", install="')
        fakes.framework("abacus", plugin=plugin)
        fakes.distribute("abacus-cpu", "2.7")
        assert status(fakes.registry(), "abacus").version == "2.7"

    def test_version_is_unknown_where_no_distribution_says_it(
        self, fakes: FakeDistributions
    ) -> None:
        fakes.framework("abacus")
        assert status(fakes.registry(), "abacus").version is None

    def test_numpy_is_installed(self) -> None:
        numpy = status(Registry(), "numpy")
        assert (numpy.state, numpy.version) == ("installed", np.__version__)


class TestUnknown:
    @pytest.mark.parametrize("name", ["JAX", " TORCH ", "NumPy", "Pytorch"])
    def test_suggests_the_closest_name_in_any_case(self, name: str) -> None:
        nearest = name.strip().lower().removeprefix("py")
        with pytest.raises(polyrnn.UnknownBackendError) as caught:
            Registry().load(name)
        assert f"no backend is named {name!r}; did you mean {nearest!r}? " in str(caught.value)

    def test_lists_all_names_and_suggests_the_closest(self) -> None:
        with pytest.raises(polyrnn.UnknownBackendError) as caught:
            Registry().load("trch")
        assert str(caught.value) == (
            "no backend is named 'trch'; did you mean 'torch'? "
            "There are: jax, numpy, tensorflow, torch."
        )

    def test_suggests_nothing_if_no_name_is_close(self) -> None:
        with pytest.raises(polyrnn.UnknownBackendError) as caught:
            Registry().load("xyzzy")
        assert str(caught.value) == (
            "no backend is named 'xyzzy'. There are: jax, numpy, tensorflow, torch."
        )

    def test_is_a_value_error(self) -> None:
        with pytest.raises(ValueError, match="no backend is named ''"):
            Registry().info("")


class TestNotInstalled:
    def test_gives_the_install_line(self, fakes: FakeDistributions) -> None:
        fakes.framework("abacus", framework=None)
        with pytest.raises(polyrnn.BackendNotInstalledError) as caught:
            fakes.registry().load("abacus")
        assert str(caught.value) == (
            "the backend 'abacus' needs abacus, which is not installed; "
            "to get it: pip install polyrnn-abacus"
        )
        assert isinstance(caught.value, ImportError)
        assert isinstance(caught.value.__cause__, ModuleNotFoundError)

    def test_quotes_extras_for_the_shell(self, fakes: FakeDistributions) -> None:
        plugin = PLUGIN.replace('install="polyrnn-{name}"', 'install="polyrnn[{name}]"')
        fakes.framework("abacus", framework=None, plugin=plugin)
        assert status(fakes.registry(), "abacus").install == 'pip install "polyrnn[abacus]"'

    def test_status_is_missing(self, fakes: FakeDistributions) -> None:
        fakes.framework("abacus", framework=None)
        found = status(fakes.registry(), "abacus")
        assert (found.state, found.version, found.problem) == (
            "missing",
            None,
            "abacus is not installed",
        )

    def test_an_unrelated_folder_of_that_name_is_not_a_framework(
        self, fakes: FakeDistributions
    ) -> None:
        fakes.framework("abacus", framework=None)
        (fakes.folder / "abacus").mkdir()
        assert status(fakes.registry(), "abacus").state == "missing"

    def test_can_be_installed_later_in_the_same_process(self, fakes: FakeDistributions) -> None:
        fakes.framework("abacus", framework=None)
        registry = fakes.registry()
        with pytest.raises(polyrnn.BackendNotInstalledError):
            registry.load("abacus")
        fakes.write("abacus", "from wrapped import WrappedArray as Array")
        fakes.registry()
        assert registry.load("abacus").tensor_type is WrappedArray


class TestNameTaken:
    def test_polyrnn_keeps_its_names(self, fakes: FakeDistributions) -> None:
        fakes.distribute("a-numpy-of-mine", numpy="polyrnn_mine")
        fakes.write("polyrnn_mine", "raise AssertionError('not to be imported')")
        registry = fakes.registry()
        assert registry.info("numpy").implementation == "polyrnn_numpy.backend:NumpyBackend"
        *_, shadowed = statuses(registry)
        assert shadowed == BackendStatus(
            name="numpy",
            state="shadowed",
            version=None,
            distribution="a-numpy-of-mine 1.0",
            install="",
            problem=f"the name 'numpy' belongs to polyrnn {polyrnn.__version__}",
        )

    def test_among_plugins_the_first_distribution_by_name_wins(
        self, fakes: FakeDistributions
    ) -> None:
        fakes.framework("abacus")
        fakes.distribute("zz-abacus", abacus="polyrnn_zz")
        fakes.distribute("aa-abacus", abacus="polyrnn_aa")
        fakes.write("polyrnn_aa", PLUGIN.replace("{name}", "abacus"))
        registry = fakes.registry()
        registry.load("abacus")
        assert [
            (entry.distribution, entry.state, entry.problem)
            for entry in statuses(registry)
            if entry.name == "abacus"
        ] == [
            ("aa-abacus 1.0", "installed", ""),
            ("polyrnn-abacus 1.0", "shadowed", "the name 'abacus' belongs to aa-abacus 1.0"),
            ("zz-abacus 1.0", "shadowed", "the name 'abacus' belongs to aa-abacus 1.0"),
        ]

    def test_an_editable_install_beside_a_built_one_is_one_claim(self) -> None:
        one, other = (metadata.entry_points(group="polyrnn") for _ in range(2))
        registry = Registry([*one, *other])
        assert [entry.name for entry in statuses(registry)] == registry.names()

    def test_two_names_for_one_plugin(self, fakes: FakeDistributions) -> None:
        fakes.framework("abacus")
        fakes.distribute("another", counter="polyrnn_abacus")
        registry = fakes.registry()
        registry.load("abacus")
        with pytest.raises(polyrnn.BackendBrokenError, match="is named 'counter', its backend"):
            registry.load("counter")

    def test_an_entry_point_without_a_distribution(self) -> None:
        entry_point = metadata.EntryPoint("numpy", "polyrnn_numpy", "polyrnn")
        (only,) = statuses(Registry([entry_point]))
        assert (only.name, only.distribution) == ("numpy", "an unnamed distribution")


class TestFrameworkOf:
    def test_subclasses_belong_to_the_framework_of_their_base(self) -> None:
        class Annotated(np.ndarray):
            pass

        assert Registry().framework_of(Annotated) == "numpy"

    def test_all_classes_of_a_framework_belong_to_it(self) -> None:
        assert Registry().framework_of(np.float32) == "numpy"

    @pytest.mark.parametrize("kind", [int, list, type(None), object, FakeDistributions])
    def test_other_classes_belong_to_no_framework(self, kind: type) -> None:
        assert Registry().framework_of(kind) is None
