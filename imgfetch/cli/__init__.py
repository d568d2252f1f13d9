"""The command: arguments, environment, terminal and exit status.

Nothing imports it. Each feature that a program could use is below, in `pull` or `archive`.
"""
