"""What people say of a photograph's skin: types they judged, and labels compared with them."""
