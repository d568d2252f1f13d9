"""An archive's bytes: tar headers, layout and formats; and the reading and verifying of any tool's archive.

No request is made here, and no cache is used.
"""
