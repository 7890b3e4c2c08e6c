"""django-exotel-ccm: a "Call customer" button on any Django model, and the true history of every call."""
