"""A module per release: its tables read as a manifest."""
