"""The conformance table, with one module of rows for each topic."""

from polyrnn_conformance.cases import (
    blocks,
    boundaries,
    boundary_checks,
    calling,
    checkpoints,
    choosing,
    contract,
    devices,
    dtypes,
    empty,
    extremes,
    late,
    lengths,
    masking,
    nested_walks,
    no_tensors,
    occurring,
    outputs,
    padding,
    pairs,
    refused_arguments,
    refused_steps,
    shapes,
    structure,
    time,
    writing,
)
from polyrnn_conformance.rows import Case, Check, ErrorCase, Row

CASES: tuple[Case, ...] = (
    *structure.ROWS,
    *outputs.ROWS,
    *time.ROWS,
    *masking.ROWS,
    *lengths.ROWS,
    *padding.ROWS,
    *pairs.ROWS,
    *dtypes.ROWS,
    *empty.ROWS,
    *no_tensors.ROWS,
    *extremes.ROWS,
    *boundaries.ROWS,
    *checkpoints.ROWS,
)
"""Calls whose results are compared with the reference."""

ERROR_CASES: tuple[ErrorCase, ...] = (
    *refused_arguments.ROWS,
    *refused_steps.ROWS,
    *lengths.ERRORS,
    *no_tensors.ERRORS,
    *extremes.ERRORS,
    *boundaries.ERRORS,
    *checkpoints.ERRORS,
)
"""Calls that have to raise an error."""

CHECKS: tuple[Check, ...] = (
    *calling.ROWS,
    *choosing.ROWS,
    *writing.ROWS,
    *lengths.CHECKS,
    *nested_walks.ROWS,
    *blocks.ROWS,
    *extremes.CHECKS,
    *boundary_checks.CHECKS,
    *late.ROWS,
    *devices.ROWS,
    *occurring.ROWS,
    *contract.ROWS,
    *shapes.ROWS,
)
"""Tests that are more than one call."""

TABLE: tuple[Row, ...] = (*CASES, *ERROR_CASES, *CHECKS)
"""All rows."""
