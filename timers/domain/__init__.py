"""Pure rules of the service: no Django, no database, no clock."""
