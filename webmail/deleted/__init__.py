"""Recently deleted: what can still be had back."""
