"""What ``exotel_doctor`` and its page look at: one small function per check, each yielding findings."""
