"""All mutants: one list for each subject."""

from __future__ import annotations

from tests.mutants import archives, command, configs, layers, network, outputs, store

MUTANTS = (
    *archives.MUTANTS,
    *configs.MUTANTS,
    *layers.MUTANTS,
    *outputs.MUTANTS,
    *network.MUTANTS,
    *command.MUTANTS,
    *store.MUTANTS,
)
