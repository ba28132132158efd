"""Users, their settings, their credentials and their permissions."""
