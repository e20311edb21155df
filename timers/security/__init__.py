"""Who asks, and what they may: what every face that programs call has in common.

A caller is made of an application key or of a person who has signed in. A key is looked up at most once a second in
each process, so one that is revoked is refused everywhere within a second. What somebody may do is always what their
user may, by Django's permissions (see scopes.py); a key can only narrow it.
"""
