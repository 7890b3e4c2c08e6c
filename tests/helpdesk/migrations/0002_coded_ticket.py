"""A child whose own key is not its parent's."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("helpdesk", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="CodedTicket",
            fields=[
                ("code", models.CharField(max_length=10, primary_key=True, serialize=False)),
                (
                    "ticket_ptr",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, parent_link=True, to="helpdesk.ticket"
                    ),
                ),
            ],
            bases=("helpdesk.ticket",),
        ),
    ]
