"""The rule for resuming, over the whole registry of faults: what an earlier run left stops no run.

Each run with a cache has a twin with an empty one, which meets the same server in the same state.  Where the twin
succeeds, so must the other; where it fails, nothing is expected.
"""
