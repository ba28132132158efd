"""Who may do what: users, their settings, their credentials."""
