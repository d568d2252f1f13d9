"""All mutants: one list for each subject."""

from __future__ import annotations

from tests.mutants import (
    archives,
    command,
    configs,
    credentials,
    hostile,
    inputs,
    layers,
    mirrors,
    network,
    outputs,
    patches,
    pieces,
    pushes,
    redaction,
    redirects,
    referrers,
    resources,
    signatures,
    sources,
    store,
)

MUTANTS = (
    *archives.MUTANTS,
    *hostile.MUTANTS,
    *sources.MUTANTS,
    *inputs.MUTANTS,
    *configs.MUTANTS,
    *credentials.MUTANTS,
    *redaction.MUTANTS,
    *redirects.MUTANTS,
    *layers.MUTANTS,
    *outputs.MUTANTS,
    *patches.MUTANTS,
    *pieces.MUTANTS,
    *pushes.MUTANTS,
    *network.MUTANTS,
    *mirrors.MUTANTS,
    *command.MUTANTS,
    *store.MUTANTS,
    *resources.MUTANTS,
    *signatures.MUTANTS,
    *referrers.MUTANTS,
)
