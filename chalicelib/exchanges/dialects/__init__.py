"""What each exchange says in its own words: fields, codes and addresses, one module an exchange."""
