"""Our identity at a registry: challenges, tokens, token servers, and the credentials of docker and podman.

It decides which server may receive which credentials. It requests nothing but tokens.
"""
