"""From references to an archive: resolve, plan, download, write; also pin, inspect, the dry run, and layers left out.

The only folder that combines registries, the store and archives. It prints nothing and reads no environment.
"""
