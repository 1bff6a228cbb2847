"""What is thought of a message before it is accepted: who vouches for it, and named reasons for and against it."""
