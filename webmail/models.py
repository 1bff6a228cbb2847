"""What users keep in the webmail beside their mail."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class Contact(models.Model):
    """A person in a user's address book. `uid` is the vCard's; `rest` holds the properties of an imported card that
    no field here shows, so that they are in the export again."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="contacts")
    uid = models.CharField(max_length=255)
    name = models.CharField(max_length=200, blank=True)
    organisation = models.CharField(max_length=200, blank=True)
    phones = models.JSONField(default=list)  # of strings
    note = models.TextField(blank=True)
    rest = models.TextField(blank=True)  # content lines, as in the card
    search = models.TextField(blank=True)  # name, organisation and addresses, case folded
    changed_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "uid"), name="contact_once"),)


class ContactAddress(models.Model):
    """In the order of their ids: the first is the one that is written to."""

    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="addresses")
    address = models.CharField(max_length=320)


class ContactGroup(models.Model):
    """People who are written to together."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="contact_groups")
    name = models.CharField(max_length=200)
    members = models.ManyToManyField(Contact, related_name="groups")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "name"), name="contact_group_once"),)


class CollectedAddress(models.Model):
    """Somebody a user wrote to from the webmail, for completion."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_index=False)
    address = models.CharField(max_length=320)  # in lower case
    name = models.CharField(max_length=200, blank=True)
    times = models.IntegerField(default=1)
    last_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "address"), name="collected_address_once"),)


class ListedUser(models.Model):
    """A user who has chosen to be in their domain's shared address book."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True)


class SendingIdentity(models.Model):
    """What goes with one of the addresses that a user may send from."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_index=False)
    address = models.CharField(max_length=320)
    name = models.CharField(max_length=200, blank=True)
    reply_to = models.CharField(max_length=320, blank=True)
    signature = models.TextField(blank=True)
    is_default = models.BooleanField(default=False)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "address"), name="sending_identity_once"),)


class CannedAnswer(models.Model):
    """A text that a user puts into letters: a template."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_index=False)
    name = models.CharField(max_length=100)
    text = models.TextField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "name"), name="canned_answer_once"),)


class MailImport(models.Model):
    """A file of mail that a user hands in, and what has become of it; one at a time. The file lies below
    DATA_DIR/imports under the token's name until it has been read."""

    class State(models.TextChoices):
        RECEIVING = "receiving"
        WORKING = "working"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True)
    token = models.CharField(max_length=32)
    file_name = models.CharField(max_length=255)
    folder = models.CharField(max_length=255, blank=True)  # all goes below this one; "" as the file says
    size = models.BigIntegerField()  # octets
    received = models.BigIntegerField(default=0)
    state = models.CharField(max_length=10, choices=State.choices, default=State.RECEIVING)
    added = models.IntegerField(default=0)
    skipped = models.IntegerField(default=0)
    refused = models.IntegerField(default=0)
    troubles = models.JSONField(default=list)  # of [what, why], the first ones
    reason = models.TextField(blank=True)  # why it failed
    beat_at = models.DateTimeField()  # when something was last heard of it
