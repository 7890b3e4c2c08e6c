"""The signals by which a host learns about its calls.

Every signal is sent with ``call`` (a ``CallRecord``), ``ticket`` (the host's object, or None) and ``event`` (the
``CallEvent`` that caused the change). Sender: the ticket's model, else ``CallRecord``. Each receiver runs in a
savepoint of its own, in the transaction that stores that it was called.
"""

from __future__ import annotations

from django.dispatch import Signal

#: Exotel accepted the request. Nothing may be ringing yet.
call_accepted = Signal()
#: Exotel, a rule or the configuration refused: ``call.refusal_code`` says which.
call_refused = Signal()
#: A phone was answered and the call has not ended yet.
call_answered = Signal()
#: The call is over: ``call.outcome``, ``call.talk_time``.
call_ended = Signal()
#: A recording can be listened to; once per recording. The extra argument ``recording_url`` is its URL.
recording_ready = Signal()
#: Facts changed after ``call_ended``; the extra argument ``changed`` names the fields.
call_updated = Signal()
#: Somebody wrote a note about the call; once per note. The extra argument ``note`` is the ``CallNote``.
note_added = Signal()
