"""A "Call customer" button on any Django model, and the true history of every call in the CRM's own database.

    # settings.py
    INSTALLED_APPS += ["django_exotel_ccm"]
    EXOTEL_CCM = {
        "CALLBACK_BASE_URL": "https://crm.example.com",
        "TICKETS": {"helpdesk.Ticket": {"prefix": "ticket", "phone": "customer.phone"}},
    }

    # urls.py
    path("exotel/", include("django_exotel_ccm.urls"))

    # helpdesk/receivers.py
    @receiver(signals.call_ended, sender=Ticket)
    def note_the_call(call, ticket, **kwargs):
        ...

The account stands in the environment, as ``EXOTEL_URL`` or in parts. From code, a call is
``services.place_call(agent=agent, ticket=ticket)``.
"""
