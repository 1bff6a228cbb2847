"""The settings area: display, storage, connecting other programs; its sidebar leads to the other settings, too."""
