"""The REST API under /api/v1 (django-ninja): one file of routes per resource; calls control and insights."""
