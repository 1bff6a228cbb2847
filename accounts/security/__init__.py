"""What a person decides about their own account: password, second factors, app passwords, sessions and devices."""
