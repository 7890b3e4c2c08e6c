"""The REST API, thin over ``services``: routed under ``api/`` in the package's URLs."""
