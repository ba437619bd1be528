"""What a connection and a request may do before anybody reads what it asks."""
