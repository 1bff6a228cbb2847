"""Addresses of the webmail."""

from django.urls import path

from webmail.app import views as app
from webmail.compose import identity_views as identities
from webmail.compose import redirecting
from webmail.compose import views as compose
from webmail.contacts import views as contacts
from webmail.deleted import views as deleted
from webmail.folders import sharing
from webmail.folders import views as folders
from webmail.listing import views as listing
from webmail.marking import views as marking
from webmail.reading import bundle, pictures, unsubscribing
from webmail.reading import origin_views as origin
from webmail.reading import views as reading
from webmail.searching import views as searching
from webmail.senders import views as senders
from webmail.sending import views as sending
from webmail.settings import views as settings
from webmail.transfer import views as transfer

urlpatterns = [
    path("", listing.home, name="home"),
    path("app.webmanifest", app.manifest, name="manifest"),
    path("service-worker.js", app.service_worker, name="service-worker"),
    path("offline/", app.offline, name="offline"),
    path("mail/act/", marking.act, name="act"),
    path("mail/search/", searching.search, name="search"),
    path("mail/deleted/", deleted.deleted, name="deleted"),
    path("mail/senders/", senders.senders, name="senders"),
    path("mail/settings/", settings.display, name="display"),
    path("mail/settings/storage/", settings.storage, name="storage"),
    path("mail/settings/connecting/", settings.connecting, name="connecting"),
    path("mail/settings/connecting/mail.mobileconfig", settings.profile, name="own-profile"),
    path("mail/settings/transfer/", transfer.transfer, name="transfer"),
    path("mail/settings/transfer/state/", transfer.state, name="import-state"),
    path("mail/settings/transfer/export/", transfer.export, name="export"),
    path("mail/settings/transfer/begin/", transfer.begin, name="import-begin"),
    path("mail/settings/transfer/piece/<str:token>/<int:at>/", transfer.piece, name="import-piece"),
    path("mail/settings/transfer/whole/", transfer.whole, name="import-whole"),
    path("mail/settings/transfer/cancel/", transfer.cancel, name="import-cancel"),
    path("mail/folders/", folders.manage, name="folders"),
    path("mail/folders/list/", folders.sidebar, name="folder-list"),
    path("mail/folders/<int:mailbox_id>/rename/", folders.rename, name="folder-rename"),
    path("mail/folders/<int:mailbox_id>/sharing/", sharing.sharing, name="folder-sharing"),
    path("mail/folders/<int:mailbox_id>/delete/", folders.delete, name="folder-delete"),
    path("mail/compose/", compose.new, name="compose"),
    path("mail/compose/reply/<int:mailbox_id>/<int:uid>/", compose.reply, name="reply"),
    path("mail/compose/reply-all/<int:mailbox_id>/<int:uid>/", compose.reply_all, name="reply-all"),
    path("mail/compose/forward/<int:mailbox_id>/<int:uid>/", compose.forward, name="forward"),
    path("mail/compose/reply-list/<int:mailbox_id>/<int:uid>/", compose.reply_list, name="reply-list"),
    path("mail/compose/attach/<int:mailbox_id>/<int:uid>/", compose.forward_whole, name="forward-whole"),
    path("mail/compose/again/<int:mailbox_id>/<int:uid>/", compose.edit_as_new, name="edit-as-new"),
    path("mail/compose/redirect/<int:mailbox_id>/<int:uid>/", redirecting.redirect_message, name="redirect"),
    path("mail/compose/draft/<int:mailbox_id>/<int:uid>/", compose.draft, name="compose-draft"),
    path("mail/compose/save/", compose.save, name="compose-save"),
    path("mail/compose/send/", compose.send, name="compose-send"),
    path("mail/compose/convert/", compose.convert, name="compose-convert"),
    path("mail/compose/discard/", compose.discard, name="compose-discard"),
    path("mail/identities/", identities.identity_page, name="identities"),
    path("mail/templates/", identities.template_page, name="templates"),
    path("mail/contacts/", contacts.contacts, name="contacts"),
    path("mail/contacts/new/", contacts.contact, name="contact-new"),
    path("mail/contacts/<int:contact_id>/", contacts.contact, name="contact"),
    path("mail/contacts/act/", contacts.act, name="contacts-act"),
    path("mail/contacts/doubles/", contacts.doubles, name="contact-doubles"),
    path("mail/contacts/groups/new/", contacts.group, name="contact-group-new"),
    path("mail/contacts/groups/<int:group_id>/", contacts.group, name="contact-group"),
    path("mail/contacts/import/", contacts.import_file, name="contacts-import"),
    path("mail/contacts/export/", contacts.export_file, name="contacts-export"),
    path("mail/contacts/complete/", contacts.completions, name="contacts-complete"),
    path("mail/contacts/check/", contacts.check, name="contacts-check"),
    path("mail/sending/undo/<str:trace_id>/", sending.undo_sending, name="undo-sending"),
    path("mail/sending/options/", sending.options, name="sending-options"),
    path("mail/sending/tracker/", sending.tracker, name="tracker"),
    path("mail/sending/tracker/act/", sending.tracker_act, name="tracker-act"),
    path("mail/<int:mailbox_id>/", listing.mailbox, name="mailbox"),
    path("mail/<int:mailbox_id>/rows/", listing.rows, name="mailbox-rows"),
    path("mail/<int:mailbox_id>/changes/", listing.changes, name="mailbox-changes"),
    path("mail/<int:mailbox_id>/<int:uid>/", reading.message, name="message"),
    path("mail/<int:mailbox_id>/<int:uid>/html/<str:address>/", reading.html_body, name="message-html"),
    path("mail/<int:mailbox_id>/<int:uid>/part/<str:address>/", reading.part, name="message-part"),
    path("mail/<int:mailbox_id>/<int:uid>/part/<str:address>/text/", reading.part_preview, name="part-preview"),
    path("mail/picture/", pictures.picture, name="picture"),
    path("mail/<int:mailbox_id>/<int:uid>/pictures/", pictures.pictures, name="message-pictures"),
    path("mail/<int:mailbox_id>/<int:uid>/unsubscribe/", unsubscribing.unsubscribe, name="unsubscribe"),
    path("mail/<int:mailbox_id>/<int:uid>/zip/", bundle.bundle, name="message-zip"),
    path("mail/<int:mailbox_id>/<int:uid>/why/", origin.why, name="message-why"),
    path("mail/<int:mailbox_id>/<int:uid>/source/", reading.source, name="message-source"),
    path("mail/<int:mailbox_id>/<int:uid>/raw/", reading.raw_message, name="message-raw"),
]
