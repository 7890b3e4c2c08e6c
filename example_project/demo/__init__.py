"""The demo behind ``make demo``: a helpdesk, a simulated Exotel, and one call placed through the admin.

Helpdesk and simulator run in this one process, so that nothing can be left behind when it ends, however it ends.
"""
