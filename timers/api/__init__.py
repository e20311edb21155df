"""The REST API under /api/v1 (django-ninja): one file of routes per resource, over control and insights."""
