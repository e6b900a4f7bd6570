"""Test that facts in the policy and in CONTRIBUTING.md are true."""

import dataclasses
import re
from pathlib import Path

import polyrnn

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
POLICY = REFERENCE / "policy.md"


def test_every_public_name_is_in_the_reference() -> None:
    pages = "\n".join(page.read_text("utf-8") for page in REFERENCE.glob("*.md"))
    described = set(re.findall(r"\w+", pages))
    assert set(polyrnn.__all__) <= described


def test_the_contract_has_the_minor_version_of_polyrnn() -> None:
    major, minor = map(int, polyrnn.__version__.split(".")[:2])
    text = POLICY.read_text("utf-8")
    assert f"now it is {major}.{minor}." in text
    assert f'"polyrnn>={major}.{minor},<{major}.{minor + 1}"' in text


def test_the_abstract_methods_are_those_of_the_contract_version() -> None:
    # A new abstract method breaks every plug-in, so it needs a new version of the contract.
    assert polyrnn.__version__.startswith("0.2.")
    assert polyrnn.Backend.__abstractmethods__ <= {
        *("transpose", "select", "loop"),
        *("convert", "nonzero", "length_mask", "take_first"),
    }
    fields = dataclasses.fields(polyrnn.BackendInfo)
    required = {field.name for field in fields if field.default is dataclasses.MISSING}
    assert required <= {"name", "modules", "implementation", "install"}


def test_paths_in_contributing_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    named = re.findall(r"`([\w.-]+/[\w./-]*|[A-Z]+\.md|\w+\.(?:toml|ini))`", text)
    assert len(named) > 15
    assert [path for path in named if not (ROOT / path).exists()] == []
