"""File systems for the tests: with faults, without room, or read-only."""
