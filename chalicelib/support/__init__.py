"""Support tickets: messages between a user and the admins. The status says who must answer."""
