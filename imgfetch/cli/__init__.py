"""The command line: arguments, environment, terminal and exit status.

Nothing imports this package.  A feature that a program could use belongs in `pull` or `archive`.
"""
