"""Support tickets: a user and the admins write to each other; each ticket knows whose turn it is."""
