"""From a name to a verified file on this disk: the user's folder, the Hub, the publishers' servers."""
