"""One HTTP request: origin, TLS, proxies, redirects, bounds and retries, and the words for failures.

The only folder that imports requests and urllib3. It knows nothing of registries, credentials or images.
"""
