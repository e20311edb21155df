"""Callers and their permissions: what all faces that programs call have in common.

A caller is made from an application key or from a signed-in person. A key is looked up at most once per second in each
process, so a revoked key is rejected everywhere within a second. A caller's permissions are those of their user, by
Django's permissions (see scopes.py); a key can only narrow them.
"""
