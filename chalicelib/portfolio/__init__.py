"""What an account holds, what it cost and what it is worth."""
