"""HTTP requests: origin, TLS, proxies, redirects, bounds, retries, and error messages.

The only folder that imports requests and urllib3. It is independent of registries, credentials and images.
"""
