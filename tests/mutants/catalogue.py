"""All mutants: one list for each subject."""

from __future__ import annotations

from tests.mutants import archives, command, configs, layers, network, outputs, sources, store

MUTANTS = (
    *archives.MUTANTS,
    *sources.MUTANTS,
    *configs.MUTANTS,
    *layers.MUTANTS,
    *outputs.MUTANTS,
    *network.MUTANTS,
    *command.MUTANTS,
    *store.MUTANTS,
)
