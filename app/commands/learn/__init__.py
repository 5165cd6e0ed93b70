"""Commands that train models on the records a user has, and use them."""
