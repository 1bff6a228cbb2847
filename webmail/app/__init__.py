"""What makes the webmail an app that can be installed: manifest, service worker, the page shown without a network."""
