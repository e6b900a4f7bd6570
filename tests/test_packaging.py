"""Test the metadata of the installed distribution."""

from importlib import metadata
from importlib.resources import files

import pytest
from packaging.requirements import Requirement

import polyrnn

PACKAGES = (
    "polyrnn",
    "polyrnn_numpy",
    "polyrnn_torch",
    "polyrnn_jax",
    "polyrnn_tensorflow",
    "polyrnn_benchmark",
    "polyrnn_conformance",
)
FRAMEWORKS = {"tensorflow", "torch", "jax"}


def requirements(extra: str | None = None) -> set[str]:
    """Return the names of the requirements of the distribution, or of one of its extras."""
    parsed = [Requirement(line) for line in metadata.requires("polyrnn") or ()]
    if extra is None:
        return {each.name for each in parsed if each.marker is None}
    return {each.name for each in parsed if each.marker and each.marker.evaluate({"extra": extra})}


def test_the_bare_distribution_requires_three_others() -> None:
    assert requirements() == {"numpy", "optree", "pluggy"}


@pytest.mark.parametrize("framework", sorted(FRAMEWORKS))
def test_the_extra_of_a_framework_names_it_alone(framework: str) -> None:
    assert requirements(framework) == {framework}


def test_all_means_all_frameworks() -> None:
    assert requirements("all") == FRAMEWORKS


def test_no_extra_asks_for_polyrnn_again() -> None:
    extras = metadata.metadata("polyrnn").get_all("Provides-Extra") or []
    assert set(extras) == {
        *FRAMEWORKS, "all", "cli", "conformance", "examples",
    }  # fmt: skip
    assert not any("polyrnn" in requirements(extra) for extra in extras)


def test_the_version_is_that_of_the_package() -> None:
    assert metadata.version("polyrnn") == polyrnn.__version__


def test_the_metadata_have_authors_and_links() -> None:
    described = metadata.metadata("polyrnn")
    assert described["Author"] == "The polyrnn authors"
    labels = {url.partition(", ")[0] for url in described.get_all("Project-URL") or []}
    assert labels == {"Changelog", "Documentation", "Issues", "Source"}


def test_backends_register_by_entry_points_of_their_names() -> None:
    entry_points = metadata.distribution("polyrnn").entry_points.select(group="polyrnn")
    assert {each.name: each.value for each in entry_points} == {
        name.removeprefix("polyrnn_"): name
        for name in PACKAGES
        if name not in ("polyrnn", "polyrnn_benchmark", "polyrnn_conformance")
    }


def test_no_plugin_of_pytest_is_registered() -> None:
    # It would be loaded in every test session of every environment with polyrnn.
    groups = metadata.distribution("polyrnn").entry_points.groups
    assert "pytest11" not in groups


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_is_typed(package: str) -> None:
    assert files(package).joinpath("py.typed").is_file()
